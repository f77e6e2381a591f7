"""The one way this project speaks HTTP: a tiny protocol, and urllib3 behind it.

urllib3 is on every Lambda already (the SDK's own client), keeps connections open between invocations,
and takes both timeouts. A test passes its own `Transport` in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import urllib3

from billing.errors import ConnectionFailed


@dataclass(frozen=True)
class HttpResponse:
    """What came back: any status; header names in lower case; the body's raw bytes."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpResponse:
        """Raise `ConnectionFailed` when no answer came; `maybe_sent` tells whether it may have arrived."""
        ...


class Urllib3Transport:
    """Keeps a pool per process; never retries and never follows redirects by itself."""

    def __init__(self, *, connect_timeout: float = 3.0, read_timeout: float = 10.0) -> None:
        """Timeouts in seconds."""
        self._pool = urllib3.PoolManager(
            maxsize=4, retries=False, timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        )

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpResponse:
        """Send one request."""
        try:
            answer = self._pool.request(method, url, headers=dict(headers), body=body, redirect=False)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            message = f"No connection to {_origin(url)}."
            raise ConnectionFailed(message, maybe_sent=False) from error
        except urllib3.exceptions.HTTPError as error:
            message = f"No answer from {_origin(url)} to {method}."
            raise ConnectionFailed(message, maybe_sent=True) from error
        return HttpResponse(
            answer.status, answer.data, {name.lower(): value for name, value in answer.headers.items()}
        )


def _origin(url: str) -> str:
    """Scheme and host only: a query may hold what no log should."""
    parsed = urllib3.util.parse_url(url)
    return f"{parsed.scheme}://{parsed.netloc}"
