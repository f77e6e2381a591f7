"""Which payments the renderer must be asked for a receipt of: decided by their rows, whoever asks and however often.

Asking twice does no harm: what is there already is met again (contract §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.core.booking import is_by_hand
from billing.core.ledger import Payment, PaymentStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


def without_receipt(payments: Sequence[Payment]) -> list[str]:
    """Ids of the invoice's succeeded payments that name no receipt."""
    return [payment.id for payment in payments if _is_received(payment) and payment.receipt is None]


def perhaps_edited(payments: Sequence[Payment]) -> list[str]:
    """Ids of those whose receipt may say another amount or day by now: only what the firm entered is ever edited."""
    return [
        payment.id
        for payment in payments
        if _is_received(payment) and payment.receipt is not None and is_by_hand(payment)
    ]


def _is_received(payment: Payment) -> bool:
    assigned = payment.invoice is not None and payment.client is not None
    return payment.status is PaymentStatus.SUCCEEDED and assigned
