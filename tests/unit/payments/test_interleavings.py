"""Two callers at once, a crash at every step: one session to pay in, whatever happens in between."""

import contextlib
import functools
from collections.abc import Callable

import pytest

from billing.errors import BillingError
from billing.money import Money
from billing.payments.start_checkout import StartedCheckout
from tests.fakes.steps import Crash, crash
from tests.fakes.world import INVOICE, World

type Happening = Callable[[World, list[StartedCheckout]], None]

#: More steps than one call ever makes; later numbers would test nothing (a test says so).
STEPS = range(40)


def world() -> World:
    made = World()
    made.invoice("100.00")
    return made


def beginning_world() -> tuple[World, list[StartedCheckout]]:
    return world(), []


def pay(world: World, given: list[StartedCheckout], amount: str | None = None) -> None:
    with contextlib.suppress(BillingError):
        given.append(world.pay(amount))


def one_session_can_be_paid(world: World, given: list[StartedCheckout]) -> None:
    """At most one address that was given out leads to a payable session, and the claim's row holds it."""
    payable = {started.checkout_session for started in given} & set(world.stripe.open_sessions())
    assert len(payable) <= 1, world.steps.names
    claims = [row for row in world.payments() if row["open_claim"]]
    assert len(claims) <= 1
    assert payable <= {row["checkout_session"] for row in claims}, world.steps.names


def everybody_pays(world: World, given: list[StartedCheckout]) -> None:
    """Whoever has an address pays; the books then show what Stripe took, and the invoice at most once paid."""
    for started in given:
        if started.checkout_session in world.stripe.open_sessions():
            world.stripe.pays(started.checkout_session)
    world.deliver()
    world.recompute()
    one_session_can_be_paid(world, given)
    taken = sum(s.payment_intent.amount_received for s in world.stripe.sessions.values() if s.payment_intent)
    booked = [Money.from_directus(row["amount"], "USD").minor for row in world.payments(status="succeeded")]
    assert sum(booked) == taken
    assert world.stored()["amount_paid"] == Money(taken, "USD").to_directus()


def same_amount(world: World, given: list[StartedCheckout]) -> None:
    pay(world, given)


def another_amount(world: World, given: list[StartedCheckout]) -> None:
    pay(world, given, "40.00")


def staff_give_a_discount(world: World, given: list[StartedCheckout]) -> None:
    world.line("-30.00", kind="discount")
    world.recompute()
    pay(world, given)


def somebody_pays_by_another_window(world: World, given: list[StartedCheckout]) -> None:
    pay(world, given)
    for session in world.stripe.open_sessions():
        world.stripe.pays(session)


def the_other_call_comes_first_and_then_a_discount(world: World, given: list[StartedCheckout]) -> None:
    pay(world, given)
    world.line("-30.00", kind="discount")


def staff_void_the_invoice(world: World, given: list[StartedCheckout]) -> None:
    pay(world, given)
    world.stored()["status"] = "void"
    world.recompute()


def staff_cancel_the_attempt(world: World, given: list[StartedCheckout]) -> None:
    for row in world.payments(status="pending"):
        row["status"] = "canceled"
    world.recompute()
    pay(world, given)


OTHERS: list[Happening] = [
    same_amount,
    another_amount,
    staff_give_a_discount,
    somebody_pays_by_another_window,
    the_other_call_comes_first_and_then_a_discount,
    staff_void_the_invoice,
    staff_cancel_the_attempt,
]


def fresh(_: World, __: list[StartedCheckout]) -> None:
    """Nobody has asked before."""


def a_claim_without_a_session(world: World, _: list[StartedCheckout]) -> None:
    """An earlier call died right after its claim."""
    world.steps.after_next["POST payments"] = crash
    with pytest.raises(Crash):
        world.pay()


def an_open_session(world: World, given: list[StartedCheckout]) -> None:
    given.append(world.pay())


def an_open_session_for_another_amount(world: World, given: list[StartedCheckout]) -> None:
    given.append(world.pay("25.00"))


def an_expired_session(world: World, given: list[StartedCheckout]) -> None:
    given.append(world.pay())
    world.passes(hours=24)


BEGINNINGS: list[Happening] = [
    fresh,
    a_claim_without_a_session,
    an_open_session,
    an_open_session_for_another_amount,
    an_expired_session,
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("other", OTHERS)
def test_another_caller_between_any_two_steps_never_makes_two_payable_sessions(
    beginning: Happening, other: Happening
) -> None:
    for when in ("before", "after"):
        for number in STEPS:
            here, given = beginning_world()
            beginning(here, given)
            here.steps.reset()
            moments = here.steps.before if when == "before" else here.steps.after
            moments[number] = functools.partial(other, here, given)
            pay(here, given)
            if moments:
                break  # the call has no more steps
            one_session_can_be_paid(here, given)
            everybody_pays(here, given)


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("other", [same_amount, another_amount, staff_give_a_discount])
def test_a_crash_around_any_step_leaves_one_attempt_that_the_next_call_completes(
    beginning: Happening, other: Happening
) -> None:
    for when in ("before", "after"):
        for number in STEPS:
            here, given = beginning_world()
            beginning(here, given)
            invoice_before = dict(here.stored())
            here.steps.reset()
            moments = here.steps.before if when == "before" else here.steps.after
            moments[number] = crash
            try:
                given.append(here.pay())
            except Crash:
                pass
            else:
                assert moments  # it did not reach that step
                break
            one_session_can_be_paid(here, given)
            assert here.stored() == invoice_before
            here.steps.reset()
            other(here, given)
            assert any(started.checkout_session in here.stripe.open_sessions() for started in given), (
                "the next call completes"
            )
            one_session_can_be_paid(here, given)
            everybody_pays(here, given)


def test_every_step_of_a_call_is_covered_by_the_steps_above() -> None:
    for beginning in BEGINNINGS:
        here, given = beginning_world()
        beginning(here, given)
        here.steps.reset()
        here.pay()
        assert len(here.steps.names) < len(STEPS), here.steps.names


def test_the_claimed_invoice_is_one_row_and_one_key_however_many_calls_complete_it() -> None:
    here = world()
    given: list[StartedCheckout] = []
    a_claim_without_a_session(here, given)
    first, second, third = here.pay(), here.pay(), here.pay()
    assert first.url == second.url == third.url
    assert len(here.payments()) == 1
    assert list(here.stripe.keys) == [f"test:{here.payments()[0]['id']}"]
    assert here.stored(INVOICE)["status"] == "sent"
