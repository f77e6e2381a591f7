"""Receipts: one for each payment that succeeded, saying what was true when it was booked."""

import hashlib
from typing import Any

import pytest

from billing.documents.receipt import PrintedReceipt
from billing.errors import NotFound, RenderFailed, UpstreamUnavailable
from billing.messages import RenderReceiptPdf
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import CLIENT, INVOICE
from tests.unit.documents.office import Office
from tests.unit.documents.receipts import PAYMENT, paid, row

EVERY_STEP = [
    "create documents",
    "put object",
    "create directus_files",
    "update documents",
    "update payments",
]


def drawn(firm: Office) -> PrintedReceipt:
    return firm.renderer.receipts[-1]


def test_a_succeeded_payment_gets_one_object_one_file_row_one_documents_row_and_names_it() -> None:
    firm = paid()
    firm.work.handle(RenderReceiptPdf(PAYMENT))
    (document,), (file,) = firm.documents, firm.pdf_files
    ((key, content),) = firm.store.objects.items()
    assert firm.directus.effects.done == EVERY_STEP
    assert file == {
        "id": document["file"], "storage": "s3", "filename_disk": key,
        "filename_download": "Receipt-2026-0147-P1.pdf", "type": "application/pdf", "filesize": len(content),
        "title": "Receipt 2026-0147-P1",
    }  # fmt: skip
    assert key == f"{document['file']}.pdf"
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert (document["client"], document["invoice"], document["type"]) == (CLIENT, INVOICE, "receipt")
    assert (document["version"], document["visible_to_client"]) == (1, True)
    assert document["printed_payments"] == [
        {"id": PAYMENT, "date": "2026-10-05", "method": "card", "amount": "800.00", "currency": "USD"}
    ]
    assert (row(firm)["receipt"], row(firm)["receipt_error"]) == (document["file"], None)
    assert firm.invoice["pdf_status"] == "pending", "an invoice's document is another matter"


def test_it_says_what_was_received_and_nothing_that_changes_later() -> None:
    firm = paid()
    firm.receipts.render_receipt(PAYMENT)
    receipt = drawn(firm)
    assert (str(receipt.payment.amount), receipt.means) == ("800.00 USD", "Visa •••• 4242")
    assert (receipt.invoice_number, receipt.number) == ("2026-0147", "2026-0147-P1")
    firm.directus.collections["refunds"] = {
        "r": {"id": "r", "payment": PAYMENT, "amount": "300.00", "currency": "USD", "status": "succeeded"}
    }
    firm.invoice.update(total="900.00", amount_paid="500.00", balance_due="400.00", status="void")
    firm.receipts.render_receipt(PAYMENT, force=True)
    assert drawn(firm) == receipt
    assert len(firm.documents) == 1


def test_what_the_client_may_not_read_is_on_no_paper() -> None:
    firm = paid()
    firm.receipts.render_receipt(PAYMENT)
    printed = repr(drawn(firm))
    assert not [secret for secret in ("our own", "do not tell", "pi_1") if secret in printed]


def test_a_bank_account_is_named_by_its_bank() -> None:
    firm = paid(method="us_bank_account", brand=None, bank_name="STRIPE TEST BANK", last4="6789")
    firm.receipts.render_receipt(PAYMENT)
    assert (drawn(firm).payment.method, drawn(firm).means) == (
        "us_bank_account",
        "STRIPE TEST BANK •••• 6789",
    )


def test_cash_entered_without_a_day_is_dated_by_the_firms_calendar() -> None:
    firm = paid(method="cash", brand=None, last4=None, payment_date=None, date_created="2026-10-06T02:00:00Z")
    firm.receipts.render_receipt(PAYMENT)
    assert (str(drawn(firm).day), drawn(firm).means) == ("2026-10-05", "")
    firm.directus.firm["timezone"] = "Asia/Tokyo"
    firm.receipts.render_receipt(PAYMENT)
    assert len(firm.documents) == 1


@pytest.mark.parametrize(
    ("wish", "language"), [({"language": "de-CH"}, "de-CH"), ({"language": "nl"}, "fr"), ({}, "fr")]
)
def test_its_language_is_chosen_as_the_invoices(wish: dict[str, str], language: str) -> None:
    firm = paid()
    firm.invoice.update(wish)
    firm.directus.collections["clients"][CLIENT]["language"] = "fr"
    firm.receipts.render_receipt(PAYMENT)
    assert drawn(firm).language == language


def test_a_replayed_message_draws_and_writes_nothing() -> None:
    firm = paid()
    firm.receipts.render_receipt(PAYMENT)
    firm.directus.effects.done.clear()
    firm.receipts.render_receipt(PAYMENT)
    assert (firm.directus.effects.done, len(firm.renderer.receipts)) == ([], 1)


def test_a_firm_that_has_moved_and_a_new_template_make_no_new_receipts_of_old_payments() -> None:
    firm = paid()
    firm.receipts.render_receipt(PAYMENT)
    firm.directus.firm["address"] = "Elsewhere"
    firm.renderer.template_version = "template 2"
    firm.receipts.render_receipt(PAYMENT)
    assert len(firm.documents) == 1


@pytest.mark.parametrize(
    "mended", [{"amount": "80.00"}, {"payment_date": "2026-10-04"}, {"method": "us_bank_account"}]
)
def test_a_payment_that_says_something_else_gets_the_next_version_and_the_older_stays(
    mended: dict[str, str],
) -> None:
    firm = paid(method="wire", brand=None, last4=None, transaction_id=None)
    firm.receipts.render_receipt(PAYMENT)
    row(firm).update(mended)
    firm.receipts.render_receipt(PAYMENT)
    assert [document["version"] for document in firm.documents] == [1, 2]
    assert row(firm)["receipt"] == firm.documents[1]["file"]
    assert len(firm.store.objects) == 2


