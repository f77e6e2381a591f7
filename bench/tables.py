"""Printing tables: a heading, then rows of a name and right-aligned cells."""

from __future__ import annotations

from typing import Final

_NAME_WIDTH: Final = 50
_CELL_WIDTH: Final = 14


def heading(title: str, *columns: str) -> None:
    """Print a title and the names of the columns."""
    print(f"\n{title}", flush=True)
    if columns:
        row("", *columns)


def row(name: str, *cells: str) -> None:
    """Print one row."""
    print(f"  {name:{_NAME_WIDTH}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells), flush=True)


def remark(*sentences: str) -> None:
    """Print what the figures mean."""
    for sentence in sentences:
        print(f"  {sentence}", flush=True)
