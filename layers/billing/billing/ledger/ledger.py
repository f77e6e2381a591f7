"""The ledger of one invoice: what its rows say, and therefore what it must show (the truth table).

Everything here is derived from rows and never incremented: the same rows always give the same totals, balance
and status, whatever order they came in. Its tests are the truth table.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from billing.errors import BillingError, Unprocessable
from billing.money import Money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo
    from decimal import Decimal


#: The states of a refund that gave nothing back.
NOT_GIVEN_BACK = frozenset({"failed", "canceled"})
#: The status of a client's objection that holds money back.
OPEN_DISPUTE = "open"
#: No column of ours takes a later day: what would be due then is never due.
_LAST_DAY = date(2999, 12, 31)
#: The states of a Stripe dispute in which the money is gone: an appeal undoes a loss only once it is won.
LOST_DISPUTE = frozenset({"lost", "appeal_needs_response", "appeal_under_review"})


class InvoiceStatus(StrEnum):
    """States of an invoice; `draft` and `void` are entered by staff only and left by no recompute."""

    DRAFT = "draft"
    SENT = "sent"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    OVERDUE = "overdue"
    VOID = "void"


class PaymentStatus(StrEnum):
    """States of a payment row; only `succeeded` counts."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class PaymentFlag(StrEnum):
    """What a person should look at on a payment; its `note` says it in words.

    The last two are an administrator's: the payment stands on another invoice than it was made for and is meant to, and
    what it was flagged for is settled.
    """

    AMOUNT_DIFFERS = "amount_differs"
    SURPLUS = "surplus"
    UNEXPECTED_SESSION = "unexpected_session"
    UNKNOWN_INVOICE = "unknown_invoice"
    OTHER_CURRENCY = "other_currency"
    MOVED = "moved"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Invoice:
    """An invoice as stored. Money is None where the column is null; `tax_rate` is in percent.

    `voided_at` is set with the status void and never goes; `status` may have been overwritten since by somebody who had
    not seen it. Invoices voided before there was the column have the status alone.
    """

    id: str
    invoice_number: str
    client: str
    currency: str
    status: InvoiceStatus
    tax_rate: Decimal
    subtotal: Money | None = None
    tax: Money | None = None
    total: Money | None = None
    amount_paid: Money | None = None
    balance_due: Money | None = None
    issue_date: date | None = None
    due_date: date | None = None
    sent_at: datetime | None = None
    voided_at: datetime | None = None
    pdf_status: str = "none"
    pdf_error: str | None = None

    @property
    def is_void(self) -> bool:
        """Whether it is void, whatever its status says."""
        return self.status is InvoiceStatus.VOID or self.voided_at is not None

    @property
    def is_draft(self) -> bool:
        """Whether it is a draft that nobody voided."""
        return self.status is InvoiceStatus.DRAFT and not self.is_void

    @property
    def lacks_dates(self) -> bool:
        """Whether it is about to be seen as sent for the first time, and a date is to be filled in."""
        seen = self.sent_at is not None or self.is_draft or self.is_void
        return not seen and None in {self.issue_date, self.due_date}


@dataclass(frozen=True)
class LineItem:
    """A fee, an expense or a discount (negative)."""

    id: str
    amount: Money


@dataclass(frozen=True)
class Payment:
    """A payment row. `amount` is in the payment's own currency, which may differ from the invoice's.

    `id` is empty as long as the row is not written. `brand`, `bank_name`, `account_type` and `last4` are all that is
    kept of a card or an account.

    `changed_at` is when anybody wrote the row last. `receipt_says` is what its `receipt` says (`receipts_due`).

    `open_claim` holds the invoice's id while a checkout attempt is open; `attempt` is what was (or will be)
    sent to Stripe for it.
    """

    id: str
    amount: Money
    status: PaymentStatus
    method: str
    invoice: str | None = None
    transaction_id: str | None = None
    checkout_session: str | None = None
    open_claim: str | None = None
    attempt: Mapping[str, Any] | None = None
    expires_at: datetime | None = None
    amount_refunded: Money | None = None
    amount_disputed_lost: Money | None = None
    fee: Money | None = None
    client: str | None = None
    note: str | None = None
    receipt: str | None = None
    changed_at: datetime | None = None
    payment_date: date | None = None
    receipt_says: str | None = None
    failure_reason: str | None = None
    brand: str | None = None
    bank_name: str | None = None
    account_type: str | None = None
    last4: str | None = None
    flag: PaymentFlag | None = None


@dataclass(frozen=True)
class Refund:
    """Money given back on a payment; it counts unless it failed or was canceled.

    `stripe_refund` is None for the firm's own refund of a payment that staff entered. `id` is empty as long as the row
    is not written.
    """

    payment: str
    amount: Money
    status: str
    id: str = ""
    stripe_refund: str | None = None
    reason: str | None = None
    refunded_at: datetime | None = None


