"""`POST /invoices/pdf`: the Invoice sent and Render again flows ask for PDFs and receipts; the answer is 202 and a queue."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, json_object, require_flow_secret, respond
from billing.aws.observability import count, logger, metrics
from billing.documents.request import render_request, request_rendering

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent
    from billing.composition import RenderAcceptor


@cache
def build() -> RenderAcceptor:
    """What the handler calls."""
    from billing import composition  # noqa: PLC0415  # loads what the first request needs

    return composition.render_acceptor(os.environ)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one request."""
    return respond(event, lambda: accept(event, build()))


def accept(event: HttpEvent, function: RenderAcceptor) -> HttpAnswer:
    """Authorise, read, mark, queue."""
    require_flow_secret(event, function.flow_secret)
    request = render_request(json_object(event))
    accepted = request_rendering(request, function.rows, function.queue)
    count("RenderAccepted", accepted)
    return answer(202, {"accepted": accepted})
