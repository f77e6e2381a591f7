import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import facturx
import pikepdf
import pytest
from lxml import etree

from billing.documents.factur_x.invoice import ElectronicInvoice, electronic_invoice
from billing.documents.factur_x.xml import electronic_invoice_xml
from billing.documents.invoice import PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template import DocumentTemplate
from tests.integration.render_pdf import archival_pdf
from tests.integration.render_pdf.electronic_samples import SAMPLES, invoice
from tests.integration.render_pdf.en16931 import verdict
from tests.integration.render_pdf.sample_invoices import LOGO

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]


def draw(renderer: WeasyPrintRenderer, printed: PrintedInvoice) -> bytes:
    return renderer.render_invoice(printed, LOGO if printed.logo_sha256 else None).content


def test_the_pdf_carries_its_invoice_and_says_so_where_factur_x_looks(renderer: WeasyPrintRenderer) -> None:
    printed = invoice()
    electronic = electronic_invoice(printed)
    assert isinstance(electronic, ElectronicInvoice)
    with pikepdf.open(io.BytesIO(draw(renderer, printed))) as pdf:
        assert list(pdf.attachments) == ["factur-x.xml"]
        (specification,) = pdf.Root.AF
        assert specification.AFRelationship == "/Alternative"
        assert str(specification.UF) == str(specification.F) == "factur-x.xml"
        file = specification.EF.F
        assert file.Subtype == "/text/xml"
        assert file.read_bytes() == electronic_invoice_xml(electronic)
        assert (str(file.Params.CreationDate), str(file.Params.ModDate)) == ("D:20261001143000Z",) * 2
        with pdf.open_metadata() as metadata:
            assert metadata.pdfa_status == "3B"
            fx = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"
            assert {name: metadata[fx + name] for name in ("DocumentType", "DocumentFileName", "Version", "ConformanceLevel")} == {
                "DocumentType": "INVOICE", "DocumentFileName": "factur-x.xml", "Version": "1.0",
                "ConformanceLevel": "EN 16931",
            }  # fmt: skip
        assert archival_pdf.defects(pdf) == []


def test_a_document_with_characters_that_no_font_has_is_no_factur_x(renderer: WeasyPrintRenderer) -> None:
    rendered = renderer.render_invoice(replace(invoice(), client_message="\U00012031 \U00012000"), LOGO)
    assert rendered.missing_characters == ("U+12000", "U+12031")
    with pikepdf.open(io.BytesIO(rendered.content)) as pdf:
        assert list(pdf.attachments) == []
        assert "/AF" not in pdf.Root
        assert b"factur-x" not in pdf.Root.Metadata.read_bytes()
    again = renderer.render_invoice(replace(invoice(), client_message="\U00012031 \U00012000"), LOGO)
    assert again.content == rendered.content


def test_factur_xs_own_reader_finds_the_invoice_and_its_profile(renderer: WeasyPrintRenderer) -> None:
    name, xml = facturx.get_xml_from_pdf(draw(renderer, invoice()), check_xsd=True)
    assert name == "factur-x.xml"
    assert facturx.get_level(etree.fromstring(xml)) == "en16931"
    assert verdict(xml).failed == set()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_an_archival_pdf_that_qpdf_finds_sound(
    renderer: WeasyPrintRenderer, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(draw(renderer, SAMPLES[name]()))
    subprocess.run(["qpdf", "--check", path], check=True, capture_output=True)
    with pikepdf.open(path) as pdf:
        assert archival_pdf.defects(pdf) == []
        assert len(pdf.attachments) == 1


@pytest.mark.parametrize(
    "printed",
    [invoice(firm={"electronic_invoice": False}), invoice(firm={"country_code": ""})],
    ids=["not wanted", "not possible"],
)
def test_without_electronic_invoice_nothing_is_attached_or_claimed(
    renderer: WeasyPrintRenderer, printed: PrintedInvoice
) -> None:
    with pikepdf.open(io.BytesIO(draw(renderer, printed))) as pdf:
        assert not pdf.attachments
        assert "/AF" not in pdf.Root
        assert b"factur-x" not in pdf.Root.Metadata.read_bytes()
        assert archival_pdf.defects(pdf) == []


def test_the_moment_in_the_attachment_is_the_invoices_whatever_its_zone(
    renderer: WeasyPrintRenderer, forgetful_renderer: WeasyPrintRenderer
) -> None:
    from dataclasses import replace
    from zoneinfo import ZoneInfo

    printed = invoice()
    elsewhere = replace(printed, sent_at=printed.sent_at.astimezone(ZoneInfo("Asia/Tokyo")))
    assert elsewhere.sent_at == datetime(2026, 10, 1, 14, 30, tzinfo=UTC)
    assert draw(forgetful_renderer, elsewhere) == draw(renderer, printed)


def test_the_same_invoice_gives_the_same_bytes(renderer: WeasyPrintRenderer) -> None:
    first, another = draw(renderer, invoice()), WeasyPrintRenderer(DocumentTemplate())
    assert draw(another, invoice()) == first
    assert draw(another, invoice()) == first


@pytest.mark.parametrize("seed", ["1", "77"])
def test_the_same_invoice_gives_the_same_bytes_in_another_process(
    renderer: WeasyPrintRenderer, seed: str
) -> None:
    program = (
        "from tests.integration.render_pdf.electronic_samples import LOGO, invoice\n"
        "from billing.documents.template import DocumentTemplate\n"
        "from billing.documents.pdf.renderer import WeasyPrintRenderer\n"
        "print(WeasyPrintRenderer(DocumentTemplate()).render_invoice(invoice(), LOGO).sha256)\n"
    )
    path = f"{ROOT / 'layers/billing'}:{ROOT}"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path, "PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "TZ": "Asia/Tokyo"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == renderer.render_invoice(invoice(), LOGO).sha256
