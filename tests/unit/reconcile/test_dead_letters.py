"""What goes back to its queue, what stays for people, and that nothing is lost on the way."""

from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.aws.queues import SqsMessageControl
from billing.errors import UpstreamUnavailable
from billing.reconcile.dead_letters import SqsDeadLetters
from billing.reconcile.differences import Redriven
from tests.fakes.aws import refusal
from tests.fakes.sqs_queues import SqsQueues

WORK, DEAD_WORK = "https://sqs/work.fifo", "https://sqs/dead-work.fifo"
RENDER, DEAD_RENDER = "https://sqs/render", "https://sqs/dead-render"
KINDS = pytest.mark.parametrize(
    ("name", "dead", "source"), [("invoice work", DEAD_WORK, WORK), ("render", DEAD_RENDER, RENDER)]
)


def dead_letters(sqs: SqsQueues) -> SqsDeadLetters:
    queues = {"invoice work": (DEAD_WORK, WORK), "render": (DEAD_RENDER, RENDER)}
    return SqsDeadLetters(cast("Any", sqs), queues, clock=sqs.clock)


def group_of(url: str, group: str = "i1") -> str | None:
    return group if url.endswith(".fifo") else None


def test_the_depth_counts_what_waits_and_what_somebody_looks_at() -> None:
    sqs = SqsQueues()
    for number in range(3):
        sqs.put(DEAD_RENDER, f"m{number}")
    sqs.receive_message(
        QueueUrl=DEAD_RENDER, MaxNumberOfMessages=1, VisibilityTimeout=30,
        MessageSystemAttributeNames=[], MessageAttributeNames=[],
    )  # fmt: skip
    assert dead_letters(sqs).depths() == {"invoice work": 0, "render": 3}


@KINDS
def test_every_message_goes_back_once(name: str, dead: str, source: str) -> None:
    sqs = SqsQueues()
    for number in range(23):
        sqs.put(dead, f"m{number}", group=group_of(dead, f"i{number % 3}"))
    assert dead_letters(sqs).redrive(name, at_most=1000) == Redriven(redriven=23, left=0)
    assert sorted(sqs.bodies(source)) == sorted(f"m{number}" for number in range(23))
    assert sqs.bodies(dead) == []


def test_a_group_is_kept_and_its_messages_stay_in_order() -> None:
    sqs = SqsQueues()
    for number in range(14):
        sqs.put(DEAD_WORK, f"m{number}", group="i7")
    dead_letters(sqs).redrive("invoice work", at_most=1000)
    assert sqs.bodies(WORK) == [f"m{number}" for number in range(14)]
    assert {message.group for message in sqs.queues[WORK]} == {"i7"}


def test_a_message_goes_back_again_within_five_minutes() -> None:
    sqs = SqsQueues(fails_at_once={WORK: DEAD_WORK})
    sqs.put(DEAD_WORK, "poison", group="i1")
    for expected in (1, 2, 3):
        assert dead_letters(sqs).redrive("invoice work", at_most=1000).redriven == 1
        sqs.clock.seconds += 1
        (message,) = sqs.queues[DEAD_WORK]
        assert message.attributes["Redriven"] == {"DataType": "Number", "StringValue": str(expected)}


@KINDS
def test_no_more_go_back_than_asked_for(name: str, dead: str, source: str) -> None:
    sqs = SqsQueues()
    for number in range(30):
        sqs.put(dead, f"m{number}", group=group_of(dead))
    assert dead_letters(sqs).redrive(name, at_most=14) == Redriven(redriven=14, left=0)
    assert (len(sqs.bodies(source)), len(sqs.readable(dead))) == (14, 16)
    sqs.calls.clear()
    assert dead_letters(sqs).redrive(name, at_most=0) == Redriven(redriven=0, left=0)
    assert sqs.calls == []


@KINDS
def test_what_came_back_24_times_stays_and_can_be_read_at_once(name: str, dead: str, source: str) -> None:
    sqs = SqsQueues()
    sqs.put(dead, "given up", group=group_of(dead, "i1"), redriven=24)
    sqs.put(dead, "last try", group=group_of(dead, "i1"), redriven=23)
    sqs.put(dead, "another", group=group_of(dead, "i2"))
    assert dead_letters(sqs).redrive(name, at_most=1000) == Redriven(redriven=2, left=1, again=1)
    assert sorted(sqs.bodies(source)) == ["another", "last try"]
    assert sqs.readable(dead) == ["given up"]
    assert dead_letters(sqs).redrive(name, at_most=1000) == Redriven(redriven=0, left=1)


def test_groups_behind_many_that_stay_are_reached() -> None:
    sqs = SqsQueues()
    for number in range(25):
        sqs.put(DEAD_WORK, f"stays {number}", group="poisoned", redriven=24)
    sqs.put(DEAD_WORK, "waiting", group="i2")
    assert dead_letters(sqs).redrive("invoice work", at_most=1000).redriven == 1
    assert sqs.bodies(WORK) == ["waiting"]
    assert len(sqs.readable(DEAD_WORK)) == 25


def test_a_message_that_fails_at_once_does_not_use_up_its_redrives_in_one_call() -> None:
    sqs = SqsQueues(fails_at_once={RENDER: DEAD_RENDER})
    sqs.put(DEAD_RENDER, "poison")
    for calls in range(1, 25):
        assert dead_letters(sqs).redrive("render", at_most=1000).redriven == 1, calls
        sqs.clock.seconds += 3600
    assert dead_letters(sqs).redrive("render", at_most=1000) == Redriven(redriven=0, left=1)
    assert sqs.readable(DEAD_RENDER) == ["poison"]


