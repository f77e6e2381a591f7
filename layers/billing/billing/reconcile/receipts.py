"""Payments without a receipt, or with one that says something else: whoever should have asked died, or cannot render it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.ledger.receipts_due import wants_renderer
from billing.messages import RenderReceiptPdf
from billing.reconcile.differences import GRACE, Difference, ids_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from billing.ledger.ledger import Ledger, Payment
    from billing.ledger.receipts_due import Receipt


def compare_receipts(ledger: Ledger, now: datetime) -> list[Difference]:
    """The payments of a sent invoice that nobody has changed for a while and that name no receipt, or an untrue one.

    The invoice writer orders each once, when it becomes due. A payment of another client is named elsewhere and gets no
    receipt before that is settled.
    """
    invoice = ledger.invoice
    if invoice.sent_at is None:
        return []
    settled = [
        payment
        for payment in ledger.payments
        if payment.changed_at is not None
        and now - payment.changed_at >= GRACE
        and wants_renderer(payment, is_sent=True)
    ]
    text = (
        f"A payment on invoice {invoice.invoice_number} succeeded more than 15 minutes ago and has no receipt yet. If it"
        " cannot be rendered, the payment's receipt_error says why."
    )
    untrue = (
        f"The receipt of a payment on invoice {invoice.invoice_number} no longer matches it: the payment was moved there, or"
        " its amount or date was corrected. If a new one cannot be rendered, the payment's receipt_error says why."
    )
    unknown = (
        f"The receipt of a payment on invoice {invoice.invoice_number} was made before receipts were compared with"
        " their payment; it is checked once."
    )
    return [
        Difference(
            "receipt_missing",
            text,
            ids_of(invoice=invoice.id, payment=payment.id),
            RenderReceiptPdf(payment.id),
        )
        for payment in settled
        if payment.receipt is None and payment.client == invoice.client
    ] + [
        Difference(
            "receipt_outdated",
            unknown if payment.receipt_says is None else untrue,
            ids_of(invoice=invoice.id, payment=payment.id),
            RenderReceiptPdf(payment.id),
        )
        for payment in settled
        if payment.receipt is not None
    ]


def compare_detached(payment: Payment, shown: Sequence[Receipt]) -> list[Difference]:
    """A payment on no invoice, or on a draft, while it names, or a client sees, a receipt of the invoice it was on.

    Nobody looks at these invoices every hour, and the client of that one goes on reading what is no longer so. One whose
    next receipt could not be rendered names none, so the receipts that are `shown` are asked as well.
    """
    if not wants_renderer(payment, shown, is_sent=False):
        return []
    seen = any(receipt.place != (payment.invoice, payment.client) for receipt in shown)
    moved = "was removed from its invoice" if payment.invoice is None else "was moved to a draft"
    left = "its client still sees" if seen else "it still names"
    text = f"A payment of {payment.amount} {moved}, and {left} the receipt for the invoice that the payment was on."
    return [Difference("receipt_outdated", text, ids_of(payment=payment.id), RenderReceiptPdf(payment.id))]
