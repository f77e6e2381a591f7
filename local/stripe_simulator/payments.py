"""Payments on the hosted page: payment intents, charges, fees and their events.

Card: succeeds or is declined at once; after a decline the session stays open. US bank account (ACH): the session
is complete but unpaid, and days later the debit succeeds or fails (`settle`). The fee is known a little after the
money (`settle_fee`), because Stripe captures asynchronously.
"""

import time
from dataclasses import dataclass
from typing import Literal

from local.stripe_simulator import balance, catalogue, disputes, early_fraud_warnings
from local.stripe_simulator.errors import StripeError
from local.stripe_simulator.store import Job, StripeObject
from local.stripe_simulator.world import World

type Method = Literal["card", "us_bank_account"]

_DECLINE_MESSAGES = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
}
_BANK_MESSAGE = "The customer's bank account could not be debited."


@dataclass(frozen=True)
class Payment:
    """An attempt to pay; `refusal` is the message to the payer if it failed, else None."""

    session: str
    payment_intent: str
    refusal: str | None


def pay(
    world: World, session: StripeObject, *, method: Method, number: str, name: str | None = None
) -> Payment:
    """Pays an open session with a test card or test bank account number.

    Raises `StripeError`: 400 if the session is not open or does not take the method, 402 for a number that is no
    test number (nothing has happened then).
    """
    if session["mode"] != "payment":
        raise StripeError(400, f"This Checkout Session takes no payment: its mode is {session['mode']}.")
    if session["status"] != "open":
        message = f"This Checkout Session is {session['status']}."
        raise StripeError(400, message, code="payment_intent_unexpected_state")
    if method not in session["payment_method_types"]:
        raise StripeError(400, f"This Checkout Session does not take {method}.", parameter="method")
    number = number.replace(" ", "").replace("-", "")
    if method == "card":
        if number not in catalogue.CARDS:
            message = "Your card number is incorrect."
            raise StripeError(402, message, kind="card_error", code="incorrect_number", parameter="number")
        return _pay_by_card(world, session, number, name)
    if number not in catalogue.BANK_ACCOUNTS:
        message = "This is not a test bank account number."
        raise StripeError(402, message, code="account_number_invalid", parameter="number")
    return _pay_by_bank_account(world, session, number, name)


def settle(world: World, intent: StripeObject, *, succeeds: bool) -> Payment:
    """Ends an ACH debit that is under way; 400 when none is."""
    if intent["status"] != "processing":
        message = f"This PaymentIntent's status is {intent['status']}: no bank debit is under way."
        raise StripeError(400, message, code="payment_intent_unexpected_state")
    charge = world.find(intent["latest_charge"], "charge")
    session = world.find(intent["_session"], "checkout.session")
    if succeeds:
        _receive(world, intent, charge)
        session["payment_status"] = "paid"
        world.store.put(session)
        world.announce("charge.succeeded", charge)
        world.announce("payment_intent.succeeded", intent)
        world.announce("checkout.session.async_payment_succeeded", session)
        return Payment(session["id"], intent["id"], None)
    reason = catalogue.BANK_ACCOUNTS.get(intent["_number"]) or "insufficient_funds"
    charge |= {"status": "failed", "paid": False, "failure_code": reason, "failure_message": _BANK_MESSAGE}
    charge["outcome"] = _outcome(reason)
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": {
            "type": "invalid_request_error",
            "code": "payment_intent_payment_attempt_failed",
            "message": _BANK_MESSAGE,
            "charge": charge["id"],
            "doc_url": "https://docs.stripe.com/error-codes/payment-intent-payment-attempt-failed",
        },
    }
    world.store.put(charge)
    world.store.put(intent)
    world.announce("charge.failed", charge)
    world.announce("payment_intent.payment_failed", intent)
    world.announce("checkout.session.async_payment_failed", session)
    return Payment(session["id"], intent["id"], _BANK_MESSAGE)


def settle_fee(world: World, charge: StripeObject) -> None:
    """Books the charge's balance transaction and announces it with `charge.updated`."""
    amount, is_card = charge["amount"], charge["payment_method_details"]["type"] == "card"
    # docs.stripe.com/pricing, rounded half up: card 2.9 % + 30, ACH 0.8 % at most 5.00.
    fee = (amount * 29 + 500) // 1000 + 30 if is_card else min(500, (amount * 8 + 500) // 1000)
    transaction = balance.book(
        world,
        amount=amount,
        currency=charge["currency"],
        kind="charge" if is_card else "payment",
        category="charge",
        source=charge["id"],
        fee=fee,
        description=charge["description"],
    )
    charge["balance_transaction"] = transaction["id"]
    world.store.put(charge)
    world.announce("charge.updated", charge, previous={"balance_transaction": None})


def come_later(world: World, charge: StripeObject) -> None:
    """What the test card promised happens; nothing when a test has let it happen already."""
    if charge["_later"] == "early_fraud_warning":
        if "_early_fraud_warning" not in charge:
            early_fraud_warnings.create(world, charge)
    elif not charge["disputed"]:
        inquiry = charge["_later"] == "inquiry"
        reason = "fraudulent" if inquiry else charge["_later"]
        disputes.create(world, charge, inquiry=inquiry, reason=reason)


