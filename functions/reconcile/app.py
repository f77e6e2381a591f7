"""Reconcile: hourly, nightly over everything, or by hand with `{"since"?: iso8601, "dry_run"?: bool}`.

The answer is `{"checked", "repaired": [...], "differences": [...]}`, with at most 1,000 entries of each and then
`repaired_total` and `differences_total`; `report` is the stored report, `continued` says that another invocation goes
on where this one had no time left, `widened` that another run looks for deleted rows from that moment on. Without
`since`, Stripe's lists of the last three days are compared, and the rows that were made or changed since; invoices, open
attempts, events, notices and queues always whole. An event that cannot be read ends the invocation with `BadRequest`
and its sentence (`FunctionError`, `errorType`, `errorMessage`).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from billing import composition
from billing.aws.bucket import S3DocumentStore
from billing.aws.deadline import TimeLimit
from billing.aws.observability import count, logger, metrics
from billing.aws.queues import SqsInvoiceQueue, SqsWorkQueue
from billing.documents.deliver import DocumentDelivery
from billing.documents.files import RegisteredFiles, UploadedFiles
from billing.documents.rendered import MAX_DOCUMENT_BYTES
from billing.documents.store import DirectusDocumentRecords
from billing.reconcile.dead_letters import SqsDeadLetters
from billing.reconcile.differences import QUIET_KINDS
from billing.reconcile.publish import CONTENT_TYPE, DirectusReports
from billing.reconcile.reconcile import CLOSING_SECONDS, KEPT_IN_ANSWER, Reconcile, ReconcileRequest
from billing.reconcile.run_notes import S3RunNotes
from billing.reconcile.self_invocation import SelfInvocation
from billing.reconcile.store import DirectusReconcileRows
from billing.settings import ReconcileSettings
from billing.stripe.account import StripeAccount
from billing.stripe.gateway import StripeGateway

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from types_boto3_s3 import S3Client

    from billing.directus.client import DirectusClient
    from billing.documents.files import DocumentFiles


#: What the hand-over alone may need at its worst: notes and invocation, each at `_SHORT`'s end.
HAND_OVER_SECONDS = 25.0
#: AWS's own services answer at once or are away; boto3's own limit is five minutes.
_SHORT = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})


#: The end of the invocation under way: what is built once asks it how much time is left.
time = TimeLimit()


@cache
def build(function_name: str) -> Reconcile:
    """The composition root."""
    settings = ReconcileSettings.from_environment(os.environ)
    gateway = StripeGateway(
        settings.stripe.api_base,
        composition.secret(settings.stripe.key_secret),
        remaining_seconds=time.before(CLOSING_SECONDS),
    )
    compared = composition.directus(
        settings.directus,
        read_timeout=composition.LONG_ANSWER_SECONDS,
        remaining_seconds=time.before(CLOSING_SECONDS),
    )
    reported = composition.directus(settings.directus, remaining_seconds=time.before(HAND_OVER_SECONDS))
    sqs, s3 = boto3.client("sqs", config=_SHORT), boto3.client("s3", config=_SHORT)
    return Reconcile(
        rows=DirectusReconcileRows(compared),
        stripe=StripeAccount(gateway, clock),
        dead_letters=SqsDeadLetters(sqs, settings.dead_letter_queues),
        invoice_queue=SqsInvoiceQueue(sqs, settings.invoice_queue_url),
        render_queue=SqsWorkQueue(sqs, settings.render_queue_url),
        reports=DirectusReports(
            reported,
            report_delivery(settings, reported, s3),
            deployment=settings.stripe.deployment,
            data_studio=settings.directus.url,
        ),
        continuation=SelfInvocation(boto3.client("lambda", config=_SHORT), function_name),
        notes=S3RunNotes(s3, settings.documents_bucket),
        deployment=settings.stripe.deployment,
        clock=clock,
    )


def report_delivery(settings: ReconcileSettings, directus: DirectusClient, s3: S3Client) -> DocumentDelivery:
    """Where reports go, as the deployment says of every document."""
    records = DirectusDocumentRecords(directus)
    files: DocumentFiles
    if settings.document_delivery == "upload":
        assets = composition.directus_files(
            settings.directus,
            maximum_bytes=MAX_DOCUMENT_BYTES,
            remaining_seconds=time.before(HAND_OVER_SECONDS),
        )
        files = UploadedFiles(records, directus, assets)
    else:
        store = S3DocumentStore(s3, settings.documents_bucket, content_type=CONTENT_TYPE)
        files = RegisteredFiles(records, store, settings.directus_storage, ending="html")
    return DocumentDelivery(records, files)


def clock() -> datetime:
    """Return the moment that a run begins at."""
    return datetime.now(UTC)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare once, or go on with a run that had no time left."""
    request = ReconcileRequest.from_event(event)
    time.begins(context.get_remaining_time_in_millis() / 1000)
    report = build(context.function_name)(request, remaining_seconds=time.remaining)
    if not request.dry_run:  # a look by hand raises no alarm
        count("ReconcileDifferences", report.urgent_total)
        count("ReconcileRepaired", report.repaired_total)
        count("ReconcileMoneyRepaired", report.money_repaired)
    for entry in report.repaired[:KEPT_IN_ANSWER]:
        logger.info("Repaired.", extra=entry)
    for difference in report.differences[:KEPT_IN_ANSWER]:
        tell = logger.info if difference.kind in QUIET_KINDS else logger.warning
        tell(difference.detail, extra={"kind": difference.kind, **difference.ids})
    logger.info(
        "Reconciled.",
        extra={
            "checked": report.checked,
            "repaired": report.repaired_total,
            "differences": report.differences_total,
            "continued": report.continued,
            "widened": report.widened.isoformat() if report.widened is not None else None,
        },
    )
    return report.as_json()
