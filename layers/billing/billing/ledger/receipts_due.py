"""Which payments the renderer must be asked for a receipt of: decided by their rows, whoever asks and however often.

A payment keeps what its receipt says beside the receipt itself (`receipt_says`). Whatever the row says differently since
then, moved to another invoice, taken off one, mended in amount or day, is seen by comparing two texts of one row.
Asking twice does no harm: what is there already is met again (contract §5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.ledger.ledger import Payment, PaymentStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from billing.money import Money


#: What staff and we enter; the labels name these. Another one, whoever wrote it, is printed as `other`.
METHODS = frozenset({"card", "us_bank_account", "wire", "check", "cash", "other"})


def printed_method(method: str) -> str:
    """The method as a document names it."""
    return method if method in METHODS else "other"


def receipt_fingerprint(
    *, invoice: str | None, client: str | None, amount: Money, method: str, day: date | None
) -> str:
    """What a receipt says of a payment, as `payments.receipt_says` keeps it; `day` is None where nobody entered one."""
    said = (
        amount.to_directus(),
        amount.currency,
        printed_method(method),
        "-" if day is None else day.isoformat(),
    )
    return f"{_place(invoice, client)} {' '.join(said)}"


def without_receipt(payments: Sequence[Payment]) -> list[str]:
    """Ids of the invoice's succeeded payments that name no receipt."""
    return [payment.id for payment in payments if _is_received(payment) and payment.receipt is None]


def outdated(payments: Sequence[Payment]) -> list[str]:
    """Ids of those that name a receipt which says something else than their row."""
    return [payment.id for payment in payments if is_outdated(payment)]


def is_outdated(payment: Payment) -> bool:
    """Whether the payment names a receipt that says something else than its row.

    A payment that was canceled later keeps the receipt that was given for it, as long as it stays on its invoice.
    """
    if payment.receipt is None:
        return False
    if payment.status is PaymentStatus.SUCCEEDED:
        return payment.receipt_says != _fingerprint_of(payment)
    place = _place(payment.invoice, payment.client)
    return payment.receipt_says is not None and not payment.receipt_says.startswith(place)


def _fingerprint_of(payment: Payment) -> str:
    return receipt_fingerprint(
        invoice=payment.invoice,
        client=payment.client,
        amount=payment.amount,
        method=payment.method,
        day=payment.payment_date,
    )


def _place(invoice: str | None, client: str | None) -> str:
    return f"{invoice or '-'} {client or '-'}"


def _is_received(payment: Payment) -> bool:
    assigned = payment.invoice is not None and payment.client is not None
    return payment.status is PaymentStatus.SUCCEEDED and assigned
