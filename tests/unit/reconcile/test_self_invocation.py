"""A function that starts itself again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.errors import UpstreamUnavailable
from billing.reconcile.self_invocation import SelfInvocation
from tests.fakes.aws import refusal


@dataclass
class FakeLambda:
    """Lambda that keeps what it was asked to invoke."""

    invoked: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def invoke(self, **given: Any) -> None:
        if self.error is not None:
            raise self.error
        self.invoked.append(given)


def test_the_function_is_started_by_its_name_and_not_waited_for() -> None:
    client = FakeLambda()
    SelfInvocation(cast("Any", client), "stack-ReconcileFunction-1").hand_over({"since": "2026-03-01"})
    (invoked,) = client.invoked
    assert (invoked["FunctionName"], invoked["InvocationType"]) == ("stack-ReconcileFunction-1", "Event")
    assert json.loads(invoked["Payload"]) == {"since": "2026-03-01"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal("Invoke", "TooManyRequestsException"), "TooManyRequestsException"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1"), "EndpointConnectionError"),
    ],
)
def test_a_function_that_cannot_be_started_is_told(error: Exception, reason: str) -> None:
    with pytest.raises(UpstreamUnavailable, match=reason) as failure:
        SelfInvocation(cast("Any", FakeLambda(error=error)), "reconcile").hand_over({})
    assert failure.value.code == "lambda_unavailable"
