"""The worker of the FIFO queue of invoice work: the only writer of an invoice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.observability import count, log_refusal, logger, metrics
from billing.aws.queue_worker import INVOICE_WORK, MessageControl, process_batch
from billing.messages import Recompute, StripeEvent, SyncSession
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.write_invoice import InvoiceWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.errors import BillingError
    from billing.messages import InvoiceWork


@dataclass(frozen=True)
class Function:
    """What the handler calls."""

    invoice_writer: InvoiceWriter
    apply_event: ApplyStripeEvent
    control: MessageControl


@cache
def build() -> Function:
    """The composition root."""
    from billing import composition  # noqa: PLC0415  # a test passes its own Function
    from billing.payments.store import DirectusBillingStore  # noqa: PLC0415
    from billing.settings import InvoiceWorkerSettings  # noqa: PLC0415
    from billing.stripe.gateway import StripeGateway  # noqa: PLC0415

    settings = InvoiceWorkerSettings.from_environment(os.environ)
    store = DirectusBillingStore(composition.directus(settings.directus))
    stripe = StripeGateway(settings.stripe.api_base, composition.secret(settings.stripe.key_secret))
    deployment = settings.stripe.deployment
    keep = InvoiceWriter(
        store, stripe, composition.work_queue(settings.render_queue_url), deployment, flagged
    )
    queue = composition.invoice_queue(settings.invoice_queue_url)
    return Function(
        invoice_writer=keep,
        apply_event=ApplyStripeEvent(store, stripe, keep, queue, deployment, parked),
        control=composition.message_control(settings.invoice_queue_url, settings.invoice_dlq_url),
    )


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
    function = build()
    return process_batch(event, INVOICE_WORK, lambda message: work(message, function), function.control)


def work(message: InvoiceWork, function: Function) -> None:
    """Do what one message asks."""
    logger.append_keys(work=message.type, invoice=message.invoice, event=getattr(message, "event", None))
    match message:
        case StripeEvent():
            function.apply_event(message)
        case SyncSession(session):
            function.invoice_writer.sync_session(session)
        case Recompute(invoice, as_of, payments):
            function.invoice_writer.recompute(invoice, as_of, payments=payments)
    logger.info("Done.")
