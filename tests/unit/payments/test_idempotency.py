"""The key under which an attempt's session is created: what happens when Stripe says that it was used otherwise."""

import pytest

from tests.fakes.steps import Crash, crash
from tests.fakes.world import INVOICE, World


def _lost_answer() -> World:
    """Stripe has created the session; the process died before it was stored."""
    world = World()
    world.invoice("100.00")
    world.steps.after_next["create session"] = crash
    with pytest.raises(Crash):
        world.pay()
    assert len(world.stripe.sessions) == 1
    return world


def test_a_key_that_was_used_for_another_request_leads_to_the_session_it_made() -> None:
    """Somebody changed the stored request by hand: Stripe's idempotency_error is neither swallowed nor final."""
    world = _lost_answer()
    (attempt,) = world.payments()
    attempt["attempt"]["parameters"]["line_items"][0]["price_data"]["unit_amount"] = 1
    started = world.pay()
    assert [started.checkout_session] == list(world.stripe.sessions)
    assert (attempt_of(world)["checkout_session"], attempt_of(world)["open_claim"]) == (started.checkout_session, INVOICE)  # fmt: skip


def test_a_key_that_was_used_for_another_request_and_made_nothing_is_given_up() -> None:
    world = _lost_answer()
    (attempt,) = world.payments()
    attempt["attempt"]["parameters"]["line_items"][0]["price_data"]["unit_amount"] = 1
    world.stripe.sessions.clear()
    world.stripe.created.clear()
    started = world.pay()
    assert [row["status"] for row in world.payments()] == ["canceled", "pending"]
    assert attempt_of(world)["checkout_session"] == started.checkout_session
    keys = {row["attempt"]["idempotency_key"] for row in world.payments()}
    assert len(keys) == 2


def test_an_invoice_edited_after_the_answer_was_lost_gets_a_new_key_with_the_new_amount() -> None:
    world = _lost_answer()
    world.line("-20.00", kind="discount")
    world.stored().update(subtotal="80.00", total="80.00")
    started = world.pay()
    assert started.amount.to_directus() == "80.00"
    assert len({row["attempt"]["idempotency_key"] for row in world.payments()}) == 2
    assert world.stripe.open_sessions() == [started.checkout_session]


def attempt_of(world: World) -> dict[str, object]:
    (row,) = world.payments(open_claim=INVOICE)
    return row
