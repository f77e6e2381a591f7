import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from billing.documents.template_override import TemplateRefused
from billing.documents.template_source import (
    MAX_BYTES,
    MAX_FILES,
    S3TemplateFolder,
    files_in,
    template_reader,
)
from billing.errors import UpstreamFailed, UpstreamUnavailable

LIST = {"Bucket": "documents", "Prefix": "letterhead/", "MaxKeys": MAX_FILES + 1}


@pytest.fixture
def s3() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def listing(stubber: Stubber, **tags: str) -> None:
    contents = [
        {"Key": f"letterhead/{name.replace('__', '.')}", "ETag": tag, "Size": 3} for name, tag in tags.items()
    ]
    folder = {"Key": "letterhead/", "ETag": "folder", "Size": 0}
    stubber.add_response("list_objects_v2", {"Contents": [folder, *contents]}, LIST)


def content(stubber: Stubber, name: str, tag: str, body: bytes) -> None:
    stubber.add_response(
        "get_object",
        {"Body": StreamingBody(io.BytesIO(body), len(body))},
        {"Bucket": "documents", "Key": f"letterhead/{name}", "IfMatch": tag},
    )


def test_what_did_not_change_is_not_fetched_again(s3: tuple[Any, Stubber]) -> None:
    client, stubber = s3
    read = template_reader(client, "documents", "letterhead")
    listing(stubber, invoice__css="1")
    content(stubber, "invoice.css", "1", b"old")
    assert read() == {"invoice.css": b"old"}
    listing(stubber, invoice__css="1")
    assert read() == {"invoice.css": b"old"}
    listing(stubber, invoice__css="2")
    content(stubber, "invoice.css", "2", b"new")
    assert read() == {"invoice.css": b"new"}


def test_an_empty_folder_has_no_files(s3: tuple[Any, Stubber]) -> None:
    client, stubber = s3
    stubber.add_response("list_objects_v2", {}, LIST)
    assert S3TemplateFolder(client, "documents", "letterhead/").read() == {}


def test_a_file_that_changes_meanwhile_is_read_again_later(s3: tuple[Any, Stubber]) -> None:
    client, stubber = s3
    source = S3TemplateFolder(client, "documents", "letterhead/")
    listing(stubber, invoice__css="1")
    stubber.add_client_error("get_object", "PreconditionFailed", http_status_code=412)
    with pytest.raises(UpstreamUnavailable):
        source.read()
    listing(stubber, invoice__css="2")
    content(stubber, "invoice.css", "2", b"new")
    assert source.read() == {"invoice.css": b"new"}


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, UpstreamFailed), ("SlowDown", 503, UpstreamUnavailable), ("NoSuchKey", 404, UpstreamUnavailable),
    ],
)  # fmt: skip
def test_a_refusal_is_final_and_an_overload_is_not(
    s3: tuple[Any, Stubber], code: str, status: int, error: type[Exception]
) -> None:
    client, stubber = s3
    listing(stubber, invoice__css="1")
    stubber.add_client_error("get_object", code, http_status_code=status)
    with pytest.raises(error):
        S3TemplateFolder(client, "documents", "letterhead/").read()


def test_an_unreachable_bucket_is_tried_again() -> None:
    class Unreachable:
        def list_objects_v2(self, **_: object) -> None:
            raise EndpointConnectionError(endpoint_url="https://s3.example")

    client: Any = Unreachable()
    with pytest.raises(UpstreamUnavailable):
        S3TemplateFolder(client, "documents", "letterhead/").read()


@pytest.mark.parametrize(("files", "size"), [(MAX_FILES + 1, 1), (1, MAX_BYTES + 1)])
def test_too_much_is_not_even_fetched(s3: tuple[Any, Stubber], files: int, size: int) -> None:
    client, stubber = s3
    contents = [{"Key": f"letterhead/{n}.html", "ETag": "1", "Size": size} for n in range(files)]
    stubber.add_response("list_objects_v2", {"Contents": contents}, LIST)
    with pytest.raises(TemplateRefused, match=f"it has {files} files of {files * size} bytes in all"):
        S3TemplateFolder(client, "documents", "letterhead/").read()


def test_a_folder_is_read_with_the_folders_in_it(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/en.toml").write_bytes(b"x")
    assert files_in(tmp_path) == {"labels/en.toml": b"x"}
    assert files_in(tmp_path / "missing") == {}


def test_a_prefix_below_opt_is_a_layers_folder(s3: tuple[Any, Stubber]) -> None:
    client, stubber = s3
    assert template_reader(client, "documents", "/opt/no/such/folder")() == {}
    stubber.add_response("list_objects_v2", {}, {**LIST, "Prefix": "opt/firm/"})
    assert template_reader(client, "documents", "opt/firm")() == {}
