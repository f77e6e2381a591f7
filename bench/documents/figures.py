"""What is measured of an engine, and what one says of many measurements: medians."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Spent:
    """Seconds: by the clock, and of the processor (whatever the engine started for itself included)."""

    wall: float
    processor: float


@dataclass(frozen=True)
class ColdStart:
    """A fresh process: the import, what else must be ready, the first document; and all of it from outside.

    `elapsed` is seconds by the clock from starting the process until its first document is finished.
    """

    imported: Spent
    prepared: Spent
    first: Spent
    elapsed: float


@dataclass(frozen=True)
class Document:
    """One invoice drawn by one engine: in a fresh process first, then again with other words in every line."""

    lines: int
    first: Spent
    peak_bytes: int
    file_bytes: int
    pages: int
    warm: list[Spent] = field(default_factory=list)

    @property
    def usual(self) -> Spent:
        """The median of the warm ones; the first where there are none."""
        return median(self.warm) if self.warm else self.first

    @property
    def milliseconds_per_line(self) -> float:
        """Of the processor."""
        return 1000 * self.usual.processor / self.lines


@dataclass
class Figures:
    """All of one run, by the engines' names."""

    cold: dict[str, list[ColdStart]] = field(default_factory=dict)
    documents: dict[tuple[str, int], Document] = field(default_factory=dict)
    html: dict[int, float] = field(default_factory=dict)
    """Processor seconds that our template needs for the HTML, which stock WeasyPrint and Chromium get for nothing."""

    def imported(self, engine: str) -> Spent | None:
        """The median of an engine's cold imports; None where it was not measured."""
        starts = self.cold.get(engine)
        return median(start.imported for start in starts) if starts else None

    def document(self, engine: str, lines: int) -> Document | None:
        """What an engine did with that many lines; None where it was not measured."""
        return self.documents.get((engine, lines))


def median(spent: Iterable[Spent]) -> Spent:
    """The middle of the clock's seconds and the middle of the processor's, each by itself."""
    several = list(spent)
    return Spent(
        statistics.median(one.wall for one in several), statistics.median(one.processor for one in several)
    )


def ratio(measured: float | None, beside: float | None) -> float | None:
    """`measured` divided by `beside`; None where either is missing or the divisor is nothing."""
    return measured / beside if measured is not None and beside else None
