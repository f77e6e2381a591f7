"""Make sure an invoice's PDF exists, once (`deliver`), and that the invoice says so (`pdf_status`).

What the invoice's own data forbids is written on the invoice (`pdf_status` `failed`, `pdf_error`) and ends the
message; what may pass is raised. Beside `ready`, `pdf_error` says what a finished document lacks: characters that no
font has, and the electronic invoice that the firm wants and that these or the data forbid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.aws.observability import count, log_refusal, logger
from billing.documents.deliver import FIRST, changed_while_rendered, firm_logo, is_data_error, staff_message
from billing.documents.factur_x.invoice import remark_on
from billing.documents.invoice import Logo, PrintedInvoice, identity_of, lines_with_own_amount, print_invoice
from billing.documents.text import remark_on_boxes
from billing.documents.versions import (
    InvoiceRecord,
    PlannedDocument,
    correction_to_print,
    next_version,
    payments_to_print,
)
from billing.errors import (
    BillingError,
    Conflict,
    NotFound,
    Unprocessable,
    UpstreamUnavailable,
)
from billing.ledger.ledger import LineItem, checked_totals

if TYPE_CHECKING:
    from billing.aws.queues import InvoiceQueue
    from billing.directus.assets import FileBytes
    from billing.documents.deliver import DocumentDelivery, Order
    from billing.documents.rendered import PdfRenderer, RenderedPdf
    from billing.documents.store import DocumentRecords


#: A message is delivered for the seventh time 315 seconds after the first (`queue_worker.disposition`); from then on so
#: seldom that each time may ask. A thousand invoices are booked by then, but for a slow Directus.
_PATIENT_RECEIVES = 6


def asks_for_booking(receive: int, *, by_hand: bool) -> bool:
    """Whether a recompute must be queued with the message's `receive`th delivery, counted from 1.

    `by_hand`: somebody has chosen *Render again*, as they are told to where the sending's own messages may be lost: then
    it is asked for at once, too, and once only.
    """
    return receive > _PATIENT_RECEIVES or (by_hand and receive == 1)


_NOT_BOOKED = "invoice_not_booked"
_SECONDS_UNTIL_THE_WRITER_WAS_THERE = 5
#: How often the rows may change under a worker before it leaves the document to the next delivery of the message.
_LOOKS = 3


@dataclass(frozen=True)
class RenderDocument:
    """The use case of the rendering worker for invoices. `portal_url` is empty while there is no portal.

    `files` reads what staff upload to be printed.
    """

    records: DocumentRecords
    delivery: DocumentDelivery
    renderer: PdfRenderer
    files: FileBytes
    invoice_queue: InvoiceQueue
    portal_url: str = ""

    def render_invoice(self, invoice: str, *, force: bool = False, order: Order = FIRST) -> None:
        """Bring the invoice's document into being, or write on the invoice why that cannot be.

        `force` renders again what is there already (same content, same ids) and mends what is missing; people ask so.
        `order` is this delivery of the message. Raises `NotFound`, `Conflict` `invoice_is_draft`, `Parked` and
        retryable errors, `invoice_not_booked` among them: the invoice writer has not seen the invoice as sent yet.
        """
        try:
            self._current(invoice, force=force, order=order)
        except BillingError as error:
            if error.code == _NOT_BOOKED and asks_for_booking(order.receive, by_hand=force):
                self.invoice_queue.recompute([invoice])
            if not is_data_error(error):
                raise
            log_refusal(error)
            count("DocumentFailed")
            self.records.set_pdf_status(invoice, "failed", staff_message(error))
        else:
            count("DocumentReady")

    def _current(self, invoice: str, *, force: bool, order: Order) -> None:
        """Make the document of the rows as they are now, and say on the invoice that it is ready and what it lacks.

        What no font has is known only where it was rendered just now. Otherwise an invoice that is `ready` says it already.

        Another worker may have rendered newer rows meanwhile: the newest version must be what the rows say, so they are
        looked at again unless there is only this one.
        """
        for look in range(_LOOKS):
            record = self._record(invoice)
            printed, boxes, is_first = self._deliver(record, force=force and look == 0, order=order)
            if is_first or self._printed(self._record(invoice))[0] == printed:
                if boxes is not None or record.facts.ledger.pdf_status != "ready":
                    self.records.set_pdf_status(invoice, "ready", _remark(printed, boxes or ()))
                return
        raise changed_while_rendered(invoice=invoice)

    def _record(self, invoice: str) -> InvoiceRecord:
        record = self.records.invoice(invoice)
        if record is None:
            message = "There is no such invoice."
            raise NotFound(message, invoice=invoice)
        if record.facts.ledger.is_draft:
            message = "A draft has no PDF; send the invoice first."
            raise Conflict(message, code="invoice_is_draft", invoice=invoice)
        return record

    def _deliver(
        self, record: InvoiceRecord, *, force: bool, order: Order
    ) -> tuple[PrintedInvoice, tuple[str, ...] | None, bool]:
        """Make the document; return what it says, what it prints as boxes, and whether it is the first version.

        The boxes are None if it was not rendered.
        """
        printed, logo = self._printed(record)
        identity = identity_of(
            printed,
            template_version=self.renderer.template_version,
            layer_version=self.renderer.layer_version,
        )
        existing = next((row for row in record.documents if row.id == identity.document_id), None)
        if (existing is None or existing.is_begun) and record.facts.ledger.is_void:
            message = "The invoice is void: its documents stay, a new one is not made."
            raise Unprocessable(message, code="invoice_is_void", invoice=printed.id)
        planned = PlannedDocument(
            identity=identity,
            type="invoice",
            client=record.facts.ledger.client,
            invoice=printed.id,
            title=self.renderer.title(printed),
            name=printed.number,
            version=next_version(record.documents),
            printed_payments=printed.payments,
            words=self.renderer.version_words(printed),
            printed_as_of=record.as_of(printed.sent_at),
            replaces=printed.correction.replaces if printed.correction else None,
        )
        rendered: list[RenderedPdf] = []

        def render() -> RenderedPdf:
            pdf = self.renderer.render_invoice(printed, logo)
            rendered.append(pdf)
            return pdf

        def tell(reason: str | None) -> None:
            self.records.set_pdf_status(printed.id, "failed" if reason else "pending", reason)

        is_first = self.delivery.deliver(planned, existing, render, tell, force=force, order=order)
        if not is_first:
            self.delivery.title_versions(planned)
        return printed, rendered[0].missing_characters if rendered else None, is_first

    def _printed(self, record: InvoiceRecord) -> tuple[PrintedInvoice, Logo | None]:
        sent_at = record.facts.ledger.sent_at
        if sent_at is None:
            raise _not_sent_yet(record)
        logo = firm_logo(record.logo, self.records, self.files)
        printed = print_invoice(
            invoice=record.facts,
            sent_at=sent_at,
            firm=record.firm,
            client=record.client,
            lines=record.lines,
            payments=payments_to_print(record, sent_at),
            logo=logo,
            portal_url=self.portal_url,
            correction=correction_to_print(record, sent_at),
        )
        if remarks := lines_with_own_amount(record.lines):
            logger.warning(
                "Line items whose hours times rate is not their amount.",
                extra={"invoice": printed.id, "line_items": remarks[:20], "number_of_lines": len(remarks)},
            )
        return printed, logo


def _remark(printed: PrintedInvoice, boxes: tuple[str, ...]) -> str | None:
    """What staff must be told of a finished document; `boxes` are the characters that no font has."""
    missing = remark_on(printed)
    lacks = printed.firm.electronic_invoice and missing is None
    remarks = [remark_on_boxes(boxes, lacks_electronic_invoice=lacks), missing]
    if missing or (boxes and lacks):
        count("ElectronicInvoiceMissing")
    remark = " ".join(filter(None, remarks)) or None
    if remark:
        logger.warning(remark, extra={"invoice": printed.id})
    return remark


def _not_sent_yet(record: InvoiceRecord) -> BillingError:
    """`sent_at` and null totals are the invoice writer's to set; totals that do not add up it would refuse, too."""
    ledger = record.facts.ledger
    if ledger.is_void:
        message = "The invoice is void and was never sent."
        return Unprocessable(message, code="invoice_is_void", invoice=ledger.id)
    checked_totals(ledger, [LineItem(line.id, line.amount) for line in record.lines])
    message = "The invoice was just sent and is not booked yet; its document follows."
    return UpstreamUnavailable(
        message,
        retry_after=_SECONDS_UNTIL_THE_WRITER_WAS_THERE,
        code=_NOT_BOOKED,
        invoice=ledger.id,
    )
