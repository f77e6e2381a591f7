import pytest

from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.receipt import PrintedReceipt
from billing.documents.rendered import RenderedPdf
from billing.documents.template import DocumentTemplate


class DrawnOnce(WeasyPrintRenderer):
    """Draws each different document once in a session: many tests look at the same ones. Refusals are not kept."""

    def __init__(self, template: DocumentTemplate) -> None:
        super().__init__(template)
        self._drawn: dict[tuple[PrintedInvoice | PrintedReceipt, Logo | None], RenderedPdf] = {}

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        if (printed, logo) not in self._drawn:
            self._drawn[printed, logo] = super().render_invoice(printed, logo)
        return self._drawn[printed, logo]

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        if (printed, logo) not in self._drawn:
            self._drawn[printed, logo] = super().render_receipt(printed, logo)
        return self._drawn[printed, logo]


@pytest.fixture(scope="session")
def renderer() -> WeasyPrintRenderer:
    """One renderer for all documents, as in a warm function; it draws none twice."""
    return DrawnOnce(DocumentTemplate())


@pytest.fixture(scope="session")
def forgetful_renderer() -> WeasyPrintRenderer:
    """Draws every time: for what a document does to the next one."""
    return WeasyPrintRenderer(DocumentTemplate())
