"""What the messages of the render queue ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.documents.deliver import FIRST
from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.documents.deliver import Order
    from billing.documents.render import RenderDocument
    from billing.documents.render_receipt import RenderReceipt


@dataclass(frozen=True)
class RenderQueue:
    """Carries out messages, `{"type": "invoice", "invoice": id, "force": bool}` or `{"type": "receipt", "payment": id, ...}`."""

    invoices: RenderDocument
    receipts: RenderReceipt

    def handle(self, message: Mapping[str, object], order: Order = FIRST) -> None:
        """Raise `BadRequest` `unknown_message`, or what rendering raises; `order` is this delivery of the message."""
        force = message.get("force") is True
        match message:
            case {"type": "invoice", "invoice": str(invoice)}:
                self.invoices.render_invoice(invoice, force=force, order=order)
            case {"type": "receipt", "payment": str(payment)}:
                self.receipts.render_receipt(payment, force=force, order=order)
            case _:
                kind = message.get("type")
                detail = f"The render queue holds a message of type {kind!r} that nobody here knows."
                raise BadRequest(detail, code="unknown_message")
