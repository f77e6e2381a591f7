"""Invoices that try the page: tall and wide logos, long texts, many scripts, every place where a page may end."""

from dataclasses import replace

from billing.documents.invoice import Logo, PostalAddress, PrintedInvoice, PrintedLine, print_invoice
from tests.integration.render_pdf.sample_invoices import (
    CLIENT,
    FIRM,
    SENT_AT,
    discount,
    expense,
    facts,
    fee,
)

PORTAL = "https://portal.harrowdelacroix.example"
CONTINENTAL = replace(
    FIRM,
    currency="EUR",
    language="de-DE",
    address=PostalAddress(("Neuer Wall 41", "20354 Hamburg"), "DE"),
    tax_id="DE 811 234 567",
    phone="+49 40 5550 142",
)


def svg_logo(width: int, height: int) -> Logo:
    """A filled rectangle of that size."""
    return Logo(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<rect width="{width}" height="{height}" fill="#1d3a5f"/></svg>'.encode(),
        "image/svg+xml",
    )


def drawn(
    lines: list[PrintedLine], *, continental: bool = False, logo: Logo | None = None, **changes: object
) -> PrintedInvoice:
    """An invoice of these lines; keywords replace parts of what is printed."""
    firm = CONTINENTAL if continental else FIRM
    printed = print_invoice(
        invoice=facts(currency=firm.currency),
        sent_at=SENT_AT,
        firm=firm,
        client=CLIENT,
        lines=lines,
        payments=[],
        logo=logo,
        portal_url=PORTAL,
    )
    return replace(printed, **changes)  # type: ignore[arg-type]  # names of its own fields


def lines(fees: int, currency: str = "USD") -> list[PrintedLine]:
    """So many fees, two expenses and a discount."""
    return [
        *(fee(number, currency) for number in range(fees)),
        expense(1, "Court filing fee", "402.00", currency),
        expense(2, "Courier", "38.50", currency),
        discount("250.00", currency),
    ]


def narratives(count: int, letters: int, currency: str = "USD") -> list[PrintedLine]:
    """So many fees, each described with so many letters that end in its own mark: `#001`, `#002`."""
    sentence = "Telephone conference with opposing counsel regarding the outstanding discovery requests. "
    text = (sentence * (letters // len(sentence) + 1))[: letters - 5]
    return [replace(fee(number, currency), description=f"{text} #{number + 1:03}") for number in range(count)]
