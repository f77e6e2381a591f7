"""Deliveries of events to the webhook endpoint: signed, several at a time, retried, and disturbed on order.

As at Stripe: every attempt is signed again, order is not guaranteed, only a 2xx counts, redirects do not.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from local.stripe_simulator.errors import DishonestAnswer
from local.stripe_simulator.jobs import run_due_jobs
from local.stripe_simulator.store import Delivery, StripeObject, public
from local.stripe_simulator.world import World

logger = logging.getLogger(__name__)

#: Seconds before the second, third, … attempt. Stripe's own steps are unpublished and last up to three days; these
#: begin quickly, because a developer waits, and end after about three days too.
RETRY_DELAYS: tuple[float, ...] = (1, 2, 5, 15, 60, 300, 1800, 7200, 18000, 36000, *([43200] * 4))
#: Default number of concurrent deliveries.
AT_A_TIME = 3
MOST_AT_A_TIME = 64
#: With `reorder`, how long events are gathered before they are sent in another order.
GATHERING_SECONDS = 0.5
#: With `reorder`, among how many of the oldest events the next one is chosen.
_REORDER_WINDOW = 200
_TIMEOUT = 20.0
_CERTIFICATES = ssl.create_default_context()
_LONGEST_NAP = 1.0

#: Sends a body with headers to a URL and returns the HTTP status, 0 without an answer.
type Send = Callable[[str, bytes, dict[str, str]], int]


def signature(body: bytes, secrets: Sequence[str], timestamp: int) -> str:
    """The `Stripe-Signature` header: one `v1` for each secret (two while one is being rolled) and test mode's `v0`."""
    payload = f"{timestamp}.".encode() + body
    signed = [f"v1={hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={timestamp}", *signed, f"v0={hashlib.sha256(payload).hexdigest()}"])


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The real `Send`."""
    try:
        # On a new connection: a kept one may be stale, and a stale one looks like a refusal.
        return httpx.post(
            url, content=body, headers=headers, timeout=_TIMEOUT, trust_env=False, verify=_CERTIFICATES
        ).status_code
    except (httpx.HTTPError, OSError):
        return 0


@dataclass(frozen=True)
class Endpoint:
    """Where events go; `secrets` are whsec_… strings, the newest first."""

    url: str
    secrets: tuple[str, ...]


class Deliverer:
    """Delivers what waits, and runs what is due, until it is stopped."""

    def __init__(
        self,
        world: World,
        endpoint: Endpoint | None,
        *,
        send: Send = post,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        at_a_time: int = AT_A_TIME,
    ) -> None:
        """Without an endpoint nothing waits, and only the due jobs are run."""
        self._world = world
        self._endpoint = endpoint
        self._send = send
        self._retry_delays = tuple(retry_delays)
        self._at_a_time = at_a_time
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._random = random.Random(1)  # noqa: S311 - an order, not a secret
        self.defects: list[str] = []

    def wake(self) -> None:
        """Something changed: look again now."""
        self._wake.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._wake.clear()
            try:
                run_due_jobs(self._world)
            except DishonestAnswer as error:
                logger.exception("A job could not be done honestly.")
                self._note_defect(str(error))
            nap = self._start_due() if self._endpoint is not None else _LONGEST_NAP
            try:
                await asyncio.wait_for(self._wake.wait(), min(nap, _LONGEST_NAP))
            except TimeoutError:
                continue

    def _start_due(self) -> float:
        """Starts what may start; gives the seconds after which to look again."""
        now = time.time()
        store = self._world.store
        free = self._at_a_time - len(self._in_flight)
        if free > 0:
            reorder = bool(self._world.delivery_settings()["reorder"])
            window = _REORDER_WINDOW if reorder else free
            found = store.due_deliveries(now, window + len(self._in_flight))
            due = [delivery for delivery in found if delivery.event not in self._in_flight]
            if reorder and due:
                gathered_at = min(delivery.due for delivery in due) + GATHERING_SECONDS
                if now < gathered_at:
                    return gathered_at - now
                due = self._shuffled(due)
            for delivery in due[:free]:
                task = asyncio.create_task(self._deliver(delivery))
                self._in_flight[delivery.event] = task
                task.add_done_callback(self._done(delivery.event))
        # With no place free the next one to end wakes us.
        upcoming = [store.next_delivery_due(after=now), store.next_job_due()]
        return max(0.01, min([_LONGEST_NAP, *(moment - now for moment in upcoming if moment is not None)]))

    def _shuffled(self, due: list[Delivery]) -> list[Delivery]:
        """Another order: which one is left to chance, but the oldest goes alone, after another."""
        oldest, *others = due
        self._random.shuffle(others)
        if others:
            return others
        return [] if self._in_flight else [oldest]

    def _note_defect(self, defect: str) -> None:
        if defect not in self.defects:  # the loop meets the same one again and again
            self.defects.append(defect)

    def _done(self, event: str) -> Callable[[asyncio.Task[None]], None]:
        def callback(task: asyncio.Task[None]) -> None:
            self._in_flight.pop(event, None)
            if not task.cancelled() and task.exception() is not None:
                self._note_defect(f"Delivering {event}: {task.exception()!r}")
                logger.error("Delivering %s failed.", event, exc_info=task.exception())
            self.wake()

        return callback

    async def _deliver(self, delivery: Delivery) -> None:
        event = self._world.find(delivery.event, "event")
        attempt = delivery.attempts + 1
        settings = self._world.delivery_settings()
        if settings["drop"]:
            with self._world.store.transaction():
                self._world.store.store_setting("deliveries", {**settings, "drop": settings["drop"] - 1})
                self._world.store.log_attempt(event, attempt=attempt, status=0, outcome="dropped")
                self._retry_later(delivery, attempt)
            return
        statuses = await asyncio.gather(*(self._attempt(event) for _ in range(1 + settings["duplicate"])))
        with self._world.store.transaction():
            for status in statuses:
                self._world.store.log_attempt(event, attempt=attempt, status=status, outcome=_outcome(status))
            if any(_accepted(status) for status in statuses):
                self._mark_delivered(delivery.event)
            else:
                self._retry_later(delivery, attempt)

    async def _attempt(self, event: StripeObject) -> int:
        assert self._endpoint is not None
        body = json.dumps(public(event), indent=2, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._endpoint.secrets, int(time.time())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        return await _in_a_daemon_thread(self._send, self._endpoint.url, body, headers)

    def _mark_delivered(self, identifier: str) -> None:
        event = self._world.find(identifier, "event")  # read again: it may have been aged meanwhile
        self._world.store.put({**event, "pending_webhooks": 0})
        self._world.store.delivered(identifier)

    def _retry_later(self, delivery: Delivery, attempt: int) -> None:
        if attempt > len(self._retry_delays):
            self._world.store.delivered(
                delivery.event
            )  # given up; the event stays undelivered in the events list
        else:
            due = time.time() + self._retry_delays[attempt - 1]
            self._world.store.queue(delivery.event, due=due, attempts=attempt)


def _accepted(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own classes


def _outcome(status: int) -> str:
    if status == 0:
        return "unreachable"
    return "delivered" if _accepted(status) else "refused"


async def _in_a_daemon_thread(send: Send, url: str, body: bytes, headers: dict[str, str]) -> int:
    """Runs `send` in a thread that does not keep the process alive, as those of an executor would."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()

    def finish(status: int) -> None:
        if not future.done():
            future.set_result(status)

    def work() -> None:
        status = send(url, body, headers)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped meanwhile
            loop.call_soon_threadsafe(finish, status)

    threading.Thread(target=work, daemon=True).start()
    return await future
