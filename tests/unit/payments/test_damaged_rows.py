"""What others write (other applications, staff at the wrong instant, an administrator) loses and doubles nothing."""

from dataclasses import replace

import pytest

from billing.errors import SessionNotOpen, StripeRejected, UpstreamUnavailable
from billing.stripe.objects import CheckoutSession
from tests.fakes.stripe import FakeStripe
from tests.fakes.world import INVOICE, World, opened
from tests.unit.payments.reversed_payments import SECOND, booked, paid, totals


def ended(world: World) -> list[str]:
    """How the events ended."""
    return [row["status"] for row in world.directus.table("stripe_events").values()]


def test_money_that_says_our_deployment_and_nothing_else_is_not_dropped() -> None:
    world, session = opened()
    world.stripe.pays(session)
    found = world.stripe.sessions[session]
    world.stripe.sessions[session] = replace(found, metadata={"deployment": "test"})
    world.directus.table("payments").clear()
    world.invoice_writer.sync_session(session)
    (row,) = world.payments()
    assert (row["invoice"], row["amount"], row["status"]) == (None, "100.00", "succeeded")


def test_money_of_an_expired_session_is_booked() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.stripe.sessions[session] = replace(
        world.stripe.sessions[session], status="expired", payment_status="unpaid"
    )
    world.deliver()
    assert (booked(world)["amount"], booked(world)["open_claim"]) == ("100.00", None)
    assert totals(world) == ("paid", "100.00", "0.00")


@pytest.mark.parametrize("debit", [False, True])
def test_staff_who_cancel_in_the_instant_of_booking_are_corrected_by_the_next_recompute(
    *, debit: bool
) -> None:
    world, session = opened()
    if debit:
        world.stripe.debits(session)
        world.deliver()
    else:
        world.stripe.pays(session)
        world.deliver()
    (row,) = world.payments()
    before = dict(row)
    row |= {"status": "canceled", "open_claim": None}
    world.recompute()
    (after,) = world.payments()
    assert (after["status"], after["open_claim"]) == (before["status"], before["open_claim"])
    assert totals(world)[1] == ("0.00" if debit else "100.00")


def test_what_stripe_never_received_stays_canceled_and_is_asked_about_once_per_recompute() -> None:
    world, session = opened()
    (row,) = world.payments()
    row |= {"status": "canceled", "open_claim": None, "transaction_id": "pi_nothing"}
    world.stripe.expires(session)
    world.steps.reset()
    world.recompute()
    assert world.steps.names.count("retrieve session") == 1
    assert world.payments()[0]["status"] == "canceled"


def test_books_do_not_wait_for_stripe_when_a_cancelled_row_is_doubtful() -> None:
    world, session = paid()
    booked(world)["status"] = "canceled"
    world.payment("30.00")
    del world.stripe.sessions[session]
    with pytest.raises(StripeRejected):
        world.recompute()
    assert totals(world) == ("partially_paid", "30.00", "70.00")


def test_learning_its_session_does_not_undo_a_cancellation() -> None:
    """Staff cancel between the look at the row and the write."""
    world, session = opened()
    (row,) = world.payments()
    row["checkout_session"] = None
    world.steps.before_next["PATCH invoices"] = lambda: world.directus.table("payments").update(
        {row["id"]: {**row, "status": "canceled", "open_claim": None}}
    )
    world.invoice_writer.sync_session(session)
    (after,) = world.payments()
    assert (after["status"], after["open_claim"], after["checkout_session"]) == ("canceled", None, session)


def test_a_clash_that_stays_is_parked_until_somebody_mends_the_row() -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    (row,) = world.payments()
    row["checkout_session"] = "cs_mistyped"
    world.stripe.settles(session, succeeds=True)
    *_, succeeded = world.stripe.events
    world.deliver([succeeded])
    assert ended(world)[-1] == "parked"
    assert "payments.transaction_id already holds" in world.parked[-1].detail
    assert row["status"] == "processing"
    row["checkout_session"] = session
    world.deliver([succeeded])
    assert ended(world)[-1] == "done"
    assert totals(world) == ("paid", "100.00", "0.00")


