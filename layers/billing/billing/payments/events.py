"""Stripe's events: the signature, what is read of one, and what its type is about.

Only types in `_NOTHING_OF_OURS` are left alone unseen. A type without a rule is parked: what Stripe may one day
tell us about our money is never dropped because its type was unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any

from billing.errors import SignatureRejected
from billing.ids import record_id
from billing.messages import StripeEvent
from billing.stripe.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable


TOLERANCE_SECONDS = 300
#: Stripe's events are a few kilobytes; what is larger is not read.
MAXIMUM_BODY_BYTES = 256 * 1024
#: The objects that carry the metadata of the checkout that made them.
MARKED_BY_US = frozenset({"checkout.session", "payment_intent", "charge"})
_TIMESTAMP = re.compile(r"[1-9][0-9]{8,11}")
#: Any name that the column can hold (`v2.core.account[requirements].updated` has brackets); the rules decide about it.
_EVENT_TYPE = re.compile(r"[!-~]{1,120}")
_STRIPE_ID = re.compile(r"[A-Za-z0-9_]{3,255}")


def verified_event(raw: bytes, signature: str | None, secrets: Iterable[str], now: float) -> StripeEvent:
    """The event in `raw`, if one of `secrets` signed it within five minutes of `now` (Unix seconds), either way.

    `secrets` are tried in order and only as far as needed. Raises `SignatureRejected` for everything else.
    """
    timestamp, signatures = _parsed_header(signature)
    if abs(now - timestamp) > TOLERANCE_SECONDS:
        message = "The webhook's signature is too old or from the future: check the clock."
        raise SignatureRejected(message)
    signed = str(timestamp).encode() + b"." + raw
    for secret in secrets:
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        if any(hmac.compare_digest(expected, given) for given in signatures):
            return _event(raw)
    message = "The webhook's signature does not match the signing secret in Secrets Manager."
    raise SignatureRejected(message)


def _parsed_header(signature: str | None) -> tuple[int, list[bytes]]:
    text = signature or ""
    pairs = [part.partition("=") for part in text.split(",")]
    timestamp = next((value for name, _, value in pairs if name == "t"), "")
    signatures = [value.encode() for name, _, value in pairs if name == "v1"] if text.isascii() else []
    # The SDK cannot read a header with a bare `t` or `v1` in it: neither do we.
    bare = any(name in {"t", "v1"} and not equals for name, equals, _ in pairs)
    if bare or not _TIMESTAMP.fullmatch(timestamp) or not signatures:
        message = "The Stripe-Signature header is missing or malformed."
        raise SignatureRejected(message)
    return int(timestamp), signatures


def _event(raw: bytes) -> StripeEvent:
    message = "The signed body is not an event of Stripe."
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SignatureRejected(message) from error
    if not isinstance(document, dict):
        raise SignatureRejected(message)
    event = _snapshot(document) if document.get("object") == "event" else _thin(document)
    if event is None:
        raise SignatureRejected(message)
    return event


def _snapshot(document: dict[str, Any]) -> StripeEvent | None:
    data = document.get("data")
    described = data.get("object") if isinstance(data, dict) else None
    if not isinstance(described, dict):
        return None
    return _built(document, described.get("id"), described.get("object"), described.get("metadata"))


def _thin(document: dict[str, Any]) -> StripeEvent | None:
    """A v2 thin event names its object (some have none) and nothing else; the worker fetches it all the same."""
    related = document.get("related_object") or {}
    if document.get("object") != "v2.core.event" or not isinstance(related, dict):
        return None
    return _built(document, related.get("id"), related.get("type"), None)


def _built(document: dict[str, Any], object_id: Any, object_type: Any, metadata: Any) -> StripeEvent | None:
    kind, event_id = document.get("type"), document.get("id")
    if not isinstance(kind, str) or not _EVENT_TYPE.fullmatch(kind):
        return None  # what Directus could not store would keep its invoice's queue waiting
    if not isinstance(event_id, str) or not _STRIPE_ID.fullmatch(event_id):
        return None
    if not isinstance(object_id, str) or not _STRIPE_ID.fullmatch(object_id):
        # `balance` has no id, a coupon's is free text: an event about nothing of ours, known by its own id.
        object_id = event_id
    # Stripe names an account only where it is not the endpoint's own: `account` in events of connected accounts,
    # `context` (such as `acct_…`, or a path of several ids) in all that another account's key is needed for.
    accounts = [document[name] for name in ("account", "context") if document.get(name) is not None]
    if not all(isinstance(account, str) for account in accounts):
        return None
    ours = metadata if isinstance(metadata, dict) else {}
    deployment = ours.get("deployment")
    return StripeEvent(
        event=event_id,
        # Thin events of v1 resources are named `v1.checkout.session.completed`.
        event_type=kind.removeprefix("v1."),
        object=object_id,
        object_type=object_type if isinstance(object_type, str) else "unknown",
        livemode=document.get("livemode") is True,
        invoice=record_id(ours.get("directus_invoice")),
        deployment=deployment if isinstance(deployment, str) and object_type in MARKED_BY_US else None,
        of_another_account=any(accounts),
    )


#: The beginning of a type and what it is about; the first that fits counts.
_SUBJECTS: tuple[tuple[str, Subject], ...] = (
    ("checkout.session.", Subject.SESSION),
    ("payment_intent.", Subject.PAYMENT_INTENT),
    ("charge.dispute.", Subject.DISPUTE),
    ("charge.refund.", Subject.REFUND),  # the older name of `refund.updated`
    ("charge.", Subject.CHARGE),
    ("refund.", Subject.REFUND),
    ("radar.early_fraud_warning.", Subject.EARLY_FRAUD_WARNING),
    ("review.", Subject.REVIEW),
)

#: Types that tell of a refund or a dispute: Stripe is asked for all of the payment's.
REVERSALS = ("refund.", "charge.refund", "charge.dispute.")  # `charge.refunded` and `charge.refund.updated`

#: Types that change no balance but concern a person: what is written on the payment, with the object's id.
_REMARKS: tuple[tuple[str, str], ...] = (
    (
        "radar.early_fraud_warning.",
        "The card's issuer suspects fraud ({object}): look at it in Stripe's dashboard, and consider a refund.",
    ),
    ("review.opened", "Stripe Radar asks for a review ({object}): decide in Stripe's dashboard."),
    ("review.closed", "The review by Stripe Radar is closed ({object})."),
)

#: Types about objects that this project never creates, and why they cannot concern an invoice of ours.
_NOTHING_OF_OURS: tuple[tuple[str, str], ...] = (
    ("account.", "The firm's Stripe account itself: its settings and its bank accounts."),
    ("application_fee.", "Fees of a Connect platform."),
    ("apps.", "Apps installed in the firm's dashboard."),
    ("balance.", "Announces that money has become available; each payment tells of itself."),
    ("balance_settings.", "A setting of the account."),
    ("billing.", "Stripe Billing: meters, credits and alerts of subscriptions."),
    ("billing_portal.", "Stripe's own customer portal."),
    ("capability.", "What an account may do."),
    ("cash_balance.", "Customers' cash balances; we create no customers."),
    ("climate.", "Carbon removal orders."),
    ("coupon.", "Stripe's discounts; ours are lines of an invoice."),
    ("credit_note.", "Stripe's own invoices."),
    ("customer.", "We create no customers, subscriptions or tax ids at Stripe."),
    ("customer_cash_balance_transaction.", "As cash_balance."),
    ("entitlements.", "Features of subscriptions."),
    ("file.", "Files uploaded to Stripe."),
    (
        "financial_connections.",
        "The account a client links for a bank debit; its payment intent tells the rest.",
    ),
    ("identity.", "Stripe Identity."),
    ("invoice.", "Stripe's own invoices; ours live in Directus."),
    ("invoice_payment.", "As invoice."),
    ("invoiceitem.", "As invoice."),
    ("issuing_", "Cards that the account issues."),
    ("mandate.", "The permission for a bank debit; its payment intent tells what became of it."),
    ("payment_link.", "We create no payment links; a session of one is another application's."),
    ("payment_method.", "Saved payment methods; we save none."),
    (
        "payout.",
        "The firm's own money on its way to its bank; each payment, refund and dispute tells of itself.",
    ),
    ("person.", "People of a Connect account."),
    ("plan.", "Prices of subscriptions."),
    ("price.", "Stripe's catalogue; a session of ours carries its price with it."),
    ("product.", "As price."),
    ("promotion_code.", "As coupon."),
    ("quote.", "Stripe Billing."),
    ("reporting.", "Reports that somebody ordered."),
    ("reserve.", "Money that Stripe holds back from the firm's payouts."),
    ("setup_intent.", "Saving a payment method without a payment; we save none."),
    ("sigma.", "Queries on the account's data."),
    ("source.", "Stripe's old sources; Checkout uses none."),
    ("subscription_schedule.", "Subscriptions."),
    ("tax.", "Settings of Stripe Tax."),
    ("tax_rate.", "Stripe's tax rates; ours stand on the invoice."),
    ("terminal.", "Card readers."),
    ("test_helpers.", "Test clocks."),
    ("three_d_secure.", "Authentication bought by itself; a payment's own is part of its payment intent."),
    ("topup.", "Money that the firm adds to its Stripe balance."),
    ("transfer.", "Money between Connect accounts."),
    ("treasury.", "Stripe's bank accounts."),
    ("v2.core.", "Accounts and event destinations, a destination's test ping included."),
)
_NOTHING_OF_OURS_PREFIXES = tuple(prefix for prefix, _ in _NOTHING_OF_OURS)


def subject_of(event_type: str) -> Subject:
    """What events of this type are about."""
    for prefix, subject in _SUBJECTS:
        if event_type.startswith(prefix):
            return subject
    return Subject.NOTHING_OF_OURS if event_type.startswith(_NOTHING_OF_OURS_PREFIXES) else Subject.UNKNOWN


def remark_on(event_type: str, object_id: str) -> str | None:
    """The sentence for staff that an event of this type leaves on its payment; None for most."""
    for prefix, sentence in _REMARKS:
        if event_type.startswith(prefix):
            return sentence.format(object=object_id)
    return None
