"""Reconcile: hourly, or by hand with `{"since"?: iso8601, "dry_run"?: bool}`; it reports and repairs nothing yet.

The answer is `{"checked", "repaired": [], "differences": [...]}`. Without `since`, Stripe's sessions of the last three
days are compared; invoices, events, notices and queues are always compared whole. An event that cannot be read
ends the invocation with `BadRequest` and its sentence (`FunctionError`, `errorType`, `errorMessage`).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from billing import composition
from billing.adapters.reconcile_rows import DirectusReconcileRows, SqsDeadLetters
from billing.adapters.stripe_gateway import StripeGateway
from billing.application.reconcile import Reconcile, ReconcileRequest
from billing.observability import count, logger, metrics
from billing.settings import ReconcileSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@cache
def build() -> Reconcile:
    """The composition root."""
    settings = ReconcileSettings.from_environment(os.environ)
    directus = composition.directus(settings.directus, read_timeout=composition.LONG_ANSWER_SECONDS)
    return Reconcile(
        rows=DirectusReconcileRows(directus),
        stripe=StripeGateway(settings.stripe.api_base, composition.secret(settings.stripe.key_secret)),
        dead_letters=SqsDeadLetters(boto3.client("sqs"), settings.dead_letter_queue_urls),
        deployment=settings.stripe.deployment,
        clock=lambda: datetime.now(UTC),
    )


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda's signature
    """Compare once."""
    report = build()(ReconcileRequest.from_event(event))
    count("ReconcileDifferences", len(report.differences))
    for difference in report.differences:
        logger.warning(difference.detail, extra={"kind": difference.kind, **difference.ids})
    logger.info("Reconciled.", extra={"checked": report.checked, "differences": len(report.differences)})
    return report.as_json()
