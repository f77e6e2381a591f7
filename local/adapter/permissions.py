"""Where the emulator's IAM differs from AWS's; the template says what AWS needs, and static tests hold it to that.

- AWS authorises the batch form of an SQS action by the action itself; the emulator asks for one that AWS does not have.
- AWS authorises `ses:SendEmail` on the identity, under the condition key `ses:FromAddress`; the emulator knows
  neither and compares with the resource `*`.
"""

import copy
from typing import Any, Final

BATCH_ACTION: Final = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}
SEND_EMAIL: Final = "ses:SendEmail"


def with_emulated_permissions(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template whose roles and their policies the emulator understands."""
    result = copy.deepcopy(template)
    for resource in result["Resources"].values():
        for policy in _policies(resource):
            for statement in policy["PolicyDocument"]["Statement"]:
                _adapt(statement)
    return result


def _policies(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a role holds itself, or what a resource of its own adds to a role."""
    properties = resource.get("Properties", {})
    match resource["Type"]:
        case "AWS::IAM::Role":
            held: list[dict[str, Any]] = properties.get("Policies", [])
            return held
        case "AWS::IAM::Policy":
            return [properties]
    return []


def _adapt(statement: dict[str, Any]) -> None:
    action = statement["Action"]
    actions = [action] if isinstance(action, str) else list(action)
    statement["Action"] = actions + [BATCH_ACTION[name] for name in actions if name in BATCH_ACTION]
    if SEND_EMAIL in actions:
        statement["Resource"] = "*"
        statement.pop("Condition", None)
