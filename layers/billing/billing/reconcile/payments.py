"""Payments: Stripe's sessions, payment intents and balance transactions against the payment rows.

A session is looked at as the invoice writer looks at it (`write_invoice`, `booking.book`): the same row, the same states.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from billing.ledger.ledger import PaymentFlag, PaymentStatus
from billing.messages import Recompute, SyncSession
from billing.money import Money
from billing.payments.booking import (
    OVER,
    asked_and_received,
    credit_of_client,
    has_received,
    holds_another,
    is_manual,
    is_orphan,
    row_of,
    storable_fee,
    waits_for,
)
from billing.payments.checkout import DEAD_INTENT, asked_amount, must_end
from billing.reconcile.differences import (
    BANK_ANSWERS_WITHIN,
    GRACE,
    Difference,
    ids_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from billing.ledger.ledger import Ledger, Payment
    from billing.reconcile.differences import NamedInvoice, OpenAttempt
    from billing.stripe.objects import BalanceTransaction, CheckoutSession, PaymentIntent


#: Types of balance transactions that are money received.
RECEIPTS = frozenset({"charge", "payment"})
_NO_INVOICES: Mapping[str, NamedInvoice] = MappingProxyType({})
#: Money that differs from what was asked for or was due.
_DIFFERS = frozenset({PaymentFlag.AMOUNT_DIFFERS, PaymentFlag.SURPLUS})
#: Money that was booked on no invoice: wherever it stands now, it was assigned.
_UNAPPLIED = frozenset({PaymentFlag.UNKNOWN_INVOICE, PaymentFlag.OTHER_CURRENCY})


class PaymentIndex:
    """Payment rows by what a session may know them by."""

    def __init__(self, payments: Iterable[Payment]) -> None:
        """`payments` in the order in which the first of two that fit is taken."""
        self._by_id: dict[str, Payment] = {}
        self._by_session: defaultdict[str, list[Payment]] = defaultdict(list)
        self._by_transaction: defaultdict[str, list[Payment]] = defaultdict(list)
        for payment in payments:
            self._by_id[payment.id] = payment
            if payment.checkout_session is not None:
                self._by_session[payment.checkout_session].append(payment)
            if payment.transaction_id is not None:
                self._by_transaction[payment.transaction_id].append(payment)

    def of(self, session: CheckoutSession) -> Payment | None:
        """The row that the invoice writer would book this session on (`booking.row_of`)."""
        intent = session.payment_intent
        transaction = self._by_transaction.get(intent.id, []) if intent is not None else []
        attempt = self._by_id.get(session.attempt or "")
        rows = [*transaction, *self._by_session.get(session.id, []), attempt]
        return row_of(session, (row for row in rows if row is not None)).attempt

    def entered_by_hand(self, session: CheckoutSession) -> Payment | None:
        """A payment that counts as manual though it holds this session."""
        holding = self._by_session.get(session.id, [])
        return next(
            (row for row in holding if is_manual(row) and row.status is PaymentStatus.SUCCEEDED), None
        )


def moment_of(session: CheckoutSession) -> datetime | None:
    """When at the latest Stripe had the payment as it is now; None where its charge does not say."""
    charge = session.payment_intent.latest_charge if session.payment_intent is not None else None
    if charge is None:
        return None
    return charge.created + (BANK_ANSWERS_WITHIN if charge.method == "us_bank_account" else timedelta(0))


def sync(session: CheckoutSession, row: Payment | None) -> SyncSession:
    """The repair by the session, in the FIFO group of the invoice that the invoice writer would book it on."""
    return SyncSession(session.id, (row.invoice if row is not None else None) or session.invoice)


def invoices_concerned(session: CheckoutSession, row: Payment | None) -> set[str]:
    """The invoices that `compare_session` must know of: for most sessions none."""
    if session.invoice is None:
        return set()
    if row is None or holds_another(row, session):
        is_debit = (
            session.status == "complete" and session.payment_status == "unpaid" and not has_received(session)
        )
        return {session.invoice} if is_debit else set()
    if row.status is not PaymentStatus.SUCCEEDED or row.invoice in {None, session.invoice}:
        return set()
    return {session.invoice, str(row.invoice)}


def compare_session(
    session: CheckoutSession,
    row: Payment | None,
    invoices: Mapping[str, NamedInvoice] = _NO_INVOICES,
    by_hand: Payment | None = None,
) -> list[Difference]:
    """One session of ours with its payment row (`PaymentIndex.of`).

    `invoices` are those of `invoices_concerned` that exist, by their id. `by_hand` is what `PaymentIndex` has
    `entered_by_hand` of it.
    """
    ids = ids_of(
        payment=row.id if row is not None else session.attempt,
        invoice=(row.invoice if row is not None else None) or session.invoice,
        checkout_session=session.id,
    )
    if session.status == "expired" and not has_received(session):
        return _compare_expired(session, row, ids)
    if session.is_open:
        return _compare_open(session, row, ids)
    intent = session.payment_intent
    if intent is None:
        text = f"Stripe's session {session.id} is complete and has no payment intent; look at it in Stripe's dashboard."
        return [Difference("session_without_intent", text, ids)]
    if session.payment_status == "unpaid" and not has_received(session):
        return _compare_debit(session, intent, row, ids, invoices.get(session.invoice or ""))
    if row is None and by_hand is not None:
        return [_entered_by_hand(session, by_hand)]
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
        " another Stripe account, or entered manually? Compare with Stripe's dashboard; an administrator corrects it."
    )
    return Difference("payment_unknown_to_stripe", text, ids)


def report_unknown_payment(payment: Payment) -> list[Difference]:
    """The same of a row that was made or changed lately; an attempt that is over and took nothing harms nobody."""
    if payment.transaction_id is None and payment.status in OVER:
        return []
    return [report_unknown_session(payment)]


def report_of_another_deployment(payment: Payment, session: CheckoutSession) -> list[Difference]:
    """A row whose session this deployment did not make: what becomes of that money, nobody here will book.

    Nothing of one that is over and took nothing.
    """
    if payment.status in OVER and payment.open_claim is None:
        return []
    maker = session.metadata.get("deployment")
    said = f"the deployment {maker}" if maker else "something else than a deployment"
    text = (
        f"A {payment.status} payment of {payment.amount} belongs to session {session.id}, which was made by {said}:"
        " nothing that happens to it at Stripe is booked here, no refund and no dispute either."
    )
    ids = ids_of(
        payment=payment.id,
        invoice=payment.invoice,
        checkout_session=session.id,
        transaction_id=payment.transaction_id,
    )
    return [Difference("payment_of_another_deployment", text, ids)]


def is_flagged(payment: Payment) -> bool:
    """Whether the invoice writer flagged it as money that differs from what was asked for or was due."""
    return payment.flag in _DIFFERS


def is_surplus(payment: Payment) -> bool:
    """Whether it was flagged as more than was due."""
    return payment.flag is PaymentFlag.SURPLUS


def report_flagged(payment: Payment, balance: Money | None) -> list[Difference]:
    """A flagged payment that was made or changed lately; `balance` is its invoice's, None if it cannot be read."""
    if payment.status is not PaymentStatus.SUCCEEDED:
        return []
    asked, sentences = asked_amount(payment), []
    if asked is not None and asked != payment.amount:
        sentences.append(asked_and_received(asked, payment.amount))
    if is_surplus(payment) and balance is None:
        sentences.append("More was received than was due.")
    elif is_surplus(payment) and balance is not None and balance.minor < 0:
        sentences.append(credit_of_client(balance))
    ids = ids_of(payment=payment.id, invoice=payment.invoice, transaction_id=payment.transaction_id)
    return [Difference("payment_flagged", " ".join(sentences), ids)] if sentences else []


