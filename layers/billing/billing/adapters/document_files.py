"""Where a document's bytes and its `directus_files` row go: by registering an object, or by uploading (`directus_uploads`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from billing.adapters.document_records import DocumentRecords
    from billing.adapters.document_store import DocumentStore, StoredObject
    from billing.core.document_plan import PlannedDocument


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
