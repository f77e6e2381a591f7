"""Two deployments in one account and region, staging beside production: neither takes a name of the other."""

from __future__ import annotations

import re
from typing import Any

from tests.unit.template.translated import text_of, translated_template

STACKS = (("legal-billing", "main"), ("legal-billing-staging", "staging"))

NAME = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::SecretsManager::Secret": "Name",
}
"""The property that AWS wants to be unique in an account and region; without it CloudFormation makes up a name."""

WITHOUT_A_NAME = {
    "AWS::ApiGatewayV2::Api": "two APIs may have one name; the id tells them apart",
    "AWS::ApiGatewayV2::Stage": "unique within its API",
    "AWS::IAM::Policy": "belongs to its role",
    "AWS::Lambda::EventInvokeConfig": "belongs to its function",
    "AWS::Lambda::EventSourceMapping": "belongs to its function",
    "AWS::Lambda::LayerVersion": "a layer's name is shared: each stack publishes, uses and deletes its own versions",
    "AWS::Lambda::Permission": "belongs to its function",
    "AWS::S3::BucketPolicy": "belongs to its bucket",
}


def names(stack: str, deployment: str) -> set[tuple[str, str]]:
    """Every name that the template itself chooses, with the type it must be unique in."""
    found = set()
    for resource in translated_template(stack, deployment)["Resources"].values():
        chosen = resource.get("Properties", {}).get(NAME.get(resource["Type"], ""))
        if chosen is not None:
            found.add((resource["Type"], text_of(chosen, stack, deployment)))
    return found


def test_it_is_known_of_every_type_whether_its_name_must_be_unique() -> None:
    types = {resource["Type"] for resource in translated_template()["Resources"].values()}
    assert types == NAME.keys() | WITHOUT_A_NAME.keys()


def test_no_name_of_one_stack_is_taken_by_the_other() -> None:
    first, second = (names(*stack) for stack in STACKS)
    assert len(first) == len(second) > 0, "the log groups at least have names"
    assert first & second == set()


def metric_namespaces(stack: str, deployment: str) -> dict[str, set[str]]:
    """Namespaces of ours: what the functions count in, and what the alarms watch."""
    found: dict[str, set[str]] = {"functions": set(), "alarms": set()}
    for resource in translated_template(stack, deployment)["Resources"].values():
        properties: dict[str, Any] = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function":
            variables = properties["Environment"]["Variables"]
            found["functions"].add(text_of(variables["POWERTOOLS_METRICS_NAMESPACE"], stack, deployment))
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            found["alarms"].add(text_of(properties["Namespace"], stack, deployment))
    found["alarms"] = {name for name in found["alarms"] if not name.startswith("AWS/")}
    return found


def test_metrics_of_one_stack_raise_no_alarm_of_the_other() -> None:
    first, second = (metric_namespaces(*stack) for stack in STACKS)
    assert first == {"functions": {"LegalBilling/main"}, "alarms": {"LegalBilling/main"}}
    assert second == {"functions": {"LegalBilling/staging"}, "alarms": {"LegalBilling/staging"}}


def test_every_name_of_a_deployment_is_one_that_cloudwatch_takes() -> None:
    """At most 255 of these characters, and none of AWS's own namespaces."""
    pattern = translated_template()["Parameters"]["Deployment"]["AllowedPattern"]
    longest = "a" + "-9z" * 13
    assert re.fullmatch(pattern, longest)
    assert not re.fullmatch(pattern, f"{longest}a"), "the longest that is allowed"
    namespace = f"LegalBilling/{longest}"
    assert re.fullmatch(r"(?!AWS/)[0-9A-Za-z.\-_/#:]{1,255}", namespace)
