import base64
import dataclasses
import io
import subprocess
import sys
import time
from pathlib import Path

import pikepdf
import pypdf
import pytest
from PIL import Image

from billing.documents.invoice import MAX_LOGO_BYTES, Logo
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template import DocumentTemplate
from billing.errors import RenderFailed, Unprocessable
from tests.integration.render_pdf import archival_pdf
from tests.integration.render_pdf.sample_invoices import LOGO, ordinary

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]


def svg(inside: str, root: str = "svg", attributes: str = "") -> Logo:
    text = (
        f'<{root} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="100" height="40" {attributes}>{inside}</{root}>'
    )
    return Logo(text.encode(), "image/svg+xml")


def raster(kind: str, size: tuple[int, int] = (60, 30)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, "#1d3a5f").save(stream, kind)
    return stream.getvalue()


def carried(content: bytes) -> str:
    data = base64.b64encode(content).decode()
    return f'<image href="data:image/png;base64,{data}" width="60" height="30"/>'


OUTSIDE = ["http://127.0.0.1:9/x.png", "https://evil.example/x", "file:///etc/passwd", "ftp://evil.example/x",
           "//evil.example/x", "app:other"]  # fmt: skip


@pytest.mark.parametrize("address", OUTSIDE)
@pytest.mark.parametrize(
    "inside",
    [
        '<image href="{}" width="10" height="10"/>',
        '<image xlink:href="{}" width="10" height="10"/>',
    ],
)
def test_a_logo_that_refers_outside_fetches_nothing_and_is_said(
    renderer: WeasyPrintRenderer, inside: str, address: str
) -> None:
    with pytest.raises(RenderFailed) as caught:
        renderer.render_invoice(ordinary(), svg(inside.format(address)))
    assert caught.value.code == "rendering_failed"
    assert caught.value.detail == "The document refers to something outside itself."
    assert caught.value.for_staff.startswith("The document refers to something outside itself: ")
    assert address.lstrip("/") in caught.value.for_staff


def test_a_style_sheet_of_another_file_is_not_imported(renderer: WeasyPrintRenderer) -> None:
    with pytest.raises(Unprocessable):
        renderer.render_invoice(ordinary(), svg("<style>@import url(file:///etc/passwd);</style>"))


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_part_of_another_file_is_not_looked_for(renderer: WeasyPrintRenderer, address: str) -> None:
    elsewhere = renderer.render_invoice(ordinary(), svg(f'<use href="{address}#part"/>'))
    nowhere = renderer.render_invoice(ordinary(), svg('<use href="#part"/>'))
    assert elsewhere.content == nowhere.content


@pytest.mark.parametrize("address", OUTSIDE)
@pytest.mark.parametrize(
    "inside",
    [
        "<style>.a {{ fill: url({}#part) }}</style><rect class='a' width='9' height='9'/>",
        "<rect width='9' height='9' fill='url({}#part)'/>",
        "<rect width='9' height='9' filter='url({}#part)' clip-path='url(#part)' mask='url(#part)'/>",
    ],
)
def test_colours_and_effects_of_another_file_are_left_out(
    renderer: WeasyPrintRenderer, inside: str, address: str
) -> None:
    elsewhere = renderer.render_invoice(ordinary(), svg(inside.format(address)))
    nowhere = renderer.render_invoice(ordinary(), svg(inside.format("")))
    assert elsewhere.content == nowhere.content


def test_a_picture_inside_the_logo_is_drawn(renderer: WeasyPrintRenderer) -> None:
    pdf = renderer.render_invoice(ordinary(), svg(carried(raster("PNG")))).content
    assert b"/Subtype /Image" in pdf or b"/Subtype/Image" in pdf


@pytest.mark.parametrize("carried", ["text/html;base64,PGI+", "image/svg+xml;base64,PHN2Zy8+", "image/png;base64,!", "font/ttf;base64,AA=="])  # fmt: skip
def test_anything_else_inside_the_logo_is_refused(renderer: WeasyPrintRenderer, carried: str) -> None:
    with pytest.raises(Unprocessable):
        renderer.render_invoice(ordinary(), svg(f'<image href="data:{carried}" width="9" height="9"/>'))