@dataclass(frozen=True)
class PaymentDispute:
    """A chargeback at Stripe; it counts only when it is lost. `id` is empty as long as the row is not written."""

    payment: str
    amount: Money
    status: str
    id: str = ""
    stripe_dispute: str | None = None
    evidence_due_by: datetime | None = None
    reason: str | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Dispute:
    """A client's objection to a line, an amount, or (both None) the whole invoice."""

    id: str
    status: str
    line_item: str | None = None
    amount: Money | None = None


@dataclass(frozen=True)
class Ledger:
    """Every row that decides about one invoice.

    `payment_terms_days` are the firm's: days from an invoice's date to its due date, None where it has none. `fault` is
    the first row that cannot be read, if any: then nothing is decided from these rows, but money that arrives is still
    booked.
    """

    invoice: Invoice
    line_items: Sequence[LineItem] = ()
    payments: Sequence[Payment] = ()
    refunds: Sequence[Refund] = ()
    payment_disputes: Sequence[PaymentDispute] = ()
    disputes: Sequence[Dispute] = ()
    client_timezone: str | None = None
    firm_timezone: str | None = None
    payment_terms_days: int | None = None
    fault: BillingError | None = None

    @property
    def open_attempt(self) -> Payment | None:
        """The payment row that holds the invoice's claim, if any; a unique column makes it at most one.

        A row that somebody moved here may still hold the claim of the invoice that it came from.
        """
        return next((payment for payment in self.payments if payment.open_claim == self.invoice.id), None)


@dataclass(frozen=True)
class Totals:
    """What the line items add up to."""

    subtotal: Money
    tax: Money
    total: Money


@dataclass(frozen=True)
class InvoiceState:
    """What the invoice's columns must show."""

    subtotal: Money | None
    tax: Money | None
    total: Money | None
    amount_paid: Money
    balance_due: Money
    status: InvoiceStatus
    sent_at: datetime | None
    issue_date: date | None = None
    due_date: date | None = None

    def on(self, invoice: Invoice) -> Invoice:
        """The invoice with these columns; what is None here stays as it is."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(invoice, **{name: value for name, value in shown.items() if value is not None})


def totals_of(line_items: Iterable[LineItem], tax_rate: Decimal, currency: str) -> Totals:
    """Subtotal, tax (rounded once, half up) and total of the line items, exact."""
    subtotal = sum((line.amount for line in line_items), Money.zero(currency))
    tax = subtotal.percent(tax_rate)
    return Totals(subtotal, tax, subtotal + tax)


def checked_totals(invoice: Invoice, line_items: Iterable[LineItem]) -> Totals:
    """The totals of the line items, after comparing them with those stored.

    Null columns are accepted; a different one is `totals_do_not_add_up` and the message names both numbers.
    """
    computed = totals_of(line_items, invoice.tax_rate, invoice.currency)
    for name in ("subtotal", "tax", "total"):
        stored, expected = getattr(invoice, name), getattr(computed, name)
        if stored is not None and stored != expected:
            message = (
                f"The {name} of invoice {invoice.invoice_number} says {stored}, its line items say {expected}."
                f" Correct the line items or empty the {name}."
            )
            raise Unprocessable(message, code="totals_do_not_add_up", invoice=invoice.id)
    return computed


def amount_refunded(payment: Payment, refunds: Iterable[Refund]) -> Money:
    """What was given back on a payment: refunds that neither failed nor were canceled."""
    counted = (r.amount for r in refunds if r.payment == payment.id and r.status not in NOT_GIVEN_BACK)
    return sum(counted, Money.zero(payment.amount.currency))


def amount_disputed_lost(payment: Payment, disputes: Iterable[PaymentDispute]) -> Money:
    """What Stripe took back for good: an open dispute changes no balance."""
    counted = (d.amount for d in disputes if d.payment == payment.id and d.status in LOST_DISPUTE)
    return sum(counted, Money.zero(payment.amount.currency))


def net_amount(payment: Payment, refunds: Iterable[Refund], disputes: Iterable[PaymentDispute]) -> Money:
    """What a payment still holds, never less than nothing."""
    back = amount_refunded(payment, refunds) + amount_disputed_lost(payment, disputes)
    return max(Money.zero(payment.amount.currency), payment.amount - back)


def settled(payment: Payment, refunds: Iterable[Refund], disputes: Iterable[PaymentDispute]) -> Payment:
    """The payment with its derived columns: what went back on it, and no claim once it succeeded.

    A claim that holds nothing any more would keep everybody from paying. An empty column is as good as a zero.
    """

    def column(stored: Money | None, derived: Money) -> Money | None:
        return None if stored is None and derived.minor == 0 else derived

    return replace(
        payment,
        amount_refunded=column(payment.amount_refunded, amount_refunded(payment, refunds)),
        amount_disputed_lost=column(payment.amount_disputed_lost, amount_disputed_lost(payment, disputes)),
        open_claim=None if payment.status is PaymentStatus.SUCCEEDED else payment.open_claim,
    )


def amount_paid(ledger: Ledger) -> Money:
    """What the succeeded payments in the invoice's currency still hold."""
    currency = ledger.invoice.currency
    kept = (
        net_amount(payment, ledger.refunds, ledger.payment_disputes)
        for payment in ledger.payments
        if payment.status is PaymentStatus.SUCCEEDED and payment.amount.currency == currency
    )
    return sum(kept, Money.zero(currency))