def test_a_count_that_is_no_number_counts_as_none() -> None:
    sqs = SqsQueues()
    sqs.put(DEAD_RENDER, "m", redriven="²")
    dead_letters(sqs).redrive("render", at_most=1)
    assert sqs.queues[RENDER][0].attributes["Redriven"]["StringValue"] == "1"


class Dies(BaseException):
    """The process ends here."""


@KINDS
@pytest.mark.parametrize("operation", ["receive_message", "send_message_batch", "delete_message_batch"])
def test_a_crash_loses_nothing(name: str, dead: str, source: str, operation: str) -> None:
    sqs = SqsQueues()
    sqs.put(dead, "m", group=group_of(dead))
    sqs.errors = {operation: Dies(), "change_message_visibility_batch": Dies()}
    with pytest.raises(Dies):
        dead_letters(sqs).redrive(name, at_most=10)
    assert {*sqs.bodies(dead), *sqs.bodies(source)} == {"m"}
    sqs.errors = {}
    sqs.clock.seconds += 3600
    dead_letters(sqs).redrive(name, at_most=10)
    assert set(sqs.bodies(source)) == {"m"}
    assert sqs.bodies(dead) == []


@KINDS
def test_a_message_that_its_queue_does_not_take_stays(name: str, dead: str, source: str) -> None:
    sqs = SqsQueues(refused={"m1"})
    for number in range(3):
        sqs.put(dead, f"m{number}", group=group_of(dead, f"i{number}"))
    assert dead_letters(sqs).redrive(name, at_most=10) == Redriven(redriven=2, left=0)
    assert sqs.readable(dead) == ["m1"]
    assert sqs.bodies(source) == ["m0", "m2"]


@pytest.mark.parametrize(
    "error", [refusal("SendMessageBatch"), EndpointConnectionError(endpoint_url="https://sqs")]
)
def test_a_queue_that_cannot_be_reached_may_be_later(error: Exception) -> None:
    sqs = SqsQueues(errors={"send_message_batch": error, "get_queue_attributes": error})
    sqs.put(DEAD_RENDER, "m")
    with pytest.raises(UpstreamUnavailable):
        dead_letters(sqs).redrive("render", at_most=10)
    assert sqs.readable(DEAD_RENDER) == ["m"]
    with pytest.raises(UpstreamUnavailable):
        dead_letters(sqs).depths()


def test_what_cannot_be_shown_again_is_left_to_time() -> None:
    sqs = SqsQueues(errors={"change_message_visibility_batch": refusal("ChangeMessageVisibilityBatch")})
    sqs.put(DEAD_RENDER, "given up", redriven=24)
    assert dead_letters(sqs).redrive("render", at_most=10) == Redriven(redriven=0, left=1)
    assert sqs.readable(DEAD_RENDER) == []
    sqs.clock.seconds += 120
    assert sqs.readable(DEAD_RENDER) == ["given up"]


class Forgetful(SqsQueues):
    """A standard queue whose servers have not all heard of it when a message is hidden or deleted the first time."""

    deaf = True

    def delete_message_batch(self, **given: Any) -> None:
        if not self.deaf:
            super().delete_message_batch(**given)
            return
        self.deaf = False
        for message in self.queues[given["QueueUrl"]]:
            message.visible_at = 0.0


def test_a_message_handed_out_twice_goes_back_once() -> None:
    sqs = Forgetful()
    sqs.put(DEAD_RENDER, "given up", redriven=24)
    sqs.put(DEAD_RENDER, "m")
    assert dead_letters(sqs).redrive("render", at_most=10) == Redriven(redriven=1, left=1)
    assert sqs.bodies(RENDER) == ["m"]
    assert (sqs.bodies(DEAD_RENDER), sqs.readable(DEAD_RENDER)) == (["given up"], ["given up"])


def test_one_call_holds_back_no_more_than_a_thousand() -> None:
    sqs = SqsQueues()
    for number in range(1200):
        sqs.put(DEAD_RENDER, f"stays {number}", redriven=24)
    assert dead_letters(sqs).redrive("render", at_most=10) == Redriven(redriven=0, left=1000)
    assert len(sqs.readable(DEAD_RENDER)) == 1200


def test_the_count_survives_the_next_failure() -> None:
    """The worker's copy in the dead-letter queue carries what the redrive wrote."""
    sqs = SqsQueues()
    sqs.put(DEAD_WORK, "m", group="i1", redriven=6)
    dead_letters(sqs).redrive("invoice work", at_most=1)
    (delivered,) = sqs.queues[WORK]
    count = delivered.attributes["Redriven"]["StringValue"]
    assert (count, "Reason" in delivered.attributes) == ("7", False)
    sent: list[dict[str, Any]] = []
    client = cast(
        "Any", type("Client", (), {"send_message": staticmethod(lambda **entry: sent.append(entry))})
    )
    record = {
        "messageId": delivered.id,
        "body": delivered.body,
        "attributes": {"MessageGroupId": "i1"},
        "messageAttributes": {"Redriven": {"stringValue": count, "dataType": "Number"}},
    }
    SqsMessageControl(client, WORK, DEAD_WORK).send_to_dead_letters(record, "row_unreadable")
    assert sent[0]["MessageAttributes"] == {
        "Redriven": {"DataType": "Number", "StringValue": "7"},
        "Reason": {"DataType": "String", "StringValue": "row_unreadable"},
    }
