"""Refunds, disputes and warnings: whatever Stripe takes back, in whatever order, the rows say the same, once."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.core.event_types import Subject
from billing.core.webhook import StripeEvent
from billing.errors import UpstreamUnavailable
from tests.unit.fakes.steps import Crash, crash
from tests.unit.fakes.world import CLIENT, INVOICE, World, opened

SECOND = "a2000000-0000-4000-8000-000000000002"
REFUND_COLUMNS = ("stripe_refund", "amount", "currency", "status", "reason")
DISPUTE_COLUMNS = ("stripe_dispute", "amount", "currency", "status", "reason")
PAYMENT_COLUMNS = (
    "transaction_id", "checkout_session", "amount", "currency", "status", "open_claim", "invoice", "client",
    "amount_refunded", "amount_disputed_lost", "note", "payment_date",
)  # fmt: skip


def rows(world: World, collection: str, names: Sequence[str]) -> list[dict[str, Any]]:
    found = world.directus.table(collection).values()
    return sorted(({name: row[name] for name in names} for row in found), key=str)


def summary(world: World) -> dict[str, Any]:
    """Everything that must depend on Stripe and nothing else."""
    of = {row["id"]: row["transaction_id"] for row in world.payments()}
    return {
        "invoice": {name: world.stored()[name] for name in ("status", "amount_paid", "balance_due")},
        "payments": [
            # null and nothing are the same where a column is derived
            {
                **row,
                "amount_refunded": row["amount_refunded"] or "0.00",
                "amount_disputed_lost": row["amount_disputed_lost"] or "0.00",
            }
            for row in rows(world, "payments", PAYMENT_COLUMNS)
        ],
        "refunds": rows(world, "refunds", REFUND_COLUMNS),
        "disputes": rows(world, "payment_disputes", DISPUTE_COLUMNS),
        "below": sorted(
            str(of[row["payment"]])
            for collection in ("refunds", "payment_disputes")
            for row in world.directus.table(collection).values()
        ),
    }


def paid(amount: str | None = None) -> tuple[World, str]:
    """An invoice over 100.00 whose payment is booked; Stripe's events are forgotten."""
    world, session = opened(amount)
    world.stripe.pays(session)
    world.deliver()
    world.stripe.events.clear()
    return world, session


def unapplied() -> tuple[World, str]:
    """90.00 EUR were paid for an invoice in dollars, and are booked below no invoice."""
    world, session = opened()
    world.stripe.pays(session, minor=9000, currency="EUR")
    world.deliver()
    world.stripe.events.clear()
    return world, session


def booked(world: World) -> dict[str, Any]:
    """The only payment that succeeded."""
    (row,) = world.payments(status="succeeded")
    return row


def totals(world: World, invoice: str = INVOICE) -> tuple[str, str, str]:
    row = world.stored(invoice)
    return row["status"], row["amount_paid"], row["balance_due"]


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
    kinds = [event.type for event in world.stripe.events]
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
    (created,) = [event for event in world.stripe.events if event.type == "refund.created"]
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
    world.keep_invoice.sync_session(session)
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
    world.keep_invoice.sync_session(session)
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


def booked_through_stripe(world: World) -> dict[str, Any]:
    (row,) = [row for row in world.payments(status="succeeded") if row["transaction_id"]]
    return row


# ---- any order, any repetition, any crash -----------------------------------------------------------------


def a_refund_fails_later(world: World, session: str) -> None:
    world.stripe.pays(session)
    name = world.stripe.refunds_payment(session, 3000, status="pending")
    world.stripe.refund_becomes(name, "failed")


def a_dispute_is_lost(world: World, session: str) -> None:
    world.stripe.pays(session)
    world.stripe.dispute_becomes(world.stripe.disputes_payment(session, 6000), "lost")


def another_currency_is_refunded(world: World, session: str) -> None:
    world.stripe.pays(session, minor=9000, currency="EUR")
    world.stripe.refunds_payment(session, 4000)
    world.stripe.learns_fee(session, 300, "EUR")


def a_bank_debit_is_refunded(world: World, session: str) -> None:
    world.stripe.debits(session)
    world.stripe.settles(session, succeeds=True)
    world.stripe.refunds_payment(session, 2500, status="pending")


def two_refunds_and_a_lost_dispute(world: World, session: str) -> None:
    world.stripe.pays(session)
    world.stripe.refunds_payment(session, 3000)
    world.stripe.refunds_payment(session, 2000)
    world.stripe.dispute_becomes(world.stripe.disputes_payment(session, 9000), "lost")


