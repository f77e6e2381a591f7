"""Which reminder an invoice gets at a moment, if any, and why not: the planner and the sender ask the same question.

Days are counted in the client's time zone (else the firm's) and compared with `>=`, never `==`: a run that was
missed is caught up by the next one. Only the latest step that is due is ever sent; the ones a pause or an
outage has passed over are left out, because two mails of different tone on one day help nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.ledger.ledger import InvoiceStatus, PaymentStatus, state_of, zone_of
from billing.stripe.amounts import is_below_minimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from billing.ledger.ledger import InvoiceState, Ledger
    from billing.money import Money


#: No place on earth is further ahead of UTC.
_FURTHEST_AHEAD = timedelta(hours=14)


class NoticeStatus(StrEnum):
    """States of a notice: `claimed` before sending; `unknown` when nobody can tell whether it went out."""

    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class SkipReason(StrEnum):
    """Why no reminder is sent; besides these, the code of what is wrong with the invoice's rows."""

    NOT_DUE = "not_due"
    NO_DUE_DATE = "no_due_date"
    DRAFT = "draft"
    VOID = "void"
    NOTHING_DUE = "nothing_due"
    BELOW_MINIMUM = "below_minimum"
    DISPUTED = "disputed"
    PAYMENT_PROCESSING = "payment_processing"
    OPTED_OUT = "opted_out"
    SMS_NOT_AVAILABLE = "sms_not_available"
    NO_EMAIL = "no_email"
    ALREADY_SENT = "already_sent"
    BEING_SENT = "being_sent"
    ALREADY_FAILED = "already_failed"
    ALREADY_SKIPPED = "already_skipped"
    OUTCOME_UNKNOWN = "outcome_unknown"
    ONE_PER_DAY = "one_per_day"
    OUTSIDE_HOURS = "outside_hours"
    ROWS_DO_NOT_FIT = "rows_do_not_fit"


#: Reasons that settle a step for good: the sender writes them down. All others may pass, so the step stays free.
SETTLED = frozenset({SkipReason.NOTHING_DUE, SkipReason.VOID})

_ALREADY = {
    NoticeStatus.CLAIMED: SkipReason.BEING_SENT,
    NoticeStatus.SENT: SkipReason.ALREADY_SENT,
    NoticeStatus.FAILED: SkipReason.ALREADY_FAILED,
    NoticeStatus.SKIPPED: SkipReason.ALREADY_SKIPPED,
    NoticeStatus.UNKNOWN: SkipReason.OUTCOME_UNKNOWN,
}
#: A mail that went out, or may have.
_MAYBE_OUT = frozenset({NoticeStatus.CLAIMED, NoticeStatus.SENT, NoticeStatus.UNKNOWN})


@dataclass(frozen=True)
class Step:
    """One step of the policy; `days_after_due` counts calendar days, the due date being day 0."""

    name: str
    days_after_due: int


@dataclass(frozen=True)
class Policy:
    """When to remind. `send_from` (inclusive) and `send_until` (exclusive) are the client's local time."""

    steps: tuple[Step, ...]
    send_from: time
    send_until: time

    def __post_init__(self) -> None:
        days = [step.days_after_due for step in self.steps]
        names = {step.name for step in self.steps}
        if not days or days != sorted(set(days)) or len(names) != len(days):
            message = "The reminder policy needs steps with unique names, in the order of their days."
            raise ValueError(message)
        if self.send_from >= self.send_until:
            message = "The reminder policy's hours must start before they end."
            raise ValueError(message)

    def latest_due(self, days_overdue: int) -> int | None:
        """The index of the latest step that is due that many days after the due date."""
        due = [index for index, step in enumerate(self.steps) if days_overdue >= step.days_after_due]
        return due[-1] if due else None

    def latest_due_date(self, now: datetime) -> date:
        """No invoice with a later due date can be overdue or get a reminder at `now`, wherever its client is."""
        first = min(1, self.steps[0].days_after_due)
        return (now.astimezone(UTC) + _FURTHEST_AHEAD).date() - timedelta(days=first)


@dataclass(frozen=True)
class Notice:
    """A row of `notices` about a reminder. `scheduled_for` is the planner's `as_of`, `claimed_at` the clock's time.

    `dedupe_key` is None on a claim that was given back because SES surely did not take the mail.
    """

    id: str
    step: str
    status: NoticeStatus
    dedupe_key: str | None = None
    scheduled_for: datetime | None = None
    claimed_at: datetime | None = None


@dataclass(frozen=True)
class Contact:
    """How a client is reached; `preferred_communication` as stored, None meaning e-mail."""

    client: str
    name: str = ""
    email: str = ""
    preferred_communication: str | None = None
    language: str = ""


@dataclass(frozen=True)
class Firm:
    """The firm as it signs its messages, and its IANA time zone as stored."""

    name: str
    email: str = ""
    phone: str = ""
    bank_details: str = ""
    language: str = "en"
    timezone: str | None = None


