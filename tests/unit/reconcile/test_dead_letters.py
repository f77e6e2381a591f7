"""What goes back to its queue, what stays for people, and that nothing is lost on the way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.aws.queues import SqsMessageControl
from billing.errors import UpstreamUnavailable
from billing.reconcile.dead_letters import SqsDeadLetters
from billing.reconcile.differences import Redriven
from tests.fakes.aws import Watched, refusal

if TYPE_CHECKING:
    from moto.sqs.models import Message

    from tests.fakes.aws_account import Account


@dataclass
class Sqs(Watched):
    """`refused` are bodies that no queue takes. What is empty is told at once: moto would wait."""

    refused: str | None = None

    def receive_message(self, **given: Any) -> Any:
        assert given.pop("WaitTimeSeconds") == 1, "or SQS may not find what is there"
        return self.__getattr__("receive_message")(**given)

    def send_message_batch(self, **given: Any) -> Any:
        entries = [entry for entry in given["Entries"] if entry["MessageBody"] != self.refused]
        failed = [{"Id": entry["Id"], "Code": "x"} for entry in given["Entries"] if entry not in entries]
        answer = self.__getattr__("send_message_batch")(QueueUrl=given["QueueUrl"], Entries=entries)
        return {**answer, "Failed": failed}


class Broken:
    """A kind of work whose queue and dead-letter queue are `source` and `dead`."""

    def __init__(self, aws: Account, ending: str) -> None:
        self.sqs = Sqs(aws.client("sqs"))
        self.source, self.dead = aws.queue(f"work{ending}"), aws.queue(f"dead-work{ending}")
        self.fifo = bool(ending)
        queues = {"work": (self.dead.url, self.source.url)}
        self.dead_letters = SqsDeadLetters(cast("Any", self.sqs), queues)

    def dies(self, *bodies: str, group: str = "i1", redriven: int | str | None = None) -> None:
        """The messages are in the dead-letter queue, which they came back to so often."""
        attributes = {"Reason": {"DataType": "String", "StringValue": "x"}}
        if redriven is not None:
            attributes["Redriven"] = {"DataType": "Number", "StringValue": str(redriven)}
        for body in bodies:
            fifo = {"MessageGroupId": group, "MessageDeduplicationId": body} if self.fifo else {}
            self.sqs.client.send_message(
                QueueUrl=self.dead.url, MessageBody=body, MessageAttributes=attributes, **fifo
            )

    def redrive(self, at_most: int = 1000) -> Redriven:
        return self.dead_letters.redrive("work", at_most=at_most)


@pytest.fixture(params=[".fifo", ""])
def work(aws: Account, request: pytest.FixtureRequest) -> Broken:
    return Broken(aws, request.param)


@pytest.fixture
def invoices(aws: Account) -> Broken:
    return Broken(aws, ".fifo")


@pytest.fixture
def render(aws: Account) -> Broken:
    return Broken(aws, "")


def redriven(message: Message) -> str:
    return str(message.message_attributes["Redriven"]["StringValue"])


def test_the_depth_counts_what_waits_and_what_somebody_looks_at(render: Broken) -> None:
    render.dies("m0", "m1", "m2")
    render.sqs.client.receive_message(QueueUrl=render.dead.url, VisibilityTimeout=30)
    assert render.dead_letters.depths() == {"work": 3}


def test_every_message_goes_back_once(work: Broken) -> None:
    for number in range(23):
        work.dies(f"m{number}", group=f"i{number % 3}")
    assert work.redrive() == Redriven(redriven=23, left=0)
    assert sorted(work.source.bodies()) == sorted(f"m{number}" for number in range(23))
    assert work.dead.bodies() == []


def test_a_group_is_kept_and_its_messages_stay_in_order(invoices: Broken) -> None:
    bodies = [f"m{number}" for number in range(14)]
    invoices.dies(*bodies, group="i7")
    invoices.redrive()
    assert invoices.source.bodies() == bodies
    assert {message.group_id for message in invoices.source.messages} == {"i7"}


def test_a_message_goes_back_again_within_five_minutes(invoices: Broken) -> None:
    for count in (None, 1, 2):
        invoices.dies("poison", redriven=count)
        assert invoices.redrive().redriven == 1
    assert [redriven(message) for message in invoices.source.messages] == ["1", "2", "3"]


def test_no_more_go_back_than_asked_for(work: Broken) -> None:
    work.dies(*(f"m{number}" for number in range(30)))
    assert work.redrive(at_most=14) == Redriven(redriven=14, left=0)
    assert (len(work.source.bodies()), len(work.dead.readable())) == (14, 16)
    work.sqs.calls.clear()
    assert work.redrive(at_most=0) == Redriven(redriven=0, left=0)
    assert work.sqs.calls == []


def test_what_came_back_24_times_stays_and_can_be_read_at_once(work: Broken) -> None:
    work.dies("given up", redriven=24)
    work.dies("last try", redriven=23)
    work.dies("another", group="i2")
    assert work.redrive() == Redriven(redriven=2, left=1, again=1)
    assert sorted(work.source.bodies()) == ["another", "last try"]
    assert work.dead.readable() == ["given up"]
    assert work.redrive() == Redriven(redriven=0, left=1)


def test_groups_behind_many_that_stay_are_reached(invoices: Broken) -> None:
    invoices.dies(*(f"stays {number}" for number in range(25)), group="poisoned", redriven=24)
    invoices.dies("waiting", group="i2")
    assert invoices.redrive().redriven == 1
    assert invoices.source.bodies() == ["waiting"]
    assert len(invoices.dead.readable()) == 25


def test_a_message_that_fails_at_once_does_not_use_up_its_redrives_in_one_call(render: Broken) -> None:
    class FailsAtOnce(Sqs):
        def send_message_batch(self, **given: Any) -> Any:
            answer = super().send_message_batch(**given)
            for message in render.source.messages[-1:]:
                render.dies(message.body, redriven=redriven(message))
            return answer

    render.dead_letters = SqsDeadLetters(
        cast("Any", FailsAtOnce(render.sqs.client)), {"work": (render.dead.url, render.source.url)}
    )
    render.dies("poison")
    for calls in range(1, 25):
        assert render.redrive().redriven == 1, calls
    assert render.redrive() == Redriven(redriven=0, left=1)
    assert render.dead.readable() == ["poison"]


def test_a_count_that_is_no_number_counts_as_none(render: Broken) -> None:
    render.dies("m", redriven="²")
    render.redrive()
    assert redriven(render.source.messages[0]) == "1"


class Dies(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("operation", ["receive_message", "send_message_batch", "delete_message_batch"])
def test_a_crash_loses_nothing(work: Broken, operation: str) -> None:
    work.dies("m")
    work.sqs.errors = {operation: Dies(), "change_message_visibility_batch": Dies()}
    with pytest.raises(Dies):
        work.redrive()
    assert {*work.dead.bodies(), *work.source.bodies()} == {"m"}
    work.sqs.errors = {}
    work.dead.time_passes()
    work.redrive()
    assert set(work.source.bodies()) == {"m"}
    assert work.dead.bodies() == []


def test_a_message_that_its_queue_does_not_take_stays(work: Broken) -> None:
    for number in range(3):
        work.dies(f"m{number}", group=f"i{number}")
    work.sqs.refused = "m1"
    assert work.redrive() == Redriven(redriven=2, left=0)
    assert work.dead.readable() == ["m1"]
    assert work.source.bodies() == ["m0", "m2"]


@pytest.mark.parametrize(
    "error", [refusal("SendMessageBatch"), EndpointConnectionError(endpoint_url="https://sqs")]
)
def test_a_queue_that_cannot_be_reached_may_be_later(render: Broken, error: Exception) -> None:
    render.dies("m")
    render.sqs.errors = {"send_message_batch": error, "get_queue_attributes": error}
    with pytest.raises(UpstreamUnavailable):
        render.redrive()
    assert render.dead.readable() == ["m"]
    with pytest.raises(UpstreamUnavailable):
        render.dead_letters.depths()


def test_what_cannot_be_shown_again_is_left_to_time(render: Broken) -> None:
    render.dies("given up", redriven=24)
    render.sqs.errors = {"change_message_visibility_batch": refusal("ChangeMessageVisibilityBatch")}
    assert render.redrive() == Redriven(redriven=0, left=1)
    assert render.dead.readable() == []
    (message,) = render.dead.messages
    assert 100 < message.visible_at / 1000 - time.time() <= 120


def test_a_message_handed_out_twice_goes_back_once(render: Broken) -> None:
    class Forgetful(Sqs):
        """Not all of a standard queue's servers have heard of it when a message is hidden or deleted the first time."""

        deaf = True

        def delete_message_batch(self, **given: Any) -> None:
            if self.deaf:
                self.deaf = False
                render.dead.time_passes()
            else:
                self.__getattr__("delete_message_batch")(**given)

    render.dead_letters = SqsDeadLetters(
        cast("Any", Forgetful(render.sqs.client)), {"work": (render.dead.url, render.source.url)}
    )
    render.dies("given up", redriven=24)
    render.dies("m")
    assert render.redrive() == Redriven(redriven=1, left=1)
    assert render.source.bodies() == ["m"]
    assert (render.dead.bodies(), render.dead.readable()) == (["given up"], ["given up"])


