"""Where the bytes of a document lie: registered in the bucket, or uploaded to Directus."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from billing.aws.bucket import StoredObject
from billing.errors import DirectusRejected, Unprocessable, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.aws.bucket import DocumentStore
    from billing.directus.assets import FileBytes
    from billing.documents.store import DocumentRecords
    from billing.documents.versions import PlannedDocument


class DocumentFiles(Protocol):
    """The files of documents; each is known by the id that follows from its content."""

    def find(self, file: str) -> StoredObject | None:
        """The bytes as they are now, None if there are none; `sha256` is empty if nobody knows it."""
        ...

    def write(self, planned: PlannedDocument, content: bytes, sha256: str) -> None:
        """See to it that the bytes and the row are there, whatever was there before."""
        ...

    def ensure_row(self, planned: PlannedDocument, stored: StoredObject) -> None:
        """See to it that bytes which are there have their row."""
        ...


@dataclass(frozen=True)
class RegisteredFiles:
    """`DocumentFiles` in the bucket that is Directus's storage location `storage` as well: object first, then row.

    `ending` is that of every file here; the `store` puts them with their type.
    """

    records: DocumentRecords
    store: DocumentStore
    storage: str
    ending: str = "pdf"

    def find(self, file: str) -> StoredObject | None:
        """The object."""
        return self.store.find(f"{file}.{self.ending}")

    def write(self, planned: PlannedDocument, content: bytes, sha256: str) -> None:
        """Put the object, register it if it is new."""
        self.ensure_row(planned, self.store.put(planned.object_key, content, sha256))

    def ensure_row(self, planned: PlannedDocument, stored: StoredObject) -> None:
        """Register the object; a row that is there says how long it is."""
        row = self.records.file(planned.identity.file_id)
        if row is None:
            self.records.register_file(planned.file_row(self.storage, stored.size))
        elif row.size != stored.size:
            self.records.update_file(row.id, {"filesize": stored.size})


_CONCURRENT_UPLOAD_RETRY = 10


class Uploads(Protocol):
    """The part of `DirectusClient` that is used here."""

    def upload(
        self, method: str, path: str, *, fields: Mapping[str, str], content: bytes, content_type: str
    ) -> Any:
        """Send a file as a form."""
        ...


@dataclass(frozen=True)
class UploadedFiles:
    """`DocumentFiles` in Directus's own storage. `assets` reads up to `MAX_DOCUMENT_BYTES`."""

    records: DocumentRecords
    uploads: Uploads
    assets: FileBytes

    def find(self, file: str) -> StoredObject | None:
        """The bytes as Directus has them, None if it has no row, or no bytes, or such as cannot be a document's."""
        if self.records.file(file) is None:
            return None
        try:
            content = self.assets.read(file)
        except DirectusRejected:
            return None  # a row without bytes: its upload was cut off
        except Unprocessable:
            return None  # longer than a document can be: somebody has put another file in its place
        return StoredObject(f"{file}.pdf", len(content), hashlib.sha256(content).hexdigest())

    def write(self, planned: PlannedDocument, content: bytes, sha256: str) -> None:
        """Upload the bytes, or put them in the place of others; the same bytes are left where they are.

        While Directus replaces bytes nobody can read them, and if it dies then nobody can afterwards. Raises `Unprocessable`
        `upload_refused` where Directus takes no file of this length.
        """
        file = planned.identity.file_id
        if self.records.file(file) is not None:
            there = self.find(file)
            if there is None or there.sha256 != sha256:
                self._send("PATCH", f"/files/{quote(file, safe='')}", planned, content)
            return
        try:
            self._send("POST", "/files", planned, content)
        except DirectusRejected:
            if self.records.file(file) is None:
                raise
            found = self.find(file)
            if found is None or found.sha256 != sha256:
                message = "Another worker is uploading the same document."
                raise UpstreamUnavailable(message, retry_after=_CONCURRENT_UPLOAD_RETRY, file=file) from None

    def ensure_row(self, planned: PlannedDocument, stored: StoredObject) -> None:
        """Nothing: bytes are only found by their row."""

    def _send(self, method: str, path: str, planned: PlannedDocument, content: bytes) -> None:
        row = planned.file_row("", len(content))
        names = ("filename_disk", "filename_download", "title")
        fields = {name: str(row[name]) for name in names}
        if method == "POST":
            fields = {"id": planned.identity.file_id, **fields}
        try:
            self.uploads.upload(method, path, fields=fields, content=content, content_type=planned.media_type)
        except DirectusRejected as error:
            if error.ids.get("directus_code") != "CONTENT_TOO_LARGE":
                raise
            message = (
                f"Directus does not take the document: its file has {len(content) / 1e6:.3g} MB, and FILES_MAX_UPLOAD_SIZE of "
                "Directus allows less. Have the administrator raise that, then choose Render again."
            )
            raise Unprocessable(message, code="upload_refused", file=planned.identity.file_id) from error
