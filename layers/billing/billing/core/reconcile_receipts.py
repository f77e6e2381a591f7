"""Succeeded payments that have no receipt: whoever should have asked for it died, or it cannot be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.core.receipts_due import without_receipt
from billing.core.reconciliation import GRACE, Difference, Recompute, ids_of

if TYPE_CHECKING:
    from datetime import datetime

    from billing.core.ledger import Ledger


def compare_receipts(ledger: Ledger, now: datetime) -> list[Difference]:
    """The payments of a sent invoice that nobody has changed for a while and that name no receipt.

    The one writer asks for them when it recomputes the invoice. A payment of another client is named elsewhere and gets
    no receipt before that is settled.
    """
    invoice = ledger.invoice
    if invoice.sent_at is None:
        return []
    missing = set(without_receipt(ledger.payments))
    text = (
        f"A payment on invoice {invoice.invoice_number} succeeded more than 15 minutes ago and has no receipt yet; if it"
        " cannot be drawn, the payment's receipt_error says why."
    )
    return [
        Difference(
            "receipt_missing", text, ids_of(invoice=invoice.id, payment=payment.id), Recompute(invoice.id)
        )
        for payment in ledger.payments
        if payment.id in missing
        and payment.client == invoice.client
        and payment.changed_at is not None
        and now - payment.changed_at >= GRACE
    ]
