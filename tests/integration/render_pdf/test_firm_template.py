"""A firm's own template through the renderer, and through the use case that says why it waits."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest

from billing.documents.firm_renderer import FirmRenderer
from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.rendered import PdfRenderer, RenderedPdf
from billing.documents.template import TEMPLATES, DocumentTemplate
from billing.errors import Unprocessable, UpstreamUnavailable
from tests.fakes.firm_rows import INVOICE
from tests.integration.render_pdf.page_words import pages_of
from tests.integration.render_pdf.sample_invoices import LOGO, ordinary
from tests.unit.documents.office import Office, office

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]
HTML = (TEMPLATES / "invoice.html").read_bytes()
CSS = (TEMPLATES / "invoice.css").read_bytes()
OWN_HEADING = HTML.replace(b"<h1>", b"<h1>Letterhead ")


@dataclass
class FakeSource:
    """A folder; `error` is raised instead, once set."""

    files: dict[str, bytes] = field(default_factory=dict)
    error: Exception | None = None

    def read(self) -> dict[str, bytes]:
        if self.error:
            raise self.error
        return self.files


@dataclass
class Trials:
    """Counts how often templates were tried, without limits."""

    count: int = 0

    def __call__(self, renderer: PdfRenderer) -> PdfRenderer:
        self.count += 1
        return TriedOnce(renderer)  # type: ignore[return-value]  # what is used of a renderer on trial


@dataclass
class TriedOnce:
    """Draws each sample with the same files once in a session: several tests try the same files."""

    renderer: PdfRenderer
    drawn: ClassVar[dict[tuple[str, PrintedInvoice], RenderedPdf]] = {}

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        key = self.renderer.template_version, printed
        if key not in self.drawn:
            self.drawn[key] = self.renderer.render_invoice(printed, logo)
        return self.drawn[key]


def firm_renderer(renderer: WeasyPrintRenderer, **files: bytes) -> tuple[FirmRenderer, FakeSource, Trials]:
    source, trials = (
        FakeSource({name.replace("__", "."): content for name, content in files.items()}),
        Trials(),
    )
    return FirmRenderer(renderer, source, trials), source, trials


def words(renderer: PdfRenderer) -> str:
    return " ".join(page.text for page in pages_of(renderer.render_invoice(ordinary(), LOGO).content))


def refusal(renderer: PdfRenderer) -> str:
    with pytest.raises(Unprocessable) as caught:
        _ = renderer.template_version
    assert caught.value.code == "bad_template"
    return caught.value.detail


def test_our_own_files_as_the_firms_draw_the_same_bytes_under_another_version(
    renderer: WeasyPrintRenderer,
) -> None:
    firms, _, _ = firm_renderer(renderer, invoice__html=HTML, invoice__css=CSS)
    assert firms.template_version != renderer.template_version
    assert firms.render_invoice(ordinary(), LOGO) == renderer.render_invoice(ordinary(), LOGO)
    assert (firms.receipt_version, firms.layer_version) == (renderer.receipt_version, renderer.layer_version)


def test_the_firms_template_is_tried_once_and_again_when_it_has_changed(renderer: WeasyPrintRenderer) -> None:
    firms, source, trials = firm_renderer(renderer, invoice__html=OWN_HEADING)
    before = firms.template_version
    assert firms.template_version == before
    assert "Letterhead Invoice" in words(firms)
    assert trials.count == 1
    source.files = {"invoice.html": HTML.replace(b"<h1>", b"<h1>Paper ")}
    assert firms.template_version != before
    assert "Paper Invoice" in words(firms)
    assert trials.count == 2


def test_an_invoice_is_drawn_with_the_files_its_identity_was_made_of(renderer: WeasyPrintRenderer) -> None:
    firms, source, _ = firm_renderer(renderer, invoice__html=OWN_HEADING)
    assert firms.template_version
    source.files = {"invoice.html": HTML}
    assert "Letterhead Invoice" in words(firms)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"invoice__css": b"@import url(http://127.0.0.1:9/a.css);"}, "invoice.css refers to something outside itself"),
        ({"invoice__css": b"@font-face { font-family: X; src: url(file:///etc/passwd) }"}, "invoice.css refers to something outside itself"),
        ({"invoice__css": b"body { background: url(http://127.0.0.1:9/a.png) }"}, "http://127.0.0.1:9/a.png"),
        ({"invoice__html": HTML.replace(b"</h1>", b"</h1><img src='file:///etc/passwd'>")}, "file:///etc/passwd"),
        ({"invoice__html": HTML.replace(b"</head>", b"<link rel=attachment href='file:///etc/passwd'></head>")}, "file:///etc/passwd"),
        ({"invoice__html": b"{{ invoice.number }}"}, "it does not print the client's name"),
        ({"invoice__html": HTML + b"{{ invoice.payments[0].method }}"}, "an invoice without anything optional cannot be drawn with it"),
    ],
)  # fmt: skip
def test_a_broken_template_is_refused_with_its_reason(
    renderer: WeasyPrintRenderer, files: dict[str, bytes], reason: str
) -> None:
    firms, _, trials = firm_renderer(renderer, **files)
    assert reason in refusal(firms)
    assert reason in refusal(firms)
    with pytest.raises(Unprocessable):
        firms.render_invoice(ordinary(), LOGO)
    with pytest.raises(Unprocessable):
        firms.title(ordinary())
    assert trials.count == 1  # a thousand invoices do not try it a thousand times


def test_a_bucket_that_cannot_be_reached_refuses_nothing_for_good(renderer: WeasyPrintRenderer) -> None:
    firms, source, _ = firm_renderer(renderer, invoice__html=OWN_HEADING)
    assert firms.template_version
    source.error = UpstreamUnavailable("The documents bucket cannot be reached now.")
    with pytest.raises(UpstreamUnavailable):
        _ = firms.template_version
    source.error = None
    assert firms.template_version


@dataclass
class WithRenderer:
    """The rendering worker's use case around a real renderer."""

    office: Office
    renderer: PdfRenderer

    def render(self) -> None:
        replace(self.office.render, renderer=self.renderer).render_invoice(INVOICE)


