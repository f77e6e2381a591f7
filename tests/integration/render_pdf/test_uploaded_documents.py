"""Documents where the bucket is not Directus's: uploaded through `/files` to the real Directus with local storage."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from billing.directus.assets import DirectusAssets
from billing.directus.client import DirectusClient
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import UploadedFiles
from billing.documents.invoice import DocumentIdentity
from billing.documents.rendered import MAX_DOCUMENT_BYTES
from billing.documents.store import DocumentRecords
from billing.documents.versions import PlannedDocument, next_version
from billing.errors import DirectusRejected, Unprocessable, UpstreamUnavailable
from local.seed import seed_id
from tests.fakes.documents import Crash
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus, another, running

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 300
OTHER = PDF + b"drawn again"


class ServiceToken:
    """The service user's token, which nobody rotates here."""

    def current(self) -> str:
        return SERVICE_TOKEN

    refresh = current


@dataclass
class Cloud:
    """A Directus that shares no bucket with us."""

    directus: RunningDirectus
    client: DirectusClient
    files: UploadedFiles
    planned: PlannedDocument

    @property
    def file(self) -> str:
        return self.planned.identity.file_id

    @property
    def stored(self) -> list[Path]:
        """What Directus keeps of it on disk."""
        return sorted((self.directus.directory / "uploads").glob(f"*{self.file}*"))

    def row(self) -> dict[str, Any]:
        found: dict[str, Any] = self.directus.admin.call("GET", f"/files/{self.file}")
        return found

    def deliver(self, content: bytes = PDF, *, force: bool = False) -> None:
        """As the worker does."""
        itself = self.planned.identity.document_id
        documents = self.files.records.documents_like(self.planned)
        existing = next((row for row in documents if row.id == itself), None)
        planned = replace(self.planned, version=next_version(documents))
        delivery = DocumentDelivery(self.files.records, self.files)
        delivery.deliver(planned, existing, lambda: Rendered(content), force=force)

    def is_whole(self, content: bytes = PDF) -> None:
        """One file row, one documents row, one file with these bytes."""
        assert [path.read_bytes() for path in self.stored] == [content]
        assert int(self.row()["filesize"]) == len(content)
        path = f"/items/documents?filter[file][_eq]={self.file}"
        (document,) = self.directus.admin.call("GET", path)
        assert document["sha256"] == hashlib.sha256(content).hexdigest()
        assert document["id"] == self.planned.identity.document_id
        assert document["visible_to_client"]


