"""Pieces that every composition root puts together the same way: AWS clients, secrets, Directus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import boto3

from billing.adapters.directus import DirectusClient
from billing.adapters.directus_assets import DirectusAssets
from billing.adapters.directus_uploads import MAX_DOCUMENT_BYTES
from billing.adapters.http import Urllib3Transport
from billing.adapters.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.adapters.secrets import Secret

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


def directus_files(settings: DirectusSettings) -> DirectusAssets:
    """The bytes of files in Directus, as the functions' service user may read them."""
    return DirectusAssets(settings.url, secret(settings.token_secret), Urllib3Transport())


def directus_documents(
    settings: DirectusSettings, *, remaining_seconds: Callable[[], float] = lambda: math.inf
) -> DirectusAssets:
    """The bytes of the documents in Directus, which may be longer than what staff upload to be printed."""
    token = secret(settings.token_secret)
    transport = Urllib3Transport(remaining_seconds=remaining_seconds)
    return DirectusAssets(settings.url, token, transport, maximum_bytes=MAX_DOCUMENT_BYTES)


def invoice_queue(url: str) -> SqsInvoiceQueue:
    """The FIFO queue of invoice work."""
    return SqsInvoiceQueue(boto3.client("sqs"), url)


def work_queue(url: str) -> SqsWorkQueue:
    """A standard queue."""
    return SqsWorkQueue(boto3.client("sqs"), url)


def message_control(queue_url: str, dead_letter_queue_url: str) -> SqsMessageControl:
    """How a worker postpones messages or gives them up."""
    return SqsMessageControl(boto3.client("sqs"), queue_url, dead_letter_queue_url)
