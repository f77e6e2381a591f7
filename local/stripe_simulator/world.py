"""The simulated Stripe account: its memory, its clock, its names, and the one way to announce an event."""

import secrets
import string
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from local.stripe_simulator.errors import DishonestAnswer, StripeError
from local.stripe_simulator.openapi import StripeDocument
from local.stripe_simulator.store import Store, StripeObject, public

_ALPHABET = string.ascii_letters + string.digits
DELIVERY_SETTINGS = {"duplicate": 0, "reorder": False, "drop": 0, "lose": 0}


@dataclass(frozen=True)
class ApiRequest:
    """The call that caused an event: Stripe names it in the event; null without a call."""

    id: str | None = None
    idempotency_key: str | None = None


NOBODY = ApiRequest()


class World:
    """What all parts of the simulator share.

    `base_url` is where the simulator is reached (`http://127.0.0.1:12120`); `webhook_events` are the event types
    the endpoint subscribed to, None for all; `fee_delay` in seconds is how long after a payment Stripe's fee is
    known (Stripe captures asynchronously and announces the fee with `charge.updated`).
    """

    def __init__(
        self,
        *,
        store: Store,
        document: StripeDocument,
        base_url: str,
        has_endpoint: bool = True,
        webhook_events: frozenset[str] | None = None,
        fee_delay: float = 1.0,
    ) -> None:
        """Nothing happens until it is asked for."""
        self.store = store
        self.document = document
        self.base_url = base_url
        self.fee_delay = fee_delay
        self.on_change: Callable[[], None] = lambda: None
        self._has_endpoint = has_endpoint
        self._webhook_events = webhook_events
        self._announced: list[str] = []

    def now(self) -> int:
        """The time in whole seconds, as Stripe writes it."""
        return int(time.time())

    def new_id(self, prefix: str, length: int = 24) -> str:
        """An unguessable id: `pi_3…`."""
        return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))

    @contextmanager
    def change(self) -> Iterator[list[str]]:
        """A transaction; gives the list to which the ids of the events announced in it are added."""
        announced: list[str] = []
        self._announced = announced
        with self.store.transaction():
            yield announced
        self.on_change()

    def find(self, identifier: str, kind: str, parameter: str = "id") -> StripeObject:
        """The object of that kind, or Stripe's 404."""
        body = self.store.get(identifier)
        if body is None or body["object"] != kind:
            name = kind.replace(".", " ").replace("_", " ")
            message = f"No such {name}: '{identifier[:80]}'"
            raise StripeError(404, message, code="resource_missing", parameter=parameter)
        return body

    def announce(
        self,
        event_type: str,
        subject: StripeObject,
        *,
        previous: StripeObject | None = None,
        cause: ApiRequest = NOBODY,
    ) -> None:
        """Makes an event about `subject` as it is now, checks it against the document and queues it."""
        wanted = self._has_endpoint and (self._webhook_events is None or event_type in self._webhook_events)
        snapshot = public(subject)
        event: StripeObject = {
            "id": self.new_id("evt_1"),
            "object": "event",
            "api_version": self.document.api_version,
            "created": self.now(),
            "data": {"object": snapshot} | ({} if previous is None else {"previous_attributes": previous}),
            "livemode": False,
            "pending_webhooks": 1 if wanted else 0,
            "request": {"id": cause.id, "idempotency_key": cause.idempotency_key},
            "type": event_type,
        }
        self.must_follow(snapshot["object"], snapshot)
        self.must_follow("event", event)
        self.store.put(event)
        self._announced.append(event["id"])
        if wanted:
            self._queue(event)

    def must_follow(self, kind: str, body: StripeObject) -> None:
        """Raises `DishonestAnswer` unless `body` matches Stripe's document."""
        violations = self.document.violations_of_object(kind, body)
        if violations:
            raise DishonestAnswer(f"A {kind}", violations)

    def delivery_settings(self) -> dict[str, int | bool]:
        """How deliveries are disturbed just now; see `/_test/deliveries`."""
        return {**DELIVERY_SETTINGS, **self.store.setting("deliveries", {})}

    def _queue(self, event: StripeObject) -> None:
        settings = self.delivery_settings()
        if settings["lose"]:
            self.store.store_setting("deliveries", {**settings, "lose": settings["lose"] - 1})
            self.store.log_attempt(event, attempt=0, status=0, outcome="lost")
        else:
            self.store.queue(event["id"], due=time.time())
