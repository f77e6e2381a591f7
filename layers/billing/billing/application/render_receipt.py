"""Make sure a succeeded payment has its receipt, once (`deliver_document`), and that the payment names it.

The payment's `receipt` is written last: a payment that succeeded and names none is asked for again, by the one writer
whenever it looks at the invoice and by reconciliation every hour. What the rows forbid is written on the payment
(`receipt_error`) and ends the message; what may pass is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.application.deliver_document import firm_logo, lies_in_its_rows, told_to_staff
from billing.core.document_plan import PlannedDocument, next_version
from billing.core.printed_receipt import (
    print_receipt,
    receipt_identity,
    receipt_is_due,
    standing_receipt,
)
from billing.errors import BillingError, NotFound
from billing.observability import count, log_refusal, logger

if TYPE_CHECKING:
    from billing.adapters.directus_assets import FileBytes
    from billing.adapters.document_records import DocumentRecords
    from billing.adapters.pdf_renderer import PdfRenderer
    from billing.application.deliver_document import DocumentDelivery
    from billing.core.printed_receipt import ReceiptRecord, ReceivedPayment


@dataclass(frozen=True)
class RenderReceipt:
    """The use case of the rendering worker for receipts."""

    records: DocumentRecords
    delivery: DocumentDelivery
    renderer: PdfRenderer
    files: FileBytes

    def render_receipt(self, payment: str, *, force: bool = False) -> None:
        """Bring the payment's receipt into being, or write on the payment why that cannot be.

        Nothing is done for a payment that no receipt is due for (`receipt_is_due`): it is asked for again once one
        is. `force` draws again what is there already and mends what is missing. Raises `NotFound` and retryable
        errors.
        """
        received = self.records.received_payment(payment)
        if received is None:
            message = "There is no such payment."
            raise NotFound(message, payment=payment)
        try:
            file = self._receipt_of(received, force=force)
        except BillingError as error:
            if not lies_in_its_rows(error):
                raise
            log_refusal(error)
            count("ReceiptFailed")
            self.records.set_receipt(payment, {"receipt_error": told_to_staff(error)})
        else:
            if file is None:
                logger.info("No receipt is due for this payment now.", extra={"payment": payment})
                return
            count("ReceiptReady")
            if (received.receipt, received.receipt_error) != (file, ""):
                self.records.set_receipt(payment, {"receipt": file, "receipt_error": None})

    def _receipt_of(self, payment: ReceivedPayment, *, force: bool) -> str | None:
        """The file of the payment's receipt; None if it can have none now."""
        self.delivery.finish(payment.id)
        record = self.records.receipt(payment) if payment.invoice is not None else None
        if record is None or not receipt_is_due(payment, record.invoice):
            return None
        return self._delivered(record, force=force)

    def _delivered(self, record: ReceiptRecord, *, force: bool) -> str:
        """The file of the receipt that says what the payment says."""
        standing = standing_receipt(record)
        if standing is not None and not force and self.delivery.is_whole(standing):
            return str(standing.file)
        logo = firm_logo(record.logo, self.records, self.files)
        printed = print_receipt(record, logo)
        identity = receipt_identity(
            printed,
            template_version=self.renderer.receipt_version,
            layer_version=self.renderer.layer_version,
        )
        planned = PlannedDocument(
            identity=identity,
            type="receipt",
            client=record.invoice.ledger.client,
            invoice=printed.invoice,
            title=self.renderer.receipt_title(printed),
            name=self.renderer.receipt_title(printed),
            version=next_version(record.documents),
            printed_payments=(printed.payment,),
        )
        existing = next((row for row in record.documents if row.id == identity.document_id), None)
        self.delivery.deliver(
            record.payment.id,
            planned,
            existing,
            lambda: self.renderer.render_receipt(printed, logo),
            force=force,
        )
        return identity.file_id