def a_bank_debit_outlives_its_invoices_currency(world: World, session: str) -> None:
    world.stripe.debits(session)
    world.deliver()
    world.stripe.events.clear()
    world.stored()["currency"] = "EUR"
    world.stripe.settles(session, succeeds=True)
    world.stripe.refunds_payment(session, 2500)


type Story = Callable[[World, str], None]
STORIES: list[Story] = [
    a_refund_fails_later, a_dispute_is_lost, another_currency_is_refunded, a_bank_debit_is_refunded,
]  # fmt: skip


def told(story: Story) -> World:
    """The story has happened at Stripe, in the night of the firm; nothing was delivered yet."""
    world, session = opened()
    world.passes(hours=11)
    world.stripe.events.clear()
    story(world, session)
    return world


def expected(story: Story) -> dict[str, Any]:
    world = told(story)
    world.deliver()
    return summary(world)


@pytest.mark.parametrize("story", STORIES)
def test_every_order_of_a_payments_events_gives_the_same_rows(story: Story) -> None:
    calm = expected(story)
    number = len(told(story).stripe.events)
    assert 4 <= number <= 6
    for order in itertools.permutations(range(number)):
        world = told(story)
        world.deliver([world.stripe.events[position] for position in order])
        assert summary(world) == calm, order


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_events_doubled_lost_and_shuffled_give_the_same_rows_after_one_sync(data: st.DataObject) -> None:
    world = told(two_refunds_and_a_lost_dispute)
    some = data.draw(st.lists(st.sampled_from(world.stripe.events), max_size=14))
    world.deliver(some)
    (session,) = world.stripe.sessions
    world.keep_invoice.sync_session(session)
    assert summary(world) == expected(two_refunds_and_a_lost_dispute)


