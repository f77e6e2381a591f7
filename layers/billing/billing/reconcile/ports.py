"""What reconciliation asks of the world beside the rows of Directus (`store`): its ports, and who keeps them.

`StripeRecords` is kept by `stripe.account`, `DeadLetters` by `dead_letters`, `Reports` by `publish`,
`Continuation` by `self_invocation`, `RunNotes` by `run_notes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from billing.errors import UnreadableRow
    from billing.reconcile.differences import Redriven
    from billing.reconcile.report import PrintableReport
    from billing.stripe.objects import (
        BalanceTransaction,
        CheckoutSession,
        StripeDispute,
        StripeRefund,
        UndeliveredEvent,
    )


class StripeRecords(Protocol):
    """Stripe's own books. Every list is lazy, page by page, newest first.

    `after` is the id of the last one that was seen of the list: it goes on behind that (Stripe's `starting_after`).
    """

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterable[CheckoutSession]:
        """Every Checkout session created at or after that moment, with payment intent and latest charge."""
        ...

    def retrieve_session(self, session: str) -> CheckoutSession:
        """A session as it is now; `StripeRejected` with `stripe_code` `resource_missing` if Stripe has none."""
        ...

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session a payment intent belongs to, None if it belongs to none."""
        ...

    def refunds_created_since(self, since: datetime, *, after: str | None = None) -> Iterable[StripeRefund]:
        """Every refund created at or after that moment."""
        ...

    def retrieve_refund(self, refund: str) -> StripeRefund | None:
        """A refund as it is now, None if Stripe has none."""
        ...

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterable[StripeDispute]:
        """Every dispute created at or after that moment."""
        ...

    def retrieve_dispute(self, dispute: str) -> StripeDispute | None:
        """A dispute as it is now, None if Stripe has none."""
        ...

    def balance_transactions_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterable[BalanceTransaction]:
        """Every balance transaction created at or after that moment, with payment intent and metadata of its source."""
        ...

    def undelivered_events_since(self, since: datetime) -> Iterable[UndeliveredEvent]:
        """Every event that an endpoint has not accepted, at most 30 days back (Stripe keeps them no longer)."""
        ...

    def unreadable(self) -> list[UnreadableRow]:
        """What the lists have passed over since this was asked last, because it cannot be read; by Stripe's id."""
        ...


class DeadLetters(Protocol):
    """The dead-letter queues, by the names people know the queues by."""

    def depths(self) -> Mapping[str, int]:
        """How many messages each holds."""
        ...

    def redrive(self, name: str, *, at_most: int) -> Redriven:
        """Send at most that many messages of a queue back to where they came from."""
        ...


class Reports(Protocol):
    """Where a report goes that people read."""

    def publish(self, report: PrintableReport) -> str | None:
        """Store it as a document; the id of its `documents` row, None if the same content was published before."""
        ...


class Continuation(Protocol):
    """How a run that has no time left goes on."""

    def hand_over(self, event: Mapping[str, object]) -> None:
        """Start the function again with `event`; `UpstreamUnavailable` if it cannot be started."""
        ...


class RunNotes(Protocol):
    """What one part of a run tells the next: ids by what was noted of them. Both raise when it cannot be done."""

    def keep(self, notes: Mapping[str, Collection[str]]) -> str:
        """Store them; gives the name to recall them by."""
        ...

    def recall(self, name: str) -> Mapping[str, Collection[str]]:
        """What was stored under that name."""
        ...
