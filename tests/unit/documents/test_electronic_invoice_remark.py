"""Where staff see what a PDF lacks, an electronic invoice or glyphs: on the invoice, beside `ready`."""

import pytest

from billing.documents.text import remark_on_boxes
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import CLIENT, INVOICE
from tests.unit.documents.office import Office, office


def electronic(**firm: object) -> Office:
    """A firm that wants electronic invoices and has all that they need; `firm` changes its columns."""
    found = office()
    found.directus.firm |= {"electronic_invoice": "factur-x", "country": "US", "tax_id": "13-4082217"} | firm
    found.directus.collections["clients"][CLIENT]["address"] = {"line1": "1 Main St", "country": "US"}
    return found


def told(firm: Office) -> tuple[str, str | None]:
    return firm.invoice["pdf_status"], firm.invoice["pdf_error"]


def test_an_invoice_with_all_that_it_needs_says_nothing() -> None:
    firm = electronic()
    firm.render.render_invoice(INVOICE)
    assert told(firm) == ("ready", None)
    (printed,) = firm.renderer.drawn
    assert (printed.firm.electronic_invoice, printed.firm.country_code) == (True, "US")


def test_the_pdf_is_made_without_it_and_the_invoice_says_what_is_missing() -> None:
    firm = electronic(country=None, tax_id=None)
    firm.render.render_invoice(INVOICE)
    assert len(firm.pdf_files) == len(firm.documents) == 1
    status, remark = told(firm)
    assert status == "ready"
    assert remark == (
        "The PDF carries no electronic invoice: the firm has no country (firm.country, two letters such as DE); the "
        "firm has no tax number (firm.tax_id)."
    )


def test_the_reason_stays_while_it_is_true_and_goes_with_it() -> None:
    firm = electronic(country=None)
    firm.render.render_invoice(INVOICE)
    reason = told(firm)
    firm.render.render_invoice(INVOICE)  # nothing is drawn this time
    assert told(firm) == reason
    assert len(firm.renderer.drawn) == 1
    firm.directus.firm["country"] = "US"
    firm.render.render_invoice(INVOICE)
    assert told(firm) == ("ready", None)
    assert [row["version"] for row in firm.documents] == [1, 2]


def test_a_firm_that_wants_none_is_told_nothing() -> None:
    for choice in ("none", None):
        firm = electronic(electronic_invoice=choice, country=None, tax_id=None)
        firm.render.render_invoice(INVOICE)
        assert told(firm) == ("ready", None)


BOXES = "The PDF prints 2 characters as boxes, because no font has them: U+0E01, U+12000."


@pytest.mark.parametrize("crash", [False, True])
def test_characters_that_no_font_has_are_told_when_rendered_and_stay_told_while_it_is_ready(
    *, crash: bool
) -> None:
    firm = electronic(electronic_invoice=None)
    firm.renderer.boxes = ("U+0E01", "U+12000")
    if crash:
        firm.directus.effects.die_after = "put object"
        with pytest.raises(Crash):
            firm.render.render_invoice(INVOICE)
        firm.directus.effects.die_after = None
    for _ in range(2):
        firm.render.render_invoice(INVOICE)
        assert told(firm) == ("ready", BOXES)
    assert len(firm.renderer.drawn) == 1 + crash, "what was begun is rendered again"
    firm.renderer.boxes = ()
    firm.render.render_invoice(INVOICE, force=True)
    assert told(firm) == ("ready", None)


def test_a_document_that_is_met_again_takes_back_that_it_failed() -> None:
    firm = electronic(country=None)
    firm.render.render_invoice(INVOICE)
    reason = told(firm)
    firm.invoice.update(pdf_status="failed", pdf_error="It failed.")
    firm.render.render_invoice(INVOICE)
    assert told(firm) == reason
    assert len(firm.renderer.drawn) == 1


def test_with_boxes_the_electronic_invoice_is_missing_and_both_reasons_are_told() -> None:
    firm = electronic()
    firm.renderer.boxes = ("U+0E01", "U+12000")
    firm.render.render_invoice(INVOICE)
    lacks = " It carries no electronic invoice, which is for documents that show every character."
    assert told(firm) == ("ready", BOXES + lacks)
    firm.directus.firm["country"] = None
    firm.render.render_invoice(INVOICE)
    without = " The PDF carries no electronic invoice: the firm has no country (firm.country, two letters such as DE)."
    assert told(firm) == ("ready", BOXES + without)


def test_five_of_many_are_named() -> None:
    seven = tuple(f"U+{code_point:X}" for code_point in range(0x12000, 0x12007))
    assert remark_on_boxes(seven, lacks_electronic_invoice=False) == (
        "The PDF prints 7 characters as boxes, because no font has them: "
        "U+12000, U+12001, U+12002, U+12003, U+12004 and others."
    )
    assert remark_on_boxes(seven[:1], lacks_electronic_invoice=False) == (
        "The PDF prints a character as a box, because no font has it: U+12000."
    )
    assert remark_on_boxes((), lacks_electronic_invoice=True) is None
