"""The template as CloudFormation receives it: expanded by the pinned SAM translator, for a stack of your choice."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from local.adapter.deploy import translate
from tests.unit.template.sam_template import ROOT

REQUIRED = {
    "DirectusUrl": "https://directus.example",
    "ReturnUrl": "https://firm.example/paid",
    "SenderEmail": "billing@firm.example",
}
"""Parameters without a default, but `Deployment`, which differs from stack to stack."""


@cache
def translation(stack: str = "legal-billing", deployment: str = "main", **other: str) -> dict[str, Any]:
    """Return the whole answer of `local/adapter/translate.py`. Do not change it: it is kept."""
    parameters = {**REQUIRED, "Deployment": deployment, **other}
    request = {
        "parameters": parameters, "region": "us-east-1", "stack_name": stack, "code_bucket": "code",
    }  # fmt: skip
    answer: dict[str, Any] = json.loads(translate(ROOT, json.dumps(request), region="us-east-1"))
    return answer


def translated_template(stack: str = "legal-billing", deployment: str = "main") -> dict[str, Any]:
    """Return the plain CloudFormation template; parameters stay references. Do not change it: it is kept."""
    template: dict[str, Any] = translation(stack, deployment)["template"]
    return template


def resources_of(kind: str) -> dict[str, dict[str, Any]]:
    """Return the resources of a type, whole, by logical id."""
    found = translated_template()["Resources"]
    return {name: resource for name, resource in found.items() if resource["Type"] == kind}


def text_of(node: Any, stack: str, deployment: str) -> str:
    """Work out a name: a text, `Ref` or `Fn::Sub`. A resource without a name of its own is called `<stack>-<logical id>`."""
    known = {"AWS::StackName": stack, "Deployment": deployment}

    def meaning(reference: str) -> str:
        return known.get(reference, f"{stack}-{reference}")

    if isinstance(node, str):
        return node
    ((function, argument),) = node.items()
    if function == "Ref":
        return meaning(argument)
    assert function == "Fn::Sub", f"teach this test {function}"
    return re.sub(r"\$\{([^}]+)\}", lambda match: meaning(match[1]), argument)
