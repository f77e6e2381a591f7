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


def test_the_parameters_of_a_session_are_those_the_package_knows(document: StripeDocument) -> None:
    operation = document.find("POST", "/v1/checkout/sessions")
    assert operation is not None
    known = set(document._request_schema(operation)["properties"])
    assert known == fields("params/checkout/_session_create_params.py", "SessionCreateParams")
    data = document._request_schema(operation)["properties"]["payment_intent_data"]["properties"]
    assert set(data) == fields(
        "params/checkout/_session_create_params.py", "SessionCreateParamsPaymentIntentData"
    )


def test_an_overlay_for_another_document_is_refused(specification: Path) -> None:
    with pytest.raises(ValueError, match="overlay"):
        StripeDocument(json.loads(specification.read_text()), OVERLAY_DATA | {"from": "2020-01-01"})
