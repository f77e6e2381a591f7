"""Refunds and Stripe's disputes: what went back at Stripe against the rows below the payments.

What `reversals` would not book is never repaired: another currency, a state that nobody knows, another payment's row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from billing.ledger.ledger import LOST_DISPUTE, PaymentStatus
from billing.money import Money
from billing.payments.reversals import DISPUTE_STATUSES, REFUND_STATUSES, UNSETTLED_DISPUTES
from billing.reconcile.differences import Difference, ids_of
from billing.stripe.objects import StripeDispute, StripeRefund

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.ledger.ledger import Ledger, Payment
    from billing.messages import SyncSession
    from billing.reconcile.differences import ReversalRow


_NOT_OURS = " Its payment has no Checkout session of this deployment, so it is not booked automatically."
#: A dispute that is over and took nothing.
_HARMLESS = DISPUTE_STATUSES - UNSETTLED_DISPUTES - LOST_DISPUTE


def compare_reversal(
    found: StripeRefund | StripeDispute,
    row: ReversalRow | None,
    payment: Payment,
    repair: SyncSession | None,
) -> list[Difference]:
    """One refund or dispute of Stripe's with its row.

    `payment` is the succeeded row of its payment intent; `repair` looks at that payment's session again, if it has one
    that this deployment made.
    """
    kind = "dispute" if isinstance(found, StripeDispute) else "refund"
    ids = ids_of(**{kind: found.id}, payment=payment.id, invoice=payment.invoice)
    back = Money(found.amount, found.currency)
    if row is not None and row.payment.id != payment.id:
        text = (
            f"Stripe's {kind} {found.id} of {back} belongs to {payment.transaction_id}, but its row in Directus is on"
            " another payment. An administrator moves the row to the right payment."
        )
        return [Difference(f"{kind}_misplaced", text, {**ids, "stored_on": row.payment.id})]
    if (unfit := _unfit(kind, found, payment)) is not None:
        return [Difference(f"{kind}_not_bookable", unfit, ids)]
    if row is None:
        text = f"Stripe has a {kind} {found.id} of {back} ({found.status}) that Directus does not have."
        differences = [Difference(f"{kind}_missing", text, ids, repair)]
    else:
        differences = _compare_row(found, row, ids, repair)
    return (
        differences
        if repair is not None
        else [replace(one, detail=one.detail + _NOT_OURS) for one in differences]
    )


def _compare_row(
    found: StripeRefund | StripeDispute,
    row: ReversalRow,
    ids: Mapping[str, str],
    repair: SyncSession | None,
) -> list[Difference]:
    back = Money(found.amount, found.currency)
    if isinstance(found, StripeDispute):
        if (row.status, row.amount) == (found.status, back):
            return []
        text = f"Stripe's dispute {found.id} is {found.status} over {back}, but its row says {row.status}, {row.amount}."
        return [Difference("dispute_differs", text, ids, repair)]
    differences = []
    if row.amount != back:
        text = (
            f"Stripe's refund {found.id} is {back}, but its row says {row.amount}. Compare with Stripe's"
            " dashboard; an administrator corrects the row."
        )
        differences.append(Difference("refund_amount_differs", text, ids))
    if row.status != found.status:
        text = f"Stripe's refund {found.id} of {back} is {found.status}, but its row says {row.status}."
        differences.append(Difference("refund_differs", text, ids, repair))
    return differences


def _unfit(kind: str, found: StripeRefund | StripeDispute, payment: Payment) -> str | None:
    back = Money(found.amount, found.currency)
    if found.currency != payment.amount.currency:
        return (
            f"Stripe's {kind} {found.id} of {back} is in another currency than its payment of {payment.amount}:"
            " it cannot be booked; look at it in Stripe's dashboard."
        )
    if found.status not in (REFUND_STATUSES if isinstance(found, StripeRefund) else DISPUTE_STATUSES):
        return (
            f"Stripe's {kind} {found.id} of {back} has the unknown status {found.status} and cannot be booked;"
            " look at it in Stripe's dashboard."
        )
    return None


def report_unknown_reversal(kind: str, row: ReversalRow) -> Difference:
    """A row with an id that Stripe does not know; `kind` is `refund` or `dispute`."""
    text = (
        f"A {kind} of {row.amount} ({row.status}) is stored as {row.stripe_id}, which Stripe does not know; it still"
        " counts. Compare with Stripe's dashboard; an administrator corrects the row."
    )
    ids = ids_of(**{kind: row.stripe_id}, payment=row.payment.id, invoice=row.payment.invoice)
    return Difference(f"{kind}_unknown_to_stripe", text, ids)


def compare_entered_refunds(ledger: Ledger) -> list[Difference]:
    """Refunds entered manually on Stripe payments: Stripe's own is booked as well, so they count twice."""
    of_stripe = {payment.id: payment for payment in ledger.payments if payment.transaction_id is not None}
    return [
        Difference(
            "refund_entered_by_hand",
            f"A refund of {refund.amount} was entered manually on a Stripe payment of {of_stripe[refund.payment].amount}."
            " Stripe's refunds are booked automatically, so it counts twice. Set it to canceled.",
            ids_of(refund_row=refund.id, payment=refund.payment, invoice=ledger.invoice.id),
        )
        for refund in ledger.refunds
        if not refund.stripe_refund
        and refund.payment in of_stripe
        and of_stripe[refund.payment].status is PaymentStatus.SUCCEEDED
        and refund.status not in {"failed", "canceled"}
    ]


def compare_nameless_disputes(ledger: Ledger) -> list[Difference]:
    """Disputes without Stripe's id: people enter none, and Stripe's own is booked beside it."""
    succeeded = {
        payment.id: payment for payment in ledger.payments if payment.status is PaymentStatus.SUCCEEDED
    }
    return [
        Difference(
            "dispute_without_id",
            f"A dispute of {dispute.amount} ({dispute.status}) on a payment of {succeeded[dispute.payment].amount} has no"
            " stripe_dispute. Stripe's disputes are booked automatically, so it may count twice. If Stripe's dispute has"
            " another row, an administrator deletes this one; otherwise an administrator enters Stripe's id.",
            ids_of(dispute_row=dispute.id, payment=dispute.payment, invoice=ledger.invoice.id),
        )
        for dispute in ledger.payment_disputes
        if not dispute.stripe_dispute and dispute.payment in succeeded and dispute.status not in _HARMLESS
    ]
