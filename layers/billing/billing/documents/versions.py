"""What a new document is made of and what it follows: which payments it shows, which version it is and replaces.

An invoice prints what was so at one moment: when it was sent, or when it was last changed after that (a discount). The
first document of each such state keeps its payments and what it replaces, so that every later one of the same state,
forced or in another look, prints the same, whatever was paid or refunded since.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from billing.documents.invoice import (
    Addressee,
    Correction,
    DocumentIdentity,
    InvoiceFacts,
    Letterhead,
    PrintedLine,
    PrintedPayment,
)
from billing.ledger.ledger import local_date
from billing.money import Money

#: What we make, each with the ending of its files.
PDF, HTML = "application/pdf", "text/html"
_ENDINGS = {PDF: "pdf", HTML: "html"}
_BEFORE_ALL = dt.datetime.min.replace(tzinfo=dt.UTC)
_NOT_IN_A_FILE_NAME = re.compile(r'[\\/:*?"<>|\s]+')


@dataclass(frozen=True)
class GivenBack:
    """A part of a payment that went back; `at` is when that was booked (UTC), None where its row does not say."""

    amount: Money
    at: dt.datetime | None = None


@dataclass(frozen=True)
class BookedPayment:
    """A payment row; `booked_at` is when it was made (UTC)."""

    id: str
    amount: Money
    succeeded: bool
    method: str
    date: dt.date | None
    booked_at: dt.datetime
    given_back: tuple[GivenBack, ...] = ()

    def kept_at(self, moment: dt.datetime) -> Money:
        """The amount less what had gone back by then, never less than nothing."""
        nothing = Money.zero(self.amount.currency)
        back = (part.amount for part in self.given_back if part.at is None or part.at <= moment)
        return max(nothing, self.amount - sum(back, nothing))


@dataclass(frozen=True)
class DocumentRow:
    """A `documents` row that the renderer made. `printed_payments` is None on a row that does not say.

    `printed_as_of` is the invoice's state that is printed (`InvoiceRecord.as_of`), `replaces` the version that it says it
    replaces, `registered_at` when the row was made. `payment` is whom a receipt is for. Rows that were made before these
    were kept have None. `is_withdrawn`: the renderer has hidden it, because its payment is not on its invoice any more.
    `version` is 0 on a row that `is_begun` and on what people enter.
    """

    id: str
    version: int
    file: str | None
    sha256: str = ""
    content_hash: str = ""
    printed_payments: tuple[PrintedPayment, ...] | None = None
    invoice: str | None = None
    client: str | None = None
    payment: str | None = None
    visible_to_client: bool = True
    is_withdrawn: bool = False
    title: str = ""
    printed_as_of: dt.datetime | None = None
    replaces: int | None = None
    registered_at: dt.datetime | None = None
    version_key: str | None = None

    @property
    def is_begun(self) -> bool:
        """Whether the renderer has made it and not shown it yet: it has no version, and its bytes may not be there."""
        return bool(self.content_hash) and not self.sha256


@dataclass(frozen=True)
class FileRow:
    """A `directus_files` row; `size` in bytes, `name` is what it is called when it is downloaded."""

    id: str
    media_type: str
    size: int
    title: str = ""
    name: str = ""


@dataclass(frozen=True)
class InvoiceRecord:
    """Every row that a document of an invoice is made from. `logo` is the id of the firm's logo file.

    `newest_line_at` is when the last of the lines was added; None where no line says.
    """

    facts: InvoiceFacts
    firm: Letterhead
    client: Addressee
    lines: tuple[PrintedLine, ...]
    payments: tuple[BookedPayment, ...] = ()
    documents: tuple[DocumentRow, ...] = ()
    logo: str | None = None
    newest_line_at: dt.datetime | None = None

    def as_of(self, sent_at: dt.datetime) -> dt.datetime:
        """The invoice's state, as a moment: all that can still change what is owed after sending is a new line.

        Directus's clock dates lines and documents alike, so that two states are never told apart by different clocks.
        """
        return self.newest_line_at or sent_at


@dataclass(frozen=True)
class VersionWords:
    """What versions are called in the language of a document: `version` and `replaced`."""

    version: str
    replaced: str


@dataclass(frozen=True)
class PlannedDocument:
    """A document with the rows it will have: all of them follow from its content, but for the bytes and `version`.

    `name` is what the file is called when it is downloaded, without its version and ending. Where there are `words`, title
    and name say the version from the second on. `client` and `invoice` of a report are empty, and it has no versions.
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
    words: VersionWords | None = None
    printed_as_of: dt.datetime | None = None
    replaces: int | None = None

    @property
    def full_title(self) -> str:
        """`Invoice 7`, and from the second version on `Invoice 7 (version 2)`."""
        if self.words is None or self.version == 1:
            return self.title
        return f"{self.title} ({self.words.version} {self.version})"

    @property
    def replaced_title(self) -> str:
        """`Invoice 7 (version 1, replaced)`: what it is called once there is a newer version."""
        if self.words is None:
            return self.title
        return f"{self.title} ({self.words.version} {self.version}, {self.words.replaced})"

    @property
    def download_name(self) -> str:
        """`7.pdf`, and from the second version on `7-version-2.pdf`, in every language."""
        version = f"-version-{self.version}" if self.words and self.version > 1 else ""
        return f"{_NOT_IN_A_FILE_NAME.sub('-', self.name)}{version}.{_ENDINGS[self.media_type]}"

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
            "filename_download": self.download_name,
            "type": self.media_type,
            "filesize": size,
            "title": self.full_title,
        }

    def begun_row(self) -> dict[str, object]:
        """The `documents` row while its file is not there yet: no client sees it, and it holds no version."""
        return {
            "id": self.identity.document_id,
            "client": self.client or None,
            "invoice": self.invoice or None,
            "payment": self.payment,
            "type": self.type,
            "title": self.full_title,
            "content_hash": self.identity.content_hash,
            "visible_to_client": False,
            "printed_payments": stored_form(self.printed_payments),
            "printed_as_of": self.printed_as_of.isoformat() if self.printed_as_of else None,
            "replaces": self.replaces,
        }

    def shown_columns(self, sha256: str) -> dict[str, object]:
        """What shows it, in one write; `sha256` is that of the bytes."""
        return {
            "file": self.identity.file_id,
            "sha256": sha256,
            "version": self.version,
            "version_key": self.version_key,
            "visible_to_client": self.type != "report",
        }


