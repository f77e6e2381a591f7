"""Stripe's deliveries as they come at their worst: shuffled, some twice and more, some never."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from bench.stripe_side import Patience, answered
from local.demo.people import send
from local.stripe_simulator.store import Store
from local.stripe_simulator.webhooks import signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from local.demo.steps import Firm
    from local.stack import Stack

PER_PAYMENT: Final = 5
REPEATED_PER_PAYMENT: Final = 1
"""Of the five deliveries of a payment on average, one repeats another."""

SILENT_ONE_IN: Final = 25
"""Of every so many payments no event arrives at all."""


@dataclass(frozen=True)
class Deliveries:
    """What arrives, in this order; `events` there were, of which `lost` never arrive."""

    bodies: Sequence[bytes]
    #: The ids of the events that arrive.
    arriving: frozenset[str]
    events: int
    lost: int
    repeated: int
    silent_payments: int


def chosen(
    events: Sequence[dict[str, Any]], session_of: Mapping[str, str], payments: int, seed: int
) -> Deliveries:
    """Choose five deliveries a payment, one of them a repetition, and their order.

    `session_of`: the id of each event's payment, by event id. Every twenty-fifth payment is silent.
    """
    chooser = random.Random(seed)  # noqa: S311  # the same storm in every run, not a secret
    of_payment: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        of_payment[session_of[event["id"]]].append(event)
    silent = set(chooser.sample(sorted(of_payment), max(1, len(of_payment) // SILENT_ONE_IN)))
    heard = [event for event in events if session_of[event["id"]] not in silent]
    distinct = min(len(heard), (PER_PAYMENT - REPEATED_PER_PAYMENT) * payments)
    once = chooser.sample(heard, distinct)
    again = chooser.choices(once, k=PER_PAYMENT * payments - distinct)
    arriving = [*once, *again]
    chooser.shuffle(arriving)
    bodies = {event["id"]: json.dumps(event, indent=2, ensure_ascii=False).encode() for event in once}
    return Deliveries(
        bodies=[bodies[event["id"]] for event in arriving],
        arriving=frozenset(bodies),
        events=len(events),
        lost=len(events) - distinct,
        repeated=len(again),
        silent_payments=len(silent),
    )


def deliver(firm: Firm, bodies: Sequence[bytes], *, threads: int) -> float:
    """Post every body, signed, until it is taken; return the seconds it took."""
    url = f"{firm.description['functions']['api_url']}/stripe/webhook"
    secret = firm.description["stripe"]["webhook_secret"]
    patience = Patience()

    def post(raw: bytes) -> None:
        def step() -> None:
            headers = {"Stripe-Signature": signature(raw, [secret], int(time.time()))}
            answer = answered(send("POST", url, raw=raw, headers=headers))
            assert answer.status == HTTPStatus.OK, f"the receiver: {answer.status} {answer.body[:200]!r}"

        patience.persistently("a delivery", step)

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(post, raw) for raw in bodies]:
            done.result()
    return time.perf_counter() - began


def acknowledge(stack: Stack, events: Iterable[str]) -> None:
    """Let Stripe count the events as delivered, as it does when its own deliveries are answered with 200.

    Written into the simulator's memory while it stands still: what was delivered by us is none of its deliveries.
    """
    stack.stop_process("stripe_simulator")
    try:
        store = Store(stack.directory / "data" / "stripe_simulator.sqlite")
        with store.transaction():
            for identifier in events:
                event = store.get(identifier)
                assert event is not None
                store.put({**event, "pending_webhooks": 0})
        store.close()
    finally:
        stack.start_process("stripe_simulator")
