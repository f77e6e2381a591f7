from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents.factur_x.invoice import (
    HOUR,
    ONE,
    ElectronicInvoice,
    NotElectronic,
    electronic_invoice,
    iban_in,
    remark_on,
    vat_identifier_in,
)
from billing.documents.invoice import PrintedInvoice, identity_of
from billing.money import Money
from tests.integration.render_pdf.electronic_samples import (
    SAMPLES,
    courtesy,
    credit,
    invoice,
    undated,
    untaxed,
    yen,
)
from tests.integration.render_pdf.sample_invoices import discount, facts, fee


def made(printed: PrintedInvoice) -> ElectronicInvoice:
    electronic = electronic_invoice(printed)
    assert isinstance(electronic, ElectronicInvoice), electronic
    return electronic


def reasons(printed: PrintedInvoice) -> tuple[str, ...]:
    refused = electronic_invoice(printed)
    assert isinstance(refused, NotElectronic)
    return refused.reasons


def euros(amount: str) -> Money:
    return Money.from_decimal(Decimal(amount), "EUR")


def test_the_data_say_what_the_paper_says() -> None:
    printed = invoice()
    electronic = made(printed)
    assert (electronic.number, electronic.issue_date, electronic.currency) == (
        "2026-0200",
        date(2026, 10, 1),
        "EUR",
    )
    assert electronic.due_date == date(2026, 10, 31)
    assert electronic.project == ("M-2291", "Acquisition of Nordlys A/S")
    assert electronic.iban == "DE02120300000000202051"
    assert electronic.period == (date(2026, 9, 1), date(2026, 9, 12))
    seller, buyer = electronic.seller, electronic.buyer
    assert (seller.name, seller.trading_name) == ("Albers & Söhne Rechtsanwälte PartG mbB", "Albers Kanzlei")
    assert (seller.vat_identifier, seller.tax_registration, seller.identifier) == ("DE811234567", "", "")
    assert (seller.address.lines, seller.address.city) == (("Neuer Wall 41", "3. Stock"), "Hamburg")
    assert (buyer.address.country, buyer.address.postal_code, buyer.vat_identifier) == (
        "GR",
        "185 35",
        "EL123456789",
    )
    assert [line.number for line in electronic.lines] == [1, 2, 3, 4, 5, 6]
    assert [line.amount for line in electronic.lines] == [
        line.amount for group in printed.groups for line in group.lines if group.kind != "discount"
    ]
    (allowance,) = electronic.adjustments
    assert (allowance.amount, allowance.is_charge) == (euros("250"), False)
    assert allowance.reason.startswith("Courtesy discount")
    totals = electronic.totals
    assert totals.without_tax == totals.lines - euros("250") == printed.subtotal == electronic.tax.basis
    assert totals.with_tax == printed.total == totals.without_tax + electronic.tax.amount
    assert (totals.prepaid, totals.due) == (euros("100"), printed.balance_due)


def test_hours_are_the_quantity_where_they_make_the_amount() -> None:
    line = made(invoice()).lines[0]
    assert (line.quantity, line.unit, line.price, line.amount) == (
        Decimal("1.25"), HOUR, euros("320"), euros("400"),
    )  # fmt: skip
    assert (line.timekeeper, line.task_code, line.note) == ("A. Harrow", "L120", "")


def test_any_other_line_is_one_of_its_amount_and_a_minus_is_the_quantitys() -> None:
    flat, nothing, back, hours_back = made(courtesy()).lines
    assert (flat.quantity, flat.unit, flat.price, flat.note) == (
        Decimal(1),
        ONE,
        euros("500"),
        "1.25 h, 320.00 EUR/h",
    )
    assert (nothing.unit, nothing.price, nothing.amount.minor) == (HOUR, euros("0"), 0)
    assert (back.quantity, back.unit, back.price, back.amount) == (
        Decimal(-1),
        ONE,
        euros("123.45"),
        euros("-123.45"),
    )
    # -1.5 hours at 100.01 are -150.015: half up, away from zero, as every amount is rounded.
    assert (hours_back.quantity, hours_back.unit, hours_back.price) == (
        Decimal("-1.5"),
        HOUR,
        euros("100.01"),
    )


def test_no_hours_are_no_quantity() -> None:
    """An expense may hold 0 hours at 0: the paper does not show them either."""
    line = replace(fee(0, "EUR"), hours=Decimal(0), rate=euros("0"), amount=euros("402"))
    free = replace(fee(1, "EUR"), hours=Decimal(0), amount=euros("0"))
    first, second = made(invoice([line, free], [])).lines
    assert (first.quantity, first.unit, first.price, first.note) == (Decimal(1), ONE, euros("402"), "")
    assert (second.quantity, second.unit, second.price, second.note) == (Decimal(1), ONE, euros("0"), "")


