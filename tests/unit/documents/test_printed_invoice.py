import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents.invoice import (
    Addressee,
    Correction,
    InvoiceFacts,
    Letterhead,
    LineKind,
    Logo,
    PrintedInvoice,
    PrintedLine,
    PrintedPayment,
    envelope_lines,
    identity_of,
    lines_with_own_amount,
    paper_of,
    print_invoice,
)
from billing.documents.versions import (
    BookedPayment,
    DocumentRow,
    GivenBack,
    InvoiceRecord,
    next_version,
    payments_to_print,
    printed_form,
    stored_form,
)
from billing.errors import Unprocessable
from billing.ledger.ledger import Invoice, InvoiceStatus
from billing.money import Money
from tests.builders import usd

ID = "11111111-1111-4111-8111-111111111111"
SENT_AT = dt.datetime(2026, 10, 1, 2, 30, tzinfo=dt.UTC)
FIRM = Letterhead(name="Firm", currency="USD", timezone="America/New_York", language="en-US")


def fee(key: str = "a", minor: int = 10_000, **changes: Any) -> PrintedLine:
    return PrintedLine(id=key, kind=LineKind.FEE, description="Advice", amount=usd(minor), **changes)


def invoice(**ledger: Any) -> InvoiceFacts:
    usual: dict[str, Any] = {
        "id": ID, "invoice_number": "7", "client": "c", "currency": "USD", "status": InvoiceStatus.SENT,
        "tax_rate": Decimal(0), "sent_at": SENT_AT,
    }  # fmt: skip
    return InvoiceFacts(Invoice(**(usual | ledger)))


def printed(**changes: Any) -> PrintedInvoice:
    usual: dict[str, Any] = {
        "invoice": invoice(), "sent_at": SENT_AT, "firm": FIRM, "client": Addressee("Client"), "lines": [fee()],
        "payments": [],
    }  # fmt: skip
    return print_invoice(**(usual | changes))


def test_lines_are_grouped_in_the_order_fees_expenses_discounts_each_with_its_subtotal() -> None:
    lines = [
        fee("d", -500), fee("a", 1000, hours=Decimal("1.50")), fee("b", 2000, hours=Decimal("0.25")), fee("e", 300),
    ]  # fmt: skip
    lines[0] = replace(lines[0], kind=LineKind.DISCOUNT)
    lines[3] = replace(lines[3], kind=LineKind.EXPENSE)
    groups = printed(lines=lines).groups
    assert [(group.kind.value, group.subtotal.minor) for group in groups] == [
        ("fee", 3000), ("expense", 300), ("discount", -500),
    ]  # fmt: skip
    assert groups[0].hours == Decimal("1.75")


def test_lines_keep_staffs_order_then_the_date() -> None:
    lines = [
        fee("late", date=dt.date(2026, 9, 9)), fee("second", sort=2), fee("first", sort=1),
        fee("early", date=dt.date(2026, 9, 1)), fee("undated"),
    ]  # fmt: skip
    (group,) = printed(lines=lines).groups
    assert [line.id for line in group.lines] == ["first", "second", "early", "late", "undated"]


@pytest.mark.parametrize(
    ("stored", "numbers"),
    [
        ({"subtotal": usd(9_999)}, ("99.99", "100.00")),
        ({"tax": usd(1)}, ("0.01", "0.00")),
        ({"total": usd(10_001)}, ("100.01", "100.00")),
    ],
)
def test_a_stored_total_that_differs_is_refused_with_both_numbers(
    stored: dict[str, Money], numbers: tuple[str, str]
) -> None:
    with pytest.raises(Unprocessable) as caught:
        printed(invoice=invoice(**stored))
    assert caught.value.code == "totals_do_not_add_up"
    assert all(f"{number} USD" in caught.value.detail for number in numbers)


def test_null_totals_are_computed() -> None:
    result = printed(invoice=invoice(tax_rate=Decimal("8.875")))
    assert (result.subtotal.minor, result.tax.minor, result.total.minor) == (10_000, 888, 10_888)


