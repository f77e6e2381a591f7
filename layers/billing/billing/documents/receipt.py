"""What a receipt says on paper: that this money was received, on this day, for this invoice. And nothing else.

A receipt must not go stale. It prints no balance and no total: a discount, a refund, another payment or a void would
make them untrue tomorrow. What is open stands on the invoice and in the portal. So a refund makes no new receipt
either: the money was received all the same, and what went back is an event of its own.

A payment's receipt is drawn once. Whether there is one is decided by what its `documents` row says was printed, never
by drawing again: a firm that moves house does not make new receipts of old payments. Only a payment that says
something else now (staff mend an amount that they mistyped) gets the next version.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from billing.documents.invoice import (
    Addressee,
    DocumentIdentity,
    InvoiceFacts,
    Letterhead,
    Logo,
    PrintedPayment,
    content_identity,
    language_of,
    paper_of,
)
from billing.documents.versions import DocumentRow
from billing.errors import Unprocessable
from billing.ledger.ledger import local_date
from billing.ledger.receipts_due import receipt_fingerprint
from billing.money import Money

#: Stripe's names of card brands as the brands write themselves; any other is printed as it is.
BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "link": "Link",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "unknown": "",
    "visa": "Visa",
}


@dataclass(frozen=True)
class ReceivedPayment:
    """A payment row. `amount` is what was received, whatever was given back later; `booked_at` is in UTC.

    `receipt` is the file of its receipt, `receipt_says` the `statement` that it makes, `receipt_error` says why there is
    none.

    Not the firm's own `reference` and `note`, nor Stripe's ids: the client may not read these, so no client's paper
    shows them.
    """

    id: str
    amount: Money
    succeeded: bool
    method: str
    booked_at: dt.datetime
    invoice: str | None = None
    client: str | None = None
    date: dt.date | None = None
    brand: str = ""
    bank_name: str = ""
    last4: str = ""
    receipt: str | None = None
    receipt_error: str = ""
    receipt_says: str | None = None

    @property
    def statement(self) -> str:
        """What a receipt of this row, as it is now, says."""
        return receipt_fingerprint(
            invoice=self.invoice, client=self.client, amount=self.amount, method=self.method, day=self.date
        )


@dataclass(frozen=True)
class ReceiptRecord:
    """Every row that a receipt is made from. `documents` are this payment's receipts, on whatever invoice it was."""

    payment: ReceivedPayment
    invoice: InvoiceFacts
    firm: Letterhead
    addressee: Addressee
    documents: tuple[DocumentRow, ...] = ()
    logo: str | None = None


@dataclass(frozen=True)
class PrintedReceipt:
    """Everything on the page. `means` is how it was paid beyond the method's name: a brand or a bank, and digits."""

    invoice: str
    number: str
    invoice_number: str
    firm: Letterhead
    client: Addressee
    language: str
    paper: str
    payment: PrintedPayment
    day: dt.date
    means: str
    matter_number: str
    matter_name: str
    logo_sha256: str | None


def receipt_is_due(payment: ReceivedPayment, invoice: InvoiceFacts) -> bool:
    """Whether the payment is one that a receipt can be given for.

    It has succeeded, it belongs to an invoice and a client (else it is unapplied and waits for staff), and the client
    knows the invoice: money on a draft counts, and is acknowledged, when that is sent.
    """
    assigned = payment.invoice is not None and payment.client is not None
    return payment.succeeded and assigned and invoice.ledger.sent_at is not None


def standing_receipt(record: ReceiptRecord) -> DocumentRow | None:
    """The latest receipt that says what the payment says; None if it has to be drawn."""
    return max(
        still_true(record.payment, record.documents), key=lambda row: (row.version, row.id), default=None
    )


def still_true(payment: ReceivedPayment, documents: Sequence[DocumentRow]) -> list[DocumentRow]:
    """The payment's receipts that say what it says, of the invoice that it is on."""
    return [row for row in documents if not _is_elsewhere(row, payment) and _says(row, payment)]


