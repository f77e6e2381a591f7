"""This project's renderer, from the printed invoice to the bytes, in the process that asks."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from bench.documents.engine import InThisProcess

if TYPE_CHECKING:
    from pathlib import Path


class Ours(InThisProcess):
    """`WeasyPrintRenderer`, as the worker's composition root makes it, without its limits."""

    def __init__(self) -> None:
        self.renderer: Any = None

    def load(self) -> None:
        """Only what starts WeasyPrint our way, and WeasyPrint."""
        from billing.documents.pdf.start import import_weasyprint  # noqa: PLC0415  # the import is timed

        import_weasyprint()

    def prepare(self) -> None:
        """Our own modules, Jinja2 and Babel; no document is drawn yet."""
        from billing.documents.pdf.renderer import WeasyPrintRenderer  # noqa: PLC0415  # same
        from billing.documents.template import DocumentTemplate  # noqa: PLC0415  # the import is timed

        self.renderer = WeasyPrintRenderer(DocumentTemplate())

    def read(self, document: Path) -> Any:
        """The printed invoice, as the worker makes it of Directus's rows."""
        return pickle.loads(document.with_suffix(".pickle").read_bytes())  # noqa: S301  # this benchmark wrote it

    def draw(self, document: Any) -> bytes:
        """HTML and PDF."""
        content: bytes = self.renderer.render_invoice(document, None).content
        return content


def engine() -> Ours:
    """For `bench.documents.worker`."""
    return Ours()
