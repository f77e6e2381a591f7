"""A door between the functions and Directus at which one request can be held: a worker stands still where one wants it.

The functions are deployed with the gate's address as `DirectusUrl`; the flows and the people of a test go to Directus
itself. Held before Directus has seen the request, or after Directus has answered and before the worker hears of it, a
worker can be killed between two of its effects, and two workers can be made to take the same step at once.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import httpx

from local.ports import HOST
from local.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BETWEEN_TWO_ONLY = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})
_HELD_SECONDS = 120


@dataclass(frozen=True)
class Asked:
    """A request that Directus has answered."""

    method: str
    path: str
    content_type: str
    status: int


@dataclass
class Hold:
    """The first `times` requests of a kind; `answered` holds them once Directus has answered."""

    method: str
    path: str
    answered: bool
    times: int
    _arrived: int = 0
    _go: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

    def wait(self, seconds: float = 90) -> None:
        """Wait until all of them stand here."""
        wait_for(
            f"{self.times} times {self.method} {self.path}",
            lambda: self._arrived >= self.times,
            seconds=seconds,
        )

    def let_go(self) -> None:
        """All go on, at the same time."""
        self._go.set()

    def drop(self) -> None:
        """None goes on: who asked is dead, or sees its connection end without an answer."""
        self._dropped = True
        self._go.set()

    def takes(self, method: str, path: str) -> bool:
        """Whether a request is one of them."""
        if method != self.method or not fnmatch(path, self.path) or self._arrived >= self.times:
            return False
        self._arrived += 1
        return True

    def passes(self) -> bool:
        """Stand here; False if dropped."""
        return self._go.wait(_HELD_SECONDS) and not self._dropped


class Gate:
    """The door; `url` is where the functions find Directus."""

    def __init__(self, leads_to: Callable[[], str]) -> None:
        """`leads_to` gives the address of Directus itself, which is not known before the stack has its ports."""
        self._leads_to = leads_to
        self.asked: list[Asked] = []
        self._holds: list[Hold] = []
        self._lock = threading.Lock()
        # The transport itself: what it passes on is neither decoded nor given a client's own headers.
        self._directus = httpx.HTTPTransport()
        self._server = _Server((HOST, 0), _Door)
        self._server.gate = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for hold in self._holds:
            hold.drop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._directus.close()

    @contextmanager
    def holding(self, method: str, path: str, *, answered: bool = False, times: int = 1) -> Iterator[Hold]:
        """Hold the next `times` requests; whatever still stands at the end is let go. `path` is without a query, `*` anything."""
        hold = Hold(method, path, answered, times)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            self._holds.remove(hold)
            hold.let_go()

    def requests(self, method: str, path: str) -> list[Asked]:
        """What Directus has answered, of one method and with a path that begins so."""
        return [one for one in self.asked if one.method == method and one.path.startswith(path)]

    def passed_on(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[httpx.Response, bytes] | None:
        """Directus's answer; None if the request or its answer is dropped, or there is no Directus."""
        path = target.partition("?")[0]
        with self._lock:
            hold = next((one for one in self._holds if one.takes(method, path)), None)
        if hold is not None and not hold.answered and not hold.passes():
            return None
        try:
            asked = httpx.Request(method, f"{self._leads_to()}{target}", headers=headers, content=body)
            asked.extensions["timeout"] = httpx.Timeout(_HELD_SECONDS).as_dict()
            answer = self._directus.handle_request(asked)
            raw = b"".join(answer.iter_raw())
        except httpx.TransportError:
            return None
        self.asked.append(Asked(method, path, headers.get("Content-Type", ""), answer.status_code))
        if hold is not None and hold.answered and not hold.passes():
            return None
        return answer, raw


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gate: Gate

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a worker that was killed has hung up."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in _BETWEEN_TWO_ONLY
        }
        passed = self.server.gate.passed_on(self.command, self.path, headers, body)
        if passed is None:
            self.close_connection = True
            return
        answer, raw = passed
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name.lower() not in _BETWEEN_TWO_ONLY:
                self.send_header(name, value)
        if answer.status_code != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = do_SEARCH = _pass  # noqa: N815  # the server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the server's name
        """Say nothing."""
