"""The burst: payments of every kind, their events shuffled, doubled and lost; is anything lost or doubled then.

Five deliveries a payment reach the deployed stack as fast as it takes them. Then the queue drains, reconcile runs
until it has nothing left to repair, and an auditor compares every row with Stripe's objects to the cent.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench import deliveries, settling
from bench.books import Findings, audit
from bench.processor_time import ProcessorTime
from bench.tables import heading, remark, row
from bench.traffic import Traffic, plans
from local.demo.steps import Firm

if TYPE_CHECKING:
    from bench.deliveries import Deliveries
    from local.stack import Stack

DEFAULT_PAYMENTS: Final = 60
SEED: Final = 20261122
MAKING_THREADS: Final = 4
DELIVERING_THREADS: Final = 8
_DRAIN_SECONDS_PER_DELIVERY: Final = 3.0


@dataclass
class Figures:
    """What one burst measured; seconds of wall time."""

    traffic: Traffic
    #: Unix seconds: from the first checkout to the last event applied.
    span: tuple[float, float]
    making_seconds: float
    delivered: Deliveries
    accepting_seconds: float
    draining_seconds: float
    reconciling_seconds: float
    reconciled: list[dict[str, Any]]
    findings: Findings
    processor_seconds: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def payments(self) -> int:
        """How many there were."""
        return len(self.traffic.plans)

    @property
    def succeeded(self) -> bool:
        """Nothing lost, nothing doubled, nothing different, nothing given up."""
        return self.findings.all_is_well


def payments_wanted() -> int:
    """`BILLING_BENCH_PAYMENTS`, else 60."""
    return int(os.environ.get("BILLING_BENCH_PAYMENTS", str(DEFAULT_PAYMENTS)))


def run(stack: Stack, payments: int) -> Figures:
    """Run the burst on a running stack and print what it measured."""
    traffic = Traffic(Firm(stack.description()), plans(payments, SEED))
    # Stripe delivers nothing by itself now; which event arrives when is ours to choose.
    traffic.stripe.disturb(lose=1_000_000)
    try:
        figures = _measured(stack, traffic)
    finally:
        traffic.stripe.disturb(lose=0)
    report(figures)
    return figures


def _measured(stack: Stack, traffic: Traffic) -> Figures:
    firm, payments, began_at_seconds = traffic.firm, len(traffic.plans), time.time()
    with ProcessorTime.of(stack.directory) as making:
        began = time.perf_counter()
        traffic.write_invoices()
        traffic.run(MAKING_THREADS)
        settling.drain(firm, seconds=60 + payments)
        making_seconds = time.perf_counter() - began
    delivered = choose(traffic)
    with ProcessorTime.of(stack.directory) as storm:
        accepting_seconds = deliveries.deliver(firm, delivered.bodies, threads=DELIVERING_THREADS)
        draining_seconds = settling.drain(
            firm, seconds=120 + _DRAIN_SECONDS_PER_DELIVERY * len(delivered.bodies)
        )
    span = (began_at_seconds, time.time())
    deliveries.acknowledge(stack, delivered.arriving)
    with ProcessorTime.of(stack.directory) as repair:
        began = time.perf_counter()
        reconciled = settling.reconcile_until_quiet(
            firm, traffic.began.isoformat(), seconds=120 + 3.0 * payments
        )
        reconciling_seconds = time.perf_counter() - began
    return Figures(
        traffic=traffic,
        span=span,
        making_seconds=making_seconds,
        delivered=delivered,
        accepting_seconds=accepting_seconds,
        draining_seconds=draining_seconds,
        reconciling_seconds=reconciling_seconds,
        reconciled=reconciled,
        findings=audit(traffic),
        processor_seconds={
            "making": making.by_program(),
            "applying": storm.by_program(),
            "reconciling": repair.by_program(),
        },
    )


def choose(traffic: Traffic) -> Deliveries:
    """The deliveries of the traffic's events."""
    intents = {
        session["payment_intent"]: session["id"]
        for session in _sessions(traffic)
        if session["payment_intent"]
    }
    sessions = set(traffic.sessions.values())
    events: list[dict[str, Any]] = []
    session_of: dict[str, str] = {}
    for event in reversed(traffic.stripe.listed("events")):
        described = event["data"]["object"]
        session = described["id"] if described["id"] in sessions else intents.get(_intent_of(described))
        if session is not None:
            events.append(event)
            session_of[event["id"]] = session
    return deliveries.chosen(events, session_of, len(traffic.plans), SEED)


