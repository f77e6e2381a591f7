"""Checkout Sessions: what may be asked for, and what becomes of it.

Those in setup mode take no money: other applications of the account make such, and have no amount.
"""

from typing import Any
from urllib.parse import urlsplit

from local.stripe_simulator import catalogue
from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.parameters import check_metadata, refuse_what_is_not_simulated
from local.stripe_simulator.store import Job, StripeObject
from local.stripe_simulator.world import NOBODY, ApiRequest, World

SHORTEST_LIFE = 30 * 60
LONGEST_LIFE = 24 * 60 * 60
#: Stripe allows for clocks that differ a little and for the time a request travels.
CLOCK_TOLERANCE = 30
MAXIMUM_LINE_ITEMS = 100
#: What the simulated account has switched on in its Dashboard; `allowed_payment_method_types` filters these.
ENABLED_PAYMENT_METHODS = ("card", "us_bank_account")

#: The parameters of every session that the simulator acts upon. Others are refused (501), never ignored.
_ACTED_UPON_ALWAYS: dict[str, Any] = {
    "mode": {"payment", "setup"},
    "ui_mode": {"hosted_page"},
    "billing_address_collection": {"auto"},
    "allowed_payment_method_types": None,
    "cancel_url": None,
    "client_reference_id": None,
    "customer_email": None,
    "expires_at": None,
    "locale": None,
    "metadata": None,
    "success_url": None,
}
#: ... of one in payment mode.
ACTED_UPON: dict[str, Any] = {
    **_ACTED_UPON_ALWAYS,
    "adaptive_pricing": {"enabled": {False}},
    "customer_creation": {"if_required"},
    "line_items": {
        "quantity": None,
        "price_data": {
            "currency": None,
            "unit_amount": None,
            "product_data": {"name": None, "description": None},
        },
    },
    "payment_intent_data": {
        "description": None,
        "metadata": None,
        "receipt_email": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
    },
    "submit_type": None,
}
#: ... of one in setup mode.
ACTED_UPON_IN_SETUP: dict[str, Any] = {**_ACTED_UPON_ALWAYS, "currency": None}


def create(world: World, parameters: dict[str, Any]) -> StripeObject:
    """A new open session; raises `StripeError` for what Stripe refuses, `NotSimulated` for what we do not do."""
    in_setup = parameters.get("mode") == "setup"
    refuse_what_is_not_simulated(parameters, ACTED_UPON_IN_SETUP if in_setup else ACTED_UPON)
    own = _of_a_setup(world, parameters) if in_setup else _of_a_payment(world, parameters)
    now = world.now()
    expires_at = parameters.get("expires_at", now + LONGEST_LIFE)
    _check_expiry(expires_at - now)
    _check_urls(parameters)
    check_metadata(parameters.get("metadata") or {}, "metadata")
    identifier = world.new_id("cs_test_a1", 56)
    session = {
        **_constant_fields(),
        "id": identifier,
        "allowed_payment_method_types": parameters.get("allowed_payment_method_types"),
        "billing_address_collection": parameters.get("billing_address_collection"),
        "cancel_url": parameters.get("cancel_url"),
        "client_reference_id": parameters.get("client_reference_id"),
        "created": now,
        "customer_details": _customer_details(parameters.get("customer_email")),
        "customer_email": parameters.get("customer_email"),
        "expires_at": expires_at,
        "locale": parameters.get("locale"),
        "metadata": parameters.get("metadata") or {},
        "success_url": parameters["success_url"],
        "url": f"{world.base_url}/c/pay/{identifier}",
        **own,
    }
    world.store.schedule(Job("expire", identifier), due=expires_at)
    return world.store.put(session)


def _of_a_payment(world: World, parameters: dict[str, Any]) -> StripeObject:
    items, currency = _line_items(parameters)
    total = sum(item["amount_total"] for item in items)
    _check_amount(total, currency)
    intent_data = parameters.get("payment_intent_data", {})
    check_metadata(intent_data.get("metadata") or {}, "payment_intent_data[metadata]")
    return {
        "amount_subtotal": total,
        "amount_total": total,
        "currency": currency,
        "payment_method_types": _payment_methods(parameters, currency),
        "submit_type": parameters.get("submit_type"),
        "_line_items": [{"id": world.new_id("li_1"), **item} for item in items],
        "_payment_intent_data": intent_data,
    }


def _of_a_setup(world: World, parameters: dict[str, Any]) -> StripeObject:
    """No amount, and a currency only if one was asked for; the setup intent itself is not simulated."""
    currency = parameters.get("currency")
    if currency is not None:
        _check_currency(currency, 0, "")
    return {
        "amount_subtotal": None,
        "amount_total": None,
        "currency": currency,
        "mode": "setup",
        "payment_method_collection": "always",
        "payment_method_types": _payment_methods(parameters, currency or "usd"),
        "payment_status": "no_payment_required",
        "setup_intent": world.new_id("seti_1"),
        "submit_type": None,
        "total_details": None,
        "_line_items": [],
    }


def set_up(world: World, session: StripeObject) -> StripeObject:
    """Complete a session in setup mode with a payment method. 400 for any other session."""
    if session["mode"] != "setup" or session["status"] != "open":
        message = f"This Checkout Session is {session['status']}, in mode {session['mode']}."
        raise StripeError(400, message, code="setup_intent_unexpected_state")
    session |= {"status": "complete", "url": None}
    world.store.put(session)
    world.store.unschedule(Job("expire", session["id"]))
    world.announce("checkout.session.completed", session)
    return session


