"""A FIFO queue as SQS keeps it, in process: one message of a group at a time, redelivered until it is deleted."""

import contextlib
import json
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from billing.aws.queue_worker import INVOICE_WORK, read
from billing.messages import InvoiceWork, Recompute, to_json
from billing.reconcile.differences import Redriven
from tests.fakes.steps import Crash, Steps

#: A worker: it gets the event that Lambda makes of a message, and answers with the messages to deliver again.
type Worker = Callable[[dict[str, Any]], dict[str, list[dict[str, str]]]]

#: Deliveries of one message after which something is wrong: nothing in these tests fails so often.
_MOST_RECEIVES = 100


@dataclass
class Message:
    """One message, and how often it was handed to a worker."""

    body: str
    group: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receives: int = 0

    def record(self) -> dict[str, Any]:
        """The record in Lambda's event."""
        return {
            "messageId": self.id,
            "receiptHandle": f"{self.id}-{self.receives}",
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.receives), "MessageGroupId": self.group},
        }


@dataclass(frozen=True)
class DeadLetter:
    """A message that the workers gave up, and why."""

    message: dict[str, Any]
    group: str
    reason: str


class FifoQueue:
    """The invoice queue with its workers.

    `protected=False` switches the FIFO order off: messages of one group run in parallel and duplicates are kept, as
    if the queue were a standard one. A postponed message comes back at once: the time is not what is tested.
    """

    def __init__(self, steps: Steps | None = None, *, protected: bool = True) -> None:
        self.dead: list[DeadLetter] = []
        self.protected = protected
        self.steps = steps or Steps()
        self._changed = threading.Condition()
        self._groups: dict[str, deque[Message]] = {}
        self._busy: set[str] = set()
        self._seen: set[str] = set()

    # ---- billing.aws.queues.InvoiceQueue -----------------------------------------------------------

    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        number = self.steps.begin(f"queue {message.type}")
        self._keep(Message(to_json(message), message.group), deduplication_id)
        self.steps.end(number)

    def recompute(
        self,
        invoices: Iterable[str],
        *,
        as_of: datetime | None = None,
        payments: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        for invoice in invoices:
            self.send(Recompute(invoice, as_of, tuple(payments.get(invoice, ()))))

    # ---- billing.aws.queue_worker.MessageControl ------------------------------------------------------------

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Nothing to do: what a worker reports as failed comes back."""

    def send_to_dead_letters(self, record: Mapping[str, Any], reason: str) -> None:
        group = record["attributes"]["MessageGroupId"]
        self.dead.append(DeadLetter(json.loads(record["body"]), group, reason))

    # ---- billing.reconcile.ports.DeadLetters ---------------------------------------------------

    def depths(self) -> Mapping[str, int]:
        return {"invoices": len(self.dead)}

    def redrive(self, name: str, *, at_most: int) -> Redriven:
        assert name == "invoices"
        back, self.dead = self.dead[:at_most], self.dead[at_most:]
        for letter in back:
            self.send(read(INVOICE_WORK, json.dumps(letter.message)))
        return Redriven(len(back), 0)

    # ---- SQS and Lambda ---------------------------------------------------------------------------------

    def waiting(self) -> list[dict[str, Any]]:
        """What nobody has worked on yet."""
        with self._changed:
            return [json.loads(message.body) for group in self._groups.values() for message in group]

    def forget(self) -> None:
        """Lose what nobody has worked on: a test that begins does not want its recomputes."""
        with self._changed:
            self._groups.clear()

    def five_minutes_pass(self) -> None:
        """SQS forgets which messages it has seen."""
        with self._changed:
            self._seen.clear()

    def drain(self, worker: Callable[[], Worker], workers: int = 1) -> None:
        """Let that many workers, each made by `worker`, empty the queue."""
        with ThreadPoolExecutor(workers) as threads:
            for done in [threads.submit(self._run, worker()) for _ in range(workers)]:
                done.result()

    def _keep(self, message: Message, deduplication_id: str | None) -> None:
        with self._changed:
            if self.protected and deduplication_id is not None:
                if deduplication_id in self._seen:
                    return
                self._seen.add(deduplication_id)
            self._groups.setdefault(self._lane(message), deque()).append(message)
            self._changed.notify_all()

    def _lane(self, message: Message) -> str:
        return message.group if self.protected else message.id

    def _run(self, worker: Worker) -> None:
        while (message := self._take()) is not None:
            done = False
            try:
                done = self._handled(message, worker)
            finally:
                self._give_back(message, done=done)

    def _take(self) -> Message | None:
        """The next message whose group is free; None when there is nothing to do and nobody is at work."""
        with self._changed:
            while True:
                lane = next((lane for lane in self._groups if lane not in self._busy), None)
                if lane is not None:
                    self._busy.add(lane)
                    message = self._groups[lane].popleft()
                    message.receives += 1
                    assert message.receives < _MOST_RECEIVES, f"This message never succeeds: {message.body}"
                    return message
                if not self._busy:
                    return None
                self._changed.wait()

    def _handled(self, message: Message, worker: Worker) -> bool:
        """Whether the message is done and deleted; a worker that dies leaves it to be delivered again."""
        try:
            if worker({"Records": [message.record()]})["batchItemFailures"]:
                return False
            number = self.steps.begin("delete message")
        except Crash:
            return False
        with contextlib.suppress(Crash):  # it died with its work done and the message gone
            self.steps.end(number)
        return True

    def _give_back(self, message: Message, *, done: bool) -> None:
        lane = self._lane(message)
        with self._changed:
            left = self._groups.pop(lane)  # and to the end: no group keeps the others waiting
            if not done:
                left.appendleft(message)
            if left:
                self._groups[lane] = left
            self._busy.remove(lane)
            self._changed.notify_all()
