import hashlib
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from billing.aws.observability import logger
from billing.aws.queue_worker import RENDERING, Retry, disposition, process_batch
from billing.documents.deliver import Order
from billing.documents.invoice import MAX_LOGO_BYTES
from billing.errors import (
    Conflict,
    DirectusRejected,
    NotFound,
    RenderFailed,
    Unprocessable,
    UpstreamUnavailable,
)
from billing.messages import RenderInvoicePdf
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import CLIENT, INVOICE, LOGO, line, payment
from tests.unit.documents.office import Office, office

EVERY_STEP = [
    "create documents",
    "put object",
    "create directus_files",
    "update documents",
    "update invoices",
]


def test_a_sent_invoice_gets_one_object_one_file_row_and_one_documents_row() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    (document,), (file,) = firm.documents, firm.pdf_files
    ((key, content),) = firm.store.objects.items()
    assert firm.directus.effects.done == EVERY_STEP
    assert file == {
        "id": document["file"], "storage": "s3", "filename_disk": key, "filename_download": "2026-0147.pdf",
        "type": "application/pdf", "filesize": len(content), "title": "Invoice 2026-0147",
    }  # fmt: skip
    assert key == f"{document['file']}.pdf"
    assert document["sha256"] == hashlib.sha256(content).hexdigest()
    assert (document["client"], document["invoice"], document["type"]) == (CLIENT, INVOICE, "invoice")
    assert (document["version"], document["visible_to_client"]) == (1, True)
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)


def test_a_replayed_message_draws_and_writes_nothing_new() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.directus.effects.done.clear()
    firm.render.render_invoice(INVOICE)
    assert firm.directus.effects.done == []
    assert len(firm.renderer.drawn) == 1


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("step", EVERY_STEP)
def test_a_crash_after_any_step_is_continued_by_the_next_delivery(step: str, *, force: bool) -> None:
    undisturbed = office()
    undisturbed.render.render_invoice(INVOICE)
    firm = office()
    firm.directus.effects.die_after = step
    with pytest.raises(Crash):
        firm.render.render_invoice(INVOICE)
    firm.directus.effects.die_after = None
    firm.render.render_invoice(INVOICE, force=force)
    assert firm.state() == undisturbed.state()


@pytest.mark.parametrize("collection", ["directus_files", "documents"])
def test_two_workers_at_once_end_with_one_document(collection: str) -> None:
    firm = office()
    running: list[bool] = []

    def the_other_is_faster(created: str) -> None:
        if created == f"create {collection}" and not running:
            running.append(True)
            firm.render.render_invoice(INVOICE)

    firm.directus.effects.before = the_other_is_faster
    firm.render.render_invoice(INVOICE)
    assert running
    assert (len(firm.documents), len(firm.pdf_files), len(firm.store.objects)) == (1, 1, 1)
    assert firm.invoice["pdf_status"] == "ready"


def test_force_draws_again_and_never_makes_a_second_document() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    before = firm.state()
    firm.render.render_invoice(INVOICE, force=True)
    assert firm.state() == before
    assert len(firm.renderer.drawn) == 2


def test_force_with_other_ink_brings_the_row_in_line_with_the_bytes() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.renderer.ink = "blue"
    firm.render.render_invoice(INVOICE, force=True)
    (document,) = firm.documents
    (content,) = firm.store.objects.values()
    assert b"blue" in content
    assert document["sha256"] == hashlib.sha256(content).hexdigest()


def lose_the_object(firm: Office) -> None:
    firm.store.objects.clear()


def lose_the_file_row(firm: Office) -> None:
    firm.directus.collections["directus_files"].clear()
    firm.documents[0]["file"] = None  # what the foreign key does when the file's row is deleted


def lose_the_document(firm: Office) -> None:
    firm.directus.collections["documents"].clear()


@pytest.mark.parametrize("lose", [lose_the_object, lose_the_file_row, lose_the_document])
def test_what_is_missing_is_mended(lose: Callable[[Office], None]) -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    whole = firm.state()
    remembered = [list(map(dict, part)) if isinstance(part, list) else part for part in whole]
    lose(firm)
    firm.invoice["pdf_status"] = "pending"
    firm.render.render_invoice(INVOICE)
    assert [list(map(dict, p)) if isinstance(p, list) else p for p in firm.state()] == remembered


