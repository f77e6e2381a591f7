import copy
from typing import Any

from local.adapter.http_api import with_routes

INTEGRATION = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "uri": {"Fn::Sub": "arn:aws:apigateway:...${CheckoutFunction.Arn}/invocations"},
    "payloadFormatVersion": "2.0",
}


def template(paths: dict[str, Any], schemes: dict[str, Any] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"openapi": "3.0.1", "info": {"title": {"Ref": "AWS::StackName"}}, "paths": paths}
    if schemes:
        body["components"] = {"securitySchemes": schemes}
    return {"Resources": {"HttpApi": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}}}


def operation(**more: Any) -> dict[str, Any]:
    return {"x-amazon-apigateway-integration": INTEGRATION, **more}


def of_type(result: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = [resource for resource in result["Resources"].values() if resource["Type"] == kind]
    return [resource["Properties"] for resource in found]


def test_each_operation_becomes_a_route_to_an_integration_of_its_own() -> None:
    result = with_routes(
        template(
            {"/checkout": {"post": operation()}, "/invoices/{id}": {"get": operation(), "put": operation()}}
        )
    )

    routes = of_type(result, "AWS::ApiGatewayV2::Route")
    assert {route["RouteKey"] for route in routes} == {
        "POST /checkout",
        "GET /invoices/{id}",
        "PUT /invoices/{id}",
    }
    targets = [route["Target"]["Fn::Join"][1][1]["Ref"] for route in routes]
    assert len(set(targets)) == 3
    for target in targets:
        integration = result["Resources"][target]
        assert integration["Type"] == "AWS::ApiGatewayV2::Integration"
        assert integration["Properties"] == {
            "ApiId": {"Ref": "HttpApi"},
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": INTEGRATION["uri"],
            "IntegrationMethod": "POST",
            "PayloadFormatVersion": "2.0",
        }


def test_the_body_is_gone_and_the_api_keeps_its_name_and_protocol() -> None:
    api = with_routes(template({"/checkout": {"post": operation()}}))["Resources"]["HttpApi"]["Properties"]

    assert "Body" not in api
    assert api["ProtocolType"] == "HTTP"
    assert api["Name"] == {"Ref": "AWS::StackName"}


def test_any_method_and_the_default_route_keep_their_names() -> None:
    any_method = "x-amazon-apigateway-any-method"
    result = with_routes(template({"/all": {any_method: operation()}, "$default": {any_method: operation()}}))

    keys = {route["RouteKey"] for route in of_type(result, "AWS::ApiGatewayV2::Route")}
    assert keys == {"ANY /all", "$default"}


def test_a_secured_operation_refers_to_its_authorizer() -> None:
    scheme = {
        "x-amazon-apigateway-authorizer": {
            "type": "request",
            "authorizerUri": "uri",
            "authorizerPayloadFormatVersion": "2.0",
            "enableSimpleResponses": True,
            "identitySource": "$request.header.authorization, $context.routeKey",
        }
    }
    result = with_routes(
        template({"/checkout": {"post": operation(security=[{"Flow": []}])}}, {"Flow": scheme})
    )

    (authorizer,) = of_type(result, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["IdentitySource"] == ["$request.header.authorization", "$context.routeKey"]
    assert authorizer["EnableSimpleResponses"] is True
    (route,) = of_type(result, "AWS::ApiGatewayV2::Route")
    assert route["AuthorizationType"] == "CUSTOM"
    assert result["Resources"][route["AuthorizerId"]["Ref"]]["Properties"] == authorizer


def test_an_open_operation_has_no_authorization() -> None:
    (route,) = of_type(with_routes(template({"/a": {"post": operation()}})), "AWS::ApiGatewayV2::Route")
    assert "AuthorizationType" not in route


def test_the_template_given_is_not_changed() -> None:
    given = template({"/checkout": {"post": operation()}})
    before = copy.deepcopy(given)
    with_routes(given)
    assert given == before
