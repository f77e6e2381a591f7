"""Stripe's published lists that the simulator goes by: currencies, amounts, test cards, test bank accounts.

Sources: docs.stripe.com/currencies, docs.stripe.com/testing. Written down here and not taken from the product,
so that the product's own lists are checked against something else.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ZERO_DECIMAL = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]  # amounts are whole units
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])  # the last digit must be 0
#: Without decimals in life, but sent with two, which must be 00.
TWO_DECIMALS_BOTH_ZERO = frozenset(["isk", "ugx"])
TWO_DECIMAL = frozenset(
    [
        "aed",
        "afn",
        "all",
        "amd",
        "ang",
        "aoa",
        "ars",
        "aud",
        "awg",
        "azn",
        "bam",
        "bbd",
        "bdt",
        "bgn",
        "bmd",
        "bnd",
        "bob",
        "brl",
        "bsd",
        "bwp",
        "byn",
        "bzd",
        "cad",
        "cdf",
        "chf",
        "cny",
        "cop",
        "crc",
        "cve",
        "czk",
        "dkk",
        "dop",
        "dzd",
        "egp",
        "etb",
        "eur",
        "fjd",
        "fkp",
        "gbp",
        "gel",
        "gip",
        "gmd",
        "gtq",
        "gyd",
        "hkd",
        "hnl",
        "htg",
        "huf",
        "idr",
        "ils",
        "inr",
        "jmd",
        "kes",
        "kgs",
        "khr",
        "kyd",
        "kzt",
        "lak",
        "lbp",
        "lkr",
        "lrd",
        "lsl",
        "mad",
        "mdl",
        "mkd",
        "mmk",
        "mnt",
        "mop",
        "mur",
        "mvr",
        "mwk",
        "mxn",
        "myr",
        "mzn",
        "nad",
        "ngn",
        "nio",
        "nok",
        "npr",
        "nzd",
        "pab",
        "pen",
        "pgk",
        "php",
        "pkr",
        "pln",
        "qar",
        "ron",
        "rsd",
        "rub",
        "sar",
        "sbd",
        "scr",
        "sek",
        "sgd",
        "shp",
        "sle",
        "sos",
        "srd",
        "std",
        "szl",
        "thb",
        "tjs",
        "top",
        "try",
        "ttd",
        "twd",
        "tzs",
        "uah",
        "usd",
        "uyu",
        "uzs",
        "wst",
        "xcd",
        "yer",
        "zar",
        "zmw",
    ]
)
CURRENCIES = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMALS_BOTH_ZERO | TWO_DECIMAL

#: Smallest charge in minor units. Currencies that Stripe's table does not name are worth "$0.50 or equivalent":
#: for those of them the product accepts, a round number near it; for all others 50.
MINIMUM = {
    "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "krw": 700, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50, "zar": 900,
}  # fmt: skip
MINIMUM_ELSEWHERE = 50
#: Stripe takes at most eight digits.
MAXIMUM = 99_999_999


#: What follows a payment by itself, a little later: a dispute for that reason, a question, a warning.
type Later = Literal["fraudulent", "product_not_received", "inquiry", "early_fraud_warning"]


@dataclass(frozen=True)
class Card:
    """A test card; `decline` is Stripe's decline code, None when the card works; `later` is what comes of it then."""

    brand: str
    decline: str | None = None
    later: Later | None = None


CARDS = {
    "4242424242424242": Card("visa"),
    "5555555555554444": Card("mastercard"),
    "4000000000000002": Card("visa", "generic_decline"),
    "4000000000009995": Card("visa", "insufficient_funds"),
    "4000000000000069": Card("visa", "expired_card"),
    "4000000000000259": Card("visa", later="fraudulent"),
    "4000000000002685": Card("visa", later="product_not_received"),
    "4000000000001976": Card("visa", later="inquiry"),
    "4000000000005423": Card("visa", later="early_fraud_warning"),
}
WORKING_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
DISPUTED_CARD = "4000000000000259"

#: Test bank accounts (routing number 110000000); the value is why the debit fails, None when it does not.
BANK_ACCOUNTS = {
    "000123456789": None,
    "000222222227": "insufficient_funds",
    "000111111116": "account_closed",
    "000333333335": "debit_not_authorized",
}
WORKING_BANK_ACCOUNT = "000123456789"
FAILING_BANK_ACCOUNT = "000222222227"


def exponent(currency: str) -> int:
    """How many digits of an amount in minor units come after the decimal point."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def in_words(amount: int, currency: str) -> str:
    """An amount in minor units for a person: `1,250.00 USD`."""
    digits = exponent(currency)
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency.upper()}"
