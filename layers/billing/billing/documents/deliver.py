"""Make sure a document exists, once: hidden row, bytes, file row, show; wherever its bytes are kept.

Every id follows from the content (decision 20), so a replayed message or a second worker continues the same work. The
`documents` row comes first, hidden: it is *begun*. One write then gives it its file, the hash of its bytes and its
version, and shows it. So a crash between two steps leaves nothing that a client sees and takes no version, and the next
delivery of the message goes on. If the rows have changed by then, other content is rendered: the begun row stays as it
is, and says by its hash which bytes may be there (docs/runbooks.md), until its content comes back.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.aws.observability import count, log_refusal, logger
from billing.documents.invoice import MAX_LOGO_BYTES, Logo
from billing.documents.versions import next_version, version_key
from billing.errors import (
    BillingError,
    DirectusRejected,
    Parked,
    RecordNotUnique,
    RenderFailed,
    Unprocessable,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing.directus.assets import FileBytes
    from billing.documents.files import DocumentFiles
    from billing.documents.store import DocumentRecords
    from billing.documents.versions import DocumentRow, PlannedDocument, Rendered


#: Each try in vain means that another document of the same invoice or payment was made in these milliseconds.
_VERSIONS_TRIED = 10

_RETRY_AFTER_CONFLICT = 10

#: The first two deliveries may have been lost to a machine; from the third on the document itself is suspected.
_SUSPECTED_FROM = 3
_BEYOND_LIMITS = (
    "The document could not be rendered within the function's limits of time and memory: shorten its texts, replace the "
    "logo or divide the invoice, then choose Render again."
)


@dataclass(frozen=True)
class Order:
    """One delivery of a message of the render queue: SQS's id of the message, and how often it was delivered."""

    message: str = ""
    receive: int = 1

    @property
    def is_suspected(self) -> bool:
        """Whether rendering may be what ended the workers before, by memory or time: nothing is left to say so."""
        return self.receive >= _SUSPECTED_FROM


FIRST = Order()


def _on_no_row(_reason: str | None) -> None:
    """A report belongs to no row that could say why there is none."""


