from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

from billing.aws.bucket import S3DocumentStore, StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import http_client
from billing.errors import (
    DirectusRejected,
    Unprocessable,
    UpstreamFailed,
    UpstreamUnavailable,
)
from billing.reconcile.publish import CONTENT_TYPE
from tests.fakes.aws import failing, refusal

if TYPE_CHECKING:
    from tests.fakes.aws_account import Account


@pytest.fixture
def bucket(aws: Account) -> Any:
    return aws.bucket("documents")


def test_bytes_are_put_with_their_type_and_hash_and_found_again(bucket: Any) -> None:
    store = S3DocumentStore(bucket, "documents")
    assert store.put("a.pdf", b"pdf", "abc") == store.find("a.pdf") == StoredObject("a.pdf", 3, "abc")
    stored = bucket.get_object(Bucket="documents", Key="a.pdf")
    assert (stored["ContentType"], stored["Body"].read()) == ("application/pdf", b"pdf")


def test_an_object_of_somebody_else_has_no_hash(bucket: Any) -> None:
    bucket.put_object(Bucket="documents", Key="a.pdf", Body=b"pdf")
    assert S3DocumentStore(bucket, "documents").find("a.pdf") == StoredObject("a.pdf", 3, "")


def test_a_missing_object_is_none(bucket: Any) -> None:
    assert S3DocumentStore(bucket, "documents").find("a.pdf") is None


def test_a_report_is_put_with_the_type_of_a_page(bucket: Any) -> None:
    S3DocumentStore(bucket, "documents", content_type=CONTENT_TYPE).put("a.html", b"page", "abc")
    assert bucket.head_object(Bucket="documents", Key="a.html")["ContentType"] == CONTENT_TYPE


@pytest.mark.parametrize(
    ("status", "error"), [(403, UpstreamFailed), (429, UpstreamUnavailable), (503, UpstreamUnavailable)]
)
def test_a_refusal_is_final_and_an_overload_is_not(status: int, error: type[Exception]) -> None:
    refused = refusal("HeadObject", str(status), status), refusal("PutObject", str(status), status)
    store = S3DocumentStore(failing(head_object=refused[0], put_object=refused[1]), "documents")
    with pytest.raises(error):
        store.find("a.pdf")
    with pytest.raises(error):
        store.put("a.pdf", b"pdf", "abc")


def test_an_unreachable_bucket_is_tried_again() -> None:
    away = EndpointConnectionError(endpoint_url="https://s3.example")
    store = S3DocumentStore(failing(head_object=away, put_object=away), "documents")
    with pytest.raises(UpstreamUnavailable):
        store.find("a.pdf")
    with pytest.raises(UpstreamUnavailable):
        store.put("a.pdf", b"", "")


class RotatingToken:
    """The token was rotated a moment ago."""

    def current(self) -> str:
        return "old"

    def refresh(self) -> str:
        return "new"


class Assets:
    """Directus's /assets: one file, for the new token."""

    def __init__(self, status: int = 200, content: bytes = b"logo") -> None:
        self.status = status
        self.content = content
        self.asked: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        fresh = request.headers["Authorization"] == "Bearer new"
        return httpx.Response(self.status, content=self.content) if fresh else httpx.Response(401)

    def read(self, file: str) -> bytes:
        http = http_client(transport=httpx.MockTransport(self.answer))
        return DirectusAssets("https://d.example/", RotatingToken(), http, maximum_bytes=100).read(file)


def test_a_file_is_read_with_a_rotated_token() -> None:
    assets = Assets()
    assert assets.read("a/../b") == b"logo"
    assert assets.asked == ["GET https://d.example/assets/a%2F..%2Fb"] * 2


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (403, b'{"errors": [{"message": "x", "extensions": {"code": "FORBIDDEN"}}]}', DirectusRejected),
        (403, b"<html>Blocked</html>", UpstreamUnavailable),
        (404, b"404 page not found", UpstreamUnavailable),
        (503, b"", UpstreamUnavailable),
    ],
)
def test_a_file_that_is_not_there_is_final_and_a_busy_directus_or_a_proxy_is_not(
    status: int, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Assets(status, body).read("a")


def test_a_file_longer_than_its_row_says_is_for_staff_to_replace() -> None:
    with pytest.raises(Unprocessable) as refusal:
        Assets(content=bytes(101)).read("a")
    assert (refusal.value.code, refusal.value.ids) == ("file_too_large", {"file": "a"})
