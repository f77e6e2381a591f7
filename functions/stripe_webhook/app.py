"""`POST /stripe/webhook`: verifies the raw bytes, queues the ids, answers 200 once they are stored durably."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, header, raw_body, respond
from billing.aws.observability import count, logger, metrics
from billing.errors import SignatureRejected
from billing.payments.events import MAXIMUM_BODY_BYTES, verified_event

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent, SecretReader
    from billing.aws.queues import InvoiceQueue


@cache
def build() -> tuple[SecretReader, InvoiceQueue]:
    """What the handler calls: the signing secret, and where events are stored."""
    from billing import composition  # noqa: PLC0415  # loads what the first request needs

    return composition.webhook(os.environ)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one delivery."""
    return respond(event, lambda: receive(event, *build(), now=time.time()))


def receive(event: HttpEvent, secret: SecretReader, queue: InvoiceQueue, *, now: float) -> HttpAnswer:
    """Verify, store, answer; 503 makes Stripe deliver again. `now` in Unix seconds."""
    raw = raw_body(event, maximum_bytes=MAXIMUM_BODY_BYTES)
    try:
        received = verified_event(raw, header(event, "stripe-signature"), secret.accepted(), now)
    except SignatureRejected:
        count("SignatureRejected")
        raise
    queue.send(received, deduplication_id=received.event)
    count("EventReceived")
    logger.info(
        "Stored an event.", event=received.event, event_type=received.event_type, object=received.object
    )
    return answer(200, {"received": True})
