"""Send one reminder, at most once.

The order is what makes it so: decide again from fresh rows, compose the mail, claim the notice by its unique key,
hand the mail to SES, write what became of it. Whoever meets the claim of another waits until it is settled; a
claim that nobody settled within `CLAIM_EXPIRES` becomes `unknown` and its mail is never sent again.

A claim is given back only when SES surely did not take the mail: its row lets go of the key, and the next attempt
must create a row of its own. (Taking over an existing row would not be exclusive: Directus has no
compare-and-set.)
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from billing.errors import (
    BadRequest,
    BillingError,
    ClaimedByAnother,
    MailNotConfigured,
    MailOutcomeUnknown,
    MailPostponed,
    MailRejected,
    RecordNotUnique,
)
from billing.reminders.policy import (
    SETTLED,
    Notice,
    NoticeStatus,
    Policy,
    Remind,
    ReminderCase,
    Skip,
    SkipReason,
    UnreadableCase,
    decide,
    dedupe_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.messages import Reminder
    from billing.reminders.mail import Mail
    from billing.reminders.plan import ReminderCases
    from billing.reminders.texts import ReminderTexts


#: Far longer than a sender may run: after it, a claim has lost its owner.
CLAIM_EXPIRES = dt.timedelta(minutes=15)
_LOOK_AGAIN_SECONDS = 30


class NoticeBook(Protocol):
    """The collection `notices`: its unique `dedupe_key` makes a claim exclusive."""

    def claim(self, row: Mapping[str, object]) -> str:
        """Create a notice and return its id; `RecordNotUnique` if its key is taken."""
        ...

    def find(self, dedupe_key: str) -> Notice | None:
        """The notice that holds the key."""
        ...

    def record(self, notice: str, changes: Mapping[str, object]) -> None:
        """Write what became of a notice."""
        ...


class Notifier(Protocol):
    """Sends one e-mail."""

    def send(self, mail: Mail) -> str:
        """Return the message id; raise one of the four failures of `mail`."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of a message: `status` as in `notices`, or `dropped` when the step stays free; `reason` if not sent."""

    status: str
    reason: str | None = None