def correction_to_print(record: InvoiceRecord, sent_at: dt.datetime) -> Correction | None:
    """Which change the next document follows and which version it replaces; None where no document is of an earlier state.

    A document that does not say its state is of an earlier one if it was registered before the change.
    """
    as_of = record.as_of(sent_at)
    if same := _of_state(record, as_of):
        replaces = same[0].replaces
    else:
        older = [row for row in _ours(record) if row.printed_as_of is None or row.printed_as_of < as_of]
        follows = any((row.printed_as_of or row.registered_at or as_of) < as_of for row in older)
        replaces = max(row.version for row in older) if follows else None
    if replaces is None:
        return None
    return Correction(as_of, local_date(as_of, record.firm.timezone), replaces)


def payments_to_print(record: InvoiceRecord, sent_at: dt.datetime) -> tuple[PrintedPayment, ...]:
    """The payments that the first document of the invoice's state recorded.

    Without one, those booked by `sent_at`, or by the change after that, in the invoice's currency.
    """
    as_of = record.as_of(sent_at)
    standing = _of_state(record, as_of)
    if not standing and correction_to_print(record, sent_at) is None:
        standing = _ours(record)
    if standing:
        return standing[0].printed_payments or ()
    moment = max(sent_at, as_of)
    booked = [
        PrintedPayment(
            id=payment.id,
            date=payment.date or local_date(payment.booked_at, record.firm.timezone),
            method=payment.method,
            amount=payment.kept_at(moment),
        )
        for payment in record.payments
        if payment.succeeded
        and payment.kept_at(moment).minor > 0
        and payment.amount.currency == record.facts.ledger.currency
        and payment.booked_at <= moment
    ]
    return tuple(sorted(booked, key=lambda payment: (payment.date or dt.date.min, payment.id)))


def _of_state(record: InvoiceRecord, as_of: dt.datetime) -> list[DocumentRow]:
    return [row for row in _ours(record) if row.printed_as_of == as_of]


def _ours(record: InvoiceRecord) -> list[DocumentRow]:
    """The documents that say what they print, as they were registered: versions may move up since.

    One that is begun replaces none and binds none: a client may never see it.
    """
    ours = [row for row in record.documents if row.printed_payments is not None and not row.is_begun]
    return sorted(ours, key=lambda row: (row.registered_at or _BEFORE_ALL, row.version))


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


class Rendered(Protocol):
    """A document as it comes from whoever renders it: its bytes, and their SHA-256 in hexadecimal.

    `missing_glyphs` counts the different characters that are printed as boxes.
    """

    @property
    def content(self) -> bytes: ...  # noqa: D102  # said above

    @property
    def sha256(self) -> str: ...  # noqa: D102  # said above

    @property
    def missing_glyphs(self) -> int: ...  # noqa: D102  # said above
