from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import Unprocessable
from billing.money import MINIMUM_CHARGE, Money, accepted_currency

CURRENCIES = st.sampled_from(sorted(MINIMUM_CHARGE))
MINOR = st.integers(min_value=-(10**12), max_value=10**12)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("123.45", "USD", 12345), ("123.4", "USD", 12340), ("123", "usd", 12300), ("0.01", "EUR", 1),
        ("1200", "JPY", 1200), ("1200.00", "JPY", 1200), ("0", "USD", 0), ("999999999999.99", "USD", 99999999999999),
        ("1.000", "USD", 100),
    ],
)  # fmt: skip
def test_an_amount_in_a_request_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.from_request(text, currency) == Money(minor, currency.upper())


@pytest.mark.parametrize(
    "given",
    [
        100, 1.5, 0, True, None, {}, [], {"amount": "1"}, ["1.00"], b"1.00", "", " ", " 1", "1 ", "1\n", "+1", "-1", "1e3", "1E3",
        "1,000.00", "1.", ".5", "0x10", "1_000", "NaN", "Infinity", "\u0661\u0662", "\uff11\uff12", "12\u066b5", "1.234", "0.001", "1.00.00",
        "$1", "1 USD", "1234567890123", "1." + "0" * 40 + "1", "1." + "0" * 11 + "1", "undefined", "null", "1\x00",
    ],
)  # fmt: skip
def test_anything_but_a_plain_number_of_that_currency_is_refused(given: object) -> None:
    with pytest.raises(Unprocessable) as refused:
        Money.from_request(given, "USD")
    assert refused.value.code == "invalid_amount"


@pytest.mark.parametrize("text", ["0.5", "1200.50", "1.01"])
def test_yen_have_no_decimals(text: str) -> None:
    with pytest.raises(Unprocessable, match="more decimals than JPY"):
        Money.from_request(text, "JPY")


@pytest.mark.parametrize("currency", ["", "US", "DOGE", "\uff35\uff33\uff24", "U$D"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        Money.from_request("1.00", currency)
    assert refused.value.code == "currency_not_supported"
    with pytest.raises(Unprocessable):
        Money(1, currency)


@pytest.mark.parametrize("currency", ["KWD", "BHD", "INR", "XXX", ""])
def test_an_invoice_may_not_be_in_any_currency(currency: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        accepted_currency(currency)
    assert refused.value.code == "currency_not_supported"
    assert accepted_currency("usd") == "USD"


def test_what_stripe_reports_in_another_currency_keeps_its_value() -> None:
    assert Money(12340, "KWD").to_directus() == "12.34"  # Stripe's three-decimal amounts end in 0
    assert Money(12340, "INR").to_directus() == "123.40"
    assert Money(12340, "VND").to_directus() == "12340.00"
    assert Money.from_directus("12.34", "KWD") == Money(12340, "KWD")
    with pytest.raises(Unprocessable):
        Money(12345, "KWD").to_directus()


def test_no_digit_is_lost_however_many_there_are() -> None:
    with pytest.raises(Unprocessable):
        Money.from_decimal(Decimal("1." + "0" * 40 + "1"), "USD")
    assert Money.from_decimal(Decimal("123456789012345678901234567890.12"), "USD").minor == (
        12345678901234567890123456789012
    )


@given(st.text())
def test_no_text_makes_anything_but_money_or_a_named_refusal(text: str) -> None:
    try:
        money = Money.from_request(text, "USD")
    except Unprocessable as error:
        code = error.code
    else:
        code = "invalid_amount"
        assert text.isascii()
        assert Decimal(text) * 100 == money.minor
    assert code == "invalid_amount"


@given(MINOR, CURRENCIES)
def test_what_directus_stores_comes_back_unchanged(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    stored = money.to_directus()
    assert stored.partition(".")[2].isdigit()
    assert len(stored.partition(".")[2]) == 2
    assert Money.from_directus(stored, currency) == money
    assert Money.from_decimal(money.to_decimal(), currency) == money


@given(MINOR, CURRENCIES)
def test_what_sqlite_makes_a_float_of_comes_back_unchanged(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.from_directus(Decimal(repr(float(money.to_directus()))), currency) == money


@pytest.mark.parametrize("stored", ["abc", None, "NaN", "Infinity", "1e40", [], Decimal("NaN")])
def test_what_is_no_amount_in_directus_is_a_named_refusal(stored: object) -> None:
    with pytest.raises(Unprocessable) as refused:
        Money.from_directus(stored, "USD")
    assert refused.value.code == "invalid_amount"


def test_noise_of_a_float_column_is_rounded_away() -> None:
    assert Money.from_directus(Decimal(repr(0.1 + 0.2)), "USD") == Money(30, "USD")


@pytest.mark.parametrize(
    ("minor", "rate", "tax"),
    [
        (10000, "8.875", 888), (10001, "8.875", 888), (50, "1", 1), (49, "1", 0), (-50, "1", -1), (-49, "1", 0),
        (10000, "0", 0), (333, "19", 63), (150, "5", 8), (99999999999, "7.7", 7700000000),
    ],
)  # fmt: skip
def test_tax_is_rounded_once_half_up_away_from_zero(minor: int, rate: str, tax: int) -> None:
    assert Money(minor, "USD").percent(Decimal(rate)) == Money(tax, "USD")


@given(MINOR, st.integers(min_value=0, max_value=100_000))
def test_tax_is_the_nearest_minor_unit(minor: int, thousandths: int) -> None:
    tax = Money(minor, "EUR").percent(Decimal(thousandths) / 1000).minor
    assert abs(tax * 100_000 - minor * thousandths) <= 50_000


def test_two_currencies_are_never_combined() -> None:
    for combine in (
        lambda: Money(1, "USD") + Money(1, "EUR"),
        lambda: Money(1, "USD") - Money(1, "EUR"),
        lambda: Money(1, "USD") < Money(1, "EUR"),
        lambda: Money(1, "USD") >= Money(1, "EUR"),
    ):
        with pytest.raises(ValueError, match="cannot be combined"):
            combine()


@given(st.lists(MINOR), CURRENCIES)
def test_sums_are_exact(minors: list[int], currency: str) -> None:
    total = sum((Money(minor, currency) for minor in minors), Money.zero(currency))
    assert total.minor == sum(minors)
    assert total - total == Money.zero(currency)
    assert -total + total == Money.zero(currency)
