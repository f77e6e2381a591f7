"""A function starts itself again: what has no time left goes on in a new invocation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from billing.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_lambda import LambdaClient


class SelfInvocation:
    """`Continuation` (`reconcile_ports`) on Lambda."""

    def __init__(self, client: LambdaClient, function_name: str) -> None:
        """`function_name` as the context of the invocation names it."""
        self._client = client
        self._function_name = function_name

    def hand_over(self, event: Mapping[str, object]) -> None:
        """Start the function again with `event`, and do not wait for it."""
        try:
            self._client.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=json.dumps(event).encode()
            )
        except ClientError as error:
            raise _not_started(error.response.get("Error", {}).get("Code", "unknown")) from error
        except BotoCoreError as error:
            raise _not_started(type(error).__name__) from error


def _not_started(reason: str) -> UpstreamUnavailable:
    message = f"Lambda did not start the function again ({reason})."
    return UpstreamUnavailable(message, code="lambda_unavailable")
