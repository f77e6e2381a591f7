"""Nothing half-parsed gets through: a row is a value of the ledger or a refusal that names it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from billing.errors import DirectusRejected, Unprocessable
from billing.ledger.store import (
    LONGEST_PAYMENT_TERMS,
    invoice_from_row,
    payment_dispute_from_row,
    payment_from_row,
    payment_terms_days,
    refund_from_row,
)
from billing.money import Money
from tests.fakes.world import INVOICE, World

INVOICE_ROW: dict[str, Any] = {
    "id": "i", "invoice_number": "1", "client": "c", "currency": "usd", "status": "sent", "tax_rate": None,
    "total": Decimal("1234.1"), "due_date": "2026-11-20", "sent_at": "2026-11-01T10:00:00",
}  # fmt: skip
PAYMENT_ROW: dict[str, Any] = {
    "id": "p",
    "amount": "1.00",
    "currency": "EUR",
    "status": "succeeded",
    "method": "card",
}


@pytest.mark.parametrize(
    ("stored", "days"),
    [
        (30, 30), (0, 0), (3650, 3650), ("30", 30), (30.0, 30), (Decimal(30), 30), ("30.0", 30),
        (None, None), ("", None), (-1, None), (3651, None), (10**30, None), (30.5, None), ("thirty", None), (True, None),
        (float("nan"), None), (float("inf"), None), ([], None), ({}, None),
    ],
)  # fmt: skip
def test_payment_terms_are_a_whole_number_of_days_or_none(stored: object, days: int | None) -> None:
    """What the model refuses, and somebody wrote past it, keeps no invoice from being sent."""
    assert payment_terms_days(stored) == days


def test_the_model_allows_the_terms_that_are_read() -> None:
    model = Path(__file__).parents[3] / "directus" / "model" / "firm.yaml"
    line = yaml.safe_load(model.read_text(encoding="utf-8"))["fields"]["payment_terms_days"]
    assert (line["minimum"], line["maximum"]) == (0, LONGEST_PAYMENT_TERMS)


def test_an_invoice_is_read_from_either_database() -> None:
    for total in (Decimal("1234.1"), "1234.10", Decimal("1234.1000000001"), 1234.1):
        invoice = invoice_from_row({**INVOICE_ROW, "total": total})
        assert (invoice.total, invoice.currency, invoice.tax_rate) == (
            Money(123410, "USD"),
            "USD",
            Decimal(0),
        )
        assert invoice.sent_at == datetime(2026, 11, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"status": "open"}, "status"), ({"client": None}, "client"), ({"total": "abc"}, "total"), ({"due_date": "soon"}, "due_date"),
        ({"id": None}, "id"), ({"total": "NaN"}, "total"), ({"sent_at": 5.5j}, "sent_at"),
    ],
)  # fmt: skip
def test_an_unreadable_row_names_its_column_and_not_its_value(row: dict[str, Any], name: str) -> None:
    with pytest.raises(DirectusRejected) as refusal:
        invoice_from_row({**INVOICE_ROW, **row})
    assert refusal.value.code == "row_unreadable"
    assert name in refusal.value.detail


def test_an_unknown_currency_or_half_a_yen_is_refused() -> None:
    with pytest.raises(Unprocessable):
        invoice_from_row({**INVOICE_ROW, "currency": "KWD"})
    with pytest.raises(Unprocessable):
        payment_from_row({**PAYMENT_ROW, "currency": "JPY", "amount": "1.50"})


def test_an_attempt_may_come_as_text() -> None:
    assert payment_from_row({**PAYMENT_ROW, "attempt": '{"a": 1}'}).attempt == {"a": 1}
    with pytest.raises(DirectusRejected):
        payment_from_row({**PAYMENT_ROW, "attempt": "{"})


@pytest.mark.parametrize("parse", [refund_from_row, payment_dispute_from_row])
def test_what_goes_back_goes_back_in_the_payments_currency(parse: Any) -> None:
    row = {"id": "r", "payment": "p", "amount": "1.00", "currency": "eur", "status": "succeeded"}
    assert parse(row, "EUR").amount == Money(100, "EUR")
    assert parse({**row, "currency": None}, "EUR").amount == Money(100, "EUR")
    with pytest.raises(DirectusRejected) as refusal:
        parse(row, "USD")
    assert refusal.value.ids["payment"] == "p"


def test_a_ledger_holds_every_row_that_decides() -> None:
    world = World()
    world.invoice("100.00", "20.00")
    paid = world.payment("50.00")
    world.directus.put("refunds", payment=paid["id"], amount="5.00", currency="USD", status="succeeded")
    world.directus.put("payment_disputes", payment=paid["id"], amount="1.00", status="lost")
    world.directus.put("disputes", invoice=INVOICE, status="open", amount="7.00", reason="x")
    ledger = world.ledger()
    assert sorted(line.amount.minor for line in ledger.line_items) == [2000, 10000]
    assert [
        len(rows) for rows in (ledger.payments, ledger.refunds, ledger.payment_disputes, ledger.disputes)
    ] == [1] * 4
    assert (ledger.client_timezone, ledger.firm_timezone) == ("America/New_York", "America/New_York")
