"""Use case of the worker: one Stripe event, as a hint to look at Stripe again.

Whose payment it is comes first: an event about another application's payment is ignored, whatever its type. The
event's row in `stripe_events` is written first as `received` and last as how it ended, so that a crash in between
is seen and the next delivery does the work again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from billing.errors import BillingError, Parked, StripeRejected
from billing.payments.booking import is_ours
from billing.payments.events import REVERSALS, remark_on, subject_of
from billing.stripe.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.aws.queues import InvoiceQueue
    from billing.messages import StripeEvent
    from billing.payments.store import BillingStore
    from billing.payments.write_invoice import InvoiceWriter
    from billing.stripe.objects import CheckoutSession, PaymentBehind


class StripeObjects(Protocol):
    """What applying an event asks of Stripe."""

    @property
    def livemode(self) -> bool | None:
        """Whether the key sees live objects; None if it does not say."""
        ...

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session as it is now."""
        ...

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session a payment intent belongs to."""
        ...

    def payment_behind(self, subject: Subject, object_id: str) -> PaymentBehind:
        """The payment intent behind an object, and the metadata of that payment."""
        ...


@dataclass(frozen=True)
class ApplyStripeEvent:
    """The use case with what it needs; `parked` is told of every event a person must look at."""

    store: BillingStore
    stripe: StripeObjects
    invoice_writer: InvoiceWriter
    queue: InvoiceQueue
    deployment: str
    parked: Callable[[BillingError], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, event: StripeEvent) -> None:
        """Apply the event; `event.invoice` is the FIFO group that it came in, if one is named.

        A retryable failure is raised and the row stays as it is. An event that was parked before is tried again, and
        people are told of it once.
        """
        status = self.store.begin_event(event.event, event.event_type, event.object, self.now().isoformat())
        if status in {"done", "ignored"}:
            return
        try:
            outcome = self._outcome(event, again=status is not None)
        except BillingError as error:
            if error.retryable:
                raise
            ended = "parked" if isinstance(error, Parked) else "failed"
            if status != ended:
                self.parked(error)
            self.store.finish_event(event.event, ended, self.now().isoformat(), error.detail)
            return
        if outcome is not None:
            self.store.finish_event(event.event, outcome, self.now().isoformat())

    def _outcome(self, event: StripeEvent, *, again: bool) -> str | None:
        """`done`, `ignored`, or None if the event was handed to its invoice's group."""
        subject = subject_of(event.event_type)
        # Of a connected account not even the ids of its objects are looked at: its money is not the firm's.
        elsewhere = event.of_another_account or event.deployment not in {None, self.deployment}
        if elsewhere or subject is Subject.NOTHING_OF_OURS:
            return "ignored"
        if subject is Subject.UNKNOWN:
            text = (
                f"Events of type {event.event_type} are not handled: look at this one in Stripe's dashboard."
            )
            raise Parked(text, event=event.event, object=event.object)
        if None not in {event.livemode, self.stripe.livemode} and event.livemode != self.stripe.livemode:
            text = (
                f"The event is in {_mode(event.livemode)} mode, the API key in {_mode(self.stripe.livemode)} mode: "
                "the endpoint's signing secret and the API key in Secrets Manager must be of the same mode."
            )
            raise Parked(text, event=event.event, object=event.object)
        try:
            session = self._session(event, subject)
        except StripeRejected as error:
            text = f"Stripe does not have the object of this event ({event.event_type}). {error.detail}"
            raise Parked(text, event=event.event, object=event.object) from error
        if session is None or not is_ours(session.metadata, self.deployment):
            return "ignored"
        found = self.invoice_writer.row_of(session)
        if found.invoice is not None and found.invoice != event.invoice:
            # Only the worker of the invoice's group may write it.
            self.queue.send(replace(event, invoice=found.invoice))
            return None
        if not self.invoice_writer.apply(found, thorough=event.event_type.startswith(REVERSALS), again=again):
            return "ignored"
        if (sentence := remark_on(event.event_type, event.object)) is not None:
            self.invoice_writer.remark(session, sentence)
        return "done"

    def _session(self, event: StripeEvent, subject: Subject) -> CheckoutSession | None:
        """The session behind the event, fetched now; None if the payment is another application's."""
        if subject is Subject.SESSION:
            return self.stripe.retrieve_session(event.object)
        behind = self.stripe.payment_behind(subject, event.object)
        session = (
            self.stripe.session_of_payment_intent(behind.payment_intent) if behind.payment_intent else None
        )
        if session is None and is_ours(behind.metadata, self.deployment):
            text = "A payment of this deployment has no Checkout session; look at it in Stripe's dashboard."
            raise Parked(text, event=event.event, object=event.object)
        return session


def _mode(livemode: bool | None) -> str:  # noqa: FBT001  # Stripe's own flag
    return "live" if livemode else "test"
