"""Whose work it is: processor seconds by program of a stack, sampled from /proc while something runs."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from local.supervisor import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_SECONDS: Final = 0.5
_TICKS: Final = os.sysconf("SC_CLK_TCK")

EMULATOR: Final = "AWS emulator"
OTHERS: Final = "others"
_BY_COMMAND: Final = (
    ("awslambdaric app.handler", "functions behind the API"),
    ("awslambdaric worker.handler", "workers' functions"),
    ("awslambdaric", "other functions"),
    ("ministack_start.py", EMULATOR),
    ("local.stripe_simulator", "Stripe simulator"),
    ("local.mail_catcher", "mail catcher"),
    ("dist/cli/run.js", "Directus"),
    ("postgres", "PostgreSQL"),
)


class ProcessorTime:
    """Seconds by program between `begin` and `end`; a process that ends between two samples loses its last bit."""

    def __init__(self, stack_directory: Path) -> None:
        """`stack_directory` marks the processes of the stack."""
        self._mark = f"{MARK}={stack_directory}".encode()
        self._before: dict[tuple[int, int], float] = {}
        self._latest: dict[tuple[int, int], tuple[str, float]] = {}
        self._ended = threading.Event()

    @classmethod
    @contextmanager
    def of(cls, stack_directory: Path) -> Iterator[Self]:
        """Sample until the block ends; ask `by_program` afterwards."""
        measured = cls(stack_directory)
        measured._sample()
        measured._before = {key: seconds for key, (_, seconds) in measured._latest.items()}
        thread = threading.Thread(target=measured._run, daemon=True)
        thread.start()
        try:
            yield measured
        finally:
            measured._ended.set()
            thread.join()

    def by_program(self) -> dict[str, float]:
        """Processor seconds of each program, the busiest first."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for key, (program, spent) in self._latest.items():
            seconds[program] += spent - self._before.get(key, 0.0)
        return dict(sorted(seconds.items(), key=lambda item: -item[1]))

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        processes = dict(_processes())
        for pid, (parent, started, spent, command) in processes.items():
            program = "this benchmark" if pid == os.getpid() else _program(command)
            if program is not None and (pid == os.getpid() or self._is_of_the_stack(pid, parent, processes)):
                self._latest[(pid, started)] = (program, spent)

    def _is_of_the_stack(
        self, pid: int, parent: int, processes: dict[int, tuple[int, int, float, str]]
    ) -> bool:
        """Functions run with an environment of their own: their ancestors carry the mark."""
        while pid > 1:
            try:
                if self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return True
            except OSError:
                return False
            pid, parent = parent, processes.get(parent, (0, 0, 0.0, ""))[0]
        return False


def _processes() -> Iterator[tuple[int, tuple[int, int, float, str]]]:
    """Every process: id, then parent, start, processor seconds and command line."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            text = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        spent = (int(fields[11]) + int(fields[12])) / _TICKS
        yield int(folder.name), (int(fields[1]), int(fields[19]), spent, command)


def _program(command: str) -> str | None:
    return next((name for part, name in _BY_COMMAND if part in command), OTHERS if command else None)
