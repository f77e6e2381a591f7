"""What this project reads of Stripe's objects, as frozen values. Amounts are Stripe's integers, in minor units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.ids import record_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True)
class Charge:
    """The charge behind a payment intent; card and bank details are the only ones ever stored."""

    id: str
    status: str
    created: datetime
    currency: str | None = None
    payment_intent: str | None = None
    method: str | None = None
    brand: str | None = None
    bank_name: str | None = None
    account_type: str | None = None
    last4: str | None = None
    fee: int | None = None
    fee_currency: str | None = None
    amount_refunded: int = 0
    disputed: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StripeRefund:
    """A refund of a charge. `amount` in minor units of `currency`; `status` is Stripe's word for it."""

    id: str
    status: str
    amount: int
    currency: str
    created: datetime
    payment_intent: str | None = None
    charge: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class StripeDispute:
    """A cardholder's or bank's dispute of a charge. `amount` in minor units of `currency`."""

    id: str
    status: str
    amount: int
    currency: str
    created: datetime
    payment_intent: str | None = None
    charge: str | None = None
    reason: str | None = None
    evidence_due_by: datetime | None = None


@dataclass(frozen=True)
class Reversals:
    """Everything that Stripe knows to have gone, or to be going, back on one payment intent."""

    refunds: Sequence[StripeRefund] = ()
    disputes: Sequence[StripeDispute] = ()

    def ids(self) -> set[str]:
        """Stripe's ids of all of them."""
        return {found.id for found in self.refunds} | {found.id for found in self.disputes}


@dataclass(frozen=True)
class PaymentBehind:
    """The payment that an object of Stripe's hangs on, and the metadata of its intent and charge."""

    payment_intent: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BalanceTransaction:
    """A movement on the account's balance, with the charge, refund or dispute it stems from.

    `amount` and `fee` in minor units of `currency`, `amount` signed. `type` is Stripe's word (`charge`, `payment`,
    `refund`, `adjustment`, ...). `payment_intent` and `metadata` are those of the source where it names one.
    """

    id: str
    type: str
    amount: int
    fee: int
    currency: str
    created: datetime
    source: str | None = None
    payment_intent: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UndeliveredEvent:
    """An event of Stripe's that some endpoint has not accepted; what it is about, by id.

    `of_another_account` as in `webhook.StripeEvent`.
    """

    id: str
    type: str
    object_id: str
    object_type: str
    livemode: bool
    metadata: Mapping[str, str] = field(default_factory=dict)
    of_another_account: bool = False


@dataclass(frozen=True)
class PaymentIntent:
    """A payment intent with its latest charge."""

    id: str
    status: str
    amount_received: int
    currency: str
    latest_charge: Charge | None = None
    failure_message: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckoutSession:
    """A Checkout session with its payment intent, which is None until the client confirms.

    `status` is `open`, `complete` or `expired`; `payment_status` is `paid`, `unpaid` or `no_payment_required`.
    `url` is None once the session is no longer open. Sessions of other applications may have no status, amount or
    currency: these are empty and 0 then. A session that takes no payment has no metadata (`stripe_parsing`).
    """

    id: str
    status: str
    payment_status: str
    amount_total: int
    currency: str
    expires_at: datetime
    url: str | None = None
    payment_intent: PaymentIntent | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it can still be paid or expired."""
        return self.status == "open"

    @property
    def invoice(self) -> str | None:
        """The invoice that our metadata names; None if it names none, or no possible one."""
        return record_id(self.metadata.get("directus_invoice"))

    @property
    def attempt(self) -> str | None:
        """The payment row that our metadata names as the attempt behind the session; None likewise."""
        return record_id(self.metadata.get("directus_payment"))
