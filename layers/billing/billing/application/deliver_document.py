"""Make sure a document exists, once: its bytes, its `directus_files` row and its `documents` row, in this order.

Every id follows from the content (contract §5), so a crash between two steps, a replayed message or a second worker
continues the same work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.core.printed_invoice import MAX_LOGO_BYTES, Logo
from billing.errors import BillingError, NotDrawn, Unprocessable
from billing.observability import count, logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.adapters.directus_assets import FileBytes
    from billing.adapters.document_records import DocumentRecords
    from billing.adapters.document_store import DocumentStore, StoredObject
    from billing.adapters.pdf_renderer import RenderedPdf
    from billing.core.document_plan import DocumentRow, PlannedDocument


@dataclass(frozen=True)
class DocumentDelivery:
    """Brings drawn documents to where they belong.

    `storage` is the name of Directus's storage location on the documents bucket.
    """

    records: DocumentRecords
    store: DocumentStore
    storage: str

    def deliver(
        self,
        planned: PlannedDocument,
        existing: DocumentRow | None,
        draw: Callable[[], RenderedPdf],
        *,
        force: bool,
    ) -> None:
        """Do what is missing of the document; `existing` is its `documents` row, `draw` is called only if needed.

        `force` draws again what is there already (same content, same ids).
        """
        stored = None if force else self.store.find(planned.identity.object_key)
        if stored is None or not stored.sha256:
            stored = self._stored(planned, draw())
        if self.records.file(planned.identity.file_id) is None:
            self.records.register_file(planned.file_row(self.storage, stored.size))
        if existing is None:
            self.records.create_document(planned.document_row(stored.sha256))
        elif (existing.sha256, existing.file) != (stored.sha256, planned.identity.file_id):
            changes = {"sha256": stored.sha256, "file": planned.identity.file_id}
            self.records.update_document(existing.id, changes)

    def is_whole(self, document: DocumentRow) -> bool:
        """Whether everything is there that the row names, and the bytes are those it says."""
        if document.file is None or self.records.file(document.file) is None:
            return False
        stored = self.store.find(f"{document.file}.pdf")
        return stored is not None and stored.sha256 == document.sha256

    def _stored(self, planned: PlannedDocument, pdf: RenderedPdf) -> StoredObject:
        if pdf.missing_glyphs:
            message = "Characters that no font has were printed as boxes."
            extra = {"invoice": planned.invoice, "missing_glyphs": pdf.missing_glyphs}
            logger.warning(message, extra=extra)
            count("GlyphsMissing", pdf.missing_glyphs)
        return self.store.put(planned.identity.object_key, pdf.content, pdf.sha256)


def firm_logo(file: str | None, records: DocumentRecords, files: FileBytes) -> Logo | None:
    """The firm's logo; `Unprocessable` `bad_logo` if its file is gone or too large to be printed."""
    if file is None:
        return None
    found = records.file(file)
    if found is None:
        message = "The firm's logo file is gone; choose another one."
        raise Unprocessable(message, code="bad_logo", file=file)
    if found.size > MAX_LOGO_BYTES:
        message = f"The firm's logo has {found.size} bytes; at most {MAX_LOGO_BYTES} can be printed."
        raise Unprocessable(message, code="bad_logo", file=file)
    return Logo(files.read(file), found.media_type)


def lies_in_its_rows(error: BillingError) -> bool:
    """Whether staff must mend a row first: such a failure is told on the row, no repetition would help."""
    return isinstance(error, Unprocessable) or error.code == "row_unreadable"


def told_to_staff(error: BillingError) -> str:
    """The reason as it is written on the row; the log is told less (`NotDrawn`)."""
    return error.for_staff if isinstance(error, NotDrawn) else error.detail
