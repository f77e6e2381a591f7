"""The bytes of a file in Directus, whatever its storage."""

from typing import Protocol
from urllib.parse import quote

import httpx

from billing.directus.client import Answer, Token, is_refusal, send
from billing.errors import AnswerTooLarge, DirectusRejected, Unprocessable, UpstreamUnavailable


class FileBytes(Protocol):
    """Reads files that staff uploaded."""

    def read(self, file: str) -> bytes:
        """The whole file. Raises `DirectusRejected` if missing or forbidden, `Unprocessable` if too large."""
        ...


class DirectusAssets:
    """`FileBytes` on Directus's `/assets`, with the service user's token."""

    def __init__(self, base_url: str, token: Token, http: httpx.Client, *, maximum_bytes: int) -> None:
        """`base_url` of Directus. `maximum_bytes`: a larger file is not read, regardless of its row in Directus."""
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._http = http
        self._maximum_bytes = maximum_bytes

    def read(self, file: str) -> bytes:
        """The whole file as uploaded."""
        token = self._token.current()
        answer = self._get(file, token)
        if answer.status == 401:  # noqa: PLR2004  # HTTP's own number
            answer = self._get(file, self._token.refresh())
        if answer.status == 200:  # noqa: PLR2004  # HTTP's own number
            return answer.body
        if answer.status in {408, 429} or answer.status >= 500 or not is_refusal(answer.body):  # noqa: PLR2004  # HTTP's own number
            message = f"Directus answered {answer.status} when asked for a file."
            raise UpstreamUnavailable(message, file=file)
        message = (
            f"Directus answered {answer.status} when asked for a file; check the service user's permissions."
        )
        raise DirectusRejected(message, file=file)

    def _get(self, file: str, token: str) -> Answer:
        url = f"{self._base_url}/assets/{quote(file, safe='')}"
        request = self._http.build_request("GET", url, headers={"Authorization": f"Bearer {token}"})
        try:
            return send(self._http, request, maximum_bytes=self._maximum_bytes)
        except AnswerTooLarge:
            message = (
                f"The file has more than {self._maximum_bytes} bytes, more than its row in Directus says."
            )
            raise Unprocessable(message, code="file_too_large", file=file) from None
