"""Payments: Stripe's sessions, payment intents and balance transactions against the payment rows.

A session is looked at as the one writer looks at it (`keep_invoice`, `booking.book`): the same row, the same states.
"""

from __future__ import annotations

import re
from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from billing.core.booking import OVER, book, holds_another, is_by_hand, is_orphan, storable_fee, waits_for
from billing.core.checkout import DEAD_INTENT, must_end
from billing.core.ledger import PaymentStatus
from billing.core.money import Money
from billing.core.reconciliation import GRACE, Difference, Recompute, SyncSession, ids_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from billing.core.ledger import Ledger, Payment
    from billing.core.reconciliation import NamedInvoice, OpenAttempt
    from billing.core.stripe_objects import BalanceTransaction, CheckoutSession, PaymentIntent

#: Types of balance transactions that are money received.
RECEIPTS = frozenset({"charge", "payment"})
_NO_INVOICES: Mapping[str, NamedInvoice] = MappingProxyType({})


class PaymentIndex:
    """Payment rows by what a session may know them by."""

    def __init__(self, payments: Iterable[Payment]) -> None:
        """A row without a session or a payment intent is found by its id alone."""
        self._rows: defaultdict[str, list[Payment]] = defaultdict(list)
        for payment in payments:
            if is_by_hand(payment):
                continue  # no session's row, whatever its metadata or the row says
            for key in (payment.id, payment.checkout_session, payment.transaction_id):
                if key is not None:
                    self._rows[key].append(payment)

    def of(self, session: CheckoutSession) -> Payment | None:
        """The row of this session: by its transaction, by the session, by the attempt's own id, in that order."""
        intent = session.payment_intent
        for key in (intent.id if intent else None, session.id):
            if key is not None and (found := self._rows.get(key)):
                return found[0]
        if session.attempt is None or not (found := self._rows.get(session.attempt)):
            return None
        contradicts = None not in {session.invoice, found[0].invoice} and found[0].invoice != session.invoice
        return None if contradicts else found[0]


def sync(session: CheckoutSession, row: Payment | None) -> SyncSession:
    """The repair by the session, in the FIFO group of the invoice that the one writer would book it on."""
    return SyncSession(session.id, (row.invoice if row is not None else None) or session.invoice)


def invoices_concerned(session: CheckoutSession, row: Payment | None) -> set[str]:
    """The invoices that `compare_session` must know of: for most sessions none."""
    if session.invoice is None:
        return set()
    if row is None or holds_another(row, session):
        is_debit = session.status == "complete" and session.payment_status == "unpaid"
        return {session.invoice} if is_debit else set()
    if row.status is not PaymentStatus.SUCCEEDED or row.invoice in {None, session.invoice}:
        return set()
    return {session.invoice, str(row.invoice)}


def compare_session(
    session: CheckoutSession, row: Payment | None, invoices: Mapping[str, NamedInvoice] = _NO_INVOICES
) -> list[Difference]:
    """One session of ours with its payment row (`PaymentIndex.of`).

    `invoices` are those of `invoices_concerned` that exist, by their id.
    """
    ids = ids_of(
        payment=row.id if row is not None else session.attempt,
        invoice=(row.invoice if row is not None else None) or session.invoice,
        checkout_session=session.id,
    )
    if session.status == "expired":
        return _compare_expired(session, row, ids)
    if session.is_open:
        return _compare_open(session, row, ids)
    intent = session.payment_intent
    if intent is None:
        text = f"Stripe's session {session.id} is complete and has no payment intent; look at it in Stripe's dashboard."
        return [Difference("session_without_intent", text, ids)]
    if session.payment_status == "unpaid":
        if intent.status in DEAD_INTENT:
            return _compare_failed(session, row, ids)
        named = invoices.get(session.invoice or "")
        return _compare_processing(session, intent, row, ids, named.currency if named is not None else None)
    return _compare_paid(session, intent, row, ids, invoices)


