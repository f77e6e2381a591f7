"""What a Stripe session means for the rows: the ledger's only way to learn of a Stripe payment.

A session is looked at as Stripe shows it now; the same session always gives the same rows, so duplicates and
order cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from billing.errors import Parked
from billing.ledger.ledger import Payment, PaymentFlag, PaymentStatus, local_date, settled
from billing.money import Money
from billing.payments.checkout import DEAD_INTENT, ended
from billing.payments.reversals import BookedReversals, book_reversals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from billing.ledger.ledger import Ledger
    from billing.stripe.objects import Charge, CheckoutSession, PaymentIntent, Reversals


#: The methods of a payment row that only Stripe's payments have.
STRIPE_METHODS = frozenset({"card", "us_bank_account"})
#: The states of an attempt that took nothing.
OVER = frozenset({PaymentStatus.CANCELED, PaymentStatus.FAILED})


@dataclass(frozen=True)
class Booking:
    """What a session makes of the payments.

    `updated` is the attempt as it will be, None if it stays as it is. `created` is a payment that has no row yet; where
    its `invoice` is None it belongs to none (an unknown one, or another currency) and a partner must assign it.
    `remarks` say in words what a person should look at; the payment's `flag` keeps it. `reversals` are all refunds and
    disputes of the booked payment (`created`, else `updated`) after the write; None leaves them as they are.
    """

    updated: Payment | None = None
    created: Payment | None = None
    remarks: Sequence[str] = ()
    reversals: BookedReversals | None = None


@dataclass(frozen=True)
class SessionRow:
    """A session with the payment row that is its attempt.

    `attempt` is None if there is none; `held_by_manual_payment` says that a row which the firm entered itself holds the
    session.
    """

    session: CheckoutSession
    attempt: Payment | None = None
    held_by_manual_payment: bool = False

    @property
    def invoice(self) -> str | None:
        """The invoice whose FIFO group must book the session: that of its row, else the one the metadata names.

        Staff may have assigned an unapplied payment to another invoice since.
        """
        return (self.attempt.invoice if self.attempt is not None else None) or self.session.invoice


def row_of(session: CheckoutSession, rows: Iterable[Payment]) -> SessionRow:
    """Which of the rows is the session's: by its transaction, by the session, by the attempt's own id.

    `rows` come in that order and no further than they are looked at.
    """
    transaction = session.payment_intent.id if session.payment_intent is not None else None
    held_by_manual_payment = False
    for row in rows:
        if transaction is not None and row.transaction_id == transaction:
            return SessionRow(session, row)
        holds = row.checkout_session == session.id
        if is_manual(row):
            held_by_manual_payment = held_by_manual_payment or holds
        elif holds or not _contradicts(session, row):
            return SessionRow(session, row)
    return SessionRow(session, None, held_by_manual_payment)


def _contradicts(session: CheckoutSession, attempt: Payment) -> bool:
    """Whether the session names one invoice and the attempt of another.

    The row is then not this session's attempt. The money is booked on the invoice in the metadata, with a note, so that
    it never reaches the other client unseen.
    """
    return None not in {session.invoice, attempt.invoice} and attempt.invoice != session.invoice


def is_ours(metadata: Mapping[str, str], deployment: str) -> bool:
    """Whether this deployment created the object: sessions of other applications are none of our business.

    The name must be this deployment's alone among all applications of the Stripe account.
    """
    return metadata.get("deployment") == deployment


def has_received(session: CheckoutSession) -> bool:
    """Whether Stripe has received money through the session, whatever the session's own status says."""
    return session.payment_intent is not None and session.payment_intent.amount_received > 0


