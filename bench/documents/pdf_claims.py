"""What a PDF says of itself, read from the file: standards, tags, header cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pikepdf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PDF_UA = "{http://www.aiim.org/pdfua/ns/id/}part"


@dataclass(frozen=True)
class Claims:
    """`archival` is such as `3B`, empty without; `headers` counts header cells, `scoped` those with a scope."""

    archival: str
    accessible: bool
    tagged: bool
    headers: int
    scoped: int
    fonts: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it, for a table."""
        standard = f"PDF/A-{self.archival.lower()}" if self.archival else "no PDF/A"
        parts = [standard, *(["PDF/UA-1"] if self.accessible else []), "tagged" if self.tagged else "no tags"]
        if self.tagged:
            parts.append(f"{self.scoped} of {self.headers} header cells with a scope")
        return f"{', '.join(parts)}; {', '.join(self.fonts)}"


def claims(path: Path) -> Claims:
    """Read them; nothing is checked beyond what the file says."""
    with pikepdf.open(path) as pdf:
        metadata = pdf.open_metadata()
        root = pdf.Root.get("/StructTreeRoot")
        headers = [cell for cell in _elements(root) if cell.get("/S") == "/TH"] if root is not None else []
        return Claims(
            archival=metadata.pdfa_status,
            accessible=metadata.get(_PDF_UA) == "1",
            tagged=root is not None,
            headers=len(headers),
            scoped=sum(1 for cell in headers if _has_scope(cell)),
            fonts=tuple(sorted({name for page in pdf.pages for name in _fonts(page)})),
        )


def _elements(element: Any) -> Iterator[Any]:
    """Every element of the structure below one."""
    children = element.get("/K")
    for child in children if isinstance(children, pikepdf.Array) else [children]:
        if isinstance(child, pikepdf.Dictionary):
            yield child
            yield from _elements(child)


def _has_scope(cell: Any) -> bool:
    attributes = cell.get("/A")
    several = attributes if isinstance(attributes, pikepdf.Array) else [attributes]
    return any(isinstance(one, pikepdf.Dictionary) and "/Scope" in one for one in several)


def _fonts(page: pikepdf.Page) -> Iterator[str]:
    for font in page.resources.get("/Font", {}).values():
        yield str(font.get("/BaseFont", "a Type 3 font")).removeprefix("/").rpartition("+")[2]
