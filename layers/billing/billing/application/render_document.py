"""Make sure an invoice's PDF exists, once: in S3, in `directus_files` and in `documents`.

The order is object, file row, documents row, `pdf_status`. Every id follows from the content, so a crash between
two steps, a replayed message or a second worker continues the same work. What the invoice's own data forbids is
written on the invoice (`pdf_status` `failed`, `pdf_error`) and ends the message; what may pass is raised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.core.document_plan import (
    DocumentRow,
    InvoiceRecord,
    next_version,
    payments_to_print,
    stored_form,
)
from billing.core.ledger import LineItem, checked_totals
from billing.core.printed_invoice import (
    MAX_LOGO_BYTES,
    DocumentIdentity,
    Logo,
    PrintedInvoice,
    identity_of,
    lines_with_own_amount,
    print_invoice,
)
from billing.errors import (
    BadRequest,
    BillingError,
    Conflict,
    NotDrawn,
    NotFound,
    Unprocessable,
    UpstreamUnavailable,
)
from billing.observability import count, log_refusal, logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.adapters.directus_assets import FileBytes
    from billing.adapters.document_records import DocumentRecords
    from billing.adapters.document_store import DocumentStore, StoredObject
    from billing.adapters.pdf_renderer import PdfRenderer
    from billing.adapters.queues import InvoiceQueue

_SECONDS_UNTIL_THE_WRITER_WAS_THERE = 5
_NOT_IN_A_FILE_NAME = re.compile(r'[\\/:*?"<>|\s]+')


@dataclass(frozen=True)
class RenderDocument:
    """The use case of the rendering worker.

    `storage` is the name of Directus's storage location on the documents bucket; `portal_url` is empty while
    there is no portal.
    """

    records: DocumentRecords
    store: DocumentStore
    renderer: PdfRenderer
    files: FileBytes
    invoice_queue: InvoiceQueue
    storage: str
    portal_url: str = ""

    def handle(self, message: Mapping[str, object]) -> None:
        """Carry out one message of the render queue: `{"type": "invoice", "invoice": id, "force": bool}`."""
        invoice = message.get("invoice")
        if message.get("type") != "invoice" or not isinstance(invoice, str):
            detail = (
                f"The render queue holds a message of type {message.get('type')!r} that nobody here knows."
            )
            raise BadRequest(detail, code="unknown_message")
        self.render_invoice(invoice, force=message.get("force") is True)

    def render_invoice(self, invoice: str, *, force: bool = False) -> None:
        """Bring the invoice's document into being, or write on the invoice why that cannot be.

        `force` draws again what is there already (same content, same ids) and mends what is missing. Raises
        `NotFound`, `Conflict` `invoice_is_draft`, and retryable errors, `invoice_not_booked` among them: the one
        writer has not seen the invoice as sent yet.
        """
        try:
            record = self._record(invoice)
            self._deliver(record, force=force)
        except BillingError as error:
            if not _lies_in_its_rows(error):
                raise
            log_refusal(error)
            count("DocumentFailed")
            reason = error.for_staff if isinstance(error, NotDrawn) else error.detail
            self.records.set_pdf_status(invoice, "failed", reason)
        else:
            count("DocumentReady")
            self.records.set_pdf_status(invoice, "ready")

    def _record(self, invoice: str) -> InvoiceRecord:
        record = self.records.invoice(invoice)
        if record is None:
            message = "There is no such invoice."
            raise NotFound(message, invoice=invoice)
        if record.facts.ledger.is_draft:
            message = "A draft has no PDF; send the invoice first."
            raise Conflict(message, code="invoice_is_draft", invoice=invoice)
        return record

    def _deliver(self, record: InvoiceRecord, *, force: bool) -> None:
        printed, logo = self._printed(record)
        identity = identity_of(
            printed,
            template_version=self.renderer.template_version,
            layer_version=self.renderer.layer_version,
        )
        document = next((row for row in record.documents if row.id == identity.document_id), None)
        if document is None and record.facts.ledger.is_void:
            message = "The invoice is void: its documents stay, a new one is not made."
            raise Unprocessable(message, code="invoice_is_void", invoice=printed.id)
        stored = None if force else self.store.find(identity.object_key)
        if stored is None or not stored.sha256:
            pdf = self.renderer.render_invoice(printed, logo)
            if pdf.missing_glyphs:
                message = "Characters that no font has were printed as boxes."
                logger.warning(message, extra={"invoice": printed.id, "missing_glyphs": pdf.missing_glyphs})
                count("GlyphsMissing", pdf.missing_glyphs)
            stored = self.store.put(identity.object_key, pdf.content, pdf.sha256)
        self._register_file(printed, identity, stored)
        self._register_document(record, printed, identity, stored, document)

    def _printed(self, record: InvoiceRecord) -> tuple[PrintedInvoice, Logo | None]:
        sent_at = record.facts.ledger.sent_at
        if sent_at is None:
            raise self._not_sent_yet(record)
        logo = self._logo(record.logo)
        printed = print_invoice(
            invoice=record.facts,
            sent_at=sent_at,
            firm=record.firm,
            client=record.client,
            lines=record.lines,
            payments=payments_to_print(record, sent_at),
            logo=logo,
            portal_url=self.portal_url,
        )
        if remarks := lines_with_own_amount(record.lines):
            logger.warning(
                "Line items whose hours times rate is not their amount.",
                extra={"invoice": printed.id, "line_items": remarks[:20], "number_of_lines": len(remarks)},
            )
        return printed, logo

    def _not_sent_yet(self, record: InvoiceRecord) -> BillingError:
        """`sent_at` and null totals are the one writer's to set; totals that do not add up it would refuse, too."""
        ledger = record.facts.ledger
        if ledger.is_void:
            message = "The invoice is void and was never sent."
            return Unprocessable(message, code="invoice_is_void", invoice=ledger.id)
        checked_totals(ledger, [LineItem(line.id, line.amount) for line in record.lines])
        self.invoice_queue.recompute([ledger.id])
        message = "The invoice was just sent and is not booked yet; its document follows."
        return UpstreamUnavailable(
            message,
            retry_after=_SECONDS_UNTIL_THE_WRITER_WAS_THERE,
            code="invoice_not_booked",
            invoice=ledger.id,
        )

    def _logo(self, file: str | None) -> Logo | None:
        if file is None:
            return None
        found = self.records.file(file)
        if found is None:
            message = "The firm's logo file is gone; choose another one."
            raise Unprocessable(message, code="bad_logo", file=file)
        if found.size > MAX_LOGO_BYTES:
            message = f"The firm's logo has {found.size} bytes; at most {MAX_LOGO_BYTES} can be printed."
            raise Unprocessable(message, code="bad_logo", file=file)
        return Logo(self.files.read(file), found.media_type)

    def _register_file(
        self, printed: PrintedInvoice, identity: DocumentIdentity, stored: StoredObject
    ) -> None:
        if self.records.file(identity.file_id) is None:
            self.records.register_file(
                {
                    "id": identity.file_id,
                    "storage": self.storage,
                    "filename_disk": identity.object_key,
                    "filename_download": f"{_NOT_IN_A_FILE_NAME.sub('-', printed.number)}.pdf",
                    "type": "application/pdf",
                    "filesize": stored.size,
                    "title": self.renderer.title(printed),
                }
            )

    def _register_document(
        self,
        record: InvoiceRecord,
        printed: PrintedInvoice,
        identity: DocumentIdentity,
        stored: StoredObject,
        document: DocumentRow | None,
    ) -> None:
        if document is None:
            self.records.create_document(
                {
                    "id": identity.document_id,
                    "client": record.facts.ledger.client,
                    "invoice": printed.id,
                    "type": "invoice",
                    "title": self.renderer.title(printed),
                    "file": identity.file_id,
                    "sha256": stored.sha256,
                    "content_hash": identity.content_hash,
                    "version": next_version(record.documents),
                    "visible_to_client": True,
                    "printed_payments": stored_form(printed.payments),
                }
            )
        elif (document.sha256, document.file) != (stored.sha256, identity.file_id):
            self.records.update_document(document.id, {"sha256": stored.sha256, "file": identity.file_id})


def _lies_in_its_rows(error: BillingError) -> bool:
    """Whether staff must mend a row first: such a failure is told on the invoice, no repetition would help."""
    return isinstance(error, Unprocessable) or error.code == "row_unreadable"
