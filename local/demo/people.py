"""People and programs that use the stack from outside: a user of Directus, a browser at Stripe's page."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

import httpx

_http = httpx.Client(timeout=httpx.Timeout(60, connect=5), trust_env=False)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `json` parses numbers with a point as `Decimal`."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def data(self) -> Any:
        """Directus's `data`; an assertion names the refusal if there is none."""
        assert self.status < HTTPStatus.MULTIPLE_CHOICES, f"{self.status} {self.body[:400]!r}"
        return self.json["data"] if self.body else None

    @property
    def error_code(self) -> str | None:
        """Directus's or our own error code."""
        document: dict[str, Any] = self.json
        errors = document.get("errors")
        return str(errors[0]["extensions"]["code"]) if errors else document.get("code")


def send(
    method: str,
    url: str,
    *,
    body: Any = None,
    headers: dict[str, str] | None = None,
    raw: bytes | None = None,
) -> Answer:
    """Send one request, JSON unless `raw` is given; redirects are not followed."""
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    content = raw if raw is not None else (None if body is None else json.dumps(body, default=str).encode())
    answer = _http.request(method, url, content=content, headers=all_headers)
    return Answer(answer.status_code, answer.content, dict(answer.headers))


@dataclass
class Person:
    """A user (anonymous without a token) of Directus's REST API; a login lasts as long as the object."""

    directus_url: str
    token: str | None = None
    #: The address and the password of a user who logged in.
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def log_in(cls, directus_url: str, email: str, password: str) -> Self:
        """Log in as a person does."""
        person = cls(directus_url, credentials=(email, password))
        person.log_in_again()
        return person

    def log_in_again(self) -> None:
        """Get another token: Directus's last for a quarter of an hour."""
        assert self.credentials is not None
        email, password = self.credentials
        answer = send("POST", f"{self.directus_url}/auth/login", body={"email": email, "password": password})
        self.token = str(answer.data["access_token"])

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request with this person's rights."""
        answer = self._send(method, path, body)
        expired = answer.status == HTTPStatus.UNAUTHORIZED and b"TOKEN_EXPIRED" in answer.body
        if not (expired and self.credentials):
            return answer
        self.log_in_again()
        return self._send(method, path, body)

    def _send(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return send(method, f"{self.directus_url}{path}", body=body, headers=headers)

    def create(self, collection: str, row: dict[str, Any]) -> dict[str, Any]:
        """Create a row that this person may create."""
        created: dict[str, Any] = self.ask("POST", f"/items/{collection}", row).data
        return created

    def update(self, collection: str, key: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a row that this person may change."""
        changed: dict[str, Any] = self.ask("PATCH", f"/items/{collection}/{key}", changes).data
        return changed

    def read(self, collection: str, key: str, fields: str = "*") -> dict[str, Any]:
        """Read a row that this person may read."""
        row: dict[str, Any] = self.ask("GET", f"/items/{collection}/{key}?fields={fields}").data
        return row

    def list(self, collection: str, condition: dict[str, Any], fields: str = "*") -> list[dict[str, Any]]:
        """Every row this person may see."""
        query = urlencode({"filter": json.dumps(condition), "fields": fields, "limit": -1})
        rows: list[dict[str, Any]] = self.ask("GET", f"/items/{collection}?{query}").data
        return rows

    def pay(self, flow: str, invoice: str, amount: str | None = None) -> Answer:
        """Press Pay: trigger the Pay invoice flow."""
        body = {"invoice": invoice} | ({"amount": amount} if amount else {})
        return self.ask("POST", f"/flows/trigger/{flow}", body)


def pay_on_the_page(url: str, card_number: str) -> Answer:
    """Open the hosted payment page like a browser, fill in the card number and press Pay by card."""
    page = send("GET", url)
    names = set(re.findall(r'<(?:input|button)[^>]*name="([^"]+)"', page.body.decode()))
    assert page.status == HTTPStatus.OK, f"The payment page answers {page.status}."
    assert {"number", "method"} <= names, f"The payment page's form has only {sorted(names)}."
    return send(
        "POST",
        url,
        raw=urlencode({"number": card_number, "method": "card"}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
