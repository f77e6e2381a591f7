"""Stripe's objects, as its SDK hands them over, as the values of `stripe.objects`.

Whatever Stripe's OpenAPI document lets be null or absent is read as that; what must be there and is not raises
`StripeUnreadable`, which names the object. Nothing else is raised, and nothing half-read is handed out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from billing.errors import StripeUnreadable
from billing.stripe.objects import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    PaymentIntent,
    StripeDispute,
    StripeRefund,
    UndeliveredEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


#: The only mode of a session that takes one payment; `setup` and `subscription` are never ours.
PAYMENT_MODE = "payment"


def session_from_stripe(found: Mapping[str, Any]) -> CheckoutSession:
    """A Checkout session; its payment intent, charge and fee as far as they were expanded.

    A session that takes no payment (setup, subscription) has no metadata here, whatever it says: it is never ours.
    Nor is one whose metadata names no deployment; Stripe may give both without amount, currency and status.
    """
    session = _Fields("checkout.session", found)
    metadata = session.metadata() if found.get("mode") == PAYMENT_MODE else {}
    intent = found.get("payment_intent")
    if "deployment" in metadata:
        status, amount_total = session.text("status"), session.number("amount_total")
        currency = session.text("currency").upper()
    else:
        status = session.text_or_none("status") or ""
        amount_total = session.number_or_none("amount_total") or 0
        currency = (session.text_or_none("currency") or "").upper()
    return CheckoutSession(
        id=session.text("id"),
        status=status,
        payment_status=session.text("payment_status"),
        amount_total=amount_total,
        currency=currency,
        expires_at=session.moment("expires_at"),
        url=session.text_or_none("url"),
        payment_intent=_payment_intent(intent) if isinstance(intent, dict) else None,
        metadata=metadata,
    )


def _payment_intent(found: Mapping[str, Any]) -> PaymentIntent:
    intent = _Fields("payment_intent", found)
    charge = found.get("latest_charge")
    return PaymentIntent(
        id=intent.text("id"),
        status=intent.text("status"),
        amount_received=intent.number("amount_received"),
        currency=intent.text("currency").upper(),
        latest_charge=_charge(charge) if isinstance(charge, dict) else None,
        failure_message=intent.below("last_payment_error").text_or_none("message"),
        metadata=intent.metadata(),
    )


def _charge(found: Mapping[str, Any]) -> Charge:
    charge = _Fields("charge", found)
    details = charge.below("payment_method_details")
    method = details.text_or_none("type")
    specific = details.below(method or "")
    balance = charge.below("balance_transaction")  # an id until it is expanded
    fee_currency = balance.text_or_none("currency")
    return Charge(
        id=charge.text("id"),
        status=charge.text("status"),
        created=charge.moment("created"),
        currency=charge.text("currency").upper(),
        payment_intent=id_of(found.get("payment_intent")),
        method=method,
        brand=specific.text_or_none("brand"),
        bank_name=specific.text_or_none("bank_name"),
        account_type=specific.text_or_none("account_type"),
        last4=specific.text_or_none("last4"),
        fee=balance.number_or_none("fee"),
        fee_currency=fee_currency.upper() if fee_currency else None,
        amount_refunded=charge.number_or_none("amount_refunded") or 0,
        disputed=found.get("disputed") is True,
        metadata=charge.metadata(),
    )


def refund_from_stripe(found: Mapping[str, Any]) -> StripeRefund:
    """A refund; what it hangs on by id."""
    refund = _Fields("refund", found)
    return StripeRefund(
        id=refund.text("id"),
        status=refund.text_or_none("status") or "pending",
        amount=refund.number("amount"),
        currency=refund.text("currency").upper(),
        created=refund.moment("created"),
        payment_intent=id_of(found.get("payment_intent")),
        charge=id_of(found.get("charge")),
        reason=refund.text_or_none("reason"),
    )


def dispute_from_stripe(found: Mapping[str, Any]) -> StripeDispute:
    """A dispute; what it hangs on by id."""
    dispute = _Fields("dispute", found)
    return StripeDispute(
        id=dispute.text("id"),
        status=dispute.text("status"),
        amount=dispute.number("amount"),
        currency=dispute.text("currency").upper(),
        created=dispute.moment("created"),
        payment_intent=id_of(found.get("payment_intent")),
        charge=id_of(found.get("charge")),
        reason=dispute.text_or_none("reason"),
        evidence_due_by=_due_by(dispute.below("evidence_details")),
    )


def _due_by(details: _Fields) -> datetime | None:
    """Stripe says 0 where the bank takes no answer."""
    return details.moment_or_none("due_by") if details.number_or_none("due_by") else None


def balance_transaction_from_stripe(found: Mapping[str, Any]) -> BalanceTransaction:
    """A balance transaction with its source expanded; a payout or a fee of Stripe's has none, or none of a payment."""
    movement = _Fields("balance_transaction", found)
    source = movement.below("source")
    return BalanceTransaction(
        id=movement.text("id"),
        type=movement.text("type"),
        amount=movement.number("amount"),
        fee=movement.number("fee"),
        currency=movement.text("currency").upper(),
        created=movement.moment("created"),
        source=id_of(found.get("source")),
        payment_intent=id_of(source.found.get("payment_intent")),
        metadata=source.metadata(),
    )


