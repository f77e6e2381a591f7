"""Starts MiniStack with two fixes of its latency; run by the Python of the environment `ministack`.

Measured with 1.5.33: a warm invocation took 100 ms, with these 15 ms. Nothing of its behaviour changes,
except that a log line written after the answer may land in the next invocation's log.
"""

import importlib
import logging
import os
import socketserver
import time
from typing import Any, Final

FIRST_LINE_SECONDS: Final = 0.005
IDLE_SECONDS: Final = 0.002
CAP_SECONDS: Final = 0.25
REAP_SECONDS: Final = 3.0


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
    # They name every recipient; the mail itself is in the mail catcher.
    for name in ("ses", "ses-v2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Inside the function: the module reads its settings from the environment when imported.
    try:
        importlib.import_module("ministack.app").main()
    finally:
        reap_children()


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
