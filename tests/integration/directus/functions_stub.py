"""What the flows call in these tests: a small HTTP server that records requests and answers as configured."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.waiting import NeverHappened, wait_for

SECONDS = 10.0


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FunctionsStub:
    """Listens on a fixed port of loopback; `answer` decides what every request gets."""

    port: int
    requests: list[Recorded] = field(default_factory=list)
    status: int = 202
    body: bytes = b'{"accepted": 1}'
    content_type: str = "application/json"
    hang_up: bool = False
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length) or b"null")
                headers = {name.lower(): value for name, value in self.headers.items()}
                stub.requests.append(Recorded(self.path, headers, body))
                if stub.hang_up:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(stub.status)
                self.send_header("Content-Type", stub.content_type)
                self.send_header("Content-Length", str(len(stub.body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(stub.body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  http.server's own name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, status: int, body: Any, content_type: str = "application/json") -> None:
        """Answer so from now on, and forget what was recorded."""
        self.status, self.content_type, self.hang_up = status, content_type, False
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.requests.clear()

    @contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Meanwhile the port is closed."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def wait_for(self, path: str, count: int = 1) -> list[Recorded]:
        """The requests for a path, once there are at least `count`."""

        def calls() -> list[Recorded]:
            return [request for request in list(self.requests) if request.path == path]

        try:
            wait_for(f"{count} calls of {path}", lambda: len(calls()) >= count, seconds=SECONDS, pause=0.02)
        except NeverHappened as error:
            error.add_note(f"These came: {self.requests}")
            raise
        return calls()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
