"""Parts that every composition root builds the same way: AWS clients, secrets, Directus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import boto3

from billing.aws.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.aws.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.directus.assets import DirectusAssets
    from billing.directus.client import DirectusClient
    from billing.settings import DirectusSettings

#: Seconds to wait for a connection to Directus, and for its answer: of one invoice's rows, and of many invoices' rows.
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
LONG_ANSWER_SECONDS = 60.0


def secret(arn: str) -> Secret:
    """A secret of Secrets Manager; it is read on first use."""
    return Secret(boto3.client("secretsmanager"), arn)


def directus(
    settings: DirectusSettings,
    *,
    connect_timeout: float = CONNECT_SECONDS,
    read_timeout: float = ANSWER_SECONDS,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
    needed_seconds: float = 0.0,
) -> DirectusClient:
    """Directus as the functions' service user; timeouts in seconds, limited to the rest of the invocation.

    Nothing is sent with no more than `needed_seconds` left.
    """
    from billing.directus.client import DirectusClient, http_client  # noqa: PLC0415  # the receiver needs no httpx

    http = http_client(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        remaining_seconds=remaining_seconds,
        needed_seconds=needed_seconds,
    )
    return DirectusClient(settings.url, secret(settings.token_secret), http)


def directus_files(
    settings: DirectusSettings,
    *,
    maximum_bytes: int,
    remaining_seconds: Callable[[], float] = lambda: math.inf,
) -> DirectusAssets:
    """The bytes of files in Directus that the functions' service user may read."""
    from billing.directus.assets import DirectusAssets  # noqa: PLC0415  # likewise
    from billing.directus.client import http_client  # noqa: PLC0415

    http = http_client(remaining_seconds=remaining_seconds)
    return DirectusAssets(settings.url, secret(settings.token_secret), http, maximum_bytes=maximum_bytes)


def invoice_queue(url: str) -> SqsInvoiceQueue:
    """The FIFO queue of invoice work."""
    return SqsInvoiceQueue(boto3.client("sqs"), url)


def work_queue(url: str) -> SqsWorkQueue:
    """A standard queue."""
    return SqsWorkQueue(boto3.client("sqs"), url)


def message_control(queue_url: str, dead_letter_queue_url: str) -> SqsMessageControl:
    """Lets a worker postpone messages or give them up."""
    return SqsMessageControl(boto3.client("sqs"), queue_url, dead_letter_queue_url)
