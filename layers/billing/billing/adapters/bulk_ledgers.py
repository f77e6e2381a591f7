"""The ledgers of many invoices with six requests, instead of six for each.

Child rows are read from their own collections by the keys of their parents, all of them: Directus cuts nested
lists at 100 rows. One invoice whose rows cannot be read is handed out as such and never hides the others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
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
    from collections.abc import Mapping, Sequence

    from billing.adapters.directus import DirectusClient, Row


@dataclass(frozen=True)
class UnreadableInvoice:
    """An invoice with a row that cannot be read; the error says which and why."""

    invoice: str
    error: BillingError


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
        payments = [payment_from_row(found) for found in children.payments.get(key, ())]
        return Ledger(
            invoice=invoice,
            line_items=[line_item_from_row(r, invoice.currency) for r in children.line_items.get(key, ())],
            payments=payments,
            refunds=[
                refund_from_row(r, payment.amount.currency)
                for payment in payments
                for r in children.refunds.get(payment.id, ())
            ],
            payment_disputes=[
                payment_dispute_from_row(r, payment.amount.currency)
                for payment in payments
                for r in children.payment_disputes.get(payment.id, ())
            ],
            disputes=[dispute_from_row(r, invoice.currency) for r in children.disputes.get(key, ())],
            client_timezone=row["client"].get("timezone"),
            firm_timezone=firm_timezone,
        )
    except BillingError as error:
        return UnreadableInvoice(key, error)
