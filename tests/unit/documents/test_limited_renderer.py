import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from billing.documents.pdf.limited_child import KERNELS_SHARE_ABOVE
from billing.documents.pdf.limited_renderer import PROCESSOR_SECONDS, limits_in
from billing.documents.rendered import MAX_DOCUMENT_BYTES
from tests.unit.documents import limited_cases as case
from tests.unit.documents.own_process import OwnProcess, Raised, own_process
from tests.unit.template.sam_template import read_template


@pytest.fixture(scope="module")
def process() -> Iterator[OwnProcess]:
    with own_process() as process:
        yield process


def refusal(raised: Any) -> tuple[str, str]:
    assert isinstance(raised, Raised), raised
    return raised.name, raised.told.get("code", "")


def test_what_was_drawn_comes_back_whole(process: OwnProcess) -> None:
    sha256 = hashlib.sha256(bytes(range(256)) * 20_000).hexdigest()
    assert process.call(case.large_and_whole) == (sha256, 3)


@pytest.mark.parametrize(
    "how",
    [
        case.hogs_memory,
        case.asks_for_too_much_at_once,
        case.is_refused_memory_inside_weasyprint,
    ],
)
def test_a_drawing_that_takes_too_much_memory_is_stopped_and_said(process: OwnProcess, how: Any) -> None:
    raised = process.call(how)
    assert refusal(raised) == ("Unprocessable", "too_much_memory")
    assert raised.text.startswith(
        "The document could not be drawn: it needs more memory than the 200 MB that one document may use."
    )


def test_a_document_longer_than_can_be_delivered_is_refused_by_its_length(process: OwnProcess) -> None:
    assert process.call(case.is_long, 5_999_900) == 5_999_900
    raised = process.call(case.is_long, 6_000_000)
    assert refusal(raised) == ("Unprocessable", "document_too_large")
    assert raised.text.startswith("The document is too large: its file would have more than 6 MB,")
    assert raised.text.endswith("then choose Render again.")


def test_a_drawing_that_uses_up_its_processor_seconds_is_too_slow_at_once(process: OwnProcess) -> None:
    raised = process.call(case.spins)
    assert refusal(raised) == ("Unprocessable", "too_slow")
    assert raised.text.startswith("The document could not be drawn: 1 seconds of work were not enough.")


def test_a_drawing_that_is_late_without_having_worked_is_tried_twice_more(process: OwnProcess) -> None:
    late = [refusal(process.call(case.waits, attempt)) for attempt in (1, 2, 3)]
    busy = ("UpstreamUnavailable", "renderer_busy")
    assert late == [busy, busy, ("Unprocessable", "too_slow")]


def test_without_time_left_nothing_is_drawn(process: OwnProcess) -> None:
    assert refusal(process.call(case.has_no_time_left)) == ("UpstreamUnavailable", "renderer_busy")


def test_a_drawing_that_crashes_fails_alone(process: OwnProcess) -> None:
    raised = process.call(case.dies, signal.SIGSEGV)
    assert refusal(raised) == ("RenderFailed", "rendering_failed")
    assert raised.text == "The drawing software broke down over this document (SIGSEGV)."


def test_a_drawing_that_the_kernel_kills_took_too_much_memory(process: OwnProcess) -> None:
    assert refusal(process.call(case.dies, signal.SIGKILL)) == ("Unprocessable", "too_much_memory")


def test_a_drawing_that_answers_nothing_is_a_defect(process: OwnProcess) -> None:
    assert refusal(process.call(case.leaves)) == ("RendererCrashed", "")


def test_refusals_keep_their_code_sentence_and_ids(process: OwnProcess) -> None:
    raised = process.call(case.refuses_the_logo)
    assert refusal(raised) == ("Unprocessable", "bad_logo")
    assert (raised.text, raised.told["ids"]) == ("The firm's logo cannot be printed: no.", {"file": "f"})
    assert process.call(case.is_not_drawn) == (
        "The document refers to something outside itself. | "
        "The document refers to something outside itself: file:///x \ud800 | {'invoice': 'i'}"
    )


def test_a_defect_is_told_by_type_and_place_without_the_documents_words(process: OwnProcess) -> None:
    raised = process.call(case.has_a_defect)
    assert raised.name == "RendererCrashed"
    assert raised.text.startswith("KeyError at limited_cases.py:")
    assert "how" in raised.text
    assert "Müller" not in raised.text


def test_a_drawing_reaches_nothing_of_its_parents(process: OwnProcess, tmp_path: Path) -> None:
    found = process.call(case.prints_and_writes, str(tmp_path))
    assert found == ["OSError", "nothing", "nothing", b""]
    assert process.call(case.changes_the_parents_state) == {"clean": True}


def test_a_thread_that_ends_is_waited_for(process: OwnProcess) -> None:
    assert process.call(case.beside_a_thread_that_ends).content == b"drawn"


def test_many_drawings_leave_no_file_open_and_no_thread(process: OwnProcess) -> None:
    assert process.call(case.threads_and_files_after, 10) == (0, 0)


def test_beside_a_thread_that_stays_nothing_is_forked(process: OwnProcess) -> None:
    raised = process.call(case.beside_a_thread_that_stays)
    assert refusal(raised) == ("UpstreamUnavailable", "renderer_not_started")


def test_the_limits_lie_below_the_functions() -> None:
    worker = read_template()["Resources"]["RenderPdfWorkerFunction"]["Properties"]
    limits = limits_in({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(worker["MemorySize"])})
    assert limits.memory_bytes * KERNELS_SHARE_ABOVE + 100e6 < worker["MemorySize"] * 1024 * 1024
    assert limits.processor_seconds == PROCESSOR_SECONDS < worker["Timeout"] - 60
    assert limits_in({}) == limits


def test_nothing_is_drawn_that_could_not_be_read_back() -> None:
    assert limits_in({}).answer_bytes <= MAX_DOCUMENT_BYTES