def test_a_changed_invoice_gets_the_next_version_and_the_older_stays() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.directus.collections["line_items"]["d"] = line("d", kind="discount", amount="-100.00")
    firm.invoice.update(subtotal="900.00", tax="90.00", total="990.00")
    firm.render.render_invoice(INVOICE)
    assert [document["version"] for document in firm.documents] == [1, 2]
    assert len(firm.store.objects) == 2


def test_a_new_template_is_a_new_version() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.renderer.template_version = "template 2"
    firm.render.render_invoice(INVOICE)
    assert [document["version"] for document in firm.documents] == [1, 2]


def test_a_payment_after_sending_changes_nothing_on_paper() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.directus.collections["payments"]["p2"] = payment(
        "p2", amount="800.00", date_created="2026-10-05T00:00:00Z"
    )
    firm.invoice.update(amount_paid="1100.00", balance_due="0.00", status="paid")
    firm.render.render_invoice(INVOICE, force=True)
    assert len(firm.documents) == 1
    assert firm.renderer.drawn[1] == firm.renderer.drawn[0]


def test_a_retainer_refunded_after_sending_stays_on_every_later_version() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.directus.collections["refunds"] = {
        "r": {"id": "r", "payment": "p1", "amount": "300.00", "currency": "USD", "status": "succeeded"}
    }
    firm.renderer.template_version = "template 2"
    firm.render.render_invoice(INVOICE)
    first, second = firm.renderer.drawn
    assert [str(paid.amount) for paid in second.payments] == ["300.00 USD"]
    assert second.payments == first.payments
    assert firm.documents[0]["printed_payments"] == firm.documents[1]["printed_payments"] == [
        {"id": "p1", "date": "2026-09-19", "method": "wire", "amount": "300.00", "currency": "USD"}
    ]  # fmt: skip


def test_totals_that_do_not_add_up_render_nothing_and_name_both_numbers() -> None:
    firm = office(total="1200.00")
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "failed"
    assert "1200.00 USD" in firm.invoice["pdf_error"]
    assert "1100.00 USD" in firm.invoice["pdf_error"]
    assert (firm.documents, firm.pdf_files, firm.store.objects, firm.renderer.drawn) == ([], [], {}, [])


def test_a_failed_document_is_ready_once_its_cause_is_mended() -> None:
    firm = office(total="1200.00")
    firm.render.render_invoice(INVOICE)
    firm.invoice["total"] = "1100.00"
    firm.render.render_invoice(INVOICE)
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)


def test_hours_times_rate_need_not_be_the_amount() -> None:
    firm = office()
    firm.directus.collections["line_items"]["a"]["hours"] = Decimal("9.99")
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "ready"


def asked_for_booking(firm: Office, *, receive: int, force: bool = False) -> bool:
    """Whether the writer is asked at a message's delivery; the invoice is left alone and the message comes back."""
    firm.queue.recomputed.clear()
    message = RenderInvoicePdf(INVOICE, force=force)
    with pytest.raises(UpstreamUnavailable) as caught:
        firm.work.handle(message, Order(receive=receive))
    assert caught.value.code == "invoice_not_booked"
    assert caught.value.retry_after <= 10
    assert firm.directus.effects.done == []
    assert firm.queue.recomputed in ([], [INVOICE])
    return bool(firm.queue.recomputed)


def unbooked() -> Office:
    return office(sent_at=None, subtotal=None, tax=None, total=None)


def test_an_invoice_the_writer_has_not_seen_waits_for_the_recompute_that_its_sending_queued() -> None:
    """A thousand sent at once would else be a thousand more for the writer that they wait for."""
    firm = unbooked()
    assert not any(asked_for_booking(firm, receive=receive) for receive in range(1, 7))


def test_where_that_recompute_was_lost_a_later_delivery_asks_for_another() -> None:
    firm = unbooked()
    assert all(asked_for_booking(firm, receive=receive) for receive in range(7, 21))
    waits = [disposition(UpstreamUnavailable("x"), receive) for receive in range(1, 7)]
    assert sum(wait.seconds for wait in waits if isinstance(wait, Retry)) < 6 * 60


