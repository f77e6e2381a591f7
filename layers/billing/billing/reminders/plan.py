"""Plan one run: which invoices have become overdue, which get a reminder, and why the others do not.

Nothing is written here. Overdue marks go to the invoice writer, reminders to the sender's queue; both sides are safe to
repeat, so a run that is interrupted or started twice does no harm.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from billing.aws.http_api import flag, members_of, parse_moment
from billing.errors import BadRequest
from billing.ledger.ledger import zone_of
from billing.messages import Reminder
from billing.reminders.policy import (
    Firm,
    Policy,
    Remind,
    ReminderCase,
    SkipReason,
    UnreadableCase,
    becomes_overdue,
    decide,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from billing.aws.queues import InvoiceQueue, WorkQueue


class ReminderCases(Protocol):
    """What reminders need to know of the system of record."""

    def firm(self) -> Firm:
        """The firm, as it signs and in its time zone."""
        ...

    def open_invoices(self, latest_due_date: dt.date) -> list[str]:
        """The ids of sent, unpaid invoices due on or before that day; a few later ones do no harm."""
        ...

    def read(self, invoices: Sequence[str], firm: Firm) -> Iterator[list[ReminderCase | UnreadableCase]]:
        """The cases of those invoices, some at a time; ids that do not exist are left out."""
        ...


@dataclass(frozen=True)
class PlanRequest:
    """`as_of`: a day (noon in the firm's zone), an aware instant, or None for now."""

    as_of: dt.date | dt.datetime | None = None
    dry_run: bool = False

    @classmethod
    def from_event(cls, event: object) -> PlanRequest:
        """Parse the event; `BadRequest` for anything but `as_of` and `dry_run` (a misspelt one would send mail)."""
        given = members_of(event)
        if unknown := sorted(set(given) - {"as_of", "dry_run"}):
            message = f"Reminders take as_of and dry_run, not {', '.join(unknown)}."
            raise BadRequest(message, code="unknown_member")
        as_of = parse_moment(given["as_of"], "as_of") if "as_of" in given else None
        return cls(as_of, flag(given, "dry_run"))


@dataclass
class Plan:
    """What a run found. `plan` holds ids and figures, no name of a client."""

    overdue_marked: int = 0
    planned: int = 0
    queued: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    plan: list[dict[str, str]] = field(default_factory=list)

    def as_json(self, *, dry_run: bool) -> dict[str, Any]:
        """The answer of the function; the plan itself only in a dry run."""
        answer: dict[str, Any] = {
            "overdue_marked": self.overdue_marked,
            "planned": self.planned,
            "queued": self.queued,
            "skipped": dict(sorted(self.skipped.items())),
        }
        return answer | ({"plan": self.plan} if dry_run else {})


class PlanReminders:
    """The planner."""

    def __init__(
        self,
        *,
        cases: ReminderCases,
        invoices: InvoiceQueue,
        messages: WorkQueue,
        policy: Policy,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """`clock` gives the current moment, aware."""
        self._cases = cases
        self._invoices = invoices
        self._messages = messages
        self._policy = policy
        self._clock = clock

    def __call__(self, request: PlanRequest) -> Plan:
        """Plan, and unless it is a dry run queue, some invoices at a time."""
        firm = self._cases.firm()
        now = self._moment(request.as_of, firm)
        plan = Plan()
        due = self._cases.open_invoices(self._policy.latest_due_date(now))
        for cases in self._cases.read(due, firm):
            overdue, reminders = self._examine(cases, now, plan)
            if not request.dry_run:
                # Where a person plans for a moment, an invoice is marked as of that moment; the clock needs no telling.
                as_of = None if request.as_of is None else now.astimezone(dt.UTC)
                self._invoices.recompute(overdue, as_of=as_of)
                self._messages.send_many([message_of(remind, now) for remind in reminders])
                plan.queued += len(reminders)
        return plan

    def _moment(self, as_of: dt.date | dt.datetime | None, firm: Firm) -> dt.datetime:
        if as_of is None:
            return self._clock()
        if isinstance(as_of, dt.datetime):
            return as_of
        return dt.datetime.combine(as_of, dt.time(12), tzinfo=zone_of(firm.timezone))

    def _examine(
        self, cases: Iterable[ReminderCase | UnreadableCase], now: dt.datetime, plan: Plan
    ) -> tuple[list[str], list[Remind]]:
        """The invoices to mark and the reminders to queue among these; the plan is filled in."""
        overdue: list[str] = []
        reminders: list[Remind] = []
        for case in cases:
            if isinstance(case, UnreadableCase):
                plan.skipped[case.reason] += 1
                continue
            if becomes_overdue(case, now):
                overdue.append(case.ledger.invoice.id)
            decision = decide(case, self._policy, now)
            if isinstance(decision, Remind):
                reminders.append(decision)
                plan.plan.append(_entry(decision, case))
            elif decision.reason != SkipReason.NOT_DUE:  # too early is no reminder withheld
                plan.skipped[str(decision.reason)] += 1
        plan.overdue_marked += len(overdue)
        plan.planned += len(reminders)
        return overdue, reminders


def message_of(remind: Remind, now: dt.datetime) -> Reminder:
    """The queue message: ids only, and the moment it was planned for."""
    return Reminder("reminder", remind.step, remind.invoice, remind.dedupe_key, now.astimezone(dt.UTC))


def _entry(remind: Remind, case: ReminderCase) -> dict[str, str]:
    return {
        "invoice": remind.invoice,
        "invoice_number": case.ledger.invoice.invoice_number,
        "step": remind.step,
        "dedupe_key": remind.dedupe_key,
        "due_date": remind.due_date.isoformat(),
        "balance_due": str(remind.balance_due.to_decimal()),
        "currency": remind.balance_due.currency,
    }
