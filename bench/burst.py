"""The burst: payments of every kind, their events shuffled, doubled and lost; is anything lost or doubled then.

Five deliveries a payment reach the deployed stack as fast as it takes them. Then the queue drains, reconcile runs
until it has nothing left to repair, and an auditor compares every row with Stripe's objects to the cent.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from bench import deliveries, settling
from bench.books import audit
from bench.tables import heading, remark, row
from bench.traffic import Traffic, plans
from local.demo.steps import Firm

if TYPE_CHECKING:
    from bench.books import Findings
    from bench.deliveries import Deliveries
    from local.stack import Stack

DEFAULT_PAYMENTS: Final = 60
SEED: Final = 20261122
MAKING_THREADS: Final = 4
DELIVERING_THREADS: Final = 8
_DRAIN_SECONDS_PER_DELIVERY: Final = 3.0


def payments_wanted() -> int:
    """`BILLING_BENCH_PAYMENTS`, else 60."""
    return int(os.environ.get("BILLING_BENCH_PAYMENTS", str(DEFAULT_PAYMENTS)))


def run(stack: Stack, payments: int) -> bool:
    """Run the burst on a running stack and print what it measured; whether nothing was lost, doubled or different."""
    traffic = Traffic(Firm(stack.description()), plans(payments, SEED))
    # Stripe delivers nothing by itself now; which event arrives when is ours to choose.
    traffic.stripe.disturb(lose=1_000_000)
    try:
        findings = _measured(stack, traffic)
    finally:
        traffic.stripe.disturb(lose=0)
    _report_findings(findings)
    return findings.all_is_well


def _measured(stack: Stack, traffic: Traffic) -> Findings:
    firm, payments = traffic.firm, len(traffic.plans)
    heading(f"The burst: {payments} payments")
    began = time.perf_counter()
    traffic.write_invoices()
    traffic.run(MAKING_THREADS)
    settling.drain(firm, seconds=60 + payments)
    row("made through /checkout and Stripe", f"{time.perf_counter() - began:.1f} s")
    delivered = choose(traffic)
    count = len(delivered.bodies)
    row("events at Stripe", f"{delivered.events}")
    row("  of them never delivered", f"{delivered.lost}")
    row("  payments of which no event arrives", f"{delivered.silent_payments}")
    row("deliveries, shuffled", f"{count}")
    row("  of them repetitions", f"{delivered.repeated}")
    accepting = deliveries.deliver(firm, delivered.bodies, threads=DELIVERING_THREADS)
    row("accepted by the receiver", f"{accepting:.1f} s", f"{count / accepting:.1f} /s")
    whole = accepting + settling.drain(firm, seconds=120 + _DRAIN_SECONDS_PER_DELIVERY * count)
    row("accepted and applied", f"{whole:.1f} s", f"{count / whole:.1f} /s")
    deliveries.acknowledge(stack, delivered.arriving)
    began = time.perf_counter()
    since = traffic.began.isoformat()
    reconciled = settling.reconcile_until_quiet(firm, since, seconds=120 + 3.0 * payments)
    row(
        "reconciled until nothing was repaired",
        f"{time.perf_counter() - began:.1f} s",
        f"{len(reconciled)} rounds",
        f"{settling.repaired(reconciled)} repaired",
    )
    return audit(traffic)


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


def _report_findings(findings: Findings) -> None:
    for sort in ("lost", "doubled", "different"):
        row(sort, f"{len(getattr(findings, sort))}")
    heading("  compared with Stripe", "Stripe", "Directus")
    for currency, (at_stripe, in_directus) in findings.money.items():
        row(f"  kept of all payments, {currency}", f"{at_stripe:,.2f}", f"{in_directus:,.2f}")
    for what, number in findings.compared.items():
        row(f"  each {what}", f"{number}")
    remark(
        *findings.sentences(),
        "The emulator works one message of a FIFO queue at a time, whatever the group; AWS works up to five groups at",
        "once here (MaximumConcurrency). The seconds are this machine's, the zeros are the product's.",
    )
