"""Refunds: by the API or the Dashboard; of cards at once, of bank debits days later; and those that fail afterwards.

The charge's `amount_refunded` grows when a refund is created, whatever its status, and shrinks when it fails or
is canceled: then the money is back on the balance.
"""

import time
from typing import Any, Literal, Never

from local.stripe_simulator import balance, catalogue, disputes, early_fraud_warnings
from local.stripe_simulator.errors import StripeError
from local.stripe_simulator.parameters import check_metadata, refuse_what_is_not_simulated
from local.stripe_simulator.store import Job, StripeObject
from local.stripe_simulator.world import NOBODY, ApiRequest, World

type Outcome = Literal["succeed", "fail", "cancel"]

#: Reasons for a refund; Stripe's list.
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
#: The parameters of a refund that the simulator acts upon. Others are refused (501), never ignored.
ACTED_UPON: dict[str, Any] = {
    "amount": None,
    "charge": None,
    "metadata": None,
    "payment_intent": None,
    "reason": None,
}


def create(world: World, parameters: dict[str, Any], cause: ApiRequest = NOBODY) -> StripeObject:
    """A refund of a charge, named itself or by its payment intent; of all that is left unless `amount` is given.

    Raises `StripeError` for what Stripe refuses. `cause` is empty for a refund made in the Dashboard.
    """
    refuse_what_is_not_simulated(parameters, ACTED_UPON)
    check_metadata(parameters.get("metadata") or {}, "metadata")
    charge = _charge(world, parameters)
    amount = _amount(world, charge, parameters.get("amount"))
    return _refund(world, charge, amount, parameters, cause)


def settle(world: World, refund: StripeObject, outcome: Outcome) -> StripeObject:
    """Ends a pending refund, or lets one that had succeeded fail after all; 400 for any other change."""
    allowed = {"pending": ("succeed", "fail", "cancel"), "succeeded": ("fail",)}
    if outcome not in allowed.get(refund["status"], ()):
        message = f"This refund is {refund['status']}: it cannot {outcome} any more."
        raise StripeError(400, message, parameter="outcome")
    previous = {"status": refund["status"]}
    if outcome == "succeed":
        refund["status"] = "succeeded"
        refund.pop("pending_reason", None)
        world.store.put(refund)
        _announce_update(world, refund, previous | {"pending_reason": "processing"})
    else:
        _give_back(world, refund, outcome)
        _announce_update(world, refund, previous | {"failure_balance_transaction": None})
        if outcome == "fail":
            world.announce("refund.failed", refund)
    return refund


def cancel(refund: StripeObject) -> Never:
    """Stripe cancels by API only what waits for the customer (`requires_action`), and nothing here ever does."""
    message = (
        f"A refund can only be canceled while its status is requires_action; this one is {refund['status']}."
    )
    raise StripeError(400, message, parameter="refund", replayed=True)


def settle_reference(world: World, refund: StripeObject) -> None:
    """The card network's reference becomes known, by which a cardholder's bank finds the money."""
    if refund["status"] != "succeeded":
        return
    previous = {"destination_details": refund["destination_details"]}
    card = {"reference": "1234567890", "reference_status": "available"}
    refund["destination_details"] = {
        "type": "card",
        "card": refund["destination_details"]["card"] | card,
    }
    world.store.put(refund)
    _announce_update(world, refund, previous)


def _charge(world: World, parameters: dict[str, Any]) -> StripeObject:
    named = [name for name in ("charge", "payment_intent") if name in parameters]
    if len(named) != 1:
        message = "Exactly one of these parameters must be given: charge, payment_intent."
        raise StripeError(400, message, code=None if named else "parameter_missing", parameter="charge")
    if named == ["payment_intent"]:
        intent = world.find(parameters["payment_intent"], "payment_intent", "payment_intent")
        identifier = intent["latest_charge"] if intent["status"] == "succeeded" else None
        if identifier is None:
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise StripeError(
                400,
                message,
                code="payment_intent_unexpected_state",
                parameter="payment_intent",
                replayed=True,
            )
        return world.find(identifier, "charge", "charge")
    charge = world.find(parameters["charge"], "charge", "charge")
    if charge["status"] != "succeeded":
        message = f"Charge {charge['id']} is {charge['status']} and cannot be refunded."
        raise StripeError(400, message, code="charge_not_refundable", parameter="charge", replayed=True)
    return charge


