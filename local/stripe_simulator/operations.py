"""The operations of Stripe's API that are simulated, by Stripe's own operation names."""

import re
from collections.abc import Callable
from typing import Any

from local.stripe_simulator import checkout_sessions, reading, refunds
from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.openapi import Operation
from local.stripe_simulator.store import Condition, StripeObject, public
from local.stripe_simulator.world import ApiRequest, World

#: Stripe lists events of the last 30 days only.
EVENT_LIFETIME = 30 * 24 * 60 * 60
#: Of a request for events of several types.
MAXIMUM_TYPES = 20

type _Handler = Callable[[World, str, dict[str, Any], ApiRequest], StripeObject]


def perform(
    world: World, operation: Operation, path: str, parameters: dict[str, Any], cause: ApiRequest
) -> StripeObject:
    """The answer to a request whose parameters the document allows; the object inside has what `expand` asked for.

    Raises `StripeError`, and `NotSimulated` for an operation that is not in the table below.
    """
    must_be_simulated(operation)
    paths = parameters.pop("expand", [])
    return reading.expand(world, _HANDLERS[operation.name](world, path, parameters, cause), paths)


def must_be_simulated(operation: Operation) -> None:
    """`NotSimulated` (501) for an operation of Stripe's that is not in the table below."""
    if operation.name not in _HANDLERS:
        raise NotSimulated(str(operation))


def _identifier(path: str, kind: str) -> str:
    parts = path.split("/")
    return parts[4] if "." in kind else parts[3]  # /v1/checkout/sessions/…, /v1/radar/early_fraud_warnings/…


def _retrieve(kind: str, parameter: str) -> _Handler:
    def handler(world: World, path: str, _: dict[str, Any], __: ApiRequest) -> StripeObject:
        return world.find(_identifier(path, kind), kind, parameter)

    return handler


def _create_session(world: World, _: str, parameters: dict[str, Any], __: ApiRequest) -> StripeObject:
    return checkout_sessions.create(world, parameters)


def _expire_session(world: World, path: str, _: dict[str, Any], cause: ApiRequest) -> StripeObject:
    session = world.find(_identifier(path, "checkout.session"), "checkout.session", "session")
    return checkout_sessions.expire(world, session, cause)


def _create_refund(world: World, _: str, parameters: dict[str, Any], cause: ApiRequest) -> StripeObject:
    return refunds.create(world, parameters, cause)


def _cancel_refund(world: World, path: str, _: dict[str, Any], __: ApiRequest) -> StripeObject:
    return refunds.cancel(world.find(_identifier(path, "refund"), "refund", "refund"))


def _list_line_items(world: World, path: str, parameters: dict[str, Any], _: ApiRequest) -> StripeObject:
    return reading.line_items(world, _identifier(path, "checkout.session"), parameters)


def _list(kind: str, *columns: str) -> _Handler:
    filters = {"created": reading.created, **{column: reading.equal(column) for column in columns}}

    def handler(world: World, path: str, parameters: dict[str, Any], _: ApiRequest) -> StripeObject:
        return reading.page(world, kind, parameters, url=path, filters=filters)

    return handler


def _list_sessions(world: World, path: str, parameters: dict[str, Any], _: ApiRequest) -> StripeObject:
    filters: dict[str, reading.Filter] = {
        "created": reading.created,
        "payment_intent": reading.equal("payment_intent"),
        "status": reading.equal("status"),
        "customer_details": lambda given: [Condition("email", "=", given["email"])],
    }
    return reading.page(world, "checkout.session", parameters, url=path, filters=filters)


def _list_events(world: World, path: str, parameters: dict[str, Any], _: ApiRequest) -> StripeObject:
    if "type" in parameters and "types" in parameters:
        message = "You may specify only one of these parameters: type, types."
        raise StripeError(400, message, parameter="types")
    if len(parameters.get("types", [])) > MAXIMUM_TYPES:
        raise StripeError(400, f"At most {MAXIMUM_TYPES} types can be named.", parameter="types")
    filters: dict[str, reading.Filter] = {
        "created": reading.created,
        "delivery_success": lambda wanted: [Condition("pending_webhooks", "=" if wanted else ">", 0)],
        "type": _of_type,
        "types": lambda wanted: [Condition("type", "IN", wanted)],
    }
    recent = [Condition("created", ">=", world.now() - EVENT_LIFETIME)]
    return reading.page(world, "event", parameters, url=path, filters=filters, conditions=recent)


def _of_type(wanted: str) -> list[Condition]:
    """A type, or a group of types such as `charge.*`."""
    if "*" not in wanted:
        return [Condition("type", "=", wanted)]
    return [Condition("type", "GLOB", re.sub(r"[\[?]", r"[\g<0>]", wanted))]


def _retrieve_event(world: World, path: str, _: dict[str, Any], __: ApiRequest) -> StripeObject:
    return public(world.find(_identifier(path, "event"), "event"))


_HANDLERS: dict[str, _Handler] = {
    "PostCheckoutSessions": _create_session,
    "GetCheckoutSessions": _list_sessions,
    "GetCheckoutSessionsSession": _retrieve("checkout.session", "session"),
    "PostCheckoutSessionsSessionExpire": _expire_session,
    "GetCheckoutSessionsSessionLineItems": _list_line_items,
    "GetPaymentIntents": _list("payment_intent"),
    "GetPaymentIntentsIntent": _retrieve("payment_intent", "intent"),
    "GetCharges": _list("charge", "payment_intent"),
    "GetChargesCharge": _retrieve("charge", "charge"),
    "PostRefunds": _create_refund,
    "GetRefunds": _list("refund", "charge", "payment_intent"),
    "GetRefundsRefund": _retrieve("refund", "refund"),
    "PostRefundsRefundCancel": _cancel_refund,
    "GetDisputes": _list("dispute", "charge", "payment_intent"),
    "GetDisputesDispute": _retrieve("dispute", "dispute"),
    "GetRadarEarlyFraudWarnings": _list("radar.early_fraud_warning", "charge", "payment_intent"),
    "GetRadarEarlyFraudWarningsEarlyFraudWarning": _retrieve(
        "radar.early_fraud_warning", "early_fraud_warning"
    ),
    "GetBalanceTransactions": _list("balance_transaction", "currency", "source", "type"),
    "GetBalanceTransactionsId": _retrieve("balance_transaction", "id"),
    "GetEvents": _list_events,
    "GetEventsId": _retrieve_event,
}
