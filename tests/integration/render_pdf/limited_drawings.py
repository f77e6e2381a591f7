"""What the tests of the limits draw, in a process of their own (`own_process`), as a warm function would."""

import os
import tempfile
from functools import cache
from pathlib import Path

from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.limited_child import Limits
from billing.documents.pdf.limited_renderer import LimitedRenderer
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.pdf.warm_start import render_once
from billing.documents.rendered import MAX_DOCUMENT_BYTES, RenderedPdf
from billing.documents.template import DocumentTemplate
from billing.errors import BillingError
from tests.integration.render_pdf.sample_invoices import LOGO, ordinary

MEGABYTE = 1024 * 1024


@cache
def warm() -> WeasyPrintRenderer:
    """It has drawn nobody's invoice, as in Lambda's init."""
    renderer = WeasyPrintRenderer(DocumentTemplate())
    render_once(renderer)
    return renderer


def limited(megabytes: int = 1536, processor_seconds: int = 60) -> LimitedRenderer:
    renderer = LimitedRenderer(warm(), Limits(megabytes * MEGABYTE, processor_seconds, MAX_DOCUMENT_BYTES))
    renderer.begins(seconds=300, attempt=1)
    return renderer


def draw(
    printed: PrintedInvoice, logo: Logo | None, megabytes: int = 1536, processor_seconds: int = 60
) -> RenderedPdf:
    return limited(megabytes, processor_seconds).render_invoice(printed, logo)


def draw_unlimited(printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
    return warm().render_invoice(printed, logo)


def left_behind(hopeless: list[tuple[PrintedInvoice, Logo, int, int]]) -> tuple[int, list[str]]:
    """How many drawings failed, and the files that were not there before any was drawn."""
    render_once(limited())  # fontconfig may write its cache now
    folders = {Path(tempfile.gettempdir()), Path.cwd(), Path(os.environ.get("HOME", "/"))}
    before = {path for folder in folders for path in folder.iterdir()}
    failed = 0
    for printed, logo, megabytes, processor_seconds in hopeless:
        try:
            draw(printed, logo, megabytes, processor_seconds)
        except BillingError:
            failed += 1
    draw(ordinary(), LOGO)
    after = {path for folder in folders for path in folder.iterdir()}
    return failed, sorted(map(str, after - before))
