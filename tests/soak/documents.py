"""What people see of documents on a deployed stack, and what must hold for all of them whatever has happened."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pypdf

from local.demo import steps
from local.waiting import wait_for
from tests.soak.outages import workers

if TYPE_CHECKING:
    from pathlib import Path

    from local.demo.people import Person
    from local.demo.steps import Firm
    from local.stack import Stack

RENDERER = "render_pdf_worker"
#: What the functions make.
MEDIA_TYPES = {"invoice": "application/pdf", "receipt": "application/pdf", "report": "text/html"}
SUFFIXES = {"application/pdf": ".pdf", "text/html": ".html"}


# ---- orders -------------------------------------------------------------------------------------------------


def draft(firm: Firm, **columns: object) -> str:
    """A lawyer writes an invoice for client 1; its id."""
    lines = [steps.fee("Advice", "1.00", "400.00", "400.00")]
    client = firm.client_of(0)
    return str(steps.draft_invoice(firm, firm.staff[0], client, lines, tax_rate="0", **columns)["id"])


def sent(firm: Firm) -> str:
    """An invoice that was sent and whose document is there."""
    invoice = draft(firm)
    row = steps.send_invoice(firm, firm.staff[0], invoice)
    assert (row["pdf_status"], row["pdf_error"]) == ("ready", None)
    return invoice


def pay_by_check(firm: Firm, invoice: str, amount: str = "150.00") -> str:
    """A lawyer enters a check; the payment's id."""
    row = {"invoice": invoice, "amount": amount, "method": "check", "status": "succeeded"}
    return str(firm.staff[0].create("payments", row)["id"])


def order_again(firm: Firm, invoice: str, *, force: bool = False, times: int = 1) -> None:
    """As SQS does when it delivers a message once more; `times` at the same moment."""
    _queue(firm, {"type": "invoice", "invoice": invoice, "force": force}, times)


def order_receipt_again(firm: Firm, payment: str, *, force: bool = False, times: int = 1) -> None:
    """As SQS does when it delivers a message once more; `times` at the same moment."""
    _queue(firm, {"type": "receipt", "payment": payment, "force": force}, times)


def render_again(firm: Firm, person: Person, invoice: str) -> None:
    """Press the button in the Data Studio."""
    body = {"collection": "invoices", "keys": [invoice]}
    answer = person.ask("POST", f"/flows/trigger/{firm.flow('render_again')}", body)
    assert answer.status == 200, answer.body


def _queue(firm: Firm, message: dict[str, object], times: int) -> None:
    for _ in range(times):
        firm.aws("sqs").send_message(
            QueueUrl=firm.description["aws"]["queues"]["render"], MessageBody=json.dumps(message)
        )


def wait_until_drawn(firm: Firm) -> None:
    """Wait until nobody draws, nothing is to be drawn or booked (which orders drawings), and nothing was given up."""
    wait_for(
        "the writer's queue to be empty",
        lambda: steps.is_empty(firm, "stripe_events"),
        seconds=180,
        pause=0.2,
    )
    wait_for("the render queue to be empty", lambda: steps.is_empty(firm, "render"), seconds=180, pause=0.2)
    assert steps.is_empty(firm, "render_dlq")


def kill_the_renderers(stack: Stack) -> None:
    """SIGKILL; the emulator starts others for the next message."""
    victims = workers(stack, RENDERER)
    assert victims, "no renderer runs"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


# ---- what there is ------------------------------------------------------------------------------------------


def documents_of(firm: Firm, invoice: str, document_type: str = "invoice") -> list[dict[str, Any]]:
    """Every document of one type of the invoice that was shown, oldest version first."""
    rows = rows_of(firm, invoice, document_type)
    return sorted((row for row in rows if row["sha256"]), key=lambda row: int(row["version"]))


def rows_of(firm: Firm, invoice: str, document_type: str = "invoice") -> list[dict[str, Any]]:
    """Those that are begun included."""
    where = {"invoice": {"_eq": invoice}, "type": {"_eq": document_type}}
    return list(firm.administrator.list("documents", where))


def the_document_of(firm: Firm, invoice: str, document_type: str = "invoice") -> dict[str, Any]:
    """The only one, whole, and the first version."""
    (document,) = documents_of(firm, invoice, document_type)
    assert document["version"] == 1
    assert_whole(firm, document)
    return document