def _amount(world: World, charge: StripeObject, wanted: int | None) -> int:
    left: int = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeError(400, message, code="charge_already_refunded", replayed=True)
    if not disputes.allows_refund(world, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(400, message, code="charge_disputed", replayed=True)
    if wanted is None:
        return left
    if wanted <= 0:
        message = "This value must be greater than or equal to 1."
        raise StripeError(400, message, code="parameter_invalid_integer", parameter="amount")
    if wanted > left:
        asked, rest = (catalogue.in_words(value, charge["currency"]) for value in (wanted, left))
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})"
        raise StripeError(400, message, parameter="amount", replayed=True)
    return wanted


def _refund(
    world: World, charge: StripeObject, amount: int, parameters: dict[str, Any], cause: ApiRequest
) -> StripeObject:
    is_card = charge["payment_method_details"]["type"] == "card"
    refund: StripeObject = {
        "id": world.new_id("re_3" if is_card else "pyr_1", 23),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": world.now(),
        "currency": charge["currency"],
        "destination_details": _destination(is_card=is_card),
        "metadata": parameters.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": parameters.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded" if is_card else "pending",
        "transfer_reversal": None,
    }
    if not is_card:
        refund["pending_reason"] = "processing"
    kind = "refund" if is_card else "payment_refund"
    transaction = _book(world, refund, -amount, kind, "refund")
    refund["balance_transaction"] = transaction["id"]
    world.store.put(refund)
    previous = _change_refunded(world, charge, amount)
    world.announce("refund.created", refund, cause=cause)
    world.announce("charge.refunded", charge, previous=previous, cause=cause)
    if is_card:
        world.store.schedule(Job("settle_reference", refund["id"]), due=time.time() + world.fee_delay)
    if charge["refunded"]:
        early_fraud_warnings.came_true(world, charge)
    return refund


def _give_back(world: World, refund: StripeObject, outcome: Literal["fail", "cancel"]) -> None:
    transaction = _book(world, refund, refund["amount"], "refund_failure", "refund_failure")
    refund |= {
        "status": "failed" if outcome == "fail" else "canceled",
        "failure_balance_transaction": transaction["id"],
        "failure_reason": "unknown" if outcome == "fail" else "merchant_request",
    }
    refund.pop("pending_reason", None)
    world.store.put(refund)
    # Stripe has no event for this: charge.updated is for descriptions, metadata and captures.
    _change_refunded(world, world.find(refund["charge"], "charge"), -refund["amount"])


def _change_refunded(world: World, charge: StripeObject, amount: int) -> StripeObject:
    """Counts `amount` as refunded; gives the previous values of what changed."""
    changed = {"amount_refunded": charge["amount_refunded"] + amount}
    if (changed["amount_refunded"] == charge["amount"]) != charge["refunded"]:
        changed["refunded"] = not charge["refunded"]
    previous = {name: charge[name] for name in changed}
    world.store.put(charge | changed)
    charge |= changed
    return previous


def _book(world: World, refund: StripeObject, amount: int, kind: str, category: str) -> StripeObject:
    return balance.book(
        world,
        amount=amount,
        currency=refund["currency"],
        kind=kind,
        category=category,
        source=refund["id"],
        description="REFUND" if amount < 0 else "REFUND FAILURE",
    )


def _announce_update(world: World, refund: StripeObject, previous: StripeObject) -> None:
    """Stripe sends two events: the second has the older name of the first, and both are still sent."""
    world.announce("refund.updated", refund, previous=previous)
    world.announce("charge.refund.updated", refund, previous=previous)


def _destination(*, is_card: bool) -> StripeObject:
    if not is_card:
        details = {"reference": None, "reference_status": "pending"}
        return {"type": "us_bank_transfer", "us_bank_transfer": details}
    card = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return {"type": "card", "card": card}