def test_a_font_inside_the_logo_never_reaches_the_invoice(forgetful_renderer: WeasyPrintRenderer) -> None:
    clean = forgetful_renderer.render_invoice(ordinary(), LOGO).content
    style = "<style>@font-face {font-family: Inter; src: url(data:font/ttf;base64,AAEAAA==)}</style>"
    with pytest.raises(RenderFailed) as caught:
        forgetful_renderer.render_invoice(ordinary(), svg(style))
    assert caught.value.detail == "The document refers to something outside itself."
    assert forgetful_renderer.render_invoice(ordinary(), LOGO).content == clean


@pytest.mark.parametrize(
    "logo",
    [
        Logo(b"", "image/png"),
        Logo(b"\x89PNG\r\n\x1a\n broken", "image/png"),
        Logo(raster("PNG")[:-40], "image/png"),
        Logo(raster("PNG"), "image/jpeg"),
        Logo(raster("JPEG")[:200], "image/jpeg"),
        Logo(raster("GIF"), "image/gif"),
        Logo(b"%PDF-1.7", "application/pdf"),
        Logo(b"<svg", "image/svg+xml"),
        Logo(b"<html><body/></html>", "image/svg+xml"),
        Logo(b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "image/svg+xml"),
        Logo('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>'.encode("utf-16"), "image/svg+xml"),
        Logo(b"x" * (MAX_LOGO_BYTES + 1), "image/png"),
        Logo(raster("PNG", (6000, 5000)), "image/png"),
        svg("", attributes='viewBox="a b"'),
        svg("", attributes='viewBox="0 0 nan 9"'),
        svg("", attributes='viewBox="0 0 0 0"'),
        svg("", attributes='viewBox="0 0 1e300 1e300"'),
        Logo(LOGO.content.replace(b'width="220"', b'width="-220"'), "image/svg+xml"),
        Logo(LOGO.content.replace(b'height="60"', b'height="1e9px"'), "image/svg+xml"),
        svg(carried(raster("PNG", (6000, 5000)))),
        svg(carried(raster("PNG")[:-40])),
        svg(carried(raster("JPEG"))),
    ],
)  # fmt: skip
def test_a_bad_logo_is_refused_with_a_reason(renderer: WeasyPrintRenderer, logo: Logo) -> None:
    with pytest.raises(Unprocessable) as caught:
        renderer.render_invoice(ordinary(), logo)
    assert caught.value.code == "bad_logo"
    assert caught.value.detail.startswith("The firm's logo cannot be printed: ")


@pytest.mark.parametrize(
    "logo", [Logo(raster("PNG"), "image/png"), Logo(raster("JPEG"), "image/jpeg")], ids=["png", "jpeg"]
)
def test_a_raster_logo_is_drawn(renderer: WeasyPrintRenderer, logo: Logo) -> None:
    pdf = renderer.render_invoice(ordinary(), logo).content
    assert len(pypdf.PdfReader(io.BytesIO(pdf)).pages[0].images) == 1


def of_mode(mode: str, **saved: int) -> Logo:
    """A picture whose shades go evenly from black to white."""
    content = io.BytesIO()
    shades = Image.new("I", (16, 16))
    shades.putdata([257 * shade for shade in range(256)])
    grey = Image.new("L", (16, 16))
    grey.putdata(range(256))
    picture = shades.convert("I;16") if mode == "I;16" else grey.convert(mode)
    picture.save(content, "PNG", **saved)
    return Logo(content.getvalue(), "image/png")


def pictures_of(content: bytes) -> list[Image.Image]:
    with pikepdf.open(io.BytesIO(content)) as pdf:
        assert [defect for defect in archival_pdf.defects(pdf) if "picture" in defect] == []
        return [
            pikepdf.PdfImage(image).as_pil_image()
            for image in pdf.objects
            if isinstance(image, pikepdf.Stream) and image.get("/Subtype") == "/Image"
        ]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_logo_of_every_kind_of_png_is_written_as_declared(renderer: WeasyPrintRenderer, mode: str) -> None:
    pictures = pictures_of(renderer.render_invoice(ordinary(), of_mode(mode)).content)
    assert {picture.size for picture in pictures} == {(16, 16)}


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside an SVG"])
def test_a_grey_of_16_bits_keeps_its_shades(renderer: WeasyPrintRenderer, *, inside: bool) -> None:
    logo = of_mode("I;16")
    (picture,) = pictures_of(
        renderer.render_invoice(ordinary(), svg(carried(logo.content)) if inside else logo).content
    )
    assert picture.convert("L").tobytes() == bytes(range(256))


