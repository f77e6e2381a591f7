import pytest

from billing.money import MINIMUM_CHARGE, exponent_of
from local.stripe_simulator import catalogue


def test_every_currency_of_the_product_is_stripes_with_the_same_decimals() -> None:
    for currency in MINIMUM_CHARGE:
        assert currency.lower() in catalogue.CURRENCIES
        assert catalogue.exponent(currency.lower()) == exponent_of(currency)
        assert currency.lower() in catalogue.MINIMUM


def test_no_currency_is_in_two_lists() -> None:
    lists = (
        catalogue.ZERO_DECIMAL,
        catalogue.TWO_DECIMAL,
        catalogue.THREE_DECIMAL,
        catalogue.TWO_DECIMALS_BOTH_ZERO,
    )
    assert sum(len(one) for one in lists) == len(catalogue.CURRENCIES)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (125000, "usd", "1,250.00 USD"),
        (1200, "jpy", "1,200 JPY"),
        (5000, "kwd", "5.000 KWD"),
        (5, "eur", "0.05 EUR"),
    ],
)
def test_an_amount_in_words_has_the_decimals_of_its_currency(amount: int, currency: str, words: str) -> None:
    assert catalogue.in_words(amount, currency) == words
