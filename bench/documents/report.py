"""The comparison as tables."""

from __future__ import annotations

from statistics import median as middle
from typing import TYPE_CHECKING

from bench.documents.columns import columns
from bench.documents.engines import OURS, STOCK
from bench.documents.figures import MEGABYTE, median, ratio
from bench.documents.targets import targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.documents.engines import Contestant
    from bench.documents.figures import ColdStart, Document, Figures, Spent
    from bench.documents.pdf_claims import Claims

NOTHING = "-"


def report(
    figures: Figures, sizes: Sequence[int], engines: Sequence[Contestant], claimed: Mapping[str, Claims]
) -> list[str]:
    """Every table, as lines."""
    names = [engine.name for engine in engines]
    return [
        *_cold(figures, names, min(sizes)),
        *(line for lines in sizes for line in _documents(figures, names, lines)),
        *_what_they_are(engines, claimed),
        *_met_or_not(figures),
    ]


def _cold(figures: Figures, names: Sequence[str], lines: int) -> list[str]:
    rounds = max(len(starts) for starts in figures.cold.values())
    stock = figures.imported(STOCK)
    heads = (
        "import",
        "its processor",
        "of stock",
        "then ready",
        "first document",
        "its processor",
        "start to PDF",
    )
    return [
        "",
        f"Cold: a fresh process draws {lines:,} lines; seconds, medians of {rounds}",
        *columns(heads, [_cold_row(name, figures.cold[name], stock) for name in names]),
        "import: the library alone (Chromium: Playwright, and starting the browser). then ready: ours imports its own",
        "modules, Jinja2 and Babel; limited also draws one document for nobody, as Lambda's init does. As on Lambda there",
        "is no compiler on WeasyPrint's PATH; with one, stock would ask it for libraries and take longer.",
    ]


def _cold_row(name: str, starts: Sequence[ColdStart], stock: Spent | None) -> tuple[str, ...]:
    imported, prepared, first = (
        median(getattr(start, part) for start in starts) for part in ("imported", "prepared", "first")
    )
    return (
        name,
        f"{imported.wall:.3f}",
        f"{imported.processor:.3f}",
        times(ratio(imported.processor, stock.processor if stock else None)),
        f"{prepared.wall:.3f}",
        f"{first.wall:.3f}",
        f"{first.processor:.3f}",
        f"{middle(start.elapsed for start in starts):.2f}",
    )


def _documents(figures: Figures, names: Sequence[str], lines: int) -> list[str]:
    measured = {name: document for name in names if (document := figures.document(name, lines))}
    rounds = max(len(document.warm) for document in measured.values())
    stock = figures.document(STOCK, lines)
    heads = (
        *("first document", "its processor", "warm", "its processor", "ms a line", "of stock"),
        *("peak memory", "file", "pages"),
    )
    return [
        "",
        f"{lines:,} lines; seconds, {f'warm: medians of {rounds}' if rounds else 'drawn once, in a fresh process'}",
        *columns(heads, [_document_row(name, document, stock) for name, document in measured.items()]),
        f"The HTML takes {figures.html[lines]:.3f} s of that in ours; stock WeasyPrint and Chromium are given it.",
        *_not_the_same(measured.get(OURS), stock),
    ]


def _not_the_same(ours: Document | None, stock: Document | None) -> list[str]:
    """WeasyPrint breaks the same HTML into the same pages."""
    if ours is None or stock is None or ours.pages == stock.pages:
        return []
    return [f"OURS HAS {ours.pages:,} PAGES AND STOCK {stock.pages:,}: THEY HAVE NOT DRAWN THE SAME."]


def _document_row(name: str, document: Document, stock: Document | None) -> tuple[str, ...]:
    warm = median(document.warm) if document.warm else None
    return (
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


def _what_they_are(engines: Sequence[Contestant], claimed: Mapping[str, Claims]) -> list[str]:
    about = [
        line
        for engine in engines
        for line in (f"{engine.name}: {claimed[engine.name].sentence}.", f"    {engine.lacks}")
    ]
    return [
        "",
        "What is drawn, as each engine's own file says, and what it lacks",
        *about,
        "Every warm document has other words in every line: Typst remembers what it has laid out before.",
        "Peak memory: of the process that draws (VmHWM); of Chromium the sum of its processes' shares (PSS).",
        "MB and kB are powers of ten. ms a line and of stock: processor time. Processor: Chromium's own processes.",
    ]


def _met_or_not(figures: Figures) -> list[str]:
    rows = [(target.name, target.wanted, target.seen, target.verdict) for target in targets(figures)]
    return ["", "Targets (reported, not enforced)", *columns(("wanted", "measured", ""), rows)]


def times(value: float | None) -> str:
    """A ratio, or nothing."""
    return NOTHING if value is None else f"{value:.2f}"
