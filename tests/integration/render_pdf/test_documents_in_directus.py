"""The worker against the real Directus, with the real WeasyPrint; Directus's own storage directory is the bucket."""

import io
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pypdf
import pytest

from billing.aws.bucket import StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import DirectusClient
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import RegisteredFiles
from billing.documents.invoice import MAX_LOGO_BYTES
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.render import RenderDocument
from billing.documents.render_receipt import RenderReceipt
from billing.documents.store import DocumentRecords
from billing.errors import DirectusRejected
from billing.payments.store import BillingStore
from billing.payments.write_invoice import InvoiceWriter
from local.seed import seed_id
from tests.fakes.queues import FakeWorkQueue
from tests.fakes.stripe import FakeStripe
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus, running

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")


class ServiceToken:
    """The service user's token, which nobody rotates here."""

    def current(self) -> str:
        return SERVICE_TOKEN

    refresh = current


@dataclass
class DirectoryStore:
    """A directory as the bucket; `sha256` plays the objects' metadata."""

    directory: Path
    sha256: dict[str, str]

    def find(self, key: str) -> StoredObject | None:
        path = self.directory / key
        return StoredObject(key, path.stat().st_size, self.sha256[key]) if path.is_file() else None

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        (self.directory / key).write_bytes(content)
        self.sha256[key] = sha256
        return StoredObject(key, len(content), sha256)


class NoQueue:
    """Nothing may be queued: every invoice here is booked."""

    def send(self, message: Any, *, deduplication_id: str | None = None) -> None:
        raise AssertionError((message, deduplication_id))

    def recompute(self, invoices: Iterable[str], *, as_of: Any = None, payments: Any = ()) -> None:
        raise AssertionError(list(invoices), as_of, payments)


@dataclass
class Worker:
    """The use case on one running Directus."""

    directus: RunningDirectus
    render: RenderDocument
    receipts: RenderReceipt
    store: DirectoryStore

    def documents(self, invoice: str) -> list[dict[str, Any]]:
        path = f"/items/documents?filter[invoice][_eq]={invoice}&filter[type][_eq]=invoice&sort=version"
        found: list[dict[str, Any]] = self.directus.admin.call("GET", path)
        return found

    def invoice(self, invoice: str) -> dict[str, Any]:
        found: dict[str, Any] = self.directus.admin.call("GET", f"/items/invoices/{invoice}")
        return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def worker(request: pytest.FixtureRequest, renderer: WeasyPrintRenderer) -> Worker:
    directus = running(request.param)
    pooled = http()
    store = DirectoryStore(directus.directory / "uploads", {})
    records = DocumentRecords(DirectusClient(directus.url, ServiceToken(), pooled))
    delivery = DocumentDelivery(records, RegisteredFiles(records, store, "local"))
    files = DirectusAssets(directus.url, ServiceToken(), pooled, maximum_bytes=MAX_LOGO_BYTES)
    render = RenderDocument(records, delivery, renderer, files, NoQueue())
    return Worker(directus, render, RenderReceipt(records, delivery, renderer, files), store)


def sent_invoices(worker: Worker) -> list[dict[str, Any]]:
    """Return the seed's: those of other tests on the same Directus may have documents, or rows that cannot be drawn."""
    path = (
        "/items/invoices?filter[status][_nin]=draft,void&filter[sent_at][_nnull]=true&limit=-1&sort=invoice_number"
        "&filter[invoice_number][_starts_with]=HNO-"
    )
    found: list[dict[str, Any]] = worker.directus.admin.call("GET", path)
    return found


def test_every_sent_invoice_of_the_firm_gets_its_document(worker: Worker) -> None:
    invoices = sent_invoices(worker)
    assert {invoice["currency"] for invoice in invoices} >= {"USD", "EUR", "JPY"}
    for invoice in invoices:
        worker.render.render_invoice(invoice["id"])
        worker.render.render_invoice(invoice["id"])
        after = worker.invoice(invoice["id"])
        assert (after["pdf_status"], after["pdf_error"]) == ("ready", None), after["invoice_number"]
        (document,) = worker.documents(invoice["id"])
        assert (document["client"], document["version"]) == (invoice["client"], 1)
        assert document["sha256"] == worker.store.sha256[f"{document['file']}.pdf"]
        assert isinstance(document["printed_payments"], list)


