"""`POST /checkout`: called by the Pay invoice flow, answers with the one open Checkout session's address."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.http_api import answer, json_object, require_flow_secret, required_uuid, respond
from billing.aws.observability import count, logger, metrics

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent
    from billing.composition import Checkout


@cache
def build() -> Checkout:
    """What the handler calls."""
    from billing import composition  # noqa: PLC0415  # loads what the first request needs

    return composition.checkout(os.environ)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:
    """Answer one request within the time that Lambda gives."""
    return respond(
        event, lambda: checkout(event, build(), seconds=context.get_remaining_time_in_millis() / 1000)
    )


def checkout(event: HttpEvent, function: Checkout, *, seconds: float) -> HttpAnswer:
    """Parse, authorise, start, answer, in no more than `seconds`."""
    from billing.payments.start_checkout import CheckoutRequest  # noqa: PLC0415  # as in build()

    function.time_limit.begins(seconds)
    require_flow_secret(event, function.flow_secret)
    function.stripe_key.current()  # so that make doctor hears that it is missing, and not the first client who pays
    body = json_object(event)
    invoice, user = required_uuid(body, "invoice"), required_uuid(body, "user")
    logger.append_keys(invoice=invoice)
    started = function.start_checkout(
        CheckoutRequest(invoice, user, body.get("amount"), body.get("return_url"))
    )
    count("CheckoutStarted")
    logger.info(
        "A Checkout session is open.", checkout_session=started.checkout_session, reused=started.reused
    )
    opened = {
        "url": started.url,
        "checkout_session": started.checkout_session,
        "amount": started.amount.to_directus(),
        "currency": started.amount.currency,
        "expires_at": started.expires_at.isoformat(),
        "reused": started.reused,
    }
    return answer(200, opened)