def compare_attempt(
    attempt: OpenAttempt, session: CheckoutSession | None, ledger: Ledger | None, now: datetime
) -> list[Difference]:
    """An open attempt that never got a session, or that does not fit its invoice any more.

    `session` is its session, which by itself is as it should be (`compare_session`). `ledger` is its invoice's.
    """
    payment = attempt.payment
    ids = ids_of(payment=payment.id, invoice=payment.invoice, checkout_session=payment.checkout_session)
    if payment.open_claim is None or payment.open_claim != payment.invoice:
        return []  # a claim on another invoice is named with its own invoice's ledger
    if session is None or session.is_open:
        if ledger is not None and must_end(ledger, payment, now):
            return [_unfit(payment, ids, Recompute(ledger.invoice.id))]
        if session is None and now - attempt.created >= GRACE:
            text = (
                "A checkout was begun but no Stripe session is stored on it. The client's next attempt completes it;"
                f" else the invoice is free again after {payment.expires_at}."
            )
            return [Difference("attempt_without_session", text, ids)]
    return []


def report_unknown_session(payment: Payment) -> Difference:
    """A row that names a session or a payment intent which Stripe does not have."""
    ids = ids_of(
        payment=payment.id,
        invoice=payment.invoice,
        checkout_session=payment.checkout_session,
        transaction_id=payment.transaction_id,
    )
    named = payment.transaction_id or payment.checkout_session
    text = (
        f"A {payment.status} payment of {payment.amount} names {named}, which Stripe does not know. Was it made with"
        " another Stripe account, or written by hand? Compare with Stripe's dashboard; an administrator corrects it."
    )
    return Difference("payment_unknown_to_stripe", text, ids)


def report_unknown_payment(payment: Payment) -> list[Difference]:
    """The same of a row that was made or changed lately; an attempt that is over and took nothing harms nobody."""
    if payment.transaction_id is None and payment.status in OVER:
        return []
    return [report_unknown_session(payment)]


def report_unapplied(payment: Payment) -> Difference:
    """Money that belongs to no invoice yet."""
    text = f"A payment of {payment.amount} belongs to no invoice; a partner must assign it."
    ids = ids_of(payment=payment.id, transaction_id=payment.transaction_id)
    return Difference("payment_unapplied", text, ids)


def compare_receipt(
    movement: BalanceTransaction, row: Payment | None, session: CheckoutSession | None
) -> list[Difference]:
    """Money of ours on Stripe's balance with its payment row, and the session behind it where that was looked up."""
    moved = Money(movement.amount, movement.currency)
    if row is None or row.status is not PaymentStatus.SUCCEEDED:
        if session is not None:
            return compare_session(session, row)
        text = (
            f"Stripe's balance has {moved} of this deployment ({movement.source}) that belongs to no Checkout session"
            " and to no succeeded payment in Directus; look at it in Stripe's dashboard."
        )
        ids = ids_of(balance_transaction=movement.id, transaction_id=movement.payment_intent)
        return [Difference("balance_transaction_unexplained", text, ids)]
    if row.amount.currency != movement.currency:
        return []  # the account settles in another currency: the session has the payment's own
    # Named as the session's difference is: it is the same one.
    ids = ids_of(payment=row.id, invoice=row.invoice, checkout_session=row.checkout_session)
    if row.amount != moved:
        return [_amount_differs(row, moved, ids)]
    fee = Money(movement.fee, movement.currency)
    if session is None or row.fee is not None or not fee.fits_directus:
        return []
    # The row's own word for its session may be wrong: the repair asks for the one that Stripe names.
    return compare_session(session, row) or [_fee_missing(fee, sync(session, row), ids)]


# ---- sessions ---------------------------------------------------------------------------------------------


def _compare_expired(
    session: CheckoutSession, row: Payment | None, ids: Mapping[str, str]
) -> list[Difference]:
    if row is None or not waits_for(session, row):
        return _booked_without_money(session, row, ids)
    text = "A checkout's time is over, but its attempt is still open and blocks the next one."
    return [Difference("attempt_expired", text, ids, sync(session, row))]


def _compare_open(session: CheckoutSession, row: Payment | None, ids: Mapping[str, str]) -> list[Difference]:
    if row is None or is_orphan(session, row):
        text = (
            f"Stripe's session {session.id} can still be paid though Directus has no open attempt for it."
            " It is expired, or booked if it is paid first."
        )
        return [Difference("session_without_attempt", text, ids, sync(session, row))]
    if row.checkout_session is None:
        text = f"The Stripe session {session.id} is not stored on the attempt that it was opened for."
        return [Difference("session_not_stored", text, ids, sync(session, row))]
    return []