def receipt_of(firm: Firm, payment: str) -> str:
    """The file that the payment names as its receipt, as its client sees it."""
    return str(
        wait_for(
            "the receipt",
            lambda: firm.clients[0].read("payments", payment, "receipt")["receipt"],
            seconds=120,
        )
    )


def assert_whole(firm: Firm, document: dict[str, Any]) -> None:
    """The bytes are those that the row says, the file's row says how many."""
    answer = firm.administrator.ask("GET", f"/assets/{document['file']}")
    assert answer.status == 200, answer.body[:200]
    assert hashlib.sha256(answer.body).hexdigest() == document["sha256"]
    file = firm.administrator.ask("GET", f"/files/{document['file']}").data
    assert int(file["filesize"]) == len(answer.body)
    assert file["type"] == MEDIA_TYPES[document["type"]]
    assert file["filename_disk"] == f"{document['file']}{SUFFIXES[file['type']]}"


def text_of(person: Person, file: str) -> str:
    """What somebody reads in a PDF."""
    answer = person.ask("GET", f"/assets/{file}")
    assert answer.status == 200, answer.body[:200]
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.body)).pages)


def assert_only_its_client_reads(firm: Firm, file: str, document_type: str) -> None:
    """Client 1 finds the file by its documents and gets it; another client and nobody get nothing."""
    of_file = {"file": {"_eq": file}}
    (seen,) = firm.clients[0].list("documents", of_file, "file,type")
    assert seen == {"file": file, "type": document_type}
    assert firm.clients[0].ask("GET", f"/assets/{file}").body.startswith(b"%PDF-")
    assert firm.clients[0].ask("GET", f"/files/{file}?fields=id").data == {"id": file}
    strangers = [
        person for number, person in enumerate(firm.clients) if firm.client_of(number) != firm.client_of(0)
    ]
    assert strangers
    for person in (*strangers, firm.anonymous):
        for path in (f"/assets/{file}", f"/assets/{file}?download", f"/files/{file}"):
            assert person.ask("GET", path).status in {401, 403}, path
    for person in strangers:
        assert person.list("documents", of_file) == []


# ---- what holds for all -------------------------------------------------------------------------------------


def objects(firm: Firm) -> set[str]:
    """Every key of the documents bucket."""
    pages = firm.aws("s3").get_paginator("list_objects_v2")
    bucket = firm.description["aws"]["documents_bucket"]
    return {entry["Key"] for page in pages.paginate(Bucket=bucket) for entry in page.get("Contents", [])}


def assert_all_are_whole_and_named(firm: Firm, *, storage: str, uploads: Path) -> None:
    """Each of the documents is whole, in Directus's own storage; each file that the functions made has one row.

    The bucket is empty, no content is there twice, and the disk has no file without a row. What is begun is hidden, and
    may have left the file that its hash names.
    """
    rows = firm.administrator.list("documents", {"type": {"_in": list(MEDIA_TYPES)}})
    documents, begun = [row for row in rows if row["sha256"]], [row for row in rows if not row["sha256"]]
    assert documents
    assert not [row for row in begun if row["visible_to_client"] or row["version"] or row["file"]]
    for document in documents:
        assert_whole(firm, document)
    contents = Counter((row["invoice"], row["type"], row["content_hash"]) for row in rows)
    assert set(contents.values()) == {1}
    files = firm.administrator.ask("GET", "/files?limit=-1&fields=id,storage,type,filename_disk").data
    assert {row["storage"] for row in files} == {storage}
    made = [row for row in files if row["type"] in SUFFIXES]
    left = {str(uuid5(UUID(row["invoice"]), f"{row['type']}:{row['content_hash']}")) for row in begun}
    assert sorted(row["id"] for row in made if row["id"] not in left) == sorted(
        row["file"] for row in documents
    )
    kept = {path.name for path in uploads.iterdir() if path.suffix in SUFFIXES.values()}
    assert kept == {row["filename_disk"] for row in made}
    assert not [path for path in uploads.iterdir() if path.name.startswith("temp_")]
    assert objects(firm) == set()
