"""What the render worker does in Lambda's init, so that no document waits for it: render one that nobody sees.

It imports WeasyPrint and reads fonts, style, templates and locale data.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol

from billing.documents.invoice import (
    Addressee,
    InvoiceFacts,
    Letterhead,
    LineKind,
    Logo,
    PrintedInvoice,
    PrintedLine,
    print_invoice,
)
from billing.documents.template import DocumentTemplate
from billing.errors import RenderFailed
from billing.ledger.ledger import Invoice, InvoiceStatus
from billing.money import Money

_INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
_SENT_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ID = "00000000-0000-4000-8000-000000000000"


def is_init(environment: Mapping[str, str]) -> bool:
    """Whether this process is a Lambda environment, which always says how it was initialised."""
    return _INITIALIZATION_TYPE in environment


def warm_up_invoice() -> PrintedInvoice:
    """An invoice that uses what every invoice uses: a fee by the hour, tax, a due date, all weights of the style."""
    ledger = Invoice(
        id=_ID,
        invoice_number="0",
        client=_ID,
        currency="USD",
        status=InvoiceStatus.SENT,
        tax_rate=Decimal(10),
        due_date=date(2026, 1, 31),
        sent_at=_SENT_AT,
    )
    line = PrintedLine(
        id=_ID,
        kind=LineKind.FEE,
        description="0",
        amount=Money(100, "USD"),
        date=date(2026, 1, 1),
        hours=Decimal(1),
        rate=Money(100, "USD"),
    )
    return print_invoice(
        invoice=InvoiceFacts(ledger=ledger, issue_date=date(2026, 1, 1)),
        sent_at=_SENT_AT,
        firm=Letterhead(name="0", currency="USD", timezone="UTC", language="en"),
        client=Addressee(name="0"),
        lines=[line],
        payments=[],
    )


class RendersInvoices(Protocol):
    """What is needed of the renderer."""

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> object:
        """Raise `RenderFailed` when it cannot be rendered."""
        ...


def render_once(renderer: RendersInvoices) -> None:
    """Render it and throw it away. Where it cannot be rendered no document can, and each says so with its own reason.

    It is English; of the other languages all is read that their first document would wait for.
    """
    DocumentTemplate().read_every_language()
    try:
        renderer.render_invoice(warm_up_invoice(), None)
    except RenderFailed:
        return