def test_the_transparent_shade_of_16_bits_stays_transparent_and_no_other(
    renderer: WeasyPrintRenderer,
) -> None:
    content = renderer.render_invoice(ordinary(), of_mode("I;16", transparency=257 * 200)).content
    with pikepdf.open(io.BytesIO(content)) as pdf:
        (image,) = (each for each in pdf.pages[0].Resources.XObject.values() if each.Subtype == "/Image")
        assert list(image.SMask.read_bytes()) == [0 if shade == 200 else 255 for shade in range(256)]


def test_one_hostile_logo_does_not_stick_to_the_next_invoice(forgetful_renderer: WeasyPrintRenderer) -> None:
    clean = forgetful_renderer.render_invoice(ordinary(), LOGO).content
    with pytest.raises(Unprocessable):
        forgetful_renderer.render_invoice(
            ordinary(), svg('<image href="file:///etc/passwd" width="9" height="9"/>')
        )
    assert forgetful_renderer.render_invoice(ordinary(), LOGO).content == clean


def test_a_logo_nested_beyond_reason_fails_alone(forgetful_renderer: WeasyPrintRenderer) -> None:
    deep = svg("<g>" * 20_000 + "</g>" * 20_000)
    with pytest.raises(Unprocessable):
        forgetful_renderer.render_invoice(ordinary(), deep)
    assert forgetful_renderer.render_invoice(ordinary(), LOGO).content.startswith(b"%PDF")


_WATCHED = """
import ctypes.util, http.client, os, sys
events = []
sys.addaudithook(lambda event, arguments: events.append((event, str(arguments[0]) if arguments else "")))
before = ctypes.util.find_library, http.client._create_https_context
from billing.documents.pdf.start import import_weasyprint
weasyprint = import_weasyprint()
assert import_weasyprint() is weasyprint
assert (ctypes.util.find_library, http.client._create_https_context) == before
started = [event for event in events if event[0] in {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"}]
assert not started, started
assert not hasattr(sys.modules["fontTools.subset"], "__file__"), "fontTools.subset was imported"
from billing.documents.template import DocumentTemplate
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.invoice import Logo
from billing.errors import Unprocessable
from tests.integration.render_pdf.sample_invoices import LOGO, hostile, ordinary
renderer = WeasyPrintRenderer(DocumentTemplate())
renderer.render_invoice(hostile(), None)
renderer.render_invoice(ordinary(), LOGO)
canary = sys.argv[1]
try:
    renderer.render_invoice(ordinary(), Logo(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file://{canary}" width="9" '
        'height="9"/></svg>'.encode(), "image/svg+xml"))
except Unprocessable:
    pass
else:
    raise AssertionError("the canary's address was accepted")
network = [event for event in events if event[0].startswith(("socket.", "urllib."))]
assert not network, network
opened = {name for event, name in events if event == "open"}
assert opened, "the hook heard nothing"
assert not [name for name in opened if name == canary or "passwd" in name or name.endswith(".pem")], opened
print("sealed")
"""


