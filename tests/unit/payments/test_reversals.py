"""Refunds and disputes: what Stripe takes back is in the rows, once, wherever the payment is."""

from dataclasses import replace

import pytest

from billing.errors import UpstreamUnavailable
from tests.fakes.world import CLIENT, INVOICE, opened
from tests.unit.payments.reversed_payments import (
    SECOND,
    booked,
    booked_through_stripe,
    paid,
    totals,
    unapplied,
)

# ---- refunds --------------------------------------------------------------------------------------------


def test_a_partial_refund_reopens_the_invoice_by_its_amount() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000)
    world.deliver()
    (row,) = world.directus.table("refunds").values()
    assert (row["stripe_refund"], row["payment"], row["amount"], row["currency"], row["status"]) == (
        name, booked(world)["id"], "30.00", "USD", "succeeded",
    )  # fmt: skip
    assert (row["reason"], row["refunded_at"]) == ("requested_by_customer", "2026-11-20T15:00:00+00:00")
    assert booked(world)["amount_refunded"] == "30.00"
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_a_second_refund_is_added_once_though_the_charge_counts_both() -> None:
    world, session = paid()
    for minor in (3000, 2000):
        world.stripe.refunds_payment(session, minor)
        world.deliver()
    assert booked(world)["amount_refunded"] == "50.00"
    assert totals(world) == ("partially_paid", "50.00", "50.00")


def test_refunds_over_the_rest_leave_nothing_and_never_less() -> None:
    world, session = paid("40.00")
    world.payment("60.00")
    for minor in (3000, 2000):
        world.stripe.refunds_payment(session, minor)
    world.deliver()
    assert len(world.directus.table("refunds")) == 2
    assert totals(world) == ("partially_paid", "60.00", "40.00")


def test_every_event_of_one_refund_makes_one_row() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000, status="pending")
    world.stripe.refund_becomes(name, "succeeded")
    kinds = [event.event_type for event in world.stripe.events]
    assert kinds == ["refund.created", "charge.refunded", "refund.updated", "charge.refund.updated"]
    world.deliver([*world.stripe.events, *world.stripe.events])
    assert [row["status"] for row in world.directus.table("refunds").values()] == ["succeeded"]
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_a_refund_made_in_the_dashboard_needs_nothing_of_ours_to_be_booked() -> None:
    """Its event names no invoice and no deployment, and it has no metadata: only its payment tells whose it is."""
    world, session = paid()
    world.stripe.refunds_payment(session, 3000)
    created = world.stripe.events[0]
    assert (created.invoice, created.deployment) == (None, None)
    world.apply_event(created)
    assert [group for _, group, _ in world.queue.sent] == [INVOICE], "only the invoice's group may write it"
    assert world.directus.table("refunds") == {}
    world.drain()
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_a_pending_refund_counts_at_once_and_a_failed_one_gives_the_money_back() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 10000, status="pending")
    world.deliver()
    assert totals(world) == ("sent", "0.00", "100.00")
    world.stripe.refund_becomes(name, "succeeded")
    world.deliver()
    assert totals(world) == ("sent", "0.00", "100.00")
    world.stripe.refund_becomes(name, "failed")
    world.deliver()
    assert totals(world) == ("paid", "100.00", "0.00")
    assert booked(world)["amount_refunded"] == "0.00"
    assert [row["status"] for row in world.directus.table("refunds").values()] == ["failed"]


def test_a_canceled_refund_gives_the_money_back() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000, status="requires_action")
    world.deliver()
    world.stripe.refund_becomes(name, "canceled")
    world.deliver()
    assert totals(world) == ("paid", "100.00", "0.00")


def test_a_refund_that_comes_before_its_payment_was_booked_books_both() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.stripe.refunds_payment(session, 3000)
    (created,) = [event for event in world.stripe.events if event.event_type == "refund.created"]
    world.deliver([created])
    assert totals(world) == ("partially_paid", "70.00", "30.00")
    assert booked(world)["amount_refunded"] == "30.00"
    world.deliver()
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_a_payment_seen_first_after_it_was_refunded_brings_its_refund_along() -> None:
    """The refund's own events are lost: the charge itself says that something went back."""
    world, session = opened()
    world.stripe.pays(session)
    world.stripe.refunds_payment(session, 3000)
    world.deliver(world.stripe.events[:1])
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_a_payment_seen_first_after_it_was_disputed_brings_its_dispute_along() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.stripe.dispute_becomes(world.stripe.disputes_payment(session, 4000), "lost")
    world.deliver(world.stripe.events[:1])
    assert totals(world) == ("partially_paid", "60.00", "40.00")


