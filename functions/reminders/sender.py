"""The sender of reminders: one message of the queue, at most one e-mail."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing import composition
from billing.aws.observability import count, logger, metrics
from billing.aws.queue_worker import REMINDERS, MessageControl, process_batch
from billing.errors import MailNotConfigured

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.messages import Reminder
    from billing.reminders.send import SendReminder


@cache
def build() -> tuple[SendReminder, MessageControl]:
    """What the handler calls."""
    return composition.reminders_sender(os.environ)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001  # Lambda's signature
    """Send the batch's reminders; the answer names the messages to deliver again."""
    sender, control = build()
    return process_batch(event, REMINDERS, lambda message: send(message, sender), control)


def send(message: Reminder, sender: SendReminder) -> None:
    """Send one reminder, count what became of it and say it in the log."""
    outcome = sender(message)
    count(f"Reminder{outcome.status.capitalize()}")
    if outcome.reason == MailNotConfigured.default_code:
        count("MailNotConfigured")
    logger.info("A reminder was handled.", extra={"invoice": message.invoice, **vars(outcome)})
