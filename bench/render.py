"""One invoice, drawn by everything that could draw it, side by side in one run.

This project's renderer (by itself, and with a process for each document as in production), stock WeasyPrint on the same
HTML, a Chromium that stays open, Typst and ReportLab, on invoices of 10 to 5,000 lines; then the targets, each met or
not. Nothing fails over a target. Fewer rounds or other sizes: BILLING_BENCH_RENDER_ROUNDS, BILLING_BENCH_RENDER_LINES.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.documents.comparison import Comparison, plan
from bench.documents.engines import contestants
from bench.documents.report import report
from bench.documents.software import software
from bench.tables import remark

if TYPE_CHECKING:
    from bench.documents.comparison import Plan


def main() -> None:
    """Measure and print."""
    began = time.monotonic()
    remark(_busy("before"))
    with tempfile.TemporaryDirectory(prefix="directus-legal-billing-render.") as temporary:
        _compare(Path(temporary), plan(os.environ))
    remark("", _busy("afterwards"), f"All of it took {time.monotonic() - began:.0f} s.")


def _compare(folder: Path, wanted: Plan) -> None:
    chosen = software(folder / "software")
    remark(f"{chosen.description}.")
    if shutil.which("chromium") is None and shutil.which("chromium-browser") is None:
        remark("Chromium is missing on this machine and in these tables.")
    comparison = Comparison(wanted, contestants(chosen), folder, chosen.templates, _progress)
    comparison.run()
    remark(*report(comparison.figures, wanted.lines, comparison.running, comparison.claimed))
    for failure in comparison.failed.values():
        remark("", *failure.splitlines())


def _busy(when: str) -> str:
    """How much to believe of seconds by the clock: this benchmark alone is a load of 1."""
    return f"{os.cpu_count()} processors; load average {when}: {os.getloadavg()[0]:.1f}."


def _progress(line: str) -> None:
    """To a person who waits; not part of the tables."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
