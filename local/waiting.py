"""Waiting for a condition with a deadline: nothing here sleeps and hopes. Standard library only."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 0.05


class NeverHappened(AssertionError):
    """The condition did not come true in time."""


def wait_for[Value](
    what: str, look: Callable[[], Value | None], *, seconds: float = 60, pause: float = PAUSE_SECONDS
) -> Value:
    """Look until something is found (neither None, False nor empty) and return it; `NeverHappened` after `seconds`.

    `pause` is the time between two looks, in seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            message = f"Waited {seconds:g} s in vain for {what}."
            raise NeverHappened(message)
        time.sleep(pause)
