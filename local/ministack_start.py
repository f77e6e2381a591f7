"""Starts MiniStack with two fixes of its latency and one of its throttling; run by the environment `ministack`.

Measured with 1.5.33: a warm invocation took 100 ms, with the first two 15 ms. Nothing of its behaviour changes by
them, except that a log line written after the answer may land in the next invocation's log.

The third: at its limit of concurrent invocations MiniStack refuses whoever comes next at once. It refuses a queue's
worker as well, and leaves its message invisible for the whole visibility timeout (adapter/emulator_gaps.py); AWS tries it
again meanwhile. An invoice with many lines calls a function once per line in the same moment, so here a call waits
until there is room, and the queues' workers have room of their own (`Slots`).
"""

import importlib
import logging
import os
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

FIRST_LINE_SECONDS: Final = 0.005
IDLE_SECONDS: Final = 0.002
CAP_SECONDS: Final = 0.25
REAP_SECONDS: Final = 3.0
KEPT_FOR_QUEUE_WORKERS: Final = 12
"""As many as run at once at most: the sum of MaximumConcurrency in template.yaml. They take part in the limit."""
LONGEST_WAIT_SECONDS: Final = 20.0
"""How long a call waits for room before it is refused after all: with the 10 s that a function behind the API may run
it is answered within the 30 s after which API Gateway gives up."""
PAUSE_SECONDS: Final = 0.02
_QUEUE_WORKERS_THREAD: Final = "ministack-esm"
type Slot = tuple[str | None, str | None]
"""What MiniStack answers who asks for room: the slot, or else which limit is reached, `account` or `function`."""


@dataclass(frozen=True)
class Slots:
    """MiniStack's room for concurrent invocations, of which the last is kept for the queues' workers.

    `acquire` is MiniStack's own and never waits; `in_flight` counts what runs now; `limit` is for all together.
    """

    acquire: Callable[[Any, Any], Slot]
    in_flight: Callable[[], int]
    limit: int
    is_queue_worker: Callable[[], bool]
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def wait_for_one(self, function: Any, configuration: Any) -> Slot:
        """Acquire as MiniStack does, but wait for room; a function's own limit refuses at once, as on AWS.

        No function of ours invokes another one and waits for it, so nobody waits for who waits for him.
        """
        give_up_at = self.now() + LONGEST_WAIT_SECONDS
        while True:
            slot, reached = self._try(function, configuration)
            if slot is not None or reached != "account" or self.now() >= give_up_at:
                return slot, reached
            self.pause(PAUSE_SECONDS)

    def _try(self, function: Any, configuration: Any) -> Slot:
        kept = 0 if self.is_queue_worker() else KEPT_FOR_QUEUE_WORKERS
        with self._one_at_a_time:  # or two would see the same last room
            if self.in_flight() >= self.limit - kept:
                return None, "account"
            return self.acquire(function, configuration)


def main() -> None:
    """Apply the fixes and run the emulator until it is told to stop."""
    # The Runtime API writes headers and body separately: Nagle and delayed acknowledgement cost 40 ms.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    worker: Any = importlib.import_module("ministack.core.lambda_runtime").Worker
    drain = worker._drain_stderr_bounded  # noqa: SLF001 - the wait of 50 ms for log lines has no other handle

    def drain_quickly(
        self: Any, first_line_wait: float = 0.0, idle_confirm: float = 0.0, hard_cap: float = 0.0
    ) -> str:
        del first_line_wait, idle_confirm, hard_cap
        lines: str = drain(self, FIRST_LINE_SECONDS, IDLE_SECONDS, CAP_SECONDS)
        return lines

    worker._drain_stderr_bounded = drain_quickly  # noqa: SLF001 - as above
    let_calls_wait(importlib.import_module("ministack.services.lambda_svc"))
    # They name every recipient; the mail itself is in the mail catcher.
    for name in ("ses", "ses-v2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Inside the function: the module reads its settings from the environment when imported.
    try:
        importlib.import_module("ministack.app").main()
    finally:
        reap_children()


def let_calls_wait(service: Any) -> None:
    """Make MiniStack's module of Lambda take its slots from `Slots`."""
    service._acquire_execution_slot = Slots(  # noqa: SLF001 - the one point that every invocation passes
        acquire=service._acquire_execution_slot,  # noqa: SLF001 - as above
        in_flight=lambda: int(service.executions_in_flight()[0]),
        limit=int(service._ACCOUNT_CONCURRENCY_CAP),  # noqa: SLF001 - what it made of LAMBDA_ACCOUNT_CONCURRENCY
        is_queue_worker=lambda: threading.current_thread().name == _QUEUE_WORKERS_THREAD,
    ).wait_for_one


def reap_children() -> None:
    """Wait for the environments of functions, which the emulator killed, so that none is left as a zombie."""
    deadline = time.monotonic() + REAP_SECONDS
    while time.monotonic() < deadline:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            time.sleep(0.02)


if __name__ == "__main__":
    main()
