"""The ledgers of many invoices with six requests, instead of six for each.

Child rows are read from their own collections by the keys of their parents, all of them: Directus cuts nested
lists at 100 rows. One invoice whose rows cannot be read is handed out as such and never hides the others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.adapters.chunks import chunks
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
    refund_from_row,
)
from billing.core.ledger import Ledger
from billing.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from billing.adapters.directus import DirectusClient, Row
    from billing.core.ledger import Payment


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

    def ledgers(self, invoices: Sequence[str], firm_timezone: str | None) -> list[Ledger | UnreadableInvoice]:
        """The ledgers of one chunk of invoices, in the order of their ids; ids that do not exist are left out."""
        rows = self._client.read_many(
            "invoices",
            filter={"id": {"_in": list(invoices)}},
            fields=(*INVOICE_FIELDS, "client.id", "client.timezone"),
            sort=("id",),
        )
        children = _Children(self._client, [row["id"] for row in rows])
        return [_ledger(row, children, firm_timezone) for row in rows]


class _Children:
    """The rows below some invoices, by their parents."""

    def __init__(self, client: DirectusClient, invoices: Sequence[str]) -> None:
        self._client = client
        self.line_items = self._below("line_items", LINE_ITEM_FIELDS, "invoice", invoices)
        self.payments = self._below("payments", PAYMENT_FIELDS, "invoice", invoices)
        self.disputes = self._below("disputes", DISPUTE_FIELDS, "invoice", invoices)
        payments = [row["id"] for rows in self.payments.values() for row in rows]
        self.refunds = self._below("refunds", REFUND_FIELDS, "payment", payments)
        self.payment_disputes = self._below("payment_disputes", PAYMENT_DISPUTE_FIELDS, "payment", payments)

    def _below(
        self, collection: str, fields: Sequence[str], link: str, parents: Sequence[str]
    ) -> Mapping[str, list[Row]]:
        found: defaultdict[str, list[Row]] = defaultdict(list)
        # Payments are not bounded by the chunk of invoices, so their keys are cut again.
        for keys in chunks(parents):
            for row in self._client.read_many(
                collection, filter={link: {"_in": list(keys)}}, fields=fields, sort=(link, "id")
            ):
                found[row[link]].append(row)
        return found


def _ledger(row: Row, children: _Children, firm_timezone: str | None) -> Ledger | UnreadableInvoice:
    key = row["id"]
    try:
        invoice = invoice_from_row(row)
    except BillingError as error:
        return UnreadableInvoice(key, error)
    readable = _Readable()
    payments = readable.of(payment_from_row, children.payments.get(key, ()))
    ledger = Ledger(
        invoice=invoice,
        line_items=readable.of(
            lambda found: line_item_from_row(found, invoice.currency), children.line_items.get(key, ())
        ),
        payments=payments,
        refunds=readable.below(refund_from_row, payments, children.refunds),
        payment_disputes=readable.below(payment_dispute_from_row, payments, children.payment_disputes),
        disputes=readable.of(
            lambda found: dispute_from_row(found, invoice.currency), children.disputes.get(key, ())
        ),
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
        """Return the rows below payments, which share their payment's currency."""
        found: list[Parsed] = []
        for payment in payments:
            currency = payment.amount.currency
            found += self.of(lambda row, currency=currency: parse(row, currency), rows.get(payment.id, ()))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return found
