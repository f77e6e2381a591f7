"""Events per second through the deployed stack: the receiver alone, and the worker alone on what it queued.

The events say again what happened to payments of the burst, under new ids: the worker fetches each payment from Stripe,
reads the invoice's rows and finds nothing new. (Both together, with everything new, is what the burst measures.)
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

from bench import deliveries, settling
from bench.processor_time import ProcessorTime
from bench.tables import heading, row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.demo.steps import Firm
    from local.stack import Stack

EVENTS: Final = 200
THREADS: Final = (1, 8)
_TYPE: Final = "checkout.session.completed"


def main(stack: Stack, firm: Firm, bodies: Sequence[bytes]) -> None:
    """Measure with the bodies of a burst's deliveries, and print."""
    completed = [raw for raw in bodies if json.loads(raw)["type"] == _TYPE]
    heading(f"Events per second, {EVENTS} events each", "seconds", "events/s", "processor ms")
    for threads in THREADS:
        with worker_paused(firm):
            with ProcessorTime.of(stack.directory) as spent:
                seconds = deliveries.deliver(firm, renamed(completed), threads=threads)
            _print(f"receiver alone, {threads} at a time", seconds, spent)
        with ProcessorTime.of(stack.directory) as spent:
            seconds = settling.drain(firm, seconds=60 + 3.0 * EVENTS)
        _print("  worker alone, draining those", seconds, spent)


def _print(name: str, seconds: float, spent: ProcessorTime) -> None:
    milliseconds = sum(spent.by_program().values()) * 1000 / EVENTS
    row(name, f"{seconds:.1f} s", f"{EVENTS / seconds:.1f}", f"{milliseconds:.0f} each")


def renamed(bodies: Sequence[bytes]) -> list[bytes]:
    """`EVENTS` events that say the same as these, each under an id that nobody has seen."""
    repeated = islice(cycle(bodies), EVENTS)
    return [json.dumps({**json.loads(raw), "id": f"evt_{uuid.uuid4().hex}"}).encode() for raw in repeated]


@contextmanager
def worker_paused(firm: Firm) -> Iterator[None]:
    """Keep the queue from the worker: its event source mapping is switched off."""
    client = firm.aws("lambda")
    name = firm.description["functions"]["names"]["stripe_webhook_worker"]
    (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
