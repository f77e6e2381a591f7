"""Reads resources back through the services' own APIs, in the shape CloudFormation declares them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from local.adapter.deploy import Emulator
from tests.e2e.read_back.declared import Declared

type Properties = dict[str, Any]
type Reader = Callable[[Emulator, Declared], Properties]


def log_group(emulator: Emulator, resource: Declared) -> Properties:
    groups = emulator.client("logs").describe_log_groups(logGroupNamePrefix=resource.physical_id)["logGroups"]
    (found,) = [group for group in groups if group["logGroupName"] == resource.physical_id]
    return {"LogGroupName": found["logGroupName"], "RetentionInDays": found.get("retentionInDays")}


def secret(emulator: Emulator, resource: Declared) -> Properties:
    found = emulator.client("secretsmanager").describe_secret(SecretId=resource.physical_id)
    return {"Description": found.get("Description")}


def queue(emulator: Emulator, resource: Declared) -> Properties:
    attributes = emulator.client("sqs").get_queue_attributes(
        QueueUrl=resource.physical_id, AttributeNames=["All"]
    )["Attributes"]
    texts = {"true": True, "false": False}
    read = {
        key: texts.get(value, int(value) if value.isdecimal() else value) for key, value in attributes.items()
    }
    if "RedrivePolicy" in read:
        policy = json.loads(attributes["RedrivePolicy"])
        read["RedrivePolicy"] = {**policy, "maxReceiveCount": int(policy["maxReceiveCount"])}
    return read


def bucket(emulator: Emulator, resource: Declared) -> Properties:
    s3, name = emulator.client("s3"), resource.physical_id
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    rules = [
        {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]} for rule in encryption
    ]
    lifecycle = _or_none(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"])
    return {
        "BucketEncryption": {"ServerSideEncryptionConfiguration": rules},
        "LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in lifecycle or []]},
        "OwnershipControls": _or_none(
            lambda: s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]
        ),
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=name)[
            "PublicAccessBlockConfiguration"
        ],
        "VersioningConfiguration": {"Status": s3.get_bucket_versioning(Bucket=name).get("Status")},
    }


def _lifecycle_rule(rule: Properties) -> Properties:
    """The rule in CloudFormation's words (`local/adapter/deploy.py` has put it into the API's)."""
    return {
        **rule,
        "Id": rule.get("ID"),
        "Prefix": rule.get("Filter", {}).get("Prefix"),
        "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        "ExpiredObjectDeleteMarker": rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker"),
    }


def bucket_policy(emulator: Emulator, resource: Declared) -> Properties:
    name = resource.properties["Bucket"]
    policy = _or_none(lambda: emulator.client("s3").get_bucket_policy(Bucket=name)["Policy"])
    return {"Bucket": name, "PolicyDocument": json.loads(policy) if policy else None}


def alarm(emulator: Emulator, resource: Declared) -> Properties:
    found = emulator.client("cloudwatch").describe_alarms(AlarmNames=[resource.physical_id])
    (read,) = found["MetricAlarms"]
    return dict(read)


def function(emulator: Emulator, resource: Declared) -> Properties:
    client = emulator.client("lambda")
    read = client.get_function(FunctionName=resource.physical_id)
    configuration = read["Configuration"]
    return {
        **configuration,
        "RecursiveLoop": client.get_function_recursion_config(FunctionName=resource.physical_id)[
            "RecursiveLoop"
        ],
        "Layers": [layer["Arn"] for layer in configuration.get("Layers", [])],
        "Tags": _tag_list(read.get("Tags", {})),
        "TracingConfig": configuration.get("TracingConfig"),
    }


def role(emulator: Emulator, resource: Declared) -> Properties:
    iam, name = emulator.client("iam"), resource.physical_id
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    inline = [
        iam.get_role_policy(RoleName=name, PolicyName=policy)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    return {
        "AssumeRolePolicyDocument": iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "Policies": [
            {"PolicyName": policy["PolicyName"], "PolicyDocument": policy["PolicyDocument"]}
            for policy in inline
        ],
        "Tags": _tag_list({tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=name)["Tags"]}),
    }


def inline_policy(emulator: Emulator, resource: Declared) -> Properties:
    """A policy that is a resource of its own, as each role holds it."""
    iam, declared = emulator.client("iam"), resource.properties
    held = [
        iam.get_role_policy(RoleName=name, PolicyName=declared["PolicyName"])["PolicyDocument"]
        for name in declared["Roles"]
    ]
    return {**declared, "PolicyDocument": held[0]} if all(document == held[0] for document in held) else {}


def permission(emulator: Emulator, resource: Declared) -> Properties:
    name = resource.properties["FunctionName"]
    policy = json.loads(emulator.client("lambda").get_policy(FunctionName=name)["Policy"])
    for statement in policy["Statement"]:
        source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn")
        if source == resource.properties["SourceArn"]:
            return {
                "Action": statement["Action"],
                "FunctionName": statement["Resource"].rsplit(":", 1)[-1],
                "Principal": statement["Principal"]["Service"],
                "SourceArn": source,
            }
    return {}


def event_source_mapping(emulator: Emulator, resource: Declared) -> Properties:
    read = emulator.client("lambda").get_event_source_mapping(UUID=resource.physical_id)
    return {**read, "FunctionName": read["FunctionArn"].rsplit(":", 1)[-1]}


def schedule(emulator: Emulator, resource: Declared) -> Properties:
    return dict(emulator.client("scheduler").get_schedule(Name=resource.physical_id))


def api(emulator: Emulator, resource: Declared) -> Properties:
    return dict(emulator.client("apigatewayv2").get_api(ApiId=resource.physical_id))


def stage(emulator: Emulator, resource: Declared) -> Properties:
    identifier = resource.properties["ApiId"]
    read = emulator.client("apigatewayv2").get_stage(
        ApiId=identifier, StageName=resource.properties["StageName"]
    )
    return {**read, "ApiId": identifier}


def route(emulator: Emulator, resource: Declared) -> Properties:
    identifier = resource.properties["ApiId"]
    routes = emulator.client("apigatewayv2").get_routes(ApiId=identifier)["Items"]
    found = [read for read in routes if read["RouteKey"] == resource.properties["RouteKey"]]
    return {**found[0], "ApiId": identifier} if found else {}


def integration(emulator: Emulator, resource: Declared) -> Properties:
    identifier = resource.properties["ApiId"]
    read = emulator.client("apigatewayv2").get_integration(
        ApiId=identifier, IntegrationId=resource.physical_id
    )
    return {**read, "ApiId": identifier}


def event_invoke_config(emulator: Emulator, resource: Declared) -> Properties:
    declared = resource.properties
    read = emulator.client("lambda").get_function_event_invoke_config(
        FunctionName=declared["FunctionName"], Qualifier=declared["Qualifier"]
    )
    *_, name, qualifier = read["FunctionArn"].split(":")
    return {**read, "FunctionName": name, "Qualifier": qualifier}


def layer_version(emulator: Emulator, resource: Declared) -> Properties:
    read = emulator.client("lambda").get_layer_version_by_arn(Arn=resource.physical_id)
    return {**read, "LayerName": read["LayerArn"].rsplit(":", 1)[-1]}


READERS: Final[Mapping[str, Reader]] = {
    "AWS::ApiGatewayV2::Api": api,
    "AWS::ApiGatewayV2::Integration": integration,
    "AWS::ApiGatewayV2::Route": route,
    "AWS::ApiGatewayV2::Stage": stage,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::IAM::Policy": inline_policy,
    "AWS::IAM::Role": role,
    "AWS::Lambda::EventInvokeConfig": event_invoke_config,
    "AWS::Lambda::EventSourceMapping": event_source_mapping,
    "AWS::Lambda::Function": function,
    "AWS::Lambda::LayerVersion": layer_version,
    "AWS::Lambda::Permission": permission,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::SQS::Queue": queue,
    "AWS::Scheduler::Schedule": schedule,
    "AWS::SecretsManager::Secret": secret,
}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags that CloudFormation adds by itself (`aws:`) are nobody's declaration."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items()) if not key.startswith("aws:")]


def _or_none(read: Callable[[], Any]) -> Any:
    """What the service does not have at all reads as None."""
    try:
        return read()
    except ClientError:
        return None