def test_whoever_asks_by_hand_has_it_asked_for_at_once_and_then_like_the_others() -> None:
    firm = unbooked()
    assert [asked_for_booking(firm, receive=receive, force=True) for receive in (1, 2, 6, 7)] == [
        True, False, False, True,
    ]  # fmt: skip


def test_a_booked_invoice_is_never_asked_for_however_often_its_message_came() -> None:
    firm = office()
    firm.work.handle(RenderInvoicePdf(INVOICE, force=True), Order(receive=9))
    assert (firm.invoice["pdf_status"], firm.queue.recomputed) == ("ready", [])


def test_wrong_totals_of_an_unbooked_invoice_are_said_at_once_and_not_retried() -> None:
    firm = office(sent_at=None, total="1200.00")
    firm.render.render_invoice(INVOICE, force=True, order=Order(receive=9))
    assert (firm.invoice["pdf_status"], firm.queue.recomputed) == ("failed", [])


def test_a_draft_is_refused_for_good() -> None:
    firm = office(status="draft", sent_at=None)
    with pytest.raises(Conflict) as caught:
        firm.render.render_invoice(INVOICE)
    assert (caught.value.code, caught.value.retryable) == ("invoice_is_draft", False)
    assert firm.directus.effects.done == []


def test_an_unknown_invoice_is_refused_for_good() -> None:
    with pytest.raises(NotFound):
        office().render.render_invoice("44444444-4444-4444-8444-444444444444")


@pytest.mark.parametrize("sent_at", ["2026-10-01T14:30:00Z", None])
@pytest.mark.parametrize(
    ("status", "voided_at"),
    [("void", None), ("void", "2026-10-02T08:00:00Z"), ("sent", "2026-10-02T08:00:00Z"),
     ("draft", "2026-10-02T08:00:00Z")],
)  # fmt: skip
def test_a_void_invoice_gets_no_new_document(status: str, voided_at: str | None, sent_at: str | None) -> None:
    firm = office(status=status, sent_at=sent_at, voided_at=voided_at)
    firm.render.render_invoice(INVOICE)
    assert (firm.invoice["pdf_status"], firm.documents) == ("failed", [])
    assert "void" in firm.invoice["pdf_error"]


def test_the_document_of_an_invoice_that_became_void_is_still_mended() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.invoice["status"] = "void"
    firm.store.objects.clear()
    firm.render.render_invoice(INVOICE)
    assert (len(firm.store.objects), firm.invoice["pdf_status"]) == (1, "ready")


def test_what_cannot_be_drawn_fails_with_the_reason() -> None:
    firm = office()
    firm.renderer.error = Unprocessable(
        "The firm's logo cannot be printed: it is not a PNG.", code="bad_logo"
    )
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "failed"
    assert firm.invoice["pdf_error"] == "The firm's logo cannot be printed: it is not a PNG."


def test_the_logo_is_read_and_drawn() -> None:
    firm = office()
    firm.directus.firm["logo"] = LOGO
    firm.directus.collections["directus_files"][LOGO] = {"id": LOGO, "type": "image/png", "filesize": "4"}
    firm.files.contents[LOGO] = b"\x89PNG"
    firm.render.render_invoice(INVOICE)
    (logo,) = firm.renderer.logos
    assert logo is not None
    assert (logo.content, logo.media_type) == (b"\x89PNG", "image/png")
    assert firm.renderer.drawn[0].logo_sha256 == hashlib.sha256(b"\x89PNG").hexdigest()


