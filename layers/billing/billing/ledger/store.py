"""Ledgers as Directus's rows tell them: one row, or an invoice with everything below it in one request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from billing.directus.rows import Key, RowModel, Timestamp, json_value, parse
from billing.errors import BillingError, DirectusRejected, UpstreamUnavailable
from billing.ledger.ledger import (
    OPEN_DISPUTE,
    Dispute,
    Invoice,
    InvoiceStatus,
    Ledger,
    LineItem,
    Payment,
    PaymentDispute,
    PaymentFlag,
    PaymentStatus,
    Refund,
)
from billing.money import Money, accepted_currency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from billing.directus.client import DirectusClient
    from billing.directus.rows import Row


INVOICE_FIELDS = (
    "id", "invoice_number", "client", "currency", "status", "tax_rate", "subtotal", "tax", "total",
    "amount_paid", "balance_due", "issue_date", "due_date", "sent_at", "voided_at", "pdf_status",
    "pdf_error",
)  # fmt: skip
LINE_ITEM_FIELDS = ("id", "amount")
PAYMENT_FIELDS = (
    "id", "invoice", "amount", "currency", "status", "method", "transaction_id", "checkout_session", "open_claim",
    "attempt", "expires_at", "amount_refunded", "amount_disputed_lost", "fee", "client", "note", "receipt",
    "date_created", "date_updated", "payment_date", "receipt_says", "failure_reason", "brand", "bank_name",
    "account_type", "last4", "flag",
)  # fmt: skip
REFUND_FIELDS = (
    "id", "payment", "amount", "currency", "status", "stripe_refund", "reason", "refunded_at",
)  # fmt: skip
PAYMENT_DISPUTE_FIELDS = (
    "id", "payment", "amount", "currency", "status", "stripe_dispute", "evidence_due_by", "reason", "closed_at",
)  # fmt: skip
DISPUTE_FIELDS = ("id", "line_item", "amount", "status")

#: Days; a test holds the model to it.
LONGEST_PAYMENT_TERMS = 3650


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
    pdf_error: str | None = None


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
    failure_reason: str | None = None
    brand: str | None = None
    bank_name: str | None = None
    account_type: str | None = None
    last4: str | None = None
    flag: PaymentFlag | None = None


class _ReversalRow(RowModel):
    id: str
    payment: Key
    amount: Decimal
    currency: str | None = None
    status: str
    stripe_refund: str | None = None
    stripe_dispute: str | None = None
    evidence_due_by: Timestamp | None = None
    reason: str | None = None
    refunded_at: Timestamp | None = None
    closed_at: Timestamp | None = None


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
        pdf_error=parsed.pdf_error,
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
        failure_reason=parsed.failure_reason,
        brand=parsed.brand,
        bank_name=parsed.bank_name,
        account_type=parsed.account_type,
        last4=parsed.last4,
        flag=parsed.flag,
    )


def refund_from_row(row: Row, currency: str) -> Refund:
    """Parse a row read with `REFUND_FIELDS`; `currency` is the payment's, which a refund shares."""
    parsed = parse(_ReversalRow, row, "refunds")
    amount = _reversed(parsed, currency, "refunds")
    return Refund(
        parsed.payment,
        amount,
        parsed.status,
        parsed.id,
        parsed.stripe_refund,
        parsed.reason,
        parsed.refunded_at,
    )


