"""Turns the OpenAPI body of an HTTP API into routes, integrations and authorizers.

SAM writes routes into `AWS::ApiGatewayV2::Api.Body`; the emulator's CloudFormation ignores a body and would
deploy an API without a single route. Separate resources are what it does deploy.
"""

import copy
import re
from typing import Any

type Resource = dict[str, Any]

ANY_METHOD = "x-amazon-apigateway-any-method"


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
