"""httpx over loopback: what came back, and whether a request that got no answer may have arrived."""

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from billing.directus.client import Answer, http_client, send
from billing.errors import AnswerTooLarge, ConnectionFailed

PACKED = gzip.compress(bytes(5000))
#: Answers of 200 by path: headers and what is sent after them.
BODIES: dict[str, tuple[dict[str, str], bytes]] = {
    "/ten": ({"Content-Length": "10"}, b"0123456789"),
    "/chunked": ({"Transfer-Encoding": "chunked"}, b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"),
    "/packed": ({"Content-Length": str(len(PACKED)), "Content-Encoding": "gzip"}, PACKED),
    "/short": ({"Content-Length": "10"}, b"01234"),
    "/endless": ({"Transfer-Encoding": "chunked"}, b"5\r\n01234\r\n" * 10),
    "/empty": ({"Content-Length": "0"}, b""),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # which keeps connections open
    seen: list[tuple[str, str, bytes]]
    connections: set[tuple[str, int]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.command, self.path, body))
        self.connections.add(self.client_address)
        if self.path in BODIES:
            self._send_body(self.path)
            return
        if self.path == "/cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(302 if self.path == "/moved" else 503)
        self.send_header("Location", "/elsewhere")
        self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"\xff\x00")

    def _send_body(self, path: str) -> None:
        self.send_response(200)
        for name, value in BODIES[path][0].items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(BODIES[path][1])
        self.wfile.flush()
        if path == "/short":
            self.close_connection = True

    do_GET = do_PATCH = do_SEARCH = _answer  # noqa: N815  # the standard library calls them so

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    _Handler.seen = []
    _Handler.connections = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with http_client(read_timeout=5) as client:
        yield client


def asked(
    http: httpx.Client, method: str, url: str, *, maximum_bytes: int = 10_000, **request: Any
) -> Answer:
    return send(http, http.build_request(method, url, **request), maximum_bytes=maximum_bytes)


def test_any_status_comes_back_with_its_bytes_and_is_not_repeated(http: httpx.Client, url: str) -> None:
    answer = asked(http, "SEARCH", f"{url}/items", content=b"\x00\xff")
    assert (answer.status, answer.body, answer.retry_after) == (503, b"\xff\x00", 7)
    assert _Handler.seen == [("SEARCH", "/items", b"\x00\xff")]


def test_a_redirect_is_not_followed_with_the_token(http: httpx.Client, url: str) -> None:
    assert asked(http, "GET", f"{url}/moved", headers={"Authorization": "Bearer x"}).status == 302
    assert [path for _, path, _ in _Handler.seen] == ["/moved"]


def test_a_connection_cut_after_the_request_may_have_done_its_work(http: httpx.Client, url: str) -> None:
    with pytest.raises(ConnectionFailed) as failure:
        asked(http, "PATCH", f"{url}/cut", content=b"{}")
    assert failure.value.maybe_sent
    assert len(_Handler.seen) == 1


def test_a_refused_connection_surely_did_nothing(http: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionFailed) as failure:
        asked(http, "PATCH", f"http://127.0.0.1:{port}/items?secret=x", content=b"{}")
    assert not failure.value.maybe_sent
    assert "secret" not in failure.value.detail


def test_an_answer_that_takes_too_long_may_have_done_its_work() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with http_client(read_timeout=0.05) as http, pytest.raises(ConnectionFailed) as failure:
            asked(http, "PATCH", url, content=b"{}")
    assert failure.value.maybe_sent


def test_an_answer_of_exactly_the_maximum_is_whole_and_its_connection_used_again(
    http: httpx.Client, url: str
) -> None:
    for path in ("/ten", "/chunked", "/empty", "/ten"):
        body = asked(http, "GET", url + path, maximum_bytes=10).body
        assert body == (b"" if path == "/empty" else b"0123456789")
    assert len(_Handler.connections) == 1


@pytest.mark.parametrize("path", ["/ten", "/chunked", "/endless"])
def test_an_answer_beyond_the_maximum_is_not_kept_and_the_next_request_is_answered(
    http: httpx.Client, url: str, path: str
) -> None:
    with pytest.raises(AnswerTooLarge) as failure:
        asked(http, "GET", url + path, maximum_bytes=9)
    assert (failure.value.retryable, failure.value.status) == (False, 502)
    assert asked(http, "GET", f"{url}/ten").body == b"0123456789"


def test_what_counts_is_the_unpacked_answer(http: httpx.Client, url: str) -> None:
    assert len(PACKED) < 100
    assert len(asked(http, "GET", f"{url}/packed").body) == 5000
    with pytest.raises(AnswerTooLarge):
        asked(http, "GET", f"{url}/packed", maximum_bytes=4999)


def test_an_answer_that_breaks_off_is_no_answer(http: httpx.Client, url: str) -> None:
    with pytest.raises(ConnectionFailed) as failure:
        asked(http, "GET", f"{url}/short")
    assert failure.value.maybe_sent
