"""Draws documents as stock WeasyPrint does: imported as it comes, our markup read by the HTML parser.

`python -m tests.integration.render_pdf.stock_drawings` prints the SHA-256 of each as JSON. It is a
program because what is replaced in a process stays replaced there.
"""

import datetime as dt
import hashlib
import importlib
import json
import logging
import sys

from billing.documents.invoice import PrintedInvoice, PrintedPayment
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.receipt import PrintedReceipt
from billing.documents.template import DocumentTemplate
from billing.documents.template_override import FirmTemplate
from billing.money import Money
from tests.integration.render_pdf.sample_invoices import CLIENT, FIRM, LOGO, SAMPLES, hostile, long

#: What a firm's own template may use and ours does not, and what a line of text in a cell may look like.
MARKUP = """<!DOCTYPE html><html lang="en"><head><title>Everything</title><style>
@page { size: A5; margin: 15mm; @bottom-center { content: element(foot) } }
@page { @footnote { border-top: 1pt solid } }
.foot { position: running(foot) } .note { float: footnote } .left { float: left; width: 3em }
.flex { display: flex } .flex div { flex: 1 } .grid { display: grid; grid-template-columns: 1fr 1fr }
.calc { width: calc(50% - 2em); font-size: calc(8px + .2em) } .calc span { letter-spacing: .1em }
.under { text-decoration: underline wavy } .hidden { visibility: hidden } .justified { text-align: justify }
.centre { text-align: center } .indent { text-indent: 2em } .rtl { direction: rtl } .caps { text-transform: uppercase }
.clip { overflow: hidden; white-space: nowrap; text-overflow: ellipsis } .pre { white-space: pre-wrap }
.first::first-line { font-weight: bold } .first::first-letter { font-size: 2em } .relative { position: relative; top: 2pt }
table { width: 100%; border-collapse: collapse } td { padding: 1mm; border: .5pt solid; break-inside: avoid }
</style></head><body><div class="foot">Page <span>foot</span></div>
<ul><li>one<li>two<ol><li>three</ol></ul><p>Text<span class="note">A note</span> and more.</p>
<div class="flex"><div>left</div><div><p class="calc">a <span>b</span></p></div></div>
<div class="grid"><div>1</div><div>2</div></div>
<table><thead><tr><th scope="col">Head<th scope="col">Head<th scope="col">Head</tr></thead><tbody>
{rows}</tbody></table></body></html>"""
CELLS = (
    "same", "same", "1.50", "", " ", "a b c", "\U0001f600 face", "مرحبا 12", "日本", "x" * 80, "tab\tstop", "\N{SOFT HYPHEN}soft",
    "<span>same</span>", "same<br>same", '<span class="left">f</span>same', "<b>same</b>", "same ", " same",
)  # fmt: skip
CLASSES = (
    "", "under", "hidden", "justified", "centre", "indent", "rtl", "caps", "clip", "pre", "first", "relative", "calc",
)  # fmt: skip


def everything() -> str:
    """Each kind of cell in each kind of row, twice over, so that lines come again."""
    rows = [
        f'<tr class="{name}"><td class="{name}">{cell}</td><td>{cell}</td><td>same</td></tr>'
        for _ in range(2)
        for name in CLASSES
        for cell in CELLS
    ]
    return MARKUP.replace("{rows}", "\n".join(rows))


#: Ours has neither lists nor notes.
FIRMS_STYLE = """
.code { float: footnote }
.number { display: list-item; list-style: lower-alpha inside; text-transform: uppercase }
"""


def documents() -> dict[str, PrintedInvoice | PrintedReceipt]:
    """Every kind of our own documents, by name."""
    invoices = {name: make() for name, make in SAMPLES.items() if make is not long}
    return {**invoices, "long": long(60), "hostile": hostile(), "receipt": RECEIPT}


RECEIPT = PrintedReceipt(
    invoice="i", number="2026-0147-1A2B", invoice_number="2026-0147", firm=FIRM, client=CLIENT,
    language="fr-FR", paper="A4", payment=PrintedPayment("p", dt.date(2026, 9, 20), "card", Money(100, "EUR")),
    day=dt.date(2026, 9, 20), means="Visa •••• 4242", matter_number="M-1", matter_name="Matter", logo_sha256=None,
)  # fmt: skip


def drawings(template: DocumentTemplate) -> dict[str, str]:
    """SHA-256 of each document's bytes and of `everything`, by name; WeasyPrint is imported already."""
    renderer = WeasyPrintRenderer(template)
    found = {}
    for name, printed in documents().items():
        logo = LOGO if printed.logo_sha256 else None
        if isinstance(printed, PrintedInvoice):
            drawn = renderer.render_invoice(printed, logo)
        else:
            drawn = renderer.render_receipt(printed, logo)
        found[name] = drawn.sha256
    footnotes = (template.style + FIRMS_STYLE).encode()
    of_a_firm = WeasyPrintRenderer(FirmTemplate({"invoice.css": footnotes}))
    found["a firm's own style"] = of_a_firm.render_invoice(SAMPLES["ordinary"](), LOGO).sha256
    found["everything"] = hashlib.sha256(draw_markup(everything())).hexdigest()
    return found


def draw_markup(markup: str) -> bytes:
    """A tagged PDF of any markup."""
    from weasyprint import HTML  # how it is imported is settled by whoever imports it first

    from billing.documents.pdf.fetcher import SealedFetcher  # it imports WeasyPrint

    source = HTML(string=markup, url_fetcher=SealedFetcher())
    return bytes(source.write_pdf(pdf_variant="pdf/a-3b", pdf_tags=True))


class ReadAsHtml(DocumentTemplate):
    """Our template, left to the HTML parser."""

    @property
    def is_well_formed(self) -> bool:
        """No."""
        return False


def main() -> None:
    """Print the SHA-256 of each document, by name, as JSON."""
    logging.disable(logging.ERROR)
    importlib.import_module("weasyprint")  # before our renderer would import it its own way
    sys.stdout.write(json.dumps(drawings(ReadAsHtml())))


if __name__ == "__main__":
    main()
