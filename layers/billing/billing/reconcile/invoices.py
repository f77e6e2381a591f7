"""Sent invoices: what they show against what their rows say, and their documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.errors import Unprocessable
from billing.ledger.ledger import PaymentStatus, amount_disputed_lost, amount_refunded, state_of
from billing.messages import Recompute, RenderInvoicePdf
from billing.money import Money
from billing.payments.booking import STRIPE_METHODS
from billing.reconcile.differences import GRACE, Difference, ids_of
from billing.reconcile.receipts import compare_receipts
from billing.reconcile.reversals import compare_entered_refunds, compare_nameless_disputes
from billing.stripe.amounts import is_below_minimum, minimum_charge

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from billing.documents.versions import DocumentRow
    from billing.ledger.ledger import Invoice, Ledger, Payment


def compare_invoice(
    ledger: Ledger, documents: Sequence[DocumentRow], now: datetime, *, named: Collection[str] = ()
) -> list[Difference]:
    """What a sent invoice shows against what its rows say, and its documents.

    `named` are payments of which a comparison with their session has told what is wrong with them.
    """
    invoice = ledger.invoice
    ids = ids_of(invoice=invoice.id)
    if invoice.is_draft:
        if invoice.sent_at is None:
            return []
        text = (
            f"Invoice {invoice.invoice_number} was sent and is a draft again: its client no longer sees it. Set it to"
            " sent, or to void."
        )
        return [Difference("sent_invoice_is_draft", text, ids)]
    try:
        state = state_of(ledger, now)
    except Unprocessable as error:
        return [Difference(error.code, error.detail, ids)]
    except ValueError:
        text = f"The rows of invoice {invoice.invoice_number} are in different currencies and cannot be added up."
        return [Difference("rows_do_not_fit", text, ids)]
    assert state is not None, "only a draft has no state"
    right = state.on(invoice)
    found: list[Difference] = []
    if right != invoice:
        said = "; ".join(
            f"{name} is {_shown(getattr(invoice, name))}, but its rows say {_shown(getattr(right, name))}"
            for name in vars(state)
            if getattr(right, name) != getattr(invoice, name)
        )
        text = f"Invoice {invoice.invoice_number}: {said}."
        paid_differs = state.amount_paid != (invoice.amount_paid or Money.zero(invoice.currency))
        suspect_since = invoice.sent_at if paid_differs else None
        found.append(
            Difference("invoice_differs", text, ids, Recompute(invoice.id), suspect_since=suspect_since)
        )
    for payment in ledger.payments:
        found += _compare_payment(payment, ledger)
        if payment.id not in named:
            found += _compare_origin(payment, ledger)
    found += [*compare_entered_refunds(ledger), *compare_nameless_disputes(ledger)]
    found += [*compare_receipts(ledger, now), *_report_below_minimum(invoice, state.balance_due)]
    return [*found, *_compare_documents(ledger, documents, now)]


def _report_below_minimum(invoice: Invoice, balance: Money) -> list[Difference]:
    """What is left can neither be paid online nor is its client reminded of it: it stays open until staff act."""
    if not is_below_minimum(balance):
        return []
    text = (
        f"{balance} is left on invoice {invoice.invoice_number}, less than the {minimum_charge(balance.currency)} that an"
        " online payment needs: its client can neither pay it online nor is reminded of it."
    )
    return [Difference("below_minimum", text, ids_of(invoice=invoice.id))]


def _compare_payment(payment: Payment, ledger: Ledger) -> list[Difference]:
    """What a payment row shows besides its amount: its claim on the invoice, and what went back."""
    ids = ids_of(invoice=ledger.invoice.id, payment=payment.id)
    found = []
    if payment.open_claim and payment.status in {PaymentStatus.SUCCEEDED, PaymentStatus.FAILED}:
        text = f"A {payment.status} payment still blocks its invoice: it cannot be paid online."
        found.append(Difference("claim_left", text, ids, Recompute(ledger.invoice.id)))
    elif payment.open_claim and payment.open_claim != ledger.invoice.id:
        text = (
            "A payment blocks an invoice that it does not belong to: that invoice cannot be paid online. An"
            " administrator empties the payment's open_claim."
        )
        found.append(Difference("claim_of_another", text, {**ids, "claimed": payment.open_claim}))
    nothing = Money.zero(payment.amount.currency)
    for name, derived in (
        ("amount_refunded", amount_refunded(payment, ledger.refunds)),
        ("amount_disputed_lost", amount_disputed_lost(payment, ledger.payment_disputes)),
    ):
        stored = getattr(payment, name) or nothing
        if stored != derived:
            text = f"A payment's {name} is {stored}, but its rows say {derived}."
            repair, suspect_since = Recompute(ledger.invoice.id), ledger.invoice.sent_at
            found.append(Difference("payment_differs", text, ids, repair, suspect_since=suspect_since))
    if payment.client != ledger.invoice.client:
        text = (
            f"A payment of {payment.amount} on invoice {ledger.invoice.invoice_number} has another client than the"
            " invoice, or none. An administrator corrects the payment's client, or its invoice."
        )
        found.append(Difference("payment_of_another_client", text, ids))
    return [*found, *_compare_sums(payment, ledger)]


def _compare_origin(payment: Payment, ledger: Ledger) -> list[Difference]:
    """A succeeded payment of a checkout or of Stripe without the transaction by which Stripe could be asked."""
    if payment.status is not PaymentStatus.SUCCEEDED or payment.transaction_id is not None:
        return []
    begun = payment.checkout_session is not None or payment.attempt is not None
    if payment.method not in STRIPE_METHODS and not begun:
        return []
    text = (
        f"A succeeded payment of {payment.amount} ({payment.method}) on invoice {ledger.invoice.invoice_number} counts as"
        " Stripe's but has no transaction_id. If Stripe received it, an administrator enters its pi_… there; if not, an"
        " administrator empties checkout_session and attempt and sets method to how it was paid."
    )
    return [
        Difference("payment_without_transaction", text, ids_of(invoice=ledger.invoice.id, payment=payment.id))
    ]


def _compare_sums(payment: Payment, ledger: Ledger) -> list[Difference]:
    """Payments that the balance ignores or caps at zero."""
    ids = ids_of(invoice=ledger.invoice.id, payment=payment.id)
    number, back = ledger.invoice.invoice_number, amount_refunded(payment, ledger.refunds)
    if payment.status in {PaymentStatus.FAILED, PaymentStatus.CANCELED} and back.minor > 0:
        text = (
            f"A refund of {back} is on a {payment.status} payment of {payment.amount} and does not count on invoice"
            f" {number}. Cancel the refund, or correct the payment."
        )
        return [Difference("refund_of_unpaid", text, ids)]
    if payment.status is not PaymentStatus.SUCCEEDED:
        return []
    if payment.amount.currency != ledger.invoice.currency:
        text = (
            f"A payment of {payment.amount} is on invoice {number}, which is in {ledger.invoice.currency}, and does not"
            " count there. An administrator removes it from the invoice or assigns it to another."
        )
        return [Difference("payment_in_other_currency", text, ids)]
    gone = back + amount_disputed_lost(payment, ledger.payment_disputes)
    if gone > payment.amount:
        text = (
            f"{gone} was refunded or lost on a payment of {payment.amount} on invoice {number}; only the payment's amount"
            " is subtracted. Compare the payment's refunds and disputes with Stripe's dashboard or the bank."
        )
        return [Difference("more_back_than_paid", text, ids)]
    return []


def _compare_documents(ledger: Ledger, documents: Sequence[DocumentRow], now: datetime) -> list[Difference]:
    invoice = ledger.invoice
    ids = ids_of(invoice=invoice.id)
    if invoice.is_void:
        return []  # whatever document it has stays; it gets no new one
    if invoice.pdf_status == "failed":
        text = f"The PDF of invoice {invoice.invoice_number} could not be rendered; pdf_error says why."
        return [Difference("pdf_failed", text, ids)]
    if invoice.pdf_status in {"none", "pending"}:
        if invoice.sent_at is None or now - invoice.sent_at < GRACE:
            return []
        text = f"Invoice {invoice.invoice_number} was sent more than 15 minutes ago and has no PDF yet."
        return [Difference("pdf_missing", text, ids, RenderInvoicePdf(invoice.id, force=False))]
    if not documents:
        text = f"Invoice {invoice.invoice_number} has pdf_status ready, but no document is registered."
        return [Difference("document_missing", text, ids, RenderInvoicePdf(invoice.id, force=True))]
    newest = max(documents, key=lambda document: document.version)
    return [_without_file(ledger, row, newest) for row in documents if row.file is None]


def _without_file(ledger: Ledger, row: DocumentRow, newest: DocumentRow) -> Difference:
    """Only the newest version can be rendered again: what the others printed has changed since."""
    invoice = ledger.invoice
    ids = ids_of(document=row.id, invoice=invoice.id)
    text = f"Version {row.version} of the document of invoice {invoice.invoice_number} has no file."
    if row is newest:
        return Difference("document_without_file", text, ids, RenderInvoicePdf(invoice.id, force=True))
    text += " Restore it from a backup of Directus; the file itself is still in the bucket."
    return Difference("document_without_file", text, ids)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return value.to_directus() if isinstance(value, Money) else str(value)