def test_one_call_holds_back_no_more_than_a_thousand() -> None:
    class Endless:
        """Ten messages that stay, whenever it is asked: moto takes minutes for a thousand."""

        received = shown = 0

        def receive_message(self, **_: object) -> dict[str, Any]:
            self.received += 10
            stays = {"Redriven": {"DataType": "Number", "StringValue": "24"}}
            names = range(self.received - 10, self.received)
            message = {"ReceiptHandle": "r", "Attributes": {"SentTimestamp": "0"}, "MessageAttributes": stays}
            return {"Messages": [{"MessageId": str(name), **message} for name in names]}

        def change_message_visibility_batch(self, **given: Any) -> None:
            self.shown += len(given["Entries"])

    sqs = Endless()
    queues = {"work": ("https://sqs/dead", "https://sqs/work")}
    assert SqsDeadLetters(cast("Any", sqs), queues).redrive("work", at_most=10) == Redriven(0, left=1000)
    assert (sqs.received, sqs.shown) == (1000, 1000)


def test_the_count_survives_the_next_failure(invoices: Broken) -> None:
    """The worker's copy in the dead-letter queue carries what the redrive wrote."""
    invoices.dies("m", redriven=6)
    invoices.redrive()
    (delivered,) = invoices.source.messages
    assert (redriven(delivered), "Reason" in delivered.message_attributes) == ("7", False)
    record = {
        "messageId": delivered.id,
        "body": delivered.body,
        "attributes": {"MessageGroupId": "i1"},
        "messageAttributes": {"Redriven": {"stringValue": redriven(delivered), "dataType": "Number"}},
    }
    control = SqsMessageControl(invoices.sqs.client, invoices.source.url, invoices.dead.url)
    control.send_to_dead_letters(record, "row_unreadable")
    (dead,) = invoices.dead.messages
    assert (redriven(dead), dead.message_attributes["Reason"]["StringValue"]) == ("7", "row_unreadable")