def test_what_adds_among_the_discounts_is_a_charge_and_nothing_is_nothing() -> None:
    electronic = made(courtesy())
    assert [(item.amount, item.is_charge) for item in electronic.adjustments] == [
        (euros("10.01"), False), (euros("47.11"), True),
    ]  # fmt: skip
    assert (electronic.totals.allowances, electronic.totals.charges) == (euros("10.01"), euros("47.11"))


def test_yen_stay_whole() -> None:
    electronic = made(yen())
    assert (electronic.totals.tax, electronic.totals.with_tax) == (Money(960, "JPY"), Money(12_960, "JPY"))


def test_a_credit_is_a_negative_amount_due_and_needs_no_due_date() -> None:
    electronic = made(credit())
    assert electronic.totals.due.minor < 0
    assert electronic.due_date is None


def test_what_nobody_knows_is_left_out() -> None:
    electronic = made(undated())
    assert (electronic.period, electronic.project, electronic.buyer.vat_identifier) == (None, None, "")
    assert electronic.seller.address.lines == ("a", "b", "c, d")
    assert electronic.seller.trading_name == ""


@pytest.mark.parametrize(
    ("category", "code", "exemption"),
    [("zero_rated", "Z", ""), ("exempt", "E", ""), ("reverse_charge", "AE", "VATEX-EU-AE"),
     ("export", "G", "VATEX-EU-G"), ("outside_scope", "O", "VATEX-EU-O")],
)  # fmt: skip
def test_no_tax_has_its_category(category: str, code: str, exemption: str) -> None:
    electronic = made(untaxed(category, "Why"))
    assert (electronic.tax.category, electronic.tax.exemption_code) == (code, exemption)
    assert electronic.tax.exemption_reason == ("" if code == "Z" else "Why")
    assert electronic.tax.rate == (None if code == "O" else 0)
    assert electronic.tax.amount.minor == 0
    if code == "O":  # BR-O-02: no VAT number of anybody
        assert (electronic.seller.vat_identifier, electronic.buyer.vat_identifier) == ("", "")
        assert electronic.seller.identifier == "DE 811 234 567"


def test_a_tax_number_that_is_no_vat_number_identifies_the_seller_too() -> None:
    seller = made(invoice(firm={"tax_id": "12/345/67890"})).seller
    assert (seller.vat_identifier, seller.tax_registration, seller.identifier) == (
        "",
        "12/345/67890",
        "12/345/67890",
    )


REFUSALS: list[tuple[Any, str]] = [
    (lambda: invoice(firm={"country_code": ""}), "the firm has no country (firm.country"),
    (lambda: invoice(firm={"country_code": "XX"}), "the firm has no country (firm.country"),
    (lambda: invoice(firm={"tax_id": ""}), "the firm has no tax number (firm.tax_id)"),
    (lambda: untaxed("export", firm={"tax_id": "12/3"}), "the firm's tax number is no VAT identifier (firm.tax_id"),
    (lambda: invoice(client={"name": ""}), "the client has no name (clients.name)"),
    (lambda: invoice(client={"address": replace(invoice().client.address, country="Hellas")}),
     "the client's address has no country code (clients.address"),
    (lambda: untaxed("reverse_charge", client={"tax_id": "47 11"}), "the client has no VAT identifier (clients.tax_id)"),
    (lambda: invoice(tax_category="exempt"), "the invoice is taxed at 19 %, but invoices.tax_category says exempt"),
    (lambda: untaxed(""), "the invoice is not taxed, and invoices.tax_category does not say why"),
    (lambda: untaxed("standard"), "the invoice is not taxed, and invoices.tax_category does not say why"),
    (lambda: untaxed("exempt", ""), "the reason for no tax is missing (invoices.tax_exemption_reason)"),
    (lambda: invoice([], []), "the invoice has no fee and no expense"),
    (lambda: invoice([fee(0, "EUR"), replace(fee(1, "EUR"), description=" \n")]),
     "line items have no description (number 2)"),
    (lambda: invoice([fee(0, "EUR"), discount("1000", "EUR")], []), "the invoice's total is negative"),
    (lambda: invoice(due_date=None), "the invoice has no due date (invoices.due_date)"),
]  # fmt: skip


@pytest.mark.parametrize(("sample", "reason"), REFUSALS)
def test_what_is_missing_is_named_with_its_field(sample: Any, reason: str) -> None:
    (only,) = reasons(sample())
    assert only.startswith(reason)


def test_everything_that_is_missing_is_named_at_once() -> None:
    printed = untaxed("", "", firm={"country_code": "", "tax_id": ""}, due_date=None)
    assert len(reasons(printed)) == 4
    assert remark_on(printed) == (
        "The PDF carries no electronic invoice: the firm has no country (firm.country, two letters such as DE); the firm"
        " has no tax number (firm.tax_id); the invoice is not taxed, and invoices.tax_category does not say why; the"
        " invoice has no due date (invoices.due_date)."
    )


def test_nothing_is_remarked_where_it_is_electronic_or_nobody_wants_that() -> None:
    assert remark_on(invoice()) is None
    assert (
        remark_on(invoice(firm={"electronic_invoice": False, "country_code": ""}, tax_category="exempt"))
        is None
    )


