"""The one way this project speaks HTTP: a tiny protocol, and urllib3 behind it.

urllib3 is on every Lambda already (the SDK's own client), keeps connections open between invocations,
and takes both timeouts. A test passes its own `Transport` in. An answer is read no further than the caller allows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import urllib3

from billing.errors import AnswerTooLarge, ConnectionFailed, UpstreamUnavailable

#: The lines of 200 long invoices are a tenth of this, a function's memory more than ten times as much.
MAXIMUM_ANSWER_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class HttpResponse:
    """What came back: any status; header names in lower case; the body's raw bytes."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status."""

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        maximum_bytes: int = MAXIMUM_ANSWER_BYTES,
    ) -> HttpResponse:
        """Raise `ConnectionFailed` when no answer came; `maybe_sent` tells whether it may have arrived.

        `AnswerTooLarge` if the answer's body, unpacked, has more than `maximum_bytes`.
        """
        ...


class Urllib3Transport:
    """Keeps a pool per process; never retries and never follows redirects by itself."""

    def __init__(
        self,
        *,
        connect_timeout: float = 3.0,
        read_timeout: float = 10.0,
        remaining_seconds: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Timeouts in seconds; none is longer than what remains, and with nothing left nothing is sent."""
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._remaining_seconds = remaining_seconds
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        maximum_bytes: int = MAXIMUM_ANSWER_BYTES,
    ) -> HttpResponse:
        """Send one request; `UpstreamUnavailable` (`out_of_time`) if there is no time for it."""
        left = self._remaining_seconds()
        if left <= 0:
            message = f"There is no time left to ask {_origin(url)}; ask again."
            raise UpstreamUnavailable(message, code="out_of_time", retry_after=5)
        timeout = urllib3.Timeout(
            connect=min(self._connect_timeout, left), read=min(self._read_timeout, left)
        )
        try:
            answer = self._pool.request(
                method,
                url,
                headers=dict(headers),
                body=body,
                redirect=False,
                preload_content=False,
                timeout=timeout,
            )
            content = _read(answer, maximum_bytes)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            message = f"No connection to {_origin(url)}."
            raise ConnectionFailed(message, maybe_sent=False) from error
        except urllib3.exceptions.HTTPError as error:
            message = f"No answer from {_origin(url)} to {method}."
            raise ConnectionFailed(message, maybe_sent=True) from error
        if content is None:
            message = f"The answer from {_origin(url)} to {method} has more than {maximum_bytes} bytes."
            raise AnswerTooLarge(message)
        return HttpResponse(
            answer.status, content, {name.lower(): value for name, value in answer.headers.items()}
        )


def _read(answer: urllib3.BaseHTTPResponse, maximum_bytes: int) -> bytes | None:
    """The whole body, None if it is longer; the connection is kept only after a whole one."""
    whole = False
    try:
        content: bytes = answer.read(maximum_bytes + 1, decode_content=True)
        whole = len(content) <= maximum_bytes
    finally:
        if whole:
            answer.release_conn()
        else:
            answer.close()
    return content if whole else None


def _origin(url: str) -> str:
    """Scheme and host only: a query may hold what no log should."""
    parsed = urllib3.util.parse_url(url)
    return f"{parsed.scheme}://{parsed.netloc}"
