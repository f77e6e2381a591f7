from typing import Any

from local.adapter.visibility import MARGIN_SECONDS, with_local_visibility


def template(timeout: int, visibility: int) -> dict[str, Any]:
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
    resources = with_local_visibility(template(60, 360))["Resources"]
    assert resources["Work"]["Properties"] == {"VisibilityTimeout": 60 + MARGIN_SECONDS, "FifoQueue": True}
    assert MARGIN_SECONDS > 0


def test_nothing_else_changes_and_the_template_given_stays_as_it_is() -> None:
    given = template(300, 1800)
    result = with_local_visibility(given)
    assert given == template(300, 1800)
    del result["Resources"]["Work"], given["Resources"]["Work"]
    assert result == given
