"""What happens at Stripe, ordered from the simulator: people pay, banks answer, cardholders dispute.

Every step may be repeated after a lost answer: it looks first at how far Stripe is. A step that meets an outage
raises `Outage`; `persistently` tries it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx

from local.demo.people import Answer, send
from local.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

OUTAGE_STATUSES = frozenset({429, 500, 502, 503, 504})
PATIENCE_SECONDS = 300.0
_PAUSE_SECONDS = 0.2


class Outage(Exception):
    """Somebody did not answer, or answered that he cannot now; the step may be tried again."""


@dataclass
class Patience:
    """Counts how often somebody met an outage and tried again."""

    outages: int = 0

    def persistently[Value](self, what: str, step: Callable[[], Value]) -> Value:
        """Return what the step returns, however often it has to be tried."""

        def attempt() -> list[Value] | None:
            try:
                return [step()]
            except (Outage, httpx.HTTPError):
                self.outages += 1
                return None

        return wait_for(what, attempt, seconds=PATIENCE_SECONDS, pause=_PAUSE_SECONDS)[0]


def answered(answer: Answer) -> Answer:
    """The answer, unless it tells of an outage."""
    if answer.status in OUTAGE_STATUSES:
        raise Outage(f"{answer.status} {answer.body[:200]!r}")
    return answer


@dataclass(frozen=True)
class StripeSide:
    """The simulator: `description` is the part `stripe` of `stack.json`."""

    description: dict[str, str]
    patience: Patience = field(default_factory=Patience)

    # ---- people and banks -------------------------------------------------------------------------------

    def pay(self, session: str, *, method: str = "card", outcome: str = "succeed") -> None:
        """A client pays on the page; returns at once if the session was paid before."""

        def step() -> None:
            if self.object(session)["status"] != "complete":
                self._test(f"checkout/sessions/{session}/pay", {"method": method, "outcome": outcome})

        self.patience.persistently(f"paying {session}", step)

    def decline(self, session: str) -> None:
        """A client's card is declined."""
        body = {"method": "card", "outcome": "fail"}
        self.patience.persistently(
            f"a declined card on {session}", lambda: self._test(f"checkout/sessions/{session}/pay", body)
        )

    def settle(self, session: str, *, outcome: str) -> None:
        """The bank answers about a debit."""

        def step() -> None:
            intent = self.intent_of(session)
            if intent["status"] == "processing":
                self._test(f"payment_intents/{intent['id']}/settle", {"outcome": outcome})

        self.patience.persistently(f"settling {session}", step)

    def refund(self, session: str, amount: int, key: str) -> None:
        """Staff refunds in the dashboard; `key` makes the repetition of a lost answer the same refund."""

        def step() -> None:
            form = urlencode({"payment_intent": self.intent_of(session)["id"], "amount": amount})
            headers = {"Idempotency-Key": key, "Content-Type": "application/x-www-form-urlencoded"}
            self._succeeded(self._v1("POST", "/v1/refunds", headers=headers, raw=form.encode()))

        self.patience.persistently(f"refunding {session}", step)

    def dispute(self, session: str, *, outcome: str) -> None:
        """The cardholder disputes the payment with the bank."""

        def step() -> None:
            charge = self.object(str(self.intent_of(session)["latest_charge"]))
            if not charge["disputed"]:
                self._test(f"charges/{charge['id']}/dispute", {"outcome": outcome})

        self.patience.persistently(f"disputing {session}", step)

    # ---- what Stripe knows ------------------------------------------------------------------------------

    def object(self, identifier: str) -> dict[str, Any]:
        """Any object as it is now."""
        found: dict[str, Any] = self._succeeded(self._send("GET", f"/_test/objects/{identifier}")).json
        return found

    def intent_of(self, session: str) -> dict[str, Any]:
        """The payment intent of a session that somebody began to pay."""
        return self.object(str(self.object(session)["payment_intent"]))

    def listed(self, what: str) -> list[dict[str, Any]]:
        """Every object of a list of Stripe's API (`checkout/sessions`, `events`, ...), newest first."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            path = f"/v1/{what}?limit=100{after}"
            page = self.patience.persistently(what, lambda path=path: self._page(path))  # type: ignore[misc]  # bound now
            found += page["data"]
            if not page["has_more"]:
                return found
            after = f"&starting_after={page['data'][-1]['id']}"

    def disturb(self, **settings: Any) -> None:
        """`/_test/deliveries`: duplicate, reorder, drop, lose."""
        self._test("deliveries", settings)

    def deliveries(self) -> dict[str, Any]:
        """Every attempt to deliver an event (`data`), and those still to come (`waiting`)."""
        found: dict[str, Any] = self._succeeded(self._send("GET", "/_test/deliveries")).json
        return found

    # ---- how --------------------------------------------------------------------------------------------

    def _page(self, path: str) -> dict[str, Any]:
        page: dict[str, Any] = self._succeeded(self._v1("GET", path)).json
        return page

    def _test(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        done: dict[str, Any] = self._succeeded(self._send("POST", f"/_test/{path}", body=body)).json
        return done

    def _v1(self, method: str, path: str, *, headers: dict[str, str] | None = None, **given: Any) -> Answer:
        key = {"Authorization": f"Bearer {self.description['secret_key']}"}
        return self._send(method, path, headers={**key, **(headers or {})}, **given)

    def _send(self, method: str, path: str, **given: Any) -> Answer:
        return answered(send(method, f"{self.description['api_base']}{path}", **given))

    @staticmethod
    def _succeeded(answer: Answer) -> Answer:
        assert answer.status == HTTPStatus.OK, f"The simulator answers {answer.status} {answer.body[:400]!r}."
        return answer
