"""Reconcile starts itself on the deployed stack, with its own role, which may start no other function."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.demo import steps
from local.waiting import wait_for
from tests.e2e.paid_invoices import paid, shows

if TYPE_CHECKING:
    from local.demo.steps import Firm
    from local.stack import Stack


@pytest.fixture
def as_reconcile(stack: Stack) -> Any:
    """A Lambda client with the permissions of reconcile's role, and with no others."""
    emulator, resources = stack.emulator(), stack.resources()
    role = emulator.client("iam").get_role(RoleName=resources["ReconcileFunctionRole"])["Role"]["Arn"]
    assumed = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "lambda",
        endpoint_url=emulator.endpoint_url,
        region_name=emulator.region,
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )


def deleted(firm: Firm, payment: dict[str, Any]) -> None:
    """As an administrator deletes a payment: its receipt first, which Directus keeps it for."""
    # An event about the payment that comes later would book it again by itself.
    wait_for("the last events", lambda: _everything_told(firm, payment), seconds=180)
    wait_for("the queue", lambda: steps.is_empty(firm, "stripe_events"), seconds=180)
    wait_for("the receipt", lambda: firm.administrator.read("payments", payment["id"])["receipt"])
    for receipt in firm.administrator.list("documents", {"payment": {"_eq": payment["id"]}}):
        assert firm.administrator.ask("DELETE", f"/items/documents/{receipt['id']}").status == 204
    assert firm.administrator.ask("DELETE", f"/items/payments/{payment['id']}").status == 204


def _everything_told(firm: Firm, payment: dict[str, Any]) -> bool:
    """Stripe announces the fee a little after the payment, and nothing later."""
    charge, deliveries = steps.charge_of(firm, payment), firm.simulator("GET", "/_test/deliveries").json
    fee = [one for one in deliveries["data"] if (one["type"], one["object"]) == ("charge.updated", charge)]
    return bool(fee) and not deliveries["waiting"]


def test_a_payment_whose_row_was_deleted_is_booked_again_by_the_run_that_reconcile_starts(firm: Firm) -> None:
    invoice, payment = paid(firm)
    deleted(firm, payment)
    # Stripe's list from now on does not have it; only the invoice's own figures tell of it.
    answer = firm.invoke("reconcile", {"since": datetime.now(UTC).isoformat()})
    assert "widened" in answer, answer
    kinds = {found["kind"] for found in answer["differences"]}
    assert "run_not_continued" not in kinds, answer

    def booked_again() -> list[dict[str, Any]]:
        return steps.payments_of(firm, invoice, status="succeeded")

    (again,) = wait_for("the payment's row", booked_again)
    assert again["transaction_id"] == payment["transaction_id"]
    shows(firm, invoice, "paid", "0.00")
    wait_for("the log of the run that was started", lambda: _logged(firm, '"widened"'))


def _logged(firm: Firm, text: str) -> list[Any]:
    group = f"/aws/lambda/{firm.description['functions']['names']['reconcile']}"
    events = firm.aws("logs").filter_log_events(logGroupName=group)["events"]
    return [event for event in events if text in event["message"]]


def test_reconcile_may_start_itself(firm: Firm, as_reconcile: Any) -> None:
    name = firm.description["functions"]["names"]["reconcile"]
    event = json.dumps({"dry_run": True})
    assert as_reconcile.invoke(FunctionName=name, InvocationType="Event", Payload=event)["StatusCode"] == 202


@pytest.mark.parametrize("other", ["checkout", "reminders", "stripe_webhook_worker"])
def test_reconcile_may_start_no_other_function(firm: Firm, as_reconcile: Any, other: str) -> None:
    name = firm.description["functions"]["names"][other]
    with pytest.raises(ClientError) as refused:
        as_reconcile.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
