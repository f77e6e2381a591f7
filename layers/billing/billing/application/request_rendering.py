"""Accept invoices to render: check that they exist and were sent, mark them `pending`, queue one message each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from billing.errors import BadRequest, Conflict, NotFound
from billing.request_values import MAXIMUM_IDS, uuids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.adapters.directus import Row
    from billing.adapters.queues import WorkQueue

_NAMED_IN_AN_ERROR = 5


@dataclass(frozen=True)
class RenderRequest:
    """Distinct invoice ids, 1 to `MAXIMUM_IDS`, in the caller's order; `force` draws them again."""

    invoices: tuple[str, ...]
    force: bool


class InvoiceRows(Protocol):
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
    """Read `{"invoices": id or [id, ...], "force"?: bool}`; `BadRequest` names what is wrong with it."""
    invoices = tuple(uuids(body, "invoices"))
    if not invoices:
        message = f"`invoices` must name 1 to {MAXIMUM_IDS} invoices."
        raise BadRequest(message, code="nothing_to_do")
    force = body.get("force", False)
    if not isinstance(force, bool):
        message = "`force` must be true or false."
        raise BadRequest(message, code="invalid_force")
    return RenderRequest(invoices, force)


def request_rendering(request: RenderRequest, rows: InvoiceRows, queue: WorkQueue) -> int:
    """Mark the invoices `pending`, queue them, and return how many.

    All or nothing: an unknown id is `NotFound`, a draft is `Conflict` `invoice_is_draft`. The mark comes first, so
    that an invoice whose message was lost is found by its age.
    """
    found = rows.read_many(
        "invoices", filter={"id": {"_in": list(request.invoices)}}, fields=("id", "status")
    )
    status = {row["id"]: row["status"] for row in found}
    if unknown := [invoice for invoice in request.invoices if invoice not in status]:
        raise NotFound(f"There is no such invoice: {_some(unknown)}.", invoice=unknown[0])
    if drafts := [invoice for invoice in request.invoices if status[invoice] == "draft"]:
        message = f"A draft has no PDF; send the invoice first: {_some(drafts)}."
        raise Conflict(message, code="invoice_is_draft", invoice=drafts[0])
    rows.update_many("invoices", request.invoices, {"pdf_status": "pending", "pdf_error": None})
    queue.send_many(
        [{"type": "invoice", "invoice": invoice, "force": request.force} for invoice in request.invoices]
    )
    return len(request.invoices)


def _some(invoices: Sequence[str]) -> str:
    more = len(invoices) - _NAMED_IN_AN_ERROR
    return ", ".join(invoices[:_NAMED_IN_AN_ERROR]) + (f" and {more} more" if more > 0 else "")
