"""The invoice as data: a printed invoice in the terms of EN 16931 (BT-…), or the reasons why it cannot be.

Built from a `PrintedInvoice` and nothing else, so that paper and data say the same and one content hash covers both.
What the standard demands (BR-…) and staff can supply is asked for in plain sentences; its sums (BR-CO-10 to BR-CO-16)
are proved here, on exact amounts, before anything is written.
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from billing.documents.factur_x.country_codes import COUNTRY_CODES, IBAN_LENGTHS
from billing.documents.invoice import LineKind, PostalAddress, PrintedInvoice, PrintedLine
from billing.money import Money

#: UN/ECE Recommendation 20: an hour, and one of anything.
HOUR = "HUR"
ONE = "C62"

#: BT-151 and its kin (UNTDID 5305) by `invoices.tax_category`.
_CATEGORIES = {
    "standard": "S",
    "zero_rated": "Z",
    "exempt": "E",
    "reverse_charge": "AE",
    "export": "G",
    "outside_scope": "O",
}
_NEED_A_REASON = frozenset({"E", "AE", "G", "O"})
_REASON_CODES = {"AE": "VATEX-EU-AE", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}

#: A VAT identifier begins with its country, Greece's with EL, Northern Ireland's with XI (BR-CO-09).
_VAT_PREFIXES = COUNTRY_CODES | {"EL", "XI"}
_VAT_NUMBER = re.compile(r"[A-Z]{0,2}[0-9][0-9A-Z+*]+")
_IBAN_HEAD = re.compile(r"\b[A-Z]{2} ?[0-9]{2}")


@dataclass(frozen=True)
class Address:
    """A postal address (BG-5, BG-8): an ISO 3166 code and at most three `lines` (BT-35, BT-36, BT-162)."""

    country: str
    lines: tuple[str, ...] = ()
    city: str = ""
    postal_code: str = ""
    region: str = ""


@dataclass(frozen=True)
class Party:
    """The seller (BG-4) or the buyer (BG-7). Texts that are not known are empty.

    `identifier` is BT-29, `vat_identifier` BT-31 or BT-48, `tax_registration` BT-32.
    """

    name: str
    address: Address
    trading_name: str = ""
    identifier: str = ""
    vat_identifier: str = ""
    tax_registration: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True)
class InvoiceLine:
    """An invoice line (BG-25): `amount` (BT-131) is what counts; `quantity` times `price` rounds to it.

    `quantity` alone carries a minus: a price is never negative (BR-27).
    """

    number: int
    name: str
    quantity: Decimal
    unit: str
    price: Money
    amount: Money
    note: str = ""
    task_code: str = ""
    timekeeper: str = ""
    date: dt.date | None = None


@dataclass(frozen=True)
class AllowanceOrCharge:
    """A document level allowance (BG-20), or a charge (BG-21); `amount` is positive, `reason` never empty (BR-33)."""

    amount: Money
    reason: str
    is_charge: bool = False


@dataclass(frozen=True)
class Tax:
    """The one VAT breakdown (BG-23), whose category and rate every line has. `rate` (percent) is None for category O."""

    category: str
    rate: Decimal | None
    basis: Money
    amount: Money
    exemption_reason: str = ""
    exemption_code: str = ""


@dataclass(frozen=True)
class DocumentTotals:
    """BG-22: BT-106 to BT-110, BT-112, BT-113 and BT-115."""

    lines: Money
    allowances: Money
    charges: Money
    without_tax: Money
    tax: Money
    with_tax: Money
    prepaid: Money
    due: Money


@dataclass(frozen=True)
class ElectronicInvoice:
    """An EN 16931 commercial invoice. `period` is from the first to the last day of work.

    `corrects` says that it follows the same invoice with other amounts (type 384, which names that as BT-25; else 380).
    """

    number: str
    issue_date: dt.date
    currency: str
    seller: Party
    buyer: Party
    lines: tuple[InvoiceLine, ...]
    adjustments: tuple[AllowanceOrCharge, ...]
    tax: Tax
    totals: DocumentTotals
    due_date: dt.date | None = None
    period: tuple[dt.date, dt.date] | None = None
    project: tuple[str, str] | None = None
    note: str = ""
    iban: str = ""
    corrects: bool = False


@dataclass(frozen=True)
class NotElectronic:
    """Why there is no electronic invoice: sentences that name the field and the row, without the full stop."""

    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"The PDF carries no electronic invoice: {'; '.join(self.reasons)}."


def electronic_invoice(printed: PrintedInvoice) -> ElectronicInvoice | NotElectronic:
    """The printed invoice in the terms of EN 16931, or everything that is missing for it, at once."""
    charged = [line for group in printed.groups for line in group.lines if line.kind is not LineKind.DISCOUNT]
    lines = tuple(_line(number, line) for number, line in enumerate(charged, start=1))
    adjustments = _adjustments(printed)
    totals = _totals(printed, lines, adjustments)
    category = _category(printed)
    reasons = (
        *_missing_of_the_parties(printed, category),
        *_missing_of_the_tax(printed, category),
        *_missing_of_the_rest(printed, lines, totals),
        *_sums_that_differ(printed, totals),
    )
    if reasons:
        return NotElectronic(reasons)
    days = sorted(line.date for line in charged if line.date)
    return ElectronicInvoice(
        number=printed.number,
        issue_date=printed.issue_date,
        currency=printed.total.currency,
        seller=_seller(printed, category),
        buyer=_buyer(printed, category),
        lines=lines,
        adjustments=adjustments,
        tax=_tax(printed, category),
        totals=totals,
        due_date=printed.due_date,
        period=(days[0], days[-1]) if days else None,
        project=_project(printed),
        note=printed.client_message,
        iban=iban_in(printed.firm.bank_details),
        corrects=printed.correction is not None,
    )


def vat_identifier_in(tax_id: str) -> str:
    """The VAT identifier that a tax id is, without its blanks and points; empty if it is another number."""
    plain = re.sub(r"[\s./-]", "", tax_id).upper()
    is_one = plain[:2] in _VAT_PREFIXES and _VAT_NUMBER.fullmatch(plain[2:])
    return plain if is_one else ""


def iban_in(bank_details: str) -> str:
    """The only valid IBAN of a text, without blanks; empty if there is none, or if there are several."""
    found = {iban for line in bank_details.upper().splitlines() for iban in _candidates(line)}
    valid = [iban for iban in found if _has_right_check_digits(iban)]
    return valid[0] if len(valid) == 1 else ""


def _candidates(line: str) -> Iterable[str]:
    """What begins like an IBAN and has its country's length, blanks not counted; it must end with a word."""
    for head in _IBAN_HEAD.finditer(line):
        length = IBAN_LENGTHS.get(head[0][:2])
        wanted = length and re.match(rf"(?:[A-Z0-9] ?){{{length - 1}}}[A-Z0-9]\b", line[head.start() :])
        if wanted:
            yield wanted[0].replace(" ", "")


