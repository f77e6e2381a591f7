"""An AWS account that may not send yet: nothing is lost, nothing is marked, and one alarm says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from billing.aws.observability import metrics
from billing.aws.queue_worker import REMINDERS, process_batch, read
from billing.errors import MailNotConfigured
from billing.reminders.plan import PlanReminders, PlanRequest
from billing.reminders.send import Outcome, SendReminder
from billing.reminders.texts import ReminderTexts
from functions.reminders import sender
from tests.fakes.messages import Control
from tests.fakes.messages import record as record_of
from tests.unit.reminders.support import INVOICE, POLICY, Clock, Directus, Outbox, Queues, at, case

if TYPE_CHECKING:
    from billing.reminders.mail import Mail


class Account(Outbox):
    """SES of an account in the sandbox, until it is mended."""

    mended = False

    def send(self, mail: Mail) -> str:
        if not self.mended:
            message = "SES accepts no mail from this deployment (MessageRejected); nothing was sent."
            raise MailNotConfigured(message)
        return super().send(mail)


class Firm:
    """Overdue invoices, the planner, the queue's worker and the account."""

    def __init__(self, *invoices: str) -> None:
        self.clock = Clock(at("2026-03-03T14:05"))
        self.directus = Directus(self.clock, *(case(invoice=invoice) for invoice in invoices))
        self.account, self.control, self.queues = Account(), Control(), Queues()
        self.plan = PlanReminders(
            cases=self.directus, invoices=self.queues, messages=self.queues, policy=POLICY, clock=self.clock
        )
        self.sender = SendReminder(
            cases=self.directus,
            notices=self.directus,
            notifier=self.account,
            texts=ReminderTexts(),
            policy=POLICY,
            clock=self.clock,
        )
        self.outcomes: list[Outcome] = []

    def an_hour_passes(self) -> list[dict[str, Any]]:
        """The hourly run and everything that it queued; the messages, in case SQS delivers them again."""
        self.clock.now = self.clock.now.replace(hour=self.clock.now.hour + 1)
        self.plan(PlanRequest())
        messages, self.queues.messages = self.queues.messages, []
        for message in messages:
            self.delivered(message)
        return messages

    def delivered(self, message: dict[str, Any]) -> None:
        event = {"Records": [record_of("m", json.dumps(message))]}
        answer = process_batch(
            event, REMINDERS, lambda given: self.outcomes.append(self.sender(given)), self.control
        )
        assert answer == {"batchItemFailures": []}, "SQS has nothing to repeat"


def test_a_reminder_that_the_account_may_not_send_yet_leaves_its_step_free() -> None:
    firm = Firm(INVOICE)
    (message,) = firm.an_hour_passes()
    assert firm.outcomes == [Outcome("dropped", "mail_not_configured")]
    (row,) = firm.directus.rows.values()
    assert (row["status"], row["dedupe_key"]) == ("skipped", None)
    assert row["reason"] == (
        "SES accepts no mail from this deployment (MessageRejected); nothing was sent. The next hourly run retries."
    )
    firm.account.mended = True
    firm.an_hour_passes()
    firm.delivered(message)
    assert firm.outcomes[1:] == [Outcome("sent"), Outcome("dropped", "already_sent")]
    assert len(firm.account.mails) == 1


def test_five_hundred_reminders_in_the_sandbox_all_go_out_once_when_it_is_left() -> None:
    invoices = [f"0b1c2d3e-0000-4000-8000-{number:012d}" for number in range(500)]
    firm = Firm(*invoices)
    earlier = [message for _ in range(3) for message in firm.an_hour_passes()]
    assert len(earlier) == 1500
    assert {outcome.reason for outcome in firm.outcomes} == {"mail_not_configured"}
    assert {(row["status"], row["dedupe_key"]) for row in firm.directus.rows.values()} == {("skipped", None)}
    assert (firm.control.postponed, firm.control.dead) == ([], [])

    firm.account.mended = True
    firm.an_hour_passes()
    for message in earlier[:700]:  # SQS delivers at least once
        firm.delivered(message)
    sent = [row["invoice"] for row in firm.directus.rows.values() if row["status"] == "sent"]
    assert sorted(sent) == invoices
    assert len(firm.account.mails) == 500
    assert firm.control.dead == []


def test_it_is_counted_for_the_alarm_once_for_each_reminder() -> None:
    firm = Firm(INVOICE)
    firm.clock.now = at("2026-03-03T15:05")
    firm.plan(PlanRequest())
    (message,) = firm.queues.messages
    metrics.clear_metrics()
    try:
        sender.send(read(REMINDERS, json.dumps(message)), firm.sender)
        counted = {name: metric["Value"] for name, metric in metrics.metric_set.items()}
    finally:
        metrics.clear_metrics()
    assert counted == {"ReminderDropped": [1.0], "MailNotConfigured": [1.0]}