def test_a_refund_that_failed_before_anybody_saw_it_is_in_the_books_all_the_same() -> None:
    """Nothing hints at it any more: neither the charge nor a row."""
    world, session = paid()
    world.stripe.refund_becomes(world.stripe.refunds_payment(session, status="pending"), "failed")
    world.deliver(world.stripe.events[-2:-1])
    assert [row["status"] for row in world.directus.table("refunds").values()] == ["failed"]
    assert totals(world) == ("paid", "100.00", "0.00")


def test_a_lost_failure_of_a_refund_is_seen_with_the_next_event_of_the_payment() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session)
    world.deliver()
    world.stripe.refund_becomes(name, "failed")
    world.stripe.events.clear()  # lost; the charge shows nothing refunded any more
    world.stripe.learns_fee(session, 320)
    world.deliver()
    assert totals(world) == ("paid", "100.00", "0.00")


def test_a_payment_nothing_went_back_on_costs_stripe_no_further_question() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.steps.reset()
    world.deliver()
    assert "list reversals" not in world.steps.names


def test_reconciliation_and_checkout_ask_stripe_for_everything() -> None:
    world, session = paid()
    world.steps.reset()
    world.invoice_writer.sync_session(session)
    assert world.steps.names.count("list reversals") == 1


def test_a_refund_in_another_currency_is_told_and_not_booked() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000, currency="EUR")
    world.deliver()
    assert world.directus.table("refunds") == {}
    assert totals(world) == ("paid", "100.00", "0.00")
    assert any(name in sentence and "EUR" in sentence for sentence, _ in world.flags)


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_an_unknown_status_is_told_and_not_booked(what: str) -> None:
    world, session = paid()
    if what == "refund":
        name = world.stripe.refunds_payment(session, 3000, status="reversed")
    else:
        name = world.stripe.disputes_payment(session, 3000, status="escalated")
    world.deliver()
    assert (world.directus.table("refunds"), world.directus.table("payment_disputes")) == ({}, {})
    assert totals(world) == ("paid", "100.00", "0.00")
    assert any(name in sentence for sentence, _ in world.flags)


def test_a_status_that_becomes_unknown_leaves_the_row_as_it_was() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000)
    world.deliver()
    world.stripe.refund_becomes(name, "reversed")
    world.deliver()
    assert [row["status"] for row in world.directus.table("refunds").values()] == ["succeeded"]
    assert totals(world) == ("partially_paid", "70.00", "30.00")
    assert world.flags


# ---- refunds of payments that are not where one expects them ----------------------------------------------


@pytest.mark.parametrize(("currency", "amount"), [("EUR", "40.00"), ("INR", "40.00"), ("JPY", "4000.00")])
def test_a_refund_of_an_unapplied_payment_is_booked_below_it(currency: str, amount: str) -> None:
    world, session = opened()
    world.stripe.pays(session, minor=9000, currency=currency)
    world.deliver()
    world.stripe.refunds_payment(session, 4000)
    world.deliver()
    row = booked(world)
    (refund,) = world.directus.table("refunds").values()
    assert (refund["payment"], refund["amount"], refund["currency"]) == (row["id"], amount, currency)
    assert (row["invoice"], row["amount_refunded"]) == (None, amount)
    assert totals(world) == ("sent", "0.00", "100.00")


@pytest.mark.parametrize("currency", ["EUR", "INR"])
def test_an_unapplied_payment_seen_first_after_it_was_refunded_is_created_with_its_refund(
    currency: str,
) -> None:
    world, session = opened()
    world.stripe.pays(session, minor=9000, currency=currency)
    name = world.stripe.refunds_payment(session, 4000)
    world.stripe.disputes_payment(session, 1000, status="lost")
    world.deliver()
    world.deliver()
    row = booked(world)
    (refund,) = world.directus.table("refunds").values()
    assert (refund["stripe_refund"], refund["payment"]) == (name, row["id"])
    assert (row["amount_refunded"], row["amount_disputed_lost"]) == ("40.00", "10.00")


def test_an_unapplied_payment_keeps_the_day_that_it_was_by_the_firms_calendar() -> None:
    world, session = opened()
    world.passes(hours=11)  # past midnight in UTC, not in New York
    world.stripe.pays(session, minor=9000, currency="EUR")
    world.deliver(world.stripe.events[:1])
    world.stripe.learns_fee(session, 300, "EUR")
    world.deliver()
    assert (booked(world)["payment_date"], booked(world)["fee"]) == ("2026-11-20", "3.00")


def test_a_refund_of_money_for_an_unknown_invoice_is_booked_below_it() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.directus.table("invoices").clear()
    world.stripe.pays(session)
    world.stripe.refunds_payment(session, 3000)
    world.deliver()
    assert (booked(world)["invoice"], booked(world)["amount_refunded"]) == (None, "30.00")


