"""Draws invoices in the firm's own template where it has one, and refuses to where that is broken.

A letterhead can be required by law, so a firm that has its own never silently gets ours: its invoices wait, each with
the reason on it (`pdf_error`), until the template is mended. Receipts are always drawn from ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.documents.filled_template import check_filled
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template_override import BAD_TEMPLATE, FirmTemplate, refuse
from billing.documents.template_samples import SAMPLE_LOGO, template_samples
from billing.errors import RenderFailed, Unprocessable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.documents.invoice import Logo, PrintedInvoice
    from billing.documents.receipt import PrintedReceipt
    from billing.documents.rendered import PdfRenderer, RenderedPdf
    from billing.documents.template_source import TemplateSource
    from billing.documents.versions import VersionWords


class FirmRenderer:
    """A `PdfRenderer`. The files are looked at when `template_version` is asked for, which is before every invoice.

    They are tried once, when they have changed: an invoice of every kind is drawn with them, and every language is tried.
    """

    def __init__(
        self,
        own: PdfRenderer,
        source: TemplateSource,
        limited: Callable[[PdfRenderer], PdfRenderer] = lambda renderer: renderer,
    ) -> None:
        """`own` draws with our template; `limited` puts limits of time and memory on the trial of the firm's."""
        self._own = own
        self._source = source
        self._limited = limited
        self._files: Mapping[str, bytes] | None = None
        self._firms: WeasyPrintRenderer | None = None
        self._refusal: Unprocessable | None = None

    @property
    def template_version(self) -> str:
        """The hash of the files as they are now. Raises `Unprocessable` `bad_template`, `UpstreamUnavailable`."""
        self._look()
        return self._current().template_version

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
        """Draw with the files that were last looked at."""
        return self._current().render_invoice(printed, logo)

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """As our own renderer's."""
        return self._own.receipt_title(printed)

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        """As our own renderer's."""
        return self._own.render_receipt(printed, logo)

    def _current(self) -> WeasyPrintRenderer:
        if self._firms is None:
            self._look()
        if self._refusal is not None:
            raise Unprocessable(self._refusal.detail, code=self._refusal.code)
        assert self._firms is not None
        return self._firms

    def _look(self) -> None:
        files = dict(self._source.read())
        if files == self._files:
            return
        self._firms = self._refusal = self._files = None
        try:
            self._firms = self._tried(FirmTemplate(files))
        except Unprocessable as refusal:
            self._refusal = refusal
        self._files = files

    def _tried(self, template: FirmTemplate) -> WeasyPrintRenderer:
        trial = self._limited(_Trial(template))
        for kind, printed in template_samples().items():
            try:
                trial.render_invoice(printed, SAMPLE_LOGO if printed.logo_sha256 else None)
            except Unprocessable as error:
                if error.code == BAD_TEMPLATE:
                    raise
                reason = error.for_staff if isinstance(error, RenderFailed) else error.detail
                refuse(f"{kind} cannot be drawn with it ({reason.removesuffix('.')})")
        renderer = WeasyPrintRenderer(template)
        renderer.warm_up()
        return renderer


class _Trial(WeasyPrintRenderer):
    """Draws only what is filled in as it must be."""

    def __init__(self, template: FirmTemplate) -> None:
        super().__init__(template)
        self._filled = template

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        """Raise `RenderFailed`, or `Unprocessable` `bad_template`, of a document of `documents.template_samples`."""
        from weasyprint.urls import FatalURLFetchingError  # noqa: PLC0415  # only the worker has WeasyPrint

        check_filled(self._filled.invoice_html(printed), printed)
        try:
            self.warm_up()
        except FatalURLFetchingError:
            refuse("invoice.css refers to something outside itself")
        return super().render_invoice(printed, logo)
