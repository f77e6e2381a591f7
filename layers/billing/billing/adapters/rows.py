"""How Directus rows are parsed, once, at the edge; and the rows of the ledger. Nothing half-parsed gets through.

A row that cannot be read (a row edited past the model) is a `DirectusRejected` `row_unreadable` that names it,
never a KeyError later on; an unknown currency is an `Unprocessable`.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from billing.core.ledger import (
    OPEN_DISPUTE,
    Dispute,
    Invoice,
    InvoiceStatus,
    LineItem,
    Payment,
    PaymentDispute,
    PaymentStatus,
    Refund,
)
from billing.core.money import Money, accepted_currency
from billing.errors import DirectusRejected

if TYPE_CHECKING:
    from billing.adapters.directus import Row

INVOICE_FIELDS = (
    "id", "invoice_number", "client", "currency", "status", "tax_rate", "subtotal", "tax", "total",
    "amount_paid", "balance_due", "issue_date", "due_date", "sent_at", "voided_at", "pdf_status",
)  # fmt: skip
LINE_ITEM_FIELDS = ("id", "amount")
PAYMENT_FIELDS = (
    "id", "invoice", "amount", "currency", "status", "method", "transaction_id", "checkout_session", "open_claim",
    "attempt", "expires_at", "amount_refunded", "amount_disputed_lost", "fee", "client", "note", "receipt",
    "date_created", "date_updated", "payment_date", "receipt_says",
)  # fmt: skip
REFUND_FIELDS = ("id", "payment", "amount", "currency", "status", "stripe_refund")
PAYMENT_DISPUTE_FIELDS = (
    "id",
    "payment",
    "amount",
    "currency",
    "status",
    "stripe_dispute",
    "evidence_due_by",
)
DISPUTE_FIELDS = ("id", "line_item", "amount", "status")

#: Days; a test holds the model to it.
LONGEST_PAYMENT_TERMS = 3650


def json_value(value: Any) -> Any:
    """A json field comes parsed; through some drivers as text. Other text is a value of its own."""
    return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in {"{", "["} else value


def key_of(link: Any) -> Any:
    """A link comes as its key, or as an object when a field below it was asked for."""
    return link.get("id") if isinstance(link, dict) else link


def instant(value: object) -> datetime | None:
    """Timestamps are UTC; SQLite may hand one out without saying so. None for what is not text."""
    if not isinstance(value, str):
        return None
    parsed = datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


type Key = Annotated[str, BeforeValidator(key_of)]
type Json = Annotated[Any, BeforeValidator(json_value)]
type Timestamp = Annotated[
    datetime, BeforeValidator(lambda value: instant(value) if isinstance(value, str) else value)
]


class RowModel(BaseModel):
    """The columns of a row that are used, with their types; any others are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def parse[Model: RowModel](model: type[Model], row: Row, collection: str) -> Model:
    """Raise `DirectusRejected` `row_unreadable`, which names the columns and never their values."""
    try:
        return model.model_validate(row)
    except ValidationError as error:
        names = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
        raise unreadable(collection, ", ".join(names), row.get("id")) from None


def unreadable(collection: str, columns: str, record: object = None) -> DirectusRejected:
    """The error for a row with columns that cannot be read."""
    message = f"A row of {collection} cannot be read: look at {columns}."
    return DirectusRejected(message, code="row_unreadable", record=str(record) if record else None)


class _InvoiceRow(RowModel):
    id: str
    invoice_number: str
    client: Key
    currency: str
    status: InvoiceStatus
    tax_rate: Decimal | None = None
    subtotal: Decimal | None = None
    tax: Decimal | None = None
    total: Decimal | None = None
    amount_paid: Decimal | None = None
    balance_due: Decimal | None = None
    issue_date: date | None = None
    due_date: date | None = None
    sent_at: Timestamp | None = None
    voided_at: Timestamp | None = None
    pdf_status: str | None = None


class _LineItemRow(RowModel):
    id: str
    amount: Decimal


class _PaymentRow(RowModel):
    id: str
    invoice: Key | None = None
    amount: Decimal
    currency: str
    status: PaymentStatus
    method: str | None = None
    transaction_id: str | None = None
    checkout_session: str | None = None
    open_claim: str | None = None
    attempt: Annotated[dict[str, Any] | None, BeforeValidator(json_value)] = None
    expires_at: Timestamp | None = None
    amount_refunded: Decimal | None = None
    amount_disputed_lost: Decimal | None = None
    fee: Decimal | None = None
    client: Key | None = None
    note: str | None = None
    receipt: Key | None = None
    date_created: Timestamp | None = None
    date_updated: Timestamp | None = None
    payment_date: date | None = None
    receipt_says: str | None = None


class _ReversalRow(RowModel):
    id: str
    payment: Key
    amount: Decimal
    currency: str | None = None
    status: str
    stripe_refund: str | None = None
    stripe_dispute: str | None = None
    evidence_due_by: Timestamp | None = None


