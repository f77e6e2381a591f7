"""The sender of reminders: one message of the queue, at most one e-mail."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from billing import composition
from billing.aws.observability import count, logger, metrics
from billing.aws.queue_worker import REMINDERS, MessageControl, process_batch
from billing.errors import MailNotConfigured
from billing.reminders.mail import SesNotifier, ses_config
from billing.reminders.send import SendReminder
from billing.reminders.store import DirectusNotices, DirectusReminderCases, read_policy
from billing.reminders.texts import ReminderTexts
from billing.settings import SenderSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from billing.messages import Reminder


@cache
def build() -> tuple[SendReminder, MessageControl]:
    """The composition root."""
    settings = SenderSettings.from_environment(os.environ)
    directus = composition.directus(settings.directus)
    control = composition.message_control(settings.message_queue_url, settings.message_dlq_url)
    sender = SendReminder(
        cases=DirectusReminderCases(directus),
        notices=DirectusNotices(directus),
        notifier=SesNotifier(boto3.client("sesv2", config=ses_config()), settings.sender_email),
        texts=ReminderTexts(settings.portal_url),
        policy=read_policy(),
        clock=lambda: datetime.now(UTC),
    )
    return sender, control


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
