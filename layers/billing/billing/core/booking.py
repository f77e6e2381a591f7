"""What a Stripe session means for the rows: the ledger's only way to learn of a Stripe payment.

A session is looked at as Stripe shows it now; the same session always gives the same rows, so duplicates and
order cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from billing.core.checkout import DEAD_INTENT, ended
from billing.core.ledger import Payment, PaymentStatus, local_date
from billing.core.money import Money
from billing.errors import Parked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from billing.core.ledger import Ledger
    from billing.core.stripe_objects import Charge, CheckoutSession, PaymentIntent


@dataclass(frozen=True)
class Booking:
    """Rows to write for one session.

    `updated` and `created` belong to the invoice; `unapplied` belongs to none (unknown invoice or another
    currency) and is for staff to assign. `flags` say in plain words what a person should look at.
    """

    updated: Sequence[Mapping[str, object]] = ()
    created: Sequence[Mapping[str, object]] = ()
    unapplied: Mapping[str, object] | None = None
    flags: Sequence[str] = field(default_factory=tuple)


def is_ours(metadata: Mapping[str, str], deployment: str) -> bool:
    """Whether this deployment created the object: sessions of other applications are none of our business."""
    return metadata.get("deployment") == deployment


def book(session: CheckoutSession, ledger: Ledger | None, attempt: Payment | None) -> Booking:
    """What must be written for `session`.

    `ledger` is the invoice named by the attempt (else by the metadata), None if there is no such invoice.
    `attempt` is the row named by `directus_payment` or holding the session, None if there is none.
    """
    intent = session.payment_intent
    if session.status == "expired":
        return _end(attempt, session, PaymentStatus.CANCELED, "The client did not pay in time.")
    if session.is_open:
        return Booking()
    if intent is None:
        message = "A completed session has no payment intent; look at it in Stripe's dashboard."
        raise Parked(message, checkout_session=session.id)
    if session.payment_status == "unpaid":
        if intent.status in DEAD_INTENT:
            return _end(
                attempt, session, PaymentStatus.FAILED, intent.failure_message or "The payment failed."
            )
        return _processing(attempt, session, intent, ledger)
    if intent.amount_received <= 0:
        message = "A session says that it is paid, its payment intent that nothing was received."
        raise Parked(message, checkout_session=session.id, payment_intent=intent.id)
    return _succeeded(session, intent, ledger, attempt)


def _end(attempt: Payment | None, session: CheckoutSession, status: PaymentStatus, reason: str) -> Booking:
    """Free the claim of the attempt, unless it knows better already (late events change nothing)."""
    if attempt is None or _holds_another(attempt, session) or attempt.status is PaymentStatus.SUCCEEDED:
        return Booking()
    if attempt.open_claim is None and attempt.status in {PaymentStatus.CANCELED, PaymentStatus.FAILED}:
        return Booking()
    return Booking(updated=[{"id": attempt.id, "checkout_session": session.id, **ended(status, reason)}])


def _processing(
    attempt: Payment | None, session: CheckoutSession, intent: PaymentIntent, ledger: Ledger | None
) -> Booking:
    """A bank debit is under way: the claim is held (unless another attempt has it), nothing is paid."""
    if attempt is None or _holds_another(attempt, session):
        message = "A bank debit is under way for which Directus has no payment row."
        raise Parked(message, checkout_session=session.id, payment_intent=intent.id)
    if attempt.status is PaymentStatus.SUCCEEDED:
        return Booking()
    holder = ledger.open_attempt if ledger is not None else None
    row = {
        "id": attempt.id,
        "checkout_session": session.id,
        "transaction_id": intent.id,
        "status": PaymentStatus.PROCESSING.value,
        "open_claim": attempt.invoice if holder is None or holder.id == attempt.id else None,
        **_method_columns(intent.latest_charge, ledger),
    }
    return Booking(updated=[row])


def _succeeded(
    session: CheckoutSession, intent: PaymentIntent, ledger: Ledger | None, attempt: Payment | None
) -> Booking:
    received = Money(intent.amount_received, intent.currency)
    if attempt is not None and attempt.transaction_id == intent.id and _is_booked(attempt):
        return _completed(attempt, intent, ledger)
    columns: dict[str, object] = {
        "transaction_id": intent.id,
        "amount": received.to_directus(),
        "currency": received.currency,
        "status": PaymentStatus.SUCCEEDED.value,
        "failure_reason": None,
        **_method_columns(intent.latest_charge, ledger),
    }
    if ledger is None:
        note = "Paid through Stripe for an invoice that Directus does not have. Assign it by hand."
        return _unapplied(session, attempt, columns, note)
    if received.currency != ledger.invoice.currency:
        note = f"Paid in {received.currency}, the invoice is in {ledger.invoice.currency}. Assign it by hand."
        return _unapplied(session, attempt, columns, note)
    if attempt is None or _holds_another(attempt, session) or _books_another(attempt, intent):
        note = "Received through a session that does not belong to an open attempt of this invoice."
        extra = {**columns, "client": ledger.invoice.client, "checkout_session": session.id, "note": note}
        return Booking(created=[extra], flags=[note])
    # A row's currency never changes: the functions' user may not write it.
    facts = {name: value for name, value in columns.items() if name != "currency"}
    row = {"id": attempt.id, "checkout_session": session.id, **facts, "open_claim": None}
    if (difference := _difference(attempt, received)) is None:
        return Booking(updated=[row])
    return Booking(updated=[{**row, "note": difference}], flags=[difference])


def _unapplied(
    session: CheckoutSession, attempt: Payment | None, columns: Mapping[str, object], note: str
) -> Booking:
    """A row of its own for money that no invoice can take; the attempt it was asked for by, if any, is over.

    The attempt keeps the session (unique), the new row holds the transaction: the functions' user may neither change
    a row's currency nor take its client away.
    """
    row = {**columns, "invoice": None, "client": None, "note": note}
    if attempt is None or _holds_another(attempt, session):
        return Booking(unapplied={**row, "checkout_session": session.id}, flags=[note])
    release = _end(attempt, session, PaymentStatus.CANCELED, note).updated
    return Booking(updated=release, unapplied=row, flags=[note])


def _is_booked(attempt: Payment) -> bool:
    return attempt.status is PaymentStatus.SUCCEEDED


def _completed(attempt: Payment, intent: PaymentIntent, ledger: Ledger | None) -> Booking:
    """Booked before: only what Stripe learned later (the fee) is filled in; amount and owner stay."""
    columns = _method_columns(intent.latest_charge, ledger)
    return (
        Booking(updated=[{"id": attempt.id, "status": attempt.status.value, **columns}])
        if columns
        else Booking()
    )


def _difference(attempt: Payment, received: Money) -> str | None:
    """A sentence if the amount is not the one that was asked for."""
    if attempt.status is PaymentStatus.SUCCEEDED or attempt.amount == received:
        return None
    return f"Asked for {attempt.amount}, received {received}."


def _holds_another(attempt: Payment, session: CheckoutSession) -> bool:
    return attempt.checkout_session is not None and attempt.checkout_session != session.id


def _books_another(attempt: Payment, intent: PaymentIntent) -> bool:
    return attempt.transaction_id is not None and attempt.transaction_id != intent.id


def _method_columns(charge: Charge | None, ledger: Ledger | None) -> dict[str, object]:
    """How and when (by the firm's calendar) it was paid.

    The fee only when Stripe knows it (it comes later, as `charge.updated`) and in the payment's own currency: the
    column has no other, and an account may settle in one.
    """
    if charge is None:
        return {}
    columns: dict[str, Any] = {
        "method": charge.method if charge.method in {"card", "us_bank_account"} else "other",
        "payment_date": local_date(charge.created, ledger.firm_timezone if ledger else None).isoformat(),
        "brand": charge.brand,
        "bank_name": charge.bank_name,
        "account_type": charge.account_type,
        "last4": charge.last4,
    }
    if charge.fee is not None and charge.fee_currency is not None and charge.fee_currency == charge.currency:
        columns["fee"] = Money(charge.fee, charge.fee_currency).to_directus()
    return columns


def with_booking(ledger: Ledger, booking: Booking) -> list[Payment]:
    """The invoice's payments as they will be once the booking is written; totals are derived from these."""
    changes = {str(row["id"]): row for row in booking.updated}
    payments = [
        replace(payment, **_parsed(changes[payment.id], payment.amount)) if payment.id in changes else payment
        for payment in ledger.payments
    ]
    return payments + [_created(row, number) for number, row in enumerate(booking.created)]


def _parsed(row: Mapping[str, object], amount: Money) -> dict[str, Any]:
    parsed: dict[str, Any] = {"status": PaymentStatus(str(row["status"]))}
    if "amount" in row:
        amount = Money.from_directus(row["amount"], amount.currency)
    return {**parsed, "amount": amount, "open_claim": row.get("open_claim")}


def _created(row: Mapping[str, object], number: int) -> Payment:
    return Payment(
        id=f"new {number}",
        amount=Money.from_directus(row["amount"], str(row["currency"])),
        status=PaymentStatus(str(row["status"])),
        method=str(row.get("method", "other")),
    )
