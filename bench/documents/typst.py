"""Typst, with a template of its own (`invoice.typ`), tagged and as PDF/A-3."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.documents.engine import InThisProcess

STANDARDS: Final = ["a-3a", "ua-1"]
"""Archival and tagged, which includes what `a-3b` asks for; and accessible."""


class Typst(InThisProcess):
    """One compiler for all documents, which keeps the fonts, and what it has laid out before."""

    def __init__(self) -> None:
        self._typst: Any = None
        self._compiler: Any = None

    def load(self) -> None:
        """The whole of Typst is one library."""
        self._typst = import_module("typst")

    def prepare(self) -> None:
        """Find the fonts and read the template."""
        self._compiler = self._typst.Compiler(
            str(Path(__file__).with_name("invoice.typ")),
            font_paths=[os.environ["BENCH_FONTS"]],
            ignore_system_fonts=True,
        )

    def read(self, document: Path) -> str:
        """The invoice's texts; Typst reads the JSON itself."""
        return document.with_suffix(".json").read_text()

    def draw(self, document: str) -> bytes:
        """Return the PDF."""
        content: bytes = self._compiler.compile(sys_inputs={"invoice": document}, pdf_standards=STANDARDS)
        return content


def engine() -> Typst:
    """For `bench.documents.worker`."""
    return Typst()
