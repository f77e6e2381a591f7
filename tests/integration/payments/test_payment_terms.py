"""An invoice that is sent without dates, on the real Directus: dated, due, printed, marked and reminded of by its terms."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.documents.invoice import print_invoice
from billing.documents.store import DocumentRecords
from billing.documents.versions import InvoiceRecord
from billing.reminders.policy import Remind, ReminderCase, Skip, becomes_overdue, decide
from billing.reminders.store import DirectusReminderCases, read_policy
from tests.integration.payments.firm import Firm

NEW_YORK = ZoneInfo("America/New_York")
TERMS = 21


@pytest.fixture
def firm_with_terms(firm: Firm) -> Iterator[Firm]:
    firm.admin.call("PATCH", "/items/firm", {"payment_terms_days": TERMS})
    yield firm
    firm.admin.call("PATCH", "/items/firm", {"payment_terms_days": 30})


def sent(firm: Firm, **dates: Any) -> dict[str, Any]:
    """Sofia sends a draft; the flow tells, and the writer works."""
    nothing = dict.fromkeys(("sent_at", "subtotal", "tax", "total", "amount_paid", "balance_due"))
    invoice = firm.invoice(
        "60.00", "40.00", **nothing, status="draft", pdf_status="none", documents=[], **dates
    )
    firm.staff.call("PATCH", f"/items/invoices/{invoice}", {"status": "sent"})
    firm.changed(invoices=[invoice])
    firm.drain()
    assert firm.failures == []
    return firm.stored(invoice)


def today() -> date:
    return datetime.now(NEW_YORK).date()


def test_an_invoice_without_dates_is_dated_due_printed_marked_and_reminded_of_by_the_firms_terms(
    firm_with_terms: Firm,
) -> None:
    firm = firm_with_terms
    before = today()
    row = sent(firm)
    issued, due = (date.fromisoformat(row[name][:10]) for name in ("issue_date", "due_date"))
    assert before <= issued <= today()
    assert due == issued + timedelta(days=TERMS)
    assert row["status"] == "sent"
    orders = [message for message in firm.rendering.messages if message["type"] == "invoice"]
    assert orders == [{"type": "invoice", "invoice": row["id"], "force": False}]
    printed = as_printed(firm, row["id"])
    assert (printed.issue_date, printed.due_date) == (issued, due)
    case = reminder_case(firm, row["id"], due + timedelta(days=1))
    noon_after = datetime.combine(due + timedelta(days=1), time(12), NEW_YORK)
    assert becomes_overdue(case, noon_after)
    decision = decide(case, read_policy(), noon_after)
    assert isinstance(decision, Remind)
    assert decision.due_date == due
    assert isinstance(decide(case, read_policy(), noon_after - timedelta(days=1)), Skip)
    firm.queue.recompute([row["id"]], as_of=noon_after)
    firm.drain()
    assert firm.stored(row["id"])["status"] == "overdue"


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({"issue_date": "2026-02-10"}, "2026-03-03"),
        ({"issue_date": "2026-02-10", "due_date": "2026-02-12"}, "2026-02-12"),
        ({"issue_date": "2999-12-20"}, None),
    ],
)
def test_dates_that_are_given_stay_and_decide(
    firm_with_terms: Firm, given: dict[str, str], due: str | None
) -> None:
    row = sent(firm_with_terms, **given)
    assert (row["issue_date"], row["due_date"]) == (given["issue_date"], due)
    assert row["status"] == ("sent" if due is None else "overdue")


def test_without_terms_an_invoice_is_dated_and_never_due(firm_with_terms: Firm) -> None:
    firm_with_terms.admin.call("PATCH", "/items/firm", {"payment_terms_days": None})
    row = sent(firm_with_terms)
    assert row["issue_date"] is not None
    assert row["due_date"] is None


def test_staff_who_empty_the_due_date_of_a_sent_invoice_are_not_overruled(firm_with_terms: Firm) -> None:
    firm = firm_with_terms
    invoice = sent(firm)["id"]
    firm.staff.call("PATCH", f"/items/invoices/{invoice}", {"due_date": None})
    firm.changed(invoices=[invoice])
    firm.drain()
    assert firm.stored(invoice)["due_date"] is None


def test_an_invoice_that_is_imported_as_sent_gets_no_date(firm_with_terms: Firm) -> None:
    firm = firm_with_terms
    invoice = firm.invoice("100.00")
    firm.changed(invoices=[invoice])
    firm.drain()
    row = firm.stored(invoice)
    assert (row["issue_date"], row["due_date"], row["status"]) == (None, None, "sent")


def as_printed(firm: Firm, invoice: str) -> Any:
    record = DocumentRecords(firm.directus_client()).invoice(invoice)
    assert isinstance(record, InvoiceRecord)
    sent_at = record.facts.ledger.sent_at
    assert sent_at is not None
    return print_invoice(
        invoice=record.facts,
        sent_at=sent_at,
        firm=record.firm,
        client=record.client,
        lines=record.lines,
        payments=(),
    )


def reminder_case(firm: Firm, invoice: str, day: date) -> ReminderCase:
    """As the planner of that day reads it: it asks for what is due by then."""
    cases = DirectusReminderCases(firm.directus_client())
    assert invoice in cases.open_invoices(day)
    assert invoice not in cases.open_invoices(day - timedelta(days=3))
    (found,) = [case for page in cases.read([invoice], cases.firm()) for case in page]
    assert isinstance(found, ReminderCase)
    return found
