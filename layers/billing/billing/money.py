"""Money as integer minor units; decimals only where amounts enter and leave."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Self

from billing.errors import Unprocessable

#: The currencies an invoice may have, with the least that Stripe takes at once in minor units (its published table;
#: others: 50 cents' worth). Currencies with three decimals are refused on purpose.
MINIMUM_CHARGE: dict[str, int] = {
    "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
    "JPY": 50, "KRW": 1000, "MXN": 1000, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300, "SGD": 50,
    "USD": 50, "ZAR": 1000,
}  # fmt: skip

#: Stripe's zero-decimal and three-decimal lists; any currency that Stripe reports is booked.
_ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_CODE = re.compile(r"[A-Z]{3}")

#: ASCII digits only (`\d` matches other scripts, too), and no more than an amount needs.
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def exponent_of(currency: str) -> int:
    """Digits after the decimal point of an ISO 4217 currency, as Stripe counts them. Raises `Unprocessable`."""
    code = currency.upper()
    if not _CODE.fullmatch(code):
        message = f"{currency!r} is not a currency."
        raise Unprocessable(message, code="currency_not_supported")
    return 0 if code in _ZERO_DECIMAL else 3 if code in _THREE_DECIMAL else 2


def accepted_currency(currency: str) -> str:
    """An invoice's currency in capitals. Raises `Unprocessable` (`currency_not_supported`) if not accepted."""
    if currency.upper() not in MINIMUM_CHARGE:
        message = f"Invoices in {currency!r} are not supported."
        raise Unprocessable(message, code="currency_not_supported")
    return currency.upper()


@dataclass(frozen=True, order=False)
class Money:
    """An amount in minor units (cents, or whole yen) of an ISO 4217 currency in capitals."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent_of(self.currency)

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Zero in that currency."""
        return cls(0, currency.upper())

    @classmethod
    def from_decimal(cls, amount: Decimal, currency: str) -> Self:
        """From an exact amount in major units. Raises `Unprocessable` if it has more decimals than the currency."""
        # Integers, because Decimal silently rounds to 28 digits.
        numerator, denominator = amount.as_integer_ratio()
        minor, rest = divmod(numerator * 10 ** exponent_of(currency), denominator)
        if rest:
            message = f"{amount} has more decimals than {currency.upper()} allows."
            raise Unprocessable(message, code="invalid_amount")
        return cls(minor, currency.upper())

    @classmethod
    def from_directus(cls, value: object, currency: str) -> Self:
        """A `decimal(14,2)` of Directus: a string on PostgreSQL, a number (parsed as `Decimal`) on SQLite."""
        try:
            stored = Decimal(str(value)).quantize(Decimal("0.01"), ROUND_HALF_UP)
        except InvalidOperation:  # not a number, or more digits than `decimal(14,2)` can hold
            stored = Decimal("NaN")
        if not stored.is_finite():
            message = "An amount in Directus is not a number of that currency."
            raise Unprocessable(message, code="invalid_amount")
        return cls.from_decimal(stored, currency)

    @classmethod
    def from_request(cls, text: object, currency: str) -> Self:
        """From a caller's text: digits with an optional decimal point. Raises `Unprocessable` for anything else."""
        if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
            message = 'The amount must be a string such as "123.45".'
            raise Unprocessable(message, code="invalid_amount")
        return cls.from_decimal(Decimal(text), currency)

    def to_decimal(self) -> Decimal:
        """The amount in major units, with exactly the currency's decimals."""
        return Decimal(self.minor).scaleb(-exponent_of(self.currency))

    @property
    def fits_directus(self) -> bool:
        """Whether two decimals are enough: three-decimal amounts of Stripe end in 0, fees on them may not."""
        return self.to_decimal().quantize(Decimal("0.01")) == self.to_decimal()

    def to_directus(self) -> str:
        """The amount as Directus stores it: always two decimals (`"1200.00"` for yen too)."""
        stored = self.to_decimal().quantize(Decimal("0.01"))
        if not self.fits_directus:
            message = f"{self} cannot be stored with two decimals."
            raise Unprocessable(message, code="invalid_amount")
        return str(stored)

    def __str__(self) -> str:
        return f"{self.to_decimal()} {self.currency}"

    def percent(self, rate: Decimal) -> Self:
        """This amount times `rate` percent, rounded once, half up, away from zero, to the minor unit."""
        return type(self)(
            int((Decimal(self.minor) * rate / 100).quantize(Decimal(1), ROUND_HALF_UP)), self.currency
        )

    def _same(self, other: Self) -> int:
        if other.currency != self.currency:
            message = f"{self.currency} and {other.currency} cannot be combined."
            raise ValueError(message)
        return other.minor

    def __add__(self, other: Self) -> Self:
        return type(self)(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Self:
        return type(self)(-self.minor, self.currency)

    def __lt__(self, other: Self) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Self) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Self) -> bool:
        return self.minor >= self._same(other)
