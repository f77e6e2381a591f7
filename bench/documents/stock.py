"""WeasyPrint as it comes, on our HTML and our style: nothing of ours is imported, so nothing of ours can help it."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bench.documents.engine import InThisProcess

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: Final = {"pdf_variant": "pdf/a-3b", "pdf_tags": True}
"""Those that our renderer draws with."""


class Stock(InThisProcess):
    """As WeasyPrint's first page of documentation has it."""

    def __init__(self) -> None:
        self._weasyprint: Any = None

    def load(self) -> None:
        """Nothing but WeasyPrint."""
        self._weasyprint = import_module("weasyprint")

    def prepare(self) -> None:
        """Nothing is to be prepared; and nothing of ours may be here."""
        assert not [name for name in sys.modules if name.partition(".")[0] == "billing"]

    def read(self, document: Path) -> tuple[str, str]:
        """The HTML that our template made, and our style sheet."""
        return document.with_suffix(".html").read_text(), (document.parent / "invoice.css").read_text()

    def draw(self, document: tuple[str, str]) -> bytes:
        """Return the PDF."""
        html, style = document
        source = self._weasyprint.HTML(string=html)
        return bytes(source.write_pdf(stylesheets=[self._weasyprint.CSS(string=style)], **OPTIONS))


def engine() -> Stock:
    """For `bench.documents.worker`."""
    return Stock()
