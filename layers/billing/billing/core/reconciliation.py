"""What differs between Stripe, the rows of Directus and what an invoice shows. Reports, decides no repair.

Every function takes facts and gives differences; a difference names records and figures, never a person.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from billing.core.checkout import DEAD_INTENT
from billing.core.ledger import (
    InvoiceStatus,
    Payment,
    PaymentStatus,
    amount_disputed_lost,
    amount_refunded,
    state_of,
)
from billing.core.money import Money
from billing.core.reminders import NoticeStatus
from billing.errors import BillingError, Unprocessable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.core.ledger import Ledger
    from billing.core.stripe_objects import CheckoutSession

#: What is younger may still be on its way through a queue.
GRACE = timedelta(minutes=15)


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be: `kind` for programs, `detail` for people, `ids` of the records."""

    kind: str
    detail: str
    ids: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, str]:
        """A flat object."""
        return {"kind": self.kind, **self.ids, "detail": self.detail}


@dataclass(frozen=True)
class OpenAttempt:
    """A payment row that holds its invoice's claim, and when the row was created."""

    payment: Payment
    created: datetime


@dataclass(frozen=True)
class EventRow:
    """A row of `stripe_events` that is not `done` or `ignored`."""

    id: str
    type: str
    status: str
    received_at: datetime | None = None


@dataclass(frozen=True)
class NoticeRow:
    """A row of `notices` that is not `sent` or `skipped`."""

    id: str
    kind: str
    status: NoticeStatus
    invoice: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class UnreadableRow:
    """A row that our model cannot read."""

    collection: str
    id: str
    error: BillingError


@dataclass(frozen=True)
class Redriven:
    """What became of a dead-letter queue: sent back, and given up because they have come back too often."""

    redriven: int
    left: int


class PaymentIndex:
    """Payment rows by what a session may know them by."""

    def __init__(self, payments: Iterable[Payment]) -> None:
        """A row without a session or a payment intent is found by its id alone."""
        self._rows: defaultdict[str, dict[str, Payment]] = defaultdict(dict)
        for payment in payments:
            for key in (payment.id, payment.checkout_session, payment.transaction_id):
                if key is not None:
                    self._rows[key][payment.id] = payment

    def of(self, session: CheckoutSession) -> list[Payment]:
        """The attempt of the session, the rows that hold it, the row of its payment intent."""
        intent = session.payment_intent.id if session.payment_intent else ""
        keys = (session.metadata.get("directus_payment", ""), session.id, intent)
        found: dict[str, Payment] = {}
        for key in keys:
            found |= self._rows.get(key, {})
        return list(found.values())


def compare_session(session: CheckoutSession, rows: Sequence[Payment]) -> list[Difference]:
    """One session of ours with the payment rows that belong to it (`PaymentIndex.of`)."""
    ids = _session_ids(session, rows)
    if session.status == "expired":
        return [_expired(ids) for row in rows if row.open_claim and row.status is PaymentStatus.PENDING][:1]
    if session.is_open:
        return [] if any(row.open_claim for row in rows) else [_payable_without_attempt(ids)]
    if session.payment_status == "unpaid":
        return _compare_unpaid(session, rows, ids)
    return _compare_paid(session, rows, ids)


def compare_attempt(attempt: OpenAttempt, now: datetime) -> list[Difference]:
    """An open attempt that never got a session, or whose session's time is over."""
    payment = attempt.payment
    ids = _ids(payment=payment.id, invoice=payment.invoice, checkout_session=payment.checkout_session)
    if payment.checkout_session is None:
        if now - attempt.created < GRACE:
            return []
        text = "A checkout was begun but no Stripe session is stored on it; the client's next attempt completes it."
        return [Difference("attempt_without_session", text, ids)]
    over = payment.expires_at is not None and now - payment.expires_at >= GRACE
    return [_expired(ids)] if over and payment.status is PaymentStatus.PENDING else []


