"""The render queue's worker: one message, one invoice, one PDF in S3 and in Directus."""

import os
from functools import cache
from typing import Any

from billing.adapters.directus import DirectusClient
from billing.adapters.directus_assets import DirectusAssets
from billing.adapters.document_records import DirectusDocumentRecords
from billing.adapters.document_store import S3DocumentStore
from billing.adapters.document_template import DocumentTemplate
from billing.adapters.http import Urllib3Transport
from billing.adapters.pdf_renderer import WeasyPrintRenderer
from billing.adapters.queues import SqsInvoiceQueue, SqsMessageControl
from billing.adapters.secrets import Secret
from billing.application.render_document import RenderDocument
from billing.observability import logger, metrics
from billing.queue_worker import MessageControl, process_batch
from billing.settings import RenderWorkerSettings


@cache
def build() -> tuple[RenderDocument, MessageControl]:
    """The composition root: reads the environment and imports WeasyPrint, once."""
    import boto3  # noqa: PLC0415  # importing this module does nothing slow

    settings = RenderWorkerSettings.from_environment(os.environ)
    sqs = boto3.client("sqs")
    token = Secret(boto3.client("secretsmanager"), settings.directus.token_secret)
    transport = Urllib3Transport()
    renderer = WeasyPrintRenderer(DocumentTemplate())
    renderer.warm_up()
    render = RenderDocument(
        records=DirectusDocumentRecords(DirectusClient(settings.directus.url, token, transport)),
        store=S3DocumentStore(boto3.client("s3"), settings.documents_bucket),
        renderer=renderer,
        files=DirectusAssets(settings.directus.url, token, transport),
        invoice_queue=SqsInvoiceQueue(sqs, settings.invoice_queue_url),
        storage=settings.directus_storage,
        portal_url=settings.portal_url,
    )
    return render, SqsMessageControl(sqs, settings.render_queue_url, settings.render_dlq_url)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001  # Lambda's signature
    """Carry out the messages of one batch."""
    render, control = build()
    return process_batch(event, render.handle, control)
