"""A small REST client for the installer: requests to one Directus with an administrator's token or none."""

import json
import ssl
import weakref
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Self
from urllib.parse import urlencode

import httpx


class InstallerError(Exception):
    """The installer cannot continue; the message is one sentence for the administrator."""


class DirectusRefused(InstallerError):
    """Directus answered with an error; `status`, `code` and `message` are its own."""

    def __init__(self, method: str, path: str, status: int, code: str, message: str) -> None:
        """`code` is `extensions.code` of Directus's first error."""
        super().__init__(f"Directus refused {method} {path}: {status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


class Directus:
    """One Directus with one token (or none). Never repeats a request that may have taken effect."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> None:
        """`url` without a path; `token` a static token; `timeout` in seconds for one request."""
        if not url.startswith(("http://", "https://")):
            message = f"{url!r} is not an address; write it like https://directus.example.com."
            raise InstallerError(message)
        self.url = url.rstrip("/")
        self._headers = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        # The machine's certificates, and not httpx's own list: a firm may have its own authority.
        self._http = httpx.Client(timeout=timeout, trust_env=False, verify=_certificates())
        self.close = weakref.finalize(self, self._http.close)
        """Close the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and parsed JSON (or text, or `None`) of one request; numbers with a point as `Decimal`."""
        if body is None:
            return self._parsed(method, path)
        return self.send(method, path, json.dumps(body).encode(), "application/json")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The `data` of the answer; `DirectusRefused` for every status that is not 2xx."""
        return _data(method, path, *self.answer(method, path, body))

    def upload(self, path: str, file: tuple[str, bytes, str], **fields: str) -> Any:
        """POST a form; the `data` of the answer."""
        return _data("POST", path, *self.form("POST", path, file, **fields))

    def form(self, method: str, path: str, file: tuple[str, bytes, str], **fields: str) -> tuple[int, Any]:
        """Status and parsed answer of a form: a file (name, bytes, media type) and its columns before it."""
        return self._parsed(method, path, files={"file": file}, data=fields)

    def send(self, method: str, path: str, body: bytes, content_type: str) -> tuple[int, Any]:
        """Status and parsed answer of a request with a body of any type."""
        return self._parsed(method, path, content=body, headers={"Content-Type": content_type})

    def raw(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and bytes of an answer that is not JSON, for example a file."""
        return self._bytes(method, path, **({} if body is None else {"json": body}))

    def _parsed(self, method: str, path: str, **request: Any) -> tuple[int, Any]:
        status, content = self._bytes(method, path, **request)
        text = content.decode("utf-8", "replace")
        try:
            return status, json.loads(text, parse_float=Decimal) if text else None
        except json.JSONDecodeError:
            return status, text

    def _bytes(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        headers = {**self._headers, **request.pop("headers", {})}
        try:
            response = self._http.request(method, self.url + path, headers=headers, **request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            message = f"{self.url!r} is not an address; write it like https://directus.example.com."
            raise InstallerError(message) from None
        except httpx.RequestError as error:
            message = f"Directus does not answer at {self.url} ({type(error).__name__}). Is it running?"
            raise InstallerError(message) from None
        return response.status_code, response.content

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list; `query` as Directus names it, objects as JSON."""
        parameters = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()
        }
        rows = self.call("GET", f"{path}?{urlencode({'limit': '-1', **parameters})}")
        if not isinstance(rows, list):
            message = f"{self.url}{path} did not answer with a list; is this a Directus?"
            raise InstallerError(message)
        return rows


def _data(method: str, path: str, status: int, answer: Any) -> Any:
    if status // 100 == 2:  # noqa: PLR2004  2xx is how HTTP says yes
        return answer.get("data") if isinstance(answer, dict) else answer
    errors = answer.get("errors") if isinstance(answer, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else {}
    code = str(first.get("extensions", {}).get("code", ""))
    raise DirectusRefused(method, path, status, code, str(first.get("message", answer)))