def _pay_by_card(world: World, session: StripeObject, number: str, name: str | None) -> Payment:
    card = catalogue.CARDS[number]
    intent = _confirm(world, session)
    details = {"type": "card", "card": _card_details(card, number, intent["amount"])}
    if card.decline is not None:
        charge = _charge(world, session, intent, name, details, status="failed", reason=card.decline)
        message = _DECLINE_MESSAGES[card.decline]
        intent |= {
            "latest_charge": charge["id"],
            "last_payment_error": {
                "type": "card_error",
                "code": charge["failure_code"],
                "decline_code": card.decline,
                "charge": charge["id"],
                "message": message,
                "doc_url": f"https://docs.stripe.com/error-codes/{charge['failure_code'].replace('_', '-')}",
            },
        }
        world.store.put(intent)
        world.announce("charge.failed", charge)
        world.announce("payment_intent.payment_failed", intent)
        return Payment(session["id"], intent["id"], message)
    charge = _charge(world, session, intent, name, details, status="succeeded")
    intent["latest_charge"] = charge["id"]
    _receive(world, intent, charge)
    _complete(world, session, name, "paid")
    world.announce("charge.succeeded", charge)
    world.announce("payment_intent.succeeded", intent)
    world.announce("checkout.session.completed", session)
    if card.later is not None:
        world.store.put(charge | {"_later": card.later})
        world.store.schedule(Job("come_later", charge["id"]), due=time.time() + world.fee_delay)
    return Payment(session["id"], intent["id"], None)


def _pay_by_bank_account(world: World, session: StripeObject, number: str, name: str | None) -> Payment:
    intent = _confirm(world, session)
    details = {
        "type": "us_bank_account",
        "us_bank_account": {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": f"bank{number[-4:]}",
            "last4": number[-4:],
            "mandate": world.new_id("mandate_1"),
            "payment_reference": None,
            "routing_number": "110000000",
        },
    }
    charge = _charge(world, session, intent, name, details, status="pending")
    intent |= {
        "status": "processing",
        "latest_charge": charge["id"],
        "payment_method": charge["payment_method"],
        "last_payment_error": None,
        "_number": number,
    }
    world.store.put(intent)
    _complete(world, session, name, "unpaid")
    world.announce("charge.pending", charge)
    world.announce("payment_intent.processing", intent)
    world.announce("checkout.session.completed", session)
    return Payment(session["id"], intent["id"], None)


def _confirm(world: World, session: StripeObject) -> StripeObject:
    """The session's payment intent: made when the customer first confirms, the same one afterwards."""
    if session["payment_intent"] is not None:
        return world.find(session["payment_intent"], "payment_intent")
    data = session["_payment_intent_data"]
    identifier = world.new_id("pi_3", 23)
    intent: StripeObject = {
        "id": identifier,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{identifier}_secret_{world.new_id('')}",
        "confirmation_method": "automatic",
        "created": world.now(),
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": data.get("metadata") or {},  # the session's own metadata is not copied, as at Stripe
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": data.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        "_session": session["id"],
    }
    world.store.put(intent)
    world.announce("payment_intent.created", intent)
    session["payment_intent"] = identifier
    world.store.put(session)
    return intent


def _charge(
    world: World,
    session: StripeObject,
    intent: StripeObject,
    name: str | None,
    details: StripeObject,
    *,
    status: Literal["succeeded", "pending", "failed"],
    reason: str | None = None,
) -> StripeObject:
    succeeded = status == "succeeded"
    code = None if reason is None else "expired_card" if reason == "expired_card" else "card_declined"
    return world.store.put(
        {
            # ACH charges carry `py_`.
            "id": world.new_id("ch_3" if details["type"] == "card" else "py_3", 23),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if succeeded else 0,
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": {
                "address": _empty_address(),
                "email": session["customer_email"],
                "name": name,
                "phone": None,
                "tax_id": None,
            },
            "calculated_statement_descriptor": intent["statement_descriptor"] or "TEST ACCOUNT",
            "captured": succeeded,
            "created": world.now(),
            "currency": intent["currency"],
            "customer": None,
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": code,
            "failure_message": None if reason is None else _DECLINE_MESSAGES[reason],
            "fraud_details": {},
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "on_behalf_of": None,
            "outcome": _outcome(reason),
            "paid": status != "failed",
            "payment_intent": intent["id"],
            "payment_method": world.new_id("pm_1"),
            "payment_method_details": details,
            "radar_options": {},
            "receipt_email": intent["receipt_email"],
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "shipping": None,
            "source_transfer": None,
            "statement_descriptor": intent["statement_descriptor"],
            "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
            "status": status,
            "transfer_data": None,
            "transfer_group": None,
        }
    )


def _receive(world: World, intent: StripeObject, charge: StripeObject) -> None:
    """The money is there: intent and charge succeed, the fee follows."""
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    intent |= {
        "status": "succeeded",
        "amount_received": charge["amount"],
        "payment_method": charge["payment_method"],
        "last_payment_error": None,
    }
    world.store.put(charge)
    world.store.put(intent)
    world.store.schedule(Job("settle_fee", charge["id"]), due=time.time() + world.fee_delay)


def _complete(world: World, session: StripeObject, name: str | None, payment_status: str) -> None:
    session |= {"status": "complete", "payment_status": payment_status, "url": None}
    session["customer_details"] = {
        "address": _empty_address(),
        "business_name": None,
        "email": session["customer_email"],
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }
    world.store.put(session)
    world.store.unschedule(Job("expire", session["id"]))


def _card_details(card: catalogue.Card, number: str, amount: int) -> StripeObject:
    return {
        "amount_authorized": None if card.decline else amount,
        "authorization_code": None if card.decline else "123456",
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"card{number[-4:]}",
        "funding": "credit",
        "installments": None,
        "last4": number[-4:],
        "mandate": None,
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": "104102978678771",
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }


def _outcome(reason: str | None) -> StripeObject:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network" if reason is None else "declined_by_network",
        "reason": reason,
        "risk_level": "normal",
        "seller_message": "Payment complete."
        if reason is None
        else "The bank did not return any further details with this decline.",
        "type": "authorized" if reason is None else "issuer_declined",
    }


def _empty_address() -> StripeObject:
    return {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": None}