def expire(world: World, session: StripeObject, cause: ApiRequest = NOBODY) -> StripeObject:
    """The session, expired; Stripe's 400 when it is not open. A started payment intent is canceled with it."""
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired.'
            f" This Checkout Session has a status of `{session['status']}`."
        )
        raise StripeError(400, message, replayed=True)
    session |= {"status": "expired", "url": None}
    world.store.put(session)
    world.store.unschedule(Job("expire", session["id"]))
    if session["payment_intent"] is not None:
        intent = world.find(session["payment_intent"], "payment_intent")
        intent |= {"status": "canceled", "canceled_at": world.now(), "cancellation_reason": "expired"}
        world.store.put(intent)
        world.announce("payment_intent.canceled", intent, cause=cause)
    world.announce("checkout.session.expired", session, cause=cause)
    return session


def line_items(session: StripeObject) -> list[StripeObject]:
    """The session's line items, as Stripe lists them."""
    items: list[StripeObject] = session["_line_items"]
    return items


def _line_items(parameters: dict[str, Any]) -> tuple[list[StripeObject], str]:
    given = parameters.get("line_items") or []
    if not given:
        raise StripeError(
            400, "You must provide line_items.", code="parameter_missing", parameter="line_items"
        )
    if len(given) > MAXIMUM_LINE_ITEMS:
        raise StripeError(400, f"At most {MAXIMUM_LINE_ITEMS} line items.", parameter="line_items")
    items = [_line_item(item, f"line_items[{index}]") for index, item in enumerate(given)]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        message = "All line items must have the same currency."
        raise StripeError(400, message, parameter="line_items[0][price_data][currency]")
    return items, currencies.pop()


def _line_item(given: dict[str, Any], path: str) -> StripeObject:
    price = given.get("price_data")
    if price is None:
        raise StripeError(
            400, "You must specify price_data.", code="parameter_missing", parameter=f"{path}[price_data]"
        )
    if "product_data" not in price:
        name = f"{path}[price_data][product_data]"
        raise StripeError(400, f"Missing required param: {name}.", code="parameter_missing", parameter=name)
    amount, quantity = price.get("unit_amount"), given.get("quantity")
    for name, value, least in (("price_data][unit_amount", amount, 0), ("quantity", quantity, 1)):
        parameter = f"{path}[{name}]"
        if value is None:
            raise StripeError(
                400, f"Missing required param: {parameter}.", code="parameter_missing", parameter=parameter
            )
        if value < least:
            message = f"This value must be greater than or equal to {least}."
            raise StripeError(400, message, code="parameter_invalid_integer", parameter=parameter)
    _check_currency(price["currency"], amount, f"{path}[price_data]")
    return {
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount * quantity,
        "amount_tax": 0,
        "amount_total": amount * quantity,
        "currency": price["currency"],
        "description": price["product_data"]["name"],
        "metadata": {},
        "price": None,
        "quantity": quantity,
    }


def _check_currency(currency: str, amount: int, path: str) -> None:
    if currency not in catalogue.CURRENCIES:
        message = f"Invalid currency: {currency[:10]}. Stripe wants a three-letter code in lowercase."
        raise StripeError(400, message, parameter=f"{path}[currency]" if path else "currency")
    step = (
        10
        if currency in catalogue.THREE_DECIMAL
        else 100
        if currency in catalogue.TWO_DECIMALS_BOTH_ZERO
        else 1
    )
    if amount % step:
        message = f"Amounts in {currency} must be a multiple of {step}."
        raise StripeError(400, message, code="parameter_invalid_integer", parameter=f"{path}[unit_amount]")


def _check_amount(total: int, currency: str) -> None:
    least = catalogue.MINIMUM.get(currency, catalogue.MINIMUM_ELSEWHERE)
    if total < least:
        message = f"The Checkout Session's total amount due must add up to at least {catalogue.in_words(least, currency)}"
        raise StripeError(400, message, code="amount_too_small")
    if total > catalogue.MAXIMUM:
        most = catalogue.in_words(catalogue.MAXIMUM, currency)
        message = f"The Checkout Session's total amount due must be no more than {most}"
        raise StripeError(400, message, code="amount_too_large")


def _check_expiry(life: int) -> None:
    if life < SHORTEST_LIFE - CLOCK_TOLERANCE:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise StripeError(400, message, parameter="expires_at")
    if life > LONGEST_LIFE + CLOCK_TOLERANCE:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise StripeError(400, message, parameter="expires_at")


def _check_urls(parameters: dict[str, Any]) -> None:
    if "success_url" not in parameters:
        message = "Missing required param: success_url."
        raise StripeError(400, message, code="parameter_missing", parameter="success_url")
    for name in ("success_url", "cancel_url"):
        if name in parameters:
            try:
                url = urlsplit(parameters[name])
            except ValueError:
                url = urlsplit("")
            if url.scheme not in ("http", "https") or not url.hostname:
                raise StripeError(400, "Not a valid URL", code="url_invalid", parameter=name)


def _payment_methods(parameters: dict[str, Any], currency: str) -> list[str]:
    allowed = parameters.get("allowed_payment_method_types", list(ENABLED_PAYMENT_METHODS))
    foreign = [method for method in allowed if method not in ENABLED_PAYMENT_METHODS]
    if foreign:
        raise NotSimulated(f"The payment method {foreign[0]}")
    # ACH moves US dollars only; a filter leaves out what the currency cannot use.
    methods = [method for method in allowed if method != "us_bank_account" or currency == "usd"]
    if not methods:
        message = f"No payment method in allowed_payment_method_types can be used with {currency}."
        raise StripeError(400, message, parameter="allowed_payment_method_types")
    return methods


def _customer_details(email: str | None) -> StripeObject | None:
    if email is None:
        return None
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


def _constant_fields() -> StripeObject:
    """Fields of a session whose value never differs here, because nothing else can be asked for."""
    return {
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "discounts": [],
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "wallet_options": None,
    }