def book(session: CheckoutSession, ledger: Ledger | None, attempt: Payment | None) -> Booking:
    """What must be written for `session`.

    `ledger` is the invoice named by the attempt (else by the metadata), None if there is no such invoice.
    `attempt` is the row named by `directus_payment` or holding the session, None if there is none.
    """
    intent = session.payment_intent
    if session.status == "expired" and not has_received(session):
        return _end(attempt, session, PaymentStatus.CANCELED, "The client did not pay in time.")
    if session.is_open:
        return _opened(session, attempt)
    if intent is None:
        message = "A completed session has no payment intent; look at it in Stripe's dashboard."
        raise Parked(message, checkout_session=session.id)
    if session.payment_status == "unpaid" and not has_received(session):
        if intent.status in DEAD_INTENT:
            return _end(
                attempt, session, PaymentStatus.FAILED, intent.failure_message or "The payment failed."
            )
        return _processing(attempt, session, intent, ledger)
    if intent.amount_received <= 0:
        message = "A session says that it is paid, its payment intent that nothing was received."
        raise Parked(message, checkout_session=session.id, payment_intent=intent.id)
    return _succeeded(session, intent, ledger, attempt)


def is_manual(payment: Payment) -> bool:
    """Whether the row is money that the firm itself entered: no session's attempt, whatever its metadata says."""
    over = payment.open_claim is None or _is_booked(payment)
    return payment.transaction_id is None and payment.method not in STRIPE_METHODS and over


def is_doubtful(payment: Payment) -> bool:
    """Whether a canceled row has a session and a payment intent: only Stripe knows whether money came.

    A person canceled it while it was being booked, and Directus kept the later write.
    """
    marks = (payment.transaction_id, payment.checkout_session)
    return payment.status is PaymentStatus.CANCELED and None not in marks


def without_session(booking: Booking) -> Booking:
    """The booking where a manual payment has this session (the column is unique): the new row has its transaction only."""
    if booking.created is None:
        return booking
    return replace(booking, created=replace(booking.created, checkout_session=None))


def is_orphan(session: CheckoutSession, attempt: Payment | None) -> bool:
    """Whether an open session can be paid though no attempt of ours claims its invoice any more."""
    return session.is_open and (
        attempt is None or attempt.open_claim is None or holds_another(attempt, session)
    )


def _opened(session: CheckoutSession, attempt: Payment | None) -> Booking:
    """Nothing to book; but an attempt whose maker died before storing its session gets it now."""
    if attempt is None or attempt.open_claim is None or attempt.checkout_session is not None:
        return Booking()
    return _updating(attempt, checkout_session=session.id)


def _end(attempt: Payment | None, session: CheckoutSession, status: PaymentStatus, reason: str) -> Booking:
    """Free the claim of the attempt, unless it knows better already (late events change nothing)."""
    if attempt is None or not waits_for(session, attempt):
        return Booking()
    return Booking(updated=ended(with_session(attempt, session), status, reason))


def _updating(attempt: Payment, **changes: Any) -> Booking:
    updated = replace(attempt, **changes)
    return Booking() if updated == attempt else Booking(updated=updated)


def waits_for(session: CheckoutSession, attempt: Payment) -> bool:
    """Whether the attempt has yet to learn that no payment came of its session."""
    over = attempt.open_claim is None and attempt.status in OVER
    return not (holds_another(attempt, session) or attempt.status is PaymentStatus.SUCCEEDED or over)


def with_session(attempt: Payment, session: CheckoutSession) -> Payment:
    """The attempt with the session, where it has yet to learn it; a row known by its transaction is never told."""
    known = attempt.checkout_session is not None or attempt.transaction_id is not None
    return attempt if known else replace(attempt, checkout_session=session.id)


