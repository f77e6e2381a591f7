from local.adapter.batch_actions import with_batch_actions


def role(action: object) -> dict[str, object]:
    policy = {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "arn"}]}}
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}


def actions(template: dict[str, object]) -> list[object]:
    result = with_batch_actions({"Resources": {"Role": template}})
    policies = result["Resources"]["Role"]["Properties"]["Policies"]
    return list(policies[0]["PolicyDocument"]["Statement"][0]["Action"])


def test_who_may_send_one_message_may_send_a_batch_on_the_emulator() -> None:
    assert actions(role("sqs:SendMessage")) == ["sqs:SendMessage", "sqs:SendMessageBatch"]


def test_nothing_else_is_added() -> None:
    assert actions(role(["s3:GetObject", "sqs:ChangeMessageVisibility"])) == [
        "s3:GetObject",
        "sqs:ChangeMessageVisibility",
    ]
