from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from billing.core.ledger import InvoiceStatus, LineItem, PaymentStatus
from billing.core.money import Money
from billing.core.reconciliation import (
    EventRow,
    NoticeRow,
    OpenAttempt,
    PaymentIndex,
    compare_attempt,
    compare_event,
    compare_invoice,
    compare_notice,
    compare_queue,
    compare_session,
    distinct,
    report_unapplied,
)
from billing.core.reminders import NoticeStatus
from tests.unit.reconcile.support import (
    INVOICE,
    JUST_NOW,
    LONG_AGO,
    NOW,
    PAYMENT,
    kinds,
    ledger,
    row,
    session,
    usd,
)

if TYPE_CHECKING:
    from datetime import datetime

    from billing.core.ledger import Ledger, Payment
    from billing.core.stripe_objects import CheckoutSession

PENDING, PROCESSING = PaymentStatus.PENDING, PaymentStatus.PROCESSING
FAILED, CANCELED = PaymentStatus.FAILED, PaymentStatus.CANCELED


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (session(), [row()]),
        (session(), [row(CANCELED), row(key="b", transaction_id="pi_1", checkout_session=None)]),
        (session("complete", "unpaid", intent="processing"), [row(PROCESSING, claim=True)]),
        (session("complete", "unpaid", intent="requires_payment_method"), [row(FAILED)]),
        (session("complete", "unpaid", intent="canceled"), [row(CANCELED)]),
        (session("open", "unpaid", intent=None), [row(PENDING, claim=True)]),
        (session("open", "unpaid", intent=None), [row(PENDING, claim=True, checkout_session=None)]),
        (session("expired", "unpaid", intent=None), [row(CANCELED)]),
        (session("expired", "unpaid", intent=None), []),
    ],
)
def test_stripe_and_directus_that_agree_are_no_difference(
    found: CheckoutSession, rows: list[Payment]
) -> None:
    assert compare_session(found, rows) == []


@pytest.mark.parametrize(
    ("found", "rows", "kind"),
    [
        (session(), [], "payment_missing"),
        (session(), [row(PENDING, claim=True)], "payment_missing"),
        (session(), [row(CANCELED)], "payment_missing"),
        (session(), [row(amount=usd("99.99"))], "payment_differs"),
        (session(), [row(amount=Money(10000, "EUR"))], "payment_differs"),
        (
            session("complete", "unpaid", intent="processing"),
            [row(PENDING, claim=True)],
            "payment_status_differs",
        ),
        (session("complete", "unpaid", intent="processing"), [row()], "payment_status_differs"),
        (session("complete", "unpaid", intent="processing"), [], "payment_status_differs"),
        (session("complete", "unpaid", intent="canceled"), [row(PROCESSING)], "payment_status_differs"),
        (session("open", "unpaid", intent=None), [], "session_without_attempt"),
        (session("open", "unpaid", intent=None), [row(CANCELED)], "session_without_attempt"),
        (session("expired", "unpaid", intent=None), [row(PENDING, claim=True)], "attempt_expired"),
    ],
)
def test_what_differs_is_one_difference_of_a_named_kind(
    found: CheckoutSession, rows: list[Payment], kind: str
) -> None:
    assert kinds(compare_session(found, rows)) == [kind]


def test_a_missing_payment_is_told_in_a_sentence_with_the_records_concerned() -> None:
    (difference,) = compare_session(session(), [row(PENDING, claim=True)])
    assert difference.as_json() == {
        "kind": "payment_missing",
        "payment": PAYMENT,
        "invoice": INVOICE,
        "checkout_session": "cs_1",
        "detail": "Stripe has 100.00 USD paid through session cs_1; Directus has no succeeded payment for it.",
    }


def test_an_amount_in_a_currency_no_invoice_has_is_still_reported() -> None:
    (difference,) = compare_session(session(currency="BHD"), [])
    assert "10.000 BHD" in difference.detail


def test_what_was_received_counts_not_what_was_asked_for() -> None:
    paid = session()
    assert paid.payment_intent is not None
    partly = replace(paid, payment_intent=replace(paid.payment_intent, amount_received=9000))
    assert compare_session(partly, [row(amount=usd("90.00"))]) == []