@dataclass(frozen=True)
class DocumentDelivery:
    """Brings rendered documents to where they belong."""

    records: DocumentRecords
    files: DocumentFiles

    def deliver(
        self,
        planned: PlannedDocument,
        existing: DocumentRow | None,
        render: Callable[[], Rendered],
        tell: Callable[[str | None], None] = _on_no_row,
        *,
        force: bool,
        order: Order = FIRST,
    ) -> bool:
        """Do what is missing of the document; `existing` is its `documents` row, `render` is called only if needed.

        `planned.version` is the one after every version there is. A document that is there already is what the rows say
        now: it becomes the newest again (`bring_forward`). `force` renders again what is there already (same content,
        same ids). `tell` writes on the invoice or payment why it has no document, or with None that it still waits for
        one. Return whether it is the first version and the only one, so that nobody can have rendered newer rows
        before. Raises `Parked` `beyond_limits` where rendering this content for this order has ended a worker before.
        """
        shown = None if existing is None or existing.is_begun else existing
        named = _as_it_stands(planned, shown)
        # Bytes that no row speaks of prove nothing: of an upload that it refused Directus keeps what it had read by then.
        stored = None if force or shown is None else self.files.find(planned.identity.file_id)
        if stored is not None and shown is not None and stored.sha256 == shown.sha256:
            self.files.ensure_row(named, stored)
            return self._stands(planned, shown, stored.sha256)
        with self._failed_first(planned, tell, order):
            pdf = render()
            self._look_for_missing_glyphs(planned, pdf)
            if existing is None:
                self.records.create_document(planned.begun_row())
            self.files.write(named, pdf.content, pdf.sha256)
            return (
                self._show(planned, pdf.sha256) if shown is None else self._stands(planned, shown, pdf.sha256)
            )

    def title_versions(self, planned: PlannedDocument) -> None:
        """Have every version of an invoice's document say in title and file name which one it is, and which is current.

        The last step of a new version, and repeated with every later look: a crash before it is made good by the retry.
        """
        documents = self.records.documents_like(planned)
        versions = [row for row in documents if row.printed_payments is not None and not row.is_begun]
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

    @contextmanager
    def _failed_first(
        self, planned: PlannedDocument, tell: Callable[[str | None], None], order: Order
    ) -> Iterator[None]:
        """Of a suspected order say that it failed before anything can end the worker; success overwrites it.

        For which message its content is being rendered stands in the `version_key` of the begun row, where its version
        will be. An order that finds itself there was ended by it. Another one leaves it there: two that take turns would
        never find themselves. (A document that was shown before has been rendered within the limits: it is tried as often
        as the queue delivers.) Whoever lives on takes it back, and what may pass the failure as well.
        """
        if not order.is_suspected:
            yield
            return
        self.records.create_document(planned.begun_row())
        row, key = self._itself(planned), f"{planned.identity.document_id}:{order.message}"
        try:
            tell(_BEYOND_LIMITS)
            self._mark(row, key)
            yield
        except Exception as error:
            if not isinstance(error, BillingError) or error.retryable:
                tell(None)  # an outage, or a bug of ours: neither is the document's fault
            if self._itself(planned).version_key == key:
                self.records.update_document(row.id, {"version_key": None})
            raise

    def _mark(self, row: DocumentRow, key: str) -> None:
        """Leave the order's mark on its row; `Parked` if an earlier delivery has left it there."""
        if row.version_key == key:
            raise Parked(_BEYOND_LIMITS, code="beyond_limits", document=row.id)
        if row.is_begun and row.version_key is None:
            self.records.update_document(row.id, {"version_key": key})

    def _itself(self, planned: PlannedDocument) -> DocumentRow:
        for row in self.records.documents_like(planned):
            if row.id == planned.identity.document_id:
                return row
        raise changed_while_rendered(document=planned.identity.document_id)

    def _show(self, planned: PlannedDocument, sha256: str) -> bool:
        """Write what shows a begun document; return whether it is the first version.

        Directus lets a version be there once: who comes second has the next one. And the guard lets a document be shown
        once: whoever meets it shown, by another worker meanwhile, was not the first, whatever its version is.
        """
        refusal: DirectusRejected | None = None
        version = 0
        for _ in range(_VERSIONS_TRIED):
            documents = self.records.documents_like(planned)
            row = next((row for row in documents if row.id == planned.identity.document_id), None)
            if row is None:
                raise changed_while_rendered(document=planned.identity.document_id)
            if not row.is_begun:
                self._link(row, planned, sha256)
                return False
            if refusal is not None:
                raise refusal
            # Not only what is read: a row that somebody has put on another invoice still holds its version.
            version = max(next_version(documents), version + 1)
            try:
                self.records.update_document(row.id, replace(planned, version=version).shown_columns(sha256))
            except RecordNotUnique:
                continue
            except DirectusRejected as error:
                refusal = error
            else:
                return version == 1
        raise _versions_taken(planned.type, planned.identity.document_id)

    def _link(self, shown: DocumentRow, planned: PlannedDocument, sha256: str) -> None:
        """Have the row of a document that was shown before name its file and the bytes that are there now."""
        if (shown.sha256, shown.file) != (sha256, planned.identity.file_id):
            changes = {"sha256": sha256, "file": planned.identity.file_id}
            self.records.update_document(shown.id, changes)

    def _stands(self, planned: PlannedDocument, shown: DocumentRow, sha256: str) -> bool:
        """Have a document that was shown before be whole and the newest; return whether it is the only version."""
        self._link(shown, planned, sha256)
        if planned.version_key is not None:
            following = max(planned.version, shown.version + 1)
            self.bring_forward(shown, planned.type, planned.payment or planned.invoice, following)
        return shown.version == 1 and planned.version == shown.version + 1

    def _look_for_missing_glyphs(self, planned: PlannedDocument, pdf: Rendered) -> None:
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


def changed_while_rendered(**ids: str) -> UpstreamUnavailable:
    """The rows changed again and again while they were rendered."""
    message = "The rows change while they are rendered; it is tried again."
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
