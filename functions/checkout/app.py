"""`POST /checkout`: called by the Pay invoice flow, answers with the one open Checkout session's address."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from billing.aws.deadline import TimeLimit
from billing.aws.http_api import answer, json_object, optional, require_flow_secret, required_uuid, respond
from billing.aws.observability import count, logger, metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.aws.http_api import HttpAnswer, HttpEvent, SecretReader
    from billing.payments.start_checkout import StartCheckout


#: Seconds to wait for Directus: shorter than elsewhere, because several calls must fit into one invocation; and what
#: is left for the answer.
CONNECT_SECONDS, ANSWER_SECONDS, RESERVE_SECONDS = 2.0, 8.0, 1.0


@dataclass(frozen=True)
class Function:
    """What the handler calls. `time` is told when an invocation begins: no call is begun that could outlast it.

    `read_stripe_key` raises while Stripe's secret has no value.
    """

    flow_secret: SecretReader
    start_checkout: StartCheckout
    time: TimeLimit = field(default_factory=TimeLimit)
    read_stripe_key: Callable[[], str] = field(default=lambda: "")


@cache
def build() -> Function:
    """The composition root."""
    from billing import composition  # noqa: PLC0415  # imports that a refused request need not pay for
    from billing.payments.checkout import CheckoutTerms  # noqa: PLC0415
    from billing.payments.start_checkout import StartCheckout  # noqa: PLC0415
    from billing.payments.store import DirectusBillingStore  # noqa: PLC0415
    from billing.settings import CheckoutSettings  # noqa: PLC0415
    from billing.stripe.gateway import StripeGateway  # noqa: PLC0415

    settings = CheckoutSettings.from_environment(os.environ)
    time = TimeLimit()
    directus = composition.directus(
        settings.directus,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        remaining_seconds=time.remaining,
        needed_seconds=CONNECT_SECONDS + ANSWER_SECONDS + RESERVE_SECONDS,
    )
    stripe_key = composition.secret(settings.stripe.key_secret)
    stripe = StripeGateway(
        settings.stripe.api_base,
        stripe_key,
        remaining_seconds=time.remaining,
    )
    return Function(
        flow_secret=composition.secret(settings.flow_secret),
        start_checkout=StartCheckout(
            store=DirectusBillingStore(directus),
            stripe=stripe,
            queue=composition.invoice_queue(settings.invoice_queue_url),
            terms=CheckoutTerms(
                deployment=settings.stripe.deployment,
                return_url=settings.return_url,
                allowed_payment_method_types=settings.allowed_payment_method_types,
                portal_origins=settings.portal_origins,
            ),
        ),
        time=time,
        read_stripe_key=stripe_key.current,
    )


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> HttpAnswer:
    """Answer one request."""
    return respond(event, lambda: invoked(event, context, build()))


def invoked(event: HttpEvent, context: LambdaContext, function: Function) -> HttpAnswer:
    """Answer within the time that Lambda gives."""
    function.time.begins(context.get_remaining_time_in_millis() / 1000)
    return checkout(event, function)


def checkout(event: HttpEvent, function: Function) -> HttpAnswer:
    """Parse, authorise, start, answer."""
    from billing.payments.start_checkout import CheckoutRequest  # noqa: PLC0415  # as in build()

    require_flow_secret(event, function.flow_secret)
    function.read_stripe_key()  # so that make doctor hears that it is missing, and not the first client who pays
    body = json_object(event)
    request = CheckoutRequest(
        invoice=required_uuid(body, "invoice"),
        user=required_uuid(body, "user"),
        amount=optional(body, "amount"),
        return_url=optional(body, "return_url"),
    )
    logger.append_keys(invoice=request.invoice)
    started = function.start_checkout(request)
    count("CheckoutStarted")
    logger.info(
        "A Checkout session is open.", checkout_session=started.checkout_session, reused=started.reused
    )
    return answer(
        200,
        {
            "url": started.url,
            "checkout_session": started.checkout_session,
            "amount": started.amount.to_directus(),
            "currency": started.amount.currency,
            "expires_at": started.expires_at.isoformat(),
            "reused": started.reused,
        },
    )
