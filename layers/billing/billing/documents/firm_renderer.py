"""Renders invoices in the firm's own template where it has one, and refuses to where that is broken.

A letterhead can be required by law, so a firm that has its own never silently gets ours: its invoices wait, each with
the reason on it (`pdf_error`), until the template is mended. Receipts are always rendered from ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template_override import FirmTemplate, TemplateRefused
from billing.errors import Unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.documents.invoice import Logo, PrintedInvoice
    from billing.documents.receipt import PrintedReceipt
    from billing.documents.rendered import PdfRenderer, RenderedPdf
    from billing.documents.versions import VersionWords


class FirmRenderer:
    """A `PdfRenderer`. It reads the files when `template_version` is asked for, which is before every invoice."""

    def __init__(self, own: PdfRenderer, read: Callable[[], Mapping[str, bytes]]) -> None:
        """`own` renders with our template; `read` returns the firm's files, or raises `TemplateRefused`."""
        self._own = own
        self._read = read
        self._files: Mapping[str, bytes] = {}
        self._firms: WeasyPrintRenderer | None = None

    @property
    def template_version(self) -> str:
        """The hash of the files as they are now. Raises `Unprocessable` `bad_template`, `UpstreamUnavailable`."""
        return self._look().template_version

    @property
    def layer_version(self) -> str:
        """As our own renderer's."""
        return self._own.layer_version

    @property
    def receipt_version(self) -> str:
        """As our own renderer's."""
        return self._own.receipt_version

    def title(self, printed: PrintedInvoice) -> str:
        """What the document is called, with the firm's own labels."""
        return self._current().title(printed)

    def version_words(self, printed: PrintedInvoice) -> VersionWords:
        """The firm's own words where it has some."""
        return self._current().version_words(printed)

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        """Render with the files that were last read."""
        return self._current().render_invoice(printed, logo)

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """As our own renderer's."""
        return self._own.receipt_title(printed)

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        """As our own renderer's."""
        return self._own.render_receipt(printed, logo)

    def _current(self) -> WeasyPrintRenderer:
        return self._firms or self._look()

    def _look(self) -> WeasyPrintRenderer:
        try:
            files = dict(self._read())
            if self._firms is None or files != self._files:
                self._firms = None
                self._firms, self._files = renderer_of(FirmTemplate(files)), files
        except TemplateRefused as refused:
            message = (
                f"The firm's own template cannot be used: {refused}. Correct it where TemplatePrefix points, then choose "
                "Render again."
            )
            raise Unprocessable(message, code="bad_template") from None
        return self._firms


def renderer_of(template: FirmTemplate) -> WeasyPrintRenderer:
    """A renderer that has read the firm's style. Raises `TemplateRefused`."""
    from weasyprint.urls import FatalURLFetchingError  # noqa: PLC0415  # only the worker has WeasyPrint

    renderer = WeasyPrintRenderer(template)
    try:
        renderer.warm_up()
    except FatalURLFetchingError:
        message = "invoice.css refers to something outside itself"
        raise TemplateRefused(message) from None
    return renderer
