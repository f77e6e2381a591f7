"""The targets of a document's cost, each beside what was measured. They are reported; nothing fails over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.documents.engines import CHROMIUM, LIMITED, OURS, STOCK, STOCK_WITHOUT_BYTE_CODE
from bench.documents.figures import MEGABYTE, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.documents.figures import Document, Figures, Spent

SHORT: Final = 10
LONG: Final = 1_000
LONGEST: Final = 5_000


@dataclass(frozen=True)
class Target:
    """`measured` must not be above `bound`, or must be below it if `below`; None: not measured in this run."""

    name: str
    bound: float
    measured: float | None
    unit: str = ""
    below: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it holds; None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured < self.bound if self.below else self.measured <= self.bound

    @property
    def wanted(self) -> str:
        """The bound as a person reads it."""
        return f"{'<' if self.below else '<='} {self.bound:g}{self.unit}"

    @property
    def seen(self) -> str:
        """The measurement as a person reads it."""
        if self.measured is None:
            return "not measured"
        return f"{self.measured:.0f}{self.unit}" if self.unit else f"{self.measured:.2f}"

    @property
    def verdict(self) -> str:
        """`met`, `NOT MET`, or nothing where nothing was measured."""
        return {True: "met", False: "NOT MET", None: "-"}[self.met]


def targets(figures: Figures) -> list[Target]:
    """Every target, in the order of the table."""
    return [*_imports(figures), *_speed(figures), *_linear(figures), *_memory(figures)]


def _imports(figures: Figures) -> Iterator[Target]:
    ours = figures.imported(OURS)
    for name, bound in ((STOCK_WITHOUT_BYTE_CODE, 0.15), (STOCK, 0.5)):
        stock = figures.imported(name)
        yield Target(f"cold import, clock, of {name}", bound, ratio(_wall(ours), _wall(stock)))
        yield Target(f"cold import, processor, of {name}", bound, ratio(_processor(ours), _processor(stock)))


def _speed(figures: Figures) -> Iterator[Target]:
    for lines in (SHORT, LONG):
        ours, stock = _usual(figures.document(OURS, lines)), _usual(figures.document(STOCK, lines))
        yield Target(
            f"warm, {lines:,} lines, processor, of {STOCK}",
            0.5,
            ratio(_processor(ours), _processor(stock)),
        )
        yield Target(f"warm, {lines:,} lines, clock, of {STOCK}", 0.5, ratio(_wall(ours), _wall(stock)))
        if lines == SHORT:
            chromium = _usual(figures.document(CHROMIUM, lines))
            yield Target(
                f"warm, {lines:,} lines, clock, of {CHROMIUM}",
                1,
                ratio(_wall(ours), _wall(chromium)),
                below=True,
            )


def _linear(figures: Figures) -> Iterator[Target]:
    for engine in (OURS, LIMITED):
        long, longest = figures.document(engine, LONG), figures.document(engine, LONGEST)
        yield Target(
            f"{engine}: processor per line at {LONGEST:,}, of that at {LONG:,}",
            1.15,
            ratio(
                longest.milliseconds_per_line if longest else None,
                long.milliseconds_per_line if long else None,
            ),
        )


def _memory(figures: Figures) -> Iterator[Target]:
    for engine in (OURS, LIMITED):
        for lines, megabytes in ((SHORT, 90), (LONG, 220)):
            document = figures.document(engine, lines)
            yield Target(
                f"{engine}: peak memory, {lines:,} lines",
                megabytes,
                document.peak_bytes / MEGABYTE if document else None,
                " MB",
                below=True,
            )


def _usual(document: Document | None) -> Spent | None:
    return document.usual if document else None


def _wall(spent: Spent | None) -> float | None:
    return spent.wall if spent else None


def _processor(spent: Spent | None) -> float | None:
    return spent.processor if spent else None
