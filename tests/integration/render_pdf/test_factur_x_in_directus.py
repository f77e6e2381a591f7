"""What electronic invoices need comes out of a real Directus, with the service user's own rights."""

import io
from collections.abc import Iterator
from typing import Any

import pikepdf
import pytest

from billing.directus.client import DirectusClient
from billing.documents.factur_x.invoice import remark_on
from billing.documents.invoice import PrintedInvoice, print_invoice
from billing.documents.pdf.renderer import WeasyPrintRenderer
from billing.documents.store import DocumentRecords
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus, running
from tests.integration.render_pdf import archival_pdf
from tests.integration.render_pdf.en16931 import schema_errors, verdict

# WeasyPrint 70 leaves closing its own colour profile to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014.icc:ResourceWarning")


class ServiceToken:
    """The service user's token, which nobody rotates here."""

    def current(self) -> str:
        return SERVICE_TOKEN

    refresh = current


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def directus(request: pytest.FixtureRequest) -> Iterator[RunningDirectus]:
    """A firm that wants electronic invoices, for as long as this file's tests run."""
    found = running(request.param)
    wanted = {"electronic_invoice": "factur-x", "country": "US"}
    before = found.admin.call("GET", f"/items/firm?fields={','.join(wanted)}")
    found.admin.call("PATCH", "/items/firm", wanted)
    yield found
    found.admin.call("PATCH", "/items/firm", before)


def printed_invoices(directus: RunningDirectus) -> list[PrintedInvoice]:
    """Every sent invoice of the seed, as the worker would print it."""
    path = "/items/invoices?filter[sent_at][_nnull]=true&filter[invoice_number][_starts_with]=HNO-&fields=id&limit=-1"
    records = DocumentRecords(DirectusClient(directus.url, ServiceToken(), http()))
    found = []
    for row in directus.admin.call("GET", path):
        record = records.invoice(row["id"])
        assert record is not None
        assert record.facts.ledger.sent_at is not None
        found.append(
            print_invoice(
                invoice=record.facts,
                sent_at=record.facts.ledger.sent_at,
                firm=record.firm,
                client=record.client,
                lines=record.lines,
                payments=[],
            )
        )
    return found


def test_the_seeds_invoices_are_electronic_or_say_what_is_missing(
    directus: RunningDirectus, renderer: WeasyPrintRenderer
) -> None:
    remarks = {}
    for printed in printed_invoices(directus):
        remarks[printed.number] = remark_on(printed)
        with pikepdf.open(io.BytesIO(renderer.render_invoice(printed, None).content)) as pdf:
            assert archival_pdf.defects(pdf) == []
            assert list(pdf.attachments) == ([] if remarks[printed.number] else ["factur-x.xml"])
            if pdf.attachments:
                xml = pdf.attachments["factur-x.xml"].get_file().read_bytes()
                assert schema_errors(xml) == []
                assert verdict(xml).failed <= {"PEPPOL-EN16931-R008"}
    assert None in remarks.values()
    missing = {reason.partition(": ")[2] for reason in remarks.values() if reason}
    assert missing <= {"the invoice is not taxed, and invoices.tax_category does not say why."}


def test_a_category_and_its_ground_are_read_and_nothing_else_is_taken(directus: RunningDirectus) -> None:
    path = "/items/invoices?filter[invoice_number][_starts_with]=HNO-&filter[status][_eq]=draft&limit=1"
    (draft,) = directus.admin.call("GET", path)
    wanted: dict[str, Any] = {"tax_category": "reverse_charge", "tax_exemption_reason": "Article 196"}
    try:
        directus.admin.call("PATCH", f"/items/invoices/{draft['id']}", wanted)
        records = DocumentRecords(DirectusClient(directus.url, ServiceToken(), http()))
        record = records.invoice(draft["id"])
        assert record is not None
        assert (record.facts.tax_category, record.facts.tax_exemption_reason) == (
            "reverse_charge",
            "Article 196",
        )
        assert (record.firm.electronic_invoice, record.firm.country_code) == (True, "US")
        for wrong in ({"tax_category": "none"}, {"tax_category": "S"}):
            assert directus.admin.answer("PATCH", f"/items/invoices/{draft['id']}", wrong)[0] == 400
        for wrong in ({"country": "USA"}, {"country": "us"}, {"electronic_invoice": "zugferd"}):
            assert directus.admin.answer("PATCH", "/items/firm", wrong)[0] == 400
    finally:
        nothing = dict.fromkeys(wanted)
        directus.admin.call("PATCH", f"/items/invoices/{draft['id']}", nothing)
