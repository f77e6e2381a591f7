"""Make sure a succeeded payment has its receipt, once (`DocumentDelivery.deliver`), and that the payment names it.

The payment's `receipt` and what that says (`receipt_says`) are written last, together: a payment that succeeded and names
none, or one that says something else than its row, is asked for by the invoice writer when that becomes so, and again by
reconciliation every hour (`ledger/receipts_due.py`). What the rows forbid is written on the payment
(`receipt_error`) and ends the message; what may pass is raised.

A receipt that says what is no longer so is never deleted, and never stays the one that the payment names. On the same
invoice the next version stands beside it. Where the payment was moved to another invoice or taken off this one, none
would: the receipt is withdrawn, which hides it from its client, until the payment comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.aws.observability import count, log_refusal, logger
from billing.documents.deliver import FIRST, changed_while_rendered, firm_logo, is_data_error, staff_message
from billing.documents.receipt import known_receipts, print_receipt, receipt_identity
from billing.documents.versions import PlannedDocument, next_version
from billing.errors import BillingError, NotFound
from billing.ledger.receipts_due import decide, is_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.directus.assets import FileBytes
    from billing.documents.deliver import DocumentDelivery, Order
    from billing.documents.receipt import ReceiptRecord, ReceivedPayment
    from billing.documents.rendered import PdfRenderer
    from billing.documents.store import DocumentRecords
    from billing.documents.versions import DocumentRow
    from billing.ledger.receipts_due import Receipt


#: How often the payment may change under a worker before it leaves the receipt to the next delivery of the message.
_LOOKS = 3


@dataclass(frozen=True)
class RenderReceipt:
    """The use case of the rendering worker for receipts."""

    records: DocumentRecords
    delivery: DocumentDelivery
    renderer: PdfRenderer
    files: FileBytes
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def render_receipt(self, payment: str, *, force: bool = False, order: Order = FIRST) -> None:
        """Bring the payment's receipt into being, or write on the payment why that cannot be.

        For a payment that no receipt is due for (`is_due`) none is made: it is asked for again once one is.
        `force` renders again what is there already and mends what is missing. `order` is this delivery of the
        message. Raises `NotFound`, `Parked` and retryable errors.
        """
        for look in range(_LOOKS):
            received = self.records.received_payment(payment)
            if received is None:
                message = "There is no such payment."
                raise NotFound(message, payment=payment)
            changes = self._changes(received, force=force and look == 0, order=order)
            stored = {"receipt": received.receipt, "receipt_says": received.receipt_says,
                      "receipt_error": received.receipt_error or None}  # fmt: skip
            # Of a suspected order it was said first that it failed.
            if changes != stored or order.is_suspected:
                self.records.set_receipt(payment, changes)
            # Who writes last looks last: a worker that has rendered what the row said before does not have the last word.
            # Where the row stays as it was, documents may have been written: shown again or withdrawn.
            after = self.records.received_payment(payment)
            if after is None or _is_as(after, received):
                return
        raise changed_while_rendered(payment=payment)

    def _changes(self, received: ReceivedPayment, *, force: bool, order: Order) -> dict[str, object]:
        """What the payment must say of its receipt."""
        record = self.records.receipt(received)
        documents = record.documents if record is not None else self.records.receipts(received)
        self._link(received, documents)
        is_sent = record is not None and record.invoice.ledger.sent_at is not None
        decision = decide(received, known_receipts(received, documents), is_sent=is_sent)
        for receipt in decision.untrue:
            self._withdraw(received, receipt.document)
        error = None
        try:
            if record is not None and is_due(received, is_sent=is_sent):
                file = self._delivered(record, decision.true, force=force, order=order)
                count("ReceiptReady")
                return {"receipt": file, "receipt_says": received.fingerprint, "receipt_error": None}
            logger.info("No receipt is due for this payment now.", extra={"payment": received.id})
        except BillingError as failure:
            if not is_data_error(failure):
                raise
            log_refusal(failure)
            count("ReceiptFailed")
            error = staff_message(failure)
        says = received.fingerprint if decision.keeps else None
        return {
            "receipt": received.receipt if decision.keeps else None,
            "receipt_says": says,
            "receipt_error": error,
        }

    def _link(self, received: ReceivedPayment, receipts: tuple[DocumentRow, ...]) -> None:
        """Receipts from before `documents.payment` get it: a payment that is moved later could not be followed to them."""
        for document in receipts:
            if document.payment is None:
                self.records.update_document(document.id, {"payment": received.id})

    def _withdraw(self, received: ReceivedPayment, document: str) -> None:
        changes = {"visible_to_client": False, "withdrawn_at": self.now().isoformat()}
        self.records.update_document(document, changes)
        count("ReceiptWithdrawn")
        extra = {"payment": received.id, "document": document}
        logger.info("The receipt is withdrawn: its payment is not on this invoice any more.", extra=extra)

    def _delivered(self, record: ReceiptRecord, true: Receipt | None, *, force: bool, order: Order) -> str:
        """The file of the receipt that says what the payment says."""
        following = next_version(record.documents)
        standing = next((row for row in record.documents if true and row.id == true.document), None)
        if standing is not None and not force and self.delivery.is_whole(standing):
            self.delivery.bring_forward(standing, "receipt", record.payment.id, following)
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
            version=following,
            printed_payments=(printed.payment,),
        )
        existing = next((row for row in record.documents if row.id == identity.document_id), None)
        self.delivery.deliver(
            planned,
            existing,
            lambda: self.renderer.render_receipt(printed, logo),
            lambda reason: self.records.set_receipt(record.payment.id, {"receipt_error": reason}),
            force=force,
            order=order,
        )
        return identity.file_id


def _is_as(after: ReceivedPayment, before: ReceivedPayment) -> bool:
    """Whether the payment calls for the same receipt as before."""
    return (after.fingerprint, after.status) == (before.fingerprint, before.status)
