"""How much time an invocation has left.

A function that is killed answers nothing and leaves its caller with a 5xx that says nothing. One that begins no call
that could outlast it answers `UpstreamUnavailable` in time, and the next call goes on where it stopped.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class TimeLimit:
    """The end of the invocation under way; none until one begins."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._end = math.inf

    def begins(self, seconds: float) -> None:
        """An invocation begins that is killed after `seconds`."""
        self._end = self._clock() + seconds

    def remaining(self) -> float:
        """Seconds until then."""
        return self._end - self._clock()

    def before(self, seconds: float) -> Callable[[], float]:
        """How long something may still take that must leave so many seconds."""
        return lambda: self.remaining() - seconds