def _compare_failed(
    session: CheckoutSession, row: Payment | None, ids: Mapping[str, str]
) -> list[Difference]:
    if row is None or not waits_for(session, row):
        return _booked_without_money(session, row, ids)
    return [_status_differs(session, row, ids, "failed", sync(session, row))]


def _booked_without_money(
    session: CheckoutSession, row: Payment | None, ids: Mapping[str, str]
) -> list[Difference]:
    """A session through which nothing came, while its row says that something did."""
    if row is None or holds_another(row, session) or row.status is not PaymentStatus.SUCCEEDED:
        return []
    return [_not_paid(session, row, ids)]


def _compare_processing(
    session: CheckoutSession,
    intent: PaymentIntent,
    row: Payment | None,
    ids: Mapping[str, str],
    invoice_currency: str | None,
) -> list[Difference]:
    if row is None or holds_another(row, session):
        # The one writer books a debit without an attempt on its invoice, and refuses to guess at another one.
        taken = row is not None and row.transaction_id == intent.id
        bookable = invoice_currency == intent.currency and not taken
        repair = sync(session, row) if bookable else None
        return [_status_differs(session, None, ids, "is being processed", repair)]
    if row.status is PaymentStatus.SUCCEEDED:
        return [_not_paid(session, row, ids)]
    if row.status is PaymentStatus.PROCESSING:
        return []
    return [_status_differs(session, row, ids, "is being processed", sync(session, row))]


def _compare_paid(
    session: CheckoutSession,
    intent: PaymentIntent,
    row: Payment | None,
    ids: Mapping[str, str],
    invoices: Mapping[str, NamedInvoice],
) -> list[Difference]:
    paid = Money(intent.amount_received, intent.currency)
    if paid.minor <= 0:
        text = f"Stripe calls session {session.id} paid and has received nothing; look at it in Stripe's dashboard."
        return [Difference("session_paid_without_money", text, ids)]
    if row is not None and row.transaction_id not in {None, intent.id} and row.checkout_session != session.id:
        row = None  # the row of another payment; this one gets its own
    if row is not None and _contradicts(row, session, intent):
        text = (
            f"Stripe has {paid} paid through session {session.id} as {intent.id}; a payment in Directus ({row.status})"
            f" names {row.checkout_session} and {row.transaction_id}. It is not booked again; an administrator corrects"
            " transaction_id or checkout_session."
        )
        return [Difference("transaction_differs", text, {**ids, "transaction_id": intent.id})]
    if row is None or row.status is not PaymentStatus.SUCCEEDED or row.transaction_id is None:
        if row is not None and row.status is PaymentStatus.SUCCEEDED and not holds_another(row, session):
            return _compare_without_transaction(session, row, paid, ids)
        text = (
            f"Stripe has {paid} paid through session {session.id}; Directus has no succeeded payment for it."
        )
        return [Difference("payment_missing", text, ids, sync(session, row))]
    moved = _compare_place(session, row, paid, ids, invoices)
    if row.amount != paid:
        return [*moved, _amount_differs(row, paid, ids)]
    return [*moved, *_compare_fee(session, intent, row, ids)]


def _compare_place(
    session: CheckoutSession,
    row: Payment,
    paid: Money,
    ids: Mapping[str, str],
    invoices: Mapping[str, NamedInvoice],
) -> list[Difference]:
    """A booked payment that stands on another invoice than the client paid, though that one could take it.

    An administrator may have meant it: then the note says from where. Money that was booked on no invoice, as its note
    says, was assigned, wherever it stands now.
    """
    if row.invoice is None or row.invoice == session.invoice:
        return []
    made_for, stands_on = invoices.get(session.invoice or ""), invoices.get(row.invoice)
    if made_for is None or made_for.currency != paid.currency:
        return []  # no invoice that could take it: somebody had to choose another one
    if _was_unapplied(session, row) or _names(row.note, made_for.invoice_number):
        return []
    number = made_for.invoice_number
    text = (
        f"Stripe's payment of {paid} through session {session.id} was made for invoice {number} and stands on"
        f" {f'invoice {stands_on.invoice_number}' if stands_on is not None else 'another invoice'}. If that is a mistake,"
        f" an administrator moves it back; if it was meant, an administrator writes {number} into the payment's note."
    )
    return [Difference("payment_misplaced", text, {**ids, "made_for": str(session.invoice)})]


