"""What the template declares, with every intrinsic function worked out to the value the deployment must show."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from local.adapter.build import built
from local.adapter.deploy import translated
from local.adapter.emulator_gaps import with_emulated_permissions, with_local_visibility, with_routes
from local.setup.paths import ROOT
from local.stack import STACK_NAME, Stack

ACCOUNT: Final = "000000000000"

ARN_FORMS: Final = {
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
}


@dataclass(frozen=True)
class Declared:
    """A resource of the template: its properties as they must be read back from the service."""

    logical_id: str
    type: str
    physical_id: str
    properties: Mapping[str, Any]


def declared(stack: Stack) -> list[Declared]:
    """Return every resource as SAM expands it for AWS, but for three things.

    Routes are spelled out, because no API returns a body. The roles' permissions are in the emulator's words
    and messages of killed and throttled workers come back sooner (`local/adapter/emulator_gaps.py` explains each, its
    unit test holds it to exactly these).
    """
    parameters = stack.parameters()
    emulator = stack.emulator()
    answer = translated(built(ROOT), parameters, region=emulator.region, stack_name=STACK_NAME)
    template = with_local_visibility(with_emulated_permissions(with_routes(answer["template"])))
    for name, function in answer["functions"].items():
        template["Resources"][name]["Properties"]["Runtime"] = function["runtime"]
    secrets = emulator.client("secretsmanager")
    physical = {
        # A secret's Ref is its name on the emulator and its ARN on AWS; templates must use the attribute Id.
        name: secrets.describe_secret(SecretId=physical_id)["ARN"]
        if template["Resources"].get(name, {}).get("Type") == "AWS::SecretsManager::Secret"
        else physical_id
        for name, physical_id in stack.resources().items()
    }
    resolver = Resolver(template, parameters, physical, emulator.region)
    found = [
        Declared(
            logical_id=name,
            type=resource["Type"],
            physical_id=stack.resources().get(name, ""),
            properties=resolver.value(resource.get("Properties", {})),
        )
        for name, resource in template["Resources"].items()
    ]
    return [_with_added_policies(resource, found) for resource in found]


def _with_added_policies(resource: Declared, all_of_them: list[Declared]) -> Declared:
    """Return a role with the policies that resources of their own add to it, as the service lists them together."""
    added = [
        {key: other.properties[key] for key in ("PolicyName", "PolicyDocument")}
        for other in all_of_them
        if other.type == "AWS::IAM::Policy" and resource.physical_id in other.properties["Roles"]
    ]
    if resource.type != "AWS::IAM::Role" or not added:
        return resource
    return replace(
        resource,
        properties={**resource.properties, "Policies": [*resource.properties.get("Policies", []), *added]},
    )


class Resolver:
    """Works out `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join` and `Fn::If`; anything else is an error."""

    def __init__(
        self,
        template: Mapping[str, Any],
        parameters: Mapping[str, str],
        physical: Mapping[str, str],
        region: str,
    ) -> None:
        self._resources = template["Resources"]
        self._conditions = template.get("Conditions", {})
        self._region = region
        self._physical = physical
        numbers = {
            name for name, declared in template.get("Parameters", {}).items() if declared["Type"] == "Number"
        }
        self._references: dict[str, str | int] = {
            **{name: int(value) if name in numbers else value for name, value in parameters.items()},
            **physical,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackName": STACK_NAME,
        }

    def value(self, node: Any) -> Any:
        """Return the node without intrinsic functions."""
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return self._references[argument]
            if name.startswith("Fn::"):
                return self._function(name, argument)
        return {key: self.value(item) for key, item in node.items()}

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            return self._attribute(*(argument if isinstance(argument, list) else argument.split(".", 1)))
        if name == "Fn::Sub":
            text, extra = argument if isinstance(argument, list) else (argument, {})
            return self._substitute(text, self.value(extra))
        if name == "Fn::Join":
            return argument[0].join(str(part) for part in self.value(argument[1]))
        if name == "Fn::If":
            condition, if_true, if_false = argument
            return self.value(if_true if self._holds(self._conditions[condition]) else if_false)
        raise AssertionError(f"the read-back test does not know {name}; teach it")

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        ((name, argument),) = condition.items()
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::Equals":
            first, second = self.value(argument)
            return bool(first == second)
        raise AssertionError(f"the read-back test does not know the condition {name}; teach it")

    def _substitute(self, text: str, extra: Mapping[str, Any]) -> str:
        def replacement(match: re.Match[str]) -> str:
            name = match[1]
            if name in extra:
                return str(extra[name])
            if name in self._references:
                return str(self._references[name])
            return str(self._attribute(*name.split(".", 1)))

        return re.sub(r"\$\{([^!}]+)\}", replacement, text)

    def _attribute(self, resource: str, attribute: str) -> str:
        kind = self._resources[resource]["Type"]
        physical = self._physical[resource]
        name = physical.rsplit("/", 1)[-1] if kind == "AWS::SQS::Queue" else physical
        if attribute == "Arn":
            return ARN_FORMS[kind].format(account=ACCOUNT, region=self._region, name=name)
        if (kind, attribute) == ("AWS::SQS::Queue", "QueueName"):
            return name
        if (kind, attribute) == ("AWS::SecretsManager::Secret", "Id"):
            return physical
        raise AssertionError(f"the read-back test does not know {kind}.{attribute}; teach it")
