"""Use case of the worker: one Stripe event, as a hint to look at Stripe again.

The event's row in `stripe_events` is written first as `received` and last as how it ended, so that a crash in
between is seen and the next delivery does the work again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from billing.errors import BillingError, Parked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.adapters.billing_store import BillingStore
    from billing.adapters.queues import InvoiceQueue
    from billing.core.stripe_objects import Charge, CheckoutSession

_SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
#: Money moves that are planned and not applied yet: they stay visible until they are.
_NOT_APPLIED_YET = ("refund.", "charge.refund", "charge.dispute.", "radar.early_fraud_warning.")


class StripeObjects(Protocol):
    """What applying an event asks of Stripe."""

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session as it is now."""
        ...

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session a payment intent belongs to."""
        ...

    def retrieve_charge(self, charge: str) -> Charge:
        """Fetch a charge."""
        ...


class Booker(Protocol):
    """The one writer (`keep_invoice.KeepInvoice`)."""

    def invoice_of(self, session: CheckoutSession) -> str | None:
        """The invoice whose FIFO group must book the session."""
        ...

    def apply(self, session: CheckoutSession) -> bool:
        """Book a session; False if it is another application's."""
        ...


@dataclass(frozen=True)
class EventMessage:
    """A `stripe_event` message; `invoice` is the FIFO group if our metadata named one."""

    event: str
    event_type: str
    object_id: str
    invoice: str | None
    deployment: str | None

    @classmethod
    def from_message(cls, message: Mapping[str, object]) -> EventMessage:
        """Read what `core.webhook.StripeEvent.message` wrote."""
        invoice, deployment = message.get("invoice"), message.get("deployment")
        return cls(
            event=str(message["event"]),
            event_type=str(message["event_type"]),
            object_id=str(message["object"]),
            invoice=None if invoice is None else str(invoice),
            deployment=None if deployment is None else str(deployment),
        )


@dataclass(frozen=True)
class ApplyStripeEvent:
    """The use case with what it needs; `parked` is told of every event a person must look at."""

    store: BillingStore
    stripe: StripeObjects
    booker: Booker
    queue: InvoiceQueue
    deployment: str
    parked: Callable[[BillingError], None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, message: EventMessage) -> None:
        """Apply the event; a retryable failure is raised and the row stays `received`."""
        status = self.store.begin_event(
            message.event, message.event_type, message.object_id, self.now().isoformat()
        )
        if status in {"done", "ignored"}:
            return
        try:
            outcome = self._outcome(message)
        except BillingError as error:
            if error.retryable:
                raise
            self.parked(error)
            ended = "parked" if isinstance(error, Parked) else "failed"
            self.store.finish_event(message.event, ended, self.now().isoformat(), error.detail)
            return
        if outcome is not None:
            self.store.finish_event(message.event, outcome, self.now().isoformat())

    def _outcome(self, message: EventMessage) -> str | None:
        """`done`, `ignored`, or None if the event was handed to its invoice's group."""
        if message.deployment is not None and message.deployment != self.deployment:
            return "ignored"
        if message.event_type.startswith(_NOT_APPLIED_YET):
            text = f"Events of type {message.event_type} are not applied yet: book it by hand."
            raise Parked(text, event=message.event, object=message.object_id)
        session = self._session(message)
        if session is None or session.metadata.get("deployment") != self.deployment:
            return "ignored"
        invoice = self.booker.invoice_of(session)
        if invoice is not None and invoice != message.invoice:
            # Only the worker of the invoice's group may write it.
            self.queue.send(
                {
                    "type": "stripe_event",
                    "event": message.event,
                    "event_type": message.event_type,
                    "object": message.object_id,
                    "invoice": invoice,
                    "deployment": self.deployment,
                },
                group=invoice,
            )
            return None
        return "done" if self.booker.apply(session) else "ignored"

    def _session(self, message: EventMessage) -> CheckoutSession | None:
        """The session the event is about, fetched now; None if it is about something else."""
        if message.event_type in _SESSION_EVENTS:
            return self.stripe.retrieve_session(message.object_id)
        if message.event_type.startswith("payment_intent."):
            return self._session_of_intent(message, message.object_id)
        if message.event_type.startswith("charge."):
            intent = self.stripe.retrieve_charge(message.object_id).payment_intent
            return self._session_of_intent(message, intent) if intent else None
        return None

    def _session_of_intent(self, message: EventMessage, payment_intent: str) -> CheckoutSession | None:
        session = self.stripe.session_of_payment_intent(payment_intent)
        if session is None and message.deployment == self.deployment:
            text = "A payment intent of this deployment has no Checkout session; look at it in Stripe's dashboard."
            raise Parked(text, event=message.event, payment_intent=payment_intent)
        return session