@pytest.mark.parametrize(
    "known_by",
    [
        row(key=PAYMENT, checkout_session=None),
        row(key="other", checkout_session="cs_1"),
        row(key="other", checkout_session=None, transaction_id="pi_1"),
    ],
)
def test_a_row_is_found_by_its_id_its_session_or_its_payment_intent(known_by: Payment) -> None:
    stranger = row(key="stranger", checkout_session="cs_2", transaction_id="pi_2")
    assert PaymentIndex([stranger, known_by]).of(session()) == [known_by]


@pytest.mark.parametrize(
    ("payment", "created", "expected"),
    [
        (row(PENDING, claim=True, checkout_session=None), LONG_AGO, ["attempt_without_session"]),
        (row(PENDING, claim=True, checkout_session=None), JUST_NOW, []),
        (row(PENDING, claim=True, expires_at=LONG_AGO), LONG_AGO, ["attempt_expired"]),
        (row(PENDING, claim=True, expires_at=JUST_NOW), LONG_AGO, []),
        (row(PENDING, claim=True, expires_at=NOW + timedelta(hours=1)), LONG_AGO, []),
        (row(PROCESSING, claim=True, expires_at=LONG_AGO), LONG_AGO, []),
    ],
)
def test_an_attempt_that_is_stuck_is_reported_after_a_quarter_of_an_hour(
    payment: Payment, created: datetime, expected: list[str]
) -> None:
    assert kinds(compare_attempt(OpenAttempt(payment, created), NOW)) == expected


def test_an_expired_session_seen_from_both_sides_is_one_difference() -> None:
    stuck = row(PENDING, claim=True, expires_at=LONG_AGO)
    both = [
        *compare_session(session("expired", "unpaid", intent=None), [stuck]),
        *compare_attempt(OpenAttempt(stuck, LONG_AGO), NOW),
    ]
    assert kinds(distinct(both)) == ["attempt_expired"]


def test_an_invoice_that_shows_what_its_rows_say_is_no_difference() -> None:
    assert compare_invoice(ledger(), NOW) == []


def test_every_wrong_column_of_an_invoice_is_named_with_both_values() -> None:
    (difference,) = compare_invoice(ledger(payments=[row(amount=usd("40.00"))]), NOW)
    assert difference.as_json() == {
        "kind": "invoice_differs",
        "invoice": INVOICE,
        "detail": (
            "Invoice INV-1: amount_paid shows 0.00, its rows say 40.00; balance_due shows 100.00, its rows say 60.00;"
            " status shows sent, its rows say partially_paid."
        ),
    }


def test_a_paid_invoice_without_a_payment_is_reported() -> None:
    found = ledger(InvoiceStatus.PAID, paid="100.00", balance="0.00")
    assert kinds(compare_invoice(found, NOW)) == ["invoice_differs"]


def test_a_void_invoice_owes_nothing_and_keeps_its_credit() -> None:
    paid = [row(amount=usd("30.00"))]
    good = ledger(InvoiceStatus.VOID, payments=paid, paid="30.00", balance="-30.00")
    assert compare_invoice(good, NOW) == []
    bad = ledger(InvoiceStatus.VOID, payments=paid, paid="30.00", balance="70.00")
    assert kinds(compare_invoice(bad, NOW)) == ["invoice_differs"]


@pytest.mark.parametrize("pdf_status", ["none", "pending", "failed"])
def test_a_void_invoice_needs_no_document(pdf_status: str) -> None:
    void = ledger(InvoiceStatus.VOID, paid="0.00", balance="0.00", pdf_status=pdf_status)
    assert compare_invoice(void, NOW) == []


def test_a_draft_is_nobodys_business_unless_it_was_sent() -> None:
    assert compare_invoice(ledger(InvoiceStatus.DRAFT, pdf_status="none", sent_at=None), NOW) == []
    assert kinds(compare_invoice(ledger(InvoiceStatus.DRAFT), NOW)) == ["sent_invoice_is_draft"]


@pytest.mark.parametrize("status", [PaymentStatus.SUCCEEDED, PaymentStatus.FAILED])
def test_a_claim_left_on_a_finished_payment_is_reported(status: PaymentStatus) -> None:
    paid, balance = ("100.00", "0.00") if status is PaymentStatus.SUCCEEDED else ("0.00", "100.00")
    shown = InvoiceStatus.PAID if status is PaymentStatus.SUCCEEDED else InvoiceStatus.SENT
    found = ledger(shown, payments=[row(status, claim=True)], paid=paid, balance=balance)
    assert kinds(compare_invoice(found, NOW)) == ["claim_left"]


