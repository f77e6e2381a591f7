from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from billing.aws.bucket import S3DocumentStore, StoredObject
from billing.directus.assets import DirectusAssets
from billing.directus.client import http_client
from billing.errors import (
    DirectusRejected,
    Unprocessable,
    UpstreamFailed,
    UpstreamUnavailable,
)

KEY = {"Bucket": "documents", "Key": "a.pdf"}


@pytest.fixture
def s3() -> Iterator[tuple[S3DocumentStore, Stubber]]:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stubber:
        yield S3DocumentStore(client, "documents"), stubber


def test_an_object_is_found_with_its_hash(s3: tuple[S3DocumentStore, Stubber]) -> None:
    store, stubber = s3
    stubber.add_response("head_object", {"ContentLength": 3, "Metadata": {"sha256": "abc"}}, KEY)
    assert store.find("a.pdf") == StoredObject("a.pdf", 3, "abc")


def test_an_object_of_somebody_else_has_no_hash(s3: tuple[S3DocumentStore, Stubber]) -> None:
    store, stubber = s3
    stubber.add_response("head_object", {"ContentLength": 3}, KEY)
    assert store.find("a.pdf") == StoredObject("a.pdf", 3, "")


def test_a_missing_object_is_none(s3: tuple[S3DocumentStore, Stubber]) -> None:
    store, stubber = s3
    stubber.add_client_error("head_object", "404", http_status_code=404)
    assert store.find("a.pdf") is None


@pytest.mark.parametrize(
    ("status", "error"), [(403, UpstreamFailed), (429, UpstreamUnavailable), (503, UpstreamUnavailable)]
)
def test_a_refusal_is_final_and_an_overload_is_not(
    s3: tuple[S3DocumentStore, Stubber], status: int, error: type[Exception]
) -> None:
    store, stubber = s3
    stubber.add_client_error("head_object", str(status), http_status_code=status)
    stubber.add_client_error("put_object", str(status), http_status_code=status)
    with pytest.raises(error):
        store.find("a.pdf")
    with pytest.raises(error):
        store.put("a.pdf", b"pdf", "abc")


def test_bytes_are_put_with_their_type_and_hash(s3: tuple[S3DocumentStore, Stubber]) -> None:
    store, stubber = s3
    expected = KEY | {"Body": b"pdf", "ContentType": "application/pdf", "Metadata": {"sha256": "abc"}}
    stubber.add_response("put_object", {}, expected)
    assert store.put("a.pdf", b"pdf", "abc") == StoredObject("a.pdf", 3, "abc")
    stubber.assert_no_pending_responses()


class Unreachable:
    """An S3 client without a network."""

    def head_object(self, **_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3.example")

    put_object = head_object


def test_an_unreachable_bucket_is_tried_again() -> None:
    store = S3DocumentStore(Unreachable(), "documents")  # type: ignore[arg-type]  # only two calls are made
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
