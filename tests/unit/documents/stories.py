"""What can happen to an invoice before its document is rendered again."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from billing.messages import RenderInvoicePdf, RenderReceiptPdf
from tests.fakes.firm_rows import INVOICE, line, payment
from tests.unit.documents.office import Office, office

PAYMENT = "p2"


@dataclass(frozen=True)
class Story:
    """One kind of document: the message that asks for it, and a change of the rows that changes what is printed."""

    message: RenderInvoicePdf | RenderReceiptPdf
    last_effect: str
    change: Callable[[Office], object]
    change_back: Callable[[Office], object]

    def told(self, firm: Office, *, force: bool = False) -> None:
        firm.work.handle(replace(self.message, force=force))

    def effects(self, *, upload: bool = False) -> list[str]:
        """Directus writes the row of an upload before its bytes."""
        file = ["put object", "create directus_files"]
        return [
            "create documents", *(reversed(file) if upload else file), "update documents", self.last_effect,
        ]  # fmt: skip


def discounted(firm: Office) -> None:
    firm.directus.collections["line_items"]["d"] = line(
        "d", kind="discount", amount="-100.00", date_created="2026-10-01T14:45:00Z"
    )
    firm.invoice.update(subtotal="900.00", tax="90.00", total="990.00")


def not_discounted(firm: Office) -> None:
    """An administrator removes the line."""
    del firm.directus.collections["line_items"]["d"]
    firm.invoice.update(subtotal="1000.00", tax="100.00", total="1100.00")


def mended(firm: Office, amount: str = "5.00") -> None:
    firm.directus.collections["payments"][PAYMENT]["amount"] = amount


STORIES = {
    "invoice": Story(RenderInvoicePdf(INVOICE), "update invoices", discounted, not_discounted),
    "receipt": Story(
        RenderReceiptPdf(PAYMENT), "update payments", mended, lambda firm: mended(firm, "50.00")
    ),
}


def new_office(*, upload: bool = False) -> Office:
    firm = office(upload=upload)
    firm.directus.collections["payments"][PAYMENT] = payment(
        PAYMENT, amount="50.00", date_created="2026-10-05T12:00:00Z", payment_date="2026-10-05"
    )
    return firm
