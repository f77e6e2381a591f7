"""Which receipt a payment has: the newest one, of its invoice and client, that says what its row says.

Decided here for everybody, from the payment and its receipts. The renderer knows all of them and does what is decided.
Whoever only asks whether to send it a message (the invoice writer, `/invoices/changed`, reconcile) knows the one that
the payment names, which keeps what it says (`receipt_says`), and some know those that a client sees. Asking twice does
no harm: what is there already is met again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.ledger.ledger import Payment, PaymentStatus
from billing.money import Money

if TYPE_CHECKING:
    from collections.abc import Sequence

type Place = tuple[str | None, str | None]
"""Invoice and client."""

#: What staff and we enter; the labels name these. Another one, whoever wrote it, is printed as `other`.
METHODS = frozenset({"card", "us_bank_account", "wire", "check", "cash", "other"})


@dataclass(frozen=True)
class Statement:
    """What a receipt says was received; `method` as it is printed, `day` None where nobody has entered one."""

    amount: Money
    method: str
    day: date | None

    def is_true_of(self, payment: Payment) -> bool:
        """Whether the payment's row says so; without a day of its own that of entering was printed, and stays."""
        said = self.amount, self.method
        is_of_day = payment.payment_date is None or payment.payment_date == self.day
        return said == (payment.amount, printed_method(payment.method)) and is_of_day


@dataclass(frozen=True)
class Receipt:
    """A receipt of a payment; None where it is not known for what, or what it says.

    `is_shown`: its client is known to see it, and it was not withdrawn before (one that was is staff's to show again).
    """

    place: Place | None = None
    statement: Statement | None = None
    file: str | None = None
    version: int = 0
    document: str = ""
    is_shown: bool = False
    is_withdrawn: bool = False


@dataclass(frozen=True)
class ReceiptDecision:
    """Whether everything is as it should be, and else what is to be done.

    `true` is the receipt that the payment is to name; None if one is to be rendered, or none is due. `untrue` are those
    that a client must no longer see. `keeps`: where no receipt can be given for the payment now, it may go on naming the
    one that it names.
    """

    is_settled: bool
    true: Receipt | None = None
    untrue: tuple[Receipt, ...] = ()
    keeps: bool = False


def decide(payment: Payment, receipts: Sequence[Receipt], *, is_sent: bool) -> ReceiptDecision:
    """What is to be done about the payment's receipts; `is_sent`: the client knows its invoice.

    A payment that was canceled keeps the receipt that was given for it, as long as it stays on its invoice.
    """
    place = payment.invoice, payment.client
    here = [receipt for receipt in receipts if receipt.place in {None, place}]
    untrue = tuple(receipt for receipt in receipts if receipt not in here and receipt.is_shown)
    true = [
        receipt
        for receipt in here
        if receipt.place and receipt.statement and receipt.statement.is_true_of(payment)
    ]
    succeeded = payment.status is PaymentStatus.SUCCEEDED
    keeps = payment.receipt is not None and payment.receipt in {
        receipt.file for receipt in ((true if None not in place else ()) if succeeded else here)
    }
    newest = max(true, key=lambda receipt: (receipt.version, receipt.document), default=None)
    if not is_due(payment, is_sent=is_sent):
        names_untrue = payment.receipt is not None and not keeps
        return ReceiptDecision(not untrue and not names_untrue, None, untrue, keeps)
    is_current = (
        newest is not None
        and not newest.is_withdrawn
        and newest.file == payment.receipt
        and newest.version == max(receipt.version for receipt in receipts)
    )
    return ReceiptDecision(is_current and not untrue, newest, untrue, keeps)


def is_due(payment: Payment, *, is_sent: bool) -> bool:
    """Whether the payment is one that a receipt can be given for.

    It has succeeded, it belongs to an invoice and a client (else it is unapplied and waits for staff), and the client
    knows the invoice: money on a draft counts, and is acknowledged, when that is sent.
    """
    is_assigned = payment.invoice is not None and payment.client is not None
    return payment.status is PaymentStatus.SUCCEEDED and is_assigned and is_sent


def wants_renderer(payment: Payment, shown: Sequence[Receipt] = (), *, is_sent: bool) -> bool:
    """Whether the renderer must be asked, as far as the payment's row, and the receipts that a client sees, tell."""
    return not decide(payment, [*named_by(payment), *shown], is_sent=is_sent).is_settled


def named_by(payment: Payment) -> list[Receipt]:
    """The receipt that the payment names, as far as its own row tells of it."""
    if payment.receipt is None:
        return []
    place, statement = _said(payment.receipt_says or "")
    return [Receipt(place, statement, payment.receipt)]


def printed_method(method: str) -> str:
    """The method as a document names it."""
    return method if method in METHODS else "other"


def receipt_fingerprint(
    *, invoice: str | None, client: str | None, amount: Money, method: str, day: date | None
) -> str:
    """What a receipt says of a payment, as `payments.receipt_says` keeps it; `day` is None where nobody entered one."""
    said = (
        invoice or "-",
        client or "-",
        amount.to_directus(),
        amount.currency,
        printed_method(method),
        "-" if day is None else day.isoformat(),
    )
    return " ".join(said)


def _said(fingerprint: str) -> tuple[Place | None, Statement | None]:
    """The inverse of `receipt_fingerprint`; nothing is known of what it did not write."""
    match fingerprint.split(" "):
        case [invoice, client, amount, currency, method, day]:
            try:
                money = Money.from_directus(amount, currency)
                statement = Statement(money, method, None if day == "-" else date.fromisoformat(day))
            except (BillingError, ValueError):
                return None, None
            return (None if invoice == "-" else invoice, None if client == "-" else client), statement
    return None, None
