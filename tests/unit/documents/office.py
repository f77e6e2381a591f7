"""The rendering worker with everything around it, on fakes."""

from dataclasses import dataclass
from typing import Any

from billing.documents.deliver import DocumentDelivery
from billing.documents.files import RegisteredFiles, UploadedFiles
from billing.documents.render import RenderDocument
from billing.documents.render_queue import RenderQueue
from billing.documents.render_receipt import RenderReceipt
from billing.documents.store import DocumentRecords
from tests.fakes.documents import (
    FakeDirectus,
    FakeDisk,
    FakeFiles,
    FakeInvoiceQueue,
    FakeRenderer,
    FakeStore,
)
from tests.fakes.firm_rows import INVOICE, directus


@dataclass
class Office:
    """The use case with everything around it."""

    directus: FakeDirectus
    store: FakeStore
    renderer: FakeRenderer
    queue: FakeInvoiceQueue
    files: FakeFiles
    disk: FakeDisk | None = None
    portal_url: str = ""

    @property
    def delivery(self) -> DocumentDelivery:
        """Documents are registered, or uploaded where there is a `disk`."""
        records = DocumentRecords(self.directus)
        if self.disk is not None:
            return DocumentDelivery(records, UploadedFiles(records, self.disk, self.disk.assets()))
        return DocumentDelivery(records, RegisteredFiles(records, self.store, "s3"))

    @property
    def render(self) -> RenderDocument:
        return RenderDocument(
            records=DocumentRecords(self.directus),
            delivery=self.delivery,
            renderer=self.renderer,
            files=self.files,
            invoice_queue=self.queue,
            portal_url=self.portal_url,
        )

    @property
    def receipts(self) -> RenderReceipt:
        return RenderReceipt(DocumentRecords(self.directus), self.delivery, self.renderer, self.files)

    @property
    def work(self) -> RenderQueue:
        return RenderQueue(self.render, self.receipts)

    @property
    def invoice(self) -> dict[str, Any]:
        return self.directus.collections["invoices"][INVOICE]

    @property
    def documents(self) -> list[dict[str, Any]]:
        return list(self.directus.collections["documents"].values())

    @property
    def pdf_files(self) -> list[dict[str, Any]]:
        return [
            f for f in self.directus.collections["directus_files"].values() if f["type"] == "application/pdf"
        ]

    def state(self) -> tuple[Any, ...]:
        status = self.invoice["pdf_status"], self.invoice["pdf_error"]
        return status, self.documents, self.pdf_files, self.store.objects


def office(*, upload: bool = False, **invoice: Any) -> Office:
    """`upload`: the bucket is not shared with Directus."""
    rows = directus(**invoice)
    store = FakeStore(rows.effects)
    disk = FakeDisk(rows, store) if upload else None
    return Office(
        rows,
        store,
        FakeRenderer(),
        FakeInvoiceQueue(),
        FakeFiles(store),
        disk,
    )
