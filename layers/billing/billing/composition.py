"""Pieces that every composition root puts together the same way: AWS clients, secrets, Directus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import boto3

from billing.aws.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.aws.secrets import Secret
from billing.directus.assets import DirectusAssets
from billing.directus.client import DirectusClient, Urllib3Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.settings import DirectusSettings

#: Seconds to wait for an answer of Directus: of one invoice's rows, and of many invoices' rows.
ANSWER_SECONDS = 10.0
LONG_ANSWER_SECONDS = 60.0


def secret(arn: str) -> Secret:
    """A secret of Secrets Manager; nothing is read yet."""
    return Secret(boto3.client("secretsmanager"), arn)


def directus(
    settings: DirectusSettings,
    *,
    read_timeout: float = ANSWER_SECONDS,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
) -> DirectusClient:
    """Directus as the functions' service user; `read_timeout` in seconds, cut to what remains of the invocation."""
    transport = Urllib3Transport(read_timeout=read_timeout, remaining_seconds=remaining_seconds)
    return DirectusClient(settings.url, secret(settings.token_secret), transport)


def directus_files(
    settings: DirectusSettings,
    *,
    maximum_bytes: int,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
) -> DirectusAssets:
    """The bytes of files in Directus, as the functions' service user may read them."""
    transport = Urllib3Transport(remaining_seconds=remaining_seconds)
    return DirectusAssets(settings.url, secret(settings.token_secret), transport, maximum_bytes=maximum_bytes)


def invoice_queue(url: str) -> SqsInvoiceQueue:
    """The FIFO queue of invoice work."""
    return SqsInvoiceQueue(boto3.client("sqs"), url)


def work_queue(url: str) -> SqsWorkQueue:
    """A standard queue."""
    return SqsWorkQueue(boto3.client("sqs"), url)


def message_control(queue_url: str, dead_letter_queue_url: str) -> SqsMessageControl:
    """How a worker postpones messages or gives them up."""
    return SqsMessageControl(boto3.client("sqs"), queue_url, dead_letter_queue_url)