class SendReminder:
    """The sender."""

    def __init__(
        self,
        *,
        cases: ReminderCases,
        notices: NoticeBook,
        notifier: Notifier,
        texts: ReminderTexts,
        policy: Policy,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """`clock` gives the current moment, aware; it judges the age of claims, `as_of` everything else."""
        self._cases = cases
        self._notices = notices
        self._notifier = notifier
        self._texts = texts
        self._policy = policy
        self._clock = clock

    def __call__(self, reminder: Reminder) -> Outcome:
        """Send the reminder, or find out why not.

        Raises `UpstreamUnavailable` (retry: nothing was sent by this attempt, or another attempt is still open)
        and `BadRequest`.
        """
        genuine = reminder.dedupe_key == dedupe_key(reminder.step, reminder.invoice)
        if not genuine or reminder.as_of.tzinfo is None:
            text = "The message is no reminder that the planner could have queued."
            raise BadRequest(text, code="malformed_message")
        held = self._notices.find(reminder.dedupe_key)
        if held is not None:
            return self._settle(held)
        firm = self._cases.firm()
        case = next((case for cases in self._cases.read([reminder.invoice], firm) for case in cases), None)
        if case is None or isinstance(case, UnreadableCase):
            return Outcome("dropped", case.reason if case else "no_such_invoice")
        decision = decide(case, self._policy, reminder.as_of)
        if isinstance(decision, Skip):
            return self._skip(reminder, case, decision.reason)
        if decision.step != reminder.step:  # the due date or the policy has changed; the next run plans anew
            return Outcome("dropped", SkipReason.NOT_DUE)
        mail = self._texts.compose(
            decision, invoice_number=case.ledger.invoice.invoice_number, contact=case.contact, firm=firm
        )
        return self._claim_and_send(reminder, case, decision, mail)

    def _claim_and_send(self, reminder: Reminder, case: ReminderCase, remind: Remind, mail: Mail) -> Outcome:
        assert remind.dedupe_key == reminder.dedupe_key, "the same step of the same invoice"
        try:
            notice = self._notices.claim(_row(reminder, case, NoticeStatus.CLAIMED))
        except RecordNotUnique:
            return self._held_by_another(reminder)
        try:
            message_id = self._notifier.send(mail)
        except MailPostponed as error:
            self._record(
                notice,
                NoticeStatus.SKIPPED,
                reason=f"{error.detail} It will be retried.",
                dedupe_key=None,
            )
            raise
        except MailNotConfigured as error:
            # Not raised: ten tries and a dead letter for each reminder would help nobody. The next hour plans it again.
            self._record(
                notice,
                NoticeStatus.SKIPPED,
                reason=f"{error.detail} The next hourly run retries.",
                dedupe_key=None,
            )
            return Outcome("dropped", error.code)
        except MailRejected as error:
            self._record(notice, NoticeStatus.FAILED, reason=error.detail)
            return Outcome(NoticeStatus.FAILED, error.code)
        except MailOutcomeUnknown as error:
            self._record(notice, NoticeStatus.UNKNOWN, reason=error.detail)
            return Outcome(NoticeStatus.UNKNOWN, error.code)
        try:
            sent_at = self._clock().isoformat()
            self._record(notice, NoticeStatus.SENT, sent_at=sent_at, message_id=message_id, reason=None)
        except BillingError as error:  # the mail is out: the log keeps what Directus does not know
            error.ids |= {"notice": notice, "message_id": message_id}
            raise
        return Outcome(NoticeStatus.SENT)

    def _skip(self, reminder: Reminder, case: ReminderCase, reason: str) -> Outcome:
        """Write a reason that settles the step; one that may pass leaves the step to the next run."""
        if reason not in SETTLED:
            return Outcome("dropped", reason)
        try:
            self._notices.claim(_row(reminder, case, NoticeStatus.SKIPPED) | {"reason": reason})
        except RecordNotUnique:
            return self._held_by_another(reminder)
        return Outcome(NoticeStatus.SKIPPED, reason)

    def _held_by_another(self, reminder: Reminder) -> Outcome:
        held = self._notices.find(reminder.dedupe_key)
        if held is None:  # given back a moment ago
            message = "The claim on this reminder was just released."
            raise ClaimedByAnother(message, retry_after=_LOOK_AGAIN_SECONDS, invoice=reminder.invoice)
        return self._settle(held)

    def _settle(self, held: Notice) -> Outcome:
        """A settled notice ends the matter; an open claim is waited for, and given up when its owner is gone."""
        if held.status is not NoticeStatus.CLAIMED:
            return Outcome("dropped", f"already_{held.status}")
        if held.claimed_at is not None and self._clock() - held.claimed_at < CLAIM_EXPIRES:
            message = "Another attempt holds the claim on this reminder and may still be sending it."
            raise ClaimedByAnother(message, retry_after=_LOOK_AGAIN_SECONDS, notice=held.id)
        reason = "The sender was interrupted after claiming this reminder; it is unknown whether it was sent."
        self._record(held.id, NoticeStatus.UNKNOWN, reason=reason)
        return Outcome(NoticeStatus.UNKNOWN, "interrupted")

    def _record(self, notice: str, status: NoticeStatus, **changes: object) -> None:
        self._notices.record(notice, {"status": status.value, **changes})


def _row(reminder: Reminder, case: ReminderCase, status: NoticeStatus) -> dict[str, object]:
    return {
        "kind": "reminder",
        "step": reminder.step,
        "recipient": case.contact.email or "none",  # required; empty only where nothing is sent
        "channel": "email",
        "invoice": reminder.invoice,
        "client": case.contact.client,
        "dedupe_key": reminder.dedupe_key,
        "status": status.value,
        "scheduled_for": reminder.as_of.astimezone(dt.UTC).isoformat(),
    }
