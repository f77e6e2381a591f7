from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.aws.queue_worker import Retry, disposition
from billing.errors import BadRequest, ClaimedByAnother, MailOutcomeUnknown, MailPostponed, MailRejected
from billing.ledger.ledger import Dispute, InvoiceStatus, PaymentStatus
from billing.messages import Reminder
from billing.reminders.policy import ReminderCase, UnreadableCase
from billing.reminders.send import Outcome, SendReminder
from billing.reminders.texts import ReminderTexts
from tests.unit.reminders.support import INVOICE, POLICY, Clock, Crash, Directus, Outbox, at, case, payment

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.reminders.mail import Mail

KEY = f"reminder:overdue_1:{INVOICE}:email"
MESSAGE = Reminder("reminder", "overdue_1", INVOICE, KEY, at("2026-03-03T17:00"))


class Desk:
    """A sender with its surroundings."""

    def __init__(self, *cases: ReminderCase | UnreadableCase, outbox: Outbox | None = None) -> None:
        self.clock = Clock(at("2026-03-03T17:01"))
        self.directus = Directus(self.clock, *(cases or (case(),)))
        self.outbox = outbox or Outbox()
        self.send = SendReminder(
            cases=self.directus,
            notices=self.directus,
            notifier=self.outbox,
            texts=ReminderTexts(),
            policy=POLICY,
            clock=self.clock,
        )

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self.directus.rows.values())


def test_a_reminder_is_claimed_sent_and_written_down() -> None:
    desk = Desk()
    assert desk.send(MESSAGE) == Outcome("sent")
    assert [mail.recipient for mail in desk.outbox.mails] == ["client@client.example"]
    (row,) = desk.rows
    del row["date_created"]
    assert row == {
        "kind": "reminder",
        "step": "overdue_1",
        "recipient": "client@client.example",
        "channel": "email",
        "invoice": INVOICE,
        "client": "client-1",
        "dedupe_key": KEY,
        "status": "sent",
        "scheduled_for": "2026-03-03T17:00:00+00:00",
        "sent_at": "2026-03-03T17:01:00+00:00",
        "message_id": "message-1",
        "reason": None,
    }


def test_the_claim_is_there_before_the_mail_goes_out() -> None:
    seen: list[list[str]] = []

    class Watching(Outbox):
        def send(self, mail: Mail) -> str:
            seen.append([row["status"] for row in desk.rows])
            return super().send(mail)

    desk = Desk(outbox=Watching())
    desk.send(MESSAGE)
    assert seen == [["claimed"]]


def test_the_same_message_again_sends_nothing() -> None:
    desk = Desk()
    desk.send(MESSAGE)
    assert desk.send(MESSAGE) == Outcome("dropped", "already_sent")
    assert len(desk.outbox.mails) == 1


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (case(payments=[payment("100.00")]), "nothing_due"),
        (case(status=InvoiceStatus.VOID), "void"),
    ],
)
def test_what_is_settled_meanwhile_is_written_down_as_skipped(found: ReminderCase, reason: str) -> None:
    desk = Desk(found)
    assert desk.send(MESSAGE) == Outcome("skipped", reason)
    assert [(row["status"], row["reason"]) for row in desk.rows] == [("skipped", reason)]
    assert desk.outbox.mails == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (case(disputes=[Dispute("d", "open")]), "disputed"),
        (case(payments=[payment("5.00", PaymentStatus.PROCESSING)]), "payment_processing"),
        (case(payments=[payment("99.70")]), "below_minimum"),  # a refund may raise it again
        (case(prefers="none"), "opted_out"),
        (case(email=""), "no_email"),
        (UnreadableCase(INVOICE, "row_unreadable"), "row_unreadable"),
    ],
)
def test_what_may_pass_leaves_the_step_free_for_a_later_run(
    found: ReminderCase | UnreadableCase, reason: str
) -> None:
    desk = Desk(found)
    assert desk.send(MESSAGE) == Outcome("dropped", reason)
    assert (desk.rows, desk.outbox.mails) == ([], [])


def test_the_window_is_judged_by_the_moment_the_reminder_was_planned_for() -> None:
    desk = Desk()
    desk.clock.now = at("2026-03-03T07:00")  # the middle of the night in New York
    assert desk.send(MESSAGE) == Outcome("sent")
    night = Desk()
    assert night.send(replace(MESSAGE, as_of=at("2026-03-03T07:00"))) == Outcome("dropped", "outside_hours")


def test_a_due_date_moved_meanwhile_sends_nothing() -> None:
    found = case()
    moved = replace(found.ledger.invoice, due_date=at("2026-04-01T00:00").date())
    desk = Desk(replace(found, ledger=replace(found.ledger, invoice=moved)))
    assert desk.send(MESSAGE) == Outcome("dropped", "not_due")
    assert desk.rows == []


def test_an_older_message_is_dropped_when_a_later_step_is_due() -> None:
    desk = Desk()
    assert desk.send(replace(MESSAGE, as_of=at("2026-03-09T17:00"))) == Outcome("dropped", "not_due")
    assert desk.rows == []


def test_an_invoice_that_is_gone_is_dropped() -> None:
    other = case(invoice="0b1c2d3e-0000-4000-8000-000000000002")
    assert Desk(other).send(MESSAGE) == Outcome("dropped", "no_such_invoice")


