"""Directus over REST, with its traps handled in one place (measured on 11.17.4).

- A missing row and a forbidden one are both 403, so rows are read by a filter: a missing one is an empty list.
- Lists are cut at 100 rows unless `limit` is sent, nested lists unless `deep` sets it (`ledger/store.py`).
- Money is a number on SQLite and a string on PostgreSQL: numbers are parsed as `Decimal`.
- An update may answer 204 without a body. Unknown fields in a payload are dropped silently.
- A taken unique value is a 400 `RECORD_NOT_UNIQUE`.
- Every refusal by Directus has `errors[].extensions.code`. One without it comes from a proxy, a firewall or a maintenance
  page and may be temporary: `UpstreamUnavailable`, regardless of its status.
- Writes are repeated only if they certainly did not arrive; reads also on 429, 503 and lost answers.
"""

from __future__ import annotations

import json
import math
import ssl
import time
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote

import httpx

from billing.errors import (
    AnswerTooLarge,
    ConnectionFailed,
    DirectusRejected,
    RecordNotUnique,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing.directus.rows import Row


#: The lines of 200 long invoices are a tenth of this, a function's memory more than ten times as much.
MAXIMUM_ANSWER_BYTES = 32 * 1024 * 1024

#: What httpx raises before a byte of the request has left.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True)
class Answer:
    """An answer with any status: the whole decoded body, and the seconds of `Retry-After` or None."""

    status: int
    body: bytes = b""
    retry_after: int | None = None


@cache
def _certificates() -> ssl.SSLContext:
    """The machine's certificates, not httpx's list: a firm may have its own authority. Read once."""
    return ssl.create_default_context()


def http_client(
    *,
    connect_timeout: float = 3.0,
    read_timeout: float = 10.0,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
    needed_seconds: float = 0.0,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """Keeps connections open between invocations; never retries, follows no redirect, reads no proxy or netrc.

    Timeouts in seconds, limited to the time that is left. Nothing is sent with `needed_seconds` or less left:
    that is `UpstreamUnavailable` `out_of_time`. Tests pass an `httpx.MockTransport`.
    """

    def limit(request: httpx.Request) -> None:
        left = remaining_seconds()
        if left <= needed_seconds:
            message = f"No time was left for the next request ({request.method}); try again."
            raise UpstreamUnavailable(message, code="out_of_time", retry_after=5)
        connect, read = min(connect_timeout, left), min(read_timeout, left)
        request.extensions["timeout"] = {"connect": connect, "read": read, "write": read, "pool": connect}

    transport = transport or httpx.HTTPTransport(verify=_certificates())
    return httpx.Client(
        event_hooks={"request": [limit]}, follow_redirects=False, trust_env=False, transport=transport
    )


def send(http: httpx.Client, request: httpx.Request, *, maximum_bytes: int = MAXIMUM_ANSWER_BYTES) -> Answer:
    """Send one request and return the answer, whatever its status.

    Raises `ConnectionFailed` without a complete answer (`maybe_sent`: the request may have arrived) and
    `AnswerTooLarge` when the decoded body exceeds `maximum_bytes`; the rest is not read.
    """
    origin = (
        f"{request.url.scheme}://{request.url.netloc.decode()}"  # a query may contain what must not be logged
    )
    try:
        with closing(http.send(request, stream=True)) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > maximum_bytes:
                    message = (
                        f"The answer from {origin} to {request.method} has more than {maximum_bytes} bytes."
                    )
                    raise AnswerTooLarge(message)
    except _NOT_SENT as error:
        message = f"No connection to {origin}."
        raise ConnectionFailed(message, maybe_sent=False) from error
    except httpx.RequestError as error:
        message = f"No answer from {origin} to {request.method}."
        raise ConnectionFailed(message, maybe_sent=True) from error
    retry_after = response.headers.get("retry-after", "")
    return Answer(response.status_code, bytes(body), int(retry_after) if retry_after.isdigit() else None)


_ATTEMPTS = 3
_UNAVAILABLE = frozenset({408, 429, 502, 503, 504})
#: Seconds, where the answer names none.
_RETRY_AFTER = 30


class Token(Protocol):
    """The service user's static token; `refresh` reads it again after a 401 (it may have been rotated)."""

    def current(self) -> str:
        """The token to send."""
        ...

    def refresh(self) -> str:
        """Read the token again, bypassing every cache."""
        ...


class DirectusClient:
    """Reads and writes rows as the token's user (the service user)."""

    def __init__(
        self,
        base_url: str,
        token: Token,
        http: httpx.Client,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`http` from `http_client`. `sleep` takes seconds; tests pass one that records."""
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._http = http
        self._sleep = sleep

    # ---- rows -------------------------------------------------------------------------------------------

    def read_one(self, collection: str, key: str, fields: Sequence[str]) -> Row | None:
        """One row by primary key, or None if it does not exist or this user may not see it."""
        rows = self.read_many(collection, filter={"id": {"_eq": key}}, fields=fields, limit=1)
        return rows[0] if rows else None

    def read_many(
        self,
        collection: str,
        *,
        filter: Mapping[str, object],  # noqa: A002  # Directus's own word
        fields: Sequence[str],
        sort: Sequence[str] = (),
        limit: int = -1,
        offset: int = 0,
        deep: Mapping[str, object] | None = None,
    ) -> list[Row]:
        """Every row that matches; `limit=-1` means all. The filter is sent in a body, so it may be long.

        `deep` is Directus's: how the lists below each row are read.
        """
        query: Row = {"filter": filter, "fields": list(fields), "limit": limit}
        if sort:
            query["sort"] = list(sort)
        if deep:
            query["deep"] = deep
        if offset:
            query["offset"] = offset
        return cast(
            "list[Row]", self.request("SEARCH", _path(collection), body={"query": query}, repeatable=True)
        )

    def read_singleton(self, collection: str, fields: Sequence[str]) -> Row:
        """The only row of a singleton."""
        return cast(
            "Row", self.request("GET", _path(collection), query={"fields": ",".join(fields)}, repeatable=True)
        )

    def create(self, collection: str, payload: Mapping[str, object], fields: Sequence[str] = ("id",)) -> Row:
        """Create a row. Raises `RecordNotUnique` if a unique column already holds one of its values."""
        return cast("Row", self.request("POST", _path(collection), query=_fields(fields), body=payload))

    def update(
        self, collection: str, key: str, payload: Mapping[str, object], fields: Sequence[str] = ("id",)
    ) -> Row:
        """Update a row in one transaction, nested `{"create": [...], "update": [...]}` lists included."""
        answer = self.request(
            "PATCH", f"{_path(collection)}/{quote(key, safe='')}", query=_fields(fields), body=payload
        )
        return cast("Row", answer or {})

    def update_many(self, collection: str, keys: Sequence[str], payload: Mapping[str, object]) -> None:
        """Write the same values to several rows, all or none; empty `keys` do nothing."""
        if keys:
            self.request(
                "PATCH", _path(collection), query=_fields(("id",)), body={"keys": list(keys), "data": payload}
            )

    # ---- any endpoint -----------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        repeatable: bool = False,
    ) -> Any:
        """Send a request and return the answer's `data` (None for an empty answer).

        `repeatable`: sending twice does no harm. Raises `UpstreamUnavailable` when Directus cannot
        be reached, is overloaded, or something else answers in its place; `RecordNotUnique` and
        `DirectusRejected` when it refuses.
        """
        content = None if body is None else json.dumps(body, default=str).encode()
        kind = {"Content-Type": "application/json"}
        return self._request(method, path, repeatable=repeatable, params=query, content=content, headers=kind)

    def upload(
        self, method: str, path: str, *, fields: Mapping[str, str], content: bytes, content_type: str
    ) -> Any:
        """Send a file as a form, columns first: Directus writes the row before it has read the bytes.

        Retries and raises like `request` for something that must not be sent twice.
        """
        file = {"file": ("file", content, content_type)}
        return self._request(
            method, path, repeatable=False, params=_fields(("id",)), data=dict(fields), files=file
        )

    def _request(self, method: str, path: str, *, repeatable: bool, **request: Any) -> Any:
        """`request` for httpx; built for each attempt."""
        token = self._token.current()
        headers = request.pop("headers", {})
        for attempt in range(1, _ATTEMPTS + 1):
            authorized = {**headers, "Authorization": f"Bearer {token}"}
            built = self._http.build_request(method, f"{self._base_url}{path}", headers=authorized, **request)
            answer = self._send(built, last=attempt == _ATTEMPTS, repeatable=repeatable)
            if answer is None:
                self._sleep(0.2 * 2**attempt)
            elif answer.status == 401 and attempt < _ATTEMPTS:  # noqa: PLR2004  # HTTP's own number
                token = self._token.refresh()
            else:
                return _data(answer, method, path)
        message = "unreachable: the last attempt returns or raises"
        raise AssertionError(message)

    def _send(self, request: httpx.Request, *, last: bool, repeatable: bool) -> Answer | None:
        """None means retry."""
        try:
            answer = send(self._http, request)
        except ConnectionFailed as error:
            if last or (error.maybe_sent and not repeatable):
                raise
            return None
        # 429 and 503 come before anything is written; a gateway's 502 or 504 may come after.
        again = answer.status in _UNAVAILABLE and (repeatable or answer.status in {429, 503})
        return None if again and not last else answer


def _path(collection: str) -> str:
    return (
        f"/{collection.removeprefix('directus_')}"
        if collection.startswith("directus_")
        else f"/items/{collection}"
    )


def _fields(fields: Sequence[str]) -> dict[str, str]:
    return {"fields": ",".join(fields)}


def _data(answer: Answer, method: str, path: str) -> Any:
    document = _parse(answer.body)
    if 200 <= answer.status < 300:  # noqa: PLR2004  # HTTP's own numbers
        if isinstance(document, dict) and "data" in document:
            return document["data"]
        if answer.status == 204 and method not in {"SEARCH", "GET"}:  # noqa: PLR2004  # HTTP's own number
            return None
        # A proxy's maintenance page: taken for "no such row" or "written", it would lose a payment.
        message = f"A server that is not Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message)
    if answer.status == 401:  # noqa: PLR2004  # HTTP's own number
        # Not the request's fault: work waits until an administrator fixes the token.
        message = f"Directus did not accept the service token on {method} {path}."
        raise UpstreamUnavailable(message, code="directus_unauthenticated", retry_after=300)
    if answer.status in _UNAVAILABLE or answer.status >= 500:  # noqa: PLR2004  # HTTP's own numbers
        message = f"Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message, retry_after=answer.retry_after or _RETRY_AFTER)
    extensions = _extensions(document)
    if extensions is None:
        # A proxy's 404 while Directus restarts, its 403, its redirect to a login page: Directus refused nothing.
        message = f"A server that is not Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message, retry_after=answer.retry_after or _RETRY_AFTER)
    raise _refusal(extensions, answer.status, method, path)


def is_refusal(body: bytes) -> bool:
    """Whether the body of a refused request comes from Directus and not from a proxy."""
    return _extensions(_parse(body)) is not None


def _extensions(document: Any) -> Mapping[str, Any] | None:
    """`errors[0].extensions`; None without a `code`, which every error of Directus has."""
    match document:
        case {"errors": [{"extensions": {"code": str(code)} as extensions}, *_]} if code:
            return cast("Mapping[str, Any]", extensions)
        case _:
            return None


def _refusal(extensions: Mapping[str, Any], status: int, method: str, path: str) -> DirectusRejected:
    """Directus's code and field; its sentence only if it names fields and never a value."""
    code, collection, name = (str(extensions.get(key) or "") for key in ("code", "collection", "field"))
    if code == "RECORD_NOT_UNIQUE":
        message = f"{collection}.{name} already holds this value."
        return RecordNotUnique(message, collection=collection, field=name)
    where = f" ({collection}.{name})" if name else ""
    reason = f" {extensions['reason']}" if code == "FORBIDDEN" and extensions.get("reason") else ""
    message = f"Directus answered {status} {code} to {method} {path}{where}.{reason}"
    return DirectusRejected(message, directus_code=code)


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None  # a proxy's HTML page; the status is enough
