"""SQS queues in memory, with what matters about them: visibility, FIFO groups, deduplication, batches of ten."""

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.aws import Clock


@dataclass
class Stored:
    """A message in a queue."""

    id: str
    body: str
    attributes: dict[str, Any]
    sent: float
    group: str | None = None
    visible_at: float = 0.0
    receipt: str = ""


@dataclass
class SqsQueues:
    """A boto3 client of SQS. `errors` are raised by the operations they name, before these act.

    `refused` are bodies that no queue takes. FIFO queues are those whose URL ends so.
    """

    clock: Clock = field(default_factory=lambda: Clock(1_700_000_000.0))
    queues: dict[str, list[Stored]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    errors: dict[str, BaseException] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    #: Messages that a worker puts into a dead-letter queue as soon as something is sent to its queue.
    fails_at_once: dict[str, str] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _deduplicated: dict[tuple[str, str], float] = field(default_factory=dict)

    # ---- what a test does -------------------------------------------------------------------------------

    def put(
        self, url: str, body: str, *, group: str | None = None, redriven: int | str | None = None
    ) -> None:
        """A message that has been there for a minute."""
        attributes = {"Reason": {"DataType": "String", "StringValue": "x"}}
        if redriven is not None:
            attributes["Redriven"] = {"DataType": "Number", "StringValue": str(redriven)}
        self._store(url, body, attributes, group, self.clock() - 60)

    def bodies(self, url: str) -> list[str]:
        """What a queue holds."""
        return [message.body for message in self.queues.get(url, [])]

    def readable(self, url: str) -> list[str]:
        """What a person can read now."""
        return [m.body for m in self.queues.get(url, []) if m.visible_at <= self.clock()]

    # ---- boto3 ------------------------------------------------------------------------------------------

    def get_queue_attributes(self, **given: Any) -> dict[str, Any]:
        self._call("get_queue_attributes")
        hidden = len(self.bodies(given["QueueUrl"])) - len(self.readable(given["QueueUrl"]))
        known = {
            "ApproximateNumberOfMessages": str(len(self.readable(given["QueueUrl"]))),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "VisibilityTimeout": "30",
        }
        return {"Attributes": {name: known[name] for name in given["AttributeNames"]}}

    def receive_message(self, **given: Any) -> dict[str, Any]:
        self._call("receive_message")
        assert 1 <= given["MaxNumberOfMessages"] <= 10
        now = self.clock()
        found: list[dict[str, Any]] = []
        blocked = {m.group for m in self.queues.get(given["QueueUrl"], []) if m.group and m.visible_at > now}
        for message in self.queues.get(given["QueueUrl"], []):
            ready = message.visible_at <= now and message.group not in blocked
            if ready and len(found) < given["MaxNumberOfMessages"]:
                message.visible_at = now + given["VisibilityTimeout"]
                message.receipt = f"receipt-{next(self._numbers)}"
                found.append(self._shown(message, given))
        return {"Messages": found} if found else {}

    def send_message_batch(self, **given: Any) -> dict[str, Any]:
        self._call("send_message_batch")
        assert 1 <= len(given["Entries"]) <= 10
        fifo, url = given["QueueUrl"].endswith(".fifo"), given["QueueUrl"]
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in given["Entries"]:
            assert fifo == ("MessageGroupId" in entry) == ("MessageDeduplicationId" in entry)
            if entry["MessageBody"] in self.refused:
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
                continue
            answer["Successful"].append({"Id": entry["Id"]})
            key = (url, entry.get("MessageDeduplicationId", f"unique {next(self._numbers)}"))
            if self._deduplicated.get(key, -math.inf) > self.clock() - 300:
                continue  # SQS says it was taken and swallows it
            self._deduplicated[key] = self.clock()
            self._arrives(url, entry)
        return answer

    def delete_message_batch(self, **given: Any) -> None:
        self._call("delete_message_batch")
        assert 1 <= len(given["Entries"]) <= 10
        receipts = {entry["ReceiptHandle"] for entry in given["Entries"]}
        queue = self.queues[given["QueueUrl"]]
        queue[:] = [message for message in queue if message.receipt not in receipts]

    def change_message_visibility_batch(self, **given: Any) -> None:
        self._call("change_message_visibility_batch")
        assert 1 <= len(given["Entries"]) <= 10
        wanted = {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in given["Entries"]}
        for message in self.queues[given["QueueUrl"]]:
            if message.receipt in wanted:
                message.visible_at = self.clock() + wanted[message.receipt]

    # ---- inside -----------------------------------------------------------------------------------------

    def _call(self, name: str) -> None:
        assert len(self.calls) < 10_000, "this never ends"
        self.calls.append(name)
        if error := self.errors.get(name):
            raise error

    def _arrives(self, url: str, entry: dict[str, Any]) -> None:
        where, attributes = url, dict(entry["MessageAttributes"])
        if url in self.fails_at_once:
            where = self.fails_at_once[url]
            attributes["Reason"] = {"DataType": "String", "StringValue": "failed"}
        self._store(where, entry["MessageBody"], attributes, entry.get("MessageGroupId"), self.clock())

    def _store(self, url: str, body: str, attributes: dict[str, Any], group: str | None, sent: float) -> None:
        message = Stored(f"m{next(self._numbers)}", body, attributes, sent, group)
        self.queues.setdefault(url, []).append(message)

    def _shown(self, message: Stored, given: dict[str, Any]) -> dict[str, Any]:
        system = {"MessageGroupId": message.group, "SentTimestamp": str(int(message.sent * 1000))}
        shown: dict[str, Any] = {
            "MessageId": message.id,
            "ReceiptHandle": message.receipt,
            "Body": message.body,
            "Attributes": {
                name: system[name] for name in given["MessageSystemAttributeNames"] if system[name]
            },
        }
        wanted = {n: v for n, v in message.attributes.items() if n in given["MessageAttributeNames"]}
        return {**shown, "MessageAttributes": wanted} if wanted else shown
