"""Documents that are hard to render: they are rendered or refused with a reason, and none does anything to the next."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.renderer import RendererCrashed, WeasyPrintRenderer
from billing.documents.rendered import RenderedPdf
from billing.documents.template import DocumentTemplate
from billing.errors import RenderFailed, Unprocessable
from tests.integration.render_pdf.active_content import active_content
from tests.integration.render_pdf.in_turn import svg
from tests.integration.render_pdf.sample_invoices import LOGO, ordinary
from tests.integration.render_pdf.stock_drawings import documents

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")

ROOT = Path(__file__).parents[3]


def test_documents_in_one_process_do_nothing_to_one_another_and_leave_nothing(
    renderer: WeasyPrintRenderer, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.integration.render_pdf.in_turn"],
        env=dict.fromkeys(("TMPDIR", "HOME", "XDG_CACHE_HOME"), str(tmp_path))
        | {"PYTHONPATH": f"{ROOT / 'layers/billing'}:{ROOT}", "PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found["forwards"] == found["backwards"]
    assert found["after"] == found["before"]
    elsewhere = {
        name: renderer.render_invoice(printed, LOGO if printed.logo_sha256 else None).sha256
        for name, printed in documents().items()
        if isinstance(printed, PrintedInvoice)
    }
    assert found["forwards"] | elsewhere == found["forwards"]


def test_a_document_longer_than_can_be_delivered_is_refused(renderer: WeasyPrintRenderer) -> None:
    length = len(renderer.render_invoice(ordinary(), LOGO).content)
    assert WeasyPrintRenderer(DocumentTemplate(), maximum_bytes=length).render_invoice(ordinary(), LOGO)
    with pytest.raises(Unprocessable) as caught:
        WeasyPrintRenderer(DocumentTemplate(), maximum_bytes=length - 1).render_invoice(ordinary(), LOGO)
    assert caught.value.code == "document_too_large"
    assert caught.value.detail.startswith("The document is too large: its file would have more than 0.0")
    assert caught.value.detail.endswith("then choose Render again.")


def test_a_defect_is_told_by_type_and_place_without_the_documents_words() -> None:
    class Defective(DocumentTemplate):
        def invoice_html(self, printed: PrintedInvoice) -> str:
            raise KeyError(printed.client.name)

    with pytest.raises(RendererCrashed) as caught:
        WeasyPrintRenderer(Defective()).render_invoice(ordinary(), LOGO)
    assert str(caught.value).startswith("KeyError at test_limits.py:")
    assert "invoice_html" in str(caught.value)
    assert "Müller" not in str(caught.value)
    assert caught.value.__suppress_context__  # the log shows no other text


SELF_CONTAINED = {
    "use itself": '<g id="a"><use href="#a"/></g>',
    "use its parent": '<g id="a"><g id="b"><use href="#a"/></g></g><use href="#b"/>',
    "mask itself": '<mask id="m"><rect mask="url(#m)" width="9" height="9"/></mask><rect mask="url(#m)" width="9"/>',
    "clip itself": '<clipPath id="c"><rect clip-path="url(#c)"/></clipPath><rect clip-path="url(#c)" width="9"/>',
}


@pytest.mark.parametrize("inside", SELF_CONTAINED.values(), ids=SELF_CONTAINED)
def test_a_logo_that_contains_itself_is_refused(renderer: WeasyPrintRenderer, inside: str) -> None:
    with pytest.raises(RenderFailed):
        renderer.render_invoice(ordinary(), svg(inside))


STRANGE = {
    "pattern of itself": '<pattern id="p" width="1" height="1"><rect width="1" height="1" fill="url(#p)"/></pattern>'
    '<rect width="90" height="30" fill="url(#p)"/>',
    "gradients of each other": '<linearGradient id="g" href="#h"/><linearGradient id="h" href="#g"/>'
    '<rect fill="url(#g)" width="9" height="9"/>',
    "filters": f'<filter id="f">{"<feOffset/><feBlend/><feFlood/>" * 200}</filter><rect filter="url(#f)" width="9"/>',
    "endless dashes": '<path stroke="red" stroke-dasharray="0.000001" d="M0 0L1e9 1e9"/>',
    "nested": "<svg>" * 200 + "</svg>" * 200,
}


@pytest.mark.parametrize("inside", STRANGE.values(), ids=STRANGE)
def test_a_strange_logo_costs_no_more_than_a_plain_one(renderer: WeasyPrintRenderer, inside: str) -> None:
    assert rendered(renderer, ordinary(), svg(inside), processor_seconds=10).content


def rendered(
    renderer: WeasyPrintRenderer, printed: PrintedInvoice, logo: Logo, *, processor_seconds: int
) -> RenderedPdf:
    began = time.process_time()
    pdf = renderer.render_invoice(printed, logo)
    assert time.process_time() - began < processor_seconds
    return pdf


def test_what_acts_in_a_logo_does_not_act_in_the_pdf(renderer: WeasyPrintRenderer) -> None:
    lively = svg(
        '<script>alert(1)</script><a href="javascript:alert(1)"><rect width="9" height="9" onclick="alert(1)"/></a>'
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></body></foreignObject>'
        '<set attributeName="href" to="javascript:alert(1)"/>'
    )
    drawn = renderer.render_invoice(dataclasses.replace(ordinary(), portal_url=""), lively)
    assert active_content(drawn.content) == set()


LONG_TEXTS = {
    "200,000 characters without a break": "W" * 200_000,
    "combining characters": "a" + "\u0301" * 3_000 + " b" * 20,
    "direction marks, nested": "\u202b\u2067" * 1_500 + "text",
    "joiners": "\u200d" * 10_000 + "text",
    "characters beyond the first plane": "".join(chr(0x10000 + 37 * number) for number in range(1_000)),
    "control characters": "".join(map(chr, range(0x20))) + "text\x7f\x9f",
    "no characters": "\ufffe\uffff\ufdd0 text",
}  # fmt: skip


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_text_of_any_length_and_kind_is_drawn(renderer: WeasyPrintRenderer, text: str) -> None:
    invoice = dataclasses.replace(ordinary(), client_message=text, matter_name=text[:2_000])
    assert rendered(renderer, invoice, LOGO, processor_seconds=30).content


def test_a_lone_surrogate_is_refused_with_a_reason(renderer: WeasyPrintRenderer) -> None:
    with pytest.raises(RenderFailed) as caught:
        renderer.render_invoice(dataclasses.replace(ordinary(), client_message="a\ud800"), LOGO)
    assert caught.value.detail == "The document could not be rendered (UnicodeEncodeError)."
