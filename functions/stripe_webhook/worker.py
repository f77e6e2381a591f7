"""The worker of the FIFO queue of invoice work: the only writer of an invoice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.observability import count, log_refusal, logger, metrics
from billing.aws.queue_worker import MessageControl, process_batch
from billing.errors import BillingError
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.events import StripeEvent
from billing.payments.write_invoice import InvoiceWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext


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
    return process_batch(event, lambda message: work(message, function), function.control)


def work(message: dict[str, Any], function: Function) -> None:
    """Do what one message asks."""
    logger.append_keys(work=message.get("type"), invoice=message.get("invoice"), event=message.get("event"))
    match message.get("type"):
        case "stripe_event":
            function.apply_event(StripeEvent.from_message(message))
        case "sync_session":
            function.invoice_writer.sync_session(str(message["checkout_session"]))
        case "recompute":
            as_of = message.get("as_of")
            function.invoice_writer.recompute(
                str(message["invoice"]),
                None if as_of is None else datetime.fromisoformat(str(as_of)),
                payments=message.get("payments", ()),
            )
        case other:
            text = f"No worker knows messages of type {other!r}."
            raise BillingError(text, code="unknown_message")
    logger.info("Done.")
