"""What the adapter must leave out of the template, each with its reason and where it is asserted instead."""

import copy
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class LeftOut:
    """A policy statement that cannot be deployed to the emulator."""

    resource_type: str
    statement_id: str
    reason: str
    asserted_by: str


LEFT_OUT: Final = (
    LeftOut(
        resource_type="AWS::S3::BucketPolicy",
        statement_id="TlsOnly",
        reason="the emulator speaks http, so denying requests without TLS refuses every write",
        asserted_by="tests/unit/local/test_left_out.py",
    ),
)


def without_left_out(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template without the statements of `LEFT_OUT`.

    A policy whose last statement goes is removed whole, because an empty policy is not valid.
    """
    result = copy.deepcopy(template)
    for name, resource in list(result["Resources"].items()):
        for entry in LEFT_OUT:
            if resource["Type"] != entry.resource_type:
                continue
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [
                statement for statement in document["Statement"] if statement.get("Sid") != entry.statement_id
            ]
            if not document["Statement"]:
                del result["Resources"][name]
                break
    return result
