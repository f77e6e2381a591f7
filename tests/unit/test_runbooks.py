"""The runbooks match the template, and each has the same order: symptom, check, fix."""

from __future__ import annotations

import re

import pytest

from billing.reconcile.reconcile import PARTS_OF_A_PHASE
from tests.unit.template.sam_template import ROOT, read_template
from tests.unit.template.translated import resources_of, translated_template

TEXT = (ROOT / "docs/runbooks.md").read_text()
SECTIONS = {part.partition("\n")[0]: part.partition("\n")[2] for part in TEXT.split("\n## ")[1:]}


def about(alarm: str) -> str:
    """The runbook of an alarm."""
    (text,) = [text for heading, text in SECTIONS.items() if re.search(rf"\b{alarm}\b", heading)]
    return text


ALARMS = [
    name
    for name, resource in read_template()["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
]


@pytest.mark.parametrize("alarm", ALARMS)
def test_an_alarms_runbook_has_symptom_check_and_fix(alarm: str) -> None:
    parts = re.findall(r"^- \*\*(\w+)\.\*\* \S", about(alarm), re.MULTILINE)
    assert parts == ["Symptom", "Check", "Fix"]


def test_every_name_in_angle_brackets_is_an_output_of_the_stack() -> None:
    """A few in commands stand for a value that the reader fills in."""
    named = set(re.findall(r"<([A-Z]\w+)>", TEXT)) - {"Deployment"}
    assert named <= translated_template()["Outputs"].keys()


def test_a_dead_letter_queue_that_reconcile_does_not_empty_is_emptied_by_its_runbook() -> None:
    """Otherwise its alarm lasts for the 14 days that the queue keeps a message."""
    role = resources_of("AWS::IAM::Role")["ReconcileFunctionRole"]["Properties"]
    emptied = {
        resource["Fn::GetAtt"][0]
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:DeleteMessage" in statement["Action"]
        for resource in statement["Resource"]
    }
    dead_letters = {name for name in resources_of("AWS::SQS::Queue") if name.endswith("Dlq")}
    assert dead_letters - emptied == {"SchedulerDlq"}
    for name in dead_letters:
        text = about(f"{name}Alarm")
        assert f"--queue-url <{name}Url>" in text
        assert ("aws sqs purge-queue" in text) is (name not in emptied), name


def test_memory_is_looked_up_where_a_json_log_has_it() -> None:
    """With JSON logs Lambda writes a record of type platform.report instead of a line that begins with REPORT."""
    formats = {
        function["Properties"]["LoggingConfig"]["LogFormat"]
        for function in resources_of("AWS::Lambda::Function").values()
    }
    assert formats == {"JSON"}
    assert "REPORT" not in TEXT
    assert 'type = "platform.report"' in TEXT
    assert "record.metrics.maxMemoryUsedMB" in TEXT


def test_reconciles_parts_are_limited_by_itself_and_not_by_lambda() -> None:
    """`RecursiveLoop: Allow` switches off the limit of 16 that Lambda has for a function that starts itself."""
    function = resources_of("AWS::Lambda::Function")["ReconcileFunction"]["Properties"]
    assert function["RecursiveLoop"] == "Allow"
    assert PARTS_OF_A_PHASE == 6
    assert "A phase has at most six invocations" in about("ReconcileDifferencesAlarm")
    assert not re.search(r"\b16\b", TEXT)


def test_a_refusal_by_ses_is_explained_where_it_is_reported() -> None:
    """A refusal is not an exception, so it does not become a dead letter."""
    assert "is not a dead letter" in about("RemindersDlqAlarm")
    assert "notice_failed" in about("ReconcileDifferencesAlarm")
    assert "MessageRejected" in about("MailNotConfiguredAlarm")
