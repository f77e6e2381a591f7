"""One payment is told many times at once: one row, one amount, whatever keeps the order of the queue or does not."""

import functools

import pytest

from billing.messages import SyncSession
from tests.integration.payments.at_once import at_once, shuffled
from tests.integration.payments.books import amount_paid, audit
from tests.integration.payments.fifo_queue import FifoQueue
from tests.integration.payments.firm import Firm, only
from tests.integration.payments.happenings import session_without_checkout, telling
from tests.integration.payments.sizes import SIZES


def paid_session(firm: Firm, invoice: str) -> tuple[str, list[str]]:
    """A session of the invoice that was opened through checkout and paid; the events that tell of it."""
    status, body = firm.checkout(invoice)
    assert status == 200, body
    firm.drain()
    return body["checkout_session"], firm.client_pays(body["checkout_session"])["events"]


def test_one_event_delivered_many_times_at_once_is_one_payment(firm: Firm) -> None:
    invoice = firm.invoice("450.00", "50.00")
    _, events = paid_session(firm, invoice)
    deliveries = [
        functools.partial(firm.receive, raw) for raw in firm.raw_events(*events) for _ in range(SIZES.at_once)
    ]
    assert set(at_once(shuffled(deliveries, seed=1))) == {200}
    firm.drain(workers=4)
    audit(firm, invoice)
    assert only(firm.rows("payments", invoice))["status"] == "succeeded"
    assert firm.stored(invoice)["status"] == "paid"


@pytest.mark.parametrize("opened_by", ["checkout", "nobody we know"])
def test_without_the_queues_order_a_loser_changes_nothing_or_tries_again(firm: Firm, opened_by: str) -> None:
    """The unique columns alone hold: many workers apply the same session side by side."""
    invoice = firm.invoice("500.00")
    if opened_by == "checkout":
        session, events = paid_session(firm, invoice)
    else:
        session = session_without_checkout(firm, invoice, 50000)
        events = firm.client_pays(session)["events"]
    firm.queue = FifoQueue(protected=False)
    (completed,) = firm.raw_events(events[-1])
    for _ in range(SIZES.at_once):
        assert firm.receive(completed) == 200
        firm.queue.send(SyncSession(session, invoice))
    firm.drain(workers=SIZES.at_once)
    audit(firm, invoice)
    row = only(firm.rows("payments", invoice))
    assert (row["status"], row["checkout_session"], row["open_claim"]) == ("succeeded", session, None)
    assert firm.stored(invoice)["status"] == "paid"


def test_every_event_of_a_bank_debit_in_any_order_by_many_workers_at_once(firm: Firm) -> None:
    invoice = firm.invoice("500.00")
    status, body = firm.checkout(invoice)
    assert status == 200
    begun = firm.client_pays(body["checkout_session"], method="us_bank_account")
    settled = firm.simulator.control(f"payment_intents/{begun['payment_intent']}/settle", outcome="succeed")
    raws = firm.raw_events(*begun["events"], *settled["events"]) * 2
    firm.queue = FifoQueue(protected=False)
    for raw in shuffled(raws, seed=2):
        assert firm.receive(raw) == 200
    firm.drain(workers=8)
    audit(firm, invoice)
    row = only(firm.rows("payments", invoice))
    assert (row["status"], row["method"]) == ("succeeded", "us_bank_account")


@pytest.mark.parametrize("names_the_attempt", [True, False] if SIZES.exhaustive else [True])
def test_two_sessions_of_one_invoice_both_paid_are_two_rows_and_a_credit(
    firm: Firm, *, names_the_attempt: bool
) -> None:
    invoice = firm.invoice("500.00")
    status, body = firm.checkout(invoice)
    assert status == 200
    firm.drain()
    metadata = {"directus_payment": only(firm.rows("payments", invoice))["id"]} if names_the_attempt else {}
    second = session_without_checkout(firm, invoice, 50000, **metadata)
    at_once([functools.partial(firm.client_pays, session) for session in (body["checkout_session"], second)])
    events = telling(firm)
    assert set(at_once([functools.partial(firm.receive, raw) for raw in shuffled(events, seed=3)])) == {200}
    firm.drain(workers=4)
    audit(firm, invoice)
    rows = firm.rows("payments", invoice, status="succeeded")
    assert {row["checkout_session"] for row in rows} == {body["checkout_session"], second}
    assert (str(amount_paid(firm, invoice)), firm.stored(invoice)["status"]) == ("1000.00", "paid")
    assert firm.flags, "staff are told of the surplus"
