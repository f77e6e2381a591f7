"""Decisions of a checkout: may this invoice be paid now, how much, and what is sent to Stripe for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from billing.errors import Conflict, NotFound, TooManyAttempts, Unprocessable
from billing.ledger.ledger import (
    InvoiceStatus,
    Payment,
    PaymentStatus,
    amount_paid,
    checked_totals,
    payable,
    totals_of,
)
from billing.money import Money
from billing.stripe.amounts import MAXIMUM_MINOR, minimum_charge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from billing.ledger.ledger import Ledger
    from billing.stripe.objects import CheckoutSession


#: Stripe keeps a session open for at most 24 h; an hour less leaves room to finish an interrupted attempt.
SESSION_LIFETIME = timedelta(hours=23)
#: A session is handed out again only while a person has time to pay in it.
REUSE_MARGIN = timedelta(minutes=10)
#: How long an attempt that was given up counts against making a new one.
ATTEMPTS_WINDOW = timedelta(hours=1)


class AttemptVerdict(Enum):
    """What to do about an invoice's open attempt, given its session at Stripe."""

    REUSE = auto()
    EXPIRE = auto()
    END_CANCELED = auto()
    END_FAILED = auto()
    WAIT = auto()


@dataclass(frozen=True)
class CheckoutTerms:
    """What the template allows: methods, where to return to, and the name of this deployment.

    `canceled_attempts`: how many attempts of the last hour may have been given up before there is no new one. Each
    leaves a payment row and a session; a person who changes the amount or returns to the page needs a few.
    """

    deployment: str
    return_url: str
    allowed_payment_method_types: Sequence[str]
    portal_origins: Sequence[str] = ()
    canceled_attempts: int = 10


@dataclass(frozen=True)
class InvoiceOwnership:
    """Whose an invoice is and where it stands, as stored: enough to decide who may know of it."""

    client: str | None
    status: str | None
    sent_at: str | None
    voided_at: str | None

    @property
    def is_visible(self) -> bool:
        """Whether its client may know of it: a draft that was voided was never sent either."""
        void = self.status == InvoiceStatus.VOID or self.voided_at is not None
        return self.status in _VISIBLE and (self.sent_at is not None or not void)


#: Unknown statuses are hidden.
_VISIBLE = frozenset(status.value for status in InvoiceStatus) - {InvoiceStatus.DRAFT.value}


def require_visible(found: InvoiceOwnership | None, client: str | None, invoice: str) -> None:
    """Unknown, somebody else's and draft invoices give the same answer.

    Decided before anything else of the invoice is read: an error about its other columns would tell of it.
    """
    if found is None or client is None or found.client != client or not found.is_visible:
        raise not_visible(invoice)


def not_visible(invoice: str) -> NotFound:
    """The one answer to whoever may not know of an invoice."""
    message = "This invoice does not exist or is not available to you."
    return NotFound(message, invoice=invoice)


def amount_to_charge(ledger: Ledger, requested: object | None) -> Money:
    """The amount a new session may ask for: what the client chose, else all that is payable now.

    `requested` is the caller's text. Raises `Conflict` (`already_paid`, `payment_processing`, `not_payable`) and
    `Unprocessable` (`totals_do_not_add_up`, `invalid_amount`, `amount_too_large`, `amount_too_small`,
    `remainder_too_small`). Decided from rows, never from stored totals.
    """
    invoice = ledger.invoice
    now_payable = _payable_now(ledger)
    amount = now_payable if requested is None else Money.from_request(requested, invoice.currency)
    if amount.minor <= 0:
        message = "The amount must be more than zero."
        raise Unprocessable(message, code="invalid_amount", invoice=invoice.id)
    if amount > now_payable:
        message = f"At most {now_payable} can be paid on this invoice now."
        raise Unprocessable(message, code="amount_too_large", invoice=invoice.id)
    if amount.minor > MAXIMUM_MINOR:
        maximum = Money(MAXIMUM_MINOR, invoice.currency)
        message = f"An online payment can be at most {maximum}. Pay a smaller amount, or pay by wire."
        raise Unprocessable(message, code="amount_too_large", invoice=invoice.id)
    minimum = minimum_charge(invoice.currency)
    if amount < minimum:
        message = f"An online payment must be at least {minimum}."
        raise Unprocessable(message, code="amount_too_small", invoice=invoice.id)
    remainder = now_payable - amount
    if Money.zero(invoice.currency) < remainder < minimum:
        message = (
            f"{remainder} would remain, which is too little to pay online."
            f" Pay {now_payable}, or leave at least {minimum}."
        )
        raise Unprocessable(message, code="remainder_too_small", invoice=invoice.id)
    return amount


