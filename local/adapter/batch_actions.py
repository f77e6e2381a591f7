"""What the adapter must add: the emulator's own IAM names for SQS's batch calls.

AWS authorises `SendMessageBatch` by `sqs:SendMessage`; the emulator asks for an action `sqs:SendMessageBatch`,
which AWS does not have. The template says what AWS needs.
"""

import copy
from typing import Any, Final

BATCH_ACTION: Final = {"sqs:SendMessage": "sqs:SendMessageBatch"}


def with_batch_actions(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template whose roles may use the batch form of what they are allowed one by one."""
    result = copy.deepcopy(template)
    for resource in result["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    statement["Action"] = _extended(statement["Action"])
    return result


def _extended(action: str | list[str]) -> list[str]:
    actions = [action] if isinstance(action, str) else list(action)
    return actions + [BATCH_ACTION[name] for name in actions if name in BATCH_ACTION]