def test_invoices_wait_with_the_reason_on_them_until_the_template_is_mended(
    renderer: WeasyPrintRenderer,
) -> None:
    firms, source, _ = firm_renderer(renderer, invoice__html=b"{{ invoice.nothing }}")
    work = WithRenderer(office(), firms)
    work.render()
    assert work.office.invoice["pdf_status"] == "failed"
    assert "has no attribute 'nothing'" in work.office.invoice["pdf_error"]
    assert "Render again" in work.office.invoice["pdf_error"]
    assert work.office.documents == []
    source.files = {"invoice.html": OWN_HEADING}
    work.render()
    assert (work.office.invoice["pdf_status"], work.office.invoice["pdf_error"]) == ("ready", None)
    (first,) = work.office.documents
    source.files = {"invoice.html": HTML.replace(b"<h1>", b"<h1>Paper ")}
    work.render()
    assert {document["version"] for document in work.office.documents} == {1, 2}
    assert len({document["content_hash"] for document in work.office.documents}) == 2
    assert first in work.office.documents


def test_receipts_never_wait_for_the_template(renderer: WeasyPrintRenderer) -> None:
    firms, _, trials = firm_renderer(renderer, invoice__html=b"broken {{")
    assert firms.receipt_version == DocumentTemplate().receipt_version
    assert trials.count == 0


def test_the_worker_is_composed_with_the_firms_template_only_where_it_has_one() -> None:
    program = (
        "import os\n"
        "import functions.render_pdf.worker as worker\n"
        "for prefix in ('', 'letterhead', '/opt/firm'):\n"
        "    os.environ['TEMPLATE_PREFIX'] = prefix\n"
        "    worker.build.cache_clear()\n"
        "    renderer = worker.build()[0].invoices.renderer\n"
        "    print(type(renderer).__name__, type(getattr(renderer, '_source', None)).__name__)\n"
    )
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
    settings = {
        "DIRECTUS_URL": "https://directus.example", "DIRECTUS_TOKEN_SECRET": arn, "INVOICE_QUEUE_URL": "https://sqs.example/i",
        "RENDER_QUEUE_URL": "https://sqs.example/r", "RENDER_DLQ_URL": "https://sqs.example/d", "DOCUMENTS_BUCKET": "documents",
        "DIRECTUS_STORAGE": "s3", "DOCUMENT_DELIVERY": "register", "AWS_DEFAULT_REGION": "eu-west-1",
        "PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    composed = [line.split() for line in run.stdout.splitlines()]
    assert composed == [
        ["WeasyPrintRenderer", "NoneType"],
        ["FirmRenderer", "S3TemplateFolder"],
        ["FirmRenderer", "LayerTemplateFolder"],
    ]
