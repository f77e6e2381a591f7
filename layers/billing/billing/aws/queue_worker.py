"""How our workers treat SQS batches: the only place where an exception becomes a retry or a parked message.

- A failure that may pass (`retryable`) lengthens the message's visibility with backoff and is reported as a
  batch item failure: SQS delivers it again.
- A failure that will not pass goes to the dead-letter queue at once, so that nothing is dropped silently and
  one bad message never blocks its group.
- A failure without a name is tried a few times (a bug may depend on a race), then treated like the second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from billing.aws.observability import count, log_refusal, logger
from billing.errors import BadRequest, BillingError, UpstreamUnavailable
from billing.messages import InvoiceWork, Reminder, Rendering

#: What each queue carries; a worker reads one of them.
_LATE = ConfigDict(defer_build=True)
INVOICE_WORK: TypeAdapter[InvoiceWork] = TypeAdapter(
    Annotated[InvoiceWork, Field(discriminator="type")], config=_LATE
)
RENDERING: TypeAdapter[Rendering] = TypeAdapter(
    Annotated[Rendering, Field(discriminator="type")], config=_LATE
)
REMINDERS = TypeAdapter(Reminder)

#: Receives after which a failure without a name counts as permanent.
_UNKNOWN_FAILURE_ATTEMPTS = 3
_LONGEST_BACKOFF_SECONDS = 3600


class MessageControl(Protocol):
    """What SQS lets a worker do with a message besides finishing it."""

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Make the message visible again after that many seconds."""
        ...

    def send_to_dead_letters(self, record: Mapping[str, Any], reason: str) -> None:
        """Copy the message to the dead-letter queue, with the reason and its count of redrives as attributes."""
        ...


@dataclass(frozen=True)
class Retry:
    """Deliver again after `seconds`."""

    seconds: int


@dataclass(frozen=True)
class GiveUp:
    """Move to the dead-letter queue now."""


def disposition(error: Exception, receive_count: int) -> Retry | GiveUp:
    """What to do with a message whose handling failed: 5 s, 10 s, 20 s ... up to an hour, or give up."""
    backoff = min(5 * 2 ** min(receive_count - 1, 20), _LONGEST_BACKOFF_SECONDS)
    if isinstance(error, BillingError):
        return Retry(backoff) if error.retryable else GiveUp()
    return Retry(backoff) if receive_count < _UNKNOWN_FAILURE_ATTEMPTS else GiveUp()


def process_batch[Message](
    event: Mapping[str, Any],
    messages: TypeAdapter[Message],
    handle: Callable[[Message], None],
    control: MessageControl,
) -> dict[str, list[dict[str, str]]]:
    """Handle each of the `messages`; answer with the ones SQS must deliver again (`ReportBatchItemFailures`)."""
    failed = [record for record in event["Records"] if not _handled(record, messages, handle, control)]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}


def read[Message](messages: TypeAdapter[Message], body: str) -> Message:
    """The message, or `BadRequest`: `unknown_message` for another kind, `malformed_message` for anything else."""
    try:
        return messages.validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        faults = sorted({fault["type"] for fault in error.errors(include_input=False, include_url=False)})
    unknown = {"union_tag_invalid", "union_tag_not_found"} >= {*faults}
    text = f"This queue carries no such message ({', '.join(faults)}); its dead letter has the text."
    raise BadRequest(text, code="unknown_message" if unknown else "malformed_message")


def _handled[Message](
    record: Mapping[str, Any],
    messages: TypeAdapter[Message],
    handle: Callable[[Message], None],
    control: MessageControl,
) -> bool:
    receive_count = int(record["attributes"]["ApproximateReceiveCount"])
    try:
        handle(read(messages, record["body"]))
    except Exception as error:  # noqa: BLE001  # the mapping below is this function's purpose
        if isinstance(error, BillingError):
            log_refusal(error)
        else:
            logger.exception("A message failed in a way this function does not know.")
        return _dispose(record, error, receive_count, control)
    return True


def _dispose(
    record: Mapping[str, Any], error: Exception, receive_count: int, control: MessageControl
) -> bool:
    match disposition(error, receive_count):
        case Retry(seconds):
            if isinstance(error, UpstreamUnavailable) and receive_count == 1:
                seconds = min(seconds, error.retry_after)
            control.postpone(record["receiptHandle"], seconds)
            count("MessagePostponed")
            return False
        case GiveUp():
            reason = error.code if isinstance(error, BillingError) else type(error).__name__
            control.send_to_dead_letters(record, reason)
            count("MessageGivenUp")
            return True
