from decimal import Decimal
from pathlib import Path

import pytest

from bench import cost
from bench.bill import metric_names
from bench.cost import Billed, FunctionUse

PRICES = """
written: today
checked: never
prices:
  lambda_gb_second: {usd: 0.0000166667, per: 1, unit: GB-second, source: 'https://prices.example'}
  request: {usd: 0.20, per: 1000000, unit: request, source: 'https://prices.example'}
stripe:
  card: {percent: 2.9, usd: 0.30, source: 'https://prices.example'}
  bank_debit: {percent: 0.8, usd: 0, at_most: 5.00, source: 'https://prices.example'}
"""
LOG = [
    "START RequestId: 1 Version: $LATEST",
    '{"level":"INFO","message":"Done."}',
    "REPORT RequestId: 1\tDuration: 12.31 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 80 MB",
    "REPORT RequestId: 2\tDuration: 99.9 ms\tBilled Duration: 100 ms\tMemory Size: 1024 MB\tMax Memory Used: 80 MB",
]


@pytest.fixture
def prices(tmp_path: Path) -> cost.Prices:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    return cost.read_prices(path)


def test_every_report_line_is_one_billed_invocation() -> None:
    assert cost.billed_in(LOG) == [Billed(Decimal(13), 512), Billed(Decimal(100), 1024)]


def test_gigabyte_seconds_are_time_times_memory() -> None:
    assert Billed(Decimal(2000), 512).gigabyte_seconds == Decimal(1)


def test_logged_bytes_count_what_cloudwatch_adds_to_each_line() -> None:
    assert cost.use_of(["é"]) == FunctionUse([], 2 + cost.BYTES_PER_LINE)


def test_a_bill_is_quantities_times_prices_exactly(prices: cost.Prices) -> None:
    lines = cost.bill(
        {
            "computing": ("lambda_gb_second", Decimal(1000)),
            "invocations": ("request", Decimal(1_500_000)),
        },
        prices,
    )
    assert [line.usd for line in lines] == [Decimal("0.0166667"), Decimal("0.3")]
    assert cost.total(lines) == Decimal("0.3166667")


def test_what_was_measured_for_some_payments_is_scaled_to_a_thousand() -> None:
    assert cost.per_thousand(30, 60) == Decimal(500)


@pytest.mark.parametrize(
    ("name", "amount", "fee"),
    [("card", 100, "3.20"), ("bank_debit", 100, "0.80"), ("bank_debit", 2500, "5.00")],
)
def test_stripes_fees(prices: cost.Prices, name: str, amount: int, fee: str) -> None:
    assert prices.stripe[name].of(Decimal(amount)) == Decimal(fee)


def test_every_price_of_the_table_has_its_page_and_the_table_says_who_checked_it() -> None:
    table = cost.read_prices()
    assert {price.source[:8] for price in table.by_name.values()} == {"https://"}
    assert min(price.usd for price in table.by_name.values()) > 0
    assert table.written
    assert table.checked


def test_the_metrics_are_found_in_the_sources() -> None:
    assert {"EventReceived", "EventParked", "PaymentFlagged"} <= metric_names()
