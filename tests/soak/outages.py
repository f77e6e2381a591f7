"""A firm at work while its programs are killed at moments nobody chose; in the end every payment must be there once.

Directus several times, Stripe's side once, the workers' environments once: killed with SIGKILL while payments of every
kind run, left dead until somebody has noticed, and started again by the stack's own means. Nobody repairs anything by
hand: what the queue and reconcile do not mend stays broken and is found.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench import settling
from bench.books import Findings, audit
from bench.stripe_side import Outage
from bench.tables import heading, row
from bench.traffic import MIX, Kind, Traffic, plans, steps_of
from local.demo.steps import Firm
from local.supervisor import identify
from local.waiting import NeverHappened, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from local.stack import Stack

EVERY_KIND = {**MIX, Kind.DISPUTE_OPEN: 1, Kind.WIRE: 2}
THREADS = 4
NOTICED_SECONDS = 20.0


class Victim(StrEnum):
    """What is killed."""

    DIRECTUS = "directus"
    STRIPE = "stripe_simulator"
    WORKERS = "workers"


@dataclass(frozen=True)
class Blow:
    """`victim` is killed once `after_steps` steps of all payments have begun."""

    after_steps: int
    victim: Victim


@dataclass
class Outcome:
    """What happened, and what the auditor says."""

    traffic: Traffic
    findings: Findings
    struck: list[Blow]
    reconciled: list[dict[str, Any]]


def blows(steps: int, seed: int, *, directus: int) -> list[Blow]:
    """`directus` blows against Directus, one against Stripe's side, one against the workers, over all the steps."""
    chooser = random.Random(seed)  # noqa: S311  # the same moments in every run
    victims = [Victim.DIRECTUS] * directus + [Victim.STRIPE, Victim.WORKERS]
    moments = sorted(chooser.sample(range(1, steps), len(victims)))
    return [
        Blow(moment, victim)
        for moment, victim in zip(moments, chooser.sample(victims, len(victims)), strict=True)
    ]


def payments_while_programs_die(stack: Stack, payments: int, *, seed: int, directus: int) -> Outcome:
    """Run the payments and the blows, let everything arrive, reconcile, audit."""
    firm = Firm(stack.description())
    traffic = Traffic(firm, plans(payments, seed, mix=EVERY_KIND))
    traffic.write_invoices()
    ordered = blows(sum(map(steps_of, traffic.plans)), seed, directus=directus)
    with ThreadPoolExecutor(1) as background:
        running = background.submit(traffic.run, THREADS)
        struck = [blow for blow in ordered if _strike(stack, traffic, blow, running)]
        running.result()
    patience_seconds = 300.0 + 5.0 * payments
    wait_for("Stripe to deliver everything", lambda: not _waiting(traffic), seconds=patience_seconds)
    settling.drain(firm, seconds=patience_seconds)
    reconciled = settling.reconcile_until_quiet(firm, traffic.began.isoformat(), seconds=patience_seconds)
    return Outcome(traffic, audit(traffic), struck, reconciled)


def assert_every_payment_is_there_once(outcome: Outcome, *, blows_wanted: int) -> None:
    """The promise, and that the blows really fell."""
    assert outcome.findings.sentences() == []
    assert len(outcome.struck) == blows_wanted
    assert outcome.traffic.patience.outages > 0, "nobody noticed that anything was dead"
    assert outcome.traffic.finished == len(outcome.traffic.plans)
    compared = outcome.findings.compared
    assert compared["payment"] + compared["wire"] == compared["invoice"] == len(outcome.traffic.plans)


def report(outcome: Outcome, database: str) -> None:
    """Print what happened."""
    findings = outcome.findings
    heading(f"Payments while programs were killed, on {database}")
    for kind, count in Counter(plan.kind for plan in outcome.traffic.plans).items():
        row(f"payments: {kind}", f"{count}")
    for victim, count in Counter(blow.victim for blow in outcome.struck).items():
        row(f"killed with SIGKILL: {victim}", f"{count}")
    row("steps tried again by clients and staff", f"{outcome.traffic.patience.outages}")
    row("reconciled until nothing was repaired", f"{settling.repaired(outcome.reconciled)} repaired")
    for what, number in findings.compared.items():
        row(f"compared: each {what}", f"{number}")
    for currency, (at_stripe, in_directus) in findings.money.items():
        row(f"kept of all payments, {currency}: Stripe, Directus", f"{at_stripe:,.2f}", f"{in_directus:,.2f}")
    for sort in ("lost", "doubled", "different"):
        row(sort, f"{len(getattr(findings, sort))}")


@contextmanager
def shorter_visibility(firm: Firm, seconds: int, queue: str = "stripe_events") -> Iterator[None]:
    """A message whose worker was killed comes back after `seconds`, not after the local stack's minutes."""
    sqs, url = firm.aws("sqs"), firm.description["aws"]["queues"][queue]
    name = "VisibilityTimeout"
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(seconds)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: before})


# ---- killing ------------------------------------------------------------------------------------------------


def _strike(stack: Stack, traffic: Traffic, blow: Blow, running: Future[None]) -> bool:
    """Wait for the moment, kill, bring back; False if all payments were finished before."""
    wait_for(
        f"step {blow.after_steps}", lambda: traffic.steps >= blow.after_steps or running.done(), seconds=600
    )
    if running.done():
        return False
    if blow.victim is Victim.WORKERS:
        for pid in workers(stack):
            os.kill(pid, signal.SIGKILL)
        return True
    outages = traffic.patience.outages
    _kill(stack, blow.victim)
    # The emulator and Directus's clients are patient for some seconds each: until then nobody has noticed.
    # If nobody does, every payment is at a step that does not need the dead program.
    with suppress(NeverHappened):
        wait_for(
            "somebody to notice",
            lambda: traffic.patience.outages > outages or running.done(),
            seconds=NOTICED_SECONDS,
        )
    stack.start_process(blow.victim)
    return True


def _kill(stack: Stack, name: str) -> None:
    remembered = json.loads((stack.directory / "run" / f"{name}.json").read_text())
    identity = identify(remembered["pid"])
    assert identity is not None
    assert identity.started == remembered["started"]
    os.kill(identity.pid, signal.SIGKILL)
    wait_for(f"the death of {name}", lambda: identify(identity.pid) != identity, seconds=10)


def workers(stack: Stack, service: str = "") -> list[int]:
    """The processes of the workers' environments: below the emulator, with a worker's handler.

    `service`: only those of that function, and of them the one that runs our code.
    """
    emulator = int(json.loads((stack.directory / "run" / "ministack.json").read_text())["pid"])
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                commands[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])

    def is_below(pid: int) -> bool:
        while pid > 1:
            if pid == emulator:
                return True
            pid = parents.get(pid, 0)
        return False

    found = [pid for pid, command in commands.items() if "worker.handler" in command and is_below(pid)]
    return [pid for pid in found if not service or _has(pid, f"POWERTOOLS_SERVICE_NAME={service}")]


def _has(pid: int, variable: str) -> bool:
    try:
        return variable.encode() in (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _waiting(traffic: Traffic) -> bool:
    try:
        return bool(traffic.stripe.deliveries()["waiting"])
    except (Outage, httpx.HTTPError):
        return True
