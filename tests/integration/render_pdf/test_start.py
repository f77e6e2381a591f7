"""What `start` replaces of WeasyPrint changes nothing but time and memory."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from billing.documents.pdf.fetcher import SealedFetcher
from billing.documents.pdf.start import VERSIONS, import_weasyprint, well_formed_html
from billing.documents.receipt import PrintedReceipt
from billing.documents.template import DocumentTemplate
from tests.integration.render_pdf import stock_drawings

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]


def test_every_document_has_the_bytes_that_stock_weasyprint_gives_it() -> None:
    stock = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.integration.render_pdf.stock_drawings"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    import_weasyprint()
    assert stock_drawings.drawings(DocumentTemplate()) == json.loads(stock.stdout)


def test_what_is_installed_is_what_the_replacements_were_read_in() -> None:
    """If not, read what changed in them, and name the new versions there."""
    assert {name: version(name) for name in VERSIONS} == VERSIONS


@pytest.mark.parametrize("name", stock_drawings.documents())
def test_our_markup_can_be_read_as_xml(name: str) -> None:
    printed = stock_drawings.documents()[name]
    template = DocumentTemplate()
    html = (
        template.receipt_html(printed)
        if isinstance(printed, PrintedReceipt)
        else template.invoice_html(printed)
    )
    assert well_formed_html(html, SealedFetcher()) is not None


def test_what_xml_does_not_know_is_left_to_the_html_parser() -> None:
    assert well_formed_html("<p>\uffff</p>", SealedFetcher()) is None
    assert well_formed_html("<p>&nbsp;<br></p>", SealedFetcher()) is None
