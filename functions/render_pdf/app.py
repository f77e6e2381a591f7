"""`POST /invoices/pdf`: the Invoice sent and Render again flows ask for PDFs; the answer is 202 and a queue."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from billing.adapters.directus import DirectusClient
from billing.adapters.http import Urllib3Transport
from billing.adapters.queues import SqsWorkQueue, WorkQueue
from billing.adapters.secrets import Secret
from billing.application.request_rendering import InvoiceRows, render_request, request_rendering
from billing.http_api import (
    HttpAnswer,
    HttpEvent,
    SecretReader,
    answer,
    json_object,
    require_flow_secret,
    respond,
)
from billing.observability import count, logger, metrics
from billing.settings import RenderAcceptorSettings


@dataclass(frozen=True)
class Parts:
    """What the handler works with."""

    flow_secret: SecretReader
    rows: InvoiceRows
    queue: WorkQueue


@cache
def build() -> Parts:
    """The composition root: reads the environment, once."""
    import boto3  # noqa: PLC0415  # importing this module does nothing slow

    settings = RenderAcceptorSettings.from_environment(os.environ)
    secrets = boto3.client("secretsmanager")
    token = Secret(secrets, settings.directus.token_secret)
    return Parts(
        flow_secret=Secret(secrets, settings.flow_secret),
        rows=DirectusClient(settings.directus.url, token, Urllib3Transport()),
        queue=SqsWorkQueue(boto3.client("sqs"), settings.render_queue_url),
    )


def accept(event: HttpEvent, parts: Parts) -> HttpAnswer:
    """Authorise, read, mark, queue."""
    require_flow_secret(event, parts.flow_secret)
    request = render_request(json_object(event))
    accepted = request_rendering(request, parts.rows, parts.queue)
    count("RenderAccepted", accepted)
    return answer(202, {"accepted": accepted})


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: HttpEvent, context: Any) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one request of API Gateway."""
    return respond(event, lambda: accept(event, build()))
