"""The rows behind a document: what the renderer reads of an invoice, and the only rows it writes.

Creating is safe to repeat: every id follows from the content, so what is there already is this very document.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from billing.directus.rows import key_of
from billing.documents.receipt import ReceiptRecord, receipts_of
from billing.documents.rows import (
    client_from_row,
    document_from_row,
    facts_from_row,
    firm_from_row,
    line_from_row,
    newest_line_at,
    payment_from_row,
    received_payment_from_row,
)
from billing.documents.versions import BookedPayment, DocumentRow, FileRow, InvoiceRecord
from billing.errors import DirectusRejected, RecordNotUnique
from billing.ledger.store import INVOICE_FIELDS, PAYMENT_DISPUTE_FIELDS, REFUND_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.directus.rows import Row
    from billing.documents.receipt import ReceivedPayment
    from billing.documents.versions import PlannedDocument


_INVOICE = (
    *INVOICE_FIELDS, "matter_number", "matter_name", "language", "client_message", "tax_category",
    "tax_exemption_reason",
)  # fmt: skip
_CLIENT = ("id", "name", "address", "tax_id", "language")
_FIRM = (
    "name", "legal_name", "address", "tax_id", "email", "phone", "logo", "bank_details", "timezone", "currency",
    "language", "footer", "country", "electronic_invoice", "accent_color",
)  # fmt: skip
_LINES = (
    "id", "sort", "kind", "date", "timekeeper", "task_code", "description", "hours", "rate", "amount", "date_created",
)  # fmt: skip
_PAYMENTS = ("id", "amount", "currency", "status", "method", "payment_date", "date_created")
_RECEIVED = (
    *_PAYMENTS, "invoice", "client", "brand", "bank_name", "last4", "receipt", "receipt_says", "receipt_error",
)  # fmt: skip
_REFUNDS = (*REFUND_FIELDS, "date_created")
_PAYMENT_DISPUTES = (*PAYMENT_DISPUTE_FIELDS, "date_created")
_DOCUMENTS = (
    "id", "version", "file", "sha256", "content_hash", "printed_payments", "invoice", "client", "payment",
    "visible_to_client", "withdrawn_at", "title", "printed_as_of", "replaces", "date_created",
    "version_key",
)  # fmt: skip


_FILES = ("id", "type", "filesize", "title", "filename_download")


class Rows(Protocol):
    """The part of `DirectusClient` that is used here."""

    def read_one(self, collection: str, key: str, fields: Sequence[str]) -> Row | None:
        """One row by primary key."""
        ...

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
    ) -> list[Row]:
        """Every row that matches."""
        ...

    def read_singleton(self, collection: str, fields: Sequence[str]) -> Row:
        """The only row of a singleton."""
        ...

    def create(self, collection: str, payload: Mapping[str, object]) -> Row:
        """Create a row."""
        ...

    def update(self, collection: str, key: str, payload: Mapping[str, object]) -> Row:
        """Update a row."""
        ...


class DocumentRecords:
    """What rendering reads of the system of record, and all that it writes."""

    def __init__(self, rows: Rows) -> None:
        """`rows` acts as the functions' service user."""
        self._rows = rows

    def invoice(self, invoice: str) -> InvoiceRecord | None:
        """Everything about one invoice; None if there is none. Raises `row_unreadable`."""
        row = self._rows.read_one("invoices", invoice, _INVOICE)
        if row is None:
            return None
        facts = facts_from_row(row)
        currency = facts.ledger.currency
        firm, logo = firm_from_row(self._rows.read_singleton("firm", _FIRM))
        client = self._rows.read_one("clients", facts.ledger.client, _CLIENT)
        # The child collections, not the invoice's nested lists: Directus cuts those at 100 rows.
        lines = self._of_invoice("line_items", _LINES, invoice)
        return InvoiceRecord(
            facts=facts,
            firm=firm,
            client=client_from_row(client or {}),
            lines=tuple(line_from_row(line, currency) for line in lines),
            payments=self._payments(invoice),
            documents=self._parsed({"_and": [{"invoice": {"_eq": invoice}}, {"type": {"_eq": "invoice"}}]}),
            logo=logo,
            newest_line_at=newest_line_at(lines),
        )

    def received_payment(self, payment: str) -> ReceivedPayment | None:
        """The payment as its receipt shows it; None if there is none. Raises `row_unreadable`."""
        row = self._rows.read_one("payments", payment, _RECEIVED)
        return received_payment_from_row(row) if row is not None else None

    def receipt(self, payment: ReceivedPayment) -> ReceiptRecord | None:
        """Everything about the receipt of a payment; None if it belongs to no invoice. Raises `row_unreadable`."""
        row = self._rows.read_one("invoices", payment.invoice, _INVOICE) if payment.invoice else None
        if row is None:
            return None
        facts = facts_from_row(row)
        firm, logo = firm_from_row(self._rows.read_singleton("firm", _FIRM))
        client = self._rows.read_one("clients", facts.ledger.client, _CLIENT)
        return ReceiptRecord(
            payment=payment,
            invoice=facts,
            firm=firm,
            addressee=client_from_row(client or {}),
            documents=self.receipts(payment),
            logo=logo,
        )

    def receipts(self, payment: ReceivedPayment) -> tuple[DocumentRow, ...]:
        """The payment's receipts, those on an invoice that it is no longer on included."""
        return self._receipts(payment.id, payment.invoice, payment.receipt)

    def set_receipt(self, payment: str, changes: Mapping[str, object]) -> None:
        """Write `receipt`, `receipt_says` and `receipt_error` of the payment."""
        self._rows.update("payments", payment, changes)

    def file(self, file: str) -> FileRow | None:
        """A `directus_files` row."""
        row = self._rows.read_one("directus_files", file, _FILES)
        if row is None:
            return None
        texts = {"title": row.get("title") or "", "name": row.get("filename_download") or ""}
        return FileRow(row["id"], row.get("type") or "", int(row.get("filesize") or 0), **texts)

    def register_file(self, row: Mapping[str, object]) -> None:
        """Create a `directus_files` row; Directus answers 403, not a taken id, when it is there already."""
        try:
            self._rows.create("directus_files", row)
        except DirectusRejected:
            if self.file(str(row["id"])) is None:
                raise

    def update_file(self, file: str, changes: Mapping[str, object]) -> None:
        """Write columns of a `directus_files` row that this user has made."""
        self._rows.update("directus_files", file, changes)

    def create_document(self, row: Mapping[str, object]) -> None:
        """Create a `documents` row; its id follows from its content, so a taken id is this very document."""
        with suppress(RecordNotUnique):
            self._rows.create("documents", row)

    def update_document(self, document: str, changes: Mapping[str, object]) -> None:
        """Write columns of a `documents` row; `RecordNotUnique` if another document has this version."""
        self._rows.update("documents", document, changes)

    def set_pdf_status(self, invoice: str, status: str, error: str | None = None) -> None:
        """Write `pdf_status` and `pdf_error` of the invoice."""
        self._rows.update("invoices", invoice, {"pdf_status": status, "pdf_error": error})

    def documents_like(self, planned: PlannedDocument) -> tuple[DocumentRow, ...]:
        """The document itself, wherever somebody has put it, and the versions of the same."""
        itself = {"id": {"_eq": planned.identity.document_id}}
        if not planned.invoice:  # a report: it has no other versions
            return self._parsed(itself)
        subject: Mapping[str, object] = (
            {"invoice": {"_eq": planned.invoice}}
            if planned.payment is None
            else {"payment": {"_eq": planned.payment}}
        )
        return self._parsed({"_or": [itself, {"_and": [subject, {"type": {"_eq": planned.type}}]}]})

    def _receipts(self, payment: str, invoice: str | None, named: str | None) -> tuple[DocumentRow, ...]:
        """By the link, and by what is printed where a row has none: it was made before there was the link.

        Such a row is on the payment's invoice or, where the payment was moved since, on that of the receipt which the
        payment still names (`named`, its file).
        """
        ways = {"payment": payment, "invoice": invoice, "file": named}
        found = self._receipts_where([{name: {"_eq": key}} for name, key in ways.items() if key is not None])
        unlinked = {row.invoice for row in receipts_of(payment, found) if row.payment is None}
        if left := sorted(other for other in unlinked if other is not None and other != invoice):
            found += self._receipts_where([{"invoice": {"_in": left}}])
        return receipts_of(payment, list({row.id: row for row in found}.values()))

    def _receipts_where(self, one_of: list[Mapping[str, object]]) -> tuple[DocumentRow, ...]:
        return self._parsed({"_and": [{"type": {"_eq": "receipt"}}, {"_or": one_of}]})

    def _payments(self, invoice: str) -> tuple[BookedPayment, ...]:
        rows = self._of_invoice("payments", _PAYMENTS, invoice)
        if not rows:
            return ()
        of_these = {"payment": {"_in": [row["id"] for row in rows]}}
        refunds = self._rows.read_many("refunds", filter=of_these, fields=_REFUNDS)
        disputes = self._rows.read_many("payment_disputes", filter=of_these, fields=_PAYMENT_DISPUTES)
        return tuple(
            payment_from_row(row, _of_payment(row, refunds), _of_payment(row, disputes)) for row in rows
        )

    def _parsed(self, condition: Mapping[str, object]) -> tuple[DocumentRow, ...]:
        rows = self._rows.read_many("documents", filter=condition, fields=_DOCUMENTS)
        return tuple(document_from_row(row) for row in rows)

    def _of_invoice(self, collection: str, fields: Sequence[str], invoice: str) -> list[Row]:
        return self._rows.read_many(
            collection, filter={"invoice": {"_eq": invoice}}, fields=fields, sort=("id",)
        )


def _of_payment(payment: Row, reversals: Sequence[Row]) -> list[Row]:
    return [row for row in reversals if key_of(row["payment"]) == payment["id"]]