@dataclass(frozen=True)
class ReminderCase:
    """Everything that decides about one invoice's reminders."""

    ledger: Ledger
    contact: Contact
    notices: Sequence[Notice] = ()


@dataclass(frozen=True)
class UnreadableCase:
    """An invoice whose rows cannot be read; `reason` is the error's code."""

    invoice: str
    reason: str


@dataclass(frozen=True)
class Remind:
    """Send this step now. `balance_due` is what the rows say."""

    invoice: str
    step: str
    dedupe_key: str
    balance_due: Money
    due_date: date


@dataclass(frozen=True)
class Skip:
    """Send nothing; `reason` is a `SkipReason` or the code of what is wrong with the rows."""

    reason: str


def dedupe_key(step: str, invoice: str) -> str:
    """The unique key of a reminder: `<kind>:<step>:<subject>:<channel>`."""
    return f"reminder:{step}:{invoice}:email"


def becomes_overdue(case: ReminderCase, now: datetime) -> bool:
    """Whether the invoice must be shown as overdue and is not yet: a matter for the invoice writer."""
    state = _state(case.ledger, now)
    return (
        not isinstance(state, Skip)
        and state.status is InvoiceStatus.OVERDUE
        and case.ledger.invoice.status is not InvoiceStatus.OVERDUE
    )


def decide(case: ReminderCase, policy: Policy, now: datetime) -> Remind | Skip:
    """The reminder to send at `now`, or the first reason not to."""
    local = now.astimezone(zone_of(case.ledger.client_timezone, case.ledger.firm_timezone))
    state = _state(case.ledger, now)
    if isinstance(state, Skip):
        return state
    if state.balance_due.minor <= 0:
        return Skip(SkipReason.NOTHING_DUE)
    due_date = case.ledger.invoice.due_date
    if due_date is None:
        return Skip(SkipReason.NO_DUE_DATE)
    index = policy.latest_due((local.date() - due_date).days)
    if index is None:
        return Skip(SkipReason.NOT_DUE)
    if is_below_minimum(state.balance_due):
        return Skip(SkipReason.BELOW_MINIMUM)  # the client could not pay it online
    invoice, step = case.ledger.invoice.id, policy.steps[index].name
    reason = (
        _done_before(case.notices, policy, index, invoice)
        or _paused(case.ledger)
        or _unreachable(case.contact)
        or _badly_timed(case.notices, policy, local)
    )
    return (
        Skip(reason)
        if reason
        else Remind(invoice, step, dedupe_key(step, invoice), state.balance_due, due_date)
    )


def _state(ledger: Ledger, now: datetime) -> InvoiceState | Skip:
    """What the rows say; one invoice whose rows contradict each other must not stop the others."""
    if ledger.invoice.is_void:
        return Skip(SkipReason.VOID)
    try:
        state = state_of(ledger, now)
    except BillingError as error:
        return Skip(error.code)
    except ValueError:  # amounts of different currencies in one ledger
        return Skip(SkipReason.ROWS_DO_NOT_FIT)
    return state or Skip(SkipReason.DRAFT)


def _done_before(notices: Sequence[Notice], policy: Policy, index: int, invoice: str) -> SkipReason | None:
    """The step is taken, or a later one is out already: a reminder never follows a sterner one."""
    by_key = {notice.dedupe_key: notice.status for notice in notices if notice.dedupe_key}
    status = by_key.get(dedupe_key(policy.steps[index].name, invoice))
    if status is not None:
        return _ALREADY[status]
    later = (dedupe_key(step.name, invoice) for step in policy.steps[index + 1 :])
    return SkipReason.ALREADY_SENT if any(by_key.get(key) in _MAYBE_OUT for key in later) else None


def _paused(ledger: Ledger) -> SkipReason | None:
    if any(dispute.status == "open" for dispute in ledger.disputes):
        return SkipReason.DISPUTED
    if any(payment.status is PaymentStatus.PROCESSING for payment in ledger.payments):
        return SkipReason.PAYMENT_PROCESSING
    return None


def _unreachable(contact: Contact) -> SkipReason | None:
    match contact.preferred_communication:
        case "none":
            return SkipReason.OPTED_OUT
        case "sms":
            return SkipReason.SMS_NOT_AVAILABLE
    return None if contact.email else SkipReason.NO_EMAIL


def _badly_timed(notices: Sequence[Notice], policy: Policy, local: datetime) -> SkipReason | None:
    for notice in notices:
        moment = notice.scheduled_for or notice.claimed_at
        if notice.status in _MAYBE_OUT and moment and moment.astimezone(local.tzinfo).date() == local.date():
            return SkipReason.ONE_PER_DAY
    inside = policy.send_from <= local.time() < policy.send_until
    return None if inside else SkipReason.OUTSIDE_HOURS
