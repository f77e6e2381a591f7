"""The receiver of webhooks as Lambda calls it, put together from its environment; AWS is moto's."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.stripe_webhook import app
from tests.fakes.aws_account import REGION
from tests.fakes.http_events import event
from tests.fakes.world import INVOICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.aws_account import Account, Queue

CONTEXT: Any = SimpleNamespace(
    function_name="webhook", memory_limit_in_mb=128, invoked_function_arn="arn", aws_request_id="r-1"
)
BODY = json.dumps(
    {
        "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False,
        "data": {"object": {"id": "cs_1", "object": "checkout.session", "metadata": {"directus_invoice": INVOICE}}},
    }
)  # fmt: skip


@pytest.fixture
def invoices(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """The queue that the receiver's environment names, and its secret, which was rolled a moment ago."""
    monkeypatch.setattr(
        boto3, "DEFAULT_SESSION", None
    )  # one made before moto was imported would reach for AWS
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    manager, queue = aws.client("secretsmanager"), aws.queue("invoices.fifo")
    arn = manager.create_secret(Name="webhook", SecretString="whsec_old")["ARN"]
    manager.put_secret_value(SecretId=arn, SecretString="whsec_new")
    monkeypatch.setenv("WEBHOOK_SECRET", arn)
    monkeypatch.setenv("INVOICE_QUEUE_URL", queue.url)
    app.build.cache_clear()
    yield queue
    app.build.cache_clear()


def delivered(secret: str) -> int:
    now = int(time.time())
    signed = hmac.new(secret.encode(), f"{now}.{BODY}".encode(), hashlib.sha256).hexdigest()
    return int(app.handler(event(BODY, {"stripe-signature": f"t={now},v1={signed}"}), CONTEXT)["statusCode"])


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
def test_a_delivery_is_stored_once_under_its_invoice(invoices: Queue, secret: str) -> None:
    assert (delivered(secret), delivered(secret)) == (200, 200)
    (message,) = invoices.messages
    assert (message.group_id, json.loads(message.body)["event"]) == (INVOICE, "evt_1")


def test_a_delivery_that_is_not_signed_for_us_is_refused(invoices: Queue) -> None:
    assert delivered("whsec_other") == 400
    assert invoices.messages == []


def test_a_delivery_that_cannot_be_stored_is_asked_for_again(aws: Account, invoices: Queue) -> None:
    aws.client("sqs").delete_queue(QueueUrl=invoices.url)
    assert delivered("whsec_new") == 503