def compare_invoice(ledger: Ledger, now: datetime) -> list[Difference]:
    """What a sent invoice shows against what its rows say, and its document."""
    invoice = ledger.invoice
    ids = _ids(invoice=invoice.id)
    if invoice.status is InvoiceStatus.DRAFT:
        if invoice.sent_at is None:
            return []
        text = (
            f"Invoice {invoice.invoice_number} was sent and is a draft again: its client no longer sees it."
        )
        return [Difference("sent_invoice_is_draft", text, ids)]
    try:
        state = state_of(ledger, now)
    except Unprocessable as error:
        return [Difference(error.code, error.detail, ids)]
    except ValueError:
        text = f"The rows of invoice {invoice.invoice_number} are in different currencies and cannot be added up."
        return [Difference("rows_do_not_fit", text, ids)]
    assert state is not None, "only a draft has no state"
    changes = state.changes(invoice)
    found = []
    if changes:
        stored = {name: getattr(invoice, name) for name in changes}
        said = "; ".join(
            f"{name} shows {_shown(stored[name])}, its rows say {value}" for name, value in changes.items()
        )
        found.append(Difference("invoice_differs", f"Invoice {invoice.invoice_number}: {said}.", ids))
    claims = [difference for payment in ledger.payments for difference in _compare_payment(payment, ledger)]
    return [*found, *claims, *_compare_document(ledger, now)]


def _compare_payment(payment: Payment, ledger: Ledger) -> list[Difference]:
    """What a payment row shows besides its amount: its claim on the invoice, and what went back."""
    ids = _ids(invoice=ledger.invoice.id, payment=payment.id)
    found = []
    if payment.open_claim and payment.status in {PaymentStatus.SUCCEEDED, PaymentStatus.FAILED}:
        text = f"A payment that is {payment.status} still claims its invoice, so nobody can pay it; empty open_claim."
        found.append(Difference("claim_left", text, ids))
    elif payment.open_claim and payment.open_claim != ledger.invoice.id:
        text = "A payment claims an invoice that it does not belong to, so nobody can pay that one."
        found.append(Difference("claim_of_another", text, {**ids, "claimed": payment.open_claim}))
    nothing = Money.zero(payment.amount.currency)
    for name, derived in (
        ("amount_refunded", amount_refunded(payment, ledger.refunds)),
        ("amount_disputed_lost", amount_disputed_lost(payment, ledger.payment_disputes)),
    ):
        stored = getattr(payment, name) or nothing
        if stored != derived:
            text = f"A payment's {name} shows {stored}, its rows say {derived}."
            found.append(Difference("payment_differs", text, ids))
    return found


def report_unreadable(row: UnreadableRow) -> Difference:
    """A row that cannot be compared."""
    return Difference("row_unreadable", f"{row.error.detail} ({row.error.code})", {row.collection: row.id})


def report_unapplied(payment: Payment) -> Difference:
    """Money that belongs to no invoice yet."""
    text = f"A payment of {payment.amount} belongs to no invoice; a partner must assign it."
    return Difference(
        "payment_unapplied", text, _ids(payment=payment.id, transaction_id=payment.transaction_id)
    )


def compare_event(event: EventRow, now: datetime) -> list[Difference]:
    """A Stripe event that was not applied."""
    if event.status == "received":
        if event.received_at is not None and now - event.received_at < GRACE:
            return []
        text = f"The Stripe event {event.id} ({event.type}) was received but never finished."
        return [Difference("event_unfinished", text, {"event": event.id})]
    text = f"The Stripe event {event.id} ({event.type}) is {event.status}; its row says why."
    return [Difference(f"event_{event.status}", text, {"event": event.id})]


def compare_notice(notice: NoticeRow, now: datetime) -> list[Difference]:
    """A message that was not sent, or of which nobody knows."""
    ids = _ids(notice=notice.id, invoice=notice.invoice)
    if notice.status is NoticeStatus.FAILED:
        text = f"A message ({notice.kind}) could not be sent; its row in notices says why."
        return [Difference("notice_failed", text, ids)]
    young = notice.created is not None and now - notice.created < GRACE
    if notice.status is NoticeStatus.CLAIMED and young:
        return []
    text = f"Nobody can tell whether a message ({notice.kind}) went out; it is not sent again by itself."
    return [Difference("notice_unknown", text, ids)]


