from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.documents.rows import (
    client_from_row,
    document_from_row,
    facts_from_row,
    firm_from_row,
    line_from_row,
    newest_line_at,
    payment_from_row,
)
from billing.errors import DirectusRejected
from billing.money import Money
from tests.fakes.firm_rows import FIRM, line, payment


@pytest.mark.parametrize("amount", ["1234.50", Decimal("1234.5"), 1234.5, "1234.5000"])
def test_money_reads_the_same_from_every_database(amount: object) -> None:
    assert line_from_row(line("a", amount=amount, rate=amount), "USD").rate == Money(123_450, "USD")


def test_yen_are_whole() -> None:
    assert line_from_row(line("a", amount="1200.00"), "JPY").amount == Money(1200, "JPY")


def test_control_characters_and_direction_marks_never_reach_the_paper() -> None:
    text = "one\x00two\x1b\r\nthree\u202efour\ud800"
    assert line_from_row(line("a", amount="1", description=text), "USD").description == "onetwo\nthreefour"
    invoice = {
        "id": "i",
        "client": "c",
        "currency": "USD",
        "status": "sent",
        "invoice_number": "A\u202e\x00\ud800B",
    }
    assert facts_from_row(invoice).ledger.invoice_number == "AB"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_whatever_ends_a_line_is_a_line_feed_and_within_one_line_a_blank(end: str) -> None:
    text = f" PS{end}NEL {end}\tVT\u00a0x"
    assert (
        line_from_row(line("a", amount="1", description=text), "USD").description == "PS\nNEL \n\tVT\u00a0x"
    )
    firm, _ = firm_from_row(FIRM | {"name": text, "legal_name": text, "footer": text, "bank_details": text})
    assert (firm.name, firm.legal_name) == ("PS NEL VT\u00a0x", "PS NEL VT\u00a0x")
    assert (firm.footer, firm.bank_details) == ("PS\nNEL \n\tVT\u00a0x", "PS\nNEL \n\tVT\u00a0x")
    client = client_from_row({"name": text, "address": {"line1": text}})
    assert (client.name, client.address.lines) == ("PS NEL VT\u00a0x", ("PS NEL VT\u00a0x",))
    assert client_from_row({"name": "A", "address": text}).address.lines == ("PS", "NEL", "VT\u00a0x")
    invoice = {"id": "i", "client": "c", "currency": "USD", "status": "sent", "invoice_number": text,
               "matter_name": text, "client_message": text}  # fmt: skip
    facts = facts_from_row(invoice)
    assert (facts.ledger.invoice_number, facts.matter_name) == ("PS NEL VT\u00a0x", "PS NEL VT\u00a0x")
    assert facts.client_message == "PS\nNEL \n\tVT\u00a0x"


def test_an_address_may_be_parts_text_or_absent() -> None:
    parts = {
        "line1": "1 Road",
        "line2": None,
        "city": "Paris",
        "postal_code": "75001",
        "country": "FR",
        "note": "x",
    }
    assert client_from_row({"name": "A", "address": parts}).address.lines == ("1 Road", "75001 Paris")
    assert client_from_row({"name": "A", "address": '{"line1": "1 Road"}'}).address.lines == ("1 Road",)
    assert client_from_row({"name": "A", "address": " 1 Road\n\nParis "}).address.lines == ("1 Road", "Paris")
    assert client_from_row({"name": "A", "address": None}).address.lines == ()


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"name": "A", "address": ["1 Road"]}, "A row of clients cannot be read: check address."),
        ({"name": "A", "address": {"line1": 7}}, "A row of clients cannot be read: check line1."),
        ({}, "A row of clients cannot be read: check name."),
    ],
)
def test_what_cannot_be_read_names_the_place(row: dict[str, object], place: str) -> None:
    with pytest.raises(DirectusRejected) as caught:
        client_from_row(row)
    assert (caught.value.code, caught.value.detail) == ("row_unreadable", place)


def test_the_firms_logo_is_a_key_or_an_object() -> None:
    assert firm_from_row(FIRM | {"logo": "k"})[1] == firm_from_row(FIRM | {"logo": {"id": "k"}})[1] == "k"
    assert firm_from_row(FIRM)[1] is None


def reversal(amount: str, status: str, **columns: str) -> dict[str, Any]:
    return {"id": "r", "payment": "p", "amount": amount, "currency": "USD", "status": status} | columns


def test_what_was_given_back_by_a_moment_is_not_printed_as_paid() -> None:
    refunds = [
        reversal("10.00", "succeeded", date_created="2026-09-21T00:00:00Z"),
        reversal("5.00", "succeeded", date_created="2026-10-02T00:00:01Z"),
        reversal("70.00", "failed", date_created="2026-09-21T00:00:00Z"),
    ]
    disputes = [
        reversal("2.00", "lost", date_created="2026-09-01T00:00:00Z", closed_at="2026-10-01T00:00:00Z"),
        reversal("90.00", "won", closed_at="2026-09-21T00:00:00Z"),
        reversal("1.00", "lost"),  # nothing says when
    ]
    row = payment("p", amount="100.00", date_created="2026-09-20T09:00:00Z", method=None)
    booked = payment_from_row(row, refunds, disputes)
    assert booked.method == "other"
    kept = [
        booked.kept_at(datetime(2026, month, day, tzinfo=UTC))
        for month, day in ((9, 20), (9, 21), (10, 2), (10, 3))
    ]
    assert kept == [Money(minor, "USD") for minor in (9_900, 8_900, 8_700, 8_200)]
    assert (
        payment_from_row(row, [reversal("500.00", "succeeded")], [])
        .kept_at(datetime(2026, 10, 3, tzinfo=UTC))
        .minor
        == 0
    )


def test_the_newest_line_is_found_whatever_the_others_do_not_say() -> None:
    rows = [
        line("a"),
        line("b", date_created="2026-10-02T00:00:01.300Z"),
        line("c", date_created="2026-10-02 00:00:01"),
    ]
    assert newest_line_at(rows) == datetime(2026, 10, 2, 0, 0, 1, 300_000, tzinfo=UTC)
    assert newest_line_at([line("a")]) is None


@pytest.mark.parametrize(
    "stored", [[{"id": "p"}], "not json", [1], [{"id": "p", "date": "x", "method": "m"}]]
)
def test_payments_stored_by_somebody_else_are_not_guessed_at(stored: object) -> None:
    with pytest.raises(DirectusRejected) as caught:
        document_from_row({"id": "d", "printed_payments": stored})
    assert caught.value.code == "row_unreadable"
