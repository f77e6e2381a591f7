"""What the emulator cannot show: the template itself, property by property."""

from __future__ import annotations

import json
from collections import Counter
from itertools import accumulate
from typing import Any

import pytest

from billing import settings
from billing.aws.queue_worker import Retry, disposition
from billing.errors import UpstreamUnavailable
from billing.reconcile.reconcile import BEFORE_STRIPE, ReconcileRequest
from billing.reconcile.run_notes import PREFIX as NOTES
from tests.unit.template.sam_template import ROOT, read_template

TEMPLATE = read_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
OURS = {"Sub": "LegalBilling/${Deployment}"}
"""The namespace of our own metrics."""
GLOBAL_VARIABLES = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]


def of_type(kind: str) -> dict[str, Any]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
ALARMS = of_type("AWS::CloudWatch::Alarm")
SETTINGS: dict[str, Any] = {
    "CheckoutFunction": settings.CheckoutSettings,
    "StripeWebhookFunction": settings.WebhookSettings,
    "StripeWebhookWorkerFunction": settings.InvoiceWorkerSettings,
    "BillingChangedFunction": settings.BillingChangedSettings,
    "RenderPdfFunction": settings.RenderAcceptorSettings,
    "RenderPdfWorkerFunction": settings.RenderWorkerSettings,
    "RemindersFunction": settings.RemindersSettings,
    "RemindersSenderFunction": settings.SenderSettings,
    "ReconcileFunction": settings.ReconcileSettings,
}