@pytest.mark.parametrize(("status", "balance"), [("void", "-70.00"), ("draft", "100.00")])
def test_a_refund_on_an_invoice_that_is_void_or_a_draft_again_is_booked(status: str, balance: str) -> None:
    world, session = paid()
    world.stored().update(status=status, **({"balance_due": "100.00"} if status == "draft" else {}))
    world.stripe.refunds_payment(session, 3000)
    world.deliver()
    assert (world.stored()["status"], world.stored()["balance_due"]) == (status, balance)
    assert booked(world)["amount_refunded"] == "30.00"
    assert len(world.directus.table("refunds")) == 1


def test_money_that_is_refunded_while_the_invoice_is_a_draft_counts_when_it_is_sent() -> None:
    world, session = paid()
    world.stored()["status"] = "draft"
    world.stripe.refunds_payment(session, 3000)
    world.deliver()
    world.stored()["status"] = "sent"
    world.recompute()
    assert totals(world) == ("partially_paid", "70.00", "30.00")


def test_what_cannot_be_read_below_a_draft_is_not_added_up() -> None:
    world, session = paid()
    world.stripe.refunds_payment(session, 3000)
    world.deliver()
    world.stored()["status"] = "draft"
    (refund,) = world.directus.table("refunds").values()
    refund["amount"] = "thirty"
    world.recompute()
    assert booked(world)["amount_refunded"] == "30.00", "what it said while it could be read stays"


def test_a_refund_follows_its_payment_to_the_invoice_staff_assigned_it_to() -> None:
    world, session = unapplied()
    world.invoice("90.00", id=SECOND, currency="EUR")
    booked(world).update(invoice=SECOND, client=CLIENT)
    world.recompute(SECOND)
    world.stripe.refunds_payment(session, 4000)
    for event in world.stripe.events:
        world.apply_event(event)
        assert {group for _, group, _ in world.queue.sent} == {SECOND}
    world.drain()
    assert totals(world, SECOND) == ("partially_paid", "50.00", "40.00")
    assert totals(world) == ("sent", "0.00", "100.00")
    assert len(world.directus.table("refunds")) == 1


def test_a_refund_booked_while_the_payment_was_unapplied_counts_once_it_is_assigned() -> None:
    world, session = unapplied()
    world.stripe.refunds_payment(session, 4000)
    world.deliver()
    world.invoice("90.00", id=SECOND, currency="EUR")
    booked(world).update(invoice=SECOND, client=CLIENT)
    world.recompute(SECOND)
    assert totals(world, SECOND) == ("partially_paid", "50.00", "40.00")
    world.deliver()
    assert totals(world, SECOND) == ("partially_paid", "50.00", "40.00")


def test_a_refund_is_booked_though_the_totals_do_not_add_up() -> None:
    world, session = paid()
    world.stored().update(sent_at=None, total="99.00")
    world.stripe.refunds_payment(session, 3000)
    world.deliver()
    assert booked(world)["amount_refunded"] == "30.00"
    assert len(world.directus.table("refunds")) == 1
    world.stored().update(total="100.00")
    world.recompute()
    assert totals(world) == ("partially_paid", "70.00", "30.00")


# ---- disputes -------------------------------------------------------------------------------------------


def test_an_open_dispute_is_flagged_and_changes_no_balance() -> None:
    world, session = paid()
    name = world.stripe.disputes_payment(session)
    world.deliver()
    (row,) = world.directus.table("payment_disputes").values()
    assert (row["stripe_dispute"], row["amount"], row["status"], row["closed_at"]) == (name, "100.00", "needs_response", None)  # fmt: skip
    assert totals(world) == ("paid", "100.00", "0.00")


@pytest.mark.parametrize(("outcome", "after"), [("won", ("paid", "100.00", "0.00")), ("lost", ("sent", "0.00", "100.00"))])  # fmt: skip
def test_a_dispute_that_is_lost_reopens_the_invoice_and_one_that_is_won_does_not(
    outcome: str, after: tuple[str, str, str]
) -> None:
    world, session = paid()
    name = world.stripe.disputes_payment(session)
    world.deliver()
    world.passes(days=20)
    world.stripe.dispute_becomes(name, outcome)
    world.deliver()
    assert totals(world) == after
    (row,) = world.directus.table("payment_disputes").values()
    assert (row["status"], row["closed_at"]) == (outcome, world.now().isoformat())
    world.passes(days=1)
    world.invoice_writer.sync_session(session)
    (again,) = world.directus.table("payment_disputes").values()
    assert again == row, "the day it was closed stays"


def test_a_dispute_of_a_part_takes_that_part() -> None:
    world, session = paid()
    name = world.stripe.disputes_payment(session, 4000)
    world.stripe.dispute_becomes(name, "lost", minor=2500)
    world.deliver()
    assert booked(world)["amount_disputed_lost"] == "25.00"
    assert totals(world) == ("partially_paid", "75.00", "25.00")