def _processing(
    attempt: Payment | None, session: CheckoutSession, intent: PaymentIntent, ledger: Ledger | None
) -> Booking:
    """A bank debit is under way: the claim is held (unless another attempt has it), nothing is paid."""
    holder = ledger.open_attempt if ledger is not None else None
    if attempt is None or holds_another(attempt, session):
        if ledger is None or intent.currency != ledger.invoice.currency:
            message = "A bank debit is under way for which Directus has no payment row."
            raise Parked(message, checkout_session=session.id, payment_intent=intent.id)
        return _unexpected_debit(session, intent, ledger, holder)
    if attempt.status is PaymentStatus.SUCCEEDED:
        return Booking()
    return _updating(
        attempt,
        checkout_session=with_session(attempt, session).checkout_session,
        transaction_id=intent.id,
        status=PaymentStatus.PROCESSING,
        open_claim=attempt.invoice if holder is None or holder.id == attempt.id else None,
        **_how_paid(intent.latest_charge, ledger),
    )


def _unexpected_debit(
    session: CheckoutSession, intent: PaymentIntent, ledger: Ledger, holder: Payment | None
) -> Booking:
    """A bank debit whose attempt is gone: it gets a row, so that nobody pays a second time meanwhile."""
    note = (
        "A bank debit is under way through a session that does not belong to an open attempt of this invoice."
    )
    row = Payment(
        id="",
        amount=Money(session.amount_total, intent.currency),
        status=PaymentStatus.PROCESSING,
        invoice=ledger.invoice.id,
        client=ledger.invoice.client,
        checkout_session=session.id,
        transaction_id=intent.id,
        open_claim=ledger.invoice.id if holder is None else None,
        flag=PaymentFlag.UNEXPECTED_SESSION,
        note=note,
        **{"method": "other", **_how_paid(intent.latest_charge, ledger)},
    )
    return Booking(created=row, remarks=[note])


def _succeeded(
    session: CheckoutSession, intent: PaymentIntent, ledger: Ledger | None, attempt: Payment | None
) -> Booking:
    received = Money(intent.amount_received, intent.currency)
    if attempt is not None and attempt.transaction_id == intent.id and _is_booked(attempt):
        return _completed(attempt, intent, ledger)
    if attempt is not None and _is_booked(attempt) and _names_it_wrongly(attempt, session, intent):
        message = (
            "The succeeded payment of this session names another transaction: booking it again would double it."
            " An administrator corrects its transaction_id."
        )
        raise Parked(message, checkout_session=session.id, payment_intent=intent.id, payment=attempt.id)
    if attempt is not None and _is_booked(attempt) and attempt.amount != received:
        message = (
            f"Stripe has {received} received; the succeeded payment of this session says {attempt.amount} and no"
            " transaction. An administrator corrects it."
        )
        raise Parked(message, checkout_session=session.id, payment_intent=intent.id, payment=attempt.id)
    if ledger is None:
        note = "Paid through Stripe for an invoice that Directus does not have: a partner must assign it."
        return _unapplied(session, intent, ledger, attempt, flag=PaymentFlag.UNKNOWN_INVOICE, note=note)
    invoice = ledger.invoice
    if received.currency != invoice.currency:
        note = f"Paid in {received.currency}, the invoice is in {invoice.currency}: a partner must assign it."
        return _unapplied(session, intent, ledger, attempt, flag=PaymentFlag.OTHER_CURRENCY, note=note)
    if attempt is None or holds_another(attempt, session) or _books_another(attempt, session, intent):
        note = "Received through a session that does not belong to an open attempt of this invoice."
        money = replace(
            _new_row(intent, ledger),
            invoice=invoice.id,
            client=invoice.client,
            checkout_session=session.id,
            flag=PaymentFlag.UNEXPECTED_SESSION,
            note=note,
        )
        return Booking(created=money, remarks=[note])
    booked = replace(_paid(with_session(attempt, session), intent, ledger), open_claim=None)
    if (difference := _difference(attempt, received)) is None:
        return Booking(updated=booked)
    booked = replace(booked, flag=PaymentFlag.AMOUNT_DIFFERS, note=with_note(attempt.note, difference))
    return Booking(updated=booked, remarks=[difference])


