"""The worker of the FIFO queue of invoice work: the only writer of an invoice."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.observability import count, log_refusal, logger, metrics
from billing.aws.queue_worker import INVOICE_WORK, process_batch
from billing.messages import Recompute, StripeEvent, SyncSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.composition import InvoiceWorker
    from billing.errors import BillingError
    from billing.messages import InvoiceWork


@cache
def build() -> InvoiceWorker:
    """What the handler calls."""
    from billing import composition  # noqa: PLC0415  # loads what the first message needs

    return composition.invoice_worker(os.environ, flagged, parked)


def flagged(sentence: str, ids: Mapping[str, str]) -> None:
    """Tell the log and the metrics what a person should look at."""
    count("PaymentFlagged")
    logger.warning(sentence, extra=dict(ids))


def parked(error: BillingError) -> None:
    """Tell the log and the metrics of an event that could not be applied."""
    count("EventParked")
    log_refusal(error)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda's signature
    """Work on one batch."""
    worker = build()
    return process_batch(event, INVOICE_WORK, lambda message: work(message, worker), worker.control)


def work(message: InvoiceWork, worker: InvoiceWorker) -> None:
    """Do what one message asks."""
    logger.append_keys(work=message.type, invoice=message.invoice, event=getattr(message, "event", None))
    match message:
        case StripeEvent():
            worker.apply_event(message)
        case SyncSession(session):
            worker.invoice_writer.sync_session(session)
        case Recompute(invoice, as_of, payments):
            worker.invoice_writer.recompute(invoice, as_of, payments=payments)
    logger.info("Done.")