def test_import_and_rendering_start_no_process_open_no_socket_and_no_foreign_file(tmp_path: Path) -> None:
    canary = tmp_path / "canary.png"
    canary.write_bytes(raster("PNG"))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _WATCHED, str(canary)],
        env={"PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.strip() == "sealed", run.stderr


def test_the_stand_ins_of_fonttools_become_the_real_thing_when_called() -> None:
    program = (
        "import sys\n"
        "from billing.documents.pdf.start import import_weasyprint\n"
        "import_weasyprint()\n"
        "stand_in = sys.modules['fontTools.subset']\n"
        "options = stand_in.Options(notdef_outline=True)\n"
        "assert type(options).__module__ == 'fontTools.subset', type(options)\n"
        "assert sys.modules['fontTools.subset'] is not stand_in\n"
        "assert stand_in.Subsetter(options).options is options\n"
        "print('real')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "layers/billing"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout.strip() == "real", run.stderr


def test_weasyprint_is_not_imported_before_it_is_needed() -> None:
    program = (
        "import sys, functions.render_pdf.worker, functions.render_pdf.app\n"
        "from billing.documents.template import DocumentTemplate\n"
        "from billing.documents.pdf.renderer import WeasyPrintRenderer\n"
        "assert WeasyPrintRenderer(DocumentTemplate()).layer_version.startswith('weasyprint-')\n"
        "print([name for name in ('weasyprint', 'PIL', 'fontTools') if name in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": "/usr/bin:/bin",
             "POWERTOOLS_SERVICE_NAME": "render_pdf", "POWERTOOLS_METRICS_NAMESPACE": "LegalBilling/main"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == "[]"


def test_both_handlers_are_composed_from_the_environment_without_a_network() -> None:
    program = (
        "import functions.render_pdf.worker as worker, functions.render_pdf.app as app\n"
        "render, control = worker.build()\n"
        "print(type(render.invoices.renderer).__name__, render.receipts.renderer is render.invoices.renderer,\n"
        "  render.invoices.portal_url, type(app.build().queue).__name__, type(control).__name__)\n"
    )
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x"
    settings = {
        "DIRECTUS_URL": "https://directus.example", "DIRECTUS_TOKEN_SECRET": arn, "FLOW_SECRET": arn,
        "RENDER_QUEUE_URL": "https://sqs.example/r", "RENDER_DLQ_URL": "https://sqs.example/d",
        "INVOICE_QUEUE_URL": "https://sqs.example/i", "DOCUMENTS_BUCKET": "documents", "DIRECTUS_STORAGE": "s3",
        "PORTAL_URL": "https://portal.example", "AWS_DEFAULT_REGION": "eu-west-1",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={"PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": "/usr/bin:/bin"} | settings,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    composed = ["WeasyPrintRenderer", "True", "https://portal.example", "SqsWorkQueue", "SqsMessageControl"]
    assert run.stdout.split() == composed, run.stderr


def test_the_template_needs_no_outside_resource() -> None:
    assert "url(" not in DocumentTemplate().style
    assert "@import" not in DocumentTemplate().style


def test_what_weasyprint_says_of_a_document_stays_out_of_the_log(
    forgetful_renderer: WeasyPrintRenderer, caplog: pytest.LogCaptureFixture
) -> None:
    # Cuneiform, which no font here has: WeasyPrint would quote it, and so what the document says.
    message = "secret \U00012000\U00012001 \U00012001\n\n\U00012001 again"
    drawn = forgetful_renderer.render_invoice(dataclasses.replace(ordinary(), client_message=message), LOGO)
    assert drawn.missing_glyphs == 2  # of five: two different ones
    assert caplog.records == []


def test_names_in_greek_cyrillic_and_japanese_have_their_glyphs(renderer: WeasyPrintRenderer) -> None:
    message = "Παπαδόπουλος, Достоевский, さくら商事株式会社"
    drawn = renderer.render_invoice(dataclasses.replace(ordinary(), client_message=message), LOGO)
    assert drawn.missing_glyphs == 0


def test_a_word_without_end_is_drawn_whole_in_seconds(renderer: WeasyPrintRenderer) -> None:
    printed = ordinary()
    group = printed.groups[0]
    endless = dataclasses.replace(group.lines[0], description="\u0416" * 40_000)
    lines = dataclasses.replace(group, lines=(endless, *group.lines[1:]))
    began = time.process_time()
    drawn = renderer.render_invoice(dataclasses.replace(printed, groups=(lines, *printed.groups[1:])), LOGO)
    assert time.process_time() - began < 30  # in one piece it takes minutes
    assert drawn.missing_glyphs == 0
    pages = pypdf.PdfReader(io.BytesIO(drawn.content)).pages
    assert "".join(page.extract_text() for page in pages).count("\u0416") == 40_000
    with pikepdf.open(io.BytesIO(drawn.content)) as pdf:
        assert archival_pdf.defects(pdf) == []