def _paid(row: Payment, intent: PaymentIntent, ledger: Ledger | None) -> Payment:
    """The row once it has the intent's money. Its currency never changes: the functions' user may not write it."""
    received = Money(intent.amount_received, intent.currency)
    return replace(
        row,
        transaction_id=intent.id,
        amount=Money.from_directus(received.to_directus(), row.amount.currency),
        status=PaymentStatus.SUCCEEDED,
        failure_reason=None,
        **_how_paid(intent.latest_charge, ledger),
    )


def _new_row(intent: PaymentIntent, ledger: Ledger | None) -> Payment:
    """The intent's money as a row of its own."""
    received = Money(intent.amount_received, intent.currency)
    return _paid(Payment("", received, PaymentStatus.SUCCEEDED, "other"), intent, ledger)


def _unapplied(
    session: CheckoutSession,
    intent: PaymentIntent,
    ledger: Ledger | None,
    attempt: Payment | None,
    *,
    flag: PaymentFlag,
    note: str,
) -> Booking:
    """A row of its own for money that no invoice can take; the attempt it was asked for by, if any, is over.

    The attempt keeps the session (unique), the new row holds the transaction: the functions' user may neither change
    a row's currency nor take its client away.
    """
    money = replace(_new_row(intent, ledger), flag=flag, note=note)
    if attempt is None or holds_another(attempt, session):
        return Booking(created=replace(money, checkout_session=session.id), remarks=[note])
    if _is_booked(attempt):
        # It counts already and only lost its transaction: a second row would double it.
        return Booking(updated=_paid(with_session(attempt, session), intent, ledger))
    over = _end(attempt, session, PaymentStatus.CANCELED, note).updated
    if attempt.transaction_id == intent.id:
        # A bank debit stored it while it was under way; two rows cannot hold it.
        over = replace(over or attempt, open_claim=None, transaction_id=None)
    return Booking(updated=over, created=money, remarks=[note])


def _is_booked(attempt: Payment) -> bool:
    return attempt.status is PaymentStatus.SUCCEEDED


def _completed(attempt: Payment, intent: PaymentIntent, ledger: Ledger | None) -> Booking:
    """Booked before: only what Stripe learned later (the fee) is filled in; amount, owner and day stay."""
    how_paid = _how_paid(intent.latest_charge, ledger)
    how_paid.pop("payment_date", None)  # it was the firm's day, which is not known here without the invoice
    return _updating(attempt, **how_paid)


def _difference(attempt: Payment, received: Money) -> str | None:
    """A sentence if the amount is not the one that was asked for."""
    if attempt.status is PaymentStatus.SUCCEEDED or attempt.amount == received:
        return None
    return asked_and_received(attempt.amount, received)


def asked_and_received(asked: Money, received: Money) -> str:
    """The sentence about a payment that is not over the amount its client was asked for."""
    return f"{asked} was asked for, {received} was received."


def holds_another(attempt: Payment, session: CheckoutSession) -> bool:
    """Whether the row is that of another session."""
    return attempt.checkout_session is not None and attempt.checkout_session != session.id


def _books_another(attempt: Payment, session: CheckoutSession, intent: PaymentIntent) -> bool:
    """Whether the row is that of another payment; a session has one, so what names the session is never another's."""
    return _names_another(attempt, intent) and attempt.checkout_session != session.id


def _names_it_wrongly(attempt: Payment, session: CheckoutSession, intent: PaymentIntent) -> bool:
    """Whether the row is this session's and names another payment intent: somebody wrote that."""
    return _names_another(attempt, intent) and attempt.checkout_session == session.id


def _names_another(attempt: Payment, intent: PaymentIntent) -> bool:
    return attempt.transaction_id is not None and attempt.transaction_id != intent.id


