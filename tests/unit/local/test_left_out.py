from pathlib import Path
from typing import Any

from local.adapter.left_out import LEFT_OUT, without_left_out
from tests.unit.template.sam_template import read_template

ROOT = Path(__file__).resolve().parents[3]


def statement(identifier: str) -> dict[str, Any]:
    return {"Sid": identifier, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


def template(*statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"Bucket": "b", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    return {
        "Resources": {
            "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
            "Other": {"Type": "AWS::SQS::Queue", "Properties": {}},
        }
    }


def test_a_policy_that_only_demands_tls_is_left_out_whole() -> None:
    assert set(without_left_out(template(statement("TlsOnly")))["Resources"]) == {"Other"}


def test_other_statements_of_the_policy_stay() -> None:
    result = without_left_out(template(statement("TlsOnly"), statement("Keep")))
    kept = result["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [entry["Sid"] for entry in kept] == ["Keep"]


def test_the_template_given_is_not_changed() -> None:
    given = template(statement("TlsOnly"))
    without_left_out(given)
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


def test_everything_left_out_is_asserted_where_it_says() -> None:
    assert {entry.statement_id for entry in LEFT_OUT} == {"TlsOnly"}
    assert {ROOT / entry.asserted_by for entry in LEFT_OUT} == {Path(__file__)}
