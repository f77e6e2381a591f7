"""The handlers of reminders and reconcile: what they build, and how they refuse an event."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from billing.errors import BadRequest
from billing.reconcile.reconcile import Reconcile
from billing.reminders.plan import PlanReminders
from billing.reminders.send import SendReminder
from billing.settings import SettingMissing
from functions.reconcile import app as reconcile
from functions.reminders import app as planner
from functions.reminders import sender

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "DEPLOYMENT": "main",
    "DIRECTUS_URL": "http://127.0.0.1:9",
    "DIRECTUS_TOKEN_SECRET": "arn:directus",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "STRIPE_SECRET": "arn:stripe",
    "SENDER_EMAIL": "billing@sender.example",
    "DIRECTUS_STORAGE": "s3",
    "DOCUMENTS_BUCKET": "documents",
    **{
        name: f"https://queue/{name}"
        for name in ("INVOICE_QUEUE_URL", "MESSAGE_QUEUE_URL", "RENDER_QUEUE_URL")
    },
    **{name: f"https://queue/{name}" for name in ("INVOICE_DLQ_URL", "MESSAGE_DLQ_URL", "RENDER_DLQ_URL")},
    "POWERTOOLS_METRICS_NAMESPACE": "LegalBilling/main",
    "POWERTOOLS_SERVICE_NAME": "test",
}
CONTEXT: Any = SimpleNamespace(
    function_name="test", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="request"
)


def test_each_function_is_put_together_from_its_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert isinstance(planner.build.__wrapped__(), PlanReminders)
    assert isinstance(sender.build.__wrapped__()[0], SendReminder)
    assert isinstance(reconcile.build.__wrapped__("the function"), Reconcile)


@pytest.mark.parametrize(("function", "told"), [(planner, ()), (sender, ()), (reconcile, ("the function",))])
def test_a_variable_that_is_missing_is_named(
    function: Any, told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingMissing, match="DIRECTUS_URL"):
        function.build.__wrapped__(*told)


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize(
    ("function", "event", "sentence"),
    [
        (planner, {"as_of": "soon"}, "as_of must be a day"),
        (planner, {"dryrun": True}, "Reminders take as_of and dry_run, not dryrun"),
        (reconcile, {"since": "soon"}, "since must be a day"),
    ],
)
def test_an_event_that_cannot_be_read_ends_the_invocation_with_a_sentence(
    function: Any, event: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadRequest, match=sentence):
        function.handler(event, CONTEXT)
