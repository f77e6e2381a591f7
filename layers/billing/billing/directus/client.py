"""Directus over REST, with its traps handled in one place (measured on 11.17.4).

- A missing row and a forbidden one are both 403: rows are read by a filter, so that missing is an empty list.
- Lists are cut at 100 rows unless `limit` is sent, nested lists unless `deep` says so (`ledger/store.py`).
- Money is a number on SQLite and a string on PostgreSQL: numbers are parsed as `Decimal`.
- An update may answer 204 without a body. Unknown fields in a payload are dropped without a word.
- A taken unique value is a 400 `RECORD_NOT_UNIQUE`.
- Every refusal of Directus's carries `errors[].extensions.code`. One without it is somebody else's (a proxy, a
  firewall, a maintenance page) and may be gone the next minute: `UpstreamUnavailable`, whatever its status.
- Writes are repeated only when they surely did not arrive; reads also on 429, 503 and lost answers.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote, urlencode

import urllib3

from billing.errors import (
    AnswerTooLarge,
    ConnectionFailed,
    DirectusRejected,
    RecordNotUnique,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from billing.aws.deadline import TimeLimit
    from billing.directus.rows import Row


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


_ATTEMPTS = 3

_UNAVAILABLE = frozenset({408, 429, 502, 503, 504})


class Token(Protocol):
    """The service user's static token; `refresh` reads it again after a 401 (it may have been rotated)."""

    def current(self) -> str:
        """The token to send."""
        ...

    def refresh(self) -> str:
        """Read the token again, past every cache."""
        ...


class DirectusClient:
    """Reads and writes rows as the service user (or as whoever owns the token)."""

    def __init__(
        self,
        base_url: str,
        token: Token,
        transport: Transport,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`sleep` takes seconds; tests pass one that only records."""
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._transport = transport
        self._sleep = sleep

    # ---- rows -------------------------------------------------------------------------------------------

    def read_one(self, collection: str, key: str, fields: Sequence[str]) -> Row | None:
        """One row by primary key, None if there is none (or this user may not see it)."""
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
        """Every row that matches; `limit=-1` means all of them. The filter travels in a body, so it may be long.

        `deep` is Directus's own: how the lists below each row are read.
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
        """Create a row; `RecordNotUnique` if a unique column already holds a value of it."""
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
        """Write the same values to several rows, all or none; an empty `keys` does nothing."""
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

        `repeatable` says that sending twice does no harm. Raises `UpstreamUnavailable` when Directus cannot
        be reached, is overloaded, or something else answers in its place; `RecordNotUnique` and
        `DirectusRejected` when it refuses.
        """
        payload = None if body is None else json.dumps(body, default=str).encode()
        return self._request(method, path, query, payload, "application/json", repeatable=repeatable)

    def upload(
        self, method: str, path: str, *, fields: Mapping[str, str], content: bytes, content_type: str
    ) -> Any:
        """Send a file as a form, its columns first: Directus writes the row before it has read the bytes.

        Repeated and refused as `request` does with what must not be sent twice.
        """
        kind, payload = _form(fields, content, content_type)
        return self._request(method, path, _fields(("id",)), payload, kind, repeatable=False)

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        payload: bytes | None,
        content_type: str,
        *,
        repeatable: bool,
    ) -> Any:
        url = f"{self._base_url}{path}" + (f"?{urlencode(query)}" if query else "")
        token = self._token.current()
        for attempt in range(1, _ATTEMPTS + 1):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
            last = attempt == _ATTEMPTS
            answer = self._send(method, url, payload, headers, last=last, repeatable=repeatable)
            if answer is None:
                self._sleep(0.2 * 2**attempt)
            elif answer.status == 401 and attempt < _ATTEMPTS:  # noqa: PLR2004  # HTTP's own number
                token = self._token.refresh()
            else:
                return _data(answer, method, path)
        message = "unreachable: the last attempt returns or raises"
        raise AssertionError(message)

    def _send(
        self,
        method: str,
        url: str,
        payload: bytes | None,
        headers: Mapping[str, str],
        *,
        last: bool,
        repeatable: bool,
    ) -> HttpResponse | None:
        """None means: try again."""
        try:
            answer = self._transport.send(method, url, headers=headers, body=payload)
        except ConnectionFailed as error:
            if last or (error.maybe_sent and not repeatable):
                raise
            return None
        # 429 and 503 are answered before anything is written; a gateway's 502 or 504 may come after.
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


def _form(fields: Mapping[str, str], content: bytes, content_type: str) -> tuple[str, bytes]:
    """A `multipart/form-data` body and its content type; the file comes last."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
    parts += [
        f"{head}Content-Type: {content_type}\r\n\r\n".encode(),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def _data(answer: HttpResponse, method: str, path: str) -> Any:
    document = _parse(answer.body)
    if 200 <= answer.status < 300:  # noqa: PLR2004  # HTTP's own numbers
        if isinstance(document, dict) and "data" in document:
            return document["data"]
        if answer.status == 204 and method not in {"SEARCH", "GET"}:  # noqa: PLR2004  # HTTP's own number
            return None
        # A maintenance page of a proxy: "no such row" or "written" would be a lie that loses a payment.
        message = f"Something that is not Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message)
    if answer.status == 401:  # noqa: PLR2004  # HTTP's own number
        # A matter for the administrator, but not the request's fault: work waits until the token is right.
        message = f"Directus did not accept the service token on {method} {path}."
        raise UpstreamUnavailable(message, code="directus_unauthenticated", retry_after=300)
    if answer.status in _UNAVAILABLE or answer.status >= 500:  # noqa: PLR2004  # HTTP's own numbers
        message = f"Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message, retry_after=_retry_after(answer))
    extensions = _extensions(document)
    if extensions is None:
        # A proxy's 404 while Directus restarts, its 403, its way to a login page: Directus refused nothing.
        message = f"Something that is not Directus answered {answer.status} to {method} {path}."
        raise UpstreamUnavailable(message, retry_after=_retry_after(answer))
    raise _refusal(extensions, answer.status, method, path)


def is_refusal(body: bytes) -> bool:
    """Whether the body of a refused request is Directus's own: a proxy's page refuses nothing."""
    return _extensions(_parse(body)) is not None


def _extensions(document: Any) -> Mapping[str, Any] | None:
    """`errors[0].extensions`; None without a `code`, which every error of Directus's has: then it is not Directus's."""
    match document:
        case {"errors": [{"extensions": {"code": str(code)} as extensions}, *_]} if code:
            return cast("Mapping[str, Any]", extensions)
        case _:
            return None


def _refusal(extensions: Mapping[str, Any], status: int, method: str, path: str) -> DirectusRejected:
    """Directus's own code and field; its sentence only where it names fields and never a value."""
    code, collection, name = (str(extensions.get(key) or "") for key in ("code", "collection", "field"))
    if code == "RECORD_NOT_UNIQUE":
        message = f"{collection}.{name} already holds this value."
        return RecordNotUnique(message, collection=collection, field=name)
    where = f" ({collection}.{name})" if name else ""
    reason = f" {extensions['reason']}" if code == "FORBIDDEN" and extensions.get("reason") else ""
    message = f"Directus answered {status} {code} to {method} {path}{where}.{reason}"
    return DirectusRejected(message, directus_code=code)


def _retry_after(answer: HttpResponse) -> int:
    value = answer.headers.get("retry-after", "")
    return int(value) if value.isdigit() else 30


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError:
        return None  # a proxy's HTML page; the status says enough
