"""The amounts that Stripe accepts in one payment."""

from __future__ import annotations

from billing.money import MINIMUM_CHARGE, Money

#: Stripe takes at most eight digits.
MAXIMUM_MINOR = 99_999_999


def minimum_charge(currency: str) -> Money:
    """The least that Stripe takes at once in an accepted currency."""
    return Money(MINIMUM_CHARGE[currency], currency)


def is_below_minimum(balance: Money) -> bool:
    """Whether something is due, and too little to be paid online."""
    return Money.zero(balance.currency) < balance < minimum_charge(balance.currency)
