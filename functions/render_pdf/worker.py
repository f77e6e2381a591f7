"""The render queue's worker: one message, one invoice or payment, one PDF."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from billing import composition
from billing.aws.bucket import S3DocumentStore
from billing.aws.observability import logger, metrics
from billing.aws.queue_worker import RENDERING, MessageControl, process_batch
from billing.documents.deliver import DocumentDelivery, Order
from billing.documents.files import RegisteredFiles, UploadedFiles
from billing.documents.firm_renderer import FirmRenderer
from billing.documents.invoice import MAX_LOGO_BYTES
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.pdf.warm_start import is_init, render_once
from billing.documents.render import RenderDocument
from billing.documents.render_queue import RenderQueue
from billing.documents.render_receipt import RenderReceipt
from billing.documents.rendered import MAX_DOCUMENT_BYTES
from billing.documents.store import DirectusDocumentRecords
from billing.documents.template import DocumentTemplate
from billing.documents.template_source import template_reader
from billing.settings import RenderWorkerSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.documents.files import DocumentFiles
    from billing.documents.rendered import PdfRenderer


def document_renderer(settings: RenderWorkerSettings) -> PdfRenderer:
    """Warm: it has drawn a document that nobody sees."""
    own = WeasyPrintRenderer(DocumentTemplate())
    render_once(own)
    if not settings.template_prefix:
        return own
    read = template_reader(boto3.client("s3"), settings.documents_bucket, settings.template_prefix)
    return FirmRenderer(own, read)


@cache
def build() -> tuple[RenderQueue, MessageControl]:
    """The composition root; it imports WeasyPrint, reads the fonts and draws a document that nobody sees."""
    settings = RenderWorkerSettings.from_environment(os.environ)
    renderer = document_renderer(settings)
    records = DirectusDocumentRecords(composition.directus(settings.directus))
    delivery = DocumentDelivery(records, document_files(settings, records))
    files = composition.directus_files(settings.directus, maximum_bytes=MAX_LOGO_BYTES)
    invoices = RenderDocument(
        records=records,
        delivery=delivery,
        renderer=renderer,
        files=files,
        invoice_queue=composition.invoice_queue(settings.invoice_queue_url),
        portal_url=settings.portal_url,
    )
    render = RenderQueue(invoices, RenderReceipt(records, delivery, renderer, files))
    return render, composition.message_control(settings.render_queue_url, settings.render_dlq_url)


def document_files(settings: RenderWorkerSettings, records: DirectusDocumentRecords) -> DocumentFiles:
    """Where documents go, as the deployment says."""
    if settings.document_delivery == "upload":
        assets = composition.directus_files(settings.directus, maximum_bytes=MAX_DOCUMENT_BYTES)
        return UploadedFiles(records, composition.directus(settings.directus), assets)
    store = S3DocumentStore(boto3.client("s3"), settings.documents_bucket)
    return RegisteredFiles(records, store, settings.directus_storage)


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
