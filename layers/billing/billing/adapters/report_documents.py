"""Reports of reconciliation as documents in Directus, stored as invoices are: object, file row, documents row.

Every id follows from the differences, so a crash between two steps is continued by the next run that finds the same,
and what is there already is this very report. No client belongs to it: only who sees the whole firm sees it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING

from billing.adapters.document_records import DirectusDocumentRecords
from billing.core.reconciliation_report import identity_of, page_of

if TYPE_CHECKING:
    from billing.adapters.document_records import Rows
    from billing.adapters.document_store import DocumentStore
    from billing.core.reconciliation_report import PrintableReport

#: Of the object in the bucket. Directus serves a file as its row's `type` says; the page names its charset itself.
CONTENT_TYPE = "text/html; charset=utf-8"
_FILE_TYPE = "text/html"


class DirectusReports:
    """`Reports` (`reconcile_ports`) on Directus and the documents bucket."""

    def __init__(
        self, rows: Rows, store: DocumentStore, *, storage: str, deployment: str, data_studio: str
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
        """Store the report; None if its differences have a document already, or if it has none.

        Gives the id of the `documents` row. Raises `UpstreamUnavailable` or `UpstreamFailed`.
        """
        if not report.differences:
            return None
        identity = identity_of(report, self._deployment)
        if self._rows.read_one("documents", identity.document_id, ("id",)) is not None:
            return None
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
