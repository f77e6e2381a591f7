"""Disputes: a cardholder or bank demands money back.

Stripe takes the amount and a fee from the balance when a dispute is created, and gives the amount back when it
is won; the fee stays. An inquiry (`warning_…`) is a question that comes before a dispute: no money moves; it is
closed as `warning_closed`, or escalates to a dispute.
"""

from typing import Literal

from local.stripe_simulator import balance, early_fraud_warnings
from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.store import StripeObject
from local.stripe_simulator.world import World

type Ending = Literal["won", "lost", "warning_closed"]
OUTCOMES = ("won", "lost", "open", "warning_closed")
ENDINGS = ("won", "lost", "warning_closed")
#: Stripe's words for why; its document leaves the field open.
REASONS = (
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
)
#: Minor units, in every currency: 15.00 USD is the fee of accounts in the United States.
FEE = 1500
_TIME_TO_ANSWER = 7 * 24 * 60 * 60
_OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
#: Evidence that an account can give; never filled in here.
_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def create(
    world: World,
    charge: StripeObject,
    *,
    amount: int | None = None,
    inquiry: bool = False,
    reason: str = "fraudulent",
) -> StripeObject:
    """A dispute of a paid charge; of what is not refunded yet unless `amount` (minor units) is given.

    `StripeError` (400) for a charge that took no money or an amount that it does not have, `NotSimulated` for a
    second dispute of a charge.
    """
    if charge["status"] != "succeeded":
        raise StripeError(
            400, f"Charge {charge['id']} is {charge['status']} and cannot be disputed.", parameter="charge"
        )
    if charge["disputed"]:
        raise NotSimulated("A second dispute of one charge")
    left = charge["amount"] - charge["amount_refunded"]
    disputed = (left or charge["amount"]) if amount is None else amount
    if not 1 <= disputed <= charge["amount"]:
        raise StripeError(400, f"amount is from 1 to {charge['amount']}.", parameter="amount")
    dispute = _dispute(world, charge, disputed, inquiry=inquiry, reason=reason)
    charge |= {"disputed": True, "_dispute": dispute["id"]}
    world.store.put(charge)
    if not inquiry:
        _withdraw(world, dispute)
    world.store.put(dispute)
    world.announce("charge.dispute.created", dispute)
    if not inquiry:
        world.announce("charge.dispute.funds_withdrawn", dispute)
    early_fraud_warnings.came_true(world, charge)
    return dispute


def close(world: World, dispute: StripeObject, ending: Ending) -> StripeObject:
    """Ends an open dispute; an inquiry that shall be won or lost becomes a dispute first. 400 if it is not open."""
    if dispute["status"] not in _OPEN:
        raise StripeError(400, f"This dispute is {dispute['status']} already.", parameter="dispute")
    is_inquiry = dispute["status"].startswith("warning_")
    if ending == "warning_closed" and not is_inquiry:
        raise StripeError(400, "Only an inquiry can end as warning_closed.", parameter="outcome")
    if is_inquiry and ending != "warning_closed":
        _escalate(world, dispute)
    if ending == "won":
        _answer(world, dispute)
    dispute["status"] = ending
    if ending == "won":
        _reinstate(world, dispute)
    world.store.put(dispute)
    world.announce("charge.dispute.closed", dispute)
    if ending == "won":
        world.announce("charge.dispute.funds_reinstated", dispute)
    return dispute


def allows_refund(world: World, charge: StripeObject) -> bool:
    """Whether a charge can be refunded: it has no dispute, or only an inquiry."""
    if not charge["disputed"]:
        return True
    refundable: bool = world.find(charge["_dispute"], "dispute")["is_charge_refundable"]
    return refundable


def _dispute(world: World, charge: StripeObject, amount: int, *, inquiry: bool, reason: str) -> StripeObject:
    details = charge["payment_method_details"]
    dispute: StripeObject = {
        "id": world.new_id("du_1", 23),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": world.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": world.now() + _TIME_TO_ANSWER,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    if details["type"] == "card":  # Stripe's document has no details for bank debits
        card = {
            "brand": details["card"]["brand"],
            "case_type": "inquiry" if inquiry else "chargeback",
            "network": details["card"]["network"],
            "network_reason_code": "10.4",
        }
        dispute["payment_method_details"] = {"card": card, "type": "card"}
    return dispute


def _withdraw(world: World, dispute: StripeObject) -> None:
    transaction = balance.book(
        world,
        amount=-dispute["amount"],
        currency=dispute["currency"],
        kind="adjustment",
        category="dispute",
        source=dispute["id"],
        fee=FEE,
        fee_for="Dispute fee",
        description=f"Chargeback withdrawal for {dispute['charge']}",
    )
    dispute["balance_transactions"].append(transaction)


def _reinstate(world: World, dispute: StripeObject) -> None:
    transaction = balance.book(
        world,
        amount=dispute["amount"],
        currency=dispute["currency"],
        kind="adjustment",
        category="dispute_reversal",
        source=dispute["id"],
        description=f"Chargeback reversal for {dispute['charge']}",
    )
    dispute["balance_transactions"].append(transaction)


def _escalate(world: World, dispute: StripeObject) -> None:
    previous = {"status": dispute["status"], "is_charge_refundable": True, "balance_transactions": []}
    _withdraw(world, dispute)
    dispute |= {"status": "needs_response", "is_charge_refundable": False}
    if "payment_method_details" in dispute:
        dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    world.store.put(dispute)
    world.announce("charge.dispute.updated", dispute, previous=previous)
    world.announce("charge.dispute.funds_withdrawn", dispute)


def _answer(world: World, dispute: StripeObject) -> None:
    """The account sends its evidence, without which no dispute is won."""
    previous = {"status": dispute["status"], "evidence_details": dispute["evidence_details"]}
    sent = {"has_evidence": True, "submission_count": 1}
    dispute |= {"status": "under_review", "evidence_details": dispute["evidence_details"] | sent}
    world.store.put(dispute)
    world.announce("charge.dispute.updated", dispute, previous=previous)
