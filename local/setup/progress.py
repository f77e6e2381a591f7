"""Lines a person can follow while things are installed: one per step with its seconds, and a heartbeat."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HEARTBEAT_SECONDS: Final = 15.0


class Progress:
    """Prints steps as they begin and end; safe to use from several threads.

    Quick steps (under a second) print one line only, so that a warm start stays short.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def say(self, sentence: str) -> None:
        """Print one line at once, also when standard output is a pipe."""
        with self._lock:
            sys.stdout.write(f"{sentence}\n")
            sys.stdout.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Run a block as a named step and print how long it took, or that it failed."""
        began = time.monotonic()
        with self._lock:
            self._running[name] = began
            if self._thread is None:
                self._thread = threading.Thread(target=self._heartbeat, name="heartbeat", daemon=True)
                self._thread.start()
        outcome = "failed after"
        try:
            yield
            outcome = "done in"
        finally:
            with self._lock:
                self._running.pop(name, None)
            self.say(f"  {name}: {outcome} {time.monotonic() - began:.1f} s")

    def close(self) -> None:
        """End the heartbeat."""
        self._stop.set()

    def _heartbeat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            now = time.monotonic()
            with self._lock:
                running = [f"{name} ({now - began:.0f} s)" for name, began in self._running.items()]
            if running:
                self.say(f"  … {now - self._began:.0f} s, still working on: {', '.join(running)}")
