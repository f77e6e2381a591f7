"""What a PDF could do by itself besides being read."""

import io
from typing import Any

import pikepdf

#: Keys and names of ISO 32000-2 that start something, reach out, or carry what is not the page.
ACTIVE = frozenset({
    "/AA", "/EmbeddedFile", "/EmbeddedFiles", "/FileAttachment", "/GoToE", "/GoToR", "/ImportData", "/JS", "/JavaScript",
    "/Launch", "/Movie", "/OpenAction", "/RichMedia", "/Screen", "/Sound", "/SubmitForm", "/URI", "/XFA",
})  # fmt: skip


def active_content(pdf: bytes) -> set[str]:
    """Those of `ACTIVE` that stand anywhere in the file's objects."""
    found: set[str] = set()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        for thing in document.objects:
            _look_at(thing, found)
    return found & ACTIVE


def _look_at(thing: Any, found: set[str]) -> None:
    """Indirect objects are looked at on their own."""
    if isinstance(thing, pikepdf.Name):
        found.add(str(thing))
    elif isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
        for name, value in thing.items():
            found.add(name)
            if not getattr(value, "is_indirect", False):
                _look_at(value, found)
    elif isinstance(thing, pikepdf.Array):
        for value in thing:
            if not getattr(value, "is_indirect", False):
                _look_at(value, found)