def _has_right_check_digits(iban: str) -> bool:
    """ISO 13616: the number, its head moved to the end and letters read as 10 to 35, is 1 modulo 97."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _line(number: int, line: PrintedLine) -> InvoiceLine:
    quantity, unit, price, note = Decimal(1), ONE, line.amount, ""
    if line.hours and line.rate is not None:
        if line.rate.percent(line.hours * 100) == line.amount and line.rate.minor >= 0:
            quantity, unit, price = line.hours, HOUR, line.rate
        else:  # a flat fee or a courtesy: the paper shows hours and rate all the same
            note = f"{line.hours} h, {line.rate}/h"
    if price.minor < 0:
        quantity, price = -quantity, -price
    return InvoiceLine(
        number=number,
        name=" ".join(line.description.split()),
        quantity=quantity,
        unit=unit,
        price=price,
        amount=line.amount,
        note=note,
        task_code=line.task_code,
        timekeeper=line.timekeeper,
        date=line.date,
    )


def _adjustments(printed: PrintedInvoice) -> tuple[AllowanceOrCharge, ...]:
    """Discounts are allowances of the whole document; one that adds to the invoice is a charge."""
    return tuple(
        AllowanceOrCharge(
            amount=line.amount if line.amount.minor > 0 else -line.amount,
            reason=" ".join(line.description.split()) or "Discount",
            is_charge=line.amount.minor > 0,
        )
        for group in printed.groups
        if group.kind is LineKind.DISCOUNT
        for line in group.lines
        if line.amount.minor
    )


def _totals(
    printed: PrintedInvoice, lines: Iterable[InvoiceLine], adjustments: Iterable[AllowanceOrCharge]
) -> DocumentTotals:
    """Sums of the parts; whether they are the printed ones is another question."""
    zero = Money.zero(printed.total.currency)
    total = sum((line.amount for line in lines), zero)
    charges = sum((item.amount for item in adjustments if item.is_charge), zero)
    allowances = sum((item.amount for item in adjustments if not item.is_charge), zero)
    without_tax = total - allowances + charges
    prepaid = sum((payment.amount for payment in printed.payments), zero)
    with_tax = without_tax + printed.tax
    return DocumentTotals(
        lines=total,
        allowances=allowances,
        charges=charges,
        without_tax=without_tax,
        tax=printed.tax,
        with_tax=with_tax,
        prepaid=prepaid,
        due=with_tax - prepaid,
    )


def _category(printed: PrintedInvoice) -> str:
    """The VAT category; empty where the rate is 0 and nothing says why."""
    return "S" if printed.tax_rate and not printed.tax_category else _CATEGORIES.get(printed.tax_category, "")


def _tax(printed: PrintedInvoice, category: str) -> Tax:
    needs_reason = category in _NEED_A_REASON
    return Tax(
        category=category,
        rate=None if category == "O" else printed.tax_rate,
        basis=printed.subtotal,
        amount=printed.tax,
        exemption_reason=printed.tax_exemption_reason if needs_reason else "",
        exemption_code=_REASON_CODES.get(category, ""),
    )


def _missing_of_the_parties(printed: PrintedInvoice, category: str) -> Iterable[str]:
    firm, client = printed.firm, printed.client
    if firm.country_code not in COUNTRY_CODES:
        yield "the firm has no country (firm.country, two letters such as DE)"
    if not firm.tax_id:
        yield "the firm has no tax number (firm.tax_id)"
    elif category == "G" and not vat_identifier_in(firm.tax_id):
        yield "the firm's tax number is no VAT identifier (firm.tax_id, such as DE123456789), which an export needs"
    if not client.name:
        yield "the client has no name (clients.name)"
    if client.address.country.upper() not in COUNTRY_CODES:
        yield "the client's address has no country code (clients.address, country, two letters such as DE)"
    if category == "AE" and not vat_identifier_in(client.tax_id):
        yield "the client has no VAT identifier (clients.tax_id), which a reverse charge needs"


def _missing_of_the_tax(printed: PrintedInvoice, category: str) -> Iterable[str]:
    rate = printed.tax_rate.normalize()
    if rate and category != "S":
        yield (
            f"the invoice is taxed at {rate:f} %, but invoices.tax_category says {printed.tax_category or 'nothing'}"
        )
    elif not rate and category in ("", "S"):
        yield "the invoice is not taxed, and invoices.tax_category does not say why"
    elif category in _NEED_A_REASON and not printed.tax_exemption_reason:
        yield "the reason for no tax is missing (invoices.tax_exemption_reason)"


def _missing_of_the_rest(
    printed: PrintedInvoice, lines: tuple[InvoiceLine, ...], totals: DocumentTotals
) -> Iterable[str]:
    if not lines:
        yield "the invoice has no fee and no expense"
    if unnamed := [str(line.number) for line in lines if not line.name]:
        yield f"line items have no description (number {', '.join(unnamed[:5])})"
    if totals.with_tax.minor < 0:
        yield "the invoice's total is negative, which takes a credit note"
    if totals.due.minor > 0 and printed.due_date is None:
        yield "the invoice has no due date (invoices.due_date)"


def _sums_that_differ(printed: PrintedInvoice, totals: DocumentTotals) -> Iterable[str]:
    """BR-CO-10 to BR-CO-16 hold among `totals` by construction; this holds them to what is printed."""
    pairs = (
        ("subtotal", printed.subtotal, totals.without_tax),
        ("tax", printed.tax, printed.subtotal.percent(printed.tax_rate)),
        ("total", printed.total, totals.with_tax),
        ("balance", printed.balance_due, totals.due),
    )
    for name, shown, computed in pairs:
        if shown != computed:
            yield f"the {name} is printed as {shown}, but its parts make {computed}"


def _seller(printed: PrintedInvoice, category: str) -> Party:
    firm = printed.firm
    name = firm.legal_name or firm.name
    vat_identifier = "" if category == "O" else vat_identifier_in(firm.tax_id)
    return Party(
        name=name,
        address=_address(firm.address, firm.country_code),
        trading_name=firm.name if firm.name != name else "",
        # Without a VAT identifier the tax number has to identify the seller, too (BR-CO-26).
        identifier="" if vat_identifier else firm.tax_id,
        vat_identifier=vat_identifier,
        tax_registration="" if vat_identifier else firm.tax_id,
        phone=firm.phone,
        email=firm.email,
    )


def _buyer(printed: PrintedInvoice, category: str) -> Party:
    client = printed.client
    return Party(
        name=client.name,
        address=_address(client.address, client.address.country.upper()),
        vat_identifier="" if category == "O" else vat_identifier_in(client.tax_id),
    )


def _address(address: PostalAddress, country: str) -> Address:
    """Its parts by name; of an address that is only lines the first two and the rest."""
    if parts := address.parts:
        lines = tuple(line for line in (parts.line1, parts.line2) if line)
        return Address(country, lines, parts.city, parts.postal_code, parts.state)
    return Address(country, tuple(filter(None, (*address.lines[:2], ", ".join(address.lines[2:])))))


def _project(printed: PrintedInvoice) -> tuple[str, str] | None:
    """BT-11, with its name: the matter."""
    number = printed.matter_number or printed.matter_name
    return (number, printed.matter_name or number) if number else None


def remark_on(printed: PrintedInvoice) -> str | None:
    """What staff must be told beside a finished document: why it carries no electronic invoice that the firm wants."""
    electronic = electronic_invoice(printed) if printed.firm.electronic_invoice else None
    return str(electronic) if isinstance(electronic, NotElectronic) else None
