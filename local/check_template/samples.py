"""Invoices of every kind, to try a firm's own template with before real ones are rendered with it."""

import datetime as dt
import itertools
from dataclasses import replace
from decimal import Decimal

from billing.documents.invoice import (
    LANGUAGES,
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

#: Stands in every text that people type. As markup it would be a tag of this name, in quotes the end of them.
MARK = "zq9zq9"
_TYPED = f"{MARK} \"'<{MARK}> &lt; }}}} "
SAMPLE_LOGO = Logo(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"><rect width="60" height="20"/></svg>',
    "image/svg+xml",
)
_ID = "00000000-0000-4000-8000-000000000000"
_SENT_AT = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
_DAY = dt.date(2026, 1, 15)
_LONG = 40


def template_samples() -> dict[str, PrintedInvoice]:
    """By what is special about each; every language of `LANGUAGES` is among them."""
    full = _invoice([*_fees(3), _line("b", LineKind.EXPENSE, 4_050), _line("c", LineKind.DISCOUNT, -500)])
    samples = {
        "an invoice with everything": full,
        "an invoice of many lines": _invoice(_fees(_LONG)),
        "an invoice without anything optional": _bare(),
        "an invoice that is paid": replace(full, balance_due=Money.zero("USD")),
        "an invoice with a credit": replace(full, balance_due=Money(-1, "USD")),
        "an invoice that was corrected": replace(full, correction=Correction(_SENT_AT, _DAY, 1)),
    }
    samples |= {f"an invoice in {language}": full for language in LANGUAGES[len(samples) :]}
    languages = itertools.cycle(LANGUAGES)
    return {kind: replace(printed, language=next(languages)) for kind, printed in samples.items()}


def _invoice(lines: list[PrintedLine]) -> PrintedInvoice:
    firm = Letterhead(
        name=f"name {_TYPED}", legal_name=f"legal {_TYPED}", currency="USD", timezone="UTC", language="en-US",
        address=PostalAddress((f"street {_TYPED}",), f"country {_TYPED}"), tax_id=_TYPED, email=_TYPED, phone=_TYPED,
        bank_details=f"{_TYPED}\n{_TYPED}", footer=f"{_TYPED}\n{_TYPED}",
    )  # fmt: skip
    facts = replace(
        _facts(f"number {_TYPED}"),
        matter_number=_TYPED,
        matter_name=_TYPED,
        client_message=f"message {_TYPED}\n\n{_TYPED}",
        tax_exemption_reason=_TYPED,
    )
    return print_invoice(
        invoice=facts,
        sent_at=_SENT_AT,
        firm=firm,
        client=Addressee(f"client {_TYPED}", PostalAddress((_TYPED, _TYPED), "US"), _TYPED),
        lines=lines,
        payments=[PrintedPayment("p", _DAY, "wire", Money(100, "USD")), PrintedPayment("q", None, "card", Money(1, "USD"))],
        logo=SAMPLE_LOGO,
        portal_url="https://portal.example",
    )  # fmt: skip


def _bare() -> PrintedInvoice:
    return print_invoice(
        invoice=replace(_facts("1"), ledger=replace(_facts("1").ledger, due_date=None, tax_rate=Decimal(0))),
        sent_at=_SENT_AT,
        firm=Letterhead(name="Firm", currency="JPY", timezone="UTC", language="de"),
        client=Addressee("Client"),
        lines=[],
        payments=[],
    )


def _facts(number: str) -> InvoiceFacts:
    ledger = Invoice(
        id=_ID,
        invoice_number=number,
        client=_ID,
        currency="USD",
        status=InvoiceStatus.SENT,
        tax_rate=Decimal("8.875"),
        due_date=_DAY,
        sent_at=_SENT_AT,
    )
    return InvoiceFacts(ledger=ledger, issue_date=_DAY)


def _fees(count: int) -> list[PrintedLine]:
    return [
        _line(f"a{number}", LineKind.FEE, 12_345, hours=Decimal("1.25"), number=number)
        for number in range(count)
    ]


def _line(
    key: str, kind: LineKind, minor: int, *, hours: Decimal | None = None, number: int = 0
) -> PrintedLine:
    return PrintedLine(
        id=key,
        kind=kind,
        description=f"work {key} {_TYPED}",
        amount=Money(minor, "USD"),
        date=_DAY,
        timekeeper=_TYPED,
        task_code=_TYPED,
        hours=hours,
        rate=Money(9_876, "USD") if hours else None,
        sort=number,
    )
