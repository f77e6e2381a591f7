import io
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pikepdf
import pypdf
import pytest

from billing.documents.invoice import PostalAddress, PrintedInvoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.template import DocumentTemplate
from billing.money import Money
from tests.integration.render_pdf.sample_invoices import (
    ATTACK,
    LOGO,
    SAMPLES,
    corrected,
    hostile,
    long,
    ordinary,
    unwieldy,
)

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]


def draw(renderer: WeasyPrintRenderer, printed: PrintedInvoice) -> bytes:
    return renderer.render_invoice(printed, LOGO if printed.logo_sha256 else None).content


def text_of(pdf: bytes) -> str:
    """The text as a reader selects it, by poppler."""
    run = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return run.stdout.decode()


def words_of(pdf: bytes) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text_of(pdf).split())


def test_everything_that_matters_is_on_the_paper(renderer: WeasyPrintRenderer) -> None:
    text = words_of(draw(renderer, ordinary()))
    for expected in (
        "Harrow & Delacroix LLP", "350 Fifth Avenue, Suite 4110", "Tax ID: 13-4082217", "+1 212 555 0142",
        "billing@harrowdelacroix.example", "Zoë Müller-Østergård Holdings, Inc.", "Boston, MA 02110", "United States",
        "2026-0147", "Acquisition of Nordlys A/S M-2291", "October 1, 2026", "October 31, 2026",
        "Draft answer and affirmative defenses", "C. Delacroix", "1.50 365.00 547.50",
        "Total professional services 8.75 3,126.25", "Total expenses 440.50", "Total discounts -250.00",
        "Subtotal $3,316.75", "Tax (8.875%) $294.36", "Total $3,611.11", "-$1,000.00", "wire transfer",
        "Balance due $2,611.11", "ABA routing: 021000089", "portal.harrowdelacroix.example",
        "Thank you for your trust.", "registered in the State of New York", "Page 1 of 2", "Page 2 of 2",
    ):  # fmt: skip
        assert expected in text


def test_all_150_lines_are_there_under_repeated_heads_with_page_x_of_y(renderer: WeasyPrintRenderer) -> None:
    pdf = draw(renderer, long())
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
    text = words_of(pdf)
    numbered = {int(number) for number in re.findall(r"\[(\d+)\]", text)}
    assert numbered == set(range(6, 149))  # the first five fees carry no number
    assert "Courier" in text
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
    assert all(("Timekeeper" in page) == bool(re.search(r"J\. Okafor", page)) for page in pages)
    assert "Balance due" in "".join(pages[-2:])


@pytest.mark.parametrize(
    ("language", "said", "title"),
    [
        ("en-US", "Corrected on October 9, 2026 replaces version 1", "Invoice 2026-0147 (replaces version 1)"),
        ("de", "Korrigiert am 9. Oktober 2026 ersetzt Version 1", "Rechnung 2026-0147 (ersetzt Version 1)"),
        ("fr", "Corrigée le 9 octobre 2026 remplace la version 1", "Facture 2026-0147 (remplace la version 1)"),
        ("es", "Corregida el 9 de octubre de 2026 sustituye a la versión 1",
         "Factura 2026-0147 (sustituye a la versión 1)"),
    ],
)  # fmt: skip
def test_a_correction_says_when_it_was_made_and_what_it_replaces_on_every_page(
    renderer: WeasyPrintRenderer, language: str, said: str, title: str
) -> None:
    pdf = draw(renderer, replace(corrected(), language=language))
    first, *others = pypdf.PdfReader(io.BytesIO(pdf)).pages
    assert said in " ".join(first.extract_text().split())
    assert others
    for page in others:
        assert title in " ".join(page.extract_text().split())


def test_a_correction_prints_one_balance_everywhere(renderer: WeasyPrintRenderer) -> None:
    text = words_of(draw(renderer, corrected()))
    assert text.count("Balance due $1,902.24") == 2, "at the top and below the totals"
    assert "$2,611.11" not in text, "what the first version says is due"
    assert "-$600.00" in text
    settled = replace(corrected(), balance_due=Money(-100, "USD"))
    text = words_of(draw(renderer, settled))
    assert text.count("Credit balance $1.00") == 2
    assert "No payment is due." in text
    assert "How to pay" not in text


@pytest.mark.parametrize("lines", [11, 12, 13])
@pytest.mark.parametrize("address_lines", [6, 8, 10])
def test_a_subtotal_never_stands_alone_on_a_page(
    renderer: WeasyPrintRenderer, lines: int, address_lines: int
) -> None:
    printed = long(lines)
    address = PostalAddress(tuple(f"Line {number}" for number in range(address_lines)), "US")
    printed = replace(printed, client=replace(printed.client, address=address))
    for page in pypdf.PdfReader(io.BytesIO(draw(renderer, printed))).pages:
        text = page.extract_text()
        if "Total professional services" in text:
            assert re.search(r"A\. Harrow|C\. Delacroix|J\. Okafor", text)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_a_sound_tagged_archival_pdf_with_its_fonts(
    renderer: WeasyPrintRenderer, name: str, tmp_path: Path
) -> None:
    printed = SAMPLES[name]()
    path = tmp_path / "invoice.pdf"
    path.write_bytes(draw(renderer, printed))
    subprocess.run(["qpdf", "--check", path], check=True, capture_output=True)
    with pikepdf.open(path) as pdf, pdf.open_metadata() as metadata:
        assert metadata.pdfa_status == "3B"
        assert metadata["dc:title"] == DocumentTemplate().pdf_title(printed)
        assert metadata["dc:creator"] == [printed.firm.legal_name or printed.firm.name]
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == printed.language
        assert str(pdf.docinfo["/CreationDate"]).startswith(f"D:{printed.dated:%Y%m%d%H%M%S}")
        paper = [round(float(side)) for side in pdf.pages[0].MediaBox[2:]]
        assert paper == ([612, 792] if printed.paper == "Letter" else [595, 842])
    fonts = subprocess.run(
        ["pdffonts", path], check=True, capture_output=True, text=True
    ).stdout.splitlines()[2:]
    assert fonts
    for font in fonts:
        embedded, subset = font.split()[-5:-3]
        assert (embedded, subset) == ("yes", "yes"), font


