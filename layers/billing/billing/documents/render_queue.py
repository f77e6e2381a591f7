"""What the messages of the render queue ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.documents.render import RenderDocument
    from billing.documents.render_receipt import RenderReceipt


@dataclass(frozen=True)
class RenderQueue:
    """Carries out messages, `{"type": "invoice", "invoice": id, "force": bool}` or `{"type": "receipt", "payment": id, ...}`."""

    invoices: RenderDocument
    receipts: RenderReceipt

    def handle(self, message: Mapping[str, object], *, receive: int = 1) -> None:
        """Raise `BadRequest` `unknown_message`, or what drawing raises; `receive` counts the message's deliveries."""
        force = message.get("force") is True
        match message:
            case {"type": "invoice", "invoice": str(invoice)}:
                self.invoices.render_invoice(invoice, force=force, receive=receive)
            case {"type": "receipt", "payment": str(payment)}:
                self.receipts.render_receipt(payment, force=force)
            case _:
                kind = message.get("type")
                detail = f"The render queue holds a message of type {kind!r} that nobody here knows."
                raise BadRequest(detail, code="unknown_message")
