import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.documents.factur_x.invoice import ElectronicInvoice, electronic_invoice
from billing.documents.factur_x.xml import electronic_invoice_xml
from billing.documents.invoice import PrintedInvoice
from billing.money import Money
from tests.integration.render_pdf.electronic_samples import SAMPLES, corrected, invoice, untaxed
from tests.integration.render_pdf.en16931 import schema_errors, verdict
from tests.integration.render_pdf.sample_invoices import ATTACK, discount, fee

#: The schema wants the element of delivery even where nobody knows the day; the schematron only warns of its emptiness.
EMPTY_ELEMENT = "PEPPOL-EN16931-R008"


def xml_of(printed: PrintedInvoice) -> bytes:
    electronic = electronic_invoice(printed)
    assert isinstance(electronic, ElectronicInvoice), electronic
    return electronic_invoice_xml(electronic)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_keeps_the_schema_and_every_rule_of_the_standard(name: str) -> None:
    xml = xml_of(SAMPLES[name]())
    assert schema_errors(xml) == []
    found = verdict(xml)
    assert found.fired >= 60
    assert found.failed == ({EMPTY_ELEMENT} if name == "undated" else set())


def test_a_correction_is_data_of_a_corrected_invoice_with_the_balance_of_its_page() -> None:
    first, second = (
        xml_of(printed).decode() for printed in (replace(corrected(), correction=None), corrected())
    )
    said = {
        "ram:TypeCode": "384", "ram:TotalPrepaidAmount": "600.00", "ram:DuePayableAmount": "300.00",
        "ram:IssuerAssignedID": "2026-0200",
    }  # fmt: skip
    assert {name: re.findall(f"<{name}>([^<]*)", second)[0] for name in said} == said
    assert '<ram:FormattedIssueDateTime><qdt:DateTimeString format="102">20261001<' in second
    assert "<ram:TypeCode>380<" in first
    assert "InvoiceReferencedDocument" not in first


MUTATIONS: list[tuple[str, str, str, set[str]]] = [
    ("a wrong grand total", r"(<ram:GrandTotalAmount>)[^<]*", r"\g<1>9999.99", {"BR-CO-15", "BR-CO-16"}),
    ("a wrong amount due", r"(<ram:DuePayableAmount>)[^<]*", r"\g<1>1.00", {"BR-CO-16"}),
    ("a wrong sum of lines", r"(</ram:SpecifiedTradePaymentTerms>.*<ram:LineTotalAmount>)[^<]*", r"\g<1>1.00",
     {"BR-CO-10", "BR-CO-13"}),
    ("a wrong sum of allowances", r"(<ram:AllowanceTotalAmount>)[^<]*", r"\g<1>1.00", {"BR-CO-11", "BR-CO-13"}),
    ("a wrong tax", r"(<ram:CalculatedAmount>)[^<]*", r"\g<1>1.00", {"BR-CO-14", "BR-CO-17", "BR-S-09"}),
    ("a negative price", r"(<ram:ChargeAmount>)", r"\g<1>-", {"BR-27"}),
    ("no country of the buyer", r"<ram:CountryID>GR</ram:CountryID>", "",
     {"BR-11", "FX-SCH-A-000422"}),
    ("no VAT number", r"<ram:SpecifiedTaxRegistration><ram:ID schemeID=\"VA\">DE.*?</ram:SpecifiedTaxRegistration>", "",
     {"BR-CO-26", "BR-S-02", "BR-S-03"}),
    ("an allowance for no reason", r"<ram:Reason>.*?</ram:Reason>", "", {"BR-33", "BR-CO-21"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "pattern", "replacement", "broken"), MUTATIONS, ids=[row[0] for row in MUTATIONS]
)
def test_the_rules_notice(what: str, pattern: str, replacement: str, broken: set[str]) -> None:
    xml = xml_of(invoice()).decode()
    mutated, times = re.subn(pattern, replacement, xml, count=1, flags=re.DOTALL)
    assert times == 1, what
    assert verdict(mutated.encode()).failed == broken


def test_the_schema_notices_an_element_it_does_not_know() -> None:
    assert schema_errors(xml_of(invoice()).replace(b"ram:GrandTotalAmount>", b"ram:GreatTotalAmount>"))


def test_hostile_text_stays_text() -> None:
    printed = invoice(
        [replace(fee(0, "EUR"), description=ATTACK, timekeeper=f"{ATTACK}\x0b\ufffe", task_code=ATTACK)],
        [],
        firm={"name": ATTACK, "legal_name": f"legal {ATTACK}", "phone": ATTACK, "email": ATTACK},
        client={"name": ATTACK},
        matter_name=ATTACK,
        matter_number=ATTACK,
        client_message=f"{ATTACK}\n\x00",
    )
    xml = xml_of(printed)
    assert schema_errors(xml) == []
    assert verdict(xml).failed == set()
    assert b"<script" not in xml
    assert xml.count(b"&lt;script&gt;alert(1)") >= 9


def test_the_same_invoice_gives_the_same_bytes() -> None:
    assert len({xml_of(printed) for printed in (invoice(), invoice(), untaxed("exempt"))}) == 2


@pytest.mark.parametrize("draw_sample", [SAMPLES["yen"], SAMPLES["courtesy"]])
def test_amounts_have_their_currencys_decimals(draw_sample: Callable[[], PrintedInvoice]) -> None:
    printed = draw_sample()
    amounts = re.findall(r"Amount(?: currencyID=\"\w+\")?>(-?[0-9.]+)<", xml_of(printed).decode())
    assert len(amounts) > 8
    decimals = 0 if printed.total.currency == "JPY" else 2
    assert {len(amount.partition(".")[2]) for amount in amounts} == {decimals}


@settings(max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    lines=st.lists(
        st.tuples(st.integers(0, 10**8), st.decimals("0.01", "99", places=2), st.integers(0, 10**5)),
        min_size=1,
        max_size=4,
    ),
    taken_off=st.lists(st.integers(0, 10**3), max_size=2),
    rate=st.decimals("0.5", "30", places=3),
    currency=st.sampled_from(["EUR", "JPY"]),
)
def test_whatever_is_billed_keeps_the_rules(
    lines: list[tuple[int, Decimal, int]], taken_off: list[int], rate: Decimal, currency: str
) -> None:
    """Below half a percent the schematron itself rounds the rate to none and then wants no tax."""
    printed_lines = [
        replace(
            fee(number, currency),
            hours=hours,
            rate=Money(per_hour, currency),
            amount=Money(per_hour, currency).percent(hours * 100) if number % 2 else Money(amount, currency),
        )
        for number, (amount, hours, per_hour) in enumerate(lines)
    ]
    printed_lines += [
        replace(discount("1", currency), id=f"d{number}", amount=Money(-minor, currency))
        for number, minor in enumerate(taken_off)
    ]
    printed = invoice(printed_lines, [], tax_rate=str(rate), currency=currency)
    if printed.total.minor < 0:
        return
    xml = xml_of(printed)
    assert schema_errors(xml) == []
    assert verdict(xml).failed == set()
