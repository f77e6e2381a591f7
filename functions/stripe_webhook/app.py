"""`POST /stripe/webhook`: verifies the raw bytes, queues the ids, answers 200 once they are stored durably."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, header, raw_body, respond
from billing.aws.observability import count, logger, metrics
from billing.errors import SignatureRejected
from billing.payments.events import MAXIMUM_BODY_BYTES, verified_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent, SecretReader
    from billing.aws.queues import InvoiceQueue


@dataclass(frozen=True)
class Function:
    """What the handler calls; `now` in Unix seconds."""

    webhook_secret: SecretReader
    queue: InvoiceQueue
    now: Callable[[], float] = time.time


@cache
def build() -> Function:
    """The composition root."""
    from billing import composition  # noqa: PLC0415  # a refused request need not pay for it
    from billing.settings import WebhookSettings  # noqa: PLC0415

    settings = WebhookSettings.from_environment(os.environ)
    return Function(
        webhook_secret=composition.secret(settings.webhook_secret),
        queue=composition.invoice_queue(settings.invoice_queue_url),
    )


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one delivery."""
    return respond(event, lambda: receive(event, build()))


def receive(event: HttpEvent, function: Function) -> HttpAnswer:
    """Verify, store, answer. 503 makes Stripe deliver again."""
    raw = raw_body(event, maximum_bytes=MAXIMUM_BODY_BYTES)
    try:
        received = verified_event(
            raw, header(event, "stripe-signature"), function.webhook_secret.accepted(), function.now()
        )
    except SignatureRejected:
        count("SignatureRejected")
        raise
    function.queue.send(received, deduplication_id=received.event)
    count("EventReceived")
    logger.info(
        "Stored an event.", event=received.event, event_type=received.event_type, object=received.object
    )
    return answer(200, {"received": True})
