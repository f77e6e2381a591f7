"""The dead-letter queues: how full they are, and their messages back to where they came from.

A message is sent to its own queue first and deleted afterwards: a crash in between makes two of one, which every
worker tolerates. Its attribute `Redriven` counts how often that happened and travels with it, so that what never
succeeds ends up with people instead of going round for ever.
"""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from billing.aws.queues import BATCH, REDRIVEN
from billing.errors import UpstreamUnavailable
from billing.reconcile.differences import Redriven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef


#: A message that came back this often stays: hourly, that is a day's worth of attempts.
MOST_REDRIVES = 24
#: One call holds back no more messages that stay: a FIFO queue allows 20,000 in flight, a person reads fewer.
_MOST_HELD = 1000
#: Longer than a call takes; after a crash the messages are readable again that much later.
_HIDDEN_SECONDS = 120
#: A receive without waiting asks only some of SQS's servers and may find nothing where there is something.
_WAIT_SECONDS = 1


class SqsDeadLetters:
    """`DeadLetters` (`reconcile_ports`) on SQS."""

    def __init__(
        self,
        client: SQSClient,
        queues: Mapping[str, tuple[str, str]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`queues`: the URLs of a dead-letter queue and of the queue it serves, by the name people know it by.

        `clock` gives Unix seconds.
        """
        self._client = client
        self._queues = queues
        self._clock = clock

    def depths(self) -> Mapping[str, int]:
        """How many messages wait or are being looked at; `UpstreamUnavailable` if SQS does not say."""
        return {name: self._depth(dead_letters) for name, (dead_letters, _) in self._queues.items()}

    def redrive(self, name: str, *, at_most: int) -> Redriven:
        """Send at most that many messages back; `left` are those that came back `MOST_REDRIVES` times already.

        What arrives during the call waits for the next one: a message that fails at once would use up all its
        redrives within seconds. Raises `UpstreamUnavailable`; what was sent back until then is sent back.
        """
        with _sqs_errors():
            return _Redrive(self._client, *self._queues[name], began=self._clock()).run(at_most)

    def _depth(self, url: str) -> int:
        with _sqs_errors():
            answer = self._client.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )
        return sum(int(value) for value in answer["Attributes"].values())


class _Redrive:
    """One call. Messages that stay are hidden until it ends, so that it meets each message once.

    Of a FIFO group nothing is received as long as one of its messages is hidden: behind ten that stay, a group's
    later messages stay, too.
    """

    def __init__(self, client: SQSClient, dead_letters: str, source: str, *, began: float) -> None:
        self._client = client
        self._dead_letters = dead_letters
        self._source = source
        self._began = began
        self._sent: set[str] = set()
        self._held: dict[str, str] = {}
        self._left = 0
        self._again = 0

    def run(self, at_most: int) -> Redriven:
        try:
            while len(self._sent) < at_most and len(self._held) < _MOST_HELD:
                received = self._receive(min(BATCH, at_most - len(self._sent)))
                met = self._sent | self._held.keys()
                fresh = [message for message in received if message["MessageId"] not in met]
                self._put_aside(message for message in received if message["MessageId"] in met)
                if not fresh:
                    break
                self._send_back([message for message in fresh if self._goes_back(message)])
        finally:
            self._show_again()
        return Redriven(redriven=len(self._sent), left=self._left, again=self._again)

    def _receive(self, count: int) -> list[MessageTypeDef]:
        answer = self._client.receive_message(
            QueueUrl=self._dead_letters,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageAttributeNames=[REDRIVEN],
            MessageSystemAttributeNames=["MessageGroupId", "SentTimestamp"],
        )
        return answer.get("Messages", [])

    def _goes_back(self, message: MessageTypeDef) -> bool:
        """Whether the message is sent back; holds it if not."""
        arrived = int(message["Attributes"]["SentTimestamp"]) / 1000
        exhausted = _redriven(message) >= MOST_REDRIVES
        if not exhausted and arrived < self._began:
            return True
        self._left += exhausted
        self._held[message["MessageId"]] = message["ReceiptHandle"]
        return False

    def _put_aside(self, messages: Iterable[MessageTypeDef]) -> None:
        """SQS handed out a message twice: it goes for good if it was sent back, else it is still held."""
        again = list(messages)
        self._delete([message for message in again if message["MessageId"] in self._sent])
        for message in again:
            if message["MessageId"] in self._held:
                self._held[message["MessageId"]] = message["ReceiptHandle"]

    def _send_back(self, messages: Sequence[MessageTypeDef]) -> None:
        if not messages:
            return
        # Until SQS says otherwise each of them stays, also if this call does not come back.
        self._held |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        entries: list[Any] = [self._entry(str(index), message) for index, message in enumerate(messages)]
        answer = self._client.send_message_batch(QueueUrl=self._source, Entries=entries)
        taken = [messages[int(entry["Id"])] for entry in answer.get("Successful", [])]
        for message in taken:
            self._sent.add(message["MessageId"])
            self._again += _redriven(message) > 0
            del self._held[message["MessageId"]]
        self._delete(taken)

    def _entry(self, name: str, message: MessageTypeDef) -> dict[str, Any]:
        count = {"DataType": "Number", "StringValue": str(_redriven(message) + 1)}
        entry = {"Id": name, "MessageBody": message["Body"], "MessageAttributes": {REDRIVEN: count}}
        if not self._source.endswith(".fifo"):
            return entry
        # A fresh id: the message's old one would be swallowed within five minutes.
        group = message["Attributes"]["MessageGroupId"]
        return {**entry, "MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4())}

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        """What SQS does not delete appears again and is sent back twice."""
        if messages:
            self._client.delete_message_batch(
                QueueUrl=self._dead_letters,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )

    def _show_again(self) -> None:
        """Let people read what stays; if SQS does not answer, time makes it readable."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

        receipts = list(self._held.values())
        try:
            for start in range(0, len(receipts), BATCH):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._dead_letters,
                    Entries=[
                        {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for index, receipt in enumerate(receipts[start : start + BATCH])
                    ],
                )
        except (BotoCoreError, ClientError):
            return


def _redriven(message: MessageTypeDef) -> int:
    attribute = message.get("MessageAttributes", {}).get(REDRIVEN)
    value = attribute.get("StringValue", "") if attribute else ""
    return int(value) if value.isascii() and value.isdecimal() else 0


@contextmanager
def _sqs_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # large, and only needed here

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        reason = type(error).__name__
        if isinstance(error, ClientError):
            reason = error.response.get("Error", {}).get("Code", reason)
        message = f"SQS refused to read or return the dead letters ({reason})."
        raise UpstreamUnavailable(message, code="queue_unavailable") from error