class _DisputeRow(RowModel):
    id: str
    line_item: Key | None = None
    amount: Decimal | None = None
    status: str


def _money(value: Decimal | None, currency: str) -> Money | None:
    return None if value is None else Money.from_directus(value, currency)


def payment_terms_days(value: object) -> int | None:
    """The firm's payment terms; None for what is no whole number of days that the model allows.

    The column cannot hold it unless somebody writes past Directus, and then invoices are sent all the same.
    """
    try:
        days = Decimal(str(value))
    except InvalidOperation:
        return None
    whole = days.is_finite() and days == days.to_integral_value()
    return int(days) if whole and 0 <= days <= LONGEST_PAYMENT_TERMS else None


def invoice_from_row(row: Row) -> Invoice:
    """Parse a row read with `INVOICE_FIELDS`; `currency_not_supported` if its currency is not accepted."""
    parsed = parse(_InvoiceRow, row, "invoices")
    currency = accepted_currency(parsed.currency)
    return Invoice(
        id=parsed.id,
        invoice_number=parsed.invoice_number,
        client=parsed.client,
        currency=currency,
        status=parsed.status,
        tax_rate=parsed.tax_rate or Decimal(0),
        subtotal=_money(parsed.subtotal, currency),
        tax=_money(parsed.tax, currency),
        total=_money(parsed.total, currency),
        amount_paid=_money(parsed.amount_paid, currency),
        balance_due=_money(parsed.balance_due, currency),
        issue_date=parsed.issue_date,
        due_date=parsed.due_date,
        sent_at=parsed.sent_at,
        voided_at=parsed.voided_at,
        pdf_status=parsed.pdf_status or "none",
    )


def line_item_from_row(row: Row, currency: str) -> LineItem:
    """Parse a row read with `LINE_ITEM_FIELDS`; amounts are in the invoice's currency."""
    parsed = parse(_LineItemRow, row, "line_items")
    return LineItem(id=parsed.id, amount=Money.from_directus(parsed.amount, currency))


def payment_from_row(row: Row) -> Payment:
    """Parse a row read with `PAYMENT_FIELDS`."""
    parsed = parse(_PaymentRow, row, "payments")
    currency = parsed.currency.upper()
    return Payment(
        id=parsed.id,
        amount=Money.from_directus(parsed.amount, currency),
        status=parsed.status,
        method=parsed.method or "other",
        invoice=parsed.invoice,
        transaction_id=parsed.transaction_id,
        checkout_session=parsed.checkout_session,
        open_claim=parsed.open_claim,
        attempt=parsed.attempt,
        expires_at=parsed.expires_at,
        amount_refunded=_money(parsed.amount_refunded, currency),
        amount_disputed_lost=_money(parsed.amount_disputed_lost, currency),
        fee=_money(parsed.fee, currency),
        client=parsed.client,
        note=parsed.note,
        receipt=parsed.receipt,
        changed_at=parsed.date_updated or parsed.date_created,
        payment_date=parsed.payment_date,
        receipt_says=parsed.receipt_says,
    )


def refund_from_row(row: Row, currency: str) -> Refund:
    """Parse a row read with `REFUND_FIELDS`; `currency` is the payment's, which a refund shares."""
    parsed = parse(_ReversalRow, row, "refunds")
    amount = _reversed(parsed, currency, "refunds")
    return Refund(parsed.payment, amount, parsed.status, parsed.id, parsed.stripe_refund)


def payment_dispute_from_row(row: Row, currency: str) -> PaymentDispute:
    """Parse a row read with `PAYMENT_DISPUTE_FIELDS`; `currency` is the payment's."""
    parsed = parse(_ReversalRow, row, "payment_disputes")
    amount = _reversed(parsed, currency, "payment_disputes")
    return PaymentDispute(
        parsed.payment, amount, parsed.status, parsed.id, parsed.stripe_dispute, parsed.evidence_due_by
    )


def _reversed(parsed: _ReversalRow, currency: str, collection: str) -> Money:
    """What goes back on a payment goes back in its currency; another would be added up as if it were that one."""
    if (parsed.currency or currency).upper() != currency:
        message = f"A row of {collection} is in {parsed.currency}, its payment in {currency}."
        raise DirectusRejected(message, code="row_unreadable", payment=parsed.payment)
    return Money.from_directus(parsed.amount, currency)


def dispute_from_row(row: Row, currency: str) -> Dispute:
    """Parse a row read with `DISPUTE_FIELDS`; amounts are in the invoice's currency."""
    parsed = parse(_DisputeRow, row, "disputes")
    # Only an open objection holds anything back: what a closed one says cannot stop the books.
    amount = _money(parsed.amount, currency) if parsed.status == OPEN_DISPUTE else None
    return Dispute(parsed.id, parsed.status, parsed.line_item, amount)