def undelivered_event_from_stripe(found: Mapping[str, Any]) -> UndeliveredEvent:
    """What an event is about; nothing else of its payload is read."""
    event = _Fields("event", found)
    about = event.below("data").below("object")
    return UndeliveredEvent(
        id=event.text("id"),
        type=event.text("type"),
        object_id=about.text("id", of=event),
        object_type=about.text("object", of=event),
        livemode=event.flag("livemode"),
        metadata=about.metadata(),
        of_another_account=bool(event.text_or_none("account") or event.text_or_none("context")),
    )


def id_of(value: Any) -> str | None:
    """The id of what may be expanded or not; None for neither."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def each_readable[Value](
    found: Iterable[Mapping[str, Any]],
    parse: Callable[[Mapping[str, Any]], Value],
    unreadable: Callable[[StripeUnreadable], None] | None = None,
) -> Iterator[Value]:
    """Everything in a list of Stripe's that can be read, past what cannot.

    `unreadable` is told of each of those; without it the first is raised once the list is at its end, so that nobody
    takes what is missing for something that Stripe does not have.
    """
    first: StripeUnreadable | None = None
    for one in found:
        try:
            value = parse(one)
        except StripeUnreadable as error:
            if unreadable is not None:
                unreadable(error)
            first = first or error
        else:
            yield value
    if first is not None and unreadable is None:
        raise first


class _Fields:
    """The fields of one object of Stripe's, each in the form that it must have."""

    def __init__(self, kind: str, found: Mapping[str, Any]) -> None:
        self.kind = kind
        self.found = found

    def text(self, name: str, *, of: _Fields | None = None) -> str:
        """`of` is the object to name in the error, if it is another one."""
        value = self.text_or_none(name)
        if value is None:
            raise (of or self).unreadable(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        value = self.found.get(name)
        if isinstance(value, str | None):
            return value
        raise self.unreadable(name)

    def number(self, name: str) -> int:
        value = self.number_or_none(name)
        if value is None:
            raise self.unreadable(name)
        return value

    def number_or_none(self, name: str) -> int | None:
        value = self.found.get(name)
        if isinstance(value, int | None) and not isinstance(value, bool):
            return value
        raise self.unreadable(name)

    def flag(self, name: str) -> bool:
        value = self.found.get(name)
        if isinstance(value, bool):
            return value
        raise self.unreadable(name)

    def moment(self, name: str) -> datetime:
        value = self.moment_or_none(name)
        if value is None:
            raise self.unreadable(name)
        return value

    def moment_or_none(self, name: str) -> datetime | None:
        seconds = self.number_or_none(name)
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise self.unreadable(name) from error

    def metadata(self) -> Mapping[str, str]:
        value = self.found.get("metadata")
        return value if isinstance(value, dict) else {}

    def below(self, name: str) -> _Fields:
        """The fields of an object inside; none of them if it is null, absent or not expanded."""
        value = self.found.get(name)
        return _Fields(f"{self.kind}.{name}", value if isinstance(value, dict) else {})

    def unreadable(self, name: str) -> StripeUnreadable:
        identifier = id_of(dict(self.found))
        message = f"Stripe's {self.kind} {identifier or 'without an id'} has no usable {name}; look at it in its dashboard."
        return StripeUnreadable(message, object=identifier)
