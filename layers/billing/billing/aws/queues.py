"""SQS: what the functions send, and what a worker does with a message it cannot finish."""

from __future__ import annotations

import hashlib
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, override

from billing.errors import UpstreamUnavailable
from billing.messages import Recompute, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from types_boto3_sqs import SQSClient

    from billing.messages import InvoiceWork, Message, Reminder, Rendering


#: SQS's own limit of messages per request.
BATCH = 10
#: SQS's own limit of the characters of a group's or a deduplication id; Stripe's ids may have 255.
LONGEST_ID = 128
#: The message attribute that says how often a message came back from the dead-letter queue (`dead_letters`).
REDRIVEN = "Redriven"


class InvoiceQueue(Protocol):
    """The FIFO queue of work on invoices; the worker of a group is the only writer of that invoice."""

    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        """Queue one message; without `deduplication_id` it is never taken for another."""
        ...

    def recompute(
        self,
        invoices: Iterable[str],
        *,
        as_of: datetime | None = None,
        payments: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """Queue a recompute of each; `payments` are those that were entered or changed, by their invoice."""
        ...


class WorkQueue(Protocol):
    """A standard queue."""

    def send_many(self, messages: Iterable[Rendering | Reminder]) -> None:
        """Queue every message, or raise `UpstreamUnavailable` (some may have been queued)."""
        ...


class SqsInvoiceQueue(InvoiceQueue):
    """`InvoiceQueue` on SQS."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        """`client` is a boto3 SQS client."""
        self._client = client
        self._queue_url = queue_url

    @override
    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        _send_batches(self._client, self._queue_url, [message], deduplication_id)

    @override
    def recompute(
        self,
        invoices: Iterable[str],
        *,
        as_of: datetime | None = None,
        payments: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        messages = [Recompute(invoice, as_of, tuple(payments.get(invoice, ()))) for invoice in invoices]
        _send_batches(self._client, self._queue_url, messages)


class SqsWorkQueue(WorkQueue):
    """`WorkQueue` on SQS."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        """`client` is a boto3 SQS client."""
        self._client = client
        self._queue_url = queue_url

    @override
    def send_many(self, messages: Iterable[Rendering | Reminder]) -> None:
        _send_batches(self._client, self._queue_url, [*messages])


class SqsMessageControl:
    """`MessageControl` of `queue_worker` on SQS."""

    def __init__(self, client: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        """`dead_letter_queue_url`: where messages go that will never succeed."""
        self._client = client
        self._queue_url = queue_url
        self._dead_letter_queue_url = dead_letter_queue_url

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Make the message visible again after that many seconds."""
        self._client.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )

    def send_to_dead_letters(self, record: Mapping[str, Any], reason: str) -> None:
        """Copy the message to the dead-letter queue, with the reason and its count of redrives as attributes."""
        attributes = {"Reason": {"DataType": "String", "StringValue": reason}}
        redriven = record.get("messageAttributes", {}).get(REDRIVEN)
        if redriven is not None:  # without it every redrive would be the first
            attributes[REDRIVEN] = {"DataType": "Number", "StringValue": redriven["stringValue"]}
        entry: dict[str, Any] = {
            "QueueUrl": self._dead_letter_queue_url,
            "MessageBody": record["body"],
            "MessageAttributes": attributes,
        }
        group = record["attributes"].get("MessageGroupId")
        if group is not None:
            # The message's own id: a crash between this and the delete must not make two of one.
            entry |= {"MessageGroupId": group, "MessageDeduplicationId": record["messageId"]}
        self._client.send_message(**entry)


def _send_batches(
    client: SQSClient, queue_url: str, messages: Sequence[Message], deduplication_id: str | None = None
) -> None:
    for start in range(0, len(messages), BATCH):
        entries: list[Any] = []
        for index, message in enumerate(messages[start : start + BATCH]):
            entry: dict[str, Any] = {"Id": str(index), "MessageBody": to_json(message)}
            if (group := getattr(message, "group", None)) is not None:
                entry |= {
                    "MessageGroupId": _fitting(group),
                    "MessageDeduplicationId": _fitting(deduplication_id or str(uuid.uuid4())),
                }
            entries.append(entry)
        _send_batch(client, queue_url, entries)


def _fitting(name: str) -> str:
    """The name as SQS takes it: the same for the same, another for another."""
    return name if len(name) <= LONGEST_ID else hashlib.sha256(name.encode()).hexdigest()


def _send_batch(client: SQSClient, queue_url: str, entries: list[Any]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # only here, and it is large

    try:
        result = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
    except ClientError as error:
        raise _not_queued(error.response.get("Error", {}).get("Code", "unknown")) from error
    except BotoCoreError as error:
        raise _not_queued(type(error).__name__) from error
    if failed := result.get("Failed"):
        raise _not_queued(failed[0].get("Code", "unknown"))


def _not_queued(reason: str) -> UpstreamUnavailable:
    message = f"SQS did not accept the message ({reason}); repeat the request, nothing is lost."
    return UpstreamUnavailable(message, code="queue_unavailable")
