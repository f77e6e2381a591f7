"""A function that starts itself again. moto does not tell what an invocation carried, so that a stub does."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from billing.errors import UpstreamUnavailable
from billing.reconcile.self_invocation import SelfInvocation
from tests.fakes.aws import failing, refusal


def test_the_function_is_started_by_its_name_and_not_waited_for() -> None:
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    asked = {
        "FunctionName": "stack-ReconcileFunction-1", "InvocationType": "Event", "Payload": b'{"since": "2026-03-01"}',
    }  # fmt: skip
    with Stubber(client) as stubber:
        stubber.add_response("invoke", {"StatusCode": 202}, asked)
        SelfInvocation(client, "stack-ReconcileFunction-1").hand_over({"since": "2026-03-01"})
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal("Invoke", "TooManyRequestsException"), "TooManyRequestsException"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1"), "EndpointConnectionError"),
    ],
)
def test_a_function_that_cannot_be_started_is_told(error: Exception, reason: str) -> None:
    with pytest.raises(UpstreamUnavailable, match=reason) as failure:
        SelfInvocation(failing(invoke=error), "reconcile").hand_over({})
    assert failure.value.code == "lambda_unavailable"
