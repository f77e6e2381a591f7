"""A firm's own template: rendered, tried by `make check-template`, and in the use case that says why an invoice waits."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from billing.documents.firm_renderer import FirmRenderer
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.rendered import PdfRenderer
from billing.documents.template import TEMPLATES, DocumentTemplate
from billing.documents.template_override import TemplateRefused
from billing.errors import RenderFailed, Unprocessable, UpstreamUnavailable
from local.check_template.__main__ import main, try_template
from local.check_template.samples import template_samples
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


def firm_renderer(renderer: WeasyPrintRenderer, **files: bytes) -> tuple[FirmRenderer, FakeSource]:
    source = FakeSource({name.replace("__", "."): content for name, content in files.items()})
    return FirmRenderer(renderer, source.read), source


def words(renderer: PdfRenderer) -> str:
    return " ".join(page.text for page in pages_of(renderer.render_invoice(ordinary(), LOGO).content))


def refusal(renderer: PdfRenderer) -> str:
    with pytest.raises(Unprocessable) as caught:
        _ = renderer.template_version
    assert caught.value.code == "bad_template"
    return caught.value.detail


def test_our_own_files_as_the_firms_render_the_same_bytes_under_another_version(
    renderer: WeasyPrintRenderer,
) -> None:
    firms, _ = firm_renderer(renderer, invoice__html=HTML, invoice__css=CSS)
    assert firms.template_version != renderer.template_version
    assert firms.render_invoice(ordinary(), LOGO) == renderer.render_invoice(ordinary(), LOGO)
    assert (firms.receipt_version, firms.layer_version) == (renderer.receipt_version, renderer.layer_version)


def test_files_that_change_are_rendered_from_then_on(renderer: WeasyPrintRenderer) -> None:
    firms, source = firm_renderer(renderer, invoice__html=OWN_HEADING)
    before = firms.template_version
    assert firms.template_version == before
    assert "Letterhead Invoice" in words(firms)
    source.files = {"invoice.html": HTML.replace(b"<h1>", b"<h1>Paper ")}
    assert firms.template_version != before
    assert "Paper Invoice" in words(firms)


def test_an_invoice_is_drawn_with_the_files_its_identity_was_made_of(renderer: WeasyPrintRenderer) -> None:
    firms, source = firm_renderer(renderer, invoice__html=OWN_HEADING)
    assert firms.template_version
    source.files = {"invoice.html": HTML}
    assert "Letterhead Invoice" in words(firms)


REACHING_OUT = [
    {"invoice.html": HTML.replace(b"</h1>", b"</h1><img src='file:///etc/passwd'>")},
    {"invoice.html": HTML.replace(b"</head>", b"<link rel=attachment href='file:///etc/passwd'></head>")},
    {"invoice.html": HTML.replace(b"</h1>", b"</h1><object data='file:///etc/passwd'></object>")},
    {"invoice.css": b"body { background: url(file:///etc/passwd) }"},
]


@pytest.mark.parametrize("files", REACHING_OUT)
def test_a_template_reaches_no_file_while_it_is_rendered(
    renderer: WeasyPrintRenderer, files: dict[str, bytes]
) -> None:
    firms = FirmRenderer(renderer, lambda: files)
    with pytest.raises(RenderFailed) as caught:
        firms.render_invoice(ordinary(), LOGO)
    assert caught.value.for_staff == "The document refers to something outside itself: file:///etc/passwd"


STYLES_THAT_REACH_OUT = (
    b"@import url(http://127.0.0.1:9/a.css);", b"@font-face { font-family: X; src: url(file:///etc/passwd) }",
)  # fmt: skip


@pytest.mark.parametrize("style", STYLES_THAT_REACH_OUT)
def test_a_style_that_reaches_out_is_refused_while_it_is_read(
    renderer: WeasyPrintRenderer, style: bytes
) -> None:
    firms, _ = firm_renderer(renderer, invoice__css=style)
    assert "invoice.css refers to something outside itself" in refusal(firms)
    assert "invoice.css refers to something outside itself" in refusal(firms)
    for call in (firms.title, lambda printed: firms.render_invoice(printed, LOGO)):
        with pytest.raises(Unprocessable):
            call(ordinary())


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        *((files, "file:///etc/passwd") for files in REACHING_OUT),
        *(({"invoice.css": style}, "invoice.css refers to something outside itself") for style in STYLES_THAT_REACH_OUT),
        ({"invoice.html": b"broken {{"}, "invoice.html, line 1"),
        ({"invoice.html": b"{{ invoice.number }}"}, "it does not print the client's name"),
        ({"invoice.html": HTML + b"{{ invoice.payments[0].method }}"}, "an invoice without anything optional cannot be rendered with it"),
        ({"invoice.html": HTML + b"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"}, "(TimeoutError, invoice.html, line"),
    ],
)  # fmt: skip
def test_check_template_refuses_a_broken_template_with_its_reason(
    files: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(TemplateRefused) as caught:
        try_template(files, seconds=5)
    assert reason in str(caught.value)


def test_check_template_renders_an_invoice_of_every_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "invoice.html").write_bytes(OWN_HEADING)
    assert main([str(tmp_path)]) == 0
    said = (
        f"The template in {tmp_path} can be used: {len(template_samples())} invoices were rendered with it.\n"
    )
    assert capsys.readouterr() == (said, "")


def test_a_bucket_that_cannot_be_reached_refuses_nothing_for_good(renderer: WeasyPrintRenderer) -> None:
    firms, source = firm_renderer(renderer, invoice__html=OWN_HEADING)
    assert firms.template_version
    source.error = UpstreamUnavailable("The documents bucket cannot be reached.")
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
    firms, source = firm_renderer(renderer, invoice__html=b"{{ invoice.nothing")
    work = WithRenderer(office(), firms)
    work.render()
    assert work.office.invoice["pdf_status"] == "failed"
    assert "invoice.html, line 1" in work.office.invoice["pdf_error"]
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
    firms, _ = firm_renderer(renderer, invoice__html=b"broken {{")
    assert firms.receipt_version == DocumentTemplate().receipt_version


def test_the_worker_is_composed_with_the_firms_template_only_where_it_has_one() -> None:
    program = (
        "import os\n"
        "import functions.render_pdf.worker as worker\n"
        "for prefix in ('', 'letterhead', '/opt/firm'):\n"
        "    os.environ['TEMPLATE_PREFIX'] = prefix\n"
        "    worker.build.cache_clear()\n"
        "    renderer = worker.build()[0].invoices.renderer\n"
        "    print(type(renderer).__name__)\n"
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
    assert run.stdout.split() == ["WeasyPrintRenderer", "FirmRenderer", "FirmRenderer"]