@dataclass
class Rendered:
    """A drawn document."""

    content: bytes
    missing_glyphs: int = 0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@pytest.fixture(params=["sqlite", "postgresql"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    directus = running(request.param)
    pooled = http()
    client = DirectusClient(directus.url, ServiceToken(), pooled, sleep=lambda _: None)
    assets = DirectusAssets(directus.url, ServiceToken(), pooled, maximum_bytes=MAX_DOCUMENT_BYTES)
    invoice = directus.admin.call(
        "GET", "/items/invoices?filter[sent_at][_nnull]=true&filter[status][_neq]=void&limit=1&sort=id"
    )[0]
    name = request.node.name
    planned = PlannedDocument(
        identity=DocumentIdentity("hash", seed_id("file", name), seed_id("document", name)),
        type="other",
        client=invoice["client"],
        invoice=invoice["id"],
        title=f"Rechnung Nº 7 für “Zoë” \\ {name}",
        name=f"N/7 {name[:20]}",
        version=1,
        printed_payments=(),
    )
    files = UploadedFiles(DocumentRecords(client), client, assets)
    return Cloud(directus, client, files, planned)


def test_an_upload_has_our_ids_our_names_and_directus_own_storage(cloud: Cloud) -> None:
    cloud.deliver()
    row = cloud.row()
    assert (row["title"], row["type"]) == (cloud.planned.title, "application/pdf")
    assert row["filename_disk"] == f"{cloud.file}.pdf"
    assert row["filename_download"] == cloud.planned.file_row("", 0)["filename_download"]
    assert row["storage"] == "local"
    assert row["uploaded_by"] is not None
    cloud.is_whole()


def test_a_replayed_message_uploads_nothing(cloud: Cloud) -> None:
    cloud.deliver()
    before = (cloud.row(), cloud.stored[0].stat().st_mtime_ns)
    cloud.deliver()
    assert (cloud.row(), cloud.stored[0].stat().st_mtime_ns) == before


def test_an_id_that_is_there_is_refused_and_nothing_of_it_changes(cloud: Cloud) -> None:
    cloud.deliver()
    before = cloud.row()
    fields = {
        "id": cloud.file,
        "filename_disk": f"{cloud.file}.pdf",
        "filename_download": "x.pdf",
        "title": "x",
    }
    for names in (fields, {name: fields[name] for name in ("id", "filename_download", "title")}):
        with pytest.raises(DirectusRejected):
            cloud.client.upload("POST", "/files", fields=names, content=OTHER, content_type="application/pdf")
    assert cloud.row() == before
    cloud.is_whole()


def test_force_puts_other_bytes_in_their_place(cloud: Cloud) -> None:
    cloud.deliver()
    cloud.deliver(OTHER, force=True)
    cloud.is_whole(OTHER)


def test_force_leaves_the_same_bytes_where_they_are(cloud: Cloud) -> None:
    """While Directus replaces bytes nobody can read them."""
    cloud.deliver()
    before = (cloud.row(), cloud.stored[0].stat().st_mtime_ns)
    cloud.deliver(force=True)
    assert (cloud.row(), cloud.stored[0].stat().st_mtime_ns) == before
    cloud.is_whole()


@pytest.mark.parametrize("effect", ["POST documents", "POST /files", "PATCH documents"])
def test_a_crash_in_the_middle_is_continued_and_nothing_half_is_seen(cloud: Cloud, effect: str) -> None:
    client = Dying(cloud.client, effect)
    records = DocumentRecords(client)
    dying = replace(cloud, files=replace(cloud.files, uploads=client, records=records))
    with pytest.raises(Crash):
        dying.deliver()
    path = f"/items/documents/{cloud.planned.identity.document_id}"
    document = cloud.directus.admin.call("GET", path)
    is_shown = effect == "PATCH documents"
    seen = (document["visible_to_client"], document["file"], document["version"] is not None)
    assert seen == ((True, cloud.file, True) if is_shown else (False, None, False))
    cloud.deliver()
    cloud.is_whole()


@dataclass
class Dying:
    """The worker dies right after one effect, which arrives and is not answered."""

    client: DirectusClient
    effect: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create(self, collection: str, payload: Mapping[str, object]) -> Any:
        return self._after(self.client.create(collection, payload), f"POST {collection}")

    def update(self, collection: str, key: str, payload: Mapping[str, object]) -> Any:
        return self._after(self.client.update(collection, key, payload), f"PATCH {collection}")

    def upload(self, method: str, path: str, **given: Any) -> Any:
        return self._after(self.client.upload(method, path, **given), f"{method} {path}")

    def _after(self, answer: Any, effect: str) -> Any:
        if effect == self.effect:
            raise Crash(effect)
        return answer


def lose_the_bytes(cloud: Cloud) -> None:
    for path in cloud.stored:
        path.unlink()


def cut_the_bytes(cloud: Cloud) -> None:
    cloud.stored[0].write_bytes(PDF[:100])


def lose_the_file(cloud: Cloud) -> None:
    cloud.directus.admin.call("DELETE", f"/files/{cloud.file}")


@pytest.mark.parametrize("lose", [lose_the_bytes, lose_the_file])
def test_what_is_lost_is_uploaded_again(cloud: Cloud, lose: Callable[[Cloud], None]) -> None:
    cloud.deliver()
    lose(cloud)
    (cloud.directus.admin.call("DELETE", f"/items/documents/{cloud.planned.identity.document_id}"))
    cloud.deliver()
    cloud.is_whole()


def test_a_directus_that_takes_no_file_so_long_says_so_and_nothing_waits_for_it(cloud: Cloud) -> None:
    """As a new file, and in the place of one that is there, which stays as it was."""
    short = b"%PDF short"
    with another(cloud.directus, {"FILES_MAX_UPLOAD_SIZE": "10kb"}) as small:
        client = DirectusClient(small.url, ServiceToken(), http(), sleep=lambda _: None)
        narrow = replace(cloud, files=replace(cloud.files, uploads=client))
        for _ in range(2):
            with pytest.raises(Unprocessable) as refusal:
                narrow.deliver()
            assert refusal.value.code == "upload_refused"
            # Directus removes what it has read by then as whoever sent it, and the functions may delete nothing.
            assert len(cloud.stored[0].read_bytes()) == 10_240
            named = f"/items/documents?filter[file][_eq]={cloud.file}"
            assert cloud.directus.admin.call("GET", named) == []
        narrow.deliver(short)
        cloud.is_whole(short)
        with pytest.raises(Unprocessable):
            narrow.deliver(force=True)
        cloud.is_whole(short)
    cloud.deliver(force=True)
    cloud.is_whole()


def test_another_file_in_its_place_that_is_too_long_to_be_read_gives_way(cloud: Cloud) -> None:
    cloud.deliver()
    cloud.stored[0].write_bytes(bytes(2 * len(PDF)))
    most = DirectusAssets(cloud.directus.url, ServiceToken(), http(), maximum_bytes=len(PDF))
    narrow = replace(cloud, files=replace(cloud.files, assets=most))
    assert narrow.files.find(cloud.file) is None
    narrow.deliver()
    cloud.is_whole()


def test_bytes_that_were_cut_off_are_no_document(cloud: Cloud) -> None:
    cloud.deliver()
    (document,) = [row for row in cloud.files.records.documents_like(cloud.planned) if row.file == cloud.file]
    delivery = DocumentDelivery(cloud.files.records, cloud.files)
    assert delivery.is_whole(document)
    cut_the_bytes(cloud)
    assert not delivery.is_whole(document)
    cloud.deliver()
    cloud.is_whole()


def test_an_upload_that_directus_was_killed_in_leaves_a_row_that_is_filled(cloud: Cloud) -> None:
    """Directus writes the row first: this is what it leaves, as the service user would have made it."""
    row = {
        "id": cloud.file, "storage": "local", "type": "application/pdf", "title": "begun",
        "filename_disk": f"{cloud.file}.pdf", "filename_download": "begun.pdf",
    }  # fmt: skip
    cloud.directus.service.call("POST", "/files", row)
    assert cloud.files.find(cloud.file) is None
    cloud.deliver()
    cloud.is_whole()
    assert cloud.row()["title"] == cloud.planned.title


def test_two_workers_at_once_upload_it_once(cloud: Cloud) -> None:
    """The second one does everything between the first one's look and its upload."""
    other = cloud.files

    class Late:
        def upload(self, method: str, path: str, **given: Any) -> Any:
            other.write(cloud.planned, PDF, hashlib.sha256(PDF).hexdigest())
            return cloud.client.upload(method, path, **given)

    replace(cloud, files=replace(other, uploads=Late())).deliver()
    cloud.is_whole()
    late = replace(other, uploads=Late())
    lose_the_file(cloud)
    with pytest.raises(UpstreamUnavailable):
        late.write(cloud.planned, OTHER, hashlib.sha256(OTHER).hexdigest())


def test_a_file_of_somebody_else_is_never_written_over(cloud: Cloud) -> None:
    row = {
        "id": cloud.file, "storage": "local", "type": "text/plain", "title": "staff's", "filename_disk": f"{cloud.file}.txt",
        "filename_download": "staff.txt",
    }  # fmt: skip
    cloud.directus.admin.call("POST", "/files", row)
    with pytest.raises(DirectusRejected):
        cloud.deliver()
    assert cloud.row()["title"] == "staff's"
