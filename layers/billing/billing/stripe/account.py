"""Stripe's own books, for reconciliation: every list of a time span, page by page, and single records by id."""

from __future__ import annotations

from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING

from billing.errors import UnreadableRow
from billing.stripe.gateway import created_since
from billing.stripe.objects import BalanceTransaction, StripeDispute, StripeRefund, UndeliveredEvent
from billing.stripe.parsing import each_readable, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from typing import Any

    from billing.errors import StripeUnreadable
    from billing.stripe.gateway import StripeGateway
    from billing.stripe.objects import CheckoutSession


#: How long Stripe keeps events.
EVENT_LIFETIME = timedelta(days=30)
#: Event types that one request may name.
_MOST_TYPES = 20

#: Every type of event that leads to a payment (`payments.events`); a test compares this with the SDK's list of types.
#: Stripe accepts no groups (`charge.*`) here.
APPLIED_TYPES = (
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.created",
    "payment_intent.partially_funded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "radar.early_fraud_warning.created",
    "radar.early_fraud_warning.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "review.closed",
    "review.opened",
)


class StripeAccount:
    """`StripeRecords` (`reconcile_ports`) on Stripe's API."""

    def __init__(self, gateway: StripeGateway, clock: Callable[[], datetime]) -> None:
        """`clock` decides how far back events are available."""
        self._gateway = gateway
        self._clock = clock
        self._unreadable: list[UnreadableRow] = []

    def unreadable(self) -> list[UnreadableRow]:
        """Unreadable objects that the lists have skipped since the last call, by Stripe's id.

        `UnreadableRow.collection` is Stripe's word for the kind of object.
        """
        passed, self._unreadable = self._unreadable, []
        return passed

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[CheckoutSession]:
        """Every session, with payment intent, latest charge and its fee."""
        return self._gateway.sessions_created_since(
            since, after=after, unreadable=self._passing("checkout.session")
        )

    def retrieve_session(self, session: str) -> CheckoutSession:
        """A session with its payment intent, charge and fee."""
        return self._gateway.retrieve_session(session)

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session of a payment intent, or None."""
        return self._gateway.session_of_payment_intent(payment_intent)

    def refunds_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeRefund]:
        """Every refund, also of payments that are older."""
        pages = self._gateway.pages(lambda v1, asked: v1.refunds.list(asked), created_since(since, after))
        return self._readable("refund", pages, StripeRefund)

    def retrieve_refund(self, refund: str) -> StripeRefund | None:
        """A refund in its current state, or None if Stripe has none."""
        found = self._gateway.retrieve(lambda v1: v1.refunds.retrieve(refund))
        return None if found is None else read(StripeRefund, found)

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeDispute]:
        """Every dispute, also of payments that are older."""
        pages = self._gateway.pages(lambda v1, asked: v1.disputes.list(asked), created_since(since, after))
        return self._readable("dispute", pages, StripeDispute)

    def retrieve_dispute(self, dispute: str) -> StripeDispute | None:
        """A dispute in its current state, or None if Stripe has none."""
        found = self._gateway.retrieve(lambda v1: v1.disputes.retrieve(dispute))
        return None if found is None else read(StripeDispute, found)

    def balance_transactions_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[BalanceTransaction]:
        """Every movement on the balance, with payment intent and metadata of its source."""
        pages = self._gateway.pages(
            lambda v1, asked: v1.balance_transactions.list(asked),
            {**created_since(since, after), "expand": ["data.source"]},
        )
        return self._readable("balance_transaction", pages, BalanceTransaction)

    def undelivered_events_since(self, since: datetime) -> Iterator[UndeliveredEvent]:
        """Every event of `APPLIED_TYPES` that an endpoint has not accepted; newest first for each twenty types."""
        oldest = max(since, self._clock() - EVENT_LIFETIME)
        for types in batched(APPLIED_TYPES, _MOST_TYPES, strict=False):
            asked = {**created_since(oldest), "delivery_success": False, "types": list(types)}
            yield from self._readable(
                "event",
                self._gateway.pages(lambda v1, some: v1.events.list(some), asked),
                UndeliveredEvent,
            )

    def _readable[Value](
        self, kind: str, pages: Iterator[dict[str, Any]], model: type[Value]
    ) -> Iterator[Value]:
        return each_readable(pages, model, self._passing(kind))

    def _passing(self, kind: str) -> Callable[[StripeUnreadable], None]:
        """Skip an unreadable object, so that the others are still compared."""
        return lambda error: self._unreadable.append(
            UnreadableRow(kind, error.ids.get("object", "unknown"), error)
        )