@pytest.mark.parametrize(
    "story", [*STORIES, two_refunds_and_a_lost_dispute, a_bank_debit_outlives_its_invoices_currency]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_any_step_and_a_redelivery_give_the_same_rows(story: Story, when: str) -> None:
    calm = expected(story)
    number = 0
    while True:
        world = told(story)
        world.steps.reset()
        (world.steps.before if when == "before" else world.steps.after)[number] = crash
        try:
            world.deliver()
        except Crash:
            world.deliver()
            assert summary(world) == calm, (number, world.steps.names)
        else:
            break
        number += 1
    assert number > 20, "no step was left out"


@pytest.mark.parametrize("story", STORIES)
def test_stripe_or_directus_away_at_any_step_leaves_the_event_to_be_delivered_again(story: Story) -> None:
    def away() -> None:
        message = "Directus or Stripe cannot be reached."
        raise UpstreamUnavailable(message)

    calm, number, failed = expected(story), 0, 0
    while True:
        world = told(story)
        world.steps.reset()
        world.steps.before[number] = away
        try:
            world.deliver()
        except UpstreamUnavailable:
            failed += 1
            world.deliver()
        assert summary(world) == calm, number
        if number >= len(world.steps.names):
            break
        number += 1
    assert failed > 20


def test_staff_may_look_between_any_two_events_of_a_refund() -> None:
    """A recompute in between, with rows half told, never leaves anything behind."""
    world = told(two_refunds_and_a_lost_dispute)
    for event in list(world.stripe.events):
        world.deliver([event])
        before = summary(world)
        world.recompute()
        assert summary(world) == before
    assert before == expected(two_refunds_and_a_lost_dispute)


# ---- warnings and reviews -------------------------------------------------------------------------------

WARNINGS = [
    ("radar.early_fraud_warning.created", Subject.EARLY_FRAUD_WARNING, "issfr_1", "suspects fraud"),
    ("review.opened", Subject.REVIEW, "prv_1", "asks for a review"),
    ("review.closed", Subject.REVIEW, "prv_1", "is closed"),
]


def warned(world: World, session: str, warning: tuple[str, Subject, str, str], event: str) -> StripeEvent:
    kind, subject, name, _ = warning
    intent = world.stripe.sessions[session].payment_intent
    assert intent is not None
    world.stripe.hangs(subject, name, intent.metadata, intent.id)
    return StripeEvent(event, kind, name, "x", False)


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_warning_is_written_on_its_payment_once(warning: tuple[str, Subject, str, str]) -> None:
    world, session = paid()
    booked(world)["note"] = "Written by staff."
    for event in ("evt_w1", "evt_w2", "evt_w1"):
        world.deliver([warned(world, session, warning, event)])
    staff, sentence = booked(world)["note"].splitlines()
    assert staff == "Written by staff."
    assert warning[2] in sentence
    assert warning[3] in sentence
    assert [flag for flag, _ in world.flags] == [sentence]
    assert totals(world) == ("paid", "100.00", "0.00")


def test_a_review_that_is_opened_and_closed_leaves_both_sentences() -> None:
    world, session = paid()
    for number, warning in enumerate(WARNINGS[1:]):
        world.deliver([warned(world, session, warning, f"evt_r{number}")])
    assert len(booked(world)["note"].splitlines()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_any_step_of_a_warning_leaves_one_sentence(when: str) -> None:
    number = 0
    while True:
        world, session = paid()
        event = warned(world, session, WARNINGS[0], "evt_w")
        world.steps.reset()
        (world.steps.before if when == "before" else world.steps.after)[number] = crash
        try:
            world.deliver([event])
        except Crash:
            world.deliver([event])
        else:
            break
        assert len(booked(world)["note"].splitlines()) == 1
        number += 1
    assert number >= 5


def test_a_warning_that_comes_before_its_payment_was_booked_is_written_on_it() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver([warned(world, session, WARNINGS[0], "evt_w")])
    assert booked(world)["amount"] == "100.00"
    assert "suspects fraud" in booked(world)["note"]


# ---- thin events ----------------------------------------------------------------------------------------


def test_thin_events_about_refunds_disputes_and_warnings_are_booked_as_snapshots_are() -> None:
    world, session = paid()
    world.stripe.refunds_payment(session, 3000)
    world.stripe.disputes_payment(session, 1000, status="lost")
    thin = [replace(event, invoice=None, deployment=None) for event in world.stripe.events]
    world.deliver(thin)
    assert totals(world) == ("partially_paid", "60.00", "40.00")


# ---- surplus --------------------------------------------------------------------------------------------


def test_surplus_is_noted_once_and_the_note_of_staff_stays() -> None:
    world, session = opened()
    world.payment("30.00")
    world.payments(checkout_session=session)[0]["note"] = "Written by staff."
    world.stripe.pays(session)
    world.stripe.learns_fee(session, 320)
    world.deliver()
    world.deliver([replace(event, id=f"{event.id}_again") for event in world.stripe.events])
    world.recompute()
    staff, sentence = booked_through_stripe(world)["note"].splitlines()
    assert staff == "Written by staff."
    assert "30.00 USD is credit" in sentence
    assert [flag for flag, _ in world.flags].count(sentence) == 1
    assert totals(world) == ("paid", "130.00", "-30.00")


def test_what_was_refunded_before_it_was_booked_is_no_surplus() -> None:
    world, session = opened()
    world.payment("100.00")
    world.stripe.pays(session)
    world.stripe.refunds_payment(session)
    world.deliver()
    assert booked_through_stripe(world)["note"] is None
    assert totals(world) == ("paid", "100.00", "0.00")


# ---- sessions without a claim, claims without a session ---------------------------------------------------


def test_an_open_session_that_nothing_claims_is_expired() -> None:
    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    assert world.keep_invoice.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"
    assert len(world.flags) == 1


def test_an_open_session_whose_row_is_gone_is_expired() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.keep_invoice.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"


def test_an_unclaimed_session_that_is_paid_before_it_can_be_expired_is_booked() -> None:
    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    world.steps.reset()
    world.keep_invoice.sync_session(session)
    expire = world.steps.names.index("expire session")

    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    world.steps.reset()
    world.steps.before[expire] = lambda: world.stripe.pays(session)
    world.keep_invoice.sync_session(session)
    assert totals(world) == ("paid", "100.00", "0.00")


def test_an_open_session_that_is_claimed_stays_open() -> None:
    world, session = opened()
    world.keep_invoice.sync_session(session)
    assert world.stripe.sessions[session].is_open
    assert world.payments()[0]["open_claim"] == INVOICE


def test_a_claim_whose_maker_died_gets_its_session() -> None:
    world, session = opened()
    world.payments()[0]["checkout_session"] = None
    world.keep_invoice.sync_session(session)
    row = world.payments()[0]
    assert (row["checkout_session"], row["open_claim"], row["status"]) == (session, INVOICE, "pending")
    assert world.stripe.sessions[session].is_open
    assert world.pay().checkout_session == session


@pytest.mark.parametrize("change", ["void", "canceled", "wire"])
def test_a_session_found_for_a_claim_that_no_longer_fits_is_expired_at_once(change: str) -> None:
    """Nobody was told of the session: nobody asked for the look that follows every opening."""
    world, session = opened()
    world.payments()[0]["checkout_session"] = None
    match change:
        case "void":
            world.stored()["status"] = "void"
        case "canceled":
            world.payments()[0]["status"] = "canceled"
        case _:
            world.payment("50.00")
    world.keep_invoice.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"
    (attempt,) = world.payments(checkout_session=session)
    assert (attempt["open_claim"], attempt["status"]) == (None, "canceled")


# ---- bank debits ----------------------------------------------------------------------------------------


def test_a_bank_debit_without_a_row_gets_one_that_holds_the_invoice() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.stripe.debits(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"], row["client"], row["amount"]) == ("processing", INVOICE, CLIENT, "100.00")  # fmt: skip
    assert "bank debit is under way" in row["note"]
    assert totals(world) == ("sent", "0.00", "100.00")
    assert world.flags


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_bank_debit_without_a_row_ends_on_the_row_it_got(succeeds: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    world, session = opened()
    world.directus.table("payments").clear()
    world.stripe.debits(session)
    world.deliver()
    world.stripe.settles(session, succeeds=succeeds)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"]) == ("succeeded" if succeeds else "failed", None)
    assert totals(world)[0] == ("paid" if succeeds else "sent")


def test_a_bank_debit_through_an_older_session_leaves_the_newer_claim_where_it_is() -> None:
    world, first = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    second = world.pay().checkout_session
    world.drain()
    world.stripe.debits(first)
    world.deliver([event for event in world.stripe.events if event.object_id != second])
    (row,) = world.payments(checkout_session=first)
    assert (row["status"], row["open_claim"]) == ("processing", None)
    assert len(world.payments(open_claim=INVOICE)) <= 1


@pytest.mark.parametrize("change", ["the invoice is gone", "the invoice's currency changed"])
def test_a_bank_debit_that_no_invoice_can_take_any_more_is_unapplied_and_never_lost(change: str) -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    if change == "the invoice is gone":
        world.payments()[0]["invoice"] = None
    else:
        world.stored()["currency"] = "EUR"
    world.stripe.settles(session, succeeds=True)
    for _ in range(2):
        world.deliver()
    row = booked(world)
    assert (row["amount"], row["currency"], row["invoice"], row["client"]) == ("100.00", "USD", None, None)
    (attempt,) = world.payments(checkout_session=session)
    assert (attempt["status"], attempt["open_claim"], attempt["transaction_id"]) == ("canceled", None, None)


# ---- claims that are left -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["recompute", "event"])
def test_a_claim_left_on_a_payment_that_succeeded_is_freed(how: str) -> None:
    world, session = paid("40.00")
    booked(world)["open_claim"] = INVOICE
    if how == "recompute":
        world.recompute()
    else:
        world.stripe.learns_fee(session, 320)
        world.deliver()
    assert booked(world)["open_claim"] is None
    assert world.pay().checkout_session != session


def test_a_claim_left_on_a_payment_that_failed_is_freed_and_its_session_is_not_left_payable() -> None:
    world, session = opened()
    world.payments()[0]["status"] = "failed"
    world.recompute()
    assert world.payments()[0]["open_claim"] is None
    assert world.stripe.sessions[session].status == "expired"


# ---- what was booked meanwhile ----------------------------------------------------------------------------


def test_an_unapplied_payment_that_was_booked_meanwhile_still_gets_its_refund() -> None:
    """Another worker's write of the payment alone is not the whole of what was to be booked."""

    def story() -> tuple[World, str]:
        world, session = opened()
        intent = world.stripe.pays(session, minor=9000, currency="EUR")
        world.stripe.refunds_payment(session, 4000)
        world.steps.reset()
        return world, intent

    world, _ = story()
    world.deliver(world.stripe.events[:1])
    create = world.steps.names.index("POST payments")
    world, intent = story()
    world.steps.before[create] = lambda: world.payment(
        "90.00", invoice=None, client=None, currency="EUR", transaction_id=intent, method="card"
    )
    try:
        world.deliver(world.stripe.events[:1])
    except UpstreamUnavailable:
        world.deliver(world.stripe.events[:1])
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
    world.steps.reset()
    world.deliver(world.stripe.events[:1])
    patch = world.steps.names.index("PATCH invoices")

    world, session = paid()
    assert world.stripe.refunds_payment(session, 3000) == name
    world.steps.reset()
    world.steps.before[patch] = lambda: world.directus.put(
        "refunds", payment=booked(world)["id"], stripe_refund=name, amount="30.00", currency="USD", status="succeeded"
    )  # fmt: skip
    with pytest.raises(UpstreamUnavailable):
        world.deliver(world.stripe.events[:1])
    world.queue.sent.clear()
    world.deliver()
    assert len(world.directus.table("refunds")) == 1
    assert totals(world) == ("partially_paid", "70.00", "30.00")