def _payable_now(ledger: Ledger) -> Money:
    invoice = ledger.invoice
    if invoice.is_void:
        message = "This invoice is void."
        raise Conflict(message, code="not_payable", invoice=invoice.id)
    if ledger.fault is not None:
        raise ledger.fault
    total = checked_totals(invoice, ledger.line_items).total
    if total.minor <= 0:
        message = "No payment is due on this invoice."
        raise Conflict(message, code="not_payable", invoice=invoice.id)
    balance = total - amount_paid(ledger)
    if balance.minor <= 0:
        message = "This invoice is paid."
        raise Conflict(message, code="already_paid", invoice=invoice.id)
    if any(
        payment.status is PaymentStatus.SUCCEEDED and payment.amount.currency != invoice.currency
        for payment in ledger.payments
    ):
        message = "This invoice has a payment in another currency. The firm must correct it first."
        raise Conflict(message, code="not_payable", invoice=invoice.id)
    if any(payment.status is PaymentStatus.PROCESSING for payment in ledger.payments):
        message = "The bank is still processing a payment of this invoice."
        raise Conflict(message, code="payment_processing", invoice=invoice.id)
    now_payable = payable(ledger, balance)
    if now_payable.minor <= 0:
        message = "The remaining balance of this invoice is disputed."
        raise Conflict(message, code="not_payable", invoice=invoice.id)
    return now_payable


def return_urls(terms: CheckoutTerms, requested: object | None) -> tuple[str, str]:
    """Success and cancel address: the template's, or the caller's if its origin is one of the portal's."""
    if requested is None:
        return terms.return_url, terms.return_url
    allowed = {_origin(origin) for origin in terms.portal_origins} - {None}
    if isinstance(requested, str) and _origin(requested) in allowed:
        return requested, requested
    message = "The return_url must have the scheme, host and port of one of the portal's origins."
    raise Unprocessable(message, code="return_url_not_allowed")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no plain web address: a browser may read such text otherwise."""
    if len(url) > _LONGEST_URL or not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, {"http": 80, "https": 443}[parts.scheme] if port is None else port


#: Printable ASCII without what separates or escapes differently in browsers; Stripe is sent nothing else.
_URL = re.compile(r"""[!#-;=?-\[\]-~]+""")
_LONGEST_URL = 2048


def payment_methods(terms: CheckoutTerms, currency: str, invoice: str) -> list[str]:
    """The allowed methods that take the currency, never none: Stripe would take that for all it has.

    Raises `Unprocessable` (`currency_not_supported`) where none does.
    """
    methods = [
        method
        for method in terms.allowed_payment_method_types
        if method != "us_bank_account" or currency == "USD"
    ]
    if not methods:
        message = f"This firm accepts no online payments in {currency}. Please pay by wire."
        raise Unprocessable(message, code="currency_not_supported", invoice=invoice)
    return methods


def limit_new_attempts(
    ledger: Ledger, terms: CheckoutTerms, now: datetime, *, giving_up: Payment | None = None
) -> None:
    """Refuse a new attempt (`TooManyAttempts`) where too many of the last hour were given up, `giving_up` counted in.

    When an attempt was made is known by its `expires_at` (`new_attempt`).
    """
    given_up = [payment for payment in ledger.payments if payment.status is PaymentStatus.CANCELED]
    if giving_up is not None:
        given_up.append(giving_up)
    made = sorted(payment.expires_at - SESSION_LIFETIME for payment in given_up if payment.expires_at)
    recent = [moment for moment in made if now - moment < ATTEMPTS_WINDOW]
    too_many = len(recent) - terms.canceled_attempts
    if too_many <= 0:
        return
    seconds = max(1, math.ceil((recent[too_many - 1] + ATTEMPTS_WINDOW - now).total_seconds()))
    message = (
        "Too many payment attempts for this invoice in the last hour."
        f" Please try again in {_in_words(seconds)}."
    )
    raise TooManyAttempts(message, retry_after=seconds, invoice=ledger.invoice.id)


def _in_words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def new_attempt(
    ledger: Ledger, amount: Money, terms: CheckoutTerms, *, payment: str, urls: tuple[str, str], now: datetime
) -> Payment:
    """The payment that claims the invoice, with everything Stripe will be sent.

    It is stored before Stripe is called, so that whoever completes it sends exactly the same request under the
    same key. Names are neutral: no matter and no line of the bill ever reaches Stripe. Raises as `payment_methods`.
    """
    invoice = ledger.invoice
    expires_at = (now + SESSION_LIFETIME).replace(microsecond=0)
    metadata = {"directus_invoice": invoice.id, "directus_payment": payment, "deployment": terms.deployment}
    success_url, cancel_url = urls
    parameters: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": invoice.id,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": amount.currency.lower(),
                    "unit_amount": amount.minor,
                    "product_data": {"name": f"Invoice {invoice.invoice_number}"},
                },
            }
        ],
        "allowed_payment_method_types": payment_methods(terms, amount.currency, invoice.id),
        "adaptive_pricing": {"enabled": False},
        "submit_type": "pay",
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": f"Invoice {invoice.invoice_number}"},
        "expires_at": int(expires_at.timestamp()),
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    return Payment(
        id=payment,
        amount=amount,
        status=PaymentStatus.PENDING,
        method="card",
        invoice=invoice.id,
        client=invoice.client,
        open_claim=invoice.id,
        expires_at=expires_at,
        attempt={"idempotency_key": f"{terms.deployment}:{payment}", "parameters": parameters},
    )