def is_unapplied(payment: Payment) -> bool:
    """Whether it is money, received or on its way, that a partner must assign."""
    return payment.invoice is None and payment.status in {PaymentStatus.PROCESSING, PaymentStatus.SUCCEEDED}


def report_unapplied(payment: Payment) -> Difference:
    """Money that belongs to no invoice yet."""
    text = f"A payment of {payment.amount} belongs to no invoice; a partner must assign it."
    ids = ids_of(payment=payment.id, transaction_id=payment.transaction_id)
    return Difference("payment_unapplied", text, ids)


def compare_receipt(
    movement: BalanceTransaction,
    row: Payment | None,
    session: CheckoutSession | None,
    by_hand: Payment | None = None,
) -> list[Difference]:
    """Money of ours on Stripe's balance with its payment row, and the session behind it where that was looked up.

    `by_hand` as for `compare_session`.
    """
    moved = Money(movement.amount, movement.currency)
    if row is None or row.status is not PaymentStatus.SUCCEEDED:
        if session is not None:
            return compare_session(session, row, by_hand=by_hand)
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


def _compare_debit(
    session: CheckoutSession,
    intent: PaymentIntent,
    row: Payment | None,
    ids: Mapping[str, str],
    named: NamedInvoice | None,
) -> list[Difference]:
    if intent.status in DEAD_INTENT:
        return _compare_failed(session, row, ids)
    return _compare_processing(session, intent, row, ids, named.currency if named is not None else None)


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
        # The invoice writer books a debit without an attempt on its invoice, and refuses to guess at another one.
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

    An administrator may have meant it, and says so in its `flag`. Money that was booked on no invoice was assigned.
    """
    if row.invoice is None or row.invoice == session.invoice or row.flag in {PaymentFlag.MOVED, *_UNAPPLIED}:
        return []
    made_for, stands_on = invoices.get(session.invoice or ""), invoices.get(row.invoice)
    if made_for is None or made_for.currency != paid.currency:
        return []  # no invoice that could take it: somebody had to choose another one
    text = (
        f"Stripe's payment of {paid} through session {session.id} was made for invoice {made_for.invoice_number} and stands on"
        f" {f'invoice {stands_on.invoice_number}' if stands_on is not None else 'another invoice'}. If that is a mistake,"
        " an administrator moves it back; if it was meant, an administrator sets the payment's flag to moved."
    )
    return [Difference("payment_misplaced", text, {**ids, "made_for": str(session.invoice)})]


def _contradicts(row: Payment, session: CheckoutSession, intent: PaymentIntent) -> bool:
    """Whether it is this money, booked under another name (again would double it), or its name on another session."""
    if row.transaction_id is None:
        return False
    if row.transaction_id == intent.id:
        return holds_another(row, session)
    return row.status is PaymentStatus.SUCCEEDED


def _entered_by_hand(session: CheckoutSession, row: Payment) -> Difference:
    """Booking the session beside it would count the money twice, if it is the same: only a person can tell."""
    text = (
        f"Stripe has received money through session {session.id}; the payment of {row.amount} ({row.method}) that belongs"
        " to it counts as entered manually, without transaction_id. It is not booked again: it might count twice."
    )
    ids = ids_of(payment=row.id, invoice=row.invoice, checkout_session=session.id)
    return Difference("payment_without_transaction", text, ids)


def _compare_without_transaction(
    session: CheckoutSession, row: Payment, paid: Money, ids: Mapping[str, str]
) -> list[Difference]:
    """The invoice writer would write Stripe's amount with the transaction: never over another one without a word."""
    if row.amount != paid:
        return [_amount_differs(row, paid, ids)]
    if row.invoice is None:
        text = (
            f"The payment of {paid} through session {session.id} belongs to no invoice and has lost its transaction_id: an"
            f" administrator writes {session.payment_intent.id if session.payment_intent else 'it'} there."
        )
        return [Difference("payment_without_transaction", text, ids)]
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