class Log(logging.Handler):
    """Everything that was logged, as one text."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += repr(vars(record))


def test_what_the_drawing_software_quotes_is_said_to_staff_and_never_logged() -> None:
    firm = office()
    firm.renderer.error = RenderFailed(
        "The document could not be rendered completely.", quote="No such thing: Zoë's secret", invoice=INVOICE
    )
    log = Log()
    logger.addHandler(log)
    try:
        firm.render.render_invoice(INVOICE)
    finally:
        logging.getLogger(logger.name).removeHandler(log)
    assert (
        firm.invoice["pdf_error"]
        == "The document could not be rendered completely: No such thing: Zoë's secret"
    )
    assert "The document could not be rendered completely." in log.text
    assert "secret" not in log.text


@pytest.mark.parametrize("row", [None, {"id": LOGO, "type": "image/png", "filesize": MAX_LOGO_BYTES + 1}])
def test_a_logo_that_is_gone_or_huge_is_said_on_the_invoice(row: dict[str, Any] | None) -> None:
    firm = office()
    firm.directus.firm["logo"] = LOGO
    if row:
        firm.directus.collections["directus_files"][LOGO] = row
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "failed"
    assert "logo" in firm.invoice["pdf_error"]


def test_a_firm_row_without_a_name_is_said_on_the_invoice() -> None:
    firm = office()
    firm.directus.firm["name"] = None
    firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_error"] == "A row of firm cannot be read: check name."


@pytest.mark.parametrize(
    ("collection", "row", "column"),
    [("invoices", INVOICE, "due_date"), ("payments", "p1", "status"), ("line_items", "a", "kind")],
)
def test_a_row_that_cannot_be_read_is_said_on_the_invoice(collection: str, row: str, column: str) -> None:
    firm = office()
    firm.directus.collections[collection][row][column] = "soon"
    firm.render.render_invoice(INVOICE)
    assert (firm.invoice["pdf_status"], firm.documents) == ("failed", [])
    assert firm.invoice["pdf_error"] == f"A row of {collection} cannot be read: check {column}."


def test_a_refusal_of_directus_is_not_blamed_on_the_invoice() -> None:
    firm = office()
    firm.renderer.error = DirectusRejected("Directus answered 403.", directus_code="FORBIDDEN")
    with pytest.raises(DirectusRejected):
        firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "pending"


def test_a_directus_that_is_away_changes_nothing_and_is_retried() -> None:
    firm = office()
    firm.renderer.error = UpstreamUnavailable("Directus is away.")
    with pytest.raises(UpstreamUnavailable):
        firm.render.render_invoice(INVOICE)
    assert firm.invoice["pdf_status"] == "pending"


def test_a_number_with_a_slash_becomes_a_file_name() -> None:
    firm = office(invoice_number='2026/07 "A"')
    firm.render.render_invoice(INVOICE)
    assert firm.pdf_files[0]["filename_download"] == "2026-07-A-.pdf"


def test_all_150_line_items_are_printed() -> None:
    firm = office(subtotal="15000.00", tax="1500.00", total="16500.00")
    lines = [line(f"line-{n:03}", amount="100.00") for n in range(150)]
    firm.directus.collections["line_items"] = {row["id"]: row for row in lines}
    firm.render.render_invoice(INVOICE)
    assert sum(len(group.lines) for group in firm.renderer.drawn[0].groups) == 150


def test_the_portal_is_named_only_where_there_is_one() -> None:
    firm = office()
    firm.render.render_invoice(INVOICE)
    firm.portal_url = "https://portal.example/"
    firm.render.render_invoice(INVOICE)
    without, with_portal = firm.renderer.drawn
    assert without.portal_url == ""
    assert with_portal.portal_link == f"https://portal.example/invoices/{INVOICE}"


class Control:
    """Remembers what became of a message."""

    def __init__(self) -> None:
        self.postponed: list[tuple[str, int]] = []
        self.dead: list[tuple[str, str]] = []

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        self.postponed.append((receipt_handle, seconds))

    def send_to_dead_letters(self, record: Any, reason: str) -> None:
        self.dead.append((record["messageId"], reason))


def batch(body: str) -> dict[str, Any]:
    return {"Records": [{"messageId": "m", "receiptHandle": "r", "body": body,
                         "attributes": {"ApproximateReceiveCount": "1"}}]}  # fmt: skip


def test_the_queue_keeps_an_unbooked_invoice_for_a_few_seconds_and_parks_a_draft() -> None:
    control = Control()
    body = f'{{"type": "invoice", "invoice": "{INVOICE}", "force": false}}'
    waiting = process_batch(batch(body), RENDERING, office(sent_at=None).work.handle, control)
    parked = process_batch(batch(body), RENDERING, office(status="draft").work.handle, control)
    assert waiting == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert parked == {"batchItemFailures": []}
    assert (control.postponed, control.dead) == ([("r", 5)], [("m", "invoice_is_draft")])
