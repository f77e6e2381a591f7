"""What 1,000 payments cost at AWS: quantities measured here, times the prices in `prices.yaml`.

Lambda's seconds are those its own REPORT lines bill, with the waits for Directus and Stripe in them, because Lambda
bills waits; they were long on this machine. All arithmetic is pure and in `Decimal`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PRICES: Final = Path(__file__).with_name("prices.yaml")
PAYMENTS: Final = 1000
#: CloudWatch counts this many bytes with each line.
BYTES_PER_LINE: Final = 26

_REPORT: Final = re.compile(r"REPORT .*?Billed Duration: ([0-9.]+) ms\s+Memory Size: ([0-9]+) MB")


@dataclass(frozen=True)
class Billed:
    """One invocation as Lambda bills it."""

    milliseconds: Decimal
    megabytes: int

    @property
    def gigabyte_seconds(self) -> Decimal:
        """What is paid for."""
        return self.milliseconds / 1000 * self.megabytes / 1024


@dataclass(frozen=True)
class Price:
    """`usd` for each `per` units."""

    name: str
    usd: Decimal
    per: Decimal
    unit: str
    source: str

    def of(self, quantity: Decimal) -> Decimal:
        """What the quantity costs, in dollars."""
        return quantity * self.usd / self.per


@dataclass(frozen=True)
class Fee:
    """What Stripe takes of one payment."""

    percent: Decimal
    usd: Decimal
    at_most: Decimal | None

    def of(self, amount: Decimal) -> Decimal:
        """The fee on a payment of that amount, in dollars, not rounded."""
        fee = amount * self.percent / 100 + self.usd
        return fee if self.at_most is None else min(fee, self.at_most)


@dataclass(frozen=True)
class Prices:
    """The table, with what it says of itself."""

    written: str
    checked: str
    by_name: Mapping[str, Price]
    stripe: Mapping[str, Fee]


@dataclass(frozen=True)
class Line:
    """One line of a bill."""

    what: str
    quantity: Decimal
    price: Price

    @property
    def usd(self) -> Decimal:
        """Its cost in dollars."""
        return self.price.of(self.quantity)


@dataclass(frozen=True)
class FunctionUse:
    """What the log of one function says: every invocation, and the bytes it logged."""

    billed: Sequence[Billed]
    log_bytes: int


def read_prices(path: Path = PRICES) -> Prices:
    """Read the table."""
    document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  # every scalar stays text, so no price is ever a float
    return Prices(
        written=document["written"],
        checked=document["checked"],
        by_name={name: _price(name, given) for name, given in document["prices"].items()},
        stripe={name: _fee(given) for name, given in document["stripe"].items()},
    )


def _price(name: str, given: Mapping[str, Any]) -> Price:
    return Price(name, Decimal(given["usd"]), Decimal(given["per"]), given["unit"], given["source"])


def _fee(given: Mapping[str, Any]) -> Fee:
    at_most = given.get("at_most")
    return Fee(
        Decimal(given["percent"]), Decimal(given["usd"]), None if at_most is None else Decimal(at_most)
    )


def billed_in(messages: Iterable[str]) -> list[Billed]:
    """Every invocation that the lines of a function's log report."""
    found = (_REPORT.search(message) for message in messages)
    return [Billed(Decimal(match.group(1)), int(match.group(2))) for match in found if match]


def use_of(messages: Sequence[str]) -> FunctionUse:
    """What a function's log says."""
    return FunctionUse(
        billed_in(messages), sum(len(message.encode()) + BYTES_PER_LINE for message in messages)
    )


def per_thousand(quantity: Decimal | int, payments: int) -> Decimal:
    """Scale what was measured for `payments` to a thousand."""
    return Decimal(quantity) * PAYMENTS / payments


def bill(quantities: Mapping[str, tuple[str, Decimal]], prices: Prices) -> list[Line]:
    """Make a bill: by text of the line, the name of its price and its quantity."""
    return [Line(what, quantity, prices.by_name[name]) for what, (name, quantity) in quantities.items()]


def total(lines: Iterable[Line]) -> Decimal:
    """The sum in dollars."""
    return sum((line.usd for line in lines), Decimal(0))
