"""What the seed invoices come to: the contract's arithmetic on the lines of `data/invoices.yaml`."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from billing.money import Money

type Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of an invoice, with its amount."""

    kind: str
    timekeeper: str | None
    task_code: str | None
    description: str
    hours: str | None
    rate: str | None
    amount: Money

    @classmethod
    def read(cls, values: list[Any], currency: str) -> "Line":
        """A line as the file writes it: six values, or seven with the amount given."""
        kind, timekeeper, task_code, description, hours, rate = values[:6]
        if hours is None:
            amount = Money.from_decimal(Decimal(values[6]), currency)
        else:
            amount = Money.from_decimal(Decimal(rate), currency).percent(Decimal(hours) * 100)
        return cls(kind, timekeeper, task_code, description, hours, rate, amount)


@dataclass(frozen=True)
class Totals:
    """An invoice's amounts as its lines and payments make them."""

    subtotal: Money
    tax: Money
    total: Money
    paid: Money

    @classmethod
    def of(cls, invoice: Row, lines: list[Line]) -> "Totals":
        """Subtotal, tax rounded once, total, and what the payments add up to."""
        currency = invoice["currency"]
        subtotal = sum((line.amount for line in lines), Money.zero(currency))
        tax = subtotal.percent(Decimal(invoice.get("tax_rate", "0")))
        payments = (
            Money.from_decimal(Decimal(row["amount"]), currency) for row in invoice.get("payments", [])
        )
        return cls(subtotal, tax, subtotal + tax, sum(payments, Money.zero(currency)))

    def balance(self, status: str) -> Money:
        """What is still due; a void invoice owes back what was paid."""
        return -self.paid if status == "void" else self.total - self.paid


def lines_of(invoice: Row, generated: Row) -> list[Line]:
    """The lines of an invoice, those written out and those made from the templates."""
    currency = invoice["currency"]
    lines = [Line.read(values, currency) for values in invoice["lines"]]
    for number in range(1, invoice.get("generated_lines", 0) + 1):
        timekeeper, rate = generated["timekeepers"][number % len(generated["timekeepers"])]
        code, description = generated["work"][number % len(generated["work"])]
        hours = generated["hours"][number % len(generated["hours"])]
        lines.append(
            Line.read(["fee", timekeeper, code, description.format(number=number), hours, rate], currency)
        )
    return lines


def day(today: date, offset: int) -> str:
    """A date `offset` days from the day of seeding."""
    return (today + timedelta(days=offset)).isoformat()
