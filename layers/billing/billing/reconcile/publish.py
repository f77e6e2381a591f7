"""Reports of reconciliation as documents in Directus, delivered as invoices are (`documents/deliver.py`).

The same differences hour after hour are one document, not twenty-four a day; but whatever differs from the newest report
becomes the newest one, also if there was such a report before: people read the newest. Every id follows from the
differences and the report before, so the next run goes on with what a crash has left if it finds the same. No client
belongs to a report: only who sees the whole firm sees it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from billing.documents.versions import HTML, PlannedDocument
from billing.errors import DirectusRejected
from billing.reconcile.report import hash_of, identity_of, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing.directus.rows import Row
    from billing.documents.versions import DocumentRow, Rendered
    from billing.reconcile.report import PrintableReport


#: Of the object in the bucket. Directus serves a file as its row's `type` says; the page names its charset itself.
CONTENT_TYPE = f"{HTML}; charset=utf-8"


class NewestRows(Protocol):
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


class ReportDelivery(Protocol):
    """What brings a document to where it belongs, as for invoices and receipts."""

    def deliver(
        self,
        planned: PlannedDocument,
        existing: DocumentRow | None,
        render: Callable[[], Rendered],
        *,
        force: bool,
    ) -> bool:
        """Do what is missing of the document."""
        ...


@dataclass(frozen=True)
class _Page:
    """A report as it is stored. Not `RenderedPdf`, whose module brings Jinja2 and Babel into reconcile's cold start."""

    content: bytes
    missing_glyphs: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class DirectusReports:
    """`Reports` (`reconcile_ports`) on Directus and wherever the deployment's documents are."""

    def __init__(
        self, rows: NewestRows, delivery: ReportDelivery, *, deployment: str, data_studio: str
    ) -> None:
        """`rows` acts as the functions' service user, `data_studio` is the address of Directus."""
        self._rows = rows
        self._delivery = delivery
        self._deployment = deployment
        self._data_studio = data_studio

    def publish(self, report: PrintableReport) -> str | None:
        """Store the report; None if the newest one says the same, or if it has nothing to say.

        Gives the id of the `documents` row. Raises `UpstreamUnavailable` or `UpstreamFailed`.
        """
        if not report.differences:
            return None
        try:
            return self._publish(report)
        except DirectusRejected as error:
            if error.ids.get("directus_code") != "INVALID_PAYLOAD":
                raise
            message = (
                f"Directus does not accept the report: {HTML} must be among the types in its"
                " FILES_MIME_TYPE_ALLOW_LIST where documents are uploaded."
            )
            raise DirectusRejected(message, directus_code="INVALID_PAYLOAD") from error

    def _publish(self, report: PrintableReport) -> str | None:
        newest = self._newest()
        if newest is not None and newest["content_hash"] == hash_of(report):
            return None
        identity = identity_of(report, self._deployment, newest["id"] if newest is not None else None)
        planned = PlannedDocument(
            identity=identity,
            type="report",
            client="",
            invoice="",
            title=report.title,
            name=f"reconciliation-{report.moment.astimezone(UTC):%Y-%m-%d-%H%M}",
            version=1,
            printed_payments=(),
            media_type=HTML,
        )
        self._delivery.deliver(planned, None, lambda: self._page(report), force=False)
        return identity.document_id

    def _page(self, report: PrintableReport) -> _Page:
        page = page_of(report, self._data_studio)
        return _Page(page.encode(errors="replace"))  # half a surrogate is no character

    def _newest(self) -> Row | None:
        reports = self._rows.read_many(
            "documents",
            # Not one that is begun.
            filter={"_and": [{"type": {"_eq": "report"}}, {"sha256": {"_nnull": True}}]},
            fields=("id", "content_hash"),
            sort=("-date_created",),
            limit=1,
        )
        return reports[0] if reports else None
