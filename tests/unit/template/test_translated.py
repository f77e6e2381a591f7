"""What CloudFormation receives, where SAM adds to the template or takes from it."""

from __future__ import annotations

import re
from collections import Counter
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any

import pytest

from billing.reminders.store import read_policy
from tests.unit.template.translated import resources_of, translated_template, translation


def test_cloudformation_names_the_schedules_so_that_another_stack_can_have_its_own() -> None:
    schedules = resources_of("AWS::Scheduler::Schedule")
    assert sorted(schedules) == [
        "ReconcileFunctionHourly",
        "ReconcileFunctionNightly",
        "RemindersFunctionHourly",
    ]
    assert not any("Name" in schedule["Properties"] for schedule in schedules.values())


def test_the_parameter_for_the_log_level_reaches_lambda_and_powertools() -> None:
    """Lambda's own filter is before ours: a level that only Powertools knows changes nothing."""
    for function in resources_of("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"] == {
            "LogFormat": "JSON",
            "ApplicationLogLevel": {"Ref": "LogLevel"},
        }
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}
        assert "LOG_LEVEL" not in variables, "Powertools' former name"


@pytest.mark.parametrize("other", [{}, {"LogLevel": "DEBUG"}])
def test_the_local_sandbox_tells_the_functions_the_level_that_was_asked_for(other: dict[str, str]) -> None:
    levels = {function["log_level"] for function in translation(**other)["functions"].values()}
    assert levels == {other.get("LogLevel", "INFO")}


def test_no_log_level_silences_the_metrics() -> None:
    """Lambda counts a line without a level as INFO; Powertools' metrics are such lines."""
    assert translated_template()["Parameters"]["LogLevel"]["AllowedValues"] == ["DEBUG", "INFO"]


def statements_about(action: str) -> list[tuple[str, Any]]:
    """Which role may do it to what, whether the statement is in the role or in a policy of its own."""
    policies = [
        (name, policy["PolicyDocument"])
        for name, role in resources_of("AWS::IAM::Role").items()
        for policy in role["Properties"].get("Policies", [])
    ]
    policies += [
        (role["Ref"], policy["Properties"]["PolicyDocument"])
        for policy in resources_of("AWS::IAM::Policy").values()
        for role in policy["Properties"]["Roles"]
    ]
    return [
        (role, statement["Resource"])
        for role, document in policies
        for statement in document["Statement"]
        if statement["Action"] == action
    ]


def test_reconcile_may_start_exactly_itself() -> None:
    """Not what a pattern matches: CloudFormation cuts the names of functions, and other functions match, too."""
    itself = {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}
    by_schedule = ("RemindersFunctionHourly", "ReconcileFunctionHourly", "ReconcileFunctionNightly")
    allowed = {
        role: resource
        for role, resource in statements_about("lambda:InvokeFunction")
        if role not in {f"{schedule}Role" for schedule in by_schedule}
    }
    assert allowed == {"ReconcileFunctionRole": itself}


