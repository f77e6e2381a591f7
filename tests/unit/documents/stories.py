"""What can happen to an invoice before its document is rendered again."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.firm_rows import INVOICE, line, payment
from tests.unit.documents.office import Office, office

PAYMENT = "p2"


@dataclass(frozen=True)
class Story:
    """One kind of document: the message that asks for it, and a change of the rows that changes what is printed."""

    message: dict[str, object]
    last_effect: str
    change: Callable[[Office], object]

    def told(self, firm: Office, *, force: bool = False) -> None:
        firm.work.handle(self.message | {"force": force})

    @property
    def effects(self) -> list[str]:
        return [
            "keep unfinished", "put object", "create directus_files", "create documents", "forget unfinished",
            self.last_effect,
        ]  # fmt: skip


def discounted(firm: Office) -> None:
    firm.directus.collections["line_items"]["d"] = line(
        "d", kind="discount", amount="-100.00", date_created="2026-10-01T14:45:00Z"
    )
    firm.invoice.update(subtotal="900.00", tax="90.00", total="990.00")


def mended(firm: Office) -> None:
    firm.directus.collections["payments"][PAYMENT]["amount"] = "5.00"


STORIES = {
    "invoice": Story({"type": "invoice", "invoice": INVOICE}, "update invoices", discounted),
    "receipt": Story({"type": "receipt", "payment": PAYMENT}, "update payments", mended),
}


def new_office() -> Office:
    firm = office()
    firm.directus.collections["payments"][PAYMENT] = payment(
        PAYMENT, amount="50.00", date_created="2026-10-05T12:00:00Z", payment_date="2026-10-05"
    )
    return firm
