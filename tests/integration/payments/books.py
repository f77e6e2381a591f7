"""An auditor who knows none of our code: does Directus say what Stripe says, and each invoice what its rows say?"""

from collections import Counter
from decimal import Decimal
from typing import Any

from billing.errors import BillingError
from tests.integration.payments.firm import Firm

_NOTHING = Decimal("0.00")


def audit(firm: Firm, invoice: str) -> None:
    """Everything that must hold once all is quiet."""
    assert firm.queue.dead == []
    assert firm.parked == []
    unnamed = [error for error in firm.failures if not (isinstance(error, BillingError) and error.retryable)]
    assert unnamed == []
    _the_invoice_is_what_its_rows_say(firm, invoice)
    _the_rows_are_what_stripe_says(firm, invoice)
    _a_claim_is_held_by_what_can_still_be_paid(firm, invoice)


def amount_paid(firm: Firm, invoice: str) -> Decimal:
    """What the succeeded rows add up to."""
    rows = firm.rows("payments", invoice, status="succeeded")
    return sum((_decimal(row["amount"]) for row in rows), _NOTHING)


def never_half_written(firm: Firm, invoice: str) -> None:
    """What must hold at every moment at which only the one writer is at work: the sum is that of the rows."""
    for row in firm.admin.rows("/items/invoices", **{"filter[id][_eq]": invoice}):
        assert _decimal(row["amount_paid"] or 0) == amount_paid(firm, invoice)


def _the_invoice_is_what_its_rows_say(firm: Firm, invoice: str) -> None:
    stored = firm.stored(invoice)
    total = sum((_decimal(row["amount"]) for row in firm.rows("line_items", invoice)), _NOTHING)
    paid = amount_paid(firm, invoice)
    void = stored["status"] == "void"
    balance = -paid if void else total - paid
    found = {name: _decimal(stored[name]) for name in ("amount_paid", "balance_due")}
    assert found == {"amount_paid": paid, "balance_due": balance}
    if not void:
        assert _decimal(stored["total"]) == total
        expected = "paid" if balance <= 0 else "partially_paid" if paid else "sent"
        assert stored["status"] == expected


def _the_rows_are_what_stripe_says(firm: Firm, invoice: str) -> None:
    """Every payment of this invoice at Stripe is one row, and every row with a transaction is one payment there."""
    taken = Counter(
        _fact(session["id"], firm.intent(session["payment_intent"]))
        for session in firm.sessions(invoice)
        if session["status"] == "complete" and session["payment_status"] == "paid"
    )
    booked = Counter(
        (row["checkout_session"], row["transaction_id"], f"{_decimal(row['amount']):.2f}", row["currency"])
        for row in firm.rows("payments", invoice, status="succeeded")
        if row["transaction_id"] is not None
    )
    assert booked == taken


def _fact(session: str, intent: dict[str, Any]) -> tuple[str, str, str, str]:
    received = Decimal(intent["amount_received"]) / 100
    return session, intent["id"], f"{received:.2f}", intent["currency"].upper()


def _a_claim_is_held_by_what_can_still_be_paid(firm: Firm, invoice: str) -> None:
    holding = [row["checkout_session"] for row in firm.rows("payments", invoice) if row["open_claim"]]
    payable = firm.open_sessions(invoice)
    assert len(payable) <= 1
    assert holding == payable


def _decimal(value: Any) -> Decimal:
    """Directus gives money as a number on SQLite and as text on PostgreSQL."""
    return Decimal(str(value)).quantize(Decimal("0.01"))
