"""A proxy before Directus that cuts the connection at a chosen moment of a chosen request."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

type Moment = Literal[
    "before it is forwarded", "in the middle of it", "before its answer", "in the middle of its answer",
    "answered too late",
]  # fmt: skip

_SECONDS = 30.0


class CuttingProxy:
    """Forwards to `upstream`; what `cut` ordered happens once to the next such request."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, int(parts.port or 80))
        self._orders: list[tuple[str, str, Moment]] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def forward(self) -> None:
                proxy._forward(self)

            do_GET = do_POST = do_PATCH = do_SEARCH = forward  # noqa: N815  # http.server's own names

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def cut(self, method: str, path: str, moment: Moment) -> None:
        """The next request with that method, whose path begins so, is cut at that moment."""
        self._orders.append((method, path, moment))

    @property
    def left(self) -> list[tuple[str, str, Moment]]:
        """What was ordered and has not happened."""
        return list(self._orders)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _taken(self, method: str, path: str) -> Moment | None:
        with self._lock:
            for order in self._orders:
                if order[0] == method and path.startswith(order[1]):
                    self._orders.remove(order)
                    return order[2]
        return None

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True  # every request comes on a connection of its own
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        moment = self._taken(handler.command, handler.path)
        if moment == "before it is forwarded":
            _reset(handler.connection)
            return
        half = moment == "in the middle of it"
        with socket.create_connection(self._upstream, timeout=_SECONDS) as upstream:
            upstream.sendall(_head(handler) + (body[: len(body) // 2] if half else body))
            answer = b"" if half else b"".join(iter(lambda: upstream.recv(65536), b""))
        match moment:
            case "in the middle of it" | "before its answer":
                _reset(handler.connection)
            case "in the middle of its answer":
                handler.connection.sendall(answer[:-10])
                _reset(handler.connection)
            case "answered too late":
                select.select([handler.connection], [], [], _SECONDS)  # until the caller hangs up
            case None:
                handler.connection.sendall(answer)


def _head(handler: BaseHTTPRequestHandler) -> bytes:
    headers = [f"{name}: {value}" for name, value in handler.headers.items() if name.lower() != "connection"]
    return "\r\n".join([handler.requestline, *headers, "Connection: close", "", ""]).encode()


def _reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset and not an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.close()


@contextmanager
def cutting_proxy(upstream: str) -> Iterator[CuttingProxy]:
    """A proxy for the duration."""
    proxy = CuttingProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