@pytest.mark.parametrize("field", ["subtotal", "tax", "total", "balance_due"])
def test_a_sum_that_is_not_that_of_its_parts_is_refused_with_both_numbers(field: str) -> None:
    printed = invoice()
    shown = getattr(printed, field)
    wrong = replace(printed, **{field: shown + Money(1, "EUR")})
    assert any(str(shown) in reason and str(shown + Money(1, "EUR")) in reason for reason in reasons(wrong))


@given(
    amounts=st.lists(st.integers(0, 10**9), min_size=1, max_size=8),
    taken_off=st.lists(st.integers(0, 10**4), max_size=4),
    rate=st.decimals("0.0001", "100", places=4),
    currency=st.sampled_from(["EUR", "JPY", "USD"]),
)
def test_the_sums_hold_whatever_is_billed(
    amounts: list[int], taken_off: list[int], rate: Decimal, currency: str
) -> None:
    lines = [
        replace(fee(number, currency), amount=Money(minor, currency)) for number, minor in enumerate(amounts)
    ]
    lines += [
        replace(discount("1", currency), id=f"d{n}", amount=Money(-minor, currency))
        for n, minor in enumerate(taken_off)
    ]
    printed = invoice(lines, [], tax_rate=str(rate), currency=currency)
    printed = replace(printed, balance_due=printed.total)
    electronic = electronic_invoice(printed)
    if printed.total.minor < 0:
        assert isinstance(electronic, NotElectronic)
        return
    assert isinstance(electronic, ElectronicInvoice)
    totals = electronic.totals
    assert totals.lines == sum((line.amount for line in electronic.lines), Money.zero(currency))
    assert totals.without_tax == totals.lines - totals.allowances + totals.charges
    assert totals.with_tax == totals.without_tax + totals.tax
    assert totals.due == totals.with_tax - totals.prepaid
    for line in electronic.lines:
        assert line.price.minor >= 0
        assert line.price.percent(line.quantity * 100) == line.amount


def test_every_fact_of_the_data_is_part_of_the_documents_identity() -> None:
    def identity(printed: PrintedInvoice) -> str:
        return identity_of(printed, template_version="t", layer_version="l").content_hash

    same = identity(invoice())
    assert identity(invoice()) == same
    others = [
        invoice(firm={"electronic_invoice": False, "country_code": ""}),
        invoice(firm={"country_code": "AT"}),
        invoice(tax_category="standard"),
        invoice(tax_exemption_reason="x"),
    ]
    assert len({same, *map(identity, others)}) == len(others) + 1


def test_a_tax_category_names_no_other_document_while_invoices_are_not_electronic() -> None:
    plain = {"electronic_invoice": False, "country_code": ""}
    assert invoice(firm=plain, tax_category="exempt") == invoice(firm=plain)
    assert facts(tax_category="exempt").tax_category == "exempt"


@pytest.mark.parametrize(
    ("text", "iban"),
    [
        ("IBAN DE02 1203 0000 0000 2020 51\nBIC BYLADEM1001", "DE02120300000000202051"),
        ("IBAN: DE02120300000000202051 BIC BYLADEM1001", "DE02120300000000202051"),
        ("iban de02 1203 0000 0000 2020 51, Hansebank", "DE02120300000000202051"),
        ("DE02 1203 0000 0000 2020 51 or again DE02120300000000202051", "DE02120300000000202051"),
        ("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
        ("DE02 1203 0000 0000 2020 52", ""),  # a digit is wrong
        ("DE02 1203 0000 0000 2020 5", ""),
        ("DE02 1203 0000 0000 2020 511", ""),
        ("DE02 1203 0000 0000 2020 51\nNL91 ABNA 0417 1643 00", ""),  # which of the two?
        ("ABA routing: 021000089\nAccount: 4471 0093 2216", ""),
        ("", ""),
    ],
)
def test_the_iban_is_found_in_the_bank_details_or_not_at_all(text: str, iban: str) -> None:
    assert iban_in(text) == iban


@pytest.mark.parametrize(
    ("text", "identifier"),
    [("DE 811 234 567", "DE811234567"), ("CHE-123.456.789 MWST", "CHE123456789MWST"), ("atu12345678", "ATU12345678"),
     ("EL 123456789", "EL123456789"), ("ESX1234567X", "ESX1234567X"), ("IE8Z49289F", "IE8Z49289F"),
     ("NL123456789B01", "NL123456789B01"), ("13-4082217", ""), ("12/345/67890", ""), ("ZZ123456789", ""),
     ("USt-IdNr. DE811234567", ""), ("", "")],
)  # fmt: skip
def test_a_vat_identifier_is_told_from_another_tax_number(text: str, identifier: str) -> None:
    assert vat_identifier_in(text) == identifier


def test_the_samples_are_all_electronic() -> None:
    for sample in SAMPLES.values():
        made(sample())
