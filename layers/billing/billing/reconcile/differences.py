"""What reconciliation finds, and what is done about it: a difference, its repair, and the rows that are compared.

What differs is decided in `reconcile_payments`, `reconcile_reversals`, `reconcile_invoices` and `reconcile_leftovers`.
Every function there takes facts and gives differences. A difference names records and figures, never a person.
It has a repair exactly where the invoice writer (or the renderer) would put it right by itself: a repair that was worked
off is not asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from billing.ledger.ledger import Payment
    from billing.messages import Recompute, RenderInvoicePdf, RenderReceiptPdf, StripeEvent, SyncSession
    from billing.money import Money
    from billing.reminders.policy import NoticeStatus


#: What is younger may still be on its way through a queue.
GRACE = timedelta(minutes=15)


@dataclass(frozen=True)
class ApplyEvent:
    """The invoice writer applies an event of Stripe's.

    `again`: it was tried before, so the queue must not take the message for the one it has seen.
    """

    event: StripeEvent
    again: bool
    type: ClassVar[str] = "stripe_event"


#: A repair is a message to whoever writes anyway.
type Repair = SyncSession | Recompute | ApplyEvent | RenderInvoicePdf | RenderReceiptPdf


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be: `kind` for programs, `detail` for people, `ids` of the records.

    `stays`: its repair is tried, as it was before in vain: it is a person's to look at, and not repaired.
    `tried_before`: an earlier run should have had it repaired: it is repaired, and a person looks at it as well.
    `suspect_since`: a row may have been deleted, which leaves no date: what Stripe has of it was made after that moment.
    """

    kind: str
    detail: str
    ids: Mapping[str, str] = field(default_factory=dict)
    repair: Repair | None = None
    stays: bool = False
    tried_before: bool = False
    suspect_since: datetime | None = None

    def as_json(self) -> dict[str, str]:
        """A flat object."""
        return {"kind": self.kind, **self.ids, "detail": self.detail}

    def as_repaired(self, repair: str) -> dict[str, str]:
        """A flat object that says how it was repaired, too."""
        return {**self.as_json(), "repair": repair}

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What makes it this difference: an expired session is seen from both sides."""
        return self.kind, tuple(sorted(self.ids.items()))


#: Kinds of differences whose repair moves money in the books: many of them in one run mean that no webhooks arrive.
MONEY_KINDS = frozenset(
    {
        "payment_missing",
        "payment_status_differs",
        "refund_missing",
        "refund_differs",
        "dispute_missing",
        "dispute_differs",
    }
)


#: Kinds of differences that people should know of and that can wait: an alarm that never ends would hide the others.
QUIET_KINDS = frozenset({"below_minimum"})


#: Runs are hourly: what happened longer ago, an earlier one has met.
HELD_AFTER = timedelta(hours=2)
#: A bank takes days to answer to a debit: its charge's date says nothing about when that was.
BANK_ANSWERS_WITHIN = timedelta(days=10)


def once_tried(difference: Difference, happened: datetime, now: datetime) -> Difference:
    """The difference as one whose repair does not hold, if money is concerned and an earlier run has met it.

    `happened` is when Stripe had it at the latest. The invoice writer parks what it cannot book, which nobody would see.
    """
    if difference.repair is None or difference.kind not in MONEY_KINDS or now - happened < HELD_AFTER:
        return difference
    text = (
        f"{difference.detail} It is older than the last runs, so an earlier repair failed (unless the row was changed or no"
        " run came since). The repair is requested again."
    )
    return replace(difference, detail=text, tried_before=True)


@dataclass(frozen=True)
class NamedInvoice:
    """What a comparison needs of an invoice that a session or a payment row names."""

    invoice_number: str
    currency: str


@dataclass(frozen=True)
class OpenAttempt:
    """A payment row that holds its invoice's claim or waits for a bank, and when the row was created."""

    payment: Payment
    created: datetime


@dataclass(frozen=True)
class ReversalRow:
    """A row of `refunds` or `payment_disputes`, with what its payment is known by.

    `amount` is in the row's own currency, which may be wrong.
    """

    id: str
    stripe_id: str
    amount: Money
    status: str
    payment: Payment


@dataclass(frozen=True)
class EventRow:
    """A row of `stripe_events` that is not `done` or `ignored`."""

    id: str
    type: str
    status: str
    received_at: datetime | None = None
    object_id: str | None = None


@dataclass(frozen=True)
class NoticeRow:
    """A row of `notices` that is not `sent` or `skipped`."""

    id: str
    kind: str
    status: NoticeStatus
    invoice: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class Redriven:
    """What became of a dead-letter queue: sent back, and given up because they have come back too often.

    `again` are those of `redriven` that had been sent back before, in vain.
    """

    redriven: int
    left: int
    again: int = 0


def ids_of(**ids: str | None) -> dict[str, str]:
    """Those that are known."""
    return {name: value for name, value in ids.items() if value is not None}
