"""Documents whose bytes Directus does not take, or has as no document can be: uploaded, with small limits."""

import hashlib
from typing import Any

import pytest

from billing.errors import DirectusRejected
from tests.fakes.documents import FakeDisk
from tests.fakes.firm_rows import INVOICE, line
from tests.unit.documents.office import Office, office

#: What may be read back, in bytes; the fake renderer's documents have about 30.
MOST = 100
REFUSED = "Directus does not take the document: its file has"


def uploading(**disk: Any) -> tuple[Office, FakeDisk]:
    """The office where the bucket is not shared with Directus."""
    firm = office()
    firm.disk = FakeDisk(firm.directus, firm.store, **disk)
    return firm, firm.disk


def shorten(firm: Office) -> None:
    """Another content, and so other ids."""
    firm.directus.collections["line_items"]["d"] = line("d", kind="discount", amount="-100.00")
    firm.invoice.update(subtotal="900.00", tax="90.00", total="990.00")
    firm.renderer.ink = "black"


def test_another_file_that_is_too_long_to_be_read_gives_way_to_the_document() -> None:
    firm, disk = uploading(takes=MOST)
    firm.render.render_invoice(INVOICE)
    ((key, content),) = firm.store.objects.items()
    firm.store.objects[key] = bytes(MOST + 1)
    firm.render.render_invoice(INVOICE)
    assert firm.store.objects == {key: content}
    assert [method for method, _ in disk.sent] == ["POST", "PATCH"]
    assert (firm.invoice["pdf_status"], len(firm.documents)) == ("ready", 1)


@pytest.mark.parametrize("removes", [False, True])
def test_a_document_that_directus_takes_no_file_of_is_said_on_its_invoice(*, removes: bool) -> None:
    firm, disk = uploading(takes=10, removes=removes)
    for _ in range(2):
        firm.invoice.update(pdf_status="pending", pdf_error=None)
        firm.render.render_invoice(INVOICE)
        assert firm.invoice["pdf_status"] == "failed"
        assert firm.invoice["pdf_error"].startswith(REFUSED)
        assert "FILES_MAX_UPLOAD_SIZE" in firm.invoice["pdf_error"]
        (document,) = firm.documents
        assert (document["visible_to_client"], document.get("version")) == (False, None)
    disk.takes = MOST
    firm.render.render_invoice(INVOICE)
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    ((key, content),) = firm.store.objects.items()
    (document,) = firm.documents
    assert (f"{document['file']}.pdf", document["sha256"]) == (key, hashlib.sha256(content).hexdigest())
    assert (document["visible_to_client"], document["version"]) == (True, 1)
    assert content.endswith(b"black")


def test_one_that_is_not_taken_holds_up_no_other() -> None:
    firm, disk = uploading(takes=50)
    firm.renderer.ink = "ink " * 10
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "failed"
    shorten(firm)
    firm.render.render_invoice(INVOICE)
    assert [length > 50 for _, length in disk.sent] == [True, False]
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    (document,) = [row for row in firm.documents if row["visible_to_client"]]
    assert document["version"] == 1
    assert firm.store.objects[f"{document['file']}.pdf"].endswith(b"black")


def test_any_other_refusal_of_an_upload_stays_one_for_the_administrator() -> None:
    firm = office()

    class Forbidden(FakeDisk):
        def upload(self, method: str, path: str, **_: Any) -> None:
            message = f"Directus answered 403 FORBIDDEN to {method} {path}."
            raise DirectusRejected(message, directus_code="FORBIDDEN")

    firm.disk = Forbidden(firm.directus, firm.store)
    with pytest.raises(DirectusRejected):
        firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "pending"
