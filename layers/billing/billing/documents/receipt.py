"""What a receipt says on paper: that this money was received, on this day, for this invoice. And nothing else.

A receipt must not go stale. It prints no balance and no total: a discount, a refund, another payment or a void would
make them untrue tomorrow. What is open stands on the invoice and in the portal. So a refund makes no new receipt
either: the money was received all the same, and what went back is an event of its own.

A payment's receipt is rendered once. `ledger/receipts_due.py` decides whether it needs another, by what its `documents` row says was printed, never
by rendering again: a firm that moves house does not make new receipts of old payments. Only a payment that says
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
from billing.ledger.ledger import Payment, local_date
from billing.ledger.receipts_due import Receipt, Statement, printed_method, receipt_fingerprint

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


@dataclass(frozen=True, kw_only=True)
class ReceivedPayment(Payment):
    """A payment with what its receipt prints besides. `amount` is what was received, whatever was given back later.

    `booked_at` is in UTC; `receipt_error` says why there is no receipt.

    Not the firm's own `reference`, nor Stripe's ids: the client may not read these, so no client's paper shows them.
    """

    booked_at: dt.datetime
    brand: str = ""
    bank_name: str = ""
    last4: str = ""
    receipt_error: str = ""

    @property
    def fingerprint(self) -> str:
        """What a receipt of this row, as it is now, says."""
        return receipt_fingerprint(
            invoice=self.invoice,
            client=self.client,
            amount=self.amount,
            method=self.method,
            day=self.payment_date,
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


def known_receipts(payment: Payment, documents: Sequence[DocumentRow]) -> list[Receipt]:
    """The payment's receipts as it is decided about them: those that were shown once, and what each prints."""
    return [_receipt(payment, row) for row in documents if not row.is_begun]


def print_receipt(record: ReceiptRecord, logo: Logo | None = None) -> PrintedReceipt:
    """Decide what is printed. Raises `Unprocessable` `clients_differ` if the payment is not the invoice's client's."""
    payment, invoice, firm = record.payment, record.invoice, record.firm
    if payment.client != invoice.ledger.client:
        message = "The client of this payment is not the client of its invoice; an administrator corrects the payment."
        raise Unprocessable(message, code="clients_differ", payment=payment.id, invoice=invoice.ledger.id)
    day = payment.payment_date or local_date(payment.booked_at, firm.timezone)
    return PrintedReceipt(
        invoice=invoice.ledger.id,
        number=f"{invoice.ledger.invoice_number}-{payment.id[:8].upper()}",
        invoice_number=invoice.ledger.invoice_number,
        firm=firm,
        client=record.addressee,
        language=language_of(invoice.language, record.addressee.language, firm.language),
        paper=paper_of(firm),
        payment=PrintedPayment(payment.id, day, printed_method(payment.method), payment.amount),
        day=day,
        means=_means(payment),
        matter_number=invoice.matter_number,
        matter_name=invoice.matter_name,
        logo_sha256=hashlib.sha256(logo.content).hexdigest() if logo else None,
    )


def receipt_identity(
    printed: PrintedReceipt, *, template_version: str, layer_version: str
) -> DocumentIdentity:
    """The ids that follow from the content, the template and the layer that renders it."""
    versions = {"template": template_version, "layer": layer_version}
    return content_identity("receipt", printed.invoice, {"printed": printed, **versions})


def receipts_of(payment: str, documents: Sequence[DocumentRow]) -> tuple[DocumentRow, ...]:
    """Those of an invoice's receipts that are for this payment."""
    return tuple(row for row in documents if any(paid.id == payment for paid in row.printed_payments or ()))


def _receipt(payment: Payment, row: DocumentRow) -> Receipt:
    printed = next((paid for paid in row.printed_payments or () if paid.id == payment.id), None)
    return Receipt(
        place=(row.invoice, row.client),
        statement=Statement(printed.amount, printed.method, printed.date) if printed else None,
        file=row.file,
        version=row.version,
        document=row.id,
        is_shown=row.visible_to_client and not row.is_withdrawn,
        is_withdrawn=row.is_withdrawn,
    )


def _means(payment: ReceivedPayment) -> str:
    """`Visa •••• 4242`, `Chase •••• 6789`; less where less is known."""
    digits = f"•••• {payment.last4}" if payment.last4 else ""
    name = payment.bank_name or BRANDS.get(payment.brand, payment.brand)
    return " ".join(part for part in (name, digits) if part)
