"""Accept invoices, and payments for their receipts, to render: check them, queue one message each.

Invoices must have been sent and are marked `pending`; a payment must be one that a receipt can be given for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from billing.aws.http_api import MAXIMUM_IDS, uuids
from billing.errors import BadRequest, Conflict, NotFound
from billing.messages import RenderInvoicePdf, RenderReceiptPdf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.aws.queues import WorkQueue
    from billing.directus.rows import Row


_NAMED_IN_AN_ERROR = 5


@dataclass(frozen=True)
class RenderRequest:
    """Distinct ids in the caller's order, at most `MAXIMUM_IDS` of each; `force` renders again what is there.

    `invoices` for their documents, `payments` for their receipts.
    """

    invoices: tuple[str, ...]
    force: bool
    payments: tuple[str, ...] = ()


class RenderableRows(Protocol):
    """The part of `DirectusClient` that is used here."""

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
    ) -> list[Row]:
        """Every row that matches."""
        ...

    def update_many(self, collection: str, keys: Sequence[str], payload: Mapping[str, object]) -> None:
        """Write the same values to several rows."""
        ...


def render_request(body: Mapping[str, Any]) -> RenderRequest:
    """Read `{"invoices"?: id or [id, ...], "payments"?: the same, "force"?: bool}`; `BadRequest` names what is wrong."""
    invoices, payments = tuple(uuids(body, "invoices")), tuple(uuids(body, "payments"))
    if not invoices and not payments:
        message = f"`invoices` must name 1 to {MAXIMUM_IDS} invoices, or `payments` as many payments."
        raise BadRequest(message, code="nothing_to_do")
    force = body.get("force", False)
    if not isinstance(force, bool):
        message = "`force` must be true or false."
        raise BadRequest(message, code="invalid_force")
    return RenderRequest(invoices, force, payments)


def request_rendering(request: RenderRequest, rows: RenderableRows, queue: WorkQueue) -> int:
    """Mark the invoices `pending`, queue them and the payments, and return how many.

    All or nothing: an unknown id is `NotFound`, a draft is `Conflict` `invoice_is_draft`, a payment that no receipt is due
    for is `Conflict` `no_receipt_due`. The mark comes first, so that an invoice whose message was lost is found by its age.
    """
    _check_invoices(request.invoices, rows)
    _check_payments(request.payments, rows)
    if request.invoices:
        rows.update_many("invoices", request.invoices, {"pdf_status": "pending", "pdf_error": None})
    invoices = [RenderInvoicePdf(invoice, force=request.force) for invoice in request.invoices]
    receipts = [RenderReceiptPdf(payment, force=request.force) for payment in request.payments]
    queue.send_many([*invoices, *receipts])
    return len(invoices) + len(receipts)


def _check_invoices(invoices: Sequence[str], rows: RenderableRows) -> None:
    status = {row["id"]: row["status"] for row in _read(rows, "invoices", invoices, ("id", "status"))}
    if unknown := [invoice for invoice in invoices if invoice not in status]:
        raise NotFound(f"There is no such invoice: {_some(unknown)}.", invoice=unknown[0])
    if drafts := [invoice for invoice in invoices if status[invoice] == "draft"]:
        message = f"A draft has no PDF; send the invoice first: {_some(drafts)}."
        raise Conflict(message, code="invoice_is_draft", invoice=drafts[0])


def _check_payments(payments: Sequence[str], rows: RenderableRows) -> None:
    """As the renderer decides it (`ledger.receipts_due.is_due`): a person who asks is told at once."""
    fields = ("id", "status", "invoice", "client")
    found = {row["id"]: row for row in _read(rows, "payments", payments, fields)}
    if unknown := [payment for payment in payments if payment not in found]:
        raise NotFound(f"There is no such payment: {_some(unknown)}.", payment=unknown[0])
    received = {
        key: row["invoice"]
        for key, row in found.items()
        if row["status"] == "succeeded" and row["invoice"] and row["client"]
    }
    invoices = _read(rows, "invoices", sorted(set(received.values())), ("id", "sent_at"))
    sent = {row["id"] for row in invoices if row["sent_at"]}
    if none_due := [payment for payment in payments if received.get(payment) not in sent]:
        message = f"Only money that was received for a sent invoice has a receipt: {_some(none_due)}."
        raise Conflict(message, code="no_receipt_due", payment=none_due[0])


def _read(rows: RenderableRows, collection: str, keys: Sequence[str], fields: Sequence[str]) -> list[Row]:
    """Nothing is asked about no rows: Directus refuses an empty list."""
    return rows.read_many(collection, filter={"id": {"_in": list(keys)}}, fields=fields) if keys else []


def _some(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED_IN_AN_ERROR
    return ", ".join(keys[:_NAMED_IN_AN_ERROR]) + (f" and {more} more" if more > 0 else "")
