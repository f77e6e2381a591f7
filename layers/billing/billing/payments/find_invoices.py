"""Use case of `POST /invoices/changed`: the invoices behind the rows that a flow says have changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.ledger.receipts_due import Receipt, wants_renderer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.directus.client import DirectusClient
    from billing.directus.rows import Row


#: How each collection leads to invoices; `invoices` themselves need no look.
PATH_TO_INVOICE: dict[str, str] = {
    "line_items": "invoice",
    "payments": "invoice",
    "refunds": "payment.invoice",
    "disputes": "invoice",
}
#: Receipts that a client sees and that were not withdrawn before: one that was is staff's to show again.
_SHOWN_RECEIPTS: tuple[Mapping[str, object], ...] = (
    {"type": {"_eq": "receipt"}},
    {"visible_to_client": {"_eq": True}},
    {"withdrawn_at": {"_null": True}},
)
#: A filter of this many ids stays well below Directus's limits.
_CHUNK = 200


@dataclass(frozen=True)
class FindInvoices:
    """The use case with what it needs."""

    rows: DirectusClient

    def __call__(self, changed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The invoices to recompute, each with those of the changed payments that are on it.

        `changed` holds ids by collection. Rows that exist no more (a deleted line, a rolled-back create) and
        payments without an invoice lead nowhere, and are no error.
        """
        invoices: dict[str, list[str]] = {
            invoice: [] for invoice in self._existing(changed.get("invoices", ()))
        }
        for collection, path in PATH_TO_INVOICE.items():
            for key, invoice in self._behind(collection, path, changed.get(collection, ())):
                payments = invoices.setdefault(invoice, [])
                if collection == "payments":
                    payments.append(key)
        return invoices

    def unassigned_payments(self, payments: Sequence[str]) -> list[str]:
        """Payments without an invoice whose old receipt is still current, or still visible to a client.

        No recompute reaches them. A payment whose next receipt failed names none, but its client may still see the one
        before.
        """
        from billing.ledger.store import PAYMENT_FIELDS, payment_from_row  # noqa: PLC0415  # pydantic: hardly ever needed

        def is_concerned(row: Row, shown: Sequence[Receipt]) -> bool:
            try:
                payment = payment_from_row(row)
            except BillingError:
                return True  # the renderer says what cannot be read: the recomputes of the others do not wait for it
            return wants_renderer(payment, shown, is_sent=False)

        found: list[str] = []
        for chunk in batched(payments, _CHUNK, strict=False):
            on_none = {"_and": [{"id": {"_in": list(chunk)}}, {"invoice": {"_null": True}}]}
            rows = self.rows.read_many("payments", filter=on_none, fields=PAYMENT_FIELDS)
            shown = self._shown_receipts([str(row["id"]) for row in rows])
            found += [str(row["id"]) for row in rows if is_concerned(row, shown.get(str(row["id"]), []))]
        return found

    def _shown_receipts(self, payments: Sequence[str]) -> dict[str, list[Receipt]]:
        if not payments:
            return {}
        of_these = {"_and": [{"payment": {"_in": list(payments)}}, *_SHOWN_RECEIPTS]}
        shown: dict[str, list[Receipt]] = {}
        for row in self.rows.read_many("documents", filter=of_these, fields=("payment", "invoice", "client")):
            shown.setdefault(str(row["payment"]), []).append(
                Receipt((row["invoice"], row["client"]), is_shown=True)
            )
        return shown

    def _existing(self, keys: Sequence[str]) -> list[str]:
        return [str(row["id"]) for row in self._read("invoices", keys, ("id",))]

    def _behind(self, collection: str, path: str, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Those of the rows that lead to an invoice, each with that."""
        found = [(str(row["id"]), _follow(row, path)) for row in self._read(collection, keys, ("id", path))]
        return [(key, invoice) for key, invoice in found if invoice is not None]

    def _read(self, collection: str, keys: Sequence[str], fields: Sequence[str]) -> list[Row]:
        return [
            row
            for chunk in batched(keys, _CHUNK, strict=False)
            for row in self.rows.read_many(collection, filter={"id": {"_in": list(chunk)}}, fields=fields)
        ]


def _follow(row: Row, path: str) -> str | None:
    value: object = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
