"""Directus rows of the ledger, parsed once at the edge; nothing half-parsed gets through.

A row that cannot be read (a client's row edited past the model, an unknown currency) is a `DirectusRejected`
or an `Unprocessable` that names it, never a KeyError later on.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from billing.core.ledger import (
    Dispute,
    Invoice,
    InvoiceStatus,
    LineItem,
    Payment,
    PaymentDispute,
    PaymentStatus,
    Refund,
)
from billing.core.money import Money
from billing.errors import DirectusRejected

if TYPE_CHECKING:
    from billing.adapters.directus import Row

INVOICE_FIELDS = (
    "id", "invoice_number", "client", "currency", "status", "tax_rate", "subtotal", "tax", "total",
    "amount_paid", "balance_due", "due_date", "sent_at", "pdf_status",
)  # fmt: skip
LINE_ITEM_FIELDS = ("id", "invoice", "amount")
PAYMENT_FIELDS = (
    "id", "invoice", "amount", "currency", "status", "method", "transaction_id", "checkout_session", "open_claim",
    "attempt", "expires_at", "amount_refunded", "amount_disputed_lost",
)  # fmt: skip
REFUND_FIELDS = ("payment", "amount", "currency", "status")
PAYMENT_DISPUTE_FIELDS = ("payment", "amount", "currency", "status")
DISPUTE_FIELDS = ("id", "invoice", "line_item", "amount", "status")


def _object(value: Any) -> Any:
    """A json field comes parsed; through some drivers as text."""
    return json.loads(value) if isinstance(value, str) else value


def _key(value: Any) -> Any:
    """A link comes as its key, or as an object when a field below it was asked for."""
    return value.get("id") if isinstance(value, dict) else value


def _utc(value: Any) -> Any:
    """Timestamps are UTC; SQLite may hand one out without saying so."""
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    return parsed.replace(tzinfo=UTC) if isinstance(parsed, datetime) and parsed.tzinfo is None else parsed


type Key = Annotated[str, BeforeValidator(_key)]
type Timestamp = Annotated[datetime, BeforeValidator(_utc)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _InvoiceRow(_Row):
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
    due_date: date | None = None
    sent_at: Timestamp | None = None
    pdf_status: str | None = None


class _LineItemRow(_Row):
    id: str
    amount: Decimal


class _PaymentRow(_Row):
    id: str
    invoice: Key | None = None
    amount: Decimal
    currency: str
    status: PaymentStatus
    method: str | None = None
    transaction_id: str | None = None
    checkout_session: str | None = None
    open_claim: str | None = None
    attempt: Annotated[dict[str, Any] | None, BeforeValidator(_object)] = None
    expires_at: Timestamp | None = None
    amount_refunded: Decimal | None = None
    amount_disputed_lost: Decimal | None = None


class _ReversalRow(_Row):
    payment: Key
    amount: Decimal
    currency: str | None = None
    status: str


class _DisputeRow(_Row):
    id: str
    line_item: Key | None = None
    amount: Decimal | None = None
    status: str


def _parse[Model: _Row](model: type[Model], row: Row, collection: str) -> Model:
    try:
        return model.model_validate(row)
    except ValidationError as error:
        names = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}))
        message = f"A row of {collection} cannot be read: look at {names}."
        raise DirectusRejected(message, code="row_unreadable", record=str(row.get("id"))) from None


def _money(value: Decimal | None, currency: str) -> Money | None:
    return None if value is None else Money.from_directus(value, currency)


def invoice_from_row(row: Row) -> Invoice:
    """Parse a row read with `INVOICE_FIELDS`; `currency_not_supported` if its currency is not accepted."""
    parsed = _parse(_InvoiceRow, row, "invoices")
    currency = parsed.currency.upper()
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
        due_date=parsed.due_date,
        sent_at=parsed.sent_at,
        pdf_status=parsed.pdf_status or "none",
    )


def line_item_from_row(row: Row, currency: str) -> LineItem:
    """Parse a row read with `LINE_ITEM_FIELDS`; amounts are in the invoice's currency."""
    parsed = _parse(_LineItemRow, row, "line_items")
    return LineItem(id=parsed.id, amount=Money.from_directus(parsed.amount, currency))


def payment_from_row(row: Row) -> Payment:
    """Parse a row read with `PAYMENT_FIELDS`."""
    parsed = _parse(_PaymentRow, row, "payments")
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
    )


def refund_from_row(row: Row, currency: str) -> Refund:
    """Parse a row read with `REFUND_FIELDS`; `currency` is the payment's, which a refund shares."""
    parsed = _parse(_ReversalRow, row, "refunds")
    return Refund(parsed.payment, _reversed(parsed, currency, "refunds"), parsed.status)


def payment_dispute_from_row(row: Row, currency: str) -> PaymentDispute:
    """Parse a row read with `PAYMENT_DISPUTE_FIELDS`; `currency` is the payment's."""
    parsed = _parse(_ReversalRow, row, "payment_disputes")
    return PaymentDispute(parsed.payment, _reversed(parsed, currency, "payment_disputes"), parsed.status)


def _reversed(parsed: _ReversalRow, currency: str, collection: str) -> Money:
    """What goes back on a payment goes back in its currency; another would be added up as if it were that one."""
    if (parsed.currency or currency).upper() != currency:
        message = f"A row of {collection} is in {parsed.currency}, its payment in {currency}."
        raise DirectusRejected(message, code="row_unreadable", payment=parsed.payment)
    return Money.from_directus(parsed.amount, currency)


def dispute_from_row(row: Row, currency: str) -> Dispute:
    """Parse a row read with `DISPUTE_FIELDS`; amounts are in the invoice's currency."""
    parsed = _parse(_DisputeRow, row, "disputes")
    return Dispute(parsed.id, parsed.status, parsed.line_item, _money(parsed.amount, currency))
