"""The ledgers of one or many invoices with one request.

Directus cuts the lists below a row at 100 rows unless `deep` says otherwise, and at its QUERY_LIMIT_MAX whatever one
says; so it is asked to count them, too. One invoice whose rows cannot be read is handed out as such and never hides
the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.adapters.rows import (
    DISPUTE_FIELDS,
    INVOICE_FIELDS,
    LINE_ITEM_FIELDS,
    PAYMENT_DISPUTE_FIELDS,
    PAYMENT_FIELDS,
    REFUND_FIELDS,
    dispute_from_row,
    invoice_from_row,
    line_item_from_row,
    payment_dispute_from_row,
    payment_from_row,
    payment_terms_days,
    refund_from_row,
)
from billing.core.ledger import Ledger
from billing.errors import BillingError, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from billing.adapters.directus import DirectusClient, Row
    from billing.core.ledger import Payment


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
        "Directus sent fewer rows below the invoice than it counts. They were being changed; if it stays so, "
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