def test_an_inquiry_that_is_closed_takes_nothing() -> None:
    world, session = paid()
    name = world.stripe.disputes_payment(session, status="warning_needs_response")
    world.deliver()
    world.stripe.dispute_becomes(name, "warning_under_review")
    world.stripe.dispute_becomes(name, "warning_closed")
    world.deliver()
    (row,) = world.directus.table("payment_disputes").values()
    assert row["status"] == "warning_closed"
    assert row["closed_at"] is not None
    assert totals(world) == ("paid", "100.00", "0.00")


def test_an_appeal_gives_nothing_back_until_it_is_won() -> None:
    world, session = paid()
    name = world.stripe.disputes_payment(session)
    seen = []
    for status in ("lost", "appeal_needs_response", "appeal_under_review", "won"):
        world.stripe.dispute_becomes(name, status)
        world.deliver()
        seen.append(totals(world)[1])
    assert seen == ["0.00", "0.00", "0.00", "100.00"]


def test_a_dispute_and_a_refund_over_more_than_the_payment_take_no_more_than_it() -> None:
    world, session = paid("40.00")
    world.payment("60.00")
    world.stripe.refunds_payment(session, 3000)
    world.stripe.dispute_becomes(world.stripe.disputes_payment(session), "lost")
    world.deliver()
    row = booked_through_stripe(world)
    assert (row["amount_refunded"], row["amount_disputed_lost"]) == ("30.00", "40.00")
    assert totals(world) == ("partially_paid", "60.00", "40.00")


# ---- thin events ----------------------------------------------------------------------------------------


def test_thin_events_about_refunds_disputes_and_warnings_are_booked_as_snapshots_are() -> None:
    world, session = paid()
    world.stripe.refunds_payment(session, 3000)
    world.stripe.disputes_payment(session, 1000, status="lost")
    thin = [replace(event, invoice=None, deployment=None) for event in world.stripe.events]
    world.deliver(thin)
    assert totals(world) == ("partially_paid", "60.00", "40.00")


# ---- what was booked meanwhile ----------------------------------------------------------------------------


def test_an_unapplied_payment_that_was_booked_meanwhile_still_gets_its_refund() -> None:
    """Another worker's write of the payment alone is not the whole of what was to be booked."""

    world, session = opened()
    intent = world.stripe.pays(session, minor=9000, currency="EUR")
    world.stripe.refunds_payment(session, 4000)
    world.steps.before_next["POST payments"] = lambda: world.payment(
        "90.00", invoice=None, client=None, currency="EUR", transaction_id=intent, method="card"
    )
    try:
        world.deliver(world.stripe.events[:1])
    except UpstreamUnavailable:
        world.deliver(world.stripe.events[:1])
    assert not world.steps.before_next, "it was booked meanwhile"
    assert len(world.payments(status="succeeded")) == 1
    assert booked(world)["amount_refunded"] == "40.00"
    assert len(world.directus.table("refunds")) == 1


@pytest.mark.parametrize("collection", ["refunds", "payment_disputes"])
@pytest.mark.parametrize(
    "where", ["another invoice's payment", "another payment of the invoice", "nowhere readable"]
)
def test_a_row_that_somebody_moved_or_spoiled_does_not_stop_the_invoices_queue(
    collection: str, where: str
) -> None:
    world, session = paid("40.00")
    if collection == "refunds":
        name = world.stripe.refunds_payment(session, 1000)
    else:
        name = world.stripe.disputes_payment(session, 1000, status="lost")
    world.deliver()
    (row,) = world.directus.table(collection).values()
    if where == "nowhere readable":
        row["currency"] = "EUR"
    else:
        invoice = INVOICE if "of the invoice" in where else SECOND
        world.invoice("90.00", id=SECOND)
        row["payment"] = world.payment("10.00", invoice=invoice)["id"]
    world.flags.clear()
    world.stripe.refunds_payment(session, 500)
    world.deliver()
    assert all(row["status"] == "done" for row in world.directus.table("stripe_events").values())
    assert len([row for row in world.directus.table("refunds").values() if row["amount"] == "5.00"]) == 1
    assert any(name in sentence for sentence, _ in world.flags), "a person is told"
    assert row in world.directus.table(collection).values(), "what somebody wrote stays"


def test_a_refund_that_was_booked_meanwhile_is_read_again() -> None:
    world, session = paid()
    name = world.stripe.refunds_payment(session, 3000)
    world.steps.before_next["PATCH invoices"] = lambda: world.directus.put(
        "refunds", payment=booked(world)["id"], stripe_refund=name, amount="30.00", currency="USD", status="succeeded"
    )  # fmt: skip
    with pytest.raises(UpstreamUnavailable):
        world.deliver(world.stripe.events[:1])
    world.queue.sent.clear()
    world.deliver()
    assert len(world.directus.table("refunds")) == 1
    assert totals(world) == ("partially_paid", "70.00", "30.00")
