"""Invoices of a European firm that wants them to be electronic: what a tax office, a client and a bank would see."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from billing.documents.invoice import (
    Addressee,
    Correction,
    LineKind,
    PrintedInvoice,
    PrintedLine,
    PrintedPayment,
    envelope_lines,
    print_invoice,
)
from billing.money import Money
from tests.integration.render_pdf.sample_invoices import (
    FIRM,
    LOGO,
    SENT_AT,
    discount,
    expense,
    facts,
    fee,
)

GERMAN_FIRM = replace(
    FIRM,
    name="Albers Kanzlei",
    legal_name="Albers & Söhne Rechtsanwälte PartG mbB",
    currency="EUR",
    timezone="Europe/Berlin",
    language="de",
    address=envelope_lines(
        line1="Neuer Wall 41", line2="3. Stock", city="Hamburg", postal_code="20354", country="DE"
    ),
    tax_id="DE 811 234 567",
    email="rechnung@albers.example",
    phone="+49 40 5550 142",
    bank_details="Hansebank Hamburg\nIBAN DE02 1203 0000 0000 2020 51\nBIC BYLADEM1001",
    footer="Partnerschaftsregister Hamburg PR 471",
    country_code="DE",
    electronic_invoice=True,
)
GREEK_CLIENT = Addressee(
    name="Ναυτιλιακή & Υιοί",
    address=envelope_lines(line1="Ακτή Μιαούλη 7", city="Πειραιάς", postal_code="185 35", country="gr"),
    tax_id="EL 123456789",
)


def invoice(
    lines: list[PrintedLine] | None = None,
    payments: list[PrintedPayment] | None = None,
    *,
    tax_rate: str = "19",
    currency: str = "EUR",
    logo: bool = True,
    firm: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
    **printed: Any,
) -> PrintedInvoice:
    """An ordinary one: fees, expenses, a discount, a payment; `firm` and `client` change columns."""
    usual = [
        *(fee(number, currency) for number in range(5)),
        expense(1, "Gerichtskosten", "402", currency),
        discount("250", currency),
    ]
    paid = [PrintedPayment("p1", date(2026, 9, 20), "wire", Money.from_decimal(Decimal(100), currency))]
    return print_invoice(
        invoice=facts("2026-0200", currency=currency, tax_rate=tax_rate, **printed),
        sent_at=SENT_AT,
        firm=replace(GERMAN_FIRM, **(firm or {})),
        client=replace(GREEK_CLIENT, **(client or {})),
        lines=usual if lines is None else lines,
        payments=paid if payments is None else payments,
        logo=LOGO if logo else None,
    )


def untaxed(
    category: str, reason: str = "Steuerschuldnerschaft des Leistungsempfängers", **changes: Any
) -> PrintedInvoice:
    """An invoice at 0 percent, and why."""
    return invoice(tax_rate="0", tax_category=category, tax_exemption_reason=reason, **changes)


def yen() -> PrintedInvoice:
    """No decimals; the tax is rounded to a whole yen."""
    line = PrintedLine("a", LineKind.FEE, "助言", Money(12_345, "JPY"), date=date(2026, 9, 1))
    return invoice([line, discount("345", "JPY")], [], tax_rate="8", currency="JPY")


def credit() -> PrintedInvoice:
    """More was paid than was billed."""
    return invoice([fee(0, "EUR")], [PrintedPayment("p", None, "wire", Money(500_000, "EUR"))], due_date=None)


def courtesy() -> PrintedInvoice:
    """A flat fee, an hour for nothing, work taken back, and a surcharge among the discounts."""
    flat = replace(fee(0, "EUR"), amount=Money(50_000, "EUR"))
    nothing = replace(fee(1, "EUR"), amount=Money(0, "EUR"), rate=Money(0, "EUR"))
    back = replace(fee(2, "EUR"), amount=Money(-12_345, "EUR"), hours=None, rate=None)
    hours_back = replace(
        fee(3, "EUR"), hours=Decimal("-1.5"), rate=Money(10_001, "EUR"), amount=Money(-15_002, "EUR")
    )
    surcharge = replace(discount("1", "EUR"), id="s", amount=Money(4_711, "EUR"), description="Eilzuschlag")
    none = replace(discount("1", "EUR"), id="n", amount=Money(0, "EUR"))
    return invoice([flat, nothing, back, hours_back, discount("10.01", "EUR"), surcharge, none], [])


def undated() -> PrintedInvoice:
    """Lines without days, an address that is only lines, a client without anything else."""
    lines = [replace(fee(number, "EUR"), date=None, timekeeper="", task_code="") for number in range(2)]
    return invoice(
        lines,
        [],
        firm={
            "address": replace(GERMAN_FIRM.address, lines=("a", "b", "c", "d"), parts=None),
            "legal_name": "",
        },
        client={"tax_id": ""},
        matter_number="",
        matter_name="",
        client_message="",
    )


def corrected() -> PrintedInvoice:
    """1,000.00 of which 600.00 were paid, and then 100.00 taken off."""
    line = PrintedLine("a", LineKind.FEE, "Beratung", Money(100_000, "EUR"), date=date(2026, 9, 1))
    printed = invoice(
        [line, discount("100", "EUR")],
        [PrintedPayment("p", date(2026, 10, 5), "check", Money(60_000, "EUR"))],
        tax_rate="0", tax_category="exempt", tax_exemption_reason="§ 19 UStG",
    )  # fmt: skip
    return replace(
        printed, correction=Correction(datetime(2026, 10, 10, 2, 30, tzinfo=UTC), date(2026, 10, 9), 1)
    )


SAMPLES: dict[str, Callable[[], PrintedInvoice]] = {
    "ordinary": invoice,
    "yen": yen,
    "credit": credit,
    "corrected": corrected,
    "courtesy": courtesy,
    "undated": undated,
    "long": lambda: invoice([fee(number, "EUR") for number in range(120)]),
    "zero_rated": lambda: untaxed("zero_rated", ""),
    "exempt": lambda: untaxed("exempt", "§ 19 UStG"),
    "reverse_charge": lambda: untaxed("reverse_charge"),
    "export": lambda: untaxed("export", "Leistung im Drittland"),
    "outside_scope": lambda: untaxed("outside_scope", "Nicht steuerbar"),
    "no_vat_number": lambda: invoice(firm={"tax_id": "12/345/67890"}),
    "fractional_rate": lambda: invoice(tax_rate="8.875"),
    "foreign_currency": lambda: invoice(currency="CHF", firm={"bank_details": "Konto 12"}),
}