def references(node: Any) -> set[str]:
    """The logical ids that a part of the template refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(references(value) for value in node.values()))
    match node:
        case {"Ref": str(name)}:
            found.add(name)
        case {"Fn::GetAtt": [name, *_]}:
            found.add(name)
        case {"Fn::Sub": str(text)}:
            found |= {name.partition(".")[0] for name in re.findall(r"\$\{([^}]+)\}", text)}
    return found


def test_no_resource_waits_for_itself() -> None:
    """CloudFormation refuses a circle, and only when it is deployed."""
    resources = translated_template()["Resources"]
    waits = {name: references(resource) & resources.keys() for name, resource in resources.items()}
    order = TopologicalSorter(waits).static_order()
    assert set(order) == resources.keys()


def test_documents_and_secrets_outlive_the_stack_but_not_a_first_deploy_that_failed() -> None:
    kept = resources_of("AWS::S3::Bucket") | resources_of("AWS::SecretsManager::Secret")
    assert len(kept) == 5
    for name, resource in kept.items():
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name


def test_the_buckets_policy_stays_with_the_bucket() -> None:
    (policy,) = resources_of("AWS::S3::BucketPolicy").values()
    assert policy["DeletionPolicy"] == policy["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("function", ["RemindersFunction", "ReconcileFunction"])
def test_a_run_that_lambda_cannot_run_is_kept_instead_of_lost(function: str) -> None:
    """What a schedule, or reconcile itself, starts is asynchronous: Lambda drops it after its retries, or after six hours."""
    asynchronous = {
        event["Properties"]["FunctionName"]["Ref"]: event["Properties"]
        for event in resources_of("AWS::Lambda::EventInvokeConfig").values()
    }
    invoked = asynchronous[function]
    assert invoked["MaximumEventAgeInSeconds"] == 1800, "the next hour's run must not meet an old one"
    queue = {"Fn::GetAtt": ["SchedulerDlq", "Arn"]}
    assert invoked["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
    assert (f"{function}Role", queue) in statements_about("sqs:SendMessage")


def test_every_function_that_a_schedule_starts_has_such_a_place() -> None:
    started = {
        schedule["Properties"]["Target"]["Arn"]["Fn::GetAtt"][0]
        for schedule in resources_of("AWS::Scheduler::Schedule").values()
    }
    kept = {
        event["Properties"]["FunctionName"]["Ref"]
        for event in resources_of("AWS::Lambda::EventInvokeConfig").values()
    }
    assert started == kept


def test_no_schedule_runs_before_somebody_says_so() -> None:
    """After the first deploy the secrets are empty: hourly errors, and reminders from an account that may send none."""
    parameter = translated_template()["Parameters"]["ScheduleState"]
    assert parameter["Default"] == "DISABLED"
    states = [
        schedule["Properties"]["State"] for schedule in resources_of("AWS::Scheduler::Schedule").values()
    ]
    assert states == [{"Ref": "ScheduleState"}] * 3


def test_only_the_flow_secret_is_generated_and_never_anew() -> None:
    """Any change of this property, here or in the others by adding it, puts a new value in place of the one in use."""
    properties = {
        name: secret["Properties"] for name, secret in resources_of("AWS::SecretsManager::Secret").items()
    }
    assert set(properties) == {"FlowSecret", "WebhookSecret", "StripeSecret", "DirectusTokenSecret"}
    assert properties.pop("FlowSecret")["GenerateSecretString"] == {
        "PasswordLength": 48,
        "ExcludePunctuation": True,
    }
    for name, secret in properties.items():
        assert secret.keys() == {"Description"}, f"{name} is created empty"


def test_mail_may_be_sent_from_the_firms_address_alone_with_the_identitys_configuration_set() -> None:
    """SES checks a default configuration set on its own: without its statement every mail is refused."""
    policies = resources_of("AWS::IAM::Role")["RemindersSenderFunctionRole"]["Properties"]["Policies"]
    sending = [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if "ses:" in str(statement["Action"])
    ]
    place = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
    assert sending == [
        {
            "Effect": "Allow",
            "Action": "ses:SendEmail",
            "Resource": {"Fn::Sub": f"{place}:{kind}/*"},
            "Condition": {"StringEquals": {"ses:FromAddress": {"Ref": "SenderEmail"}}},
        }
        for kind in ("identity", "configuration-set")
    ]


def times_raised(alarm: dict[str, Any], seconds: set[int], *, days: int) -> int:
    """How often an alarm of the form "more than Threshold in DatapointsToAlarm of EvaluationPeriods" turns to ALARM."""
    counts = Counter(second // alarm["Period"] for second in seconds)
    breaching = [counts[period] > alarm["Threshold"] for period in range(days * 86_400 // alarm["Period"])]
    window, enough = alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]
    states = [
        sum(breaching[max(0, last - window + 1) : last + 1]) >= enough for last in range(len(breaching))
    ]
    return sum(now and not before for before, now in pairwise([False, *states]))


@pytest.mark.parametrize("minutes", [1, 50])
def test_people_are_told_once_that_the_account_may_not_send(minutes: int) -> None:
    """However many reminders are refused, for how many days, and however long the sender takes for them."""
    alarms = resources_of("AWS::CloudWatch::Alarm")
    (alarm,) = [
        a["Properties"] for a in alarms.values() if a["Properties"]["MetricName"] == "MailNotConfigured"
    ]
    policy = read_policy()
    hours = [hour for hour in range(24) if policy.send_from.hour <= hour < policy.send_until.hour]
    refused = {
        (day * 24 + hour) * 3600 + 300 + second
        for day in range(4)
        for hour in hours
        for second in range(0, minutes * 60, 10)
    }
    assert times_raised(alarm, refused, days=5) == 1
    mended, again = {300}, {300 + 2 * 86_400}
    assert times_raised(alarm, mended | again, days=5) == 2, "a new fault is told of again"