def test_a_claim_won_by_another_between_look_and_claim_is_respected() -> None:
    desk = Desk()
    look = desk.directus.read

    def read_while_another_claims(*arguments: Any) -> Any:
        desk.directus.claim({**_claim(), "status": "sent"})
        return look(*arguments)

    racing = SendReminder(
        cases=_Racing(desk.directus, read_while_another_claims),
        notices=desk.directus,
        notifier=desk.outbox,
        texts=ReminderTexts(),
        policy=POLICY,
        clock=desk.clock,
    )
    assert racing(MESSAGE) == Outcome("dropped", "already_sent")
    assert desk.outbox.mails == []


class _Racing:
    """`ReminderCases` that lets something happen while it reads, and does not see it."""

    def __init__(self, directus: Directus, read: Callable[..., Any]) -> None:
        self.firm = directus.firm
        self.open_invoices = directus.open_invoices
        self._read = read

    def read(self, *arguments: Any) -> Any:
        return [[replace(found, notices=())] for (found,) in self._read(*arguments)]


def _claim() -> dict[str, Any]:
    return {
        "step": "overdue_1",
        "invoice": INVOICE,
        "dedupe_key": KEY,
        "status": "claimed",
        "scheduled_for": "2026-03-03T17:00:00+00:00",
    }


def test_a_crash_between_claim_and_send_ends_as_unknown_and_is_never_sent() -> None:
    desk = Desk()
    desk.directus.claim(_claim())  # the owner of this claim has died
    with pytest.raises(ClaimedByAnother) as waiting:
        desk.send(MESSAGE)
    assert waiting.value.retryable
    desk.clock.now += timedelta(minutes=14)
    with pytest.raises(ClaimedByAnother):
        desk.send(MESSAGE)
    desk.clock.now += timedelta(minutes=2)
    assert desk.send(MESSAGE) == Outcome("unknown", "interrupted")
    assert desk.send(MESSAGE) == Outcome("dropped", "already_unknown")
    assert desk.rows[0]["status"] == "unknown"
    assert desk.outbox.mails == []


def test_the_queue_waits_long_enough_for_a_dead_claim_to_be_settled() -> None:
    receives = 10  # maxReceiveCount of the queue
    waits = [disposition(ClaimedByAnother("claimed"), receive) for receive in range(1, receives)]
    assert (
        sum(wait.seconds for wait in waits if isinstance(wait, Retry)) > timedelta(minutes=15).total_seconds()
    )


def test_a_crash_between_send_and_the_record_of_it_never_sends_twice() -> None:
    desk = Desk()
    desk.directus.refuse_to_record = True
    with pytest.raises(Crash):
        desk.send(MESSAGE)
    desk.directus.refuse_to_record = False
    with pytest.raises(ClaimedByAnother):
        desk.send(MESSAGE)
    desk.clock.now += timedelta(minutes=16)
    assert desk.send(MESSAGE) == Outcome("unknown", "interrupted")
    assert len(desk.outbox.mails) == 1


def test_a_mail_ses_did_not_take_now_gives_the_claim_back_and_is_sent_by_the_retry() -> None:
    desk = Desk(
        outbox=Outbox(MailPostponed("SES does not accept mail at the moment (TooManyRequestsException)."))
    )
    with pytest.raises(MailPostponed):
        desk.send(MESSAGE)
    assert [(row["status"], row["dedupe_key"]) for row in desk.rows] == [("skipped", None)]
    assert desk.send(MESSAGE) == Outcome("sent")
    assert [(row["status"], row["dedupe_key"]) for row in desk.rows] == [("skipped", None), ("sent", KEY)]
    assert len(desk.outbox.mails) == 1


def test_a_mail_ses_refuses_is_failed_for_good_with_the_reason() -> None:
    desk = Desk(outbox=Outbox(MailRejected("SES refused the mail (MessageRejected).")))
    assert desk.send(MESSAGE) == Outcome("failed", "mail_rejected")
    assert [(row["status"], row["reason"]) for row in desk.rows] == [
        ("failed", "SES refused the mail (MessageRejected).")
    ]
    assert desk.send(MESSAGE) == Outcome("dropped", "already_failed")
    assert desk.outbox.mails == []


def test_a_mail_whose_fate_nobody_knows_is_never_sent_again() -> None:
    desk = Desk(outbox=Outbox(MailOutcomeUnknown("The answer of SES was lost.")))
    assert desk.send(MESSAGE) == Outcome("unknown", "mail_outcome_unknown")
    assert desk.send(MESSAGE) == Outcome("dropped", "already_unknown")
    assert desk.outbox.mails == []


@pytest.mark.parametrize(
    "message",
    [
        replace(MESSAGE, as_of=datetime(2026, 3, 3)),  # noqa: DTZ001  # of no zone, on purpose
        replace(MESSAGE, dedupe_key="reminder:overdue_2:other:email"),
    ],
)
def test_a_message_the_planner_could_not_have_queued_is_refused_for_good(message: Reminder) -> None:
    with pytest.raises(BadRequest) as refusal:
        Desk().send(message)
    assert (refusal.value.code, refusal.value.retryable) == ("malformed_message", False)
