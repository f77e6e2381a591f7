"""What was left undone: events of Stripe's, messages to clients, dead letters, rows that nobody can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.ids import record_id
from billing.messages import StripeEvent
from billing.payments.events import MARKED_BY_US, subject_of
from billing.reconcile.differences import GRACE, ApplyEvent, Difference, ids_of
from billing.reminders.policy import NoticeStatus
from billing.stripe.subjects import Subject

if TYPE_CHECKING:
    from datetime import datetime

    from billing.errors import UnreadableRow
    from billing.reconcile.differences import EventRow, NoticeRow, Redriven
    from billing.stripe.objects import UndeliveredEvent


#: Objects that hang on a payment: whatever their own metadata says, whose they are only the invoice writer can tell.
_OF_UNKNOWN_OWNER = frozenset({Subject.REFUND, Subject.DISPUTE, Subject.EARLY_FRAUD_WARNING, Subject.REVIEW})


def report_unreadable(row: UnreadableRow) -> Difference:
    """A row that cannot be compared."""
    return Difference("row_unreadable", f"{row.error.detail} ({row.error.code})", {row.collection: row.id})


def compare_event(event: EventRow, now: datetime) -> list[Difference]:
    """A Stripe event that was not applied: it is tried again, each time."""
    ids = {"event": event.id}
    # What the row does not hold (whose it is, live or not) the invoice writer asks Stripe; the event's group is its object.
    repair = (
        ApplyEvent(StripeEvent(event.id, event.type, event.object_id, "unknown", livemode=None), again=True)
        if event.object_id
        else None
    )
    if event.status == "received":
        if event.received_at is not None and now - event.received_at < GRACE:
            return []
        text = f"The Stripe event {event.id} ({event.type}) was received but never finished."
        return [Difference("event_unfinished", text, ids, repair)]
    text = f"The Stripe event {event.id} ({event.type}) is {event.status}; its row says why."
    return [Difference(f"event_{event.status}", text, ids, repair, stays=True)]


def is_worth_applying(event: UndeliveredEvent, deployment: str) -> bool:
    """Whether an event that was not delivered is ours, or may be."""
    if event.of_another_account:
        return False
    subject = subject_of(event.type)
    if subject in _OF_UNKNOWN_OWNER:
        return True
    return event.metadata.get("deployment") == deployment and subject is not Subject.NOTHING_OF_OURS


def _owner(event: UndeliveredEvent) -> str | None:
    """The deployment that made its object; None where whoever made it may have written on it what they like."""
    return event.metadata.get("deployment") if event.object_type in MARKED_BY_US else None


def compare_undelivered(event: UndeliveredEvent) -> list[Difference]:
    """An event that Stripe could not deliver and that has no row in `stripe_events`."""
    text = f"Stripe has not delivered the event {event.id} ({event.type}), and it is not in stripe_events."
    invoice = record_id(event.metadata.get("directus_invoice"))
    found = StripeEvent(
        event=event.id,
        event_type=event.type,
        object=event.object_id,
        object_type=event.object_type,
        livemode=event.livemode,
        invoice=invoice,
        deployment=_owner(event),
    )
    ids = ids_of(event=event.id, invoice=invoice)
    return [Difference("event_undelivered", text, ids, ApplyEvent(found, again=False))]


def compare_notice(notice: NoticeRow, now: datetime) -> list[Difference]:
    """A message that was not sent, or may have been."""
    ids = ids_of(notice=notice.id, invoice=notice.invoice)
    if notice.status is NoticeStatus.FAILED:
        text = f"A message ({notice.kind}) could not be sent; its row in notices says why."
        return [Difference("notice_failed", text, ids)]
    young = notice.created is not None and now - notice.created < GRACE
    if notice.status is NoticeStatus.CLAIMED and young:
        return []
    text = f"It is unknown whether a message ({notice.kind}) was sent; it is not sent again automatically."
    return [Difference("notice_unknown", text, ids)]


def compare_queue(name: str, messages: int) -> list[Difference]:
    """A dead-letter queue that is not empty."""
    if not messages:
        return []
    return [_dead_letters(name, messages, "failed.")]


def compare_redriven(name: str, redriven: Redriven) -> tuple[Difference | None, Difference | None]:
    """What was sent back to be handled for the first time, and what a person must look at: that did not help."""
    first, failing = redriven.redriven - redriven.again, redriven.again + redriven.left
    back = _dead_letters(name, first, "failed and went back to the queue.")
    became = (
        f"failed again after a retry: {redriven.again} went back to the queue once more,"
        f" {redriven.left} stay in the dead-letter queue."
    )
    return back if first else None, _dead_letters(name, failing, became) if failing else None


def _dead_letters(name: str, messages: int, became: str) -> Difference:
    text = f"{messages} message{'s' if messages > 1 else ''} of the queue for {name} {became}"
    return Difference("dead_letters", text, {"queue": name, "messages": str(messages)})
