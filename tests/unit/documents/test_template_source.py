from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.documents.template_override import TemplateRefused
from billing.documents.template_source import (
    MAX_BYTES,
    MAX_FILES,
    S3TemplateFolder,
    files_in,
    template_reader,
)
from billing.errors import UpstreamFailed, UpstreamUnavailable
from tests.fakes.aws import Watched, failing, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.aws_account import Account


@pytest.fixture
def bucket(aws: Account) -> Watched:
    """The client of S3: its calls are kept."""
    return Watched(aws.bucket("documents"))


def put(bucket: Watched, name: str, content: bytes) -> None:
    bucket.client.put_object(Bucket="documents", Key=f"letterhead/{name}", Body=content)


def fetched(bucket: Watched) -> int:
    return [operation for operation, _ in bucket.calls].count("get_object")


def folder(client: Any) -> S3TemplateFolder:
    return S3TemplateFolder(client, "documents", "letterhead/")


def test_what_did_not_change_is_not_fetched_again(bucket: Watched) -> None:
    read = template_reader(cast("Any", bucket), "documents", "letterhead")
    put(bucket, "", b"")  # the folder, as S3's console makes one
    put(bucket, "invoice.css", b"old")
    assert (read(), read()) == ({"invoice.css": b"old"}, {"invoice.css": b"old"})
    assert fetched(bucket) == 1
    put(bucket, "invoice.css", b"new")
    assert read() == {"invoice.css": b"new"}


def test_an_empty_folder_has_no_files(bucket: Watched) -> None:
    assert folder(bucket).read() == {}


def test_a_file_that_changes_meanwhile_is_read_again_later(bucket: Watched) -> None:
    class Changing(Watched):
        """Somebody replaces the file between the list and the first look at it."""

        replaced = False

        def get_object(self, **given: Any) -> Any:
            if not self.replaced:
                self.replaced = True
                put(bucket, "invoice.css", b"new")
            return self.client.get_object(**given)

    source = folder(Changing(bucket.client))
    put(bucket, "invoice.css", b"old")
    with pytest.raises(UpstreamUnavailable):
        source.read()
    assert source.read() == {"invoice.css": b"new"}


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, UpstreamFailed), ("SlowDown", 503, UpstreamUnavailable), ("NoSuchKey", 404, UpstreamUnavailable),
    ],
)  # fmt: skip
def test_a_refusal_is_final_and_an_overload_is_not(
    bucket: Watched, code: str, status: int, error: type[Exception]
) -> None:
    put(bucket, "invoice.css", b"x")
    bucket.errors = {"get_object": refusal("GetObject", code, status)}
    with pytest.raises(error):
        folder(bucket).read()


def test_an_unreachable_bucket_is_tried_again() -> None:
    away = EndpointConnectionError(endpoint_url="https://s3.example")
    with pytest.raises(UpstreamUnavailable):
        folder(failing(list_objects_v2=away)).read()


@pytest.mark.parametrize(("files", "size"), [(MAX_FILES + 1, 1), (1, MAX_BYTES + 1)])
def test_too_much_is_not_even_fetched(bucket: Watched, files: int, size: int) -> None:
    for number in range(files):
        put(bucket, f"{number}.html", bytes(size))
    with pytest.raises(TemplateRefused, match=f"it has {files} files of {files * size} bytes in all"):
        folder(bucket).read()
    assert fetched(bucket) == 0


def test_a_folder_is_read_with_the_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/en.toml").write_bytes(b"x")
    assert files_in(tmp_path) == {"labels/en.toml": b"x"}
    assert files_in(tmp_path / "missing") == {}


def test_a_prefix_below_opt_is_a_layers_folder(bucket: Watched) -> None:
    client = cast("Any", bucket)
    assert template_reader(client, "documents", "/opt/no/such/folder")() == {}
    assert bucket.calls == [], "which is not asked for in the bucket"
    bucket.client.put_object(Bucket="documents", Key="opt/firm/invoice.css", Body=b"x")
    assert template_reader(client, "documents", "opt/firm")() == {"invoice.css": b"x"}