def _was_unapplied(session: CheckoutSession, row: Payment) -> bool:
    """Whether its note says what the one writer notes on money for an invoice that it could not find."""
    unapplied = book(session, None, None).unapplied
    return unapplied is not None and str(unapplied["note"]) in (row.note or "")


def _names(note: str | None, invoice_number: str) -> bool:
    """Whether a note names the invoice, and not only one whose number has this one in it."""
    return re.search(rf"(?<![\w-]){re.escape(invoice_number)}(?![\w-])", note or "") is not None


def _contradicts(row: Payment, session: CheckoutSession, intent: PaymentIntent) -> bool:
    """Whether it is this money, booked under another name (again would double it), or its name on another session."""
    if row.transaction_id is None:
        return False
    if row.transaction_id == intent.id:
        return holds_another(row, session)
    return row.status is PaymentStatus.SUCCEEDED


def _compare_without_transaction(
    session: CheckoutSession, row: Payment, paid: Money, ids: Mapping[str, str]
) -> list[Difference]:
    """The one writer would write Stripe's amount with the transaction: never over another one without a word."""
    if row.amount != paid:
        return [_amount_differs(row, paid, ids)]
    text = f"The payment of session {session.id} has lost its transaction_id."
    return [Difference("transaction_missing", text, ids, sync(session, row))]


def _compare_fee(
    session: CheckoutSession, intent: PaymentIntent, row: Payment, ids: Mapping[str, str]
) -> list[Difference]:
    charge = intent.latest_charge
    fee = storable_fee(charge) if charge is not None else None
    if row.fee is not None or fee is None:
        return []  # the column has neither a currency of its own nor a third decimal
    return [_fee_missing(fee, sync(session, row), ids)]


def _status_differs(
    session: CheckoutSession,
    row: Payment | None,
    ids: Mapping[str, str],
    at_stripe: str,
    repair: SyncSession | None,
) -> Difference:
    said = f"is {row.status}" if row is not None else "does not exist"
    text = f"At Stripe the payment of session {session.id} {at_stripe}; the payment row in Directus {said}."
    if repair is None:
        text += " No invoice in its currency is known for it: look at it in Stripe's dashboard."
    return Difference("payment_status_differs", text, ids, repair)


def _not_paid(session: CheckoutSession, row: Payment, ids: Mapping[str, str]) -> Difference:
    text = (
        f"Directus has {row.amount} succeeded for session {session.id}; Stripe has received nothing through it"
        f" ({session.status}, {session.payment_status}). Compare with Stripe's dashboard; an administrator corrects"
        " the payment."
    )
    return Difference("payment_not_paid", text, ids)


def _amount_differs(row: Payment, paid: Money, ids: Mapping[str, str]) -> Difference:
    text = (
        f"Stripe has {paid} received, the payment in Directus says {row.amount}. Compare with Stripe's dashboard; an"
        " administrator corrects the payment."
    )
    return Difference("payment_amount_differs", text, ids)


def _fee_missing(fee: Money, repair: SyncSession, ids: Mapping[str, str]) -> Difference:
    text = f"Stripe has taken a fee of {fee} that the payment in Directus does not show."
    return Difference("fee_missing", text, ids, repair)


def _unfit(payment: Payment, ids: Mapping[str, str], repair: Recompute) -> Difference:
    if payment.checkout_session is None:
        text = "A checkout's time is over, but its attempt is still open and blocks the next one."
        return Difference("attempt_expired", text, ids, repair)
    text = f"An open checkout over {payment.amount} does not fit its invoice any more, or was canceled, and can be paid."
    return Difference("attempt_does_not_fit", text, ids, repair)
