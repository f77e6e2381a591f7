"""The parts of Stripe's objects that this project reads, validated. Amounts are Stripe's integers, in minor units.

A field that Stripe's OpenAPI document allows to be null or absent has a default; a missing required field is an error
(`parsing.read` names the object). A field is read from its alias or from its own name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasPath,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from billing.ids import record_id

#: The only mode of a session that takes one payment; `setup` and `subscription` are never ours.
PAYMENT_MODE = "payment"

_CONFIG = ConfigDict(validate_by_name=True, validate_by_alias=True, hide_input_in_errors=True)


def id_of(value: Any) -> str | None:
    """The id of a field that may be expanded; None if there is none."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) else None


def _moment(value: Any) -> Any:
    """Seconds since 1970; a `datetime` stays as it is. Raises `ValueError` if out of range."""
    if isinstance(value, datetime | None):
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        message = "not a number of seconds"
        raise ValueError(message)  # noqa: TRY004  # pydantic turns only a ValueError into a ValidationError
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError) as error:
        message = "not a moment"
        raise ValueError(message) from error


def _texts(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {}


def _zero_if_null(value: Any) -> Any:
    return 0 if value is None else value


type Text = StrictStr
type Currency = Annotated[StrictStr, AfterValidator(str.upper)]
type Minor = StrictInt
type MinorOrZero = Annotated[StrictInt, BeforeValidator(_zero_if_null)]
type Moment = Annotated[datetime, BeforeValidator(_moment)]
type Id = Annotated[str | None, BeforeValidator(id_of)]
type Metadata = Annotated[Mapping[str, str], BeforeValidator(_texts)]


def _fields_of(found: Any) -> dict[str, Any] | None:
    """Stripe's object before validation; None when our own code creates the value."""
    return None if isinstance(found, ArgsKwargs) or not isinstance(found, Mapping) else dict(found)


@dataclass(frozen=True, config=_CONFIG)
class Charge:
    """The charge of a payment intent; its card and bank details are the only ones stored."""

    id: Text
    status: Text
    created: Moment
    currency: Currency
    payment_intent: Id = None
    method: Annotated[Text | None, Field(validation_alias=AliasPath("payment_method_details", "type"))] = None
    brand: Text | None = None
    bank_name: Text | None = None
    account_type: Text | None = None
    last4: Text | None = None
    fee: Annotated[Minor | None, Field(validation_alias=AliasPath("balance_transaction", "fee"))] = None
    fee_currency: Annotated[
        Currency | None, Field(validation_alias=AliasPath("balance_transaction", "currency"))
    ] = None
    amount_refunded: MinorOrZero = 0
    disputed: Annotated[bool, BeforeValidator(lambda value: value is True)] = False
    metadata: Metadata = field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _details_of_the_method(cls, found: Any) -> Any:
        """Card and bank details are below the method's name."""
        fields = _fields_of(found)
        if fields is None:
            return found
        details = fields.get("payment_method_details")
        specific = details.get(details.get("type")) if isinstance(details, dict) else None
        if isinstance(specific, dict):
            known = ("brand", "bank_name", "account_type", "last4")
            fields |= {name: specific[name] for name in known if name in specific}
        return fields


@dataclass(frozen=True, config=_CONFIG)
class StripeRefund:
    """A refund of a charge. `amount` in minor units of `currency`; `status` as Stripe has it."""

    id: Text
    status: Annotated[StrictStr, BeforeValidator(lambda value: "pending" if value is None else value)]
    amount: Minor
    currency: Currency
    created: Moment
    payment_intent: Id = None
    charge: Id = None
    reason: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _pending(cls, found: Any) -> Any:
        """Stripe may omit the status."""
        fields = _fields_of(found)
        return found if fields is None else {"status": None, **fields}


@dataclass(frozen=True, config=_CONFIG)
class StripeDispute:
    """A cardholder's or bank's dispute of a charge. `amount` in minor units of `currency`."""

    id: Text
    status: Text
    amount: Minor
    currency: Currency
    created: Moment
    payment_intent: Id = None
    charge: Id = None
    reason: Text | None = None
    #: 0 if the bank accepts no evidence.
    evidence_due_by: Annotated[
        datetime | None,
        BeforeValidator(lambda value: None if value == 0 and value is not False else _moment(value)),
        Field(validation_alias=AliasPath("evidence_details", "due_by")),
    ] = None


@dataclass(frozen=True, config=_CONFIG)
class Reversals:
    """All refunds and disputes of one payment intent."""

    refunds: Sequence[StripeRefund] = ()
    disputes: Sequence[StripeDispute] = ()

    def ids(self) -> set[str]:
        """The Stripe ids of all of them."""
        return {found.id for found in self.refunds} | {found.id for found in self.disputes}


@dataclass(frozen=True, config=_CONFIG)
class PaymentBehind:
    """The payment of a Stripe object, and the metadata of its intent and charge."""

    payment_intent: str | None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, config=_CONFIG)
