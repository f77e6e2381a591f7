"""`POST /invoices/changed`: called by the Billing changed flow, queues a recompute of every invoice concerned.

A payment that was taken off its invoice is on none: the renderer is told, who withdraws its receipt.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, json_object, require_flow_secret, respond, uuids
from billing.aws.observability import count, logger, metrics
from billing.errors import BadRequest, NotImplementedYet
from billing.messages import RenderReceiptPdf

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent
    from billing.composition import BillingChanged

COLLECTIONS = ("invoices", "line_items", "payments", "refunds", "disputes")


@cache
def build() -> BillingChanged:
    """What the handler calls."""
    from billing import composition  # noqa: PLC0415  # loads what the first request needs

    return composition.billing_changed(os.environ)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:  # noqa: ARG001  # Lambda's signature
    """Answer one request."""
    return respond(event, lambda: changed(event, build()))


def changed(event: HttpEvent, function: BillingChanged) -> HttpAnswer:
    """Parse, authorise, find, queue. `accepted` counts the invoices that will be recomputed."""
    require_flow_secret(event, function.flow_secret)
    body = json_object(event)
    if uuids(body, "portal_access"):
        message = "portal_access is planned and not built yet; nothing was done."
        raise NotImplementedYet(message)
    keys = {collection: uuids(body, collection) for collection in COLLECTIONS}
    if not any(keys.values()):
        message = f"Name at least one id in one of: {', '.join(COLLECTIONS)}."
        raise BadRequest(message, code="nothing_to_do")
    invoices = function.find_invoices(keys)
    function.queue.recompute(invoices, payments=invoices)
    if unassigned := function.find_invoices.unassigned_payments(keys["payments"]):
        function.render_queue.send_many([RenderReceiptPdf(payment) for payment in unassigned])
    count("RecomputeQueued", len(invoices))
    logger.info("Queued a recompute of each invoice.", invoices=len(invoices))
    return answer(202, {"accepted": len(invoices)})
