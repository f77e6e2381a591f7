"""Whatever the order of runs, duplicates, failures and deaths: no step twice, no two mails on one day."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.aws.queue_worker import REMINDERS, read
from billing.errors import (
    MailNotConfigured,
    MailOutcomeUnknown,
    MailPostponed,
    MailRejected,
    UpstreamUnavailable,
)
from billing.ledger.ledger import zone_of
from billing.reminders.plan import PlanReminders, PlanRequest
from billing.reminders.policy import ReminderCase
from billing.reminders.send import SendReminder
from billing.reminders.texts import ReminderTexts
from tests.unit.reminders.support import DUE, INVOICE, POLICY, Clock, Crash, Directus, Queues, at, case

if TYPE_CHECKING:
    from billing.reminders.mail import Mail

NOT_SENT: dict[str, Exception] = {
    "postponed": MailPostponed("not now"),
    "not configured": MailNotConfigured("not ready"),
    "rejected": MailRejected("never"),
    "lost and not sent": MailOutcomeUnknown("lost"),
    "killed before sending": Crash(),
}
FATES = (
    "well",
    "well",
    "well",
    *NOT_SENT,
    "lost but sent",
    "killed after sending",
    "killed before the record",
)


class Post:
    """A `Notifier` that keeps every mail that really went out, with the moment it was planned for."""

    def __init__(self) -> None:
        self.out: list[tuple[str, datetime]] = []
        self.fate = "well"
        self.as_of = at("2026-03-02T17:00")

    def send(self, mail: Mail) -> str:
        if self.fate in NOT_SENT:
            raise NOT_SENT[self.fate]
        step = mail.subject.split(" since ")[0].split(" was ")[
            0
        ]  # the subject without its date names the step
        self.out.append((step, self.as_of))
        if self.fate == "lost but sent":
            message = "lost"
            raise MailOutcomeUnknown(message)
        if self.fate == "killed after sending":
            raise Crash
        return "message"


class Firm:
    """One overdue invoice and everything that may happen to its reminders."""

    def __init__(self, timezone: str) -> None:
        self.clock = Clock(at("2026-03-02T17:00"))
        self.directus = Directus(self.clock, case(timezone=timezone))
        self.queues = Queues()
        self.post = Post()
        self.delivered: list[dict[str, Any]] = []
        self.planner = PlanReminders(
            cases=self.directus, invoices=self.queues, messages=self.queues, policy=POLICY, clock=self.clock
        )
        self.sender = SendReminder(
            cases=self.directus,
            notices=self.directus,
            notifier=self.post,
            texts=ReminderTexts(),
            policy=POLICY,
            clock=self.clock,
        )

    def time_passes_and_the_planner_runs(self, hours: int, fate: str) -> None:
        self.clock.now += timedelta(hours=hours)
        self._plan(PlanRequest(), fate)

    def somebody_plans_for_another_day(self, days: int, fate: str) -> None:
        self._plan(PlanRequest(as_of=DUE + timedelta(days=days)), fate)

    def staff_move_the_due_date(self, days: int, _fate: str) -> None:
        found = self.directus.cases[INVOICE]
        assert isinstance(found, ReminderCase)
        invoice = replace(found.ledger.invoice, due_date=DUE + timedelta(days=days))
        self.directus.cases[INVOICE] = replace(found, ledger=replace(found.ledger, invoice=invoice))

    def messages_come_again(self, minutes: int, fate: str) -> None:
        self.clock.now += timedelta(minutes=minutes)
        for message in self.delivered:
            self._deliver(message, fate)

    def _plan(self, request: PlanRequest, fate: str) -> None:
        self.planner(request)
        new, self.queues.messages = self.queues.messages, []
        for message in new:
            self._deliver(message, fate)
        self.delivered += new

    def _deliver(self, message: dict[str, Any], fate: str) -> None:
        self.post.fate, self.post.as_of = fate, at(message["as_of"])
        self.directus.refuse_to_record = fate == "killed before the record"
        try:
            self.sender(read(REMINDERS, json.dumps(message)))
        except (UpstreamUnavailable, Crash):
            pass
        finally:
            self.directus.refuse_to_record = False


HAPPENINGS = {
    Firm.time_passes_and_the_planner_runs: (0, 0, 4, 24, 24, 24, 6 * 24),  # hours
    Firm.somebody_plans_for_another_day: (1, 7, 8, 21),  # days after the first due date
    Firm.staff_move_the_due_date: (-20, -20, -6, -6, 6),  # days
    Firm.messages_come_again: (0, 20, 20, 20),  # minutes
}
HISTORIES = st.lists(
    st.sampled_from([(happen, value) for happen, values in HAPPENINGS.items() for value in values]).flatmap(
        lambda what: st.tuples(st.just(what), st.sampled_from(FATES))
    ),
    min_size=3,
    max_size=15,
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    timezone=st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Honolulu"]),
    history=HISTORIES,
)
def test_no_step_is_sent_twice_and_no_day_has_two_mails(timezone: str, history: list[Any]) -> None:
    firm = Firm(timezone)
    for (happen, value), fate in history:
        happen(firm, value, fate)
    steps = Counter(step for step, _ in firm.post.out)
    days = Counter(as_of.astimezone(zone_of(timezone)).date() for _, as_of in firm.post.out)
    assert set(steps.values()) <= {1}
    assert set(days.values()) <= {1}
