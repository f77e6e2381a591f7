"""Renders many documents, hopeless ones between them, one after another in one process, as the warm worker does.

`python -m tests.integration.render_pdf.in_turn` prints as JSON the SHA-256 of each, rendered twice in opposite order, and
what is there afterwards that was not there before: open files, threads, files on the disk.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.pdf.warm_start import render_once
from billing.documents.template import DocumentTemplate
from billing.errors import RenderFailed
from tests.integration.render_pdf.sample_invoices import LOGO, ordinary
from tests.integration.render_pdf.stock_drawings import documents


def svg(inside: str) -> Logo:
    """A logo."""
    start = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="40">'
    return Logo(f"{start}{inside}</svg>".encode(), "image/svg+xml")


HOPELESS = (
    (ordinary(), svg('<image href="file:///etc/passwd"/>')),
    (ordinary(), svg('<g id="a"><use href="#a"/></g>')),
    (replace(ordinary(), client_message="\ud800"), LOGO),
    (
        ordinary(),
        svg("<style>@font-face {font-family: Inter; src: url(data:font/ttf;base64,AAEAAA==)}</style>"),
    ),
)


def hashes(renderer: WeasyPrintRenderer, names: Iterable[str]) -> dict[str, str]:
    """Of the documents in this order, each after one that cannot be rendered."""
    found = {}
    for number, name in enumerate(names):
        with contextlib.suppress(RenderFailed):
            renderer.render_invoice(*HOPELESS[number % len(HOPELESS)])
            raise AssertionError(number)
        printed = documents()[name]
        logo = LOGO if printed.logo_sha256 else None
        if isinstance(printed, PrintedInvoice):
            found[name] = renderer.render_invoice(printed, logo).sha256
        else:
            found[name] = renderer.render_receipt(printed, logo).sha256
    return found


def state() -> tuple[int, int, list[str]]:
    """Open files, threads, and files on the disk; WeasyPrint makes an empty folder for fonts that it is never given."""
    open_files, threads = (len(list(Path("/proc/self", what).iterdir())) for what in ("fd", "task"))
    on_disk = [str(path) for path in Path(tempfile.gettempdir()).rglob("*") if path.is_file()]
    return open_files, threads, sorted(on_disk)


def main() -> None:
    """Render and print."""
    renderer = WeasyPrintRenderer(DocumentTemplate())
    render_once(renderer)
    before = state()
    names = list(documents())
    said = {"forwards": hashes(renderer, names), "backwards": hashes(renderer, reversed(names))}
    sys.stdout.write(json.dumps({**said, "before": before, "after": state()}))


if __name__ == "__main__":
    main()