def test_an_amount_that_was_mended_back_has_its_first_receipt_again() -> None:
    firm = paid()
    for amount in ("800.00", "80.00", "800.00"):
        row(firm)["amount"] = amount
        firm.receipts.render_receipt(PAYMENT)
    assert len(firm.documents) == 2
    assert row(firm)["receipt"] == firm.documents[0]["file"]


def test_two_payments_of_one_invoice_have_a_receipt_and_versions_each() -> None:
    firm = paid()
    firm.directus.collections["payments"]["p2"] = dict(row(firm), id="p2", transaction_id="pi_2")
    firm.receipts.render_receipt(PAYMENT)
    firm.receipts.render_receipt("p2")
    assert [document["version"] for document in firm.documents] == [1, 1]
    assert len({found["receipt"] for found in firm.directus.collections["payments"].values()}) == 2


@pytest.mark.parametrize(
    "columns",
    [{"status": "processing"}, {"status": "canceled"}, {"invoice": None, "client": None}, {"client": None}],
)
def test_what_has_not_succeeded_or_belongs_to_nobody_has_none(columns: dict[str, Any]) -> None:
    firm = paid(**columns)
    firm.receipts.render_receipt(PAYMENT)
    assert (firm.directus.effects.done, firm.renderer.receipts) == ([], [])


def test_an_unapplied_payment_has_its_receipt_once_it_is_assigned() -> None:
    firm = paid(invoice=None, client=None)
    firm.receipts.render_receipt(PAYMENT)
    row(firm).update(invoice=INVOICE, client=CLIENT)
    firm.receipts.render_receipt(PAYMENT)
    assert row(firm)["receipt"] == firm.documents[0]["file"]


def test_money_on_a_draft_is_acknowledged_when_that_is_sent() -> None:
    firm = paid()
    firm.invoice.update(status="draft", sent_at=None)
    firm.receipts.render_receipt(PAYMENT)
    assert firm.documents == []
    firm.invoice.update(status="sent", sent_at="2026-10-06T00:00:00Z")
    firm.receipts.render_receipt(PAYMENT)
    assert len(firm.documents) == 1


def test_a_payment_of_another_client_than_its_invoices_is_said_on_it() -> None:
    firm = paid(client="99999999-9999-4999-8999-999999999999")
    firm.receipts.render_receipt(PAYMENT)
    assert firm.documents == []
    assert "client" in row(firm)["receipt_error"]
    row(firm)["client"] = CLIENT
    firm.receipts.render_receipt(PAYMENT)
    assert (row(firm)["receipt_error"], len(firm.documents)) == (None, 1)


def test_what_cannot_be_drawn_is_said_on_the_payment() -> None:
    firm = paid()
    firm.renderer.error = RenderFailed("The document could not be rendered.", quote="Zoë", invoice=INVOICE)
    firm.receipts.render_receipt(PAYMENT)
    assert (row(firm)["receipt"], row(firm)["receipt_error"]) == (
        None,
        "The document could not be rendered: Zoë",
    )


def test_an_outage_is_nothing_to_say_on_the_payment() -> None:
    firm = paid()
    firm.renderer.error = UpstreamUnavailable("S3 is away.")
    with pytest.raises(UpstreamUnavailable):
        firm.receipts.render_receipt(PAYMENT)
    assert row(firm)["receipt_error"] is None


def test_an_unknown_payment_is_refused_for_good() -> None:
    with pytest.raises(NotFound):
        paid().receipts.render_receipt("p9")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("step", EVERY_STEP)
def test_a_crash_after_any_step_is_continued_by_the_next_delivery(step: str, *, force: bool) -> None:
    undisturbed = paid()
    undisturbed.receipts.render_receipt(PAYMENT)
    firm = paid()
    firm.directus.effects.die_after = step
    with pytest.raises(Crash):
        firm.receipts.render_receipt(PAYMENT)
    firm.directus.effects.die_after = None
    firm.receipts.render_receipt(PAYMENT, force=force)
    assert (firm.state(), row(firm)) == (undisturbed.state(), row(undisturbed))


@pytest.mark.parametrize("collection", ["directus_files", "documents"])
def test_two_workers_at_once_end_with_one_receipt(collection: str) -> None:
    firm = paid()
    running: list[bool] = []

    def the_other_is_faster(created: str) -> None:
        if created == f"create {collection}" and not running:
            running.append(True)
            firm.receipts.render_receipt(PAYMENT)

    firm.directus.effects.before = the_other_is_faster
    firm.receipts.render_receipt(PAYMENT)
    assert running
    assert (len(firm.documents), len(firm.pdf_files), len(firm.store.objects)) == (1, 1, 1)
    assert row(firm)["receipt"] == firm.documents[0]["file"]


@pytest.mark.parametrize("lost", ["object", "file row", "documents row", "payment's link"])
def test_what_is_missing_is_mended(lost: str) -> None:
    firm = paid()
    firm.receipts.render_receipt(PAYMENT)
    whole = [dict(found) for found in (*firm.documents, *firm.pdf_files, row(firm))]
    match lost:
        case "object":
            firm.store.objects.clear()
        case "file row":
            firm.directus.collections["directus_files"].clear()
            firm.documents[0]["file"] = row(firm)["receipt"] = None  # what the foreign keys do
        case "documents row":
            firm.directus.collections["documents"].clear()
        case _:
            row(firm)["receipt"] = None
    firm.receipts.render_receipt(PAYMENT)
    assert [dict(found) for found in (*firm.documents, *firm.pdf_files, row(firm))] == whole
    assert len(firm.store.objects) == 1
