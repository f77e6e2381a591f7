"""Use case of `POST /invoices/changed`: the invoices behind the rows that a flow says have changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class RowReader(Protocol):
    """What this use case asks of Directus."""

    def read_many(self, collection: str, *, filter: Mapping[str, object], fields: Sequence[str]) -> list[Row]:  # noqa: A002  # Directus's own word
        """Every row that matches."""
        ...


@dataclass(frozen=True)
class FindInvoices:
    """The use case with what it needs."""

    rows: RowReader

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
        """Those that are on no invoice while they name, or a client sees, a receipt for the one they were on.

        No invoice's recompute asks for these. One whose next receipt could not be drawn names none, and the one before
        it is still to be seen.
        """
        found: list[str] = []
        for chunk in batched(payments, _CHUNK, strict=False):
            on_none = {"_and": [{"id": {"_in": list(chunk)}}, {"invoice": {"_null": True}}]}
            rows = self.rows.read_many("payments", filter=on_none, fields=("id", "receipt"))
            shown = self._with_shown_receipts([str(row["id"]) for row in rows if not row["receipt"]])
            found += [str(row["id"]) for row in rows if row["receipt"] or row["id"] in shown]
        return found

    def _with_shown_receipts(self, payments: Sequence[str]) -> set[str]:
        if not payments:
            return set()
        of_these = {"_and": [{"payment": {"_in": list(payments)}}, *_SHOWN_RECEIPTS]}
        return {
            str(row["payment"])
            for row in self.rows.read_many("documents", filter=of_these, fields=("payment",))
        }

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
