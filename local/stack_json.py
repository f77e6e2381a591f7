"""`stack.json`: the one description of a running stack, for people and programs (the contract names its members)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local import directus_content
from local.adapter.deploy import Emulator
from local.credentials import Credentials

FUNCTIONS: Final = {
    "checkout": "Checkout",
    "stripe_webhook": "StripeWebhook",
    "stripe_webhook_worker": "StripeWebhookWorker",
    "billing_changed": "BillingChanged",
    "render_pdf": "RenderPdf",
    "render_pdf_worker": "RenderPdfWorker",
    "reminders": "Reminders",
    "reminders_sender": "RemindersSender",
    "reconcile": "Reconcile",
}
QUEUES: Final = {
    "stripe_events": "StripeEventsQueue",
    "stripe_events_dlq": "StripeEventsDlq",
    "render": "RenderQueue",
    "render_dlq": "RenderDlq",
    "reminders": "RemindersQueue",
    "reminders_dlq": "RemindersDlq",
}
SECRETS: Final = {
    "flow": "FlowSecret",
    "webhook": "WebhookSecret",
    "stripe": "StripeSecret",
    "directus": "DirectusTokenSecret",
}
"""Names of the contract -> the beginnings of the template's outputs."""


def description(
    *,
    url: Callable[[str], str],
    api_url: str,
    emulator: Emulator,
    outputs: Mapping[str, str],
    credentials: Credentials,
    logins: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what `stack.json` says; `url` tells a program's address, `outputs` are the deployed template's."""
    return {
        "directus": {
            "url": url("directus"),
            "admin_token": credentials.admin_token,
            "admin_email": credentials.admin_email,
            "admin_password": credentials.admin_password,
            "service_token": credentials.service_token,
            **logins,
            "flows": directus_content.flows(),
        },
        "functions": {
            "api_url": api_url,
            "flow_secret": credentials.flow_secret,
            "names": {name: outputs[f"{output}FunctionName"] for name, output in FUNCTIONS.items()},
        },
        "stripe": {
            "api_base": url("stripe_simulator"),
            "secret_key": credentials.stripe_secret_key,
            "webhook_secret": credentials.webhook_secret,
        },
        "aws": {
            "endpoint_url": emulator.endpoint_url,
            "region": emulator.region,
            "access_key_id": emulator.access_key_id,
            "secret_access_key": emulator.secret_access_key,
            "documents_bucket": outputs["DocumentsBucketName"],
            "queues": {name: outputs[f"{output}Url"] for name, output in QUEUES.items()},
            "secrets": {name: outputs[f"{output}Arn"] for name, output in SECRETS.items()},
        },
        "mail": {"url": url("mail")},
        "sms": {"url": f"{emulator.endpoint_url}/_ministack/sns/sms-messages"},
        "portal": {"url": None},
    }
