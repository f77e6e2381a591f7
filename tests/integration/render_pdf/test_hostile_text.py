"""Whatever people write into a field, the page says it and does nothing else: invoices and receipts, every field."""

import dataclasses
import datetime as dt
import io
import re
import unicodedata
from typing import Any

import pypdf
import pytest
import tinyhtml5  # type: ignore[import-untyped]  # ships no types
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.documents.invoice import PrintedInvoice, PrintedPayment
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.receipt import PrintedReceipt
from billing.documents.rendered import RenderedPdf
from billing.documents.template import DocumentTemplate
from billing.money import Money
from tests.integration.render_pdf.active_content import active_content
from tests.integration.render_pdf.sample_invoices import CLIENT, FIRM, ordinary
from tests.integration.render_pdf.texts_of import texts_of, with_texts

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

type Printed = PrintedInvoice | PrintedReceipt

# Neither has a logo, whose place the firm's name takes; nor the invoice a portal, to which it would rightly link.
INVOICE = dataclasses.replace(ordinary(), logo_sha256=None, portal_url="")
RECEIPT = PrintedReceipt(
    invoice=INVOICE.id, number="2026-0147-1A2B", invoice_number="2026-0147", firm=FIRM, client=CLIENT,
    language="en-US", paper="Letter", payment=PrintedPayment("p", dt.date(2026, 9, 20), "card", Money(1, "USD")),
    day=dt.date(2026, 9, 20), means="Visa •••• 4242", matter_number="M-1", matter_name="Matter", logo_sha256=None,
)  # fmt: skip
DOCUMENTS: dict[str, Printed] = {"invoice": INVOICE, "receipt": RECEIPT}

#: Receipts say how the money came, not where it could go.
NOT_PRINTED: dict[str, list[str]] = {"invoice": [], "receipt": ["firm.bank_details"]}

ATTACKS = {
    "html": "<script>alert(1)</script></td></table><img src=http://127.0.0.1:9/a onerror=alert(1)><b>",
    "css": "</style><style>@import url(http://127.0.0.1:9/a.css);*{display:none}@font-face{src:url(file:///etc/passwd)}",
    "svg": '<svg><image href="file:///etc/passwd"/><use xlink:href="http://127.0.0.1:9/a.svg#a"/></svg>',
    "link": '"><link rel=attachment href=file:///etc/passwd><base href=http://127.0.0.1:9/><meta http-equiv=refresh>',
    "template": "{{7*7}}{%for x in ().__class__.__base__.__subclasses__()%}{{x}}{%endfor%}{#gone#}${7*7}",
    "entities": "&lt;b&gt;&#x3c;i&#x3e;&amp;amp;]]>--><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
    "pdf": ") Tj ET endstream endobj << /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >> \\051 \\",
    "addresses": "http://169.254.169.254/latest/meta-data/ javascript:alert(1) file:///proc/self/environ app:logo",
}


def html_of(printed: Printed) -> str:
    template = DocumentTemplate()
    if isinstance(printed, PrintedInvoice):
        return template.invoice_html(printed)
    return template.receipt_html(printed)


def drawn(renderer: WeasyPrintRenderer, printed: Printed) -> RenderedPdf:
    if isinstance(printed, PrintedInvoice):
        return renderer.render_invoice(printed, None)
    return renderer.render_receipt(printed, None)


def text_of(pdf: bytes) -> str:
    """Without spaces: lines break where they must."""
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "".join("".join(page.extract_text().split()) for page in pages)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_markup_of_any_language_is_printed_as_it_was_written_and_nothing_is_fetched(
    renderer: WeasyPrintRenderer, document: str, attack: str
) -> None:
    printed = DOCUMENTS[document]
    fields = list(texts_of(printed))
    assert len(fields) > 15
    written = {path: f"[{number}]{attack}" for number, path in enumerate(fields)}
    pdf = drawn(renderer, with_texts(printed, written.__getitem__))
    page = text_of(pdf.content)
    unsaid = [path for path, text in written.items() if "".join(text.split()) not in page]
    assert unsaid == NOT_PRINTED[document]
    assert active_content(pdf.content) == set()
    assert renderer._engine is not None
    assert renderer._engine._fetcher.refused == []


PIECES = [*ATTACKS.values(), "<", ">", '"', "'", "&", "{{", "{%", "}}", "\n", "\t", "\u202e"]


@pytest.mark.parametrize("document", DOCUMENTS)
@settings(max_examples=25, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=6).map("".join))
def test_no_text_changes_an_element_or_an_attribute_of_the_document(document: str, text: str) -> None:
    harmless = with_texts(DOCUMENTS[document], lambda path: f"{path}{shape(text)}")
    hostile = with_texts(DOCUMENTS[document], lambda path: f"{path}{text}")
    assert skeleton(html_of(hostile)) == skeleton(html_of(harmless))


def shape(text: str) -> str:
    """A text that is as long and as wide, line by line, and says nothing: long texts may be broken over pages."""
    return "".join(
        letter if letter.isspace() else "契" if unicodedata.east_asian_width(letter) in "WF" else "x"
        for letter in text
    )


def skeleton(html: str) -> list[Any]:
    """Elements and attributes as WeasyPrint's own parser sees them, with the values that no person has written.

    A class of the page's body says how many lines the footer has; that is its length, not its text.
    """
    found = []
    for element in tinyhtml5.parse(html).iter():
        values = {name: value for name, value in element.attrib.items() if name != "content"}
        if element.tag.endswith("}body"):
            values["class"] = re.sub(r"\bfoot-\d+\b", "foot", values["class"])
        found.append((element.tag, values))
    return found


def test_a_pdf_that_acts_is_found_out(renderer: WeasyPrintRenderer) -> None:
    linked = renderer.render_invoice(dataclasses.replace(INVOICE, portal_url="https://portal.example"), None)
    assert active_content(linked.content) == {"/URI"}
