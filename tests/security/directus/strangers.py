"""A Directus that believes X-Forwarded-For, so that a test can come from any address; its mail is caught.

It is one more process on the world's database: what it counts troubles no other test. Passwords are cheap to check and a
refused one is answered at once, so that hundreds can be tried.
"""

import itertools
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller

from local.mail_catcher import Mailbox, Receiver
from local.waiting import wait_for
from tests.integration.directus.functions_stub import free_port
from tests.integration.directus.server import RunningDirectus, another
from tests.security.directus.world import World

PASSWORD = "Correct-horse-battery-1"
CLIENT_ROLE = "5a1c0de0-0000-4000-8000-000000000101"
RESET_URL = "https://portal.example.com/password/reset"
_ADDRESSES = itertools.count(1)


def new_address() -> str:
    """An address of IPv4 that no other test comes from."""
    number = next(_ADDRESSES)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@dataclass(frozen=True)
class Answer:
    """One answer; `body` as text, without what differs by the clock alone."""

    status: int
    retry_after: int | None
    body: str

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Strangers:
    """The Directus, and its mailbox."""

    server: RunningDirectus
    mailbox: Mailbox
    accounts: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        address: str | None = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        """One request as written (the path is not normalised), by default from a unique address."""
        sent = {
            "Content-Type": "application/json",
            "X-Forwarded-For": address or new_address(),
            **(headers or {}),
        }
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = HTTPConnection(str(urlsplit(self.server.url).netloc), timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        retry_after = answer.getheader("Retry-After")
        return Answer(answer.status, int(retry_after) if retry_after else None, _without_clock(text))

    def log_in(
        self, email: str, password: str = "wrong", *, address: str | None = None, **more: Any
    ) -> Answer:
        return self.ask(
            "POST", "/auth/login", {"email": email, "password": password, **more}, address=address
        )

    def at_once(self, requests: int, email: str, address: str) -> list[Answer]:
        with ThreadPoolExecutor(requests) as pool:
            return list(pool.map(lambda _: self.log_in(email, address=address), range(requests)))

    def account(self, **fields: Any) -> str:
        """Create an account, by default with `PASSWORD`; returns its address.

        A password of None is left out: a policy of passwords refuses null, and not a field that is not sent.
        """
        email = f"{uuid.uuid4().hex[:12]}@example.com"
        asked = {"email": email, "password": PASSWORD, "role": CLIENT_ROLE, **fields}
        row = {name: value for name, value in asked.items() if value is not None}
        self.accounts[email] = str(self.server.admin.call("POST", "/users", row)["id"])
        return email

    @cached_property
    def kinds(self) -> dict[str, str]:
        """An address of each kind that a stranger must not be able to distinguish; for tests that change nothing."""
        return self.new_kinds()

    def new_kinds(self) -> dict[str, str]:
        """Addresses of each kind that no test has used."""
        sso = {"provider": "okta", "external_identifier": uuid.uuid4().hex, "password": None}
        return {
            "active": self.account(),
            "suspended": self.account(status="suspended"),
            "invited": self.account(status="invited", password=None),
            "single sign-on": self.account(**sso),
            "without a password": self.account(password=None),
            "unknown": f"{uuid.uuid4().hex[:12]}@example.com",
        }

    def mailed_since(self, before: int) -> list[str]:
        """Who was mailed, once everything asked for before now has been sent: a last letter shows that."""
        seen = self._recipients(before).count(self._last)
        self.ask("POST", "/auth/password/request", {"email": self._last})
        wait_for("the last letter", lambda: self._recipients(before).count(self._last) > seen, seconds=30)
        return [recipient for recipient in self._recipients(before) if recipient != self._last]

    @cached_property
    def _last(self) -> str:
        return self.account()

    @property
    def letters(self) -> int:
        return len(self.mailbox.messages())

    def _recipients(self, before: int) -> list[str]:
        return [recipient for message in self.mailbox.messages()[before:] for recipient in message["to"]]


def _without_clock(text: str) -> str:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return text
    for error in answer.get("errors", []) if isinstance(answer, dict) else []:
        error.get("extensions", {}).pop("reset", None)
    return json.dumps(answer)


@contextmanager
def strangers(world: World, **variables: str) -> Iterator[Strangers]:
    """Start it; `variables` are Directus's."""
    port = free_port()
    told = {
        "IP_TRUST_PROXY": "true",
        "LOGIN_STALL_TIME": "0",
        "HASH_MEMORY_COST": "1024",
        "HASH_TIME_COST": "2",
        "EMAIL_SMTP_PORT": str(port),
        "EMAIL_SMTP_IGNORE_TLS": "true",
        "PASSWORD_RESET_URL_ALLOW_LIST": RESET_URL,
        **variables,
    }
    with another(world.directus, told) as server:
        mailbox = Mailbox(server.directory / "mail")
        controller = Controller(Receiver(mailbox), hostname="127.0.0.1", port=port)
        controller.start()
        try:
            yield Strangers(server, mailbox)
        finally:
            controller.stop()
