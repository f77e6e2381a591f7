"""`POST /invoices/pdf`: the Invoice sent and Render again flows ask for PDFs and receipts; the answer is 202 and a queue."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, json_object, require_flow_secret, respond
from billing.aws.observability import count, logger, metrics
from billing.documents.request import render_request, request_rendering

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent, SecretReader
    from billing.aws.queues import WorkQueue
    from billing.documents.request import RenderableRows


@dataclass(frozen=True)
class Function:
    """What the handler calls."""

    flow_secret: SecretReader
    rows: RenderableRows
    queue: WorkQueue


@cache
def build() -> Function:
    """The composition root."""
    from billing import composition  # noqa: PLC0415  # imports that a refused request need not pay for
    from billing.settings import RenderAcceptorSettings  # noqa: PLC0415

    settings = RenderAcceptorSettings.from_environment(os.environ)
    return Function(
        flow_secret=composition.secret(settings.flow_secret),
        rows=composition.directus(settings.directus),
        queue=composition.work_queue(settings.render_queue_url),
    )


def accept(event: HttpEvent, function: Function) -> HttpAnswer:
    """Authorise, read, mark, queue."""
    require_flow_secret(event, function.flow_secret)
    request = render_request(json_object(event))
    accepted = request_rendering(request, function.rows, function.queue)
    count("RenderAccepted", accepted)
    return answer(202, {"accepted": accepted})


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one request of API Gateway."""
    return respond(event, lambda: accept(event, build()))
