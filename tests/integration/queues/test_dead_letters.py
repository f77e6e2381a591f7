"""Dead letters on the emulator's queues: a view of SQS that is not ours, unlike the fake of the unit tests."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from billing.reconcile.dead_letters import SqsDeadLetters
from billing.reconcile.differences import Redriven
from local import programs
from local.adapter.deploy import Emulator
from local.ports import HOST
from local.supervisor import Supervisor
from local.waiting import wait_for
from tests.integration.directus.functions_stub import free_port


@pytest.fixture(scope="module")
def sqs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory, port = tmp_path_factory.mktemp("emulator"), free_port()
    supervisor = Supervisor(directory / "processes")
    supervisor.start(programs.ministack(directory / "ministack", port=port, smtp_port=9))
    yield Emulator(f"http://{HOST}:{port}", programs.REGION).client("sqs")
    supervisor.stop("ministack")


@dataclass
class Queue:
    """A queue with its dead-letter queue."""

    sqs: Any
    fifo: bool

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex
        self.source, self.dead = self._created(name), self._created(f"{name}-dead")
        self.dead_letters = SqsDeadLetters(self.sqs, {"work": (self.dead, self.source)})

    def _created(self, name: str) -> str:
        if self.fifo:
            answer = self.sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})
        else:
            answer = self.sqs.create_queue(QueueName=name)
        return str(answer["QueueUrl"])

    def dies(self, body: str, *, group: str = "i1", redriven: int | None = None) -> None:
        attributes = {"Reason": {"DataType": "String", "StringValue": "x"}}
        if redriven is not None:
            attributes["Redriven"] = {"DataType": "Number", "StringValue": str(redriven)}
        entry: dict[str, Any] = {"MessageBody": body, "MessageAttributes": attributes}
        if self.fifo:
            entry |= {"MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4())}
        self.sqs.send_message(QueueUrl=self.dead, **entry)

    def taken(self, url: str) -> list[tuple[str, str | None, str | None]]:
        """Every message with its group and its count; they are deleted."""
        found = []
        while messages := self._received(url):
            for message in messages:
                count = message.get("MessageAttributes", {}).get("Redriven", {}).get("StringValue")
                found.append((message["Body"], message.get("Attributes", {}).get("MessageGroupId"), count))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def _received(self, url: str) -> list[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        found: list[Any] = answer.get("Messages", [])
        return found


@pytest.fixture(params=["fifo", "standard"])
def queue(request: pytest.FixtureRequest, sqs: Any) -> Queue:
    return Queue(sqs, fifo=request.param == "fifo")


def test_every_message_goes_back_with_its_group_and_its_count(queue: Queue) -> None:
    for number in range(23):
        queue.dies(f"m{number:02}", group=f"i{number % 3}", redriven=number or None)
    assert queue.dead_letters.depths() == {"work": 23}
    first = queue.dead_letters.redrive("work", at_most=14)
    assert (first.redriven, first.left) == (14, 0)
    assert queue.dead_letters.depths() == {"work": 9}
    second = queue.dead_letters.redrive("work", at_most=1000)
    assert (second.redriven, second.left) == (9, 0)
    assert first.again + second.again == 22, "all but m00 had been sent back before"
    assert queue.dead_letters.depths() == {"work": 0}
    expected = [(f"m{n:02}", f"i{n % 3}" if queue.fifo else None, str(n + 1)) for n in range(23)]
    assert sorted(queue.taken(queue.source)) == expected


def test_what_came_back_24_times_stays_and_can_be_read_at_once(queue: Queue) -> None:
    queue.dies("given up", redriven=24)
    queue.dies("behind it")
    queue.dies("another", group="i2")
    assert queue.dead_letters.redrive("work", at_most=1000) == Redriven(redriven=2, left=1)
    assert [body for body, _, _ in queue.taken(queue.dead)] == ["given up"]
    assert sorted(body for body, _, _ in queue.taken(queue.source)) == ["another", "behind it"]


def test_the_same_message_goes_back_again_and_again(queue: Queue) -> None:
    """Within the five minutes in which SQS swallows a deduplication id that it knows."""
    for count in range(1, 4):
        queue.dies("poison", redriven=count - 1 or None)
        wait_for("the message", lambda: queue.dead_letters.depths() == {"work": 1})
        assert queue.dead_letters.redrive("work", at_most=1000).redriven == 1
        ((body, _, counted),) = queue.taken(queue.source)
        assert (body, counted) == ("poison", str(count))