def state_of(ledger: Ledger, now: datetime, *, as_of: datetime | None = None) -> InvoiceState | None:
    """What the invoice must show at `now`; None for a draft, which no recompute touches.

    On first sight of a sent invoice its totals are checked and filled in, its dates are filled in, and `sent_at` is set;
    afterwards totals follow the line items (staff may add a discount), and the dates stay as people leave them. `as_of`, if later than `now`, decides alone whether it
    is overdue. Raises `totals_do_not_add_up`, and the ledger's fault if it has one.
    """
    invoice = ledger.invoice
    if invoice.is_draft:
        return None
    if ledger.fault is not None:
        raise ledger.fault
    paid = amount_paid(ledger)
    if invoice.is_void:
        return InvoiceState(
            invoice.subtotal, invoice.tax, invoice.total, paid, -paid, InvoiceStatus.VOID, invoice.sent_at
        )
    totals = _totals_after_sending(ledger) if invoice.sent_at else checked_totals(invoice, ledger.line_items)
    balance = totals.total - paid
    issue_date, due_date = _dates(ledger, now)
    return InvoiceState(
        status=_status(ledger, due_date, balance, paid, now if as_of is None else max(now, as_of)),
        amount_paid=paid,
        balance_due=balance,
        subtotal=totals.subtotal,
        tax=totals.tax,
        total=totals.total,
        sent_at=invoice.sent_at or now.replace(microsecond=0),
        issue_date=issue_date,
        due_date=due_date,
    )


def _dates(ledger: Ledger, now: datetime) -> tuple[date | None, date | None]:
    """The invoice's date and its due date; what is empty is filled in as long as it was not seen as sent.

    It is dated with the day of sending in the firm's zone, and due after the firm's payment terms.
    """
    invoice, terms = ledger.invoice, ledger.payment_terms_days
    if invoice.sent_at is not None:
        return invoice.issue_date, invoice.due_date
    issued = invoice.issue_date or local_date(now, ledger.firm_timezone)
    if invoice.due_date is not None or terms is None or (_LAST_DAY - issued).days < terms:
        return issued, invoice.due_date
    return issued, issued + timedelta(days=terms)


def _totals_after_sending(ledger: Ledger) -> Totals:
    """The line items decide; but lines that are all gone do not make a bill that was sent free of charge."""
    return (
        totals_of(ledger.line_items, ledger.invoice.tax_rate, ledger.invoice.currency)
        if ledger.line_items
        else checked_totals(ledger.invoice, ())
    )


def _status(ledger: Ledger, due: date | None, balance: Money, paid: Money, now: datetime) -> InvoiceStatus:
    if balance.minor <= 0:
        return InvoiceStatus.PAID
    if due is not None and local_date(now, ledger.client_timezone, ledger.firm_timezone) > due:
        return InvoiceStatus.OVERDUE
    return InvoiceStatus.PARTIALLY_PAID if paid.minor > 0 else InvoiceStatus.SENT


def local_date(now: datetime, *timezones: str | None) -> date:
    """The calendar day at `now` (aware) in the first of the IANA time zones that exists, else in UTC."""
    return now.astimezone(zone_of(*timezones)).date()


def zone_of(*timezones: str | None) -> tzinfo:
    """The first of the IANA time zones that exists, else UTC."""
    for name in timezones:
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "America" is a directory of zones
            continue  # staff may have mistyped it; the next one is the firm's
    return UTC


def payable(ledger: Ledger, balance: Money) -> Money:
    """What a client may pay now: the balance without what open objections hold back, never negative."""
    nothing = Money.zero(balance.currency)
    open_disputes = [dispute for dispute in ledger.disputes if dispute.status == OPEN_DISPUTE]
    if any(dispute.line_item is None and dispute.amount is None for dispute in open_disputes):
        return nothing
    held = sum(
        (max(nothing, d.amount) for d in open_disputes if d.line_item is None and d.amount is not None),
        nothing,
    )
    for line in ledger.line_items:
        held += _held_on(line, [d for d in open_disputes if d.line_item == line.id], ledger.invoice.tax_rate)
    return max(nothing, balance - held)


def _held_on(line: LineItem, disputes: Sequence[Dispute], tax_rate: Decimal) -> Money:
    """Each line counts once and at most its amount with tax."""
    nothing = Money.zero(line.amount.currency)
    whole = max(nothing, line.amount + line.amount.percent(tax_rate))
    claimed = sum((whole if d.amount is None else max(nothing, d.amount) for d in disputes), nothing)
    return min(whole, claimed)
