"""What the emulator cannot take of the template, or takes otherwise than AWS; the template says what AWS needs.

- **Routes**: SAM writes them into `AWS::ApiGatewayV2::Api.Body`; the emulator's CloudFormation ignores a body and would
  deploy an API without a single route. Separate resources are what it does deploy.
- **Permissions**: AWS authorises the batch form of an SQS action by the action itself; the emulator asks for one that AWS
  does not have. AWS authorises `ses:SendEmail` on the identity, under the condition key `ses:FromAddress`; the emulator
  knows neither and compares with the resource `*`.
- **TLS**: the emulator speaks http, so the bucket's statement that denies requests without TLS would refuse every write.
- **Visibility**: on AWS a queue's visibility is six times its worker's timeout, because Lambda keeps a throttled message
  and tries it again meanwhile. The emulator leaves it invisible for the whole time: one throttled moment would hold up an
  invoice for six minutes, a PDF for thirty. (`local/ministack_start.py` lets calls wait for room before the emulator
  throttles them, so this is for killed workers and for the worst of days.)

Unit tests hold the template to AWS's rules, and each change here to exactly this.
"""

import copy
import re
from typing import Any, Final

type Resource = dict[str, Any]

ANY_METHOD: Final = "x-amazon-apigateway-any-method"
TLS_ONLY: Final = "TlsOnly"
BATCH_ACTION: Final = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}
SEND_EMAIL: Final = "ses:SendEmail"
MARGIN_SECONDS: Final = 30
"""What a worker's message is hidden longer than the worker may run, so that no second one begins beside it."""


def with_routes(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template in which every HTTP API's body is spelled out as resources."""
    result = copy.deepcopy(template)
    for name, resource in list(result["Resources"].items()):
        if resource["Type"] == "AWS::ApiGatewayV2::Api" and "Body" in resource.get("Properties", {}):
            result["Resources"].update(_spelled_out(name, resource["Properties"]))
    return result


def _spelled_out(api: str, properties: Resource) -> dict[str, Resource]:
    body = properties.pop("Body")
    properties.setdefault("ProtocolType", "HTTP")
    properties.setdefault("Name", body.get("info", {}).get("title", api))
    resources: dict[str, Resource] = {}
    for name, scheme in body.get("components", {}).get("securitySchemes", {}).items():
        authorizer = scheme["x-amazon-apigateway-authorizer"]
        resources[f"{api}{_alphanumeric(name)}Authorizer"] = _authorizer(api, name, authorizer)
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            key = f"{api}{_alphanumeric(f'{method} {path}'.title())}"
            resources[f"{key}Integration"] = _integration(api, operation["x-amazon-apigateway-integration"])
            resources[f"{key}Route"] = _route(api, key, path, method, operation.get("security", []))
    return resources


def _authorizer(api: str, name: str, authorizer: dict[str, Any]) -> Resource:
    source = authorizer.get("identitySource", "")
    return {
        "Type": "AWS::ApiGatewayV2::Authorizer",
        "Properties": {
            "ApiId": {"Ref": api},
            "Name": name,
            "AuthorizerType": authorizer["type"].upper(),
            "AuthorizerUri": authorizer.get("authorizerUri"),
            "AuthorizerPayloadFormatVersion": authorizer.get("authorizerPayloadFormatVersion", "2.0"),
            "EnableSimpleResponses": authorizer.get("enableSimpleResponses", False),
            "AuthorizerResultTtlInSeconds": authorizer.get("authorizerResultTtlInSeconds", 300),
            "IdentitySource": [part.strip() for part in source.split(",")]
            if isinstance(source, str)
            else source,
        },
    }


def _integration(api: str, integration: dict[str, Any]) -> Resource:
    return {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": api},
            "IntegrationType": integration["type"].upper(),
            "IntegrationUri": integration["uri"],
            "IntegrationMethod": "POST",
            "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
        },
    }


def _route(api: str, key: str, path: str, method: str, security: list[dict[str, Any]]) -> Resource:
    verb = "ANY" if method == ANY_METHOD else method.upper()
    properties: Resource = {
        "ApiId": {"Ref": api},
        "RouteKey": path if path == "$default" else f"{verb} {path}",
        "Target": {"Fn::Join": ["/", ["integrations", {"Ref": f"{key}Integration"}]]},
    }
    if security:
        scheme = _alphanumeric(next(iter(security[0])))
        properties["AuthorizationType"] = "CUSTOM"
        properties["AuthorizerId"] = {"Ref": f"{api}{scheme}Authorizer"}
    return {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


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


def without_tls_only(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the template whose buckets take requests without TLS; a policy that says nothing else goes."""
    result = copy.deepcopy(template)
    for name, resource in list(result["Resources"].items()):
        if resource["Type"] == "AWS::S3::BucketPolicy":
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [one for one in document["Statement"] if one.get("Sid") != TLS_ONLY]
            if not document["Statement"]:  # an empty policy is not valid
                del result["Resources"][name]
    return result


def with_local_visibility(template: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which each worker's queue hides a message for the worker's timeout and a margin."""
    result = copy.deepcopy(template)
    resources = result["Resources"]
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        queue, _ = resource["Properties"]["EventSourceArn"]["Fn::GetAtt"]
        function = resource["Properties"]["FunctionName"]["Ref"]
        if resources[queue]["Type"] == "AWS::SQS::Queue":
            seconds = resources[function]["Properties"]["Timeout"] + MARGIN_SECONDS
            resources[queue]["Properties"]["VisibilityTimeout"] = seconds
    return result
