"""A report becomes one document, however often it is published and wherever the process dies."""

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from billing.directus.rows import Row
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import RegisteredFiles
from billing.documents.store import DocumentRecords
from billing.errors import DirectusRejected
from billing.reconcile.publish import DirectusReports
from billing.reconcile.report import PrintableReport, identity_of, page_of
from tests.fakes.documents import Crash, Effects, FakeDirectus, FakeStore

NOW = datetime(2026, 3, 3, 12, 35, tzinfo=UTC)
MISSING = {"kind": "payment_missing", "detail": "USD 100.00 is missing."}
REPORT = PrintableReport(NOW, NOW - timedelta(days=3), {"sessions": 1}, [], [MISSING])
LATER = replace(REPORT, moment=NOW + timedelta(hours=1), checked={"sessions": 2})
EVERYTHING = ["create documents", "put object", "create directus_files", "update documents"]


@dataclass
class Documents(FakeDirectus):
    """Directus with the dates of its rows: each was created after those before it."""

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
        limit: int = -1,
    ) -> list[Row]:
        rows = super().read_many(collection, filter=filter, fields=fields)
        if limit < 0:
            return rows
        assert tuple(sort) == ("-date_created",)
        return rows[::-1][:limit]


@dataclass
class Firm:
    """Directus and the bucket."""

    effects: Effects = field(default_factory=Effects)
    before_create: Callable[[str], object] = str

    def __post_init__(self) -> None:
        self.directus = Documents({}, {}, self.effects, self.before_create)
        self.store = FakeStore(self.effects)
        records = DocumentRecords(self.directus)
        files = RegisteredFiles(records, self.store, "s3", ending="html")
        self.reports = DirectusReports(
            self.directus,
            DocumentDelivery(records, files),
            deployment="main",
            data_studio="https://directus.example",
        )

    def rows(self, collection: str) -> list[dict[str, object]]:
        return list(self.directus.collections.get(collection, {}).values())


def test_a_report_is_an_object_a_file_and_a_document() -> None:
    firm = Firm()
    identity = identity_of(REPORT, "main")
    assert firm.reports.publish(REPORT) == identity.document_id
    page = page_of(REPORT, "https://directus.example").encode()
    assert firm.store.objects == {f"{identity.file_id}.html": page}
    assert firm.rows("directus_files") == [
        {
            "id": identity.file_id,
            "storage": "s3",
            "filename_disk": f"{identity.file_id}.html",
            "filename_download": "reconciliation-2026-03-03-1235.html",
            "type": "text/html",
            "filesize": len(page),
            "title": "Reconciliation 2026-03-03 12:35 UTC",
        }
    ]
    assert firm.rows("documents") == [
        {
            "id": identity.document_id,
            "client": None,
            "invoice": None,
            "payment": None,
            "type": "report",
            "title": "Reconciliation 2026-03-03 12:35 UTC",
            "file": identity.file_id,
            "sha256": hashlib.sha256(page).hexdigest(),
            "content_hash": identity.content_hash,
            "version": 1,
            "version_key": None,
            "visible_to_client": False,
            "printed_payments": [],
            "printed_as_of": None,
            "replaces": None,
            "date_created": "2026-10-01T15:00:01Z",
        }
    ]
    assert firm.effects.done == EVERYTHING


def test_the_same_differences_are_not_published_again() -> None:
    firm = Firm()
    firm.reports.publish(REPORT)
    assert firm.reports.publish(LATER) is None
    assert firm.effects.done == EVERYTHING


def test_other_differences_are() -> None:
    firm = Firm()
    published = {
        firm.reports.publish(REPORT),
        firm.reports.publish(replace(LATER, differences=[MISSING, {**MISSING, "detail": "Another."}])),
    }
    assert published == set(firm.directus.collections["documents"])
    assert len(published) == 2


def test_whatever_differs_from_the_newest_report_becomes_the_newest() -> None:
    """X, both, Y, both again: whoever opens the newest one reads what is so now."""
    firm = Firm()
    other = {**MISSING, "detail": "Another."}
    for found in ([MISSING], [MISSING, other], [other], [MISSING, other], [other, MISSING]):
        firm.reports.publish(replace(REPORT, differences=found))
        (*_, newest) = firm.rows("documents")
        assert newest["content_hash"] == identity_of(replace(REPORT, differences=found), "main").content_hash
    assert len(firm.rows("documents")) == len(firm.rows("directus_files")) == len(firm.store.objects) == 4


