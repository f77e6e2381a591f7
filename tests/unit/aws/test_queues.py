from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.aws.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.errors import UpstreamUnavailable
from billing.messages import Recompute, RenderInvoicePdf, SyncSession, to_json
from tests.fakes.aws import Watched, failing, refusal

if TYPE_CHECKING:
    from tests.fakes.aws_account import Account, Queue


@pytest.fixture
def invoices(aws: Account) -> Queue:
    return aws.queue("invoices.fifo")


@pytest.fixture
def invoice_queue(aws: Account, invoices: Queue) -> SqsInvoiceQueue:
    return SqsInvoiceQueue(aws.client("sqs"), invoices.url)


def test_an_event_is_grouped_by_its_invoice_and_deduplicated_by_its_id(
    invoice_queue: SqsInvoiceQueue, invoices: Queue
) -> None:
    for _ in range(2):
        invoice_queue.send(SyncSession("cs_1", "i1"), deduplication_id="evt_1")
    (message,) = invoices.messages
    assert (message.body, message.group_id) == (to_json(SyncSession("cs_1", "i1")), "i1")


def test_names_longer_than_sqs_takes_stay_themselves_and_apart(
    invoice_queue: SqsInvoiceQueue, invoices: Queue
) -> None:
    long = "in_" + "x" * 200
    for name in (long, long, long + "y"):
        invoice_queue.send(SyncSession(name), deduplication_id=f"evt_{name}")
        invoice_queue.send(SyncSession(name))
    first, again, _, other, another = invoices.messages
    assert first.group_id == again.group_id != other.group_id == another.group_id


def test_a_recompute_is_never_taken_for_another(invoice_queue: SqsInvoiceQueue, invoices: Queue) -> None:
    invoice_queue.recompute(["i1"])
    invoice_queue.recompute(["i1"])
    assert invoices.bodies() == [to_json(Recompute("i1"))] * 2


def test_many_messages_go_in_batches_of_ten(aws: Account, invoices: Queue) -> None:
    sqs = Watched(aws.client("sqs"))
    SqsInvoiceQueue(sqs, invoices.url).recompute(f"i{number}" for number in range(23))  # type: ignore[arg-type]  # a client and who watches it
    assert [len(given["Entries"]) for _, given in sqs.calls] == [10, 10, 3]
    assert [message.group_id for message in invoices.messages] == [f"i{number}" for number in range(23)]


def test_a_standard_queue_has_no_groups(aws: Account) -> None:
    render = aws.queue("render")
    SqsWorkQueue(aws.client("sqs"), render.url).send_many([RenderInvoicePdf("i1")])
    (message,) = render.messages
    assert (message.body, message.group_id) == (to_json(RenderInvoicePdf("i1")), None)


@pytest.mark.parametrize(
    "error", [refusal("SendMessageBatch"), EndpointConnectionError(endpoint_url="https://sqs")]
)
def test_a_message_that_cannot_be_stored_is_said_to_be_unavailable(error: Exception) -> None:
    with pytest.raises(UpstreamUnavailable):
        SqsInvoiceQueue(failing(send_message_batch=error), "https://sqs/invoices.fifo").send(Recompute("i1"))


def test_a_batch_that_was_stored_in_part_is_not_called_stored() -> None:
    class TakesOne:
        def send_message_batch(self, **_: object) -> dict[str, Any]:
            return {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError"}]}

    with pytest.raises(UpstreamUnavailable):
        SqsInvoiceQueue(TakesOne(), "https://sqs/invoices.fifo").recompute(["a", "b"])  # type: ignore[arg-type]  # only this is asked


def test_a_dead_letter_keeps_its_group_and_cannot_become_two(aws: Account) -> None:
    work, dead = aws.queue("work.fifo"), aws.queue("dead.fifo")
    control = SqsMessageControl(aws.client("sqs"), work.url, dead.url)
    record = {"messageId": "m1", "body": json.dumps({"type": "x"}), "attributes": {"MessageGroupId": "i1"}}
    control.send_to_dead_letters(record, "row_unreadable")
    control.send_to_dead_letters(record, "row_unreadable")
    (message,) = dead.messages
    assert (message.body, message.group_id) == (record["body"], "i1")
    assert message.message_attributes["Reason"]["StringValue"] == "row_unreadable"


def test_a_dead_letter_says_how_often_it_came_back(aws: Account) -> None:
    render, dead = aws.queue("render"), aws.queue("dead")
    control = SqsMessageControl(aws.client("sqs"), render.url, dead.url)
    record = {"messageId": "m1", "body": "{}", "attributes": {}, "messageAttributes": {}}
    control.send_to_dead_letters(record, "x")
    count = {"stringValue": "7", "dataType": "Number"}
    control.send_to_dead_letters({**record, "messageAttributes": {"Redriven": count}}, "x")
    first, again = (message.message_attributes for message in dead.messages)
    assert "Redriven" not in first
    assert again["Redriven"] == {"DataType": "Number", "StringValue": "7"}


def test_a_message_is_postponed_on_its_own_queue(aws: Account) -> None:
    sqs, render = aws.client("sqs"), aws.queue("render")
    sqs.send_message(QueueUrl=render.url, MessageBody="m")
    (received,) = sqs.receive_message(QueueUrl=render.url, VisibilityTimeout=1000)["Messages"]
    SqsMessageControl(sqs, render.url, "https://sqs/dead").postpone(received["ReceiptHandle"], 40)
    (message,) = render.messages
    assert 30 < message.visible_at / 1000 - time.time() <= 40