@pytest.mark.parametrize("status", [PaymentStatus.PENDING, PaymentStatus.PROCESSING, PaymentStatus.CANCELED])
def test_an_open_attempt_and_a_request_to_cancel_hold_their_claim_rightly(status: PaymentStatus) -> None:
    assert compare_invoice(ledger(payments=[row(status, claim=True)]), NOW) == []


def test_a_claim_on_another_invoice_is_reported_with_both() -> None:
    claiming = replace(row(PaymentStatus.PENDING), open_claim="another")
    (difference,) = compare_invoice(ledger(payments=[claiming]), NOW)
    assert (difference.kind, difference.ids["invoice"], difference.ids["claimed"]) == (
        "claim_of_another",
        INVOICE,
        "another",
    )


@pytest.mark.parametrize("column", ["amount_refunded", "amount_disputed_lost"])
def test_what_went_back_is_compared_with_its_rows(column: str) -> None:
    payment = replace(row(), **{column: usd("5.00")})  # type: ignore[arg-type]  # the column is a parameter
    found = ledger(InvoiceStatus.PAID, payments=[payment], paid="100.00", balance="0.00")
    assert kinds(compare_invoice(found, NOW)) == ["payment_differs"]


def _unseen(found: Ledger) -> Ledger:
    return replace(found, invoice=replace(found.invoice, sent_at=None, total=usd("99.00")))


def _mixed(found: Ledger) -> Ledger:
    return replace(found, line_items=[*found.line_items, LineItem("line-2", Money(100, "EUR"))])


def test_rows_that_contradict_each_other_are_reported_and_stop_nothing() -> None:
    assert kinds(compare_invoice(_unseen(ledger()), NOW)) == ["totals_do_not_add_up"]
    assert kinds(compare_invoice(_mixed(ledger()), NOW)) == ["rows_do_not_fit"]


@pytest.mark.parametrize(
    ("pdf_status", "sent_at", "expected"),
    [
        ("none", LONG_AGO, ["pdf_missing"]),
        ("pending", LONG_AGO, ["pdf_missing"]),
        ("none", JUST_NOW, []),
        ("pending", JUST_NOW, []),
        ("ready", LONG_AGO, []),
        ("failed", JUST_NOW, ["pdf_failed"]),
    ],
)
def test_a_document_that_does_not_come_is_reported(
    pdf_status: str, sent_at: datetime, expected: list[str]
) -> None:
    assert kinds(compare_invoice(ledger(pdf_status=pdf_status, sent_at=sent_at), NOW)) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (EventRow("evt_1", "charge.refunded", "parked", JUST_NOW), ["event_parked"]),
        (EventRow("evt_1", "charge.refunded", "failed", JUST_NOW), ["event_failed"]),
        (EventRow("evt_1", "charge.refunded", "received", LONG_AGO), ["event_unfinished"]),
        (EventRow("evt_1", "charge.refunded", "received", JUST_NOW), []),
    ],
)
def test_an_event_that_was_not_applied_is_reported(event: EventRow, expected: list[str]) -> None:
    assert kinds(compare_event(event, NOW)) == expected


@pytest.mark.parametrize(
    ("status", "created", "expected"),
    [
        (NoticeStatus.FAILED, JUST_NOW, ["notice_failed"]),
        (NoticeStatus.UNKNOWN, JUST_NOW, ["notice_unknown"]),
        (NoticeStatus.CLAIMED, LONG_AGO, ["notice_unknown"]),
        (NoticeStatus.CLAIMED, JUST_NOW, []),
    ],
)
def test_a_message_nobody_got_for_sure_is_reported(
    status: NoticeStatus, created: datetime, expected: list[str]
) -> None:
    assert kinds(compare_notice(NoticeRow("n", "reminder", status, INVOICE, created), NOW)) == expected


def test_unapplied_money_is_reported_with_its_amount() -> None:
    difference = report_unapplied(row(invoice=None, transaction_id="pi_9"))
    assert difference.ids == {"payment": PAYMENT, "transaction_id": "pi_9"}
    assert "100.00 USD" in difference.detail


def test_only_a_queue_with_messages_is_reported() -> None:
    assert compare_queue("render", 0) == []
    (difference,) = compare_queue("render", 2)
    assert difference.as_json() == {
        "kind": "dead_letters",
        "queue": "render",
        "messages": "2",
        "detail": "2 messages of the queue for render could not be handled.",
    }
