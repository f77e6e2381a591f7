"""What a new document is made of and what it follows: which payments it shows, which version it is.

The payments printed on an invoice are those booked when it was sent. The first document keeps them, so that every
later one, forced or after a discount, prints the same, whatever was paid or refunded since.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from billing.core.ledger import local_date
from billing.core.money import Money
from billing.core.printed_invoice import Addressee, InvoiceFacts, Letterhead, PrintedLine, PrintedPayment


@dataclass(frozen=True)
class BookedPayment:
    """A payment row. `kept` is its amount less what was given back; `booked_at` is when the row was made (UTC)."""

    id: str
    kept: Money
    succeeded: bool
    method: str
    date: dt.date | None
    booked_at: dt.datetime


@dataclass(frozen=True)
class DocumentRow:
    """A `documents` row of type `invoice`. `printed_payments` is None on a row that does not say."""

    id: str
    version: int
    file: str | None
    sha256: str
    content_hash: str
    printed_payments: tuple[PrintedPayment, ...] | None = None


@dataclass(frozen=True)
class FileRow:
    """A `directus_files` row; `size` in bytes."""

    id: str
    media_type: str
    size: int


@dataclass(frozen=True)
class InvoiceRecord:
    """Every row that a document of an invoice is made from. `logo` is the id of the firm's logo file."""

    facts: InvoiceFacts
    firm: Letterhead
    client: Addressee
    lines: tuple[PrintedLine, ...]
    payments: tuple[BookedPayment, ...] = ()
    documents: tuple[DocumentRow, ...] = ()
    logo: str | None = None


def payments_to_print(record: InvoiceRecord, sent_at: dt.datetime) -> tuple[PrintedPayment, ...]:
    """The payments the first document recorded; without one, those booked by `sent_at` in the invoice's currency."""
    for document in sorted(record.documents, key=lambda row: row.version):
        if document.printed_payments is not None:
            return document.printed_payments
    booked = [
        PrintedPayment(
            id=payment.id,
            date=payment.date or local_date(payment.booked_at, record.firm.timezone),
            method=payment.method,
            amount=payment.kept,
        )
        for payment in record.payments
        if payment.succeeded
        and payment.kept.minor > 0
        and payment.kept.currency == record.facts.ledger.currency
        and payment.booked_at <= sent_at
    ]
    return tuple(sorted(booked, key=lambda payment: (payment.date or dt.date.min, payment.id)))


def next_version(documents: Sequence[DocumentRow]) -> int:
    """One more than the highest version there is."""
    return max((document.version for document in documents), default=0) + 1


def stored_form(payments: Iterable[PrintedPayment]) -> list[dict[str, str | None]]:
    """How `documents.printed_payments` keeps them (json); `printed_form` reads it back."""
    return [
        {
            "id": payment.id,
            "date": payment.date.isoformat() if payment.date else None,
            "method": payment.method,
            "amount": payment.amount.to_directus(),
            "currency": payment.amount.currency,
        }
        for payment in payments
    ]


def printed_form(stored: Iterable[Mapping[str, str | None]]) -> tuple[PrintedPayment, ...]:
    """The inverse of `stored_form`; `KeyError`, `TypeError` or `ValueError` on anything else."""
    return tuple(
        PrintedPayment(
            id=str(row["id"]),
            date=dt.date.fromisoformat(row["date"]) if row["date"] else None,
            method=str(row["method"]),
            amount=Money.from_directus(row["amount"], str(row["currency"])),
        )
        for row in stored
    )