def _how_paid(charge: Charge | None, ledger: Ledger | None) -> dict[str, Any]:
    """How and when (by the firm's calendar) it was paid, as members of a `Payment`.

    The fee only when Stripe knows it (it comes later, as `charge.updated`) and in the payment's own currency: the
    column has no other, and an account may settle in one.
    """
    if charge is None:
        return {}
    how_paid: dict[str, Any] = {
        "method": charge.method if charge.method in STRIPE_METHODS else "other",
        "payment_date": local_date(charge.created, ledger.firm_timezone if ledger else None),
        "brand": charge.brand,
        "bank_name": charge.bank_name,
        "account_type": charge.account_type,
        "last4": charge.last4,
    }
    if (fee := storable_fee(charge)) is not None:
        how_paid["fee"] = fee
    return how_paid


def storable_fee(charge: Charge) -> Money | None:
    """Stripe's fee if it is known and the column can hold it: in the charge's own currency, with two decimals."""
    if charge.fee is None or charge.fee_currency is None or charge.fee_currency != charge.currency:
        return None
    fee = Money(charge.fee, charge.fee_currency)
    return fee if fee.fits_directus else None


def with_note(note: str | None, sentence: str) -> str:
    """A payment's note with one sentence more, once; what staff wrote stays."""
    if not note:
        return sentence
    return note if sentence in note else f"{note}\n{sentence}"


def with_reversals(
    booking: Booking,
    intent: PaymentIntent,
    attempt: Payment | None,
    reversals: Reversals,
    *,
    known: BookedReversals,
    taken: Collection[str],
    now: datetime,
) -> Booking:
    """The booking of a payment that succeeded, with what Stripe says went back on it.

    `known` are the refunds and disputes that Directus has below it, `taken` Stripe's ids of rows that it has elsewhere.
    A payment that did not succeed has none of either.
    """
    payment = booking.created or booking.updated or attempt
    if payment is None or not _is_booked(payment) or payment.transaction_id != intent.id:
        return booking
    below, unbookable = book_reversals(payment, reversals, known, now, taken=taken)
    payment = settled(payment, below.refunds, below.disputes)
    booking = replace(booking, remarks=[*booking.remarks, *unbookable], reversals=below)
    return replace(booking, created=payment) if booking.created else replace(booking, updated=payment)


def with_surplus(booking: Booking, ledger: Ledger, balance: Money) -> Booking:
    """The booking, with a note for staff if money came that the invoice did not need.

    `balance` is what will be due once it is booked. Only fresh money is noted: what was booked before was noted then.
    """
    fresh = booking.created or booking.updated
    booked_before = {payment.id for payment in ledger.payments if _is_booked(payment)}
    if balance.minor >= 0 or fresh is None or not _is_booked(fresh) or fresh.id in booked_before:
        return booking
    if fresh.invoice is None:
        return booking  # it is no part of this balance
    note = credit_of_client(balance)
    noted = replace(fresh, flag=PaymentFlag.SURPLUS, note=with_note(fresh.note, note))
    remarks = [*booking.remarks, note]
    if booking.created is not None:
        return replace(booking, created=noted, remarks=remarks)
    return replace(booking, updated=noted, remarks=remarks)


def credit_of_client(balance: Money) -> str:
    """The sentence about an invoice on which more was received than was due; its `balance` is below zero."""
    return f"More was received than was due: {-balance} is credit of the client, to be refunded or applied elsewhere."


def ledger_after(ledger: Ledger, booking: Booking) -> Ledger:
    """The invoice's rows as they will be once the booking is written; its state is derived from these."""
    updated, created = booking.updated, booking.created
    payments = [
        updated if updated is not None and payment.id == updated.id else payment
        for payment in ledger.payments
    ]
    if created is not None and created.invoice is not None:
        payments.append(created)
    after = replace(ledger, payments=payments)
    booked = created or updated
    if booking.reversals is None or booked not in payments:
        return after
    assert booked is not None, "only a booked payment has any"
    return replace(
        after,
        refunds=[*(row for row in ledger.refunds if row.payment != booked.id), *booking.reversals.refunds],
        payment_disputes=[
            *(row for row in ledger.payment_disputes if row.payment != booked.id),
            *booking.reversals.disputes,
        ],
    )
