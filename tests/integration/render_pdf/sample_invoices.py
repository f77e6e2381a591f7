"""Invoices to look at: an ordinary one, a long one, yen, hostile lengths, nothing optional, a credit, a correction."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.documents.invoice import (
    Addressee,
    Correction,
    InvoiceFacts,
    Letterhead,
    LineKind,
    Logo,
    PostalAddress,
    PrintedInvoice,
    PrintedLine,
    PrintedPayment,
    print_invoice,
)
from billing.ledger.ledger import Invoice, InvoiceStatus
from billing.money import Money

FIRM = Letterhead(
    name="Harrow & Delacroix",
    legal_name="Harrow & Delacroix LLP",
    currency="USD",
    timezone="America/New_York",
    language="en-US",
    address=PostalAddress(("350 Fifth Avenue, Suite 4110", "New York, NY 10118"), ""),
    tax_id="13-4082217",
    email="billing@harrowdelacroix.example",
    phone="+1 212 555 0142",
    bank_details="First Meridian Bank, New York\nAccount name: Harrow & Delacroix LLP\nABA routing: 021000089\n"
    "Account: 4471 0093 2216",
    footer="Harrow & Delacroix LLP is a limited liability partnership registered in the State of New York.",
)
CLIENT = Addressee(
    name="Zoë Müller-Østergård Holdings, Inc.",
    address=PostalAddress(("Attn. Accounts Payable", "88 Harbor Street, Floor 3", "Boston, MA 02110"), "US"),
)
LOGO = Logo(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 220 60" width="220" height="60">'
    b'<title>Harrow &amp; Delacroix</title><rect width="60" height="60" fill="#1d3a5f"/>'
    b'<path d="M16 14h6v13h16V14h6v32h-6V33H22v13h-6z" fill="#fff"/>'
    b'<rect x="74" y="28" width="146" height="4" fill="#b08d57"/></svg>',
    "image/svg+xml",
)
_WORK = (
    (
        "A. Harrow",
        "L120",
        "Review of the share purchase agreement; memorandum on representations and warranties",
    ),
    ("C. Delacroix", "L210", "Draft answer and affirmative defenses"),
    ("J. Okafor", "L310", "Prepare first set of interrogatories and requests for production of documents"),
    (
        "A. Harrow",
        "L160",
        "Telephone conference with opposing counsel regarding settlement; follow-up letter",
    ),
    ("J. Okafor", "L320", "Document review"),
)


def fee(number: int, currency: str = "USD") -> PrintedLine:
    """The numberth fee, different from its neighbours."""
    timekeeper, code, description = _WORK[number % len(_WORK)]
    hours = Decimal(5 + number % 9) / 4
    rate = Money.from_decimal(Decimal(320 + 45 * (number % 3)), currency)
    return PrintedLine(
        id=f"fee-{number:04}",
        kind=LineKind.FEE,
        description=f"{description} [{number + 1}]" if number >= len(_WORK) else description,
        amount=rate.percent(hours * 100),
        date=date(2026, 9, 1) + timedelta(days=number % 30),
        timekeeper=timekeeper,
        task_code=code,
        hours=hours,
        rate=rate,
        sort=number,
    )


def expense(number: int, description: str, amount: str, currency: str = "USD") -> PrintedLine:
    """A disbursement."""
    return PrintedLine(
        id=f"expense-{number}",
        kind=LineKind.EXPENSE,
        description=description,
        amount=Money.from_decimal(Decimal(amount), currency),
        date=date(2026, 9, 12),
        sort=number,
    )


def discount(amount: str, currency: str = "USD") -> PrintedLine:
    """A courtesy."""
    return PrintedLine(
        id="discount-1",
        kind=LineKind.DISCOUNT,
        description="Courtesy discount, as agreed with Ms. Müller on September 28",
        amount=-Money.from_decimal(Decimal(amount), currency),
        date=date(2026, 9, 30),
    )


SENT_AT = datetime(2026, 10, 1, 14, 30, tzinfo=UTC)
MESSAGE = (
    "Thank you for your trust. September covers the closing of the first round of due diligence; the next invoice "
    "follows after the signing on October 19.\nPlease call Anne Harrow with any question."
)


def facts(
    number: str = "2026-0147",
    *,
    currency: str = "USD",
    tax_rate: str = "8.875",
    due_date: date | None = date(2026, 10, 31),
    **printed: Any,
) -> InvoiceFacts:
    """An ordinary invoice row whose totals the invoice writer has not filled in."""
    ledger = Invoice(
        id="0192f0c2-7a51-7c11-9c3e-3d0f5a1b7e42",
        invoice_number=number,
        client="0192f0c2-0000-7c11-9c3e-3d0f5a1b7e42",
        currency=currency,
        status=InvoiceStatus.SENT,
        tax_rate=Decimal(tax_rate),
        due_date=due_date,
        sent_at=SENT_AT,
    )
    usual: dict[str, Any] = {
        "issue_date": date(2026, 10, 1),
        "matter_number": "M-2291",
        "matter_name": "Acquisition of Nordlys A/S",
        "client_message": MESSAGE,
    }
    return InvoiceFacts(ledger=ledger, **(usual | printed))


def ordinary() -> PrintedInvoice:
    """Fees, expenses, a discount, a payment, a message."""
    return print_invoice(
        invoice=facts(),
        sent_at=SENT_AT,
        firm=FIRM,
        client=CLIENT,
        lines=[
            *(fee(number) for number in range(5)),
            expense(1, "Court filing fee, Southern District of New York", "402.00"),
            expense(2, "Courier", "38.50"),
            discount("250.00"),
        ],
        payments=[PrintedPayment("p1", date(2026, 9, 20), "wire", Money(100_000, "USD"))],
        logo=LOGO,
        portal_url="https://portal.harrowdelacroix.example",
    )


def long(lines: int = 150) -> PrintedInvoice:
    """More lines than Directus nests, over several pages."""
    return print_invoice(
        invoice=facts("2026-0150"),
        sent_at=SENT_AT,
        firm=FIRM,
        client=CLIENT,
        lines=[
            *(fee(number) for number in range(lines - 2)),
            expense(1, "Courier", "38.50"),
            discount("1000.00"),
        ],
        payments=[],
    )


def yen() -> PrintedInvoice:
    """No decimals anywhere, on A4, in German for a Swiss client."""
    firm = replace(
        FIRM, currency="EUR", language="de", address=PostalAddress(("Neuer Wall 41", "20354 Hamburg"), "DE"),
        tax_id="DE 811 234 567", phone="+49 40 5550 142",
        bank_details="Hansebank Hamburg\nIBAN DE02 1203 0000 0000 2020 51\nBIC BYLADEM1001",
    )  # fmt: skip
    return print_invoice(
        invoice=facts("2026-0151", currency="JPY", tax_rate="10", language="de-CH", client_message=""),
        sent_at=SENT_AT,
        firm=firm,
        client=replace(CLIENT, name="Sakura Trading KK", address=PostalAddress(("1-2-3 Marunouchi", "100-0005 Tokyo"), "JP")),
        lines=[replace(fee(number, "JPY"), rate=Money(32_000, "JPY"), hours=Decimal("1.5"), amount=Money(48_000, "JPY"))
               for number in range(3)],
        payments=[],
    )  # fmt: skip


def unwieldy() -> PrintedInvoice:
    """Words that do not break, names that do not end, amounts as large as they get."""
    word = "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenversicherungsanspruch" * 3
    big = Money(99_999_999_999_999, "USD")  # what decimal(14,2) holds
    line = PrintedLine(
        id="a", kind=LineKind.FEE, description=word, amount=big, date=date(2026, 9, 1), timekeeper=word[:90],
        task_code="L" * 40, hours=Decimal("12345.67"), rate=Money(99_999_999_999, "USD"),
    )  # fmt: skip
    return print_invoice(
        invoice=facts(
            number="INV-" + "9" * 60, matter_name=word, matter_number="M" * 80, client_message=word
        ),
        sent_at=SENT_AT,
        firm=replace(
            FIRM,
            name=word[:120],
            footer=f"{word}\n{word}",
            email="a" * 80 + "@example.org",
            bank_details=word,
        ),
        client=replace(CLIENT, name=word, address=PostalAddress((word, word), "Land" * 30)),
        lines=[line, replace(line, id="b", kind=LineKind.EXPENSE, amount=Money(1, "USD"))],
        payments=[PrintedPayment("p", date(2026, 9, 20), "us_bank_account", big)],
        portal_url="https://" + "very-long-portal-name." * 6 + "example",
    )


def bare() -> PrintedInvoice:
    """Only what is required."""
    return print_invoice(
        invoice=facts(
            tax_rate="0",
            due_date=None,
            issue_date=None,
            matter_name="",
            matter_number="",
            client_message="",
        ),
        sent_at=SENT_AT,
        firm=Letterhead(name="Anna Weiss", currency="EUR", timezone="Europe/Paris", language="fr"),
        client=Addressee(name="M. Dupont"),
        lines=[replace(fee(1), date=None, timekeeper="", task_code="", hours=None, rate=None)],
        payments=[],
    )


def credit() -> PrintedInvoice:
    """A retainer larger than the work, in Spanish."""
    return print_invoice(
        invoice=facts(language="es", client_message=""),
        sent_at=SENT_AT,
        firm=FIRM,
        client=CLIENT,
        lines=[fee(0), expense(1, "Mensajería", "38.50")],
        payments=[PrintedPayment("p1", date(2026, 9, 1), "check", Money(500_000, "USD"))],
    )


def corrected() -> PrintedInvoice:
    """The ordinary one after a check and a discount: what its second version says."""
    first = ordinary()
    lines = [line for group in first.groups for line in group.lines]
    return print_invoice(
        invoice=facts(),
        sent_at=SENT_AT,
        firm=FIRM,
        client=CLIENT,
        lines=[*lines, replace(discount("100.00"), id="discount-2", date=date(2026, 10, 9))],
        payments=[*first.payments, PrintedPayment("p2", date(2026, 10, 5), "check", Money(60_000, "USD"))],
        logo=LOGO,
        portal_url=first.portal_url,
        correction=Correction(datetime(2026, 10, 10, 2, 30, tzinfo=UTC), date(2026, 10, 9), 1),
    )


SAMPLES = {f.__name__: f for f in (ordinary, long, yen, unwieldy, bare, credit, corrected)}


ATTACK = (
    "<script>alert(1)</script><b>bold</b> </td></table></style><style>@import url(http://evil.example/a.css);"
    "*{display:none}</style><img src=http://evil.example/i.png><link rel=attachment href=file:///etc/passwd>"
    "<svg><image href='file:///etc/passwd'/></svg>{{ 7*7 }}{% raw %} &amp;lt; ]]>--> \"'` \\"
)


def hostile() -> PrintedInvoice:
    """Markup, style and template language in every text there is."""
    firm = Letterhead(
        name=f"name {ATTACK}", legal_name=f"legal {ATTACK}", currency="USD", timezone="UTC", language="en-US",
        address=PostalAddress((f"street {ATTACK}",), f"country {ATTACK}"), tax_id=ATTACK, email=ATTACK,
        phone=ATTACK, bank_details=ATTACK, footer=ATTACK,
    )  # fmt: skip
    line = replace(fee(0), description=f"work {ATTACK}", timekeeper=f"who {ATTACK}", task_code=ATTACK)
    return print_invoice(
        invoice=facts(f"number {ATTACK}", matter_name=ATTACK, matter_number=ATTACK, client_message=ATTACK),
        sent_at=SENT_AT,
        firm=firm,
        client=Addressee(f"client {ATTACK}", PostalAddress((ATTACK,), ATTACK), ATTACK),
        lines=[line, replace(expense(1, ATTACK, "1"), timekeeper=ATTACK)],
        payments=[PrintedPayment("p", None, "other", Money(1, "USD"))],
        portal_url="https://portal.example",
    )
