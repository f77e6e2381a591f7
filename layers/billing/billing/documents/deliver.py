"""Make sure a document exists, once: its bytes, its `directus_files` row and its `documents` row, in this order.

Every id follows from the content (contract §5), so a replayed message or a second worker continues the same work.
A crash between two steps must leave nothing behind that no row names, and the invoice may have changed by the next
run: its ids then lead elsewhere. So what was drawn is first kept as *unfinished*, bytes and plan in one object, until
its `documents` row is written. The next run brings whatever it finds there to its end before it does its own work.
That is adoption, never removal: the document was true when it was drawn, and would be there had nothing crashed. Only
the unfinished object itself is ever removed, which no row names: when the document is whole, or when Directus takes no
file of its length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.aws.observability import count, log_refusal, logger
from billing.documents.invoice import MAX_LOGO_BYTES, Logo
from billing.documents.versions import UnfinishedDocument, next_version, version_key
from billing.errors import (
    BillingError,
    DirectusRejected,
    RecordNotUnique,
    RenderFailed,
    Unprocessable,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.directus.assets import FileBytes
    from billing.documents.files import DocumentFiles, UnfinishedDocuments
    from billing.documents.store import DocumentRecords
    from billing.documents.versions import DocumentRow, Drawn, PlannedDocument


#: Each try in vain means that another document of the same invoice or payment was made in these milliseconds.
_VERSIONS_TRIED = 10

_RETRY_AFTER_CONFLICT = 10


@dataclass(frozen=True)
class DocumentDelivery:
    """Brings drawn documents to where they belong."""

    records: DocumentRecords
    files: DocumentFiles
    unfinished: UnfinishedDocuments

    def finish(self, subject: str) -> None:
        """Bring to its end what a run before this one has begun for an invoice, or of a receipt for a payment.

        To be called before the rows are read: these documents have versions, too.
        """
        begun, unreadable = self.unfinished.of(subject)
        if unreadable:
            # They must not keep the next document from being drawn: they stay, and somebody is told.
            count("UnfinishedUnreadable", len(unreadable))
            message = "Unfinished documents in the bucket cannot be read."
            logger.warning(message, extra={"keys": unreadable})
        for document in begun:
            siblings = self.records.documents_like(document.planned)
            planned = replace(document.planned, version=next_version(siblings))
            existing = next((row for row in siblings if row.id == planned.identity.document_id), None)
            stored = self.files.find(planned.identity.file_id)
            if stored is not None and stored.sha256 == document.sha256:
                self.files.ensure_row(_as_it_stands(planned, existing), stored)
            elif not self._is_taken(replace(document, planned=_as_it_stands(planned, existing))):
                continue
            self._name(planned, existing, document.sha256)
            self.unfinished.forget(document)
            count("UnfinishedAdopted")

    def deliver(
        self,
        subject: str,
        planned: PlannedDocument,
        existing: DocumentRow | None,
        draw: Callable[[], Drawn],
        *,
        force: bool,
    ) -> bool:
        """Do what is missing of the document; `existing` is its `documents` row, `draw` is called only if needed.

        `planned.version` is the one after every version there is. A document that is there already is what the rows say
        now: it becomes the newest again (`bring_forward`). `force` draws again what is there already (same content,
        same ids). Return whether it is the first version and the only one, so that nobody can have drawn newer rows
        before.
        """
        named = _as_it_stands(planned, existing)
        # Bytes that no row speaks of prove nothing: of an upload that it refused Directus keeps what it had read by then.
        stored = None if force or existing is None else self.files.find(planned.identity.file_id)
        # Those that are not what the row says are nobody's work any more: what a crash has left was finished before.
        if stored is not None and existing is not None and stored.sha256 == existing.sha256:
            self.files.ensure_row(named, stored)
            is_first = self._name(planned, existing, stored.sha256)
            self._make_current(planned, existing)
            return is_first
        pdf = draw()
        self._look_for_missing_glyphs(planned, pdf)
        document = UnfinishedDocument(subject, named, pdf.content, pdf.sha256)
        self.unfinished.keep(document)
        self._write(document)
        is_first = self._name(planned, existing, pdf.sha256)
        self.unfinished.forget(document)
        self._make_current(planned, existing)
        return is_first

    def title_versions(self, planned: PlannedDocument) -> None:
        """Have every version of an invoice's document say in title and file name which one it is, and which is current.

        The last step of a new version, and repeated with every later look: a crash before it is made good by the retry.
        """
        versions = [row for row in self.records.documents_like(planned) if row.printed_payments is not None]
        newest = max(versions, key=lambda row: row.version, default=None)
        for row in versions:
            version = replace(planned, version=row.version)
            title = version.full_title if row is newest else version.replaced_title
            self._title_file(row.file, title, version.download_name)
            if row.title != title:
                # The newest has its title from its version: the two are written together.
                key = {"version": row.version, "version_key": version.version_key} if row is newest else {}
                self.records.update_document(row.id, {"title": title, **key})

    def bring_forward(self, document: DocumentRow, document_type: str, subject: str, following: int) -> None:
        """Make a document that is there the current one of its invoice or payment again.

        `following` is the version after every one there is. A document gets it where a newer one says what is no longer
        so: an amount was mended and mended back. A receipt that was withdrawn is shown again.
        """
        changes: dict[str, object] = {}
        if document.is_withdrawn:
            changes = {"visible_to_client": True, "withdrawn_at": None}
        if document.version == following - 1:
            if changes:
                self.records.update_document(document.id, changes)
            return
        for version in range(following, following + _VERSIONS_TRIED):
            key = version_key(document_type, subject, version)
            try:
                self.records.update_document(document.id, {**changes, "version": version, "version_key": key})
            except RecordNotUnique:
                continue
            return
        raise _versions_taken(document_type, subject)

    def is_whole(self, document: DocumentRow) -> bool:
        """Whether everything is there that the row names, and the bytes are those it says."""
        if document.file is None or self.records.file(document.file) is None:
            return False
        stored = self.files.find(document.file)
        return stored is not None and stored.sha256 == document.sha256

    def _write(self, document: UnfinishedDocument) -> None:
        """Bring the bytes to where they belong. What is not taken there does not go on waiting for it.

        It would hold up every later document of its invoice, one that was shortened as well; no row names it yet.
        """
        try:
            self.files.write(document.planned, document.content, document.sha256)
        except Unprocessable:
            self.unfinished.forget(document)
            raise

    def _title_file(self, key: str | None, title: str, name: str) -> None:
        file = self.records.file(key) if key is not None else None
        if file is None or (file.title, file.name) == (title, name):
            return
        try:
            self.records.update_file(file.id, {"title": title, "filename_download": name})
        except DirectusRejected as error:
            if error.ids.get("directus_code") != "FORBIDDEN":
                raise
            # Whoever has put it back from a backup owns it now, and the functions title their own: its document says it.
            log_refusal(error)

    def _is_taken(self, document: UnfinishedDocument) -> bool:
        """Bring what an earlier run has drawn to where it belongs; if that refuses it, this run's own drawing says so."""
        try:
            self._write(document)
        except Unprocessable as error:
            log_refusal(error)
            return False
        return True

    def _name(self, planned: PlannedDocument, existing: DocumentRow | None, sha256: str) -> bool:
        """Write the `documents` row, the last of the document's own; return whether it is the first and only version."""
        if existing is None:
            return self._create(planned, sha256)
        if (existing.sha256, existing.file) != (sha256, planned.identity.file_id):
            changes = {"sha256": sha256, "file": planned.identity.file_id}
            self.records.update_document(existing.id, changes)
        return existing.version == 1 and planned.version == existing.version + 1

    def _create(self, planned: PlannedDocument, sha256: str) -> bool:
        """Directus lets a version be there once: who comes second has the next one.

        Who meets this very document, made by another worker meanwhile, was not the first, whatever its version is.
        """
        for _ in range(_VERSIONS_TRIED):
            try:
                is_made = self.records.create_document(planned.document_row(sha256))
            except RecordNotUnique:
                # Not only what is read: a row that somebody has put on another invoice still holds its version.
                following = max(next_version(self.records.documents_like(planned)), planned.version + 1)
                planned = replace(planned, version=following)
            else:
                return is_made and planned.version == 1
        raise _versions_taken(planned.type, planned.identity.document_id)

    def _make_current(self, planned: PlannedDocument, existing: DocumentRow | None) -> None:
        if existing is not None and planned.version_key is not None:
            subject = planned.payment or planned.invoice
            following = max(planned.version, existing.version + 1)
            self.bring_forward(existing, planned.type, subject, following)

    def _look_for_missing_glyphs(self, planned: PlannedDocument, pdf: Drawn) -> None:
        if pdf.missing_glyphs:
            message = "Characters that no font has were printed as boxes."
            extra = {"invoice": planned.invoice, "missing_glyphs": pdf.missing_glyphs}
            logger.warning(message, extra=extra)
            count("GlyphsMissing", pdf.missing_glyphs)


def _as_it_stands(planned: PlannedDocument, existing: DocumentRow | None) -> PlannedDocument:
    """With the version that the document has or gets: one that is the newest keeps its own."""
    is_newest = existing is not None and existing.version == planned.version - 1
    return replace(planned, version=planned.version - 1) if is_newest else planned


def _versions_taken(document_type: str, subject: str) -> UpstreamUnavailable:
    message = f"Others are making versions of the same {document_type} all the time; it is tried again."
    return UpstreamUnavailable(message, code="versions_taken", subject=subject)


def changed_while_drawn(**ids: str) -> UpstreamUnavailable:
    """The rows changed again and again while they were drawn."""
    message = "The rows change while they are drawn; it is tried again."
    return UpstreamUnavailable(message, retry_after=_RETRY_AFTER_CONFLICT, code="rows_changing", **ids)


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


def is_data_error(error: BillingError) -> bool:
    """Whether staff must mend a row first: such a failure is told on the row, no repetition would help."""
    return isinstance(error, Unprocessable) or error.code == "row_unreadable"


def staff_message(error: BillingError) -> str:
    """The reason as it is written on the row; the log is told less (`RenderFailed`)."""
    return error.for_staff if isinstance(error, RenderFailed) else error.detail
