"""The sample events are what the functions really read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from billing.aws.http_api import header, json_object, raw_body, required_uuid, uuids
from billing.aws.queue_worker import INVOICE_WORK, REMINDERS, RENDERING, read
from billing.documents.request import render_request
from billing.errors import SignatureRejected
from billing.messages import Recompute, RenderInvoicePdf
from billing.payments.events import verified_event
from billing.reconcile.reconcile import ReconcileRequest
from billing.reminders.plan import PlanRequest
from tests.unit.template.sam_template import ROOT, read_template

SAMPLES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in Path(ROOT / "events").glob("*.json")
}
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in read_template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def message(name: str) -> str:
    (record,) = SAMPLES[name]["Records"]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    body: str = record["body"]
    return body


def test_every_function_has_a_sample() -> None:
    services = {
        properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] for properties in FUNCTIONS.values()
    }
    assert set(SAMPLES) == services


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if "rawPath" in sample])
def test_a_sample_request_goes_to_a_route_of_the_template(name: str) -> None:
    (function,) = [
        properties
        for properties in FUNCTIONS.values()
        if properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == name
    ]
    (route,) = [event["Properties"]["Path"] for event in function["Events"].values()]
    assert SAMPLES[name]["rawPath"] == route


def test_requests_are_read() -> None:
    assert required_uuid(json_object(SAMPLES["checkout"]), "user")
    assert len(uuids(json_object(SAMPLES["billing_changed"]), "invoices")) == 1
    assert render_request(json_object(SAMPLES["render_pdf"])).invoices


def test_the_sample_webhook_lacks_only_its_signature() -> None:
    sample = SAMPLES["stripe_webhook"]
    with pytest.raises(SignatureRejected):
        verified_event(raw_body(sample), header(sample, "stripe-signature"), ["whsec_test"], 0)


def test_messages_and_invocations_are_read() -> None:
    assert isinstance(read(INVOICE_WORK, message("stripe_webhook_worker")), Recompute)
    assert isinstance(read(RENDERING, message("render_pdf_worker")), RenderInvoicePdf)
    sent = read(REMINDERS, message("reminders_sender"))
    assert sent.dedupe_key == f"reminder:{sent.step}:{sent.invoice}:email"
    assert PlanRequest.from_event(SAMPLES["reminders"]).dry_run is True
    assert ReconcileRequest.from_event(SAMPLES["reconcile"]).dry_run is True