def test_the_balance_is_the_total_less_the_payments_and_may_be_a_credit() -> None:
    payment = PrintedPayment("p", None, "wire", usd(12_500))
    assert printed(payments=[payment]).balance_due == usd(-2_500)


def test_too_many_lines_are_refused_before_anything_is_drawn() -> None:
    with pytest.raises(Unprocessable) as caught:
        printed(lines=[fee(str(n)) for n in range(10_001)])
    assert caught.value.code == "too_many_lines"


def test_without_an_issue_date_the_day_of_sending_in_the_firms_zone_is_printed() -> None:
    assert printed().issue_date == dt.date(2026, 9, 30)


@pytest.mark.parametrize(
    ("of_invoice", "of_client", "of_firm", "chosen"),
    [
        ("de", "fr", "en-US", "de"),
        ("", "fr-CA", "en-US", "fr-CA"),
        ("", "", "es_MX", "es-MX"),
        ("ja", "pt", "it", "en"),
        ("ja", "DE-ch", "it", "DE-ch"),
    ],
)
def test_the_language_is_the_invoices_then_the_clients_then_the_firms(
    of_invoice: str, of_client: str, of_firm: str, chosen: str
) -> None:
    result = printed(
        invoice=replace(invoice(), language=of_invoice),
        client=Addressee("Client", language=of_client),
        firm=replace(FIRM, language=of_firm),
    )
    assert result.language == chosen


@pytest.mark.parametrize(
    ("language", "currency", "paper"),
    [
        ("en-US", "EUR", "Letter"), ("fr-CA", "EUR", "Letter"), ("en-GB", "USD", "A4"), ("en", "USD", "Letter"),
        ("en", "GBP", "A4"), ("de", "EUR", "A4"), ("es_MX", "EUR", "Letter"),
    ],
)  # fmt: skip
def test_the_paper_is_that_of_the_firms_country(language: str, currency: str, paper: str) -> None:
    assert paper_of(replace(FIRM, language=language, currency=currency)) == paper


def test_an_address_is_written_as_its_country_writes_it() -> None:
    parts = {"line1": "1 Road", "city": "Town", "state": "ST", "postal_code": "12345"}
    assert envelope_lines(**parts, country="us").lines == ("1 Road", "Town, ST 12345")
    assert envelope_lines(**parts, country="DE").lines == ("1 Road", "12345 Town", "ST")
    assert envelope_lines(line1="1 Road").lines == ("1 Road",)


def identity(document: PrintedInvoice, template: str = "t", layer: str = "l") -> tuple[str, str, str]:
    result = identity_of(document, template_version=template, layer_version=layer)
    return result.content_hash, result.file_id, result.document_id


def test_the_same_content_is_the_same_document_however_it_is_spelled() -> None:
    one = printed(lines=[fee(hours=Decimal("1.50"))], invoice=invoice(tax_rate=Decimal("8.0000")))
    other = printed(lines=[fee(hours=Decimal("1.5"))], invoice=invoice(tax_rate=Decimal(8)))
    assert identity(one) == identity(other)


def test_the_ids_are_uuids_and_differ_from_each_other() -> None:
    content_hash, file_id, document_id = identity(printed())
    assert len(content_hash) == 64
    assert {UUID(file_id).version, UUID(document_id).version} == {5}
    assert file_id != document_id
    assert identity_of(printed(), template_version="t", layer_version="l").object_key == f"{file_id}.pdf"


