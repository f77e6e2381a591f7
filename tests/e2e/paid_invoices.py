"""An invoice that was sent and paid, and what it then shows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from local.demo import steps
from local.demo.people import pay_on_the_page

if TYPE_CHECKING:
    from local.demo.steps import Firm


def money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def sent(firm: Firm, amount: str = "1000.00") -> str:
    lines = [steps.fee("Advice on the lease", "2.00", "500.00", amount)]
    row = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")
    steps.send_invoice(firm, firm.staff[0], str(row["id"]))
    return str(row["id"])


def paid(firm: Firm, amount: str = "1000.00") -> tuple[str, dict[str, Any]]:
    """A paid invoice with its payment row."""
    invoice = sent(firm, amount)
    started = firm.clients[0].pay(firm.flow("pay_invoice"), invoice).json
    assert pay_on_the_page(started["url"], steps.GOOD_CARD).status == 303
    shows(firm, invoice, "paid", "0.00")
    (payment,) = steps.payments_of(firm, invoice)
    return invoice, payment


def shows(firm: Firm, invoice: str, status: str, balance: str) -> dict[str, Any]:
    """Wait until the invoice shows this status and balance."""
    return steps.wait_for_invoice(
        firm, invoice, lambda row: (row["status"], money(row["balance_due"])) == (status, Decimal(balance))
    )
