"""One object of each kind that we read, as Stripe hands it over, and who reads it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from billing.errors import StripeUnreadable
from billing.stripe.objects import (
    BalanceTransaction,
    CheckoutSession,
    StripeDispute,
    StripeRefund,
    UndeliveredEvent,
)
from billing.stripe.parsing import read

type Parse = Callable[[Mapping[str, Any]], object]

OURS = {
    "deployment": "test",
    "directus_invoice": "a1000000-0000-4000-8000-000000000001",
    "directus_payment": "b1000000-0000-4000-8000-000000000001",
}
CHARGE: dict[str, Any] = {
    "id": "ch_1", "object": "charge", "status": "succeeded", "created": 1795339423, "currency": "usd",
    "amount": 10000, "amount_captured": 10000, "amount_refunded": 0, "disputed": False, "paid": True,
    "payment_intent": "pi_1", "metadata": OURS,
    "payment_method_details": {
        "type": "card", "card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030},
    },
    "balance_transaction": {
        "id": "txn_1", "object": "balance_transaction", "type": "charge", "amount": 10000, "fee": 320,
        "net": 9680, "currency": "usd", "created": 1795339423, "source": "ch_1",
    },
}  # fmt: skip
DEBIT: dict[str, Any] = {
    **CHARGE,
    "payment_method_details": {
        "type": "us_bank_account",
        "us_bank_account": {"bank_name": "BANK", "account_type": "checking", "last4": "6789"},
    },
}
INTENT: dict[str, Any] = {
    "id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 10000, "amount_received": 10000,
    "currency": "usd", "latest_charge": CHARGE, "metadata": OURS,
    "last_payment_error": {"type": "card_error", "message": "Your card was declined."},
}  # fmt: skip
SESSION: dict[str, Any] = {
    "id": "cs_test_1", "object": "checkout.session", "mode": "payment", "status": "complete",
    "payment_status": "paid", "amount_total": 10000, "amount_subtotal": 10000, "currency": "usd",
    "created": 1795339422, "expires_at": 1795425822, "url": None, "payment_intent": INTENT, "metadata": OURS,
    "setup_intent": None, "subscription": None, "customer": None,
}  # fmt: skip
DEBITED: dict[str, Any] = {**SESSION, "payment_intent": {**INTENT, "latest_charge": DEBIT}}
REFUND: dict[str, Any] = {
    "id": "re_1", "object": "refund", "status": "succeeded", "amount": 2500, "currency": "usd",
    "created": 1795339424, "payment_intent": "pi_1", "charge": "ch_1", "reason": "duplicate",
}  # fmt: skip
DISPUTE: dict[str, Any] = {
    "id": "du_1", "object": "dispute", "status": "needs_response", "amount": 2500, "currency": "usd",
    "created": 1795339424, "payment_intent": "pi_1", "charge": "ch_1", "reason": "fraudulent",
    "evidence_details": {"due_by": 1795944224, "has_evidence": False, "past_due": False, "submission_count": 0},
}  # fmt: skip
MOVEMENT: dict[str, Any] = {
    "id": "txn_1", "object": "balance_transaction", "type": "charge", "amount": 10000, "fee": 320,
    "currency": "usd", "created": 1795339423, "source": CHARGE,
}  # fmt: skip
EVENT: dict[str, Any] = {
    "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False,
    "created": 1795339424, "data": {"object": SESSION},
}  # fmt: skip

#: Each object with Stripe's schema for it and our way to read it.
READ: dict[str, tuple[str, dict[str, Any], Parse]] = {
    "a card's session": ("checkout.session", SESSION, partial(read, CheckoutSession)),
    "a debit's session": ("checkout.session", DEBITED, partial(read, CheckoutSession)),
    "a refund": ("refund", REFUND, partial(read, StripeRefund)),
    "a dispute": ("dispute", DISPUTE, partial(read, StripeDispute)),
    "a movement": ("balance_transaction", MOVEMENT, partial(read, BalanceTransaction)),
    "an event": ("event", EVENT, partial(read, UndeliveredEvent)),
}
#: Nulls of Stripe's without which a session of ours cannot be judged.
NEEDED_OF_OURS = {"status", "amount_total", "currency"}


def refusal_of(parse: Parse, value: Mapping[str, Any], otherwise: str) -> str:
    """What it is refused with; `otherwise` if it is read. Anything else that is raised is a failure."""
    try:
        parse(value)
    except StripeUnreadable as refusal:
        return refusal.detail
    return otherwise