def compare_queue(name: str, messages: int) -> list[Difference]:
    """A dead-letter queue that is not empty."""
    if not messages:
        return []
    text = f"{messages} message{'s' if messages > 1 else ''} of the queue for {name} could not be handled."
    return [Difference("dead_letters", text, {"queue": name, "messages": str(messages)})]


def distinct(differences: Iterable[Difference]) -> list[Difference]:
    """Each difference once: an expired session is seen from both sides."""
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], Difference] = {}
    for difference in differences:
        seen.setdefault((difference.kind, tuple(sorted(difference.ids.items()))), difference)
    return list(seen.values())


def _compare_paid(
    session: CheckoutSession, rows: Sequence[Payment], ids: Mapping[str, str]
) -> list[Difference]:
    intent = session.payment_intent
    minor, currency = (
        (intent.amount_received, intent.currency) if intent else (session.amount_total, session.currency)
    )
    paid = _amount(minor, currency)
    succeeded = [row for row in rows if row.status is PaymentStatus.SUCCEEDED]
    if not succeeded:
        text = (
            f"Stripe has {paid} paid through session {session.id}; Directus has no succeeded payment for it."
        )
        return [Difference("payment_missing", text, ids)]
    if any((row.amount.minor, row.amount.currency) == (minor, currency) for row in succeeded):
        return []
    text = f"Stripe has {paid} paid through session {session.id}; Directus has {succeeded[0].amount}."
    return [Difference("payment_differs", text, ids)]


def _compare_unpaid(
    session: CheckoutSession, rows: Sequence[Payment], ids: Mapping[str, str]
) -> list[Difference]:
    """Confirmed but not paid: a bank payment on its way, or one that failed."""
    failed = session.payment_intent is not None and session.payment_intent.status in DEAD_INTENT
    expected = {PaymentStatus.FAILED, PaymentStatus.CANCELED} if failed else {PaymentStatus.PROCESSING}
    if any(row.status in expected for row in rows):
        return []
    said = f"is {rows[0].status}" if rows else "does not exist"
    text = (
        f"At Stripe the payment of session {session.id} {'failed' if failed else 'is being processed'};"
        f" the payment row in Directus {said}."
    )
    return [Difference("payment_status_differs", text, ids)]


def _compare_document(ledger: Ledger, now: datetime) -> list[Difference]:
    invoice = ledger.invoice
    ids = _ids(invoice=invoice.id)
    if invoice.status is InvoiceStatus.VOID:
        return []  # whatever document it has stays; it gets no new one
    if invoice.pdf_status == "failed":
        text = f"The PDF of invoice {invoice.invoice_number} could not be made; pdf_error says why."
        return [Difference("pdf_failed", text, ids)]
    late = invoice.sent_at is not None and now - invoice.sent_at >= GRACE
    if invoice.pdf_status in {"none", "pending"} and late:
        text = f"Invoice {invoice.invoice_number} was sent more than 15 minutes ago and has no PDF yet."
        return [Difference("pdf_missing", text, ids)]
    return []


def _expired(ids: Mapping[str, str]) -> Difference:
    text = "A checkout's time is over, but its attempt is still open and blocks the next one."
    return Difference("attempt_expired", text, ids)


def _payable_without_attempt(ids: Mapping[str, str]) -> Difference:
    text = "A Stripe session can still be paid though Directus has no open attempt for it."
    return Difference("session_without_attempt", text, ids)


def _session_ids(session: CheckoutSession, rows: Sequence[Payment]) -> dict[str, str]:
    payment = rows[0].id if rows else session.metadata.get("directus_payment")
    invoice = session.metadata.get("directus_invoice") or (rows[0].invoice if rows else None)
    return _ids(payment=payment, invoice=invoice, checkout_session=session.id)


def _ids(**ids: str | None) -> dict[str, str]:
    return {name: value for name, value in ids.items() if value is not None}


def _amount(minor: int, currency: str) -> str:
    return str(Money(minor, currency))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return value.to_directus() if isinstance(value, Money) else str(value)
