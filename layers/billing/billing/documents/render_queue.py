"""What the messages of the render queue ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.documents.deliver import FIRST
from billing.messages import RenderInvoicePdf, RenderReceiptPdf

if TYPE_CHECKING:
    from billing.documents.deliver import Order
    from billing.documents.render import RenderDocument
    from billing.documents.render_receipt import RenderReceipt
    from billing.messages import Rendering


@dataclass(frozen=True)
class RenderQueue:
    """Carries out the messages of the render queue."""

    invoices: RenderDocument
    receipts: RenderReceipt

    def handle(self, message: Rendering, order: Order = FIRST) -> None:
        """Raise what rendering raises; `order` is this delivery of the message."""
        match message:
            case RenderInvoicePdf(invoice, force):
                self.invoices.render_invoice(invoice, force=force, order=order)
            case RenderReceiptPdf(payment, force):
                self.receipts.render_receipt(payment, force=force, order=order)
