"""HTTP that begins no request which the invocation could be killed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.adapters.http import MAXIMUM_ANSWER_BYTES
from billing.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.adapters.http import HttpResponse, Transport
    from billing.adapters.time_limit import TimeLimit

#: Seconds that are left for the answer.
RESERVE_SECONDS = 1.0


class LimitedTransport:
    """A `Transport` that refuses a request for whose answer there is no time to wait.

    The refusal is `UpstreamUnavailable` `out_of_time`, as everywhere; asking once more would only lose time.
    """

    def __init__(self, transport: Transport, limit: TimeLimit, *, longest_seconds: float) -> None:
        """`longest_seconds`: how long the transport waits at most, for connection and answer."""
        self._transport = transport
        self._limit = limit
        self._longest_seconds = longest_seconds

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        maximum_bytes: int = MAXIMUM_ANSWER_BYTES,
    ) -> HttpResponse:
        """Send one request, if there is time for it."""
        if self._limit.remaining() < self._longest_seconds + RESERVE_SECONDS:
            message = f"There was no time left for the {method} that came next; ask again."
            raise UpstreamUnavailable(message, code="out_of_time", retry_after=5)
        return self._transport.send(method, url, headers=headers, body=body, maximum_bytes=maximum_bytes)
