"""One invoice, rendered by everything that could render it, side by side in one run.

This project's renderer, stock WeasyPrint on the same HTML, a Chromium that stays open, and Typst. Every engine takes its
turn in a fresh process, again and again, so that a busy neighbour disturbs all alike. Other sizes or fewer rounds:
BILLING_BENCH_RENDER_LINES, BILLING_BENCH_RENDER_ROUNDS.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pikepdf

from bench.documents import invoices
from bench.documents.engines import ENGINES
from bench.tables import heading, remark, row
from local.setup.paths import ROOT

USUAL_LINES: Final = "10,100,1000"
USUAL_ROUNDS: Final = 3
STOCK: Final = "stock WeasyPrint"
WARM_LINES: Final = 100
"""Rendered again in each round, in as many documents as that takes; at least one."""


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock and of the processor, the engine's children included; bytes of memory at most so far."""

    wall: float
    processor: float
    memory: int


@dataclass(frozen=True)
class Round:
    """One fresh process: getting ready, the first invoice, others of the same length."""

    ready: Spent
    first: Spent
    warm: list[Spent]


def main() -> None:
    """Measure and print."""
    sizes = [int(part) for part in os.environ.get("BILLING_BENCH_RENDER_LINES", USUAL_LINES).split(",")]
    rounds = int(os.environ.get("BILLING_BENCH_RENDER_ROUNDS", str(USUAL_ROUNDS)))
    with tempfile.TemporaryDirectory(prefix="directus-legal-billing-render.") as folder:
        for lines in sizes:
            compare(Path(folder), lines, rounds)
    remark(
        "start: its library and what is ours are imported, the browser is open. first: the first document after that.",
        "Processor time decides: the clock is this machine's. Memory: of Chromium the share of all its processes.",
        f"{os.cpu_count()} processors; load average at the end: {os.getloadavg()[0]:.1f}.",
    )


def compare(folder: Path, lines: int, rounds: int) -> None:
    """Render one size with every engine and print its table."""
    documents = [invoices.path(folder, lines, number) for number in range(1 + max(1, WARM_LINES // lines))]
    invoices.write(folder, lines, len(documents) - 1)
    taken: dict[str, list[Round]] = {name: [] for name in ENGINES}
    for number in range(rounds + 1):
        for name in [*taken]:
            sys.stderr.write(f"  {lines:,} lines, round {number} of {rounds}: {name}\n")
            try:
                one = rendered(name, documents)
            except subprocess.CalledProcessError as error:
                remark(f"{name} is left out: {error.stderr.strip().splitlines()[-1]}")
                del taken[name]
                continue
            if number:  # the first for nothing: files come from the disk, byte code and caches are written
                taken[name].append(one)
    heading(
        f"An invoice of {lines:,} lines, medians of {rounds} processes",
        *("start", "first", "warm", "processor", "of stock", "memory", "pages"),
    )
    for name, figures in taken.items():
        print_row(name, figures, taken.get(STOCK, []), folder / f"{name}.pdf")


def rendered(name: str, documents: list[Path]) -> Round:
    """One process of an engine; `CalledProcessError` if it fails."""
    command = [sys.executable, "-W", "ignore", "-m", "bench.documents.engines", name, *map(str, documents)]
    # As on Lambda there is no compiler on PATH: WeasyPrint would ask it for libraries. Chromium's start is a script.
    path = os.environ["PATH"] if "Chromium" in name else ""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    ready, first, *warm = (Spent(*json.loads(line)) for line in done.stdout.splitlines())
    return Round(ready, first, warm)


def print_row(name: str, rounds: list[Round], stock: list[Round], pdf: Path) -> None:
    """Print medians; `of stock` compares the processor time of a warm document."""
    with pikepdf.open(pdf) as document:
        pages = len(document.pages)
    processor = warm_processor(rounds)
    row(
        name,
        f"{statistics.median(one.ready.wall for one in rounds):.2f} s",
        f"{statistics.median(one.first.wall for one in rounds):.3f} s",
        f"{statistics.median(spent.wall for one in rounds for spent in one.warm):.3f} s",
        f"{processor:.3f} s",
        f"{processor / warm_processor(stock):.2f}" if stock else "",
        f"{max(one.warm[-1].memory for one in rounds) / 1e6:.0f} MB",
        f"{pages}",
    )


def warm_processor(rounds: list[Round]) -> float:
    """The median processor seconds of a document that is not the first."""
    return statistics.median(spent.processor for one in rounds for spent in one.warm)
