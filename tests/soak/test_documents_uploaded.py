"""`DocumentDelivery=upload` (Directus Cloud) on the deployed stack: documents go through `/files`, once, whatever dies.

Directus keeps its files on its own disk and has never heard of a bucket. Every request of the functions to it passes a
gate, at which a worker is held to be killed between two effects, or to meet another one. `sh local/run_soak.sh
documents` runs this on SQLite and PostgreSQL; tests/integration/render_pdf/test_uploaded_documents.py has more cases of
the same, without the functions.
"""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.demo import steps
from local.demo.steps import Firm
from local.directus_server import OWN_STORAGE
from local.ports import HOST
from local.stack import DATABASES, Stack
from local.waiting import wait_for
from tests.soak import documents
from tests.soak.directus_gate import Gate
from tests.soak.outages import shorter_visibility

#: How long the message of a killed worker stays away.
HIDDEN_SECONDS = 12


@dataclass(frozen=True)
class Cloud:
    """A firm whose Directus shares no bucket with the functions."""

    stack: Stack
    firm: Firm
    gate: Gate

    @property
    def uploads(self) -> Path:
        """Where Directus keeps its files."""
        return self.stack.directory / "data/directus/uploads"

    def uploads_of(self, file: str) -> int:
        """How often the bytes of a file were sent again: its first upload names it in the form, others in their path."""
        return len(self.gate.requests("PATCH", f"/files/{file}"))

    def first_uploads(self) -> int:
        """How many first uploads Directus has taken."""
        return sum(one.status == 200 for one in self.gate.requests("POST", "/files"))


@pytest.fixture(scope="module", params=DATABASES)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    given = os.environ.get("BILLING_TEST_DIRECTORY")
    directory = (Path(given) if given else tmp_path_factory.mktemp("soak")) / f"stack-{request.param}"

    def directus() -> str:
        return f"http://{HOST}:{json.loads((directory / 'ports.json').read_text())['directus']}"

    with Gate(directus) as gate:
        parameters = {"DocumentDelivery": "upload", "DirectusUrl": gate.url}
        stack = Stack(directory, say=print, database=request.param, parameters=parameters)
        try:
            stack.up(fresh=True)
            firm = Firm(stack.description())
            with shorter_visibility(firm, HIDDEN_SECONDS, "render"):
                yield Cloud(stack, firm, gate)
        finally:
            stack.discard()


@pytest.fixture(autouse=True)
def in_the_end_all_is_whole(cloud: Cloud) -> Iterator[None]:
    """After every test: no second document, no orphan, no file without bytes, nothing in the bucket."""
    yield
    documents.wait_until_drawn(cloud.firm)
    documents.assert_all_are_whole_and_named(cloud.firm, storage=OWN_STORAGE, uploads=cloud.uploads)
    # An upload is a form; what registers an object of a bucket would be JSON.
    sent = [one for method in ("POST", "PATCH") for one in cloud.gate.requests(method, "/files")]
    assert sent
    assert {one.content_type.partition(";")[0] for one in sent} == {"multipart/form-data"}


# ---- invoices -----------------------------------------------------------------------------------------------


def test_an_invoice_sent_is_uploaded_and_its_client_alone_reads_it(cloud: Cloud) -> None:
    invoice = documents.sent(cloud.firm)
    document = documents.the_document_of(cloud.firm, invoice)
    documents.assert_only_its_client_reads(cloud.firm, document["file"], "invoice")
    number = cloud.firm.administrator.read("invoices", invoice)["invoice_number"]
    assert number in documents.text_of(cloud.firm.clients[0], document["file"])


def test_a_replayed_message_and_render_again_make_no_second_document(cloud: Cloud) -> None:
    firm = cloud.firm
    invoice = documents.sent(firm)
    document = documents.the_document_of(firm, invoice)
    before = cloud.first_uploads()

    documents.order_again(firm, invoice)
    documents.wait_until_drawn(firm)
    assert documents.the_document_of(firm, invoice) == document

    documents.render_again(firm, firm.staff[0], invoice)
    documents.wait_until_drawn(firm)
    assert documents.the_document_of(firm, invoice) == document
    assert (cloud.first_uploads(), cloud.uploads_of(document["file"])) == (before, 0)


