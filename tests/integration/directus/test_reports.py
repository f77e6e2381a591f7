"""Reports of reconciliation in the real Directus: the service user may store them, and who may read them."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from billing.aws.bucket import StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import DirectusClient
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import DocumentFiles, RegisteredFiles, UploadedFiles
from billing.documents.rendered import MAX_DOCUMENT_BYTES
from billing.documents.store import DocumentRecords
from billing.reconcile.publish import DirectusReports
from billing.reconcile.report import PrintableReport
from tests.fakes.directus import FixedToken
from tests.integration.connections import http
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, RunningDirectus

NOW = datetime.now(UTC)


class Bucket:
    """Directus's own storage directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find(self, key: str) -> StoredObject | None:
        path = self.directory / key
        if not path.is_file():
            return None
        content = path.read_bytes()
        return StoredObject(key, len(content), hashlib.sha256(content).hexdigest())

    def put(self, key: str, content: bytes, sha256: str) -> StoredObject:
        (self.directory / key).write_bytes(content)
        return StoredObject(key, len(content), sha256)


def reports(directus: RunningDirectus, *, upload: bool = False) -> DirectusReports:
    """As the deployment parameter `DocumentDelivery` has it."""
    pooled = http()
    client = DirectusClient(directus.url, FixedToken(SERVICE_TOKEN), pooled)
    records = DocumentRecords(client)
    bucket = Bucket(directus.directory / "uploads")
    files: DocumentFiles = RegisteredFiles(records, bucket, "local", ending="html")
    if upload:
        files = UploadedFiles(
            records,
            client,
            DirectusAssets(directus.url, FixedToken(SERVICE_TOKEN), pooled, maximum_bytes=MAX_DOCUMENT_BYTES),
        )
    delivery = DocumentDelivery(records, files)
    return DirectusReports(client, delivery, deployment="test", data_studio=directus.url)


def report() -> PrintableReport:
    """Differences that no other test has."""
    difference = {
        "kind": "payment_unapplied",
        "payment": str(uuid.uuid4()),
        "detail": "USD 20.00 of Jürgen <b>",
    }
    return PrintableReport(NOW, NOW - timedelta(days=3), {"sessions": 1}, [], [difference])


def opened(directus: RunningDirectus, file: str, person: str) -> httpx.Response:
    tokens = {"administrator": ADMIN_TOKEN, "service": SERVICE_TOKEN, **directus.tokens}
    headers = {"Authorization": f"Bearer {tokens[person]}"} if person in tokens else {}
    return httpx.get(f"{directus.url}/assets/{file}", headers=headers, trust_env=False)


@pytest.mark.parametrize("upload", [False, True])
def test_the_service_user_stores_a_report_once(directus: RunningDirectus, *, upload: bool) -> None:
    found = report()
    document = reports(directus, upload=upload).publish(found)
    assert document is not None
    later = PrintableReport(NOW + timedelta(hours=1), NOW, {}, [], found.differences)
    assert reports(directus, upload=upload).publish(later) is None
    row = directus.admin.call("GET", f"/items/documents/{document}")
    assert (row["type"], row["client"], row["invoice"], row["visible_to_client"]) == (
        "report",
        None,
        None,
        False,
    )
    assert row["title"] == f"Reconciliation {NOW:%Y-%m-%d %H:%M} UTC"
    content = (directus.directory / "uploads" / f"{row['file']}.html").read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    file = directus.admin.call("GET", f"/files/{row['file']}")
    assert (file["type"], int(file["filesize"]), file["title"]) == ("text/html", len(content), row["title"])


def test_a_report_that_comes_again_after_another_one_is_the_newest_again(directus: RunningDirectus) -> None:
    first, second = report(), report()
    published = [reports(directus).publish(one) for one in (first, second, first)]
    assert None not in published
    assert len(set(published)) == 3
    assert reports(directus).publish(first) is None


@pytest.mark.parametrize("upload", [False, True])
def test_a_crash_between_file_and_document_is_continued(directus: RunningDirectus, *, upload: bool) -> None:
    found = report()
    document = reports(directus, upload=upload).publish(found)
    file = directus.admin.call("GET", f"/items/documents/{document}")["file"]
    directus.admin.call("DELETE", f"/items/documents/{document}")
    assert reports(directus, upload=upload).publish(found) == document
    assert directus.admin.call("GET", f"/items/documents/{document}")["file"] == file


@pytest.mark.parametrize("person", ["administrator", "ingrid"])
def test_who_sees_the_whole_firm_opens_a_report(directus: RunningDirectus, person: str) -> None:
    document = reports(directus).publish(report())
    assert document in directus.ids(person, "/items/documents")
    file = directus.admin.call("GET", f"/items/documents/{document}")["file"]
    answer = opened(directus, file, person)
    assert answer.status_code == 200
    page = (directus.directory / "uploads" / f"{file}.html").read_bytes()
    assert answer.content == page
    assert "Jürgen &lt;b&gt;".encode() in page
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'", "why the page needs no style"
    disposition = f'inline; filename="reconciliation-{NOW:%Y-%m-%d-%H%M}.html"'
    assert answer.headers["Content-Disposition"] == disposition


@pytest.mark.parametrize("person", ["sofia", "james", "maria", "juergen", "nobody"])
def test_nobody_else_sees_a_report(directus: RunningDirectus, person: str) -> None:
    document = reports(directus).publish(report())
    file = directus.admin.call("GET", f"/items/documents/{document}")["file"]
    assert opened(directus, file, person).status_code == 403
    assert opened(directus, file, "ingrid").status_code == 200, "the file is there"
    for path in (f"/items/documents/{document}", f"/files/{file}"):
        assert directus.as_(person).answer("GET", path)[0] == 403
    if person != "nobody":
        assert document not in directus.ids(person, "/items/documents")
        assert file not in directus.ids(person, "/files")
