"""Each comparison by itself: what is no difference, what is one, and whether somebody can put it right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from billing.documents.versions import DocumentRow
from billing.ledger.ledger import InvoiceStatus, LineItem, PaymentStatus, Refund
from billing.messages import Recompute, RenderInvoicePdf, SyncSession, to_json
from billing.money import Money
from billing.reconcile.differences import (
    ApplyEvent,
    EventRow,
    NamedInvoice,
    NoticeRow,
    OpenAttempt,
)
from billing.reconcile.invoices import compare_invoice
from billing.reconcile.leftovers import (
    compare_event,
    compare_notice,
    compare_queue,
    compare_undelivered,
    is_worth_applying,
)
from billing.reconcile.payments import (
    PaymentIndex,
    compare_attempt,
    compare_receipt,
    compare_session,
    report_unapplied,
)
from billing.reminders.policy import NoticeStatus
from billing.stripe.objects import BalanceTransaction, Charge, UndeliveredEvent
from tests.builders import usd
from tests.unit.reconcile.sessions import (
    CANCELED,
    DEAD,
    EXPIRED,
    FAILED,
    ON_ITS_WAY,
    OPEN,
    PENDING,
    PROCESSING,
)
from tests.unit.reconcile.support import (
    DOCUMENT,
    INVOICE,
    JUST_NOW,
    LONG_AGO,
    NOW,
    OTHER_INVOICE,
    PAYMENT,
    booked,
    kinds,
    ledger,
    repairs,
    row,
    session,
)

if TYPE_CHECKING:
    from datetime import datetime

    from billing.ledger.ledger import Ledger, Payment
    from billing.stripe.objects import CheckoutSession


@pytest.mark.parametrize(
    ("found", "payment"),
    [
        (session(), booked()),
        (session(), booked(checkout_session=None)),
        (ON_ITS_WAY, row(PROCESSING, claim=True)),
        (DEAD, row(FAILED)),
        (DEAD, row(CANCELED)),
        (DEAD, None),
        (DEAD, row(PENDING, claim=True, checkout_session="cs_2")),
        (OPEN, row(PENDING, claim=True)),
        (EXPIRED, row(CANCELED)),
        (EXPIRED, row(FAILED)),
        (EXPIRED, None),
        (EXPIRED, row(PENDING, claim=True, checkout_session="cs_2")),
    ],
)
def test_stripe_and_directus_that_agree_are_no_difference(
    found: CheckoutSession, payment: Payment | None
) -> None:
    assert compare_session(found, payment) == []


@pytest.mark.parametrize(
    ("found", "payment", "kind"),
    [
        (session(), None, "payment_missing"),
        (session(), row(PENDING, claim=True), "payment_missing"),
        (session(), row(CANCELED), "payment_missing"),
        (session(), booked(status=CANCELED), "payment_missing"),
        (session(), row(checkout_session="cs_2"), "payment_missing"),
        (session(), row(checkout_session="cs_2", transaction_id="pi_2"), "payment_missing"),
        (session(), row(PENDING, transaction_id="pi_2"), "payment_missing"),
        (session(), row(), "transaction_missing"),
        (session(), row(checkout_session=None), "transaction_missing"),
        (ON_ITS_WAY, row(PENDING, claim=True), "payment_status_differs"),
        (ON_ITS_WAY, row(CANCELED), "payment_status_differs"),
        (DEAD, row(PROCESSING), "payment_status_differs"),
        (DEAD, row(CANCELED, claim=True), "payment_status_differs"),
        (OPEN, None, "session_without_attempt"),
        (OPEN, row(CANCELED), "session_without_attempt"),
        (OPEN, row(PENDING, claim=True, checkout_session="cs_2"), "session_without_attempt"),
        (OPEN, row(PENDING, claim=True, checkout_session=None), "session_not_stored"),
        (EXPIRED, row(PENDING, claim=True), "attempt_expired"),
        (EXPIRED, row(CANCELED, claim=True), "attempt_expired"),
        (EXPIRED, row(PROCESSING), "attempt_expired"),
    ],
)
def test_what_the_one_writer_would_put_right_is_given_to_it(
    found: CheckoutSession, payment: Payment | None, kind: str
) -> None:
    (difference,) = compare_session(found, payment)
    assert (difference.kind, difference.repair) == (kind, SyncSession("cs_1", INVOICE))


@pytest.mark.parametrize(
    ("found", "payment", "kind"),
    [
        (session(), booked(amount=usd("99.99")), "payment_amount_differs"),
        (session(), booked(amount=Money(10000, "EUR")), "payment_amount_differs"),
        (session(), row(amount=usd("99.99")), "payment_amount_differs"),
        (session(), row(transaction_id="pi_2"), "transaction_differs"),
        (session(), booked(status=PENDING, checkout_session="cs_2"), "transaction_differs"),
        (session(), booked(checkout_session="cs_2"), "transaction_differs"),
        (session(intent=None), None, "session_without_intent"),
        (session(amount=0), None, "session_paid_without_money"),
        (ON_ITS_WAY, row(), "payment_not_paid"),
        (ON_ITS_WAY, None, "payment_status_differs"),
        (DEAD, row(), "payment_not_paid"),
        (EXPIRED, row(), "payment_not_paid"),
    ],
)
def test_what_the_one_writer_would_not_put_right_is_only_named(
    found: CheckoutSession, payment: Payment | None, kind: str
) -> None:
    (difference,) = compare_session(found, payment)
    assert (difference.kind, difference.repair) == (kind, None)


def test_a_debit_without_a_row_is_booked_on_an_invoice_in_its_currency_alone() -> None:
    dollars, euros = ({INVOICE: NamedInvoice("INV-1", currency)} for currency in ("USD", "EUR"))
    assert repairs(compare_session(ON_ITS_WAY, None, dollars)) == ["sync_session"]
    assert repairs(compare_session(ON_ITS_WAY, None, euros)) == [None]
    taken = row(PENDING, checkout_session="cs_2", transaction_id="pi_1")
    assert repairs(compare_session(ON_ITS_WAY, taken, dollars)) == [None]


def test_a_payment_that_staff_assigned_to_another_invoice_is_that_invoices_work() -> None:
    (difference,) = compare_session(session(), row(PENDING, invoice=OTHER_INVOICE))
    assert difference.repair == SyncSession("cs_1", OTHER_INVOICE)


def test_a_missing_payment_is_told_in_a_sentence_with_the_records_concerned() -> None:
    (difference,) = compare_session(session(), row(PENDING, claim=True))
    assert difference.as_repaired("sync_session") == {
        "kind": "payment_missing",
        "payment": PAYMENT,
        "invoice": INVOICE,
        "checkout_session": "cs_1",
        "detail": "Stripe has 100.00 USD paid through session cs_1; Directus has no succeeded payment for it.",
        "repair": "sync_session",
    }


def test_an_amount_in_a_currency_no_invoice_has_is_still_reported() -> None:
    (difference,) = compare_session(session(currency="BHD"), None)
    assert "10.000 BHD" in difference.detail


def test_what_was_received_counts_not_what_was_asked_for() -> None:
    paid = session()
    assert paid.payment_intent is not None
    partly = replace(paid, payment_intent=replace(paid.payment_intent, amount_received=9000))
    assert compare_session(partly, booked(amount=usd("90.00"))) == []


def test_a_row_is_found_by_its_payment_intent_its_session_or_its_id_in_that_order() -> None:
    by_id = row(key=PAYMENT, checkout_session=None)
    by_session = row(key="b")
    by_intent = row(key="c", checkout_session=None, transaction_id="pi_1")
    stranger = row(key="stranger", checkout_session="cs_2", transaction_id="pi_2")
    assert PaymentIndex([stranger, by_id, by_session, by_intent]).of(session()) == by_intent
    assert PaymentIndex([stranger, by_id, by_session]).of(session()) == by_session
    assert PaymentIndex([stranger, by_id]).of(session()) == by_id
    assert PaymentIndex([stranger]).of(session()) is None


def test_the_attempt_of_another_invoice_is_nobodys() -> None:
    another = row(key=PAYMENT, checkout_session=None, invoice=OTHER_INVOICE)
    assert PaymentIndex([another]).of(session()) is None


@pytest.mark.parametrize(
    ("payment", "created", "expected"),
    [
        (row(PENDING, claim=True, checkout_session=None), LONG_AGO, ["attempt_without_session"]),
        (row(PENDING, claim=True, checkout_session=None), JUST_NOW, []),
        (row(PENDING, claim=True, checkout_session=None, expires_at=NOW), JUST_NOW, ["attempt_expired"]),
        (row(PROCESSING, checkout_session=None), LONG_AGO, []),
    ],
)
def test_a_claim_without_a_session_is_named_after_a_quarter_of_an_hour_and_freed_when_it_is_over(
    payment: Payment, created: datetime, expected: list[str]
) -> None:
    found = compare_attempt(OpenAttempt(payment, created), None, ledger(payments=[payment]), NOW)
    assert kinds(found) == expected


@pytest.mark.parametrize(
    ("payment", "on", "expected"),
    [
        (row(PENDING, claim=True), ledger(), []),
        (row(PENDING, claim=True, amount=usd("100.01")), ledger(), ["attempt_does_not_fit"]),
        (row(PENDING, claim=True), ledger(InvoiceStatus.VOID), ["attempt_does_not_fit"]),
        (row(CANCELED, claim=True), ledger(), ["attempt_does_not_fit"]),
    ],
)
def test_an_open_session_that_does_not_fit_its_invoice_is_the_one_writers(
    payment: Payment, on: Ledger, expected: list[str]
) -> None:
    attempt = OpenAttempt(payment, JUST_NOW)
    assert kinds(compare_attempt(attempt, OPEN, on, NOW)) == expected
    assert compare_attempt(attempt, ON_ITS_WAY, on, NOW) == []
    assert compare_attempt(attempt, OPEN, None, NOW) == []


@pytest.mark.parametrize(("fee", "expected"), [(750, ["fee_missing"]), (755, []), (None, [])])
def test_a_fee_is_asked_for_where_two_decimals_can_hold_it(fee: int | None, expected: list[str]) -> None:
    found = session(amount=100_000, currency="KWD")
    assert found.payment_intent is not None
    charge = Charge("ch_1", "succeeded", NOW, "KWD", fee=fee, fee_currency="KWD")
    known = replace(found, payment_intent=replace(found.payment_intent, latest_charge=charge))
    assert kinds(compare_session(known, booked(amount=Money(100_000, "KWD")))) == expected


def movement(minor: int = 10000, currency: str = "USD") -> BalanceTransaction:
    fee = 755 if currency == "KWD" else 320
    return BalanceTransaction("txn_1", "charge", minor, fee, currency, NOW, "ch_1", "pi_1")


@pytest.mark.parametrize(
    ("received", "payment", "found", "expected"),
    [
        (movement(), booked(fee=usd("3.20")), None, []),
        (movement(), booked(), session(), ["fee_missing"]),
        (movement(), booked(checkout_session="cs_2"), session(), ["transaction_differs"]),
        (movement(755, "KWD"), booked(amount=Money(755, "KWD")), session(amount=755, currency="KWD"), []),
        (movement(), booked(checkout_session=None), session(), ["fee_missing"]),
        (movement(), booked(checkout_session=None), None, []),
        (movement(9000, "EUR"), booked(), None, []),
        (movement(9000), booked(), None, ["payment_amount_differs"]),
        (movement(), None, None, ["balance_transaction_unexplained"]),
        (movement(), row(PENDING), session(), ["payment_missing"]),
        (movement(), row(PROCESSING), ON_ITS_WAY, []),
    ],
)
def test_money_on_the_balance_has_its_payment(
    received: BalanceTransaction,
    payment: Payment | None,
    found: CheckoutSession | None,
    expected: list[str],
) -> None:
    assert kinds(compare_receipt(received, payment, found)) == expected


def test_an_invoice_that_shows_what_its_rows_say_is_no_difference() -> None:
    assert compare_invoice(ledger(), [DOCUMENT], NOW) == []


def test_every_wrong_column_of_an_invoice_is_named_with_both_values() -> None:
    (difference,) = compare_invoice(ledger(payments=[booked(amount=usd("40.00"))]), [DOCUMENT], NOW)
    assert difference.as_json() == {
        "kind": "invoice_differs",
        "invoice": INVOICE,
        "detail": (
            "Invoice INV-1: amount_paid is 0.00, but its rows say 40.00; balance_due is 100.00, but its rows say 60.00;"
            " status is sent, but its rows say partially_paid."
        ),
    }


def test_a_paid_invoice_without_a_payment_is_reported() -> None:
    found = ledger(InvoiceStatus.PAID, paid="100.00", balance="0.00")
    assert kinds(compare_invoice(found, [DOCUMENT], NOW)) == ["invoice_differs"]


@pytest.mark.parametrize("method", ["card", "us_bank_account"])
def test_money_that_counts_as_stripes_without_a_transaction_is_named(method: str) -> None:
    nameless = replace(row(checkout_session=None), method=method)
    found = ledger(InvoiceStatus.PAID, payments=[nameless], paid="100.00", balance="0.00")
    (difference,) = compare_invoice(found, [DOCUMENT], NOW)
    assert (difference.kind, difference.ids["payment"]) == ("payment_without_transaction", PAYMENT)
    assert "100.00 USD" in difference.detail
    assert difference.repair is None
    assert compare_invoice(found, [DOCUMENT], NOW, named={PAYMENT}) == []


@pytest.mark.parametrize(
    "payment",
    [
        replace(row(checkout_session=None), method="wire"), replace(row(checkout_session=None), method="other"),
        row(CANCELED), row(FAILED), booked(),
    ],
)  # fmt: skip
def test_money_of_the_firms_own_and_attempts_that_are_over_need_no_transaction(payment: Payment) -> None:
    counts = payment.status is PaymentStatus.SUCCEEDED
    found = (
        ledger(InvoiceStatus.PAID, payments=[payment], paid="100.00", balance="0.00")
        if counts
        else ledger(payments=[payment])
    )
    assert compare_invoice(found, [DOCUMENT], NOW) == []


def test_a_void_invoice_owes_nothing_and_keeps_its_credit() -> None:
    paid = [booked(amount=usd("30.00"))]
    good = ledger(InvoiceStatus.VOID, payments=paid, paid="30.00", balance="-30.00")
    assert compare_invoice(good, [DOCUMENT], NOW) == []
    bad = ledger(InvoiceStatus.VOID, payments=paid, paid="30.00", balance="70.00")
    assert kinds(compare_invoice(bad, [DOCUMENT], NOW)) == ["invoice_differs"]


@pytest.mark.parametrize(
    ("paid", "left", "named"),
    [("99.51", "0.49", True), ("99.99", "0.01", True), ("99.50", "0.50", False), ("0.00", "100.00", False)],
)
def test_less_than_can_be_paid_online_is_named_and_left_to_staff(
    paid: str, left: str, *, named: bool
) -> None:
    payments = [booked(amount=usd(paid))] if paid != "0.00" else []
    status = InvoiceStatus.PARTIALLY_PAID if payments else InvoiceStatus.SENT
    found = compare_invoice(ledger(status, payments=payments, paid=paid, balance=left), [DOCUMENT], NOW)
    assert (kinds(found), repairs(found)) == ((["below_minimum"], [None]) if named else ([], []))
    assert all(f"{left} USD" in one.detail and "0.50 USD" in one.detail for one in found)


@pytest.mark.parametrize("status", list(InvoiceStatus))
def test_a_void_that_was_overwritten_is_found_and_restored(status: InvoiceStatus) -> None:
    found = ledger(status, paid="0.00", balance="0.00", pdf_status="none")
    found = replace(found, invoice=replace(found.invoice, voided_at=NOW))
    differences = compare_invoice(found, [], NOW)
    if status is InvoiceStatus.VOID:
        assert differences == []
    else:
        assert (kinds(differences), repairs(differences)) == (["invoice_differs"], [Recompute(INVOICE).type])
        assert f"status is {status}, but its rows say void" in differences[0].detail


@pytest.mark.parametrize("pdf_status", ["none", "pending", "failed"])
def test_a_void_invoice_needs_no_document(pdf_status: str) -> None:
    void = ledger(InvoiceStatus.VOID, paid="0.00", balance="0.00", pdf_status=pdf_status)
    assert compare_invoice(void, [DOCUMENT], NOW) == []


def test_a_draft_is_nobodys_business_unless_it_was_sent() -> None:
    assert (
        compare_invoice(ledger(InvoiceStatus.DRAFT, pdf_status="none", sent_at=None), [DOCUMENT], NOW) == []
    )
    assert kinds(compare_invoice(ledger(InvoiceStatus.DRAFT), [DOCUMENT], NOW)) == ["sent_invoice_is_draft"]


@pytest.mark.parametrize("status", [PaymentStatus.SUCCEEDED, PaymentStatus.FAILED])
def test_a_claim_left_on_a_finished_payment_is_reported(status: PaymentStatus) -> None:
    paid, balance = ("100.00", "0.00") if status is PaymentStatus.SUCCEEDED else ("0.00", "100.00")
    shown = InvoiceStatus.PAID if status is PaymentStatus.SUCCEEDED else InvoiceStatus.SENT
    found = ledger(shown, payments=[booked(status=status, claim=True)], paid=paid, balance=balance)
    assert kinds(compare_invoice(found, [DOCUMENT], NOW)) == ["claim_left"]


@pytest.mark.parametrize("status", [PaymentStatus.PENDING, PaymentStatus.PROCESSING, PaymentStatus.CANCELED])
def test_an_open_attempt_and_a_request_to_cancel_hold_their_claim_rightly(status: PaymentStatus) -> None:
    assert compare_invoice(ledger(payments=[row(status, claim=True)]), [DOCUMENT], NOW) == []


def test_a_claim_on_another_invoice_is_reported_with_both() -> None:
    claiming = replace(row(PaymentStatus.PENDING), open_claim="another")
    (difference,) = compare_invoice(ledger(payments=[claiming]), [DOCUMENT], NOW)
    assert (difference.kind, difference.ids["invoice"], difference.ids["claimed"]) == (
        "claim_of_another",
        INVOICE,
        "another",
    )


@pytest.mark.parametrize("column", ["amount_refunded", "amount_disputed_lost"])
def test_what_went_back_is_compared_with_its_rows(column: str) -> None:
    payment = replace(booked(), **{column: usd("5.00")})  # type: ignore[arg-type]  # the column is a parameter
    found = ledger(InvoiceStatus.PAID, payments=[payment], paid="100.00", balance="0.00")
    assert kinds(compare_invoice(found, [DOCUMENT], NOW)) == ["payment_differs"]


def _unseen(found: Ledger) -> Ledger:
    return replace(found, invoice=replace(found.invoice, sent_at=None, total=usd("99.00")))


def _mixed(found: Ledger) -> Ledger:
    return replace(found, line_items=[*found.line_items, LineItem("line-2", Money(100, "EUR"))])


def test_rows_that_contradict_each_other_are_reported_and_stop_nothing() -> None:
    assert kinds(compare_invoice(_unseen(ledger()), [DOCUMENT], NOW)) == ["totals_do_not_add_up"]
    assert kinds(compare_invoice(_mixed(ledger()), [DOCUMENT], NOW)) == ["rows_do_not_fit"]


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
    assert kinds(compare_invoice(ledger(pdf_status=pdf_status, sent_at=sent_at), [DOCUMENT], NOW)) == expected


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
        "detail": "2 messages of the queue for render failed.",
    }


def test_an_event_row_is_applied_again_and_stays_named_while_it_is_parked() -> None:
    (parked,) = compare_event(EventRow("evt_1", "charge.refunded", "parked", None, "ch_1"), NOW)
    (unfinished,) = compare_event(EventRow("evt_1", "charge.refunded", "received", LONG_AGO, "ch_1"), NOW)
    assert (parked.stays, unfinished.stays) == (True, False)
    assert isinstance(parked.repair, ApplyEvent)
    assert parked.repair.again, "the queue must not take it for the message that it has seen"
    assert (parked.repair.event.object, parked.repair.event.group) == ("ch_1", "ch_1")


def test_an_event_row_without_an_object_is_only_named() -> None:
    assert repairs(compare_event(EventRow("evt_1", "charge.refunded", "parked"), NOW)) == [None]


OURS = {"deployment": "main", "directus_invoice": INVOICE}


def undelivered(event_type: str, metadata: dict[str, str], kind: str = "charge") -> UndeliveredEvent:
    return UndeliveredEvent("evt_1", event_type, "x_1", kind, livemode=True, metadata=metadata)


@pytest.mark.parametrize(
    ("event_type", "metadata", "expected"),
    [
        ("checkout.session.completed", OURS, True),
        ("checkout.session.completed", {"deployment": "another"}, False),
        ("checkout.session.completed", {}, False),
        ("charge.updated", {}, False),
        ("charge.refunded", OURS, True),
        ("refund.updated", {}, True),
        ("charge.dispute.closed", {}, True),
        ("radar.early_fraud_warning.created", {}, True),
        ("refund.updated", {"deployment": "another"}, True),
        ("charge.dispute.closed", {"deployment": "another"}, True),
        ("invoice.paid", OURS, False),
        ("never.heard.of", {}, False),
        ("never.heard.of", OURS, True),
    ],
)
def test_an_undelivered_event_is_looked_into_if_it_is_ours_or_may_be(
    event_type: str, metadata: dict[str, str], *, expected: bool
) -> None:
    assert is_worth_applying(undelivered(event_type, metadata), "main") is expected


def test_an_undelivered_event_of_a_connected_account_is_left_alone() -> None:
    event = replace(undelivered("charge.dispute.closed", OURS), account="acct_1")
    assert not is_worth_applying(event, "main")


def test_an_undelivered_event_comes_as_its_webhook_would_have() -> None:
    (difference,) = compare_undelivered(undelivered("charge.refunded", OURS))
    assert isinstance(difference.repair, ApplyEvent)
    assert not difference.repair.again
    assert json.loads(to_json(difference.repair.event)) == {
        "type": "stripe_event", "event": "evt_1", "event_type": "charge.refunded", "object": "x_1", "object_type": "charge", "of_another_account": False,
        "livemode": True, "invoice": INVOICE, "deployment": "main",
    }  # fmt: skip


def test_what_somebody_wrote_on_a_refund_does_not_say_whose_it_is() -> None:
    (difference,) = compare_undelivered(undelivered("refund.failed", {"deployment": "another"}, "refund"))
    assert isinstance(difference.repair, ApplyEvent)
    assert difference.repair.event.deployment is None


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([DOCUMENT], []),
        ([], [RenderInvoicePdf(INVOICE, force=True)]),
        ([replace(DOCUMENT, file=None)], [RenderInvoicePdf(INVOICE, force=True)]),
        ([replace(DOCUMENT, file=None), DocumentRow("document-2", 2, "file", invoice=INVOICE)], [None]),
    ],
)
def test_a_document_that_is_ready_is_there_with_its_file(
    documents: list[DocumentRow], expected: list[RenderInvoicePdf | None]
) -> None:
    assert [found.repair for found in compare_invoice(ledger(), documents, NOW)] == expected


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_entered_by_hand_that_counts_for_nothing_is_no_difference(status: str) -> None:
    refund = Refund(PAYMENT, usd("10.00"), status, "r1")
    found = replace(
        ledger(InvoiceStatus.PAID, payments=[booked()], paid="100.00", balance="0.00"), refunds=[refund]
    )
    assert compare_invoice(found, [DOCUMENT], NOW) == []


def test_a_firms_own_refund_of_a_check_is_no_difference() -> None:
    check = replace(row(checkout_session=None), method="check")
    refund = Refund(PAYMENT, usd("10.00"), "succeeded", "r1")
    paid = replace(check, amount_refunded=usd("10.00"))
    found = ledger(InvoiceStatus.PARTIALLY_PAID, payments=[paid], paid="90.00", balance="10.00")
    assert compare_invoice(replace(found, refunds=[refund]), [DOCUMENT], NOW) == []
