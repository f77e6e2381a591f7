"""Room for concurrent invocations in the emulator: who waits, who is refused, who finds room of his own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from local.adapter.emulator_gaps import MARGIN_SECONDS
from local.ministack_start import (
    KEPT_FOR_QUEUE_WORKERS,
    LONGEST_WAIT_SECONDS,
    PAUSE_SECONDS,
    Slot,
    Slots,
    let_calls_wait,
)
from local.programs import LAMBDA_CONCURRENCY
from tests.unit.template.sam_template import read_template

FOR_CALLS = LAMBDA_CONCURRENCY - KEPT_FOR_QUEUE_WORKERS


@dataclass
class Emulator:
    """MiniStack's own counting, and a clock that only a wait moves; `ends_at` is when one invocation ends."""

    running: int = 0
    ends_at: float | None = None
    own_limit_reached: bool = False
    is_queue_worker: bool = False
    time: float = 0.0
    most: int = 0
    waits: list[float] = field(default_factory=list)

    def acquire(self, function: Any, configuration: Any) -> Slot:
        del configuration
        if self.own_limit_reached:
            return None, "function"
        if self.running >= LAMBDA_CONCURRENCY:
            return None, "account"
        self.running += 1
        self.most = max(self.most, self.running)
        return str(function), None

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds
        if self.ends_at is not None and self.time >= self.ends_at:
            self.running -= 1
            self.ends_at = None

    def ask(self) -> Slot:
        return Slots(
            acquire=self.acquire,
            in_flight=lambda: self.running,
            limit=LAMBDA_CONCURRENCY,
            is_queue_worker=lambda: self.is_queue_worker,
            now=lambda: self.time,
            pause=self.pause,
        ).wait_for_one("function", {})


def test_a_call_that_finds_room_does_not_wait() -> None:
    emulator = Emulator(running=FOR_CALLS - 1)
    assert emulator.ask() == ("function", None)
    assert emulator.waits == []


def test_a_call_waits_until_another_has_ended() -> None:
    emulator = Emulator(running=FOR_CALLS, ends_at=3.0)
    assert emulator.ask() == ("function", None)
    assert emulator.most == FOR_CALLS
    assert 3.0 <= emulator.time < 3.0 + 2 * PAUSE_SECONDS


def test_a_call_that_finds_no_room_for_long_is_refused_as_the_emulator_refuses() -> None:
    emulator = Emulator(running=FOR_CALLS)
    assert emulator.ask() == (None, "account")
    assert LONGEST_WAIT_SECONDS <= emulator.time < LONGEST_WAIT_SECONDS + 2 * PAUSE_SECONDS
    assert emulator.running == FOR_CALLS


def test_a_queues_worker_finds_the_room_that_calls_cannot_take() -> None:
    emulator = Emulator(running=LAMBDA_CONCURRENCY - 1, is_queue_worker=True)
    assert emulator.ask() == ("function", None)
    assert emulator.waits == []


def test_a_queues_worker_waits_as_well_when_that_room_is_taken() -> None:
    emulator = Emulator(running=LAMBDA_CONCURRENCY, ends_at=1.0, is_queue_worker=True)
    assert emulator.ask() == ("function", None)
    assert emulator.most == LAMBDA_CONCURRENCY


def test_a_functions_own_limit_refuses_at_once_as_on_aws() -> None:
    emulator = Emulator(own_limit_reached=True)
    assert emulator.ask() == (None, "function")
    assert emulator.waits == []


def test_calls_at_the_same_moment_never_take_what_is_kept() -> None:
    emulator = Emulator()
    slots = Slots(
        acquire=emulator.acquire,
        in_flight=lambda: emulator.running,
        limit=LAMBDA_CONCURRENCY,
        is_queue_worker=lambda: False,
        now=lambda: emulator.time,
        pause=emulator.pause,
    )
    together = threading.Barrier(2 * FOR_CALLS)

    def call(number: int) -> Slot:
        together.wait(timeout=30)
        return slots.wait_for_one(number, {})

    with ThreadPoolExecutor(2 * FOR_CALLS) as calls:
        answers = list(calls.map(call, range(2 * FOR_CALLS)))
    assert emulator.most == FOR_CALLS
    assert sorted(answer[1] or "" for answer in answers) == [""] * FOR_CALLS + ["account"] * FOR_CALLS


def test_what_is_kept_is_enough_for_every_worker_of_the_template() -> None:
    sources = [
        event["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        for resource in read_template()["Resources"].values()
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS"
    ]
    assert len(sources) == 3
    assert sum(sources) <= KEPT_FOR_QUEUE_WORKERS


def test_a_worker_that_had_to_wait_ends_before_its_message_comes_back() -> None:
    assert LONGEST_WAIT_SECONDS < MARGIN_SECONDS


def test_the_emulators_workers_are_known_by_their_thread() -> None:
    emulator = Emulator(running=FOR_CALLS)
    service = SimpleNamespace(
        _acquire_execution_slot=emulator.acquire,
        executions_in_flight=lambda: (emulator.running, {}),
        _ACCOUNT_CONCURRENCY_CAP=LAMBDA_CONCURRENCY,
    )
    let_calls_wait(service)
    answers: list[Slot] = []
    worker = threading.Thread(
        target=lambda: answers.append(service._acquire_execution_slot("worker", {})),
        name="ministack-esm",
        daemon=True,
    )
    worker.start()
    worker.join(timeout=10)
    assert answers == [("worker", None)]
