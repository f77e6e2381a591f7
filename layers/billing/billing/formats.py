"""Dates, amounts and addresses formatted for one locale, in documents and messages."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

from billing.money import Money, exponent_of

#: In some languages Babel puts `CHF` directly beside the number, because it ignores CLDR's `currencySpacing`.
_LETTER_BESIDE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


def locale_of(tag: str) -> Locale:
    """The locale of a BCP 47 tag; an unknown territory falls back to the bare language (`en-XX` prints as `en`)."""
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale.parse(tag.replace("_", "-").split("-")[0].lower())


def formats_of(locale: Locale) -> dict[str, Callable[..., str]]:
    """The template's filters for one locale; only they turn values into text."""

    def money(amount: Money) -> str:
        text = format_currency(amount.to_decimal(), amount.currency, locale=locale)
        return _LETTER_BESIDE_DIGIT.sub("\u00a0", text)

    def plain_money(amount: Money) -> str:
        decimals = exponent_of(amount.currency)
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return format_decimal(amount.to_decimal(), pattern, locale=locale)

    def hours(value: Decimal) -> str:
        return format_decimal(
            value, "#,##0.00" if value == value.quantize(Decimal("0.01")) else None, locale=locale
        )

    def percent(rate: Decimal) -> str:
        return format_percent(rate / 100, locale=locale, decimal_quantization=False)

    def long_date(day: date) -> str:
        return format_date(day, "long", locale=locale)

    def short_date(day: date) -> str:
        return format_date(day, "medium", locale=locale)

    def country(name: str) -> str:
        return str(locale.territories.get(name.upper(), name))

    filters = (money, plain_money, hours, percent, long_date, short_date, instant, country, address)
    return {function.__name__: function for function in filters}


def instant(moment: datetime) -> str:
    """A time in UTC, in the format of PDF metadata."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def address(url: str) -> str:
    """A URL as a reader would type it."""
    return url.partition("://")[2].rstrip("/")
