"""The quick check must never say yes where the general validator says no."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from local.stripe_simulator.openapi import StripeDocument
from tests.integration.stripe_simulator.charges import paid_charge
from tests.integration.stripe_simulator.support import RunningSimulator

REPLACEMENTS: tuple[Any, ...] = (None, "payd", "x" * 5001, 7, 1.0, 0.5, True, [], [None], {}, {"id": 1})
KINDS = {
    "checkout.session": "/v1/checkout/sessions",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings",
    "balance_transaction": "/v1/balance_transactions",
    "event": "/v1/events",
}


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every key or index in a JSON value, with what holds it."""
    for key, item in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(item, dict | list):
            yield from places(item)


def alterations(body: Any) -> Iterator[Any]:
    """The body with something else, or nothing, in each of its places."""
    altered = copy.deepcopy(body)
    for holder, key in places(altered):
        kept = holder[key]
        for replacement in REPLACEMENTS:
            holder[key] = replacement
            yield altered
        if isinstance(holder, dict):
            del holder[key]
            yield altered
        holder[key] = kept


@pytest.fixture
def bodies(simulator: RunningSimulator) -> dict[str, Any]:
    charge = paid_charge(simulator)
    simulator.control(f"charges/{charge.id}/refund", amount=100)
    simulator.control(f"charges/{charge.id}/dispute", outcome="won")
    simulator.control(f"charges/{charge.id}/early_fraud_warning")
    return {kind: simulator.api("GET", path).json()["data"][-1] for kind, path in KINDS.items()}


def test_a_quick_yes_is_always_right_and_our_own_objects_get_one(
    bodies: dict[str, Any], document: StripeDocument
) -> None:
    for kind, body in bodies.items():
        compiled = document._compiled_object(kind)
        assert compiled.surely_valid(body), kind
        accepted = 0
        for altered in alterations(body):
            if compiled.surely_valid(altered):
                accepted += 1
                assert compiled.validator.is_valid(altered), (kind, altered)
        assert accepted > 0  # another string for a string is still right


def test_requests_are_checked_as_quickly_and_as_well(document: StripeDocument) -> None:
    operation = document.find("POST", "/v1/checkout/sessions")
    assert operation is not None
    compiled = document._compiled_request(operation)
    body = {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 5}}],
        "metadata": {"invoice": "42"},
        "allowed_payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
    }
    assert compiled.surely_valid(body)
    for altered in alterations(body):
        assert not compiled.surely_valid(altered) or compiled.validator.is_valid(altered)
