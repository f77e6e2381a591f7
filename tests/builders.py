"""The values that the tests of several rooms begin with; what a test says of them is all that differs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from billing.ledger.ledger import Invoice, InvoiceStatus
from billing.money import Money

SENT_AT = datetime(2026, 2, 1, 12, tzinfo=UTC)


def usd(amount: int | str) -> Money:
    """US dollars: a number of cents, or text as Directus writes it."""
    return Money(amount, "USD") if isinstance(amount, int) else Money.from_decimal(Decimal(amount), "USD")


def sent_invoice(key: str = "i1", **columns: Any) -> Invoice:
    """An invoice in US dollars without tax, as it was sent; `columns` differ."""
    usual: dict[str, Any] = {
        "invoice_number": "INV-1", "client": "client-1", "currency": "USD", "status": InvoiceStatus.SENT,
        "tax_rate": Decimal(0), "sent_at": SENT_AT,
    }  # fmt: skip
    return Invoice(key, **usual | columns)
