"""Versions and withdrawn receipts on the real Directus: what its unique column and its permissions make of them.

Nothing is drawn here: the renderer writes a line of text.
"""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from billing.aws.bucket import StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import DirectusClient
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import RegisteredFiles
from billing.documents.invoice import MAX_LOGO_BYTES, content_identity
from billing.documents.render_receipt import RenderReceipt
from billing.documents.rendered import RenderedPdf
from billing.documents.store import DocumentRecords
from billing.documents.versions import PlannedDocument
from tests.fakes.directus import FixedToken
from tests.fakes.documents import FakeRenderer
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus, code_of, running

WORKERS = 3


@dataclass
class Uploads:
    """Directus's own storage directory as the bucket."""

    directory: Path
    sha256: dict[str, str] = field(default_factory=dict)

    def find(self, key: str) -> StoredObject | None:
        path = self.directory / key
        return StoredObject(key, path.stat().st_size, self.sha256[key]) if path.is_file() else None

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        (self.directory / key).write_bytes(content)
        self.sha256[key] = sha256
        return StoredObject(key, len(content), sha256)


@dataclass
class Office:
    """The renderer's use cases on one running Directus; every worker has its own connection."""

    directus: RunningDirectus
    store: Uploads

    def records(self) -> DocumentRecords:
        client = DirectusClient(self.directus.url, FixedToken(SERVICE_TOKEN), http())
        return DocumentRecords(client)

    def delivery(self, records: DocumentRecords) -> DocumentDelivery:
        files = RegisteredFiles(records, self.store, "local")
        return DocumentDelivery(records, files)

    def render_receipt(self, payment: str) -> None:
        records = self.records()
        logos = DirectusAssets(
            self.directus.url, FixedToken(SERVICE_TOKEN), http(), maximum_bytes=MAX_LOGO_BYTES
        )
        RenderReceipt(records, self.delivery(records), FakeRenderer(), logos).render_receipt(payment)

    def documents(self, **link: str) -> list[dict[str, Any]]:
        ((name, key),) = link.items()
        return self.directus.admin.rows("/items/documents", filter={name: {"_eq": key}}, sort="version")

    def row(self, payment: str) -> dict[str, Any]:
        found: dict[str, Any] = self.directus.admin.call("GET", f"/items/payments/{payment}")
        return found


@pytest.fixture
def office(directus: RunningDirectus) -> Office:
    return Office(directus, Uploads(directus.directory / "uploads"))


def sent_invoice(office: Office) -> dict[str, Any]:
    """An invoice of maria's that other tests do not use."""
    path = "/items/clients?fields=id"
    row = {
        "client": office.directus.as_("maria").call("GET", path)[0]["id"],
        "invoice_number": f"V-{uuid.uuid4().hex[:12]}",
        "currency": "USD",
        "status": "sent",
        "sent_at": "2026-10-01T12:00:00Z",
    }
    found: dict[str, Any] = office.directus.admin.call("POST", "/items/invoices", row)
    return found


def planned(invoice: dict[str, Any], content: str) -> PlannedDocument:
    """The first version, as every worker sees it before a document exists."""
    return PlannedDocument(
        identity=content_identity("invoice", invoice["id"], {"content": content}),
        type="invoice",
        client=invoice["client"],
        invoice=invoice["id"],
        title=content,
        name=content,
        version=1,
        printed_payments=(),
    )


def test_workers_with_different_contents_at_one_instant_make_one_version_each(office: Office) -> None:
    invoice = sent_invoice(office)
    together = threading.Barrier(WORKERS)

    def deliver(number: int) -> bool:
        def draw() -> RenderedPdf:
            together.wait(30)
            return RenderedPdf(f"%PDF {number}".encode())

        document = planned(invoice, f"content {number}")
        return office.delivery(office.records()).deliver(document, None, draw, force=False)

    with ThreadPoolExecutor(WORKERS) as workers:
        are_first = list(workers.map(deliver, range(WORKERS)))
    found = office.documents(invoice=invoice["id"])
    assert [document["version"] for document in found] == [1, 2, 3]
    assert len({document["content_hash"] for document in found}) == WORKERS
    assert sorted(are_first) == [False, False, True]


def test_directus_itself_lets_a_version_be_there_once(office: Office) -> None:
    invoice = sent_invoice(office)
    one, two = planned(invoice, "one"), planned(invoice, "two")
    for each in (one, one, two):
        office.records().create_document(each.begun_row())
    key = {"version": 1, "version_key": one.version_key}
    office.records().update_document(one.identity.document_id, key)
    path = f"/items/documents/{two.identity.document_id}"
    status, answer = office.directus.service.answer("PATCH", path, key)
    assert (status, code_of(answer)) == (400, "RECORD_NOT_UNIQUE")
    assert answer["errors"][0]["extensions"]["field"] == "version_key"
    for _ in range(2):  # documents that people enter have no such key, so any number is allowed
        own = {"client": invoice["client"], "invoice": invoice["id"], "type": "invoice", "title": "Scan"}
        office.directus.as_("sofia").call("POST", "/items/documents", own)


def test_a_moved_payments_receipt_is_hidden_from_its_client_until_it_comes_back() -> None:
    directus = running("sqlite")
    office = Office(directus, Uploads(directus.directory / "uploads"))
    first, second = sent_invoice(office), sent_invoice(office)
    maria, admin = office.directus.as_("maria"), office.directus.admin
    row = {
        "invoice": first["id"], "client": first["client"], "amount": "40.00", "currency": "USD", "method": "cash",
        "status": "succeeded", "payment_date": "2026-10-05",
    }  # fmt: skip
    payment = admin.call("POST", "/items/payments", row)["id"]

    def seen() -> list[tuple[str, int]]:
        """The receipts that maria sees, each with her answer at its file's door."""
        return [
            (document["invoice"], maria.answer("GET", f"/assets/{document['file']}")[0])
            for document in maria.rows("/items/documents", filter={"type": {"_eq": "receipt"}})
            if document["invoice"] in {first["id"], second["id"]}
        ]

    office.render_receipt(payment)
    assert seen() == [(first["id"], 200)]
    old = office.row(payment)["receipt"]
    admin.call("PATCH", f"/items/payments/{payment}", {"invoice": second["id"]})
    office.render_receipt(payment)
    assert seen() == [(second["id"], 200)]
    assert maria.answer("GET", f"/assets/{old}")[0] == 403
    withdrawn, current = office.documents(payment=payment)
    assert (withdrawn["file"], bool(withdrawn["withdrawn_at"]), current["version"]) == (old, True, 2)
    admin.call("PATCH", f"/items/payments/{payment}", {"invoice": None, "client": None})
    office.render_receipt(payment)
    assert seen() == []
    assert (office.row(payment)["receipt"], office.row(payment)["receipt_says"]) == (None, None)
    admin.call("PATCH", f"/items/payments/{payment}", {"invoice": first["id"], "client": first["client"]})
    office.render_receipt(payment)
    assert seen() == [(first["id"], 200)]
    assert [document["version"] for document in office.documents(payment=payment)] == [2, 3]
    assert office.row(payment)["receipt"] == old
