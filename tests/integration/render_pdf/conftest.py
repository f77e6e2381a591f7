import pytest

from billing.adapters.document_template import DocumentTemplate
from billing.adapters.pdf_renderer import WeasyPrintRenderer


@pytest.fixture(scope="session")
def renderer() -> WeasyPrintRenderer:
    """One renderer for all documents, as in a warm function."""
    return WeasyPrintRenderer(DocumentTemplate())