CHANGES: list[dict[str, Any]] = [
    {"invoice": invoice(invoice_number="8")},
    {"invoice": invoice(due_date=dt.date(2026, 10, 31))},
    {"invoice": replace(invoice(), client_message="Thank you")},
    {"invoice": replace(invoice(), matter_name="Matter")},
    {"client": Addressee("Client", tax_id="1")},
    {"firm": replace(FIRM, footer="Footer")},
    {"firm": replace(FIRM, bank_details="IBAN")},
    {"lines": [fee(timekeeper="A")]},
    {"lines": [fee(), fee("b", 0)]},
    {"payments": [PrintedPayment("p", None, "wire", usd(1))]},
    {"portal_url": "https://portal.example"},
    {"logo": Logo(b"logo", "image/png")},
    {"correction": Correction(SENT_AT, dt.date(2026, 10, 1), 1)},
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_printed_is_part_of_the_identity(change: dict[str, Any]) -> None:
    assert identity(printed(**change))[0] != identity(printed())[0]
    assert identity(printed(**change))[1] != identity(printed())[1]


def test_the_template_the_layer_and_the_invoice_are_part_of_the_identity() -> None:
    everywhere = {
        identity(printed()), identity(printed(), template="t2"), identity(printed(), layer="l2"),
        identity(printed(invoice=invoice(id="99999999-1111-4111-8111-111111111111"))),
    }  # fmt: skip
    assert len({ids[1] for ids in everywhere}) == len({ids[2] for ids in everywhere}) == 4


def test_a_line_whose_hours_times_rate_is_not_its_amount_is_named() -> None:
    lines = [
        fee("fits", 15_000, hours=Decimal("1.5"), rate=usd(10_000)),
        fee("does not", 14_000, hours=Decimal("1.5"), rate=usd(10_000)),
        fee("flat", 14_000),
    ]
    assert lines_with_own_amount(lines) == ["does not"]


def booked(key: str, **changes: Any) -> BookedPayment:
    usual: dict[str, Any] = {
        "id": key, "amount": usd(100), "succeeded": True, "method": "wire", "date": dt.date(2026, 9, 1),
        "booked_at": SENT_AT - dt.timedelta(days=1),
    }  # fmt: skip
    return BookedPayment(**(usual | changes))


def record(*payments: BookedPayment, documents: tuple[DocumentRow, ...] = ()) -> InvoiceRecord:
    return InvoiceRecord(invoice(), FIRM, Addressee("Client"), (), payments, documents)


def test_only_money_booked_by_sending_in_the_invoices_currency_is_printed() -> None:
    payments = payments_to_print(
        record(
            booked("later", booked_at=SENT_AT + dt.timedelta(seconds=1)),
            booked("failed", succeeded=False),
            booked("given back", given_back=(GivenBack(usd(100), SENT_AT),)),
            booked("euro", amount=Money(100, "EUR")),
            booked("second", date=dt.date(2026, 9, 2)),
            booked("first", booked_at=SENT_AT),
        ),
        SENT_AT,
    )
    assert [payment.id for payment in payments] == ["first", "second"]


def test_a_payment_without_a_date_shows_the_day_it_was_booked() -> None:
    (payment,) = payments_to_print(record(booked("p", date=None)), SENT_AT)
    assert payment.date == dt.date(2026, 9, 29)


def test_the_first_document_decides_which_payments_are_printed_ever_after() -> None:
    kept = (PrintedPayment("old", None, "check", usd(5)),)
    documents = (
        DocumentRow("b", 2, None, "", "", ()),
        DocumentRow("a", 1, None, "", "", kept),
        DocumentRow("0", 0, None, "", "", None),
    )
    assert payments_to_print(record(booked("new"), documents=documents), SENT_AT) == kept
    without_any = (DocumentRow("a", 1, None, "", "", ()), DocumentRow("b", 2, None, "", "", kept))
    assert payments_to_print(record(booked("new"), documents=without_any), SENT_AT) == ()
    assert next_version(documents) == 3
    assert next_version(()) == 1


@given(
    st.lists(
        st.builds(
            PrintedPayment,
            id=st.uuids().map(str),
            date=st.none() | st.dates(),
            method=st.sampled_from(["card", "wire"]),
            amount=st.builds(Money, st.integers(-(10**14), 10**14), st.sampled_from(["USD", "JPY", "EUR"])),
        )
    )
)
def test_stored_payments_read_back_as_they_were(payments: list[PrintedPayment]) -> None:
    assert printed_form(stored_form(payments)) == tuple(payments)