def test_all_150_lines_come_out_of_directus(worker: Worker) -> None:
    counted = worker.directus.admin.call(
        "GET", "/items/line_items?aggregate[count]=*&groupBy[]=invoice&limit=-1"
    )
    longest = max(counted, key=lambda row: int(row["count"]))
    assert int(longest["count"]) >= 150
    worker.render.render_invoice(longest["invoice"])
    (document,) = worker.documents(longest["invoice"])
    text = pdf_text(worker, document["file"])
    path = f"/items/line_items?filter[invoice][_eq]={longest['invoice']}&fields=description&limit=-1"
    for line in worker.directus.admin.call("GET", path):
        assert "".join(line["description"].split()) in text


def test_what_was_lost_in_directus_or_in_the_bucket_comes_back_as_it_was(worker: Worker) -> None:
    invoice = sent_invoices(worker)[0]["id"]
    worker.render.render_invoice(invoice)
    (before,) = worker.documents(invoice)
    key = f"{before['file']}.pdf"
    bytes_before = (worker.store.directory / key).read_bytes()
    worker.directus.admin.call("DELETE", f"/items/documents/{before['id']}")
    worker.directus.admin.call("DELETE", f"/files/{before['file']}")  # takes the object along
    assert worker.store.find(key) is None
    worker.render.render_invoice(invoice)
    (after,) = worker.documents(invoice)
    ignored = {"date_created"}
    assert {k: v for k, v in after.items() if k not in ignored} == {
        k: v for k, v in before.items() if k not in ignored
    }
    assert (worker.store.directory / key).read_bytes() == bytes_before


def test_a_file_row_that_another_worker_was_faster_with_is_taken_as_done(worker: Worker) -> None:
    invoice = sent_invoices(worker)[0]["id"]
    worker.render.render_invoice(invoice)
    (document,) = worker.documents(invoice)
    row = {"id": document["file"], "storage": "local", "filename_disk": f"{document['file']}.pdf",
           "filename_download": "x.pdf", "type": "application/pdf", "filesize": 1, "title": "x"}  # fmt: skip
    worker.render.records.register_file(row)
    worker.render.records.create_document(
        {"id": document["id"], "client": document["client"], "type": "invoice"}
    )
    assert worker.documents(invoice) == [document]
    with pytest.raises(DirectusRejected):
        worker.render.records.register_file(row | {"id": seed_id("file", "new"), "type": None})


def test_the_client_reads_the_pdf_and_another_client_does_not(worker: Worker) -> None:
    invoices = {row["client"]: row["id"] for row in sent_invoices(worker)}
    mine = invoices[worker.directus.as_("maria").call("GET", "/items/clients?fields=id")[0]["id"]]
    worker.render.render_invoice(mine)
    (document,) = worker.documents(mine)
    status, body = worker.directus.as_("maria").answer("GET", f"/assets/{document['file']}")
    assert status == 200, body
    assert worker.directus.as_("haruka").answer("GET", f"/assets/{document['file']}")[0] == 403
    assert worker.directus.nobody.answer("GET", f"/assets/{document['file']}")[0] == 403


def test_the_firms_logo_is_read_from_directus_and_a_broken_one_is_said(worker: Worker) -> None:
    invoice = sent_invoices(worker)[0]["id"]
    firm = worker.directus.admin.call("GET", "/items/firm")
    logos = {
        "good.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30"/></svg>',
        "bad.svg": b"<svg",
    }
    files = {}
    for name, content in logos.items():
        row = {"storage": "local", "filename_disk": name, "filename_download": name, "type": "image/svg+xml",
               "filesize": len(content)}  # fmt: skip
        (worker.store.directory / name).write_bytes(content)
        files[name] = worker.directus.admin.call("POST", "/files", row)["id"]
    try:
        worker.directus.admin.call("PATCH", "/items/firm", {"logo": files["good.svg"]})
        worker.render.render_invoice(invoice)
        assert worker.invoice(invoice)["pdf_status"] == "ready"
        versions = len(worker.documents(invoice))
        assert versions >= 2
        worker.directus.admin.call("PATCH", "/items/firm", {"logo": files["bad.svg"]})
        worker.render.render_invoice(invoice)
        after = worker.invoice(invoice)
        assert after["pdf_status"] == "failed"
        assert after["pdf_error"] == "The firm's logo cannot be printed: it is not well-formed SVG."
        assert len(worker.documents(invoice)) == versions
    finally:
        worker.directus.admin.call("PATCH", "/items/firm", {"logo": firm["logo"]})


