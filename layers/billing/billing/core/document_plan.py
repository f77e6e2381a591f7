"""What a new document is made of and what it follows: which payments it shows, which version it is.

The payments printed on an invoice are those booked when it was sent. The first document keeps them, so that every
later one, forced or after a discount, prints the same, whatever was paid or refunded since.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from billing.core.ledger import local_date
from billing.core.money import Money
from billing.core.printed_invoice import (
    Addressee,
    DocumentIdentity,
    InvoiceFacts,
    Letterhead,
    PrintedLine,
    PrintedPayment,
)

#: What we make, each with the ending of its files.
PDF, HTML = "application/pdf", "text/html"
_ENDINGS = {PDF: "pdf", HTML: "html"}
_NOT_IN_A_FILE_NAME = re.compile(r'[\\/:*?"<>|\s]+')


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
    """A `documents` row that the renderer made. `printed_payments` is None on a row that does not say.

    `payment` is whom a receipt is for; None on one that was made before that was kept. `is_withdrawn`: the renderer has
    hidden it, because its payment is not on its invoice any more.
    """

    id: str
    version: int
    file: str | None
    sha256: str
    content_hash: str
    printed_payments: tuple[PrintedPayment, ...] | None = None
    invoice: str | None = None
    client: str | None = None
    payment: str | None = None
    visible_to_client: bool = True
    is_withdrawn: bool = False


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


@dataclass(frozen=True)
class PlannedDocument:
    """A document with the rows it will have: all of them follow from its content, but for the bytes and `version`.

    `name` is what the file is called when it is downloaded, without its ending. `client` and `invoice` of a
    report are empty, and it has no versions.
    """

    identity: DocumentIdentity
    type: str
    client: str
    invoice: str
    title: str
    name: str
    version: int
    printed_payments: tuple[PrintedPayment, ...]
    media_type: str = PDF

    @property
    def payment(self) -> str | None:
        """The payment that a receipt is for; None for any other document."""
        return self.printed_payments[0].id if self.type == "receipt" else None

    @property
    def version_key(self) -> str | None:
        """Unique in Directus, so that two documents of one invoice, or receipts of one payment, share no version."""
        if self.type == "report":
            return None
        return version_key(self.type, self.payment or self.invoice, self.version)

    @property
    def object_key(self) -> str:
        """The file on disk. Flat on purpose: Directus deletes objects by the prefix of the file name."""
        return f"{self.identity.file_id}.{_ENDINGS[self.media_type]}"

    def file_row(self, storage: str, size: int) -> dict[str, object]:
        """The `directus_files` row; `storage` is the name of Directus's storage location, `size` in bytes."""
        return {
            "id": self.identity.file_id,
            "storage": storage,
            "filename_disk": self.object_key,
            "filename_download": f"{_NOT_IN_A_FILE_NAME.sub('-', self.name)}.{_ENDINGS[self.media_type]}",
            "type": self.media_type,
            "filesize": size,
            "title": self.title,
        }

    def document_row(self, sha256: str) -> dict[str, object]:
        """The `documents` row; `sha256` is that of the bytes."""
        return {
            "id": self.identity.document_id,
            "client": self.client or None,
            "invoice": self.invoice or None,
            "payment": self.payment,
            "type": self.type,
            "title": self.title,
            "file": self.identity.file_id,
            "sha256": sha256,
            "content_hash": self.identity.content_hash,
            "version": self.version,
            "version_key": self.version_key,
            "visible_to_client": self.type != "report",
            "printed_payments": stored_form(self.printed_payments),
        }


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


def version_key(document_type: str, subject: str, version: int) -> str:
    """`documents.version_key`; `subject` is the invoice, or of a receipt the payment."""
    return f"{document_type}:{subject}:{version}"


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


class Drawn(Protocol):
    """A document as it comes from whoever draws it: its bytes, and their SHA-256 in hexadecimal.

    `missing_glyphs` counts the different characters that are printed as boxes.
    """

    @property
    def content(self) -> bytes: ...  # noqa: D102  # said above

    @property
    def sha256(self) -> str: ...  # noqa: D102  # said above

    @property
    def missing_glyphs(self) -> int: ...  # noqa: D102  # said above


@dataclass(frozen=True)
class UnfinishedDocument:
    """A drawn document on its way: whoever finds it can bring it to its end without drawing it again.

    `subject` is the invoice, or of a receipt the payment, or the word `reports`; `sha256` is that of `content`.
    """

    subject: str
    planned: PlannedDocument
    content: bytes
    sha256: str

    def to_bytes(self) -> bytes:
        """One line of JSON, then the document itself; `from_bytes` reads it back."""
        planned = self.planned
        head = {
            "content_hash": planned.identity.content_hash,
            "file": planned.identity.file_id,
            "document": planned.identity.document_id,
            "type": planned.type,
            "client": planned.client,
            "invoice": planned.invoice,
            "title": planned.title,
            "name": planned.name,
            "version": planned.version,
            "printed_payments": stored_form(planned.printed_payments),
            "media_type": planned.media_type,
        }
        return json.dumps(head).encode() + b"\n" + self.content

    @classmethod
    def from_bytes(cls, subject: str, written: bytes) -> Self:
        """`KeyError`, `TypeError` or `ValueError` on anything that `to_bytes` did not write."""
        line, _, content = written.partition(b"\n")
        head = json.loads(line)
        planned = PlannedDocument(
            identity=DocumentIdentity(head["content_hash"], head["file"], head["document"]),
            printed_payments=printed_form(head["printed_payments"]),
            **{name: head[name] for name in ("type", "client", "invoice", "title", "name", "version")},
            media_type=head.get("media_type", PDF),
        )
        return cls(subject, planned, content, hashlib.sha256(content).hexdigest())
