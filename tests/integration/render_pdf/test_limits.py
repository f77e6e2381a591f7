"""Real documents against real limits: the monstrous one fails alone, with a reason, and the next one is drawn."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from billing.documents.invoice import Logo
from billing.documents.rendered import RenderedPdf
from tests.integration.render_pdf import limited_drawings as drawings
from tests.integration.render_pdf.active_content import active_content
from tests.integration.render_pdf.sample_invoices import LOGO, long, ordinary, unwieldy, yen
from tests.unit.documents.own_process import OwnProcess, Raised, own_process


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The process's only place for files."""
    return tmp_path_factory.mktemp("ephemeral")


@pytest.fixture(scope="module")
def process(temporary: Path) -> Iterator[OwnProcess]:
    with own_process(TMPDIR=str(temporary), HOME=str(temporary), XDG_CACHE_HOME=str(temporary)) as process:
        yield process


def svg(inside: str) -> Logo:
    return Logo(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="40">{inside}</svg>'.encode(),
        "image/svg+xml",
    )


def laughs(levels: int) -> Logo:
    """Ten times ten times ten ... squares."""
    uses = "".join(
        f'<g id="a{level}">' + f'<use href="#a{level - 1}"/>' * 10 + "</g>" for level in range(1, levels + 1)
    )
    return svg(f'<defs><rect id="a0" width="1" height="1"/>{uses}</defs><use href="#a{levels}"/>')


def told(answer: Any) -> str:
    """The code of a refusal; `drawn` if it is none."""
    if isinstance(answer, RenderedPdf):
        return "drawn"
    assert isinstance(answer, Raised), answer
    return str(answer.told.get("code", answer))


@pytest.mark.parametrize("sample", [ordinary, unwieldy, yen])
def test_a_document_drawn_within_limits_is_the_same_to_the_byte(process: OwnProcess, sample: Any) -> None:
    drawn = process.call(drawings.draw, sample(), LOGO)
    assert drawn == process.call(drawings.draw_unlimited, sample(), LOGO)


def test_a_logo_that_multiplies_itself_is_too_slow_and_the_next_invoice_is_drawn(process: OwnProcess) -> None:
    assert told(process.call(drawings.draw, ordinary(), laughs(9), 1536, 1)) == "too_slow"
    assert told(process.call(drawings.draw, ordinary(), laughs(1))) == "drawn"


def test_an_invoice_larger_than_its_memory_is_refused_and_the_next_one_is_drawn(process: OwnProcess) -> None:
    assert told(process.call(drawings.draw, long(800), LOGO, 125)) == "too_much_memory"
    assert told(process.call(drawings.draw, ordinary(), LOGO)) == "drawn"


SELF_CONTAINED = {
    "use itself": '<g id="a"><use href="#a"/></g>',
    "use its parent": '<g id="a"><g id="b"><use href="#a"/></g></g><use href="#b"/>',
    "mask itself": '<mask id="m"><rect mask="url(#m)" width="9" height="9"/></mask><rect mask="url(#m)" width="9"/>',
    "clip itself": '<clipPath id="c"><rect clip-path="url(#c)"/></clipPath><rect clip-path="url(#c)" width="9"/>',
}


@pytest.mark.parametrize("inside", SELF_CONTAINED.values(), ids=SELF_CONTAINED)
def test_a_logo_that_contains_itself_is_refused(process: OwnProcess, inside: str) -> None:
    assert told(process.call(drawings.draw, ordinary(), svg(inside))) == "rendering_failed"


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
def test_a_strange_logo_costs_no_more_than_a_plain_one(process: OwnProcess, inside: str) -> None:
    assert told(process.call(drawings.draw, ordinary(), svg(inside), 250, 10)) == "drawn"


def test_what_acts_in_a_logo_does_not_act_in_the_pdf(process: OwnProcess) -> None:
    lively = svg(
        '<script>alert(1)</script><a href="javascript:alert(1)"><rect width="9" height="9" onclick="alert(1)"/></a>'
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></body></foreignObject>'
        '<set attributeName="href" to="javascript:alert(1)"/>'
    )
    drawn = process.call(drawings.draw, dataclasses.replace(ordinary(), portal_url=""), lively)
    assert told(drawn) == "drawn"
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
def test_text_of_any_length_and_kind_is_drawn(process: OwnProcess, text: str) -> None:
    invoice = dataclasses.replace(ordinary(), client_message=text, matter_name=text[:2_000])
    assert told(process.call(drawings.draw, invoice, LOGO, 400, 30)) == "drawn"


def test_a_lone_surrogate_is_refused_with_a_reason(process: OwnProcess) -> None:
    refused = process.call(drawings.draw, dataclasses.replace(ordinary(), client_message="a\ud800"), LOGO)
    assert told(refused) == "rendering_failed"
    assert refused.text == "The document could not be drawn (UnicodeEncodeError)."


def test_nothing_is_left_on_the_disk_by_documents_drawn_refused_and_killed(
    process: OwnProcess, temporary: Path
) -> None:
    hopeless = [
        (ordinary(), laughs(9), 1536, 1),
        (long(800), LOGO, 125, 60),
        (ordinary(), svg('<image href="file:///etc/passwd"/>'), 1536, 60),
        (dataclasses.replace(ordinary(), client_message="\ud800"), LOGO, 1536, 60),
    ]
    assert process.call(drawings.left_behind, hopeless) == (len(hopeless), [])
    assert {entry.name for entry in os.scandir(temporary)} <= {"fontconfig"}