def test_two_workers_at_once_make_one_document(cloud: Cloud) -> None:
    """Both have drawn it and upload it at the same moment, neither knowing of the other."""
    firm = cloud.firm
    invoice = documents.draft(firm)
    with cloud.gate.holding("POST", "/files", times=2) as held:
        firm.staff[0].update("invoices", invoice, {"status": "sent"})
        wait_for("the writer", lambda: firm.administrator.read("invoices", invoice)["sent_at"])
        documents.order_again(firm, invoice)
        held.wait()
        held.let_go()
        documents.wait_until_drawn(firm)
    documents.the_document_of(firm, invoice)
    assert firm.administrator.read("invoices", invoice)["pdf_status"] == "ready"


def test_two_who_render_again_at_once_leave_it_whole(cloud: Cloud) -> None:
    """Its bytes are gone from Directus's disk, and both put them back at the same moment."""
    firm = cloud.firm
    invoice = documents.sent(firm)
    document = documents.the_document_of(firm, invoice)
    (cloud.uploads / f"{document['file']}.pdf").unlink()
    with cloud.gate.holding("PATCH", f"/files/{document['file']}", times=2) as held:
        documents.order_again(firm, invoice, force=True, times=2)
        held.wait()
        held.let_go()
        documents.wait_until_drawn(firm)
    assert documents.the_document_of(firm, invoice) == document


KILLED = pytest.mark.parametrize(
    ("method", "path", "answered"),
    [
        ("POST", "/items/documents", True),
        ("POST", "/files", True),
        ("PATCH", "/items/documents/*", False),
        ("PATCH", "/items/documents/*", True),
    ],
    ids=["begun", "uploaded, not told", "uploaded, not shown", "shown, not told"],
)


