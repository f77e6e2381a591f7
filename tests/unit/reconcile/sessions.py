"""Sessions and payments to compare."""

from __future__ import annotations

from billing.ledger.ledger import PaymentStatus
from tests.unit.reconcile.support import (
    session,
)

PENDING, PROCESSING = PaymentStatus.PENDING, PaymentStatus.PROCESSING
FAILED, CANCELED = PaymentStatus.FAILED, PaymentStatus.CANCELED
OPEN = session("open", "unpaid", intent=None)
EXPIRED = session("expired", "unpaid", intent=None)
ON_ITS_WAY = session("complete", "unpaid", intent="processing")
DEAD = session("complete", "unpaid", intent="requires_payment_method")
