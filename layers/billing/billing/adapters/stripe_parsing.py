"""Stripe's objects, as its SDK hands them over, as the values of `core.stripe_objects`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from billing.core.stripe_objects import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    PaymentIntent,
    StripeDispute,
    StripeRefund,
    UndeliveredEvent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def session_from_stripe(found: Mapping[str, Any]) -> CheckoutSession:
    """A Checkout session; its payment intent, charge and fee as far as they were expanded."""
    intent = found.get("payment_intent")
    return CheckoutSession(
        id=found["id"],
        status=found["status"],
        payment_status=found["payment_status"],
        amount_total=found["amount_total"],
        currency=found["currency"].upper(),
        expires_at=datetime.fromtimestamp(found["expires_at"], UTC),
        url=found.get("url"),
        payment_intent=_payment_intent(intent) if isinstance(intent, dict) else None,
        metadata=found.get("metadata") or {},
    )


def _payment_intent(found: Mapping[str, Any]) -> PaymentIntent:
    charge = found.get("latest_charge")
    failure = found.get("last_payment_error") or {}
    return PaymentIntent(
        id=found["id"],
        status=found["status"],
        amount_received=found["amount_received"],
        currency=found["currency"].upper(),
        latest_charge=_charge(charge) if isinstance(charge, dict) else None,
        failure_message=failure.get("message"),
        metadata=found.get("metadata") or {},
    )


def _charge(found: Mapping[str, Any]) -> Charge:
    details = found.get("payment_method_details") or {}
    method = details.get("type")
    specific = details.get(method) or {}
    balance = found.get("balance_transaction")
    fees = balance if isinstance(balance, dict) else {}
    return Charge(
        id=found["id"],
        status=found["status"],
        created=datetime.fromtimestamp(found["created"], UTC),
        currency=str(found["currency"]).upper(),
        payment_intent=id_of(found.get("payment_intent")),
        method=method,
        brand=specific.get("brand"),
        bank_name=specific.get("bank_name"),
        account_type=specific.get("account_type"),
        last4=specific.get("last4"),
        fee=fees.get("fee"),
        fee_currency=str(fees["currency"]).upper() if fees.get("currency") else None,
        failure_message=found.get("failure_message"),
        amount_refunded=found.get("amount_refunded") or 0,
        disputed=found.get("disputed") is True,
        metadata=found.get("metadata") or {},
    )


def refund_from_stripe(found: Mapping[str, Any]) -> StripeRefund:
    """A refund; what it hangs on by id."""
    return StripeRefund(
        id=found["id"],
        status=found.get("status") or "pending",  # nullable in Stripe's document
        amount=found["amount"],
        currency=found["currency"].upper(),
        created=datetime.fromtimestamp(found["created"], UTC),
        payment_intent=id_of(found.get("payment_intent")),
        charge=id_of(found.get("charge")),
        reason=found.get("reason"),
    )


def dispute_from_stripe(found: Mapping[str, Any]) -> StripeDispute:
    """A dispute; what it hangs on by id."""
    due_by = (found.get("evidence_details") or {}).get("due_by")
    return StripeDispute(
        id=found["id"],
        status=found["status"],
        amount=found["amount"],
        currency=found["currency"].upper(),
        created=datetime.fromtimestamp(found["created"], UTC),
        payment_intent=id_of(found.get("payment_intent")),
        charge=id_of(found.get("charge")),
        reason=found.get("reason"),
        evidence_due_by=datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


def balance_transaction_from_stripe(found: Mapping[str, Any]) -> BalanceTransaction:
    """A balance transaction with its source expanded; a payout or a fee of Stripe's has none, or none of a payment."""
    source = found.get("source")
    known: Mapping[str, Any] = source if isinstance(source, dict) else {}
    return BalanceTransaction(
        id=found["id"],
        type=found["type"],
        amount=found["amount"],
        fee=found["fee"],
        currency=found["currency"].upper(),
        created=datetime.fromtimestamp(found["created"], UTC),
        source=id_of(source),
        payment_intent=id_of(known.get("payment_intent")),
        metadata=known.get("metadata") or {},
    )


def undelivered_event_from_stripe(found: Mapping[str, Any]) -> UndeliveredEvent:
    """What an event is about; nothing else of its payload is read."""
    about = found["data"]["object"]
    return UndeliveredEvent(
        id=found["id"],
        type=found["type"],
        object_id=about["id"],
        object_type=about["object"],
        livemode=found["livemode"],
        metadata=about.get("metadata") or {},
    )


def id_of(value: Any) -> str | None:
    """The id of what may be expanded or not; None for neither."""
    if isinstance(value, dict):
        return str(value["id"])
    return value if isinstance(value, str) else None