def test_a_report_of_nothing_is_no_document() -> None:
    firm = Firm()
    assert firm.reports.publish(replace(REPORT, differences=[])) is None
    assert firm.effects.done == []


def everything_is_named_once(firm: Firm) -> None:
    """One object, one file row and one document for each, and what the rows say of the bytes is true."""
    files = {file["id"]: file for file in firm.rows("directus_files")}
    documents = {document.get("file"): document for document in firm.rows("documents")}
    assert files.keys() == documents.keys()
    assert {f"{file}.html" for file in files} == firm.store.objects.keys()
    for key, file in files.items():
        content = firm.store.objects[f"{key}.html"]
        assert (file["filesize"], documents[key]["sha256"]) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )


@pytest.mark.parametrize("effect", EVERYTHING)
def test_whatever_was_done_before_a_crash_is_continued_by_the_next_run(effect: str) -> None:
    firm = Firm(Effects(die_after=effect))
    identity = identity_of(REPORT, "main")
    with pytest.raises(Crash):
        firm.reports.publish(REPORT)
    firm.effects.die_after = None
    published = firm.reports.publish(LATER)
    assert published == (None if effect == EVERYTHING[-1] else identity.document_id)
    assert [document["id"] for document in firm.rows("documents")] == [identity.document_id]
    assert (
        firm.effects.done.count("create directus_files") == firm.effects.done.count("create documents") == 1
    )
    everything_is_named_once(firm)
    assert firm.reports.publish(LATER) is None


@pytest.mark.parametrize("effect", EVERYTHING)
def test_one_that_was_begun_before_other_differences_were_found_is_not_the_newest(effect: str) -> None:
    firm = Firm(Effects(die_after=effect))
    with pytest.raises(Crash):
        firm.reports.publish(REPORT)
    firm.effects.die_after = None
    other = replace(LATER, differences=[{**MISSING, "detail": "Another."}])
    assert firm.reports.publish(other) == firm.rows("documents")[-1]["id"]
    assert firm.reports.publish(other) is None
    assert firm.reports.publish(REPORT) is not None, "nobody has read it as the newest"


def test_two_at_the_same_time_make_one_document() -> None:
    """Another run of the same hour is ahead at every step."""
    inner = itertools.count()

    def another_is_first(_: str) -> None:
        if next(inner) == 0:
            firm.reports.publish(REPORT)

    firm = Firm(before_create=another_is_first)
    assert firm.reports.publish(REPORT) == identity_of(REPORT, "main").document_id
    assert (len(firm.rows("directus_files")), len(firm.rows("documents"))) == (1, 1)


def test_a_refusal_of_directus_is_not_taken_for_a_report_that_is_there() -> None:
    def refuse(_: str) -> None:
        message = "Directus answered 403 FORBIDDEN to POST /files."
        raise DirectusRejected(message, directus_code="FORBIDDEN")

    firm = Firm(before_create=refuse)
    with pytest.raises(DirectusRejected):
        firm.reports.publish(REPORT)


def test_a_directus_that_takes_no_pages_is_told_how_to(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: str) -> None:
        message = "Directus answered 400 INVALID_PAYLOAD to POST /files."
        raise DirectusRejected(message, directus_code="INVALID_PAYLOAD")

    firm = Firm(before_create=refuse)
    with pytest.raises(
        DirectusRejected, match="text/html must be among the types in its FILES_MIME_TYPE_ALLOW_LIST"
    ):
        firm.reports.publish(REPORT)
    firm.directus.before_create = str
    assert firm.reports.publish(LATER) == identity_of(REPORT, "main").document_id
    everything_is_named_once(firm)
    assert caplog.records == []


def test_half_a_character_does_not_stop_a_report() -> None:
    firm = Firm()
    assert firm.reports.publish(replace(REPORT, differences=[{**MISSING, "detail": "\ud800"}]))