def succeeded_payment(worker: Worker, client: str) -> dict[str, Any]:
    """Give one of the seed's on a sent invoice of that client."""
    path = (
        f"/items/payments?filter[status][_eq]=succeeded&filter[client][_eq]={client}&sort=id&limit=1"
        "&filter[invoice][sent_at][_nnull]=true"
    )
    found: dict[str, Any] = worker.directus.admin.call("GET", path)[0]
    return found


def test_the_client_reads_a_payments_receipt_and_another_client_does_not(worker: Worker) -> None:
    maria, haruka = worker.directus.as_("maria"), worker.directus.as_("haruka")
    payment = succeeded_payment(worker, maria.call("GET", "/items/clients?fields=id")[0]["id"])["id"]
    worker.receipts.render_receipt(payment)
    worker.receipts.render_receipt(payment)
    stored = worker.directus.admin.call("GET", f"/items/payments/{payment}")
    assert (stored["receipt_error"], bool(stored["receipt"])) == (None, True)
    path = f"/items/documents?filter[file][_eq]={stored['receipt']}"
    (document,) = worker.directus.admin.call("GET", path)
    assert (document["type"], document["client"], document["version"]) == ("receipt", stored["client"], 1)
    assert document["sha256"] == worker.store.sha256[f"{stored['receipt']}.pdf"]

    assert maria.call("GET", f"/items/payments/{payment}?fields=receipt") == {"receipt": stored["receipt"]}
    assert [row["id"] for row in maria.call("GET", path)] == [document["id"]]
    status, body = maria.answer("GET", f"/assets/{stored['receipt']}")
    assert status == 200, body

    doors = (f"/items/payments/{payment}", f"/items/documents/{document['id']}", f"/files/{stored['receipt']}",
             f"/assets/{stored['receipt']}")  # fmt: skip
    for door in doors:
        assert haruka.answer("GET", door)[0] == 403, door
        assert worker.directus.nobody.answer("GET", door)[0] in {401, 403}, door
    assert haruka.call("GET", path) == []
    assert haruka.call("GET", f"/items/payments?filter[receipt][_eq]={stored['receipt']}") == []


def test_the_receipt_of_a_mended_amount_is_the_next_version(worker: Worker) -> None:
    client = worker.directus.as_("maria").call("GET", "/items/clients?fields=id")[0]["id"]
    payment = succeeded_payment(worker, client)
    worker.receipts.render_receipt(payment["id"])
    before = worker.directus.admin.call("GET", f"/items/payments/{payment['id']}")["receipt"]
    worker.directus.admin.call("PATCH", f"/items/payments/{payment['id']}", {"amount": "1.25"})
    try:
        worker.receipts.render_receipt(payment["id"])
        after = worker.directus.admin.call("GET", f"/items/payments/{payment['id']}")["receipt"]
        path = f"/items/documents?filter[file][_in]={before},{after}&sort=version"
        assert [row["version"] for row in worker.directus.admin.call("GET", path)] == [1, 2]
        assert "1.25" in pdf_text(worker, after)
    finally:
        worker.directus.admin.call("PATCH", f"/items/payments/{payment['id']}", {"amount": payment["amount"]})
    worker.receipts.render_receipt(payment["id"])
    assert worker.directus.admin.call("GET", f"/items/payments/{payment['id']}")["receipt"] == before


@dataclass
class Book:
    """An invoice of maria's kept by the invoice writer; the renderer gets the orders that this puts into its queue."""

    worker: Worker
    orders: FakeWorkQueue
    id: str = ""

    def kept(self) -> int:
        """Recompute, and render what is ordered for that; return how many orders there were."""
        self.orders.messages.clear()
        store = BillingStore(DirectusClient(self.worker.directus.url, ServiceToken(), http()))
        InvoiceWriter(
            store, FakeStripe(lambda: datetime.now(UTC)), self.orders, "test", lambda *_: None
        ).recompute(self.id)
        orders = [order for order in self.orders.messages if order["type"] == "invoice"]
        for order in orders:
            self.worker.render.render_invoice(str(order["invoice"]))
        return len(orders)

    def adds(self, collection: str, **columns: Any) -> None:
        """Maria's staff enter it."""
        row = {"invoice": self.id, **columns}
        self.worker.directus.as_("sofia").call("POST", f"/items/{collection}", row)

    def versions(self) -> list[tuple[str, str, int | None]]:
        """Title, file name and what it replaces of each, as maria sees them; she can read every one."""
        maria = self.worker.directus.as_("maria")
        path = f"/items/documents?filter[invoice][_eq]={self.id}&filter[type][_eq]=invoice&sort=version"
        found = []
        for row in maria.call("GET", path):
            file = maria.call("GET", f"/files/{row['file']}?fields=title,filename_download")
            assert file["title"] == row["title"]
            assert maria.answer("GET", f"/assets/{row['file']}")[0] == 200
            replaces = self.worker.directus.admin.call("GET", f"/items/documents/{row['id']}")["replaces"]
            found.append((row["title"], file["filename_download"], replaces))
        return found

    def newest_says(self) -> str:
        return pdf_text(self.worker, self.worker.documents(self.id)[-1]["file"])