def payment_dispute_from_row(row: Row, currency: str) -> PaymentDispute:
    """Parse a row read with `PAYMENT_DISPUTE_FIELDS`; `currency` is the payment's."""
    parsed = parse(_ReversalRow, row, "payment_disputes")
    amount = _reversed(parsed, currency, "payment_disputes")
    return PaymentDispute(
        parsed.payment,
        amount,
        parsed.status,
        parsed.id,
        parsed.stripe_dispute,
        parsed.evidence_due_by,
        parsed.reason,
        parsed.closed_at,
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


_BELOW_INVOICE = {"line_items": LINE_ITEM_FIELDS, "payments": PAYMENT_FIELDS, "disputes": DISPUTE_FIELDS}
_BELOW_PAYMENT = {"refunds": REFUND_FIELDS, "payment_disputes": PAYMENT_DISPUTE_FIELDS}
_FIELDS = (
    *INVOICE_FIELDS,
    "client.id",
    "client.timezone",
    *(f"count({name})" for name in _BELOW_INVOICE),
    *(f"{name}.{field}" for name, fields in _BELOW_INVOICE.items() for field in fields),
    *(f"payments.count({name})" for name in _BELOW_PAYMENT),
    *(f"payments.{name}.{field}" for name, fields in _BELOW_PAYMENT.items() for field in fields),
)
_ALL = {"_limit": -1, "_sort": ["id"]}
_DEEP = dict.fromkeys(_BELOW_INVOICE, _ALL) | {"payments": _ALL | dict.fromkeys(_BELOW_PAYMENT, _ALL)}


@dataclass(frozen=True)
class UnreadableInvoice:
    """An invoice with a row that cannot be read; the error says which and why.

    `readable` is the ledger without such rows and with its `fault`; None if the invoice itself cannot be read.
    """

    invoice: str
    error: BillingError
    readable: Ledger | None = None


class BulkLedgers:
    """Reads ledgers by their invoices' ids."""

    def __init__(self, client: DirectusClient) -> None:
        """`client` acts as the functions' service user."""
        self._client = client

    def firm_timezone(self) -> str | None:
        """The firm's IANA time zone as stored."""
        return self._client.read_singleton("firm", ("timezone",)).get("timezone")

    def with_firms_terms(self, ledger: Ledger) -> Ledger:
        """The ledger with the firm's payment terms and time zone as they are at this moment."""
        firm = self._client.read_singleton("firm", ("timezone", "payment_terms_days"))
        return replace(
            ledger,
            firm_timezone=firm.get("timezone"),
            payment_terms_days=payment_terms_days(firm.get("payment_terms_days")),
        )

    def ledgers(self, invoices: Sequence[str], firm_timezone: str | None) -> list[Ledger | UnreadableInvoice]:
        """The ledgers of one chunk of invoices, in the order of their ids; ids that do not exist are left out."""
        rows = self._rows(invoices)
        if short := [row["id"] for row in rows if not _is_complete(row)]:
            # A row was added between two of Directus's own queries: the second look has it in both.
            again = {row["id"]: row for row in self._rows(short)}
            rows = [again.get(row["id"], row) for row in rows]
        return [
            _ledger(row, firm_timezone)
            if _is_complete(row)
            else UnreadableInvoice(row["id"], _cut(row["id"]))
            for row in rows
        ]

    def _rows(self, invoices: Sequence[str]) -> list[Row]:
        return self._client.read_many(
            "invoices", filter={"id": {"_in": list(invoices)}}, fields=_FIELDS, sort=("id",), deep=_DEEP
        )


def _is_complete(row: Row) -> bool:
    """Whether every list below the invoice has as many rows as there are: half a ledger is a wrong balance."""
    return all(len(row[name]) == int(row[f"{name}_count"]) for name in _BELOW_INVOICE) and all(
        len(payment[name]) == int(payment[f"{name}_count"])
        for payment in row["payments"]
        for name in _BELOW_PAYMENT
    )


def _cut(invoice: str) -> UpstreamUnavailable:
    message = (
        "Directus returned fewer rows of the invoice than it counts. They may have been changing; if this continues, "
        "QUERY_LIMIT_MAX of Directus is too small for this invoice."
    )
    return UpstreamUnavailable(message, code="rows_cut", invoice=invoice)


def _ledger(row: Row, firm_timezone: str | None) -> Ledger | UnreadableInvoice:
    key = row["id"]
    try:
        invoice = invoice_from_row(row)
    except BillingError as error:
        return UnreadableInvoice(key, error)
    readable = _Readable()
    payments = readable.of(payment_from_row, row["payments"])

    def below(name: str) -> Mapping[str, Sequence[Row]]:
        return {payment["id"]: payment[name] for payment in row["payments"]}

    ledger = Ledger(
        invoice=invoice,
        line_items=readable.of(lambda found: line_item_from_row(found, invoice.currency), row["line_items"]),
        payments=payments,
        refunds=readable.below(refund_from_row, payments, below("refunds")),
        payment_disputes=readable.below(payment_dispute_from_row, payments, below("payment_disputes")),
        disputes=readable.of(lambda found: dispute_from_row(found, invoice.currency), row["disputes"]),
        client_timezone=row["client"].get("timezone"),
        firm_timezone=firm_timezone,
    )
    fault = readable.fault
    return ledger if fault is None else UnreadableInvoice(key, fault, replace(ledger, fault=fault))


class _Readable:
    """Parses rows and keeps the first failure: one unreadable row must not keep money from being booked."""

    def __init__(self) -> None:
        self.fault: BillingError | None = None

    def of[Parsed](self, parse: Callable[[Row], Parsed], rows: Iterable[Row]) -> list[Parsed]:
        """Return the rows that can be read."""
        parsed: list[Parsed] = []
        for row in rows:
            try:
                parsed.append(parse(row))
            except BillingError as error:
                self.fault = self.fault or error
        return parsed

    def below[Parsed](
        self,
        parse: Callable[[Row, str], Parsed],
        payments: Sequence[Payment],
        rows: Mapping[str, Sequence[Row]],
    ) -> list[Parsed]:
        """Return the rows below payments that can be read; they share their payment's currency."""
        found: list[Parsed] = []
        for payment in payments:
            currency = payment.amount.currency
            found += self.of(lambda row, currency=currency: parse(row, currency), rows[payment.id])  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return found
