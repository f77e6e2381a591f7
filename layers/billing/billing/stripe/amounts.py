"""The amounts that Stripe accepts in one payment."""

from __future__ import annotations

from billing.money import MINIMUM_CHARGE, Money

#: Stripe accepts at most eight digits.
MAXIMUM_MINOR = 99_999_999


def minimum_charge(currency: str) -> Money:
    """Stripe's minimum charge in an accepted currency."""
    return Money(MINIMUM_CHARGE[currency], currency)


def is_below_minimum(balance: Money) -> bool:
    """Whether the balance is positive but too small to be paid online."""
    return Money.zero(balance.currency) < balance < minimum_charge(balance.currency)