def _sessions(traffic: Traffic) -> list[dict[str, Any]]:
    wanted = set(traffic.sessions.values())
    return [session for session in traffic.stripe.listed("checkout/sessions") if session["id"] in wanted]


def _intent_of(described: dict[str, Any]) -> str:
    is_intent = described["object"] == "payment_intent"
    return str(described["id"] if is_intent else described.get("payment_intent"))


def report(figures: Figures) -> None:
    """Print the figures, and where the time went."""
    delivered, findings = figures.delivered, figures.findings
    count = len(delivered.bodies)
    whole = figures.accepting_seconds + figures.draining_seconds
    heading(f"The burst: {figures.payments} payments, {count} deliveries")
    row(
        "payments made through /checkout and Stripe", f"{figures.payments}", f"{figures.making_seconds:.1f} s"
    )
    row("events at Stripe", f"{delivered.events}")
    row("  of them never delivered", f"{delivered.lost}")
    row("  payments of which no event arrives", f"{delivered.silent_payments}")
    row("deliveries, shuffled", f"{count}")
    row("  of them repetitions", f"{delivered.repeated}")
    row(
        "accepted by the receiver",
        f"{figures.accepting_seconds:.1f} s",
        f"{count / figures.accepting_seconds:.1f} /s",
    )
    row("drained after the last was accepted", f"{figures.draining_seconds:.1f} s")
    row("accepted and applied", f"{whole:.1f} s", f"{count / whole:.1f} /s")
    row(
        "reconciled until nothing was repaired",
        f"{figures.reconciling_seconds:.1f} s",
        f"{len(figures.reconciled)} rounds",
        f"{settling.repaired(figures.reconciled)} repaired",
    )
    row("lost", f"{len(findings.lost)}")
    row("doubled", f"{len(findings.doubled)}")
    row("different", f"{len(findings.different)}")
    heading("  compared with Stripe", "Stripe", "Directus")
    for currency, (at_stripe, in_directus) in findings.money.items():
        row(f"  kept of all payments, {currency}", f"{at_stripe:,.2f}", f"{in_directus:,.2f}")
    for what, number in findings.compared.items():
        row(f"  each {what}", f"{number}")
    remark(*findings.sentences())
    _report_processor_time(figures)


def _report_processor_time(figures: Figures) -> None:
    spans = figures.processor_seconds
    heading(f"  where the time went: processor seconds, {os.cpu_count()} processors for all of it", *spans)
    programs = {name: None for span in spans.values() for name in span}
    for program in programs:
        seconds = [f"{span.get(program, 0.0):.1f} s" for span in spans.values()]
        if any(span.get(program, 0.0) >= 0.05 for span in spans.values()):  # noqa: PLR2004  # shown as 0.1
            row(f"  {program}", *seconds)
    of_directus = spans["applying"].get("Directus", 0.0) / len(figures.delivered.bodies)
    if of_directus:
        each, most = f"{of_directus * 1000:.0f} ms each", f"{1 / of_directus:.0f} /s"
        row("  Directus alone, for a delivery; so one processor", each, most)
    remark(
        "Most of it is Directus: an event that is applied asks it five times or more (`python -m bench own` counts).",
        "The emulator works one message of a FIFO queue at a time, whatever the group; AWS works up to five groups at",
        "once here (MaximumConcurrency), each with its share of a processor. This machine shares its processors among",
        "Stripe, AWS, the functions and Directus: the seconds are this machine's, the zeros are the product's.",
    )
