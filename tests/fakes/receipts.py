"""What the renderer writes on a payment row when it has made its receipt."""

import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any

from billing.errors import Unprocessable
from billing.ledger.receipts_due import receipt_fingerprint
from billing.money import Money


def receipt_columns(payment: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt that says what the row says now; of an amount that nobody can read it says nothing."""
    return {"receipt": str(uuid.uuid4()), "receipt_says": _statement(payment)}


def _statement(payment: Mapping[str, Any]) -> str | None:
    day = payment.get("payment_date")
    try:
        return receipt_fingerprint(
            invoice=payment["invoice"],
            client=payment["client"],
            amount=Money.from_directus(payment["amount"], payment["currency"]),
            method=payment["method"] or "other",
            day=date.fromisoformat(day) if day else None,
        )
    except Unprocessable:
        return None
