import copy
from typing import Any

import pytest

from local.adapter.emulator_gaps import (
    MARGIN_SECONDS,
    with_emulated_permissions,
    with_local_visibility,
    with_routes,
    without_tls_only,
)
from tests.unit.template.sam_template import read_template

INTEGRATION = {
    "type": "aws_proxy",
    "httpMethod": "POST",
    "uri": {"Fn::Sub": "arn:aws:apigateway:...${CheckoutFunction.Arn}/invocations"},
    "payloadFormatVersion": "2.0",
}


def api(paths: dict[str, Any], schemes: dict[str, Any] | None = None) -> dict[str, Any]:
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
        api({"/checkout": {"post": operation()}, "/invoices/{id}": {"get": operation(), "put": operation()}})
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
    properties = with_routes(api({"/checkout": {"post": operation()}}))["Resources"]["HttpApi"]["Properties"]

    assert "Body" not in properties
    assert properties["ProtocolType"] == "HTTP"
    assert properties["Name"] == {"Ref": "AWS::StackName"}


def test_any_method_and_the_default_route_keep_their_names() -> None:
    any_method = "x-amazon-apigateway-any-method"
    result = with_routes(api({"/all": {any_method: operation()}, "$default": {any_method: operation()}}))

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
    result = with_routes(api({"/checkout": {"post": operation(security=[{"Flow": []}])}}, {"Flow": scheme}))

    (authorizer,) = of_type(result, "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["IdentitySource"] == ["$request.header.authorization", "$context.routeKey"]
    assert authorizer["EnableSimpleResponses"] is True
    (route,) = of_type(result, "AWS::ApiGatewayV2::Route")
    assert route["AuthorizationType"] == "CUSTOM"
    assert result["Resources"][route["AuthorizerId"]["Ref"]]["Properties"] == authorizer


def test_an_open_operation_has_no_authorization() -> None:
    (route,) = of_type(with_routes(api({"/a": {"post": operation()}})), "AWS::ApiGatewayV2::Route")
    assert "AuthorizationType" not in route


def test_the_template_given_is_not_changed_by_its_routes() -> None:
    given = api({"/checkout": {"post": operation()}})
    before = copy.deepcopy(given)
    with_routes(given)
    assert given == before


def adapted(**statement: Any) -> dict[str, Any]:
    policy = {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Resource": "arn", **statement}]}}
    role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}
    result = with_emulated_permissions({"Resources": {"Role": role}})
    (changed,) = result["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == statement["Action"], (
        "the template is left alone"
    )
    found: dict[str, Any] = changed
    return found


@pytest.mark.parametrize("action", ["sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"])
def test_who_may_do_it_to_one_message_may_do_it_to_a_batch_on_the_emulator(action: str) -> None:
    assert adapted(Action=action)["Action"] == [action, f"{action}Batch"]


def test_a_policy_that_is_a_resource_of_its_own_is_adapted_like_those_of_a_role() -> None:
    statement = {"Effect": "Allow", "Resource": "arn", "Action": "sqs:SendMessage"}
    policy = {
        "Type": "AWS::IAM::Policy",
        "Properties": {"Roles": ["r"], "PolicyDocument": {"Statement": [statement]}},
    }
    result = with_emulated_permissions({"Resources": {"Policy": policy}})
    (changed,) = result["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert changed["Action"] == ["sqs:SendMessage", "sqs:SendMessageBatch"]


def test_mail_is_allowed_without_the_condition_that_the_emulator_does_not_know() -> None:
    statement = adapted(
        Action="ses:SendEmail", Condition={"StringEquals": {"ses:FromAddress": "a@b.example"}}
    )
    assert statement["Resource"] == "*"
    assert "Condition" not in statement


def test_no_other_permission_changes() -> None:
    statement = adapted(Action=["s3:GetObject", "sqs:ReceiveMessage"], Condition={"Bool": {"a": "b"}})
    assert statement == {
        "Effect": "Allow",
        "Resource": "arn",
        "Action": ["s3:GetObject", "sqs:ReceiveMessage"],
        "Condition": {"Bool": {"a": "b"}},
    }


def statement(identifier: str) -> dict[str, Any]:
    return {"Sid": identifier, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


def bucket(*statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"Bucket": "b", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    return {
        "Resources": {
            "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
            "Other": {"Type": "AWS::SQS::Queue", "Properties": {}},
        }
    }


def test_a_policy_that_only_demands_tls_goes_whole() -> None:
    assert set(without_tls_only(bucket(statement("TlsOnly")))["Resources"]) == {"Other"}


def test_other_statements_of_the_policy_stay() -> None:
    result = without_tls_only(bucket(statement("TlsOnly"), statement("Keep")))
    kept = result["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [entry["Sid"] for entry in kept] == ["Keep"]


def test_the_template_given_keeps_its_bucket_policy() -> None:
    given = bucket(statement("TlsOnly"))
    without_tls_only(given)
    assert "Policy" in given["Resources"]


def test_the_template_refuses_requests_to_the_documents_without_tls() -> None:
    policy = read_template()["Resources"]["DocumentsBucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "DocumentsBucket"}
    found = [entry for entry in policy["PolicyDocument"]["Statement"] if entry["Sid"] == "TlsOnly"]
    assert found == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{"GetAtt": "DocumentsBucket.Arn"}, {"Sub": "${DocumentsBucket.Arn}/*"}],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def worker(timeout: int, visibility: int) -> dict[str, Any]:
    source = {"EventSourceArn": {"Fn::GetAtt": ["Work", "Arn"]}, "FunctionName": {"Ref": "Worker"}}
    queue = {"VisibilityTimeout": visibility, "FifoQueue": True}
    return {
        "Resources": {
            "Work": {"Type": "AWS::SQS::Queue", "Properties": queue},
            "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": 1}},
            "Worker": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": timeout}},
            "WorkerWork": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": source},
        }
    }


def test_a_message_is_hidden_a_little_longer_than_its_worker_may_run() -> None:
    resources = with_local_visibility(worker(60, 360))["Resources"]
    assert resources["Work"]["Properties"] == {"VisibilityTimeout": 60 + MARGIN_SECONDS, "FifoQueue": True}
    assert MARGIN_SECONDS > 0


def test_only_visibility_changes_and_the_template_given_stays_as_it_is() -> None:
    given = worker(300, 1800)
    result = with_local_visibility(given)
    assert given == worker(300, 1800)
    del result["Resources"]["Work"], given["Resources"]["Work"]
    assert result == given
