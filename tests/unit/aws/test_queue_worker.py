from typing import Any

import pytest

from billing.aws.queue_worker import RENDERING, GiveUp, Retry, disposition, process_batch
from billing.errors import DirectusRejected, NotFound, StripeRejected, UpstreamUnavailable
from billing.messages import Rendering, RenderInvoicePdf
from tests.fakes.messages import Control, record


def worked(*records: dict[str, Any], **errors: Exception) -> tuple[list[str], Control, list[str]]:
    control, seen = Control(), []

    def handle(message: Rendering) -> None:
        assert isinstance(message, RenderInvoicePdf)
        seen.append(message.invoice)
        if error := errors.get(message.invoice):
            raise error

    answer = process_batch({"Records": list(records)}, RENDERING, handle, control)
    return [failed["itemIdentifier"] for failed in answer["batchItemFailures"]], control, seen


@pytest.mark.parametrize(
    ("receives", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 320), (8, 640), (9, 1280), (10, 2560), (11, 3600), (40, 3600), (10**6, 3600)],
)  # fmt: skip
def test_the_backoff_doubles_up_to_an_hour(receives: int, seconds: int) -> None:
    assert disposition(UpstreamUnavailable("x"), receives) == Retry(seconds)


def test_forty_receives_last_longer_than_a_day() -> None:
    waits = [disposition(UpstreamUnavailable("x"), receives) for receives in range(1, 41)]
    assert sum(wait.seconds for wait in waits if isinstance(wait, Retry)) > 24 * 3600


@pytest.mark.parametrize("error", [NotFound("x"), DirectusRejected("x"), StripeRejected("x")])
def test_what_will_not_pass_is_given_up_at_once(error: Exception) -> None:
    assert disposition(error, 1) == GiveUp()


def test_a_failure_without_a_name_is_tried_three_times() -> None:
    assert [disposition(KeyError("x"), receives) for receives in (1, 2, 3)] == [Retry(5), Retry(10), GiveUp()]


def test_only_the_messages_that_failed_are_delivered_again() -> None:
    failed, control, seen = worked(
        record("a"), record("b"), record("c"), b=UpstreamUnavailable("x", retry_after=2)
    )
    assert seen == ["a", "b", "c"]
    assert failed == ["b"]
    assert control.postponed == [("receipt b", 2)]
    assert control.dead == []


def test_a_permanent_failure_is_kept_and_finished() -> None:
    failed, control, _ = worked(record("a"), a=NotFound("x", code="not_found"))
    assert failed == []
    assert control.dead == [("a", "not_found")]


def test_a_message_that_is_no_json_ends_as_a_dead_letter() -> None:
    for body in ("", "{", "\x00", "[]"):
        failed, control, _ = worked(record("a", body))
        assert (failed, control.dead) == ([], [("a", "malformed_message")])


def test_a_message_is_not_finished_unless_its_dead_letter_is_stored() -> None:
    control = Control(error=RuntimeError("SQS is away"))

    def handle(_: Rendering) -> None:
        raise NotFound("x")

    with pytest.raises(RuntimeError):
        process_batch({"Records": [record("a")]}, RENDERING, handle, control)