@pytest.fixture
def book(worker: Worker) -> Book:
    """1,000.00 in one line, just sent and rendered."""
    admin = worker.directus.admin
    row = {
        "invoice_number": f"C-{uuid.uuid4().hex[:8]}", "currency": "USD", "tax_rate": "0", "status": "sent",
        "client": worker.directus.as_("maria").call("GET", "/items/clients?fields=id")[0]["id"], "language": "en-US",
        "line_items": {"create": [{"kind": "fee", "description": "Advice", "amount": "1000.00"}]},
    }  # fmt: skip
    found = Book(worker, FakeWorkQueue(), admin.call("POST", "/items/invoices", row)["id"])
    assert found.kept() == 1
    return found


def test_a_discount_makes_a_version_that_says_what_is_owed_and_what_it_replaces(
    worker: Worker, book: Book
) -> None:
    number = worker.invoice(book.id)["invoice_number"]
    assert book.versions() == [(f"Invoice {number}", f"{number}.pdf", None)]
    assert "Balancedue$1,000.00" in book.newest_says()

    book.adds(
        "payments",
        amount="600.00",
        currency="USD",
        method="check",
        status="succeeded",
        payment_date="2026-10-05",
    )
    assert book.kept() == 0, "a payment alone renders nothing"
    book.adds("line_items", kind="discount", description="Courtesy", amount="-100.00")
    assert book.kept() == 1
    invoice = worker.invoice(book.id)
    assert (Decimal(invoice["balance_due"]), invoice["pdf_status"]) == (Decimal("300.00"), "ready")
    page = book.newest_says()
    for said in ("Paymentreceived", "-$600.00", "Balancedue$300.00", "Correctedon", "replacesversion1"):
        assert said in page
    assert book.versions() == [
        (f"Invoice {number} (version 1, replaced)", f"{number}.pdf", None),
        (f"Invoice {number} (version 2)", f"{number}-version-2.pdf", 1),
    ]


def test_a_correction_drawn_again_is_the_same_whatever_was_paid_since(worker: Worker, book: Book) -> None:
    book.adds(
        "payments",
        amount="600.00",
        currency="USD",
        method="check",
        status="succeeded",
        payment_date="2026-10-05",
    )
    book.adds("line_items", kind="discount", description="Courtesy", amount="-100.00")
    book.adds(
        "payments",
        amount="50.00",
        currency="USD",
        method="cash",
        status="succeeded",
        payment_date="2026-10-01",
    )
    book.kept()
    before, titles = worker.documents(book.id), book.versions()
    assert "Balancedue$300.00" in book.newest_says()
    book.kept()
    worker.render.render_invoice(book.id, force=True)
    assert (worker.documents(book.id), book.versions()) == (before, titles)

    book.adds("line_items", kind="discount", description="Again", amount="-25.50")
    book.kept()
    page = book.newest_says()
    assert "Balancedue$224.50" in page
    assert "replacesversion2" in page
    assert Decimal(worker.invoice(book.id)["balance_due"]) == Decimal("224.50")
    assert [title.partition(" (")[2] for title, _, _ in book.versions()] == [
        "version 1, replaced)", "version 2, replaced)", "version 3)",
    ]  # fmt: skip


def pdf_text(worker: Worker, file: str) -> str:
    """Return what the file says, without spaces."""
    pdf = (worker.store.directory / f"{file}.pdf").read_bytes()
    return "".join("".join(page.extract_text().split()) for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
