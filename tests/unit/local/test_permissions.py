from typing import Any

import pytest

from local.adapter.permissions import with_emulated_permissions


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


def test_nothing_else_changes() -> None:
    statement = adapted(Action=["s3:GetObject", "sqs:ReceiveMessage"], Condition={"Bool": {"a": "b"}})
    assert statement == {
        "Effect": "Allow",
        "Resource": "arn",
        "Action": ["s3:GetObject", "sqs:ReceiveMessage"],
        "Condition": {"Bool": {"a": "b"}},
    }
