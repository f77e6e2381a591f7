"""Where staff see why a PDF carries no electronic invoice: on the invoice, beside `ready`."""

from tests.unit.render_pdf.firm_rows import CLIENT, INVOICE
from tests.unit.render_pdf.office import Office, office


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
