import json
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from billing.aws.queues import SqsInvoiceQueue, SqsMessageControl, SqsWorkQueue
from billing.errors import UpstreamUnavailable
from tests.fakes.aws import FakeSqs, refusal


def invoice_queue(sqs: FakeSqs) -> SqsInvoiceQueue:
    return SqsInvoiceQueue(cast("Any", sqs), "https://sqs/invoices.fifo")


def test_an_event_is_grouped_by_its_invoice_and_deduplicated_by_its_id() -> None:
    sqs = FakeSqs()
    invoice_queue(sqs).send({"type": "stripe_event"}, group="i1", deduplication_id="evt_1")
    ((entry,),) = sqs.batches
    assert entry == {"Id": "0", "MessageBody": '{"type": "stripe_event"}', "MessageGroupId": "i1", "MessageDeduplicationId": "evt_1"}  # fmt: skip


def test_names_longer_than_sqs_takes_stay_themselves_and_apart() -> None:
    sqs, long = FakeSqs(), "in_" + "x" * 200
    for name in (long, long, long + "y"):
        invoice_queue(sqs).send({}, group=name, deduplication_id=f"evt_{name}")
    entries = [entry for (entry,) in sqs.batches]
    for column in ("MessageGroupId", "MessageDeduplicationId"):
        first, again, other = (entry[column] for entry in entries)
        assert first == again != other
        assert len(first) <= 128


def test_a_recompute_is_never_taken_for_another() -> None:
    sqs = FakeSqs()
    invoice_queue(sqs).recompute(["i1"])
    invoice_queue(sqs).recompute(["i1"])
    first, second = (batch[0] for batch in sqs.batches)
    assert first["MessageBody"] == second["MessageBody"]
    assert first["MessageDeduplicationId"] != second["MessageDeduplicationId"]


def test_many_messages_go_in_batches_of_ten() -> None:
    sqs = FakeSqs()
    invoice_queue(sqs).recompute(f"i{number}" for number in range(23))
    assert [len(batch) for batch in sqs.batches] == [10, 10, 3]
    groups = [entry["MessageGroupId"] for batch in sqs.batches for entry in batch]
    assert groups == [f"i{number}" for number in range(23)]


def test_a_standard_queue_has_no_groups() -> None:
    sqs = FakeSqs()
    SqsWorkQueue(cast("Any", sqs), "https://sqs/render").send_many([{"invoice": "i1"}])
    assert sqs.batches == [[{"Id": "0", "MessageBody": '{"invoice": "i1"}'}]]


@pytest.mark.parametrize(
    "error", [refusal("SendMessageBatch"), EndpointConnectionError(endpoint_url="https://sqs")]
)
def test_a_message_that_cannot_be_stored_is_said_to_be_unavailable(error: Exception) -> None:
    with pytest.raises(UpstreamUnavailable):
        invoice_queue(FakeSqs(error=error)).send({}, group="g")


def test_a_batch_that_was_stored_in_part_is_not_called_stored() -> None:
    with pytest.raises(UpstreamUnavailable):
        invoice_queue(FakeSqs(failed=[{"Id": "1", "Code": "InternalError"}])).recompute(["a", "b"])


def test_a_dead_letter_keeps_its_group_and_cannot_become_two() -> None:
    sqs = FakeSqs()
    control = SqsMessageControl(cast("Any", sqs), "https://sqs/invoices.fifo", "https://sqs/dead.fifo")
    record = {"messageId": "m1", "body": json.dumps({"type": "x"}), "attributes": {"MessageGroupId": "i1"}}
    control.send_to_dead_letters(record, "row_unreadable")
    (entry,) = sqs.sent
    assert (entry["QueueUrl"], entry["MessageGroupId"], entry["MessageDeduplicationId"]) == ("https://sqs/dead.fifo", "i1", "m1")  # fmt: skip
    assert entry["MessageAttributes"]["Reason"]["StringValue"] == "row_unreadable"
    assert entry["MessageBody"] == record["body"]
    control.send_to_dead_letters({**record, "attributes": {}}, "x")
    assert "MessageGroupId" not in sqs.sent[1]


def test_a_dead_letter_says_how_often_it_came_back() -> None:
    sqs = FakeSqs()
    control = SqsMessageControl(cast("Any", sqs), "https://sqs/render", "https://sqs/dead")
    record = {"messageId": "m1", "body": "{}", "attributes": {}, "messageAttributes": {}}
    control.send_to_dead_letters(record, "x")
    count = {"stringValue": "7", "dataType": "Number"}
    control.send_to_dead_letters({**record, "messageAttributes": {"Redriven": count}}, "x")
    first, again = (entry["MessageAttributes"] for entry in sqs.sent)
    assert "Redriven" not in first
    assert again["Redriven"] == {"DataType": "Number", "StringValue": "7"}


def test_a_message_is_postponed_on_its_own_queue() -> None:
    sqs = FakeSqs()
    SqsMessageControl(cast("Any", sqs), "https://sqs/q", "https://sqs/d").postpone("receipt", 40)
    assert sqs.visibility == [
        {"QueueUrl": "https://sqs/q", "ReceiptHandle": "receipt", "VisibilityTimeout": 40}
    ]
