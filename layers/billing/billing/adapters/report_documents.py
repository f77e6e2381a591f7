"""Reports of reconciliation as documents in Directus, stored as invoices are: object, file row, documents row.

The same differences hour after hour are one document, not twenty-four a day; but whatever differs from the newest report
becomes the newest one, also if there was such a report before: people read the newest. Every id follows from the
differences and the report before, so a crash between two steps is continued by the next run that finds the same. No
client belongs to a report: only who sees the whole firm sees it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from billing.adapters.document_records import DirectusDocumentRecords, Rows
from billing.core.reconciliation_report import hash_of, identity_of, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.adapters.directus import Row
    from billing.adapters.document_store import DocumentStore
    from billing.core.reconciliation_report import PrintableReport

#: Of the object in the bucket. Directus serves a file as its row's `type` says; the page names its charset itself.
CONTENT_TYPE = "text/html; charset=utf-8"
_FILE_TYPE = "text/html"


class NewestRows(Rows, Protocol):
    """The part of `DirectusClient` that is used here."""

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
        limit: int = -1,
    ) -> list[Row]:
        """The first rows that match, all of them for `limit=-1`."""
        ...


class DirectusReports:
    """`Reports` (`reconcile_ports`) on Directus and the documents bucket."""

    def __init__(
        self, rows: NewestRows, store: DocumentStore, *, storage: str, deployment: str, data_studio: str
    ) -> None:
        """`rows` acts as the functions' service user; `store` puts `CONTENT_TYPE`.

        `storage` is the name of Directus's storage location on the bucket, `data_studio` the address of Directus.
        """
        self._rows = rows
        self._records = DirectusDocumentRecords(rows)
        self._store = store
        self._storage = storage
        self._deployment = deployment
        self._data_studio = data_studio

    def publish(self, report: PrintableReport) -> str | None:
        """Store the report; None if the newest one says the same, or if it has nothing to say.

        Gives the id of the `documents` row. Raises `UpstreamUnavailable` or `UpstreamFailed`.
        """
        if not report.differences:
            return None
        newest = self._newest()
        if newest is not None and newest["content_hash"] == hash_of(report):
            return None
        identity = identity_of(report, self._deployment, newest["id"] if newest is not None else None)
        # After a crash the page that is there stays: its file row may exist, and says how long it is.
        stored = self._store.find(identity.object_key)
        if stored is None or not stored.sha256:
            page = page_of(report, self._data_studio).encode(
                errors="replace"
            )  # half a surrogate is no character
            stored = self._store.put(identity.object_key, page, hashlib.sha256(page).hexdigest())
        self._records.register_file(
            {
                "id": identity.file_id,
                "storage": self._storage,
                "filename_disk": identity.object_key,
                "filename_download": f"reconciliation-{report.moment.astimezone(UTC):%Y-%m-%d-%H%M}.html",
                "type": _FILE_TYPE,
                "filesize": stored.size,
                "title": report.title,
            }
        )
        self._records.create_document(
            {
                "id": identity.document_id,
                "client": None,
                "type": "report",
                "title": report.title,
                "file": identity.file_id,
                "sha256": stored.sha256,
                "content_hash": identity.content_hash,
                "version": 1,
                "visible_to_client": False,
            }
        )
        return identity.document_id

    def _newest(self) -> Row | None:
        reports = self._rows.read_many(
            "documents",
            filter={"type": {"_eq": "report"}},
            fields=("id", "content_hash"),
            sort=("-date_created",),
            limit=1,
        )
        return reports[0] if reports else None