def statements(function: str) -> list[dict[str, Any]]:
    return [entry for policy in FUNCTIONS[function]["Policies"] for entry in policy["Statement"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def attribute(name: str) -> dict[str, str]:
    return {"GetAtt": name}


def test_every_function_has_settings_and_every_settings_a_function() -> None:
    assert set(FUNCTIONS) == set(SETTINGS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_is_given_exactly_what_its_settings_read(name: str) -> None:
    variables = {**GLOBAL_VARIABLES, **FUNCTIONS[name]["Environment"]["Variables"]}

    class Recording(dict[str, str]):
        asked: set[str] = set()  # noqa: RUF012  # one per test

        def get(self, key: str, default: Any = None) -> Any:
            self.asked.add(key)
            return super().get(key, default)

    environment = Recording(dict.fromkeys(variables, "https://given.example"))
    SETTINGS[name].from_environment(environment)
    assert environment.asked <= variables.keys()
    shared = {"POWERTOOLS_SERVICE_NAME", *GLOBAL_VARIABLES}
    assert set(FUNCTIONS[name]["Environment"]["Variables"]) - shared <= environment.asked


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_may_do_nothing_to_everything(name: str) -> None:
    for statement in statements(name):
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            assert "*" not in action
        for resource in as_list(statement["Resource"]):
            assert resource != "*"
    assert not any("iam:" in action for entry in statements(name) for action in as_list(entry["Action"]))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_may_read_exactly_the_secrets_it_is_told_of(name: str) -> None:
    told = [
        value
        for variable, value in FUNCTIONS[name]["Environment"]["Variables"].items()
        if variable.endswith("SECRET")
    ]
    allowed = [
        resource
        for statement in statements(name)
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]
    assert sorted(map(str, allowed)) == sorted(map(str, told))
    # `Ref` of a secret is its name on the emulator and its ARN on AWS; `Id` is the ARN on both.
    assert all(value["GetAtt"].endswith(".Id") for value in told)


def test_the_receiver_of_webhooks_knows_neither_directus_nor_stripes_key() -> None:
    (secrets, queue) = statements("StripeWebhookFunction")
    assert secrets["Resource"] == attribute("WebhookSecret.Id")
    assert queue == {
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": attribute("StripeEventsQueue.Arn"),
    }


def test_nothing_may_be_deleted_but_dead_letters_that_went_back() -> None:
    deleting = [
        (name, action, resource)
        for name in FUNCTIONS
        for entry in statements(name)
        for action in as_list(entry["Action"])
        if "Delete" in action or "Purge" in action
        for resource in as_list(entry["Resource"])
    ]
    queues = ("StripeEventsDlq", "RenderDlq", "RemindersDlq")
    assert deleting == [
        ("ReconcileFunction", "sqs:DeleteMessage", attribute(f"{queue}.Arn")) for queue in queues
    ]


def test_reconcile_has_as_long_as_lambda_gives_and_reads_no_working_queue() -> None:
    assert FUNCTIONS["ReconcileFunction"]["Timeout"] == 900
    read = [
        resource["GetAtt"]
        for entry in statements("ReconcileFunction")
        if "sqs:ReceiveMessage" in as_list(entry["Action"])
        for resource in as_list(entry["Resource"])
    ]
    assert read == ["StripeEventsDlq.Arn", "RenderDlq.Arn", "RemindersDlq.Arn"]


def test_a_part_of_reconcile_is_never_repeated_by_itself_and_people_hear_of_it() -> None:
    """A part that was killed may have started the next one: with each repetition there would be one run more."""
    assert FUNCTIONS["ReconcileFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"] == 0
    watched = {str(alarm["Dimensions"][0]["Value"]) for alarm in ALARMS.values()}
    assert {str(attribute("SchedulerDlq.QueueName")), str({"Ref": "ReconcileFunction"})} <= watched


def test_lambda_takes_the_parts_of_a_run_for_no_loop() -> None:
    assert FUNCTIONS["ReconcileFunction"]["RecursiveLoop"] == "Allow"
    assert not any(
        "RecursiveLoop" in function for name, function in FUNCTIONS.items() if name != "ReconcileFunction"
    )


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_has_an_alarm_and_a_log_that_ends(name: str) -> None:
    watched = [
        alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "Errors" and alarm["Dimensions"][0]["Value"] == {"Ref": name}
    ]
    assert len(watched) == 1
    logs = [
        group
        for group in of_type("AWS::Logs::LogGroup").values()
        if group.get("LogGroupName") == {"Sub": f"/aws/lambda/${{{name}}}"}
    ]
    assert [group["RetentionInDays"] for group in logs] == [{"Ref": "LogRetentionDays"}]


def test_a_function_behind_the_api_has_an_alarm_for_the_failures_that_it_answers() -> None:
    """`Errors` of Lambda cannot see them: the function has answered, with a 500."""
    behind = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for function in FUNCTIONS.values()
        if any(event["Type"] == "HttpApi" for event in function["Events"].values())
    }
    watched = [
        alarm["Dimensions"]
        for alarm in ALARMS.values()
        if (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == (OURS, "RequestFailed", 0)
    ]
    assert len(behind) == 4
    assert sorted(watched, key=str) == [[{"Name": "service", "Value": name}] for name in sorted(behind)]


def test_every_server_error_of_the_api_raises_an_alarm_whoever_answered_it() -> None:
    (alarm,) = [alarm for alarm in ALARMS.values() if alarm["Namespace"] == "AWS/ApiGateway"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("5xx", "Sum", 0)
    assert alarm["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": "HttpApi"}}]
    # The metric has one value for each route as well; without these the API's own is still there.
    assert RESOURCES["HttpApi"]["Properties"]["DefaultRouteSettings"]["DetailedMetricsEnabled"] is True


def test_an_alarm_on_a_metric_of_ours_watches_one_that_the_function_counts() -> None:
    assert GLOBAL_VARIABLES["POWERTOOLS_METRICS_NAMESPACE"] == OURS
    folders = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: ROOT / function["CodeUri"]
        for function in FUNCTIONS.values()
    }
    shared = ("aws/http_api", "aws/queue_worker")
    answers = "".join((ROOT / f"layers/billing/billing/{name}.py").read_text() for name in shared)
    for name, alarm in ALARMS.items():
        if alarm["Namespace"] == OURS:
            ((dimension),) = alarm["Dimensions"]
            assert dimension["Name"] == "service"
            sources = "".join(path.read_text() for path in folders[dimension["Value"]].glob("*.py")) + answers
            assert f'"{alarm["MetricName"]}"' in sources, name


def test_every_alarm_is_silent_without_traffic_and_told_to_the_firm() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmActions"] == {"If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], []]}, name


def ours(metric: str) -> dict[str, Any]:
    (alarm,) = [alarm for alarm in ALARMS.values() if alarm["MetricName"] == metric]
    return {
        name: alarm.get(name)
        for name in ("Statistic", "Period", "EvaluationPeriods", "DatapointsToAlarm", "Threshold")
    }


def test_money_that_a_person_should_look_at_raises_an_alarm_the_first_time() -> None:
    for metric in ("PaymentFlagged", "EventParked"):
        assert ours(metric) == {
            "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1, "DatapointsToAlarm": None, "Threshold": 0,
        }  # fmt: skip


