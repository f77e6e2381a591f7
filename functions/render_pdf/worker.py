"""The render queue's worker: one message, one invoice or payment, one PDF."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing import composition
from billing.aws.observability import logger, metrics
from billing.aws.queue_worker import RENDERING, process_batch
from billing.documents.deliver import Order
from billing.documents.pdf.warm_start import is_init

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.queue_worker import MessageControl
    from billing.documents.render_queue import RenderQueue


@cache
def build() -> tuple[RenderQueue, MessageControl]:
    """What the handler calls."""
    return composition.render_worker(os.environ)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001  # Lambda's signature
    """Carry out the messages of one batch."""
    render, control = build()
    # A batch is one message (template.yaml).
    receive = max(int(record["attributes"]["ApproximateReceiveCount"]) for record in event["Records"])
    order = Order(event["Records"][0]["messageId"], receive)
    return process_batch(event, RENDERING, lambda message: render.handle(message, order), control)


if is_init(os.environ):
    # Lambda gives init more processor than a message; elsewhere an import stays cheap.
    build()
