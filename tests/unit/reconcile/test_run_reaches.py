"""What a run must not pass over: states that can still change, rows in odd states, long lists, places that are gone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from billing.directus.client import DirectusClient
from billing.ids import CHUNK
from billing.payments.reversals import REFUND_STATUSES
from billing.reconcile.phases import PAGE
from billing.reconcile.reconcile import RESERVE_SECONDS
from billing.reconcile.store import ReconcileRows
from billing.stripe.objects import StripeRefund
from billing.stripe.parsing import read
from tests.fakes.directus import FixedToken
from tests.unit.reconcile.house import House, kinds
from tests.unit.reconcile.payments import balance_of, paid


@pytest.mark.parametrize("before", ["pending", "requires_action"])
@pytest.mark.parametrize("after", ["succeeded", "failed"])
def test_an_old_refund_that_waited_is_followed_to_its_end(before: str, after: str) -> None:
    house, session = paid()
    refund = house.stripe.refunds_payment(session, 2500, status=before)
    house.deliver()
    house.passes(days=20)
    house.stripe.refund_becomes(refund, after)
    house.drop_webhooks()
    report = house.run()
    assert (kinds(report.repaired), report.money_repaired) == (["refund_differs"], 1)
    house.work_off()
    (row,) = house.directus.table("refunds").values()
    assert (row["status"], balance_of(house)) == (after, Decimal(25 if after == "succeeded" else 0))


def test_a_dispute_that_was_lost_unseen_is_money_that_no_webhook_brought() -> None:
    house, session = paid()
    dispute = house.stripe.disputes_payment(session, 4000)
    house.deliver()
    house.passes(days=60)
    house.stripe.dispute_becomes(dispute, "lost")
    house.drop_webhooks()
    report = house.run()
    assert (kinds(report.repaired), report.money_repaired) == (["dispute_differs"], 1)
    house.work_off()
    assert balance_of(house) == Decimal(40)


@pytest.mark.parametrize("mark", ["sent_at", "voided_at"])
def test_an_invoice_that_somebody_set_back_to_draft_is_looked_at(mark: str) -> None:
    house = House()
    house.invoice("100.00", status="draft", sent=False, **{mark: "2026-11-01T10:00:00+00:00"})
    report = house.run()
    assert report.checked["invoices"] == 1
    assert report.repaired_total + report.differences_total > 0
    other = House()
    other.invoice("100.00", status="draft", sent=False)
    assert other.run().checked["invoices"] == 0


def test_a_refund_without_a_status_is_on_its_way_and_asked_about_again() -> None:
    """Stripe's own document: null on refunds that have none, of a few old methods."""
    sample = {"id": "re_1", "status": None, "amount": 100, "currency": "usd", "created": 1795339423}
    assert read(StripeRefund, sample).status == "pending"
    assert "pending" in REFUND_STATUSES


def undelivered(count: int) -> House:
    """An old firm at which so many events did not arrive."""
    house, session = paid()
    house.stripe.delivered |= {event.event for event in house.stripe.events}
    for _ in range(count):
        house.stripe.refunds_payment(session, 1)
    del house.stripe.events[-1]  # two for each refund, but for the last
    return house


def test_undelivered_events_behind_one_that_arrived_meanwhile_are_applied_too() -> None:
    house = undelivered(PAGE // 2 + 3)
    waiting = [
        event.event for event in reversed(house.stripe.events) if event.event not in house.stripe.delivered
    ]
    assert len(waiting) > PAGE
    resume = {"phase": "undelivered_events", "after": waiting[PAGE - 1]}
    house.stripe.delivered.add(waiting[PAGE - 1])
    house.run(resume=resume)
    applied = {message["event"] for message in house.queue.messages() if message["type"] == "stripe_event"}
    assert applied >= set(waiting[PAGE:])


def test_undelivered_events_go_on_behind_the_last_one() -> None:
    house = undelivered(PAGE // 2 + 3)
    waiting = [
        event.event for event in reversed(house.stripe.events) if event.event not in house.stripe.delivered
    ]
    house.run(resume={"phase": "undelivered_events", "after": waiting[PAGE - 1]})
    applied = [message["event"] for message in house.queue.messages() if message["type"] == "stripe_event"]
    assert applied == waiting[PAGE:]


def test_more_rows_than_one_request_may_name_are_all_read() -> None:
    house = House()
    keys = [f"a1000000-0000-4000-8000-{number:012}" for number in range(CHUNK + 5)]
    for key in keys:
        house.invoice("100.00", id=key, invoice_number=key)
        house.payment("1.00", id=key, invoice=key, transaction_id=f"pi_{key}", method="card")
    client = DirectusClient("http://directus", FixedToken(), house.directus.http, sleep=lambda _: None)
    rows = ReconcileRows(client)
    assert len(rows.ledgers(keys)) == len(keys)
    assert len(rows.payments(keys)) == len(keys)
    assert len(rows.payments_of_intents(f"pi_{key}" for key in keys)) == len(keys)
    assert len(rows.named_invoices(keys)) == len(keys)


def test_a_run_that_goes_on_behind_a_key_looks_at_no_key_twice() -> None:
    house = House()
    for number in range(3):
        key = f"{number}1000000-0000-4000-8000-000000000000"
        house.payment("1.00", id=key, invoice=None, client=None, method="card", transaction_id=f"pi_{number}")
    asked: list[str] = []
    event: dict[str, Any] = {}
    for _ in range(10):  # a run that stays where it is would need more
        report = house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **event)
        asked += [
            one.ids["transaction_id"] for one in report.differences if one.kind == "payment_unknown_to_stripe"
        ]
        if not report.continued:
            break
        (event,) = house.continuation.taken()
    assert not report.continued, "a run that never ends"
    assert sorted(asked) == ["pi_0", "pi_1", "pi_2"]
    assert report.checked["payments"] == 3