def test_heads_and_rows_are_tagged_as_such(renderer: WeasyPrintRenderer, tmp_path: Path) -> None:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(draw(renderer, ordinary()))
    tags = subprocess.run(["pdfinfo", "-struct", path], check=True, capture_output=True, text=True).stdout
    for tag in ("H1", "H2", "Table", "THead", "TH", "TD", "Figure"):
        assert re.search(rf"^\s*{tag}\b", tags, re.MULTILINE), tag


def test_the_link_to_the_portal_is_there_only_with_a_portal(renderer: WeasyPrintRenderer) -> None:
    def links(pdf: bytes) -> set[str]:
        annotations = [
            a.get_object() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages for a in page.annotations or []
        ]
        return {annotation["/A"]["/URI"] for annotation in annotations}

    printed = ordinary()
    assert links(draw(renderer, printed)) == {f"https://portal.harrowdelacroix.example/invoices/{printed.id}"}
    assert links(draw(renderer, replace(printed, portal_url=""))) == set()


def test_yen_are_printed_without_decimals(renderer: WeasyPrintRenderer) -> None:
    text = words_of(draw(renderer, SAMPLES["yen"]()))
    assert "Offener Betrag ¥ 158\u2019400" in text
    assert not re.search(r"\d\u2019\d{3}\.\d\d", text)


def overlapping_words(pdf: bytes) -> list[tuple[str, str]]:
    """Pairs of words on one page whose boxes share more than a hair."""
    run = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True)
    found = []
    for page in run.stdout.decode().split("<page ")[1:]:
        words = [
            (float(left), float(top) + 3, float(right), float(bottom) - 3, word)
            for left, top, right, bottom, word in re.findall(
                r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>', page
            )
        ]
        found += [
            (one[4], other[4])
            for one, other in itertools.combinations(words, 2)
            if min(one[2], other[2]) - max(one[0], other[0]) > 1
            and min(one[3], other[3]) - max(one[1], other[1]) > 0
        ]
    return found


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "long"])
def test_nothing_is_printed_over_something_else(renderer: WeasyPrintRenderer, name: str) -> None:
    assert overlapping_words(draw(renderer, SAMPLES[name]())) == []


def test_no_number_is_broken_and_no_word_leaves_the_paper(renderer: WeasyPrintRenderer) -> None:
    pdf = draw(renderer, unwieldy())
    assert "12,345.67 999,999,999.99 999,999,999,999.99" in words_of(pdf)
    boxes = subprocess.run(
        ["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True
    ).stdout.decode()
    right_edges = [float(edge) for edge in re.findall(r'xMax="([\d.]+)"', boxes)]
    assert len(right_edges) > 100
    assert max(right_edges) <= 612 - 50


def test_hostile_text_stays_text(renderer: WeasyPrintRenderer, tmp_path: Path) -> None:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(draw(renderer, hostile()))
    text = "".join(text_of(path.read_bytes()).split())
    assert "".join(ATTACK.split()) in text
    assert text.count("<script>alert(1)</script>") >= 5
    with pikepdf.open(path) as pdf:
        assert not pdf.attachments
        assert not [
            item
            for item in pdf.objects
            if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/JavaScript"
        ]
        with pdf.open_metadata() as metadata:
            assert ATTACK.split("\n", maxsplit=1)[0].split()[0] in str(metadata["dc:title"])


@pytest.mark.parametrize("sample", [ordinary, lambda: long(40), hostile])
def test_the_same_invoice_gives_the_same_bytes(
    renderer: WeasyPrintRenderer, sample: Callable[[], PrintedInvoice]
) -> None:
    first, another = draw(renderer, sample()), WeasyPrintRenderer(DocumentTemplate())
    assert draw(another, sample()) == first
    assert draw(another, sample()) == first


def test_the_same_invoice_gives_the_same_bytes_in_another_process(renderer: WeasyPrintRenderer) -> None:
    program = (
        "from tests.integration.render_pdf.sample_invoices import LOGO, ordinary\n"
        "from billing.documents.template import DocumentTemplate\n"
        "from billing.documents.pdf.renderer import WeasyPrintRenderer\n"
        "print(WeasyPrintRenderer(DocumentTemplate()).render_invoice(ordinary(), LOGO).sha256)\n"
    )
    path = f"{ROOT / 'layers/billing'}:{ROOT}"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path, "PYTHONHASHSEED": "77", "PATH": "/usr/bin:/bin", "TZ": "Asia/Tokyo"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == renderer.render_invoice(ordinary(), LOGO).sha256