def judge_attempt(
    attempt: Payment, session: CheckoutSession, wanted: Money, urls: tuple[str, str], now: datetime
) -> AttemptVerdict:
    """What to do with the open attempt when a client asks to pay `wanted`."""
    if session.status == "expired":
        return AttemptVerdict.END_CANCELED
    if session.is_open:
        fits = (
            attempt.status is PaymentStatus.PENDING
            and session.amount_total == wanted.minor
            and session.currency == wanted.currency
            and session.expires_at - now > REUSE_MARGIN
            and _sent_urls(attempt) == urls
        )
        return AttemptVerdict.REUSE if fits else AttemptVerdict.EXPIRE
    intent = session.payment_intent
    if session.payment_status == "unpaid" and intent is not None and intent.status in DEAD_INTENT:
        return AttemptVerdict.END_FAILED
    return AttemptVerdict.WAIT


def time_is_over(attempt: Payment, now: datetime) -> bool:
    """Whether nobody can pay in the attempt's session any more: from `expires_at` on, that instant included."""
    return attempt.expires_at is not None and attempt.expires_at <= now


def must_end(ledger: Ledger, attempt: Payment, now: datetime) -> bool:
    """Whether the open attempt no longer fits: staff canceled it, or the invoice cannot take its amount."""
    if attempt.checkout_session is None:
        # Checkout may be opening it this moment, and asks for a recompute once it has. After `expires_at` the attempt is
        # over: Stripe opens no session with a past expiry, and a session that we never learned of has expired.
        return time_is_over(attempt, now)
    if attempt.status is PaymentStatus.PROCESSING:
        return False  # a bank debit cannot be called back
    invoice = ledger.invoice
    # A person ended it: everything of ours that ends an attempt frees its claim.
    over = attempt.status in {PaymentStatus.CANCELED, PaymentStatus.FAILED}
    if over or invoice.is_void or invoice.is_draft:
        return True
    if attempt.amount.currency != invoice.currency:
        return True
    if ledger.fault is not None:
        return False  # what can be paid is not known
    total = totals_of(ledger.line_items, invoice.tax_rate, invoice.currency).total
    return attempt.amount > payable(ledger, total - amount_paid(ledger))


#: A completed session whose intent is in one of these will never be paid; a new session is needed.
DEAD_INTENT = frozenset({"requires_payment_method", "canceled"})


def asked_amount(attempt: Payment) -> Money | None:
    """What its session asked for, as it was stored; None for a payment that no attempt of ours began."""
    sent: Mapping[str, Any] = (attempt.attempt or {}).get("parameters") or {}
    try:
        price = sent["line_items"][0]["price_data"]
        return Money(int(price["unit_amount"]), str(price["currency"]).upper())
    except (KeyError, IndexError, TypeError, ValueError, Unprocessable):
        return None  # somebody wrote something else into the column


def _sent_urls(attempt: Payment) -> tuple[str, str] | None:
    sent: Mapping[str, Any] = (attempt.attempt or {}).get("parameters") or {}
    return (sent["success_url"], sent["cancel_url"]) if {"success_url", "cancel_url"} <= sent.keys() else None


def ended(attempt: Payment, status: PaymentStatus, reason: str | None = None) -> Payment:
    """The attempt once it is over: the claim is free again."""
    return replace(attempt, status=status, open_claim=None, failure_reason=reason)