class NeverOver(FakeStripe):
    """Stripe refuses to expire a session and goes on calling it open."""

    def expire_session(self, session: str) -> CheckoutSession:
        self.steps.names.append("expire session")
        message = "Only sessions with a status in [open] can be expired."
        raise SessionNotOpen(message, checkout_session=session)


def test_a_session_that_is_neither_expired_nor_over_is_asked_again_later() -> None:
    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    stripe = NeverOver(world.now, world.steps, sessions=world.stripe.sessions)
    keep = replace(world.invoice_writer, stripe=stripe)
    world.steps.reset()
    with pytest.raises(UpstreamUnavailable, match="asked again"):
        keep.sync_session(session)
    assert world.steps.names.count("expire session") == 1


def test_a_sibling_session_that_stripe_does_not_know_does_not_fail_the_booking() -> None:
    world, session = opened()
    world.stripe.pays(session)
    sibling = world.payment(
        "100.00", method=None, status="pending", open_claim=INVOICE, checkout_session="cs_other_account",
        expires_at="2026-11-21T14:00:00+00:00",
    )  # fmt: skip
    world.payments(checkout_session=session)[0]["open_claim"] = None
    world.deliver()
    assert set(ended(world)) == {"done"}
    assert totals(world) == ("paid", "100.00", "0.00")
    assert {ids["payment"] for _, ids in world.flags if ids["code"] == "stripe_rejected"} == {sibling["id"]}


def test_refunds_go_with_the_money_when_an_administrator_tore_them_from_it() -> None:
    world, session = paid()
    world.stripe.refunds_payment(session, 4000)
    world.deliver()
    (row,) = world.payments()
    row |= {"transaction_id": None, "checkout_session": "cs_invented"}
    assert world.invoice_writer.sync_session(session)
    (new,) = world.payments(checkout_session=session)
    assert (new["status"], new["amount"]) == ("succeeded", "100.00")
    assert len(world.directus.table("refunds")) == 1


def test_a_claim_that_came_from_another_invoice_is_not_this_ones() -> None:
    world, _ = opened()
    world.invoice("90.00", id=SECOND)
    (row,) = world.payments()
    row["invoice"] = SECOND
    assert world.ledger(SECOND).open_attempt is None
    assert world.ledger(INVOICE).open_attempt is None


@pytest.mark.parametrize(("live_key", "live_event"), [(True, False), (False, True)])
def test_an_event_of_the_other_mode_is_parked_without_a_look(*, live_key: bool, live_event: bool) -> None:
    world, session = opened()
    world.stripe.livemode = live_key
    world.stripe.pays(session)
    event = replace(world.stripe.events[0], livemode=live_event)
    world.steps.reset()
    world.deliver([event])
    assert ended(world) == ["parked"]
    assert "retrieve session" not in world.steps.names
    assert "must be of the same mode" in world.parked[0].detail
    world.deliver(
        [replace(event, event="evt_right", livemode=live_key), replace(event, event="evt_old", livemode=None)]
    )
    assert ended(world)[1:] == ["done", "done"]


@pytest.mark.parametrize("where", ["on no invoice", "on an invoice of another currency"])
def test_a_booked_payment_that_lost_its_transaction_gets_it_back_wherever_it_is(where: str) -> None:
    world, session = paid()
    row = booked(world)
    transaction, row["transaction_id"] = row["transaction_id"], None
    if where == "on no invoice":
        row |= {"invoice": None, "client": None}
        found = world.stripe.sessions[session]
        unknown = {**found.metadata, "directus_invoice": "a9000000-0000-4000-8000-00000000dead"}
        world.stripe.sessions[session] = replace(found, metadata=unknown)
    else:
        world.stored()["currency"] = "EUR"
    assert world.invoice_writer.sync_session(session)
    assert booked(world)["transaction_id"] == transaction


def test_a_wire_that_an_administrator_made_of_an_open_attempt_stays_received() -> None:
    world, session = opened()
    (row,) = world.payments()
    row |= {"method": "wire", "status": "succeeded"}
    world.recompute()
    (after,) = world.payments()
    assert (after["status"], after["open_claim"]) == ("succeeded", None)
    assert not world.stripe.sessions[session].is_open
    assert totals(world) == ("paid", "100.00", "0.00")
