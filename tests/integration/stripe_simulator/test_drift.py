"""Fails when the pinned stripe package and the document with its overlay no longer speak the same API version."""

import ast
import json
from pathlib import Path

import pytest
import stripe

from local.stripe_simulator.openapi import OVERLAY, StripeDocument

PACKAGE = Path(stripe.__file__).parent
OVERLAY_DATA = json.loads(OVERLAY.read_text())


def fields(path: str, name: str) -> set[str]:
    """The annotated fields of a class in the stripe package."""
    tree = ast.parse((PACKAGE / path).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    annotated = [node.target for node in found.body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in annotated if isinstance(target, ast.Name)} - {"OBJECT_NAME"}


def test_the_package_and_the_overlay_speak_the_same_version(document: StripeDocument) -> None:
    assert stripe.api_version == OVERLAY_DATA["to"] == document.api_version


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("checkout.session", "checkout/_session.py", "Session"),
        ("payment_intent", "_payment_intent.py", "PaymentIntent"),
        ("charge", "_charge.py", "Charge"),
        ("balance_transaction", "_balance_transaction.py", "BalanceTransaction"),
        ("event", "_event.py", "Event"),
        ("refund", "_refund.py", "Refund"),
        ("dispute", "_dispute.py", "Dispute"),
        ("radar.early_fraud_warning", "radar/_early_fraud_warning.py", "EarlyFraudWarning"),
    ],
)
def test_the_fields_of_an_object_are_those_the_package_knows(
    document: StripeDocument, kind: str, path: str, name: str
) -> None:
    known = set(document.schemas[kind]["properties"])
    assert fields(path, name) - known == set(OVERLAY_DATA["fields_only_the_sdk_knows"][kind])
    assert known - fields(path, name) == set()


def literals(path: str, name: str, field: str) -> set[str]:
    """The values that a field of a class in the stripe package is said to have."""
    tree = ast.parse((PACKAGE / path).read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    (annotation,) = (
        node.annotation
        for node in found.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == field
    )
    return {
        node.value
        for node in ast.walk(annotation)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize(
    ("kind", "path", "name", "field"),
    [
        ("checkout.session", "checkout/_session.py", "Session", "status"),
        ("checkout.session", "checkout/_session.py", "Session", "payment_status"),
        ("payment_intent", "_payment_intent.py", "PaymentIntent", "status"),
        ("charge", "_charge.py", "Charge", "status"),
        ("refund", "_refund.py", "Refund", "pending_reason"),
        ("refund", "_refund.py", "Refund", "reason"),
        ("dispute", "_dispute.py", "Dispute", "status"),
        ("balance_transaction", "_balance_transaction.py", "BalanceTransaction", "type"),
    ],
)
def test_the_values_of_a_field_are_those_the_package_knows(
    document: StripeDocument, kind: str, path: str, name: str, field: str
) -> None:
    described = document.schemas[kind]["properties"][field]
    described = next((one for one in described.get("anyOf", ()) if "enum" in one), described)
    known = set(described["enum"])
    assert literals(path, name, field) - known == set(
        OVERLAY_DATA["values_only_the_sdk_knows"].get(f"{kind}.{field}", [])
    )
    assert known - literals(path, name, field) == set()


@pytest.mark.parametrize(
    ("method", "path", "module", "name"),
    [
        ("POST", "/v1/checkout/sessions", "checkout/_session_create_params.py", "SessionCreateParams"),
        ("GET", "/v1/checkout/sessions", "checkout/_session_list_params.py", "SessionListParams"),
        ("GET", "/v1/payment_intents", "_payment_intent_list_params.py", "PaymentIntentListParams"),
        ("GET", "/v1/charges", "_charge_list_params.py", "ChargeListParams"),
        ("POST", "/v1/refunds", "_refund_create_params.py", "RefundCreateParams"),
        ("GET", "/v1/refunds", "_refund_list_params.py", "RefundListParams"),
        ("GET", "/v1/disputes", "_dispute_list_params.py", "DisputeListParams"),
        (
            "GET",
            "/v1/radar/early_fraud_warnings",
            "radar/_early_fraud_warning_list_params.py",
            "EarlyFraudWarningListParams",
        ),
        (
            "GET",
            "/v1/balance_transactions",
            "_balance_transaction_list_params.py",
            "BalanceTransactionListParams",
        ),
        ("GET", "/v1/events", "_event_list_params.py", "EventListParams"),
    ],
)
def test_the_parameters_of_an_operation_are_those_the_package_knows(
    document: StripeDocument, method: str, path: str, module: str, name: str
) -> None:
    operation = document.find(method, path)
    assert operation is not None
    assert set(document._request_schema(operation)["properties"]) == fields(f"params/{module}", name)


def test_what_a_session_tells_its_payment_is_what_the_package_knows(document: StripeDocument) -> None:
    operation = document.find("POST", "/v1/checkout/sessions")
    assert operation is not None
    data = document._request_schema(operation)["properties"]["payment_intent_data"]["properties"]
    assert set(data) == fields(
        "params/checkout/_session_create_params.py", "SessionCreateParamsPaymentIntentData"
    )


def announced_types() -> set[str]:
    """Every event type that some part of the simulator announces."""
    calls = [
        node
        for path in OVERLAY.parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "announce"
    ]
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}  # type: ignore[misc]  # text


def test_every_event_the_simulator_announces_is_one_of_stripes() -> None:
    announced = announced_types()
    assert {"charge.refunded", "refund.failed", "charge.dispute.closed"} <= announced
    assert announced <= literals("_event.py", "Event", "type")


def test_an_overlay_for_another_document_is_refused(specification: Path) -> None:
    with pytest.raises(ValueError, match="overlay"):
        StripeDocument(json.loads(specification.read_text()), OVERLAY_DATA | {"from": "2020-01-01"})