def test_a_small_firm_hears_of_a_wrong_secret_and_of_webhooks_that_do_not_arrive() -> None:
    """One payment a day is enough for either alarm; one stray request, or one run at a bad moment, is not."""
    for metric, hours in (("SignatureRejected", 6), ("ReconcileMoneyRepaired", 72)):
        alarm = ours(metric)
        assert (alarm["Threshold"], alarm["DatapointsToAlarm"]) == (0, 2)
        assert alarm["Period"] * alarm["EvaluationPeriods"] == hours * 3600


def seconds_of_postponements(receives: int) -> list[int]:
    """When a message that fails each time is postponed, counted from the first time."""
    waits = [disposition(UpstreamUnavailable("x"), receive) for receive in range(1, receives)]
    return list(accumulate((wait.seconds for wait in waits if isinstance(wait, Retry)), initial=0))


def alarm_is_raised_after(postponements: list[int], alarm: dict[str, Any], *, phase: int) -> int | None:
    """Seconds until CloudWatch has seen enough periods with a postponement; `phase`: into its period the first one fell."""
    period: int = alarm["Period"]
    enough, window = alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]
    counts = Counter((phase + second) // period for second in postponements)
    breaching = sorted(at for at, number in counts.items() if number > alarm["Threshold"])
    for first, last in zip(breaching, breaching[enough - 1 :], strict=False):
        if last - first < window:
            return (last + 1) * period - phase
    return None


def test_a_single_document_that_cannot_be_drawn_is_told_within_an_hour() -> None:
    """Its message leaves the queue's age, and is a dead letter only after ten hours."""
    alarm = ours("MessagePostponed")
    alone = seconds_of_postponements(QUEUES["RenderQueue"]["RedrivePolicy"]["maxReceiveCount"])
    raised = [alarm_is_raised_after(alone, alarm, phase=phase) for phase in range(alarm["Period"])]
    assert None not in raised
    assert max(seconds for seconds in raised if seconds is not None) < 3600
    # Each attempt may wait five seconds for threads to end, and ten more for Directus and SQS.
    slow = [second + 15 * attempt for attempt, second in enumerate(alone)]
    assert all(alarm_is_raised_after(slow, alarm, phase=phase) for phase in range(alarm["Period"]))


def test_many_documents_that_wait_for_a_quarter_of_an_hour_are_no_alarm() -> None:
    """Invoices sent in bulk wait for their bookings, and all documents for a Directus that starts again."""
    alarm = ours("MessagePostponed")
    bulk = [second for second in range(15 * 60) for _ in range(3)]
    assert not any(alarm_is_raised_after(bulk, alarm, phase=phase) for phase in range(alarm["Period"]))


def test_no_alarm_looks_back_further_than_cloudwatch_allows() -> None:
    for name, alarm in ALARMS.items():
        longest = 7 * 86_400 if alarm["Period"] >= 3600 else 86_400
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= longest, name


def test_every_queue_has_a_dead_letter_queue_that_is_watched() -> None:
    working = {name: queue for name, queue in QUEUES.items() if "RedrivePolicy" in queue}
    assert set(working) == {"StripeEventsQueue", "RenderQueue", "RemindersQueue"}
    for queue in working.values():
        dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["GetAtt"].removesuffix(".Arn")
        assert QUEUES[dead_letters].get("FifoQueue") == queue.get("FifoQueue")
        assert QUEUES[dead_letters]["MessageRetentionPeriod"] == 14 * 86_400
    watched = {
        alarm["Dimensions"][0]["Value"]["GetAtt"]
        for alarm in ALARMS.values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
    }
    assert watched == {f"{name}.QueueName" for name in QUEUES if name not in working}


def test_invoice_work_is_one_at_a_time_per_invoice_and_outlasts_a_day() -> None:
    queue = QUEUES["StripeEventsQueue"]
    assert queue["FifoQueue"] is True
    # A second recompute within five minutes must not be swallowed.
    assert queue["ContentBasedDeduplication"] is False
    assert queue["MessageRetentionPeriod"] == 14 * 86_400
    waits = [min(5 * 2**count, 3600) for count in range(queue["RedrivePolicy"]["maxReceiveCount"] - 1)]
    assert sum(waits) > 86_400


def event_sources() -> list[tuple[str, str, dict[str, Any]]]:
    """Every function that a queue starts, with the queue and how."""
    return [
        (name, event["Properties"]["Queue"]["GetAtt"].removesuffix(".Arn"), event["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function["Events"].values()
        if event["Type"] == "SQS"
    ]


def test_every_queue_of_work_starts_one_worker() -> None:
    assert sorted((function, queue) for function, queue, _ in event_sources()) == [
        ("RemindersSenderFunction", "RemindersQueue"),
        ("RenderPdfWorkerFunction", "RenderQueue"),
        ("StripeWebhookWorkerFunction", "StripeEventsQueue"),
    ]
    assert not any(resource["Type"] == "AWS::Lambda::EventSourceMapping" for resource in RESOURCES.values())


@pytest.mark.parametrize(("function", "queue", "source"), event_sources())
def test_a_worker_has_time_for_one_message_and_says_which_failed(
    function: str, queue: str, source: dict[str, Any]
) -> None:
    assert source["BatchSize"] == 1
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"] >= 2
    # AWS's own rule: while Lambda tries a throttled invocation again, the message must not come back.
    timeout = FUNCTIONS[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert QUEUES[queue]["VisibilityTimeout"] >= 6 * timeout


def test_no_message_dies_of_throttling_or_of_a_killed_worker_within_an_hour() -> None:
    for _, queue, _ in event_sources():
        receives = QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]
        assert receives >= 5, "AWS's own least number, because throttled receives count too"
        assert receives * QUEUES[queue]["VisibilityTimeout"] >= 3600
        assert receives * QUEUES[queue]["VisibilityTimeout"] < QUEUES[queue]["MessageRetentionPeriod"]


def test_a_function_behind_the_api_answers_before_the_api_gives_up() -> None:
    default = TEMPLATE["Globals"]["Function"]["Timeout"]
    for function in FUNCTIONS.values():
        if any(event["Type"] == "HttpApi" for event in function["Events"].values()):
            assert function.get("Timeout", default) < 29


def test_schedules_follow_the_firms_clock_and_can_be_stopped() -> None:
    schedules = [
        event["Properties"]
        for function in FUNCTIONS.values()
        for event in function["Events"].values()
        if event["Type"] == "ScheduleV2"
    ]
    assert len(schedules) == 3
    for schedule in schedules:
        assert schedule["ScheduleExpressionTimezone"] == {"Ref": "FirmTimezone"}
        assert schedule["State"] == {"Ref": "ScheduleState"}
        assert schedule["RetryPolicy"]["MaximumRetryAttempts"] > 0
        assert schedule["DeadLetterConfig"] == {"Arn": attribute("SchedulerDlq.Arn")}


def test_reconcile_looks_at_the_last_days_every_hour_and_at_everything_every_night() -> None:
    hourly, nightly = (event["Properties"] for event in FUNCTIONS["ReconcileFunction"]["Events"].values())
    assert (hourly["ScheduleExpression"], hourly["Input"]) == ("cron(35 * * * ? *)", "{}")
    assert nightly["ScheduleExpression"] == "cron(5 3 * * ? *)"
    assert ReconcileRequest.from_event(json.loads(nightly["Input"])) == ReconcileRequest(since=BEFORE_STRIPE)
    for name in ("RetryPolicy", "DeadLetterConfig", "ScheduleExpressionTimezone", "State"):
        assert nightly[name] == hourly[name]


def test_the_api_is_throttled_and_logs_without_addresses_of_people() -> None:
    api = RESOURCES["HttpApi"]["Properties"]
    assert 0 < api["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100
    assert "sourceIp" not in api["AccessLogSettings"]["Format"]
    assert "CorsConfiguration" not in api


def test_documents_are_private_encrypted_and_kept() -> None:
    properties = RESOURCES["DocumentsBucket"]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"]["Status"] == "Enabled"
    assert properties["BucketEncryption"]
    rule, notes = properties["LifecycleConfiguration"]["Rules"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 90
    assert "ExpirationInDays" not in rule
    assert notes["Prefix"] == NOTES == "reconcile/", "documents have flat keys: none begins like this"
    assert notes["ExpirationInDays"] >= 2, "longer than a run takes"


def test_no_parameter_holds_a_secret() -> None:
    assert not any("NoEcho" in parameter for parameter in TEMPLATE["Parameters"].values())


def test_everything_is_traced_and_every_parameter_described() -> None:
    assert TEMPLATE["Globals"]["Function"]["Tracing"] == "Active"
    assert all(parameter["Description"] for parameter in TEMPLATE["Parameters"].values())
    grouped = [
        name
        for group in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
