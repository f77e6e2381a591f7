"""The comparison as tables."""

from __future__ import annotations

from statistics import median as middle
from typing import TYPE_CHECKING

from bench.documents.engines import STOCK
from bench.documents.figures import MEGABYTE, median, ratio
from bench.documents.targets import targets
from bench.tables import heading, remark, row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.documents.engines import Contestant
    from bench.documents.figures import Figures
    from bench.documents.pdf_claims import Claims

NOTHING = "-"


def write(
    figures: Figures, sizes: Sequence[int], engines: Sequence[Contestant], claimed: Mapping[str, Claims]
) -> None:
    """Print every table."""
    names = [engine.name for engine in engines]
    cold(figures, names, min(sizes))
    for lines in sizes:
        documents(figures, names, lines)
    what_they_are(engines, claimed)
    met_or_not(figures)


def cold(figures: Figures, names: Sequence[str], lines: int) -> None:
    """Fresh processes."""
    rounds = max(len(starts) for starts in figures.cold.values())
    heading(
        f"Cold: a fresh process draws {lines:,} lines; seconds, medians of {rounds}",
        "import", "of stock", "then ready", "first", "its processor", "start to PDF",
    )  # fmt: skip
    stock = figures.imported(STOCK)
    for name in names:
        starts = figures.cold[name]
        imported, prepared, first = (
            median(getattr(start, part) for start in starts) for part in ("imported", "prepared", "first")
        )
        row(
            name,
            f"{imported.wall:.3f}",
            times(ratio(imported.wall, stock.wall if stock else None)),
            f"{prepared.wall:.3f}",
            f"{first.wall:.3f}",
            f"{first.processor:.3f}",
            f"{middle(start.elapsed for start in starts):.2f}",
        )
    remark(
        "import: the library (Chromium: Playwright, and the browser's start). then ready: ours imports its own modules,",
        "Jinja2 and Babel; in a process per document one is drawn for nobody, too, as in Lambda's init. No compiler",
        "is on WeasyPrint's PATH, as on Lambda: looking for libraries would cost stock more with one.",
    )


def documents(figures: Figures, names: Sequence[str], lines: int) -> None:
    """One size."""
    measured = [(name, figures.document(name, lines)) for name in names]
    rounds = max(len(document.warm) for _, document in measured if document)
    again = f"warm: medians of {rounds}" if rounds else "drawn once"
    heading(
        f"{lines:,} lines; seconds, {again}",
        "first", "its processor", "warm", "its processor", "ms a line", "x of stock", "memory", "size", "pages",
    )  # fmt: skip
    stock = figures.document(STOCK, lines)
    for name, document in measured:
        if document is None:
            continue
        warm = median(document.warm) if document.warm else None
        row(
            name,
            f"{document.first.wall:.3f}",
            f"{document.first.processor:.3f}",
            f"{warm.wall:.3f}" if warm else NOTHING,
            f"{warm.processor:.3f}" if warm else NOTHING,
            f"{document.milliseconds_per_line:.2f}",
            times(ratio(document.usual.processor, stock.usual.processor if stock else None)),
            f"{document.peak_bytes / MEGABYTE:.0f} MB",
            f"{document.file_bytes / 1000:.0f} kB",
            str(document.pages),
        )
    remark(
        f"Our HTML for it takes {figures.html[lines]:.3f} s of that: ours makes it, stock and Chromium get it."
    )


def what_they_are(engines: Sequence[Contestant], claimed: Mapping[str, Claims]) -> None:
    """What the figures are figures of."""
    heading("What is drawn, as each engine's file says of itself, and what it lacks")
    for engine in engines:
        remark(f"{engine.name}: {claimed[engine.name].sentence}.", f"    {engine.lacks}")
    remark(
        "Every warm round has other words in every line: Typst remembers what it has laid out.",
        "memory: the peak of the process that draws (VmHWM); Chromium: the sum of its processes' shares (PSS).",
        "MB and kB are powers of ten; ms a line and x of stock are processor time.",
    )


def met_or_not(figures: Figures) -> None:
    """The targets."""
    heading("Targets (reported, not enforced)", "wanted", "measured", "")
    for target in targets(figures):
        row(target.name, target.wanted, target.seen, target.verdict)


def times(value: float | None) -> str:
    """A ratio, or nothing."""
    return NOTHING if value is None else f"{value:.2f}"
