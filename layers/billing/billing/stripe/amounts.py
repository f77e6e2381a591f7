"""The amounts that Stripe accepts in one payment."""

from __future__ import annotations

from billing.money import Money

#: Stripe's minimum charge in minor units, by currency (its published table; others: 50 cents' worth).
MINIMUM_MINOR: dict[str, int] = {
    "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
    "JPY": 50, "KRW": 1000, "MXN": 1000, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50,
    "USD": 50, "ZAR": 1000,
}  # fmt: skip
#: Stripe takes at most eight digits.
MAXIMUM_MINOR = 99_999_999


def minimum_charge(currency: str) -> Money:
    """The least that Stripe takes at once in an accepted currency."""
    return Money(MINIMUM_MINOR[currency], currency)


def is_below_minimum(balance: Money) -> bool:
    """Whether something is due, and too little to be paid online."""
    return Money.zero(balance.currency) < balance < minimum_charge(balance.currency)