def to_withdraw(payment: ReceivedPayment, documents: Sequence[DocumentRow]) -> list[DocumentRow]:
    """The payment's receipts that acknowledge it on an invoice, or to a client, that it no longer belongs to.

    Their client must not take them for true. One that was withdrawn before is staff's to show again.
    """
    return [
        row
        for row in documents
        if _is_elsewhere(row, payment) and row.visible_to_client and not row.is_withdrawn
    ]


def receipt_to_keep(payment: ReceivedPayment, documents: Sequence[DocumentRow]) -> str | None:
    """The receipt that the payment may go on naming although none can be made for it now: one that is true.

    A payment that was canceled keeps what was given for it on its invoice (decision 20).
    """
    kept = (
        still_true(payment, documents)
        if payment.succeeded
        else [row for row in documents if not _is_elsewhere(row, payment)]
    )
    unassigned = payment.succeeded and (payment.invoice is None or payment.client is None)
    return payment.receipt if not unassigned and payment.receipt in {row.file for row in kept} else None


def print_receipt(record: ReceiptRecord, logo: Logo | None = None) -> PrintedReceipt:
    """Decide what is printed. Raises `Unprocessable` `clients_differ` if the payment is not the invoice's client's."""
    payment, invoice, firm = record.payment, record.invoice, record.firm
    if payment.client != invoice.ledger.client:
        message = "The client of this payment is not the client of its invoice; an administrator corrects the payment."
        raise Unprocessable(message, code="clients_differ", payment=payment.id, invoice=invoice.ledger.id)
    day = payment.date or local_date(payment.booked_at, firm.timezone)
    return PrintedReceipt(
        invoice=invoice.ledger.id,
        number=f"{invoice.ledger.invoice_number}-{payment.id[:8].upper()}",
        invoice_number=invoice.ledger.invoice_number,
        firm=firm,
        client=record.addressee,
        language=language_of(invoice.language, record.addressee.language, firm.language),
        paper=paper_of(firm),
        payment=PrintedPayment(payment.id, day, payment.method, payment.amount),
        day=day,
        means=_means(payment),
        matter_number=invoice.matter_number,
        matter_name=invoice.matter_name,
        logo_sha256=hashlib.sha256(logo.content).hexdigest() if logo else None,
    )


def receipt_identity(
    printed: PrintedReceipt, *, template_version: str, layer_version: str
) -> DocumentIdentity:
    """The ids that follow from the content, the template and the layer that draws it (contract §5)."""
    versions = {"template": template_version, "layer": layer_version}
    return content_identity("receipt", printed.invoice, {"printed": printed, **versions})


def receipts_of(payment: str, documents: Sequence[DocumentRow]) -> tuple[DocumentRow, ...]:
    """Those of an invoice's receipts that are for this payment."""
    return tuple(row for row in documents if any(paid.id == payment for paid in row.printed_payments or ()))


def _is_elsewhere(row: DocumentRow, payment: ReceivedPayment) -> bool:
    return (row.invoice, row.client) != (payment.invoice, payment.client)


def _says(row: DocumentRow, payment: ReceivedPayment) -> bool:
    printed = next((paid for paid in row.printed_payments or () if paid.id == payment.id), None)
    if printed is None or (printed.amount, printed.method) != (payment.amount, payment.method):
        return False
    # Without a day of its own the day of entering was printed, which a change of the firm's time zone must not move.
    return payment.date is None or printed.date == payment.date


def _means(payment: ReceivedPayment) -> str:
    """`Visa •••• 4242`, `Chase •••• 6789`; less where less is known."""
    digits = f"•••• {payment.last4}" if payment.last4 else ""
    name = payment.bank_name or BRANDS.get(payment.brand, payment.brand)
    return " ".join(part for part in (name, digits) if part)