@KILLED
def test_what_a_killed_worker_left_is_taken_up(cloud: Cloud, method: str, path: str, answered: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """The next run completes the same row; bytes that are in Directus it does not send again."""
    firm = cloud.firm
    invoice = documents.draft(firm)
    before = cloud.first_uploads()
    with cloud.gate.holding(method, path, answered=answered) as held:
        firm.staff[0].update("invoices", invoice, {"status": "sent"})
        held.wait()
        (begun,) = documents.rows_of(firm, invoice)
        documents.kill_the_renderers(cloud.stack)
        held.drop()
    documents.wait_until_drawn(firm)
    document = documents.the_document_of(firm, invoice)
    assert begun["id"] == document["id"]
    assert firm.administrator.read("invoices", invoice)["pdf_status"] == "ready"
    assert cloud.first_uploads() == before + 1
    assert cloud.uploads_of(document["file"]) == 0
    documents.assert_only_its_client_reads(firm, document["file"], "invoice")


def test_what_was_begun_before_the_invoice_changed_is_seen_by_no_client_and_takes_no_version(
    cloud: Cloud,
) -> None:
    firm = cloud.firm
    invoice = documents.draft(firm, client_message="As agreed.")
    with cloud.gate.holding("PATCH", "/items/documents/*") as held:
        firm.staff[0].update("invoices", invoice, {"status": "sent"})
        held.wait()
        documents.kill_the_renderers(cloud.stack)
        firm.administrator.update("invoices", invoice, {"client_message": "As agreed on Monday."})
        held.drop()
    documents.wait_until_drawn(firm)
    document = documents.the_document_of(firm, invoice)
    assert "on Monday" in documents.text_of(firm.clients[0], document["file"])
    assert len(documents.rows_of(firm, invoice)) == 2
    assert [row["id"] for row in firm.clients[0].list("documents", {"invoice": {"_eq": invoice}})] == [
        document["id"]
    ]


# ---- receipts -----------------------------------------------------------------------------------------------


def test_a_receipt_is_uploaded_once_and_its_client_alone_reads_it(cloud: Cloud) -> None:
    firm = cloud.firm
    invoice = documents.sent(firm)
    payment = documents.pay_by_check(firm, invoice)
    file = documents.receipt_of(firm, payment)
    documents.wait_until_drawn(firm)
    receipt = documents.the_document_of(firm, invoice, "receipt")
    assert receipt["file"] == file
    documents.assert_only_its_client_reads(firm, file, "receipt")
    assert "150.00" in documents.text_of(firm.clients[0], file)
    before = cloud.first_uploads()

    for force in (False, True):
        documents.order_receipt_again(firm, payment, force=force)
        documents.wait_until_drawn(firm)
        assert documents.the_document_of(firm, invoice, "receipt") == receipt
    assert (cloud.first_uploads(), cloud.uploads_of(file)) == (before, 0)


def test_two_workers_at_once_make_one_receipt(cloud: Cloud) -> None:
    firm = cloud.firm
    invoice = documents.sent(firm)
    documents.wait_until_drawn(firm)
    with cloud.gate.holding("POST", "/files", times=2) as held:
        payment = documents.pay_by_check(firm, invoice)
        documents.order_receipt_again(firm, payment)
        held.wait()
        held.let_go()
        documents.wait_until_drawn(firm)
    receipt = documents.the_document_of(firm, invoice, "receipt")
    assert documents.receipt_of(firm, payment) == receipt["file"]


@KILLED
def test_a_receipt_that_a_killed_worker_left_is_taken_up(
    cloud: Cloud, method: str, path: str, answered: bool  # noqa: FBT001  # a parameter of the test
) -> None:  # fmt: skip
    firm = cloud.firm
    invoice = documents.sent(firm)
    documents.wait_until_drawn(firm)  # a second order for the invoice would be held instead of the receipt's
    before = cloud.first_uploads()
    with cloud.gate.holding(method, path, answered=answered) as held:
        payment = documents.pay_by_check(firm, invoice)
        held.wait()
        (begun,) = documents.rows_of(firm, invoice, "receipt")
        documents.kill_the_renderers(cloud.stack)
        held.drop()
    file = documents.receipt_of(firm, payment)
    documents.wait_until_drawn(firm)
    document = documents.the_document_of(firm, invoice, "receipt")
    assert (document["id"], document["file"]) == (begun["id"], file)
    assert cloud.first_uploads() == before + 1
    assert cloud.uploads_of(file) == 0
    documents.assert_only_its_client_reads(firm, file, "receipt")


# ---- the rest of the life of an invoice ---------------------------------------------------------------------


def test_a_document_lost_from_directus_is_put_back(cloud: Cloud) -> None:
    """Somebody deletes the file; *Render again* mends it under the same id."""
    firm = cloud.firm
    invoice = documents.sent(firm)
    document = documents.the_document_of(firm, invoice)
    assert firm.administrator.ask("DELETE", f"/files/{document['file']}").status == 204
    documents.render_again(firm, firm.staff[0], invoice)
    documents.wait_until_drawn(firm)
    row = steps.wait_for_invoice(firm, invoice, lambda row: row["pdf_status"] == "ready")
    assert row["pdf_error"] is None
    mended = documents.the_document_of(firm, invoice)
    assert (mended["id"], mended["file"]) == (document["id"], document["file"])


def test_a_report_of_reconcile_is_uploaded_and_no_client_reads_it(cloud: Cloud) -> None:
    """Money that Stripe does not know; the next hour has the same to say and makes no second report."""
    firm = cloud.firm
    invoice = documents.sent(firm)
    row = {
        "invoice": invoice,
        "client": firm.client_of(0),
        "amount": "10.00",
        "currency": "USD",
        "method": "card",
    }
    unknown = {**row, "status": "succeeded", "transaction_id": f"pi_{uuid.uuid4().hex}"}
    firm.administrator.create("payments", unknown)
    documents.wait_until_drawn(firm)
    for _ in range(2):
        answer = firm.invoke("reconcile", {})
        assert "payment_unknown_to_stripe" in {entry["kind"] for entry in answer["differences"]}
        documents.wait_until_drawn(firm)
    (report,) = firm.administrator.list("documents", {"type": {"_eq": "report"}})
    page = firm.administrator.ask("GET", f"/assets/{report['file']}")
    assert page.headers["content-type"].startswith("text/html")
    assert unknown["transaction_id"] in page.body.decode()
    for person in (*firm.clients, firm.anonymous):
        for path in (
            f"/assets/{report['file']}",
            f"/files/{report['file']}",
            f"/items/documents/{report['id']}",
        ):
            assert person.ask("GET", path).status in {401, 403}