class BalanceTransaction:
    """A movement on the account's balance, with its charge, refund or dispute.

    `amount` and `fee` in minor units of `currency`, `amount` signed. `type` is Stripe's word (`charge`, `payment`,
    `refund`, `adjustment`, ...). `payment_intent` and `metadata` are those of the source where it names one: a payout or
    a fee of Stripe's has no source, or none of a payment.
    """

    id: Text
    type: Text
    amount: Minor
    fee: Minor
    currency: Currency
    created: Moment
    source: Id = None
    payment_intent: Annotated[Id, Field(validation_alias=AliasPath("source", "payment_intent"))] = None
    metadata: Annotated[Metadata, Field(validation_alias=AliasPath("source", "metadata"))] = field(
        default_factory=dict
    )


@dataclass(frozen=True, config=_CONFIG)
class UndeliveredEvent:
    """An event that an endpoint has not accepted, with the id of its object.

    `of_another_account` as in `payments.events.StripeEvent`.
    """

    id: Text
    type: Text
    object_id: Annotated[Text, Field(validation_alias=AliasPath("data", "object", "id"))]
    object_type: Annotated[Text, Field(validation_alias=AliasPath("data", "object", "object"))]
    livemode: StrictBool
    metadata: Annotated[Metadata, Field(validation_alias=AliasPath("data", "object", "metadata"))] = field(
        default_factory=dict
    )
    account: Text | None = None
    context: Text | None = None

    @property
    def of_another_account(self) -> bool:
        """Whether it names an account: Stripe omits both in events of the endpoint's own account."""
        return bool(self.account or self.context)


@dataclass(frozen=True, config=_CONFIG)
class PaymentIntent:
    """A payment intent with its latest charge, if that was expanded."""

    id: Text
    status: Text
    amount_received: Minor
    currency: Currency
    latest_charge: Annotated[
        Charge | None, BeforeValidator(lambda value: value if isinstance(value, dict | Charge) else None)
    ] = None
    failure_message: Annotated[
        Text | None, Field(validation_alias=AliasPath("last_payment_error", "message"))
    ] = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, config=_CONFIG)
class CheckoutSession:
    """A Checkout session with its payment intent, which is None until the client confirms.

    `status` is `open`, `complete` or `expired`; `payment_status` is `paid`, `unpaid` or `no_payment_required`.
    `url` is None once the session is no longer open. A session that takes no payment (setup, subscription) has no
    metadata here, whatever it says: it is never ours. Nor is one whose metadata names no deployment; Stripe may give
    both without amount, currency and status: these are empty and 0 then.
    """

    id: Text
    status: Text
    payment_status: Text
    amount_total: Minor
    currency: Currency
    expires_at: Moment
    url: Text | None = None
    payment_intent: Annotated[
        PaymentIntent | None,
        BeforeValidator(lambda value: value if isinstance(value, dict | PaymentIntent) else None),
    ] = None
    metadata: Metadata = field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_another_application(cls, found: Any) -> Any:
        fields = _fields_of(found)
        if fields is None:
            return found
        metadata = _texts(fields.get("metadata")) if fields.get("mode") == PAYMENT_MODE else {}
        if "deployment" not in metadata:
            empty = {"status": "", "amount_total": 0, "currency": ""}
            fields |= {name: value for name, value in empty.items() if fields.get(name) is None}
        return fields | {"metadata": metadata}

    @property
    def is_open(self) -> bool:
        """Whether it can still be paid or expired."""
        return self.status == "open"

    @property
    def invoice(self) -> str | None:
        """The invoice in our metadata; None if there is none or it is not an id."""
        return record_id(self.metadata.get("directus_invoice"))

    @property
    def attempt(self) -> str | None:
        """The payment row in our metadata, the session's attempt; None likewise."""
        return record_id(self.metadata.get("directus_payment"))
