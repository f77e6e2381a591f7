"""Documents whose bytes Directus does not take, or has as no document can be: uploaded, with small limits."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from billing.directus.assets import DirectusAssets
from billing.directus.client import http_client
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import UploadedFiles
from billing.documents.render import RenderDocument
from billing.documents.store import DirectusDocumentRecords
from billing.errors import DirectusRejected
from tests.fakes.documents import Crash, FakeDirectus
from tests.fakes.firm_rows import INVOICE, line
from tests.unit.documents.office import Office, office

#: What may be read back, in bytes; the fake renderer's documents have about 30.
MOST = 100
REFUSED = "Directus does not take the document: its file has"


class Token:
    """Never rotated."""

    def current(self) -> str:
        return "token"

    refresh = current


@dataclass
class Disk:
    """Directus's `/files` and `/assets`. `takes` is `FILES_MAX_UPLOAD_SIZE` in bytes.

    Of a new file that is longer it keeps the row and what it has read by then, because the functions may delete neither;
    `removes` is a Directus where they may.
    """

    directus: FakeDirectus
    takes: int = MOST
    removes: bool = False
    contents: dict[str, bytes] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)

    def upload(
        self, method: str, path: str, *, fields: Mapping[str, str], content: bytes, content_type: str
    ) -> None:
        self.sent.append((method, len(content)))
        rows = self.directus.collections.setdefault("directus_files", {})
        key = fields["id"] if method == "POST" else path.removeprefix("/files/")
        row = {**fields, "id": key, "type": content_type, "filesize": len(content)}
        if len(content) > self.takes:
            if method == "POST" and not self.removes:
                rows[key], self.contents[key] = row, content[: self.takes]
            message = f"Directus answered 413 CONTENT_TOO_LARGE to {method} {path}."
            raise DirectusRejected(message, directus_code="CONTENT_TOO_LARGE")
        rows[key], self.contents[key] = row, content

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.headers["Authorization"]) == ("GET", "Bearer token")
        content = self.contents.get(request.url.path.rpartition("/")[2])
        if content is None:
            return httpx.Response(403, json={"errors": [{"extensions": {"code": "FORBIDDEN"}}]})
        return httpx.Response(200, content=content)


def uploading(firm: Office, disk: Disk) -> RenderDocument:
    """The office's renderer where the bucket is not shared with Directus."""
    records = DirectusDocumentRecords(firm.directus)
    http = http_client(transport=httpx.MockTransport(disk.answer))
    assets = DirectusAssets("https://d.example", Token(), http, maximum_bytes=MOST)
    delivery = DocumentDelivery(records, UploadedFiles(records, disk, assets), firm.unfinished)
    return RenderDocument(records, delivery, firm.renderer, firm.files, firm.files, firm.queue)


def shorten(firm: Office) -> None:
    """Another content, and so other ids."""
    firm.directus.collections["line_items"]["d"] = line("d", kind="discount", amount="-100.00")
    firm.invoice.update(subtotal="900.00", tax="90.00", total="990.00")
    firm.renderer.ink = "black"


def test_another_file_that_is_too_long_to_be_read_gives_way_to_the_document() -> None:
    firm = office()
    disk = Disk(firm.directus)
    render = uploading(firm, disk)
    render.render_invoice(INVOICE)
    ((file, content),) = disk.contents.items()
    disk.contents[file] = bytes(MOST + 1)
    render.render_invoice(INVOICE)
    assert disk.contents == {file: content}
    assert [method for method, _ in disk.sent] == ["POST", "PATCH"]
    assert (firm.invoice["pdf_status"], len(firm.documents)) == ("ready", 1)


@pytest.mark.parametrize("removes", [False, True])
def test_a_document_that_directus_takes_no_file_of_is_said_on_its_invoice(*, removes: bool) -> None:
    firm = office()
    disk = Disk(firm.directus, takes=10, removes=removes)
    render = uploading(firm, disk)
    for _ in range(2):
        firm.invoice.update(pdf_status="pending", pdf_error=None)
        render.render_invoice(INVOICE)
        assert firm.invoice["pdf_status"] == "failed"
        assert firm.invoice["pdf_error"].startswith(REFUSED)
        assert "FILES_MAX_UPLOAD_SIZE" in firm.invoice["pdf_error"]
        assert (firm.documents, firm.unfinished.objects) == ([], {})
    disk.takes = MOST
    render.render_invoice(INVOICE)
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    ((file, content),) = disk.contents.items()
    (document,) = firm.documents
    assert (document["file"], document["sha256"]) == (file, hashlib.sha256(content).hexdigest())
    assert content.endswith(b"black")


def test_one_that_was_left_behind_and_is_not_taken_holds_up_no_other() -> None:
    firm = office()
    firm.renderer.ink = "ink " * 10
    disk = Disk(firm.directus)
    firm.directus.effects.die_after = "keep unfinished"
    with pytest.raises(Crash):
        uploading(firm, disk).render_invoice(INVOICE)
    firm.directus.effects.die_after = None
    assert len(firm.unfinished.objects) == 1
    shorten(firm)
    disk.takes = 50
    uploading(firm, disk).render_invoice(INVOICE)
    assert [length > 50 for _, length in disk.sent] == [True, False]
    assert (firm.invoice["pdf_status"], firm.unfinished.objects) == ("ready", {})
    (document,) = firm.documents
    assert disk.contents[document["file"]].endswith(b"black")


def test_any_other_refusal_of_an_upload_stays_one_for_the_administrator() -> None:
    firm = office()

    class Forbidden(Disk):
        def upload(self, method: str, path: str, **_: Any) -> None:
            message = f"Directus answered 403 FORBIDDEN to {method} {path}."
            raise DirectusRejected(message, directus_code="FORBIDDEN")

    with pytest.raises(DirectusRejected):
        uploading(firm, Forbidden(firm.directus)).render_invoice(INVOICE)
    assert len(firm.unfinished.objects) == 1, "it waits for the permission"
