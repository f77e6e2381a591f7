"""What an event of Stripe is about, by its type: where the worker must look, or that there is nothing to look at.

Only types in `_NOTHING_OF_OURS` are left alone unseen. A type without a rule is parked: what Stripe may one day
tell us about our money is never dropped because nobody had heard of it.
"""

from __future__ import annotations

from enum import Enum, auto


class Subject(Enum):
    """The kind of object whose id an event carries."""

    SESSION = auto()
    PAYMENT_INTENT = auto()
    CHARGE = auto()
    REFUND = auto()
    DISPUTE = auto()
    EARLY_FRAUD_WARNING = auto()
    REVIEW = auto()
    NOTHING_OF_OURS = auto()
    UNKNOWN = auto()


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
