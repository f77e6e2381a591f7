"""Runs the comparison: one engine at a time is at work, and all of them take turns, so a neighbour disturbs all alike."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.documents import invoices
from bench.documents.figures import Figures, Spent
from bench.documents.pdf_claims import claims
from bench.documents.process import EngineFailed, EngineProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.documents.engines import Contestant
    from bench.documents.pdf_claims import Claims

USUAL_LINES: Final = "10,100,1000,5000"
USUAL_ROUNDS: Final = 5
_SECONDS_A_LINE: Final = 0.016
"""Of stock WeasyPrint: what decides how often a size can be repeated."""
_SECONDS_PER_SIZE: Final = 8


@dataclass(frozen=True)
class Plan:
    """`rounds` cold starts of every engine; `lines` are the sizes."""

    rounds: int
    lines: tuple[int, ...]

    def warm_rounds(self, lines: int) -> int:
        """How often a size is drawn again when warm: short ones more often; the longest only once, when cold."""
        affordable = _SECONDS_PER_SIZE / (lines * _SECONDS_A_LINE)
        return min(3 * self.rounds, math.ceil(affordable * self.rounds)) if affordable > 1 / 3 else 0


def plan(environment: Mapping[str, str]) -> Plan:
    """Read `BILLING_BENCH_RENDER_ROUNDS` and `BILLING_BENCH_RENDER_LINES`."""
    lines = environment.get("BILLING_BENCH_RENDER_LINES", USUAL_LINES)
    rounds = int(environment.get("BILLING_BENCH_RENDER_ROUNDS", USUAL_ROUNDS))
    return Plan(max(1, rounds), tuple(int(part) for part in lines.split(",")))


class Comparison:
    """`figures` grow while it runs; `claimed` is what each engine's shortest file says of itself, `failed` why one is out."""

    def __init__(
        self,
        plan: Plan,
        contestants: Sequence[Contestant],
        folder: Path,
        templates: Path,
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._contestants = contestants
        self._folder = folder
        self._templates = templates
        self._say = say
        self.figures = Figures()
        self.claimed: dict[str, Claims] = {}
        self.failed: dict[str, str] = {}

    def run(self) -> None:
        """Measure everything."""
        for lines in self._plan.lines:
            rounds = self._plan.warm_rounds(lines)
            self.figures.html[lines] = invoices.write(self._folder, self._templates, lines, rounds)
        self._cold_starts()
        for lines in self._plan.lines:
            self._documents(lines)

    def _cold_starts(self) -> None:
        document = invoices.path(self._folder, min(self._plan.lines), 0)
        # Once for nothing: files come from the disk, and fontconfig writes its cache.
        for number in range(self._plan.rounds + 1):
            self._say(
                f"  cold starts, {f'round {number} of {self._plan.rounds}' if number else 'not counted'}"
            )
            for contestant in self._turns(number, self.running):
                with (
                    self._dropped_if_it_fails(contestant),
                    EngineProcess(contestant, self._folder) as process,
                ):
                    measured = process.cold_start(document)
                    if number:
                        self.figures.cold.setdefault(contestant.name, []).append(measured)
                    else:
                        self.claimed[contestant.name] = claims(process.pdf)

    def _documents(self, lines: int) -> None:
        rounds = self._plan.warm_rounds(lines)
        with contextlib.ExitStack() as running:
            kept: dict[str, EngineProcess] = {}
            for contestant in self.running:
                if not contestant.cold_only:
                    self._first_document(contestant, lines, running if rounds else None, kept)
            for number in range(1, rounds + 1):
                self._say(f"  {lines:,} lines, warm: round {number} of {rounds}")
                document = invoices.path(self._folder, lines, number)
                for contestant in self._turns(number, [one for one in self.running if one.name in kept]):
                    with self._dropped_if_it_fails(contestant):
                        drawn = Spent(**kept[contestant.name].draw(document)["drawn"])
                        self.figures.documents[contestant.name, lines].warm.append(drawn)

    def _first_document(
        self,
        contestant: Contestant,
        lines: int,
        running: contextlib.ExitStack | None,
        kept: dict[str, EngineProcess],
    ) -> None:
        """In a new process, which is `kept` while `running`; else it would only hold its memory."""
        self._say(f"  {lines:,} lines, first document: {contestant.name}")
        with self._dropped_if_it_fails(contestant), contextlib.ExitStack() as until_drawn:
            process = until_drawn.enter_context(EngineProcess(contestant, self._folder))
            first = process.first_document(invoices.path(self._folder, lines, 0), lines)
            self.figures.documents[contestant.name, lines] = first
            if running:
                kept[contestant.name] = process
                running.push(until_drawn.pop_all())

    @contextlib.contextmanager
    def _dropped_if_it_fails(self, contestant: Contestant) -> Iterator[None]:
        """The others go on without it."""
        try:
            yield
        except EngineFailed as failure:
            self._say(f"  {failure}")
            self.failed[contestant.name] = str(failure)

    @property
    def running(self) -> list[Contestant]:
        """Those that have not failed."""
        return [contestant for contestant in self._contestants if contestant.name not in self.failed]

    def _turns(self, number: int, contestants: Sequence[Contestant]) -> list[Contestant]:
        """Another one begins each round: nobody always comes after the same neighbour."""
        first = number % len(contestants)
        return [*contestants[first:], *contestants[:first]]
