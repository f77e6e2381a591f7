"""One open session per invoice: what a caller meets, and what becomes of it."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from billing.errors import BillingError, CreationRefused, StripeRejected, UpstreamUnavailable
from tests.fakes.world import INVOICE, OTHER_USER, STAFF, USER, World


@pytest.fixture
def world() -> World:
    made = World()
    made.invoice("100.00")
    return made


def code(world: World, amount: str | None = None, *, user: str = USER) -> str:
    with pytest.raises(BillingError) as refusal:
        world.pay(amount, user=user)
    return refusal.value.code


def broken_currency(world: World) -> None:
    world.stored()["currency"] = "KWD"


def broken_line(world: World) -> None:
    next(iter(world.directus.table("line_items").values()))["amount"] = "a lot"


def broken_attempt(world: World) -> None:
    world.payment("5.00", attempt="no json")


@pytest.mark.parametrize("broken", [broken_currency, broken_line, broken_attempt])
def test_what_cannot_be_read_of_an_invoice_tells_only_its_own_client(
    world: World, broken: Callable[[World], None]
) -> None:
    def answer(user: str) -> tuple[int, str, str, dict[str, str]]:
        with pytest.raises(BillingError) as refusal:
            world.pay(user=user)
        return refusal.value.status, refusal.value.code, refusal.value.detail, refusal.value.ids

    foreign = answer(OTHER_USER)
    assert foreign[:2] == (404, "not_found")
    broken(world)
    assert answer(OTHER_USER) == answer(STAFF) == foreign
    assert answer(USER)[0] in {422, 502}
    world.stored()["status"] = "draft"
    assert answer(USER) == answer(OTHER_USER) == foreign


def test_whoever_may_not_see_an_invoice_costs_directus_two_small_requests(world: World) -> None:
    assert code(world, user=OTHER_USER) == "not_found"
    assert world.steps.names == ["SEARCH directus_users", "SEARCH invoices"]


def test_an_invoice_deleted_between_two_looks_is_not_found(world: World) -> None:
    world.steps.after_next["SEARCH invoices"] = lambda: world.directus.table("invoices").clear()
    assert code(world) == "not_found"
    assert world.steps.names[:2] == ["SEARCH directus_users", "SEARCH invoices"]


def test_a_second_call_gets_the_same_session(world: World) -> None:
    first, second = world.pay(), world.pay()
    assert (first.url, first.reused) == (second.url, False)
    assert second.reused
    assert len(world.stripe.sessions) == len(world.payments()) == 1


def test_another_amount_replaces_the_session(world: World) -> None:
    first, second = world.pay(), world.pay("40.00")
    assert second.checkout_session != first.checkout_session
    assert world.stripe.open_sessions() == [second.checkout_session]
    assert [row["status"] for row in world.payments()] == ["canceled", "pending"]


def test_another_place_to_return_to_replaces_the_session(world: World) -> None:
    first, second = world.pay(), world.pay(return_url="https://portal.example/paid")
    assert world.stripe.open_sessions() == [second.checkout_session]
    assert first.checkout_session != second.checkout_session


def test_a_session_with_little_time_left_is_replaced(world: World) -> None:
    first = world.pay()
    world.time = first.expires_at - timedelta(minutes=9)
    assert world.pay().checkout_session != first.checkout_session
    assert len(world.stripe.open_sessions()) == 1


def test_an_expired_session_is_replaced_without_its_event(world: World) -> None:
    first = world.pay()
    world.passes(hours=24)
    assert world.pay().checkout_session != first.checkout_session
    assert [row["status"] for row in world.payments()] == ["canceled", "pending"]


def test_a_paid_session_is_a_409_and_is_booked_though_its_event_was_lost(world: World) -> None:
    world.stripe.pays(world.pay().checkout_session)
    world.drain()
    assert code(world) == "payment_processing"
    world.drain()
    assert world.stored()["status"] == "paid"
    assert code(world) == "already_paid"


def test_a_bank_debit_under_way_is_a_409(world: World) -> None:
    world.stripe.debits(world.pay().checkout_session)
    assert code(world) == "payment_processing"
    assert len(world.payments()) == 1


def test_a_failed_bank_debit_is_replaced_though_its_event_was_lost(world: World) -> None:
    first = world.pay().checkout_session
    world.stripe.debits(first)
    world.stripe.settles(first, succeeds=False)
    assert world.pay().checkout_session != first
    assert [row["status"] for row in world.payments()] == ["failed", "pending"]


def test_a_session_that_was_paid_while_it_was_being_replaced_is_a_409(world: World) -> None:
    first = world.pay().checkout_session
    world.drain()
    world.steps.after_next["retrieve session"] = lambda: world.stripe.pays(first)
    assert code(world, "40.00") == "payment_processing"
    world.drain()
    assert world.payments()[0]["status"] == "succeeded"


def test_a_session_that_expired_while_it_was_being_replaced_is_replaced(world: World) -> None:
    first = world.pay().checkout_session
    world.steps.after_next["retrieve session"] = lambda: world.stripe.expires(first)
    assert world.pay("40.00").amount.minor == 4000
    assert world.stripe.sessions[first].status == "expired"
    assert not world.steps.after_next, "it expired in between"
    assert len(world.stripe.open_sessions()) == 1


def lose_answer() -> None:
    message = "Stripe cannot be reached."
    raise UpstreamUnavailable(message, code="stripe_unavailable")


def test_a_lost_answer_of_stripe_is_asked_for_again_under_the_same_key(world: World) -> None:
    world.steps.after_next["create session"] = lose_answer
    assert code(world) == "stripe_unavailable"
    world.passes(minutes=1)  # a key with a recomputed expires_at would be an idempotency error
    assert world.pay().checkout_session == "cs_test_1"
    assert len(world.stripe.sessions) == 1


def test_directus_failing_after_stripes_answer_loses_nothing(world: World) -> None:
    world.steps.before_next["PATCH payments"] = lose_answer
    assert code(world) == "stripe_unavailable"
    assert world.payments()[0]["checkout_session"] is None
    assert world.pay().checkout_session == "cs_test_1"


def test_a_claim_of_yesterday_ends_with_the_session_it_did_not_know_of(world: World) -> None:
    world.steps.after_next["create session"] = lose_answer
    code(world)
    world.passes(hours=25)
    assert world.pay().checkout_session == "cs_test_2"
    old, new = world.payments()
    assert (old["status"], old["checkout_session"], new["checkout_session"]) == (
        "canceled",
        "cs_test_1",
        "cs_test_2",
    )


def test_a_session_paid_through_a_claim_that_did_not_know_of_it_is_booked_on_it(world: World) -> None:
    world.steps.after_next["create session"] = lose_answer
    code(world)
    world.stripe.pays("cs_test_1")
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["checkout_session"], row["open_claim"]) == ("succeeded", "cs_test_1", None)


def test_a_replayed_server_error_ends_the_attempt_and_the_next_call_has_a_new_key(world: World) -> None:
    world.stripe.creations.append("fail")
    assert code(world) == "stripe_unavailable"
    assert world.pay().checkout_session == "cs_test_1"
    assert [row["status"] for row in world.payments()] == ["canceled", "pending"]
    assert len(world.stripe.keys) == 2


def test_what_stripe_refuses_is_a_502_and_holds_no_claim(world: World) -> None:
    world.stripe.creations.append("refuse")
    with pytest.raises(CreationRefused) as refusal:
        world.pay()
    assert refusal.value.status == 502
    assert [row["open_claim"] for row in world.payments()] == [None]
    assert world.pay().checkout_session == "cs_test_1"


def test_staff_may_cancel_an_attempt_and_the_client_start_another(world: World) -> None:
    first = world.pay().checkout_session
    world.payments()[0]["status"] = "canceled"
    second = world.pay().checkout_session
    assert world.stripe.open_sessions() == [second]
    assert first != second


def test_a_discount_between_the_first_and_the_last_look_is_not_charged_away(world: World) -> None:
    world.steps.after_next["POST payments"] = lambda: world.line("-30.00", kind="discount")
    with pytest.raises(BillingError):
        world.pay()
    assert world.stripe.open_sessions() == []
    assert [row["open_claim"] for row in world.payments()] == [None]


def test_a_wire_between_the_first_and_the_last_look_is_not_paid_twice(world: World) -> None:
    world.steps.after_next["POST payments"] = lambda: world.payment("100.00")
    assert code(world) == "already_paid"
    assert world.stripe.open_sessions() == []


def test_checkout_never_writes_the_invoice(world: World) -> None:
    before = dict(world.stored())
    world.pay()
    world.pay("40.00")
    assert world.stored() == before
    assert {
        url for method, url, *_ in world.directus.requests if method == "PATCH" and "/invoices" in url
    } == set()


def test_after_opening_the_one_writer_is_asked_to_look_once_more(world: World) -> None:
    world.pay()
    assert world.queue.sent == [({"type": "recompute", "invoice": INVOICE}, INVOICE, None)]


def test_somebody_who_is_always_faster_is_a_503_not_a_loop(world: World) -> None:
    body = b'{"errors":[{"extensions":{"code":"RECORD_NOT_UNIQUE","collection":"payments","field":"open_claim"}}]}'
    world.directus.answers["POST payments"] = [lambda: httpx.Response(400, content=body)] * 5
    with pytest.raises(UpstreamUnavailable) as refusal:
        world.pay()
    assert refusal.value.code == "checkout_contended"
    assert world.directus.answers["POST payments"] == []


def test_nothing_to_pay_with_a_session_still_open_has_it_expired_though_the_flow_was_lost(
    world: World,
) -> None:
    world.pay()
    world.drain()
    world.payment("100.00")
    assert code(world) == "already_paid"
    world.drain()
    assert world.stripe.open_sessions() == []


def test_a_session_of_another_mode_blocks_the_invoice_only_until_it_would_have_expired(world: World) -> None:
    started = world.pay()
    world.stripe.sessions.clear()
    with pytest.raises(StripeRejected):
        world.pay()
    world.time = started.expires_at + timedelta(seconds=1)
    assert world.pay().checkout_session == "cs_test_2"
    assert [row["open_claim"] is None for row in world.payments()] == [True, False]


def test_a_session_paid_before_its_claim_learned_of_it_is_not_handed_out_as_open(world: World) -> None:
    """Stripe's repeated answer shows the session as it was created."""
    world.steps.after_next["create session"] = lose_answer
    code(world)
    world.stripe.pays("cs_test_1")
    assert code(world) == "payment_processing"


def test_the_smallest_charge_may_be_paid(world: World) -> None:
    assert world.pay("0.50").amount.minor == 50
