"""A table as lines of text: a name, then cells at the right of their columns, as wide as the widest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BETWEEN = "  "


def columns(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines; `heads` are those of the cells, a head of two words stands on two lines.

    A row with fewer cells than there are heads is filled with empty ones.
    """
    above, below = zip(*(_in_two(head) for head in heads), strict=True) if heads else ((), ())
    table = [("", *above), ("", *below), *rows]
    whole = [(*row, *[""] * (len(heads) + 1 - len(row))) for row in table]
    widths = [max(len(row[place]) for row in whole) for place in range(len(heads) + 1)]
    return [_line(row, widths) for row in whole if any(row)]


def _in_two(head: str) -> tuple[str, str]:
    """The first words above, the last one below; one word alone below."""
    above, _, below = head.rpartition(" ")
    return above, below


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *cells = row
    padded = [
        f"{name:{widths[0]}}",
        *(f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)),
    ]
    return _BETWEEN.join(padded).rstrip()
