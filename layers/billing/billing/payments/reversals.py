"""What Stripe's refunds and disputes of one payment mean for the rows below that payment.

Stripe is looked at as it is now, the rows as they are now; the same refunds and disputes always give the same rows,
so that several events about one refund, their order and their repetition cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from billing.ledger.ledger import PaymentDispute, Refund
from billing.money import Money

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from billing.ledger.ledger import Payment
    from billing.stripe.objects import Reversals, StripeDispute, StripeRefund


#: The states of a refund and of a dispute that our columns know. Another one is never guessed at.
REFUND_STATUSES = frozenset({"pending", "requires_action", "succeeded", "failed", "canceled"})
DISPUTE_STATUSES = frozenset(
    {
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "prevented",
        "won",
        "lost",
        "appeal_needs_response",
        "appeal_under_review",
    }
)
#: What can still change at Stripe; reconciliation asks again about these.
UNSETTLED_REFUNDS = frozenset({"pending", "requires_action"})
UNSETTLED_DISPUTES = DISPUTE_STATUSES - {"won", "lost", "prevented", "warning_closed"}


@dataclass(frozen=True)
class BookedReversals:
    """The refunds and disputes below one payment, or all of an invoice's."""

    refunds: Sequence[Refund] = ()
    disputes: Sequence[PaymentDispute] = ()

    def of(self, payment: str) -> BookedReversals:
        """Those of one payment."""
        return BookedReversals(
            [refund for refund in self.refunds if refund.payment == payment],
            [dispute for dispute in self.disputes if dispute.payment == payment],
        )

    def stripe_ids(self) -> set[str | None]:
        """Stripe's names of them; None for what the firm entered itself."""
        return {row.stripe_refund for row in self.refunds} | {row.stripe_dispute for row in self.disputes}


def book_reversals(
    payment: Payment,
    reversals: Reversals,
    known: BookedReversals,
    now: datetime,
    *,
    taken: Collection[str] = (),
) -> tuple[BookedReversals, Sequence[str]]:
    """All that `payment` must have below it so that it says what Stripe says, and what a person should look at.

    `known` are the rows that Directus has; only those of this payment are looked at. Rows that Stripe does not have
    stay as they are: reconciliation names them. `now` is when a dispute that is over is first seen so. `taken` are
    Stripe's ids that Directus has in rows which are not among the known: they are not booked a second time. What cannot
    be booked as it is (another currency, an unknown state) is left out and named in a sentence.
    """
    flags: list[str] = []
    mine = known.of(payment.id)
    refunds = {row.stripe_refund or row.id: row for row in mine.refunds}
    for refund in reversals.refunds:
        row = refunds.get(refund.id)
        if flag := _unbookable(
            "refund", refund, payment, REFUND_STATUSES, is_taken=row is None and refund.id in taken
        ):
            flags.append(flag)
        elif row is not None:
            refunds[refund.id] = replace(row, status=refund.status)
        else:
            refunds[refund.id] = Refund(
                payment=payment.id,
                amount=Money(refund.amount, refund.currency),
                status=refund.status,
                stripe_refund=refund.id,
                reason=refund.reason,
                refunded_at=refund.created,
            )
    disputes = {row.stripe_dispute or row.id: row for row in mine.disputes}
    for dispute in reversals.disputes:
        shown = disputes.get(dispute.id)
        is_taken = shown is None and dispute.id in taken
        if flag := _unbookable("dispute", dispute, payment, DISPUTE_STATUSES, is_taken=is_taken):
            flags.append(flag)
        else:
            disputes[dispute.id] = _disputed(payment, dispute, shown, now)
    return BookedReversals(list(refunds.values()), list(disputes.values())), flags


def _disputed(
    payment: Payment, dispute: StripeDispute, row: PaymentDispute | None, now: datetime
) -> PaymentDispute:
    """The dispute's row; unlike a refund's, its amount may change while it is open."""
    if row is not None and row.status == dispute.status:
        closed_at = row.closed_at  # it ended when its state changed, not when its amount or date did
    else:
        closed_at = None if dispute.status in UNSETTLED_DISPUTES else now
    return PaymentDispute(
        payment=payment.id,
        amount=Money(dispute.amount, dispute.currency),
        status=dispute.status,
        id=row.id if row is not None else "",
        stripe_dispute=dispute.id,
        evidence_due_by=dispute.evidence_due_by,
        reason=dispute.reason,
        closed_at=closed_at,
    )


def _unbookable(
    kind: str,
    found: StripeRefund | StripeDispute,
    payment: Payment,
    statuses: frozenset[str],
    *,
    is_taken: bool,
) -> str | None:
    """Why a refund or dispute cannot be booked below its payment, in one sentence; None if it can."""
    if found.currency != payment.amount.currency:
        return (
            f"Stripe's {kind} {found.id} is in {found.currency}, its payment in {payment.amount.currency}:"
            " it is not booked; look at it in Stripe's dashboard."
        )
    if found.status not in statuses:
        return f"Stripe's {kind} {found.id} is {found.status}, which is not known here: it is not booked."
    if is_taken:
        return (
            f"Stripe's {kind} {found.id} has a row below another payment, or one that cannot be read:"
            " it is not booked again; look at that row."
        )
    return None
