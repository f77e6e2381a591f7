"""What Stripe's refunds and disputes of one payment mean for the rows below that payment.

Stripe is looked at as it is now, the rows as they are now; the same refunds and disputes always give the same rows,
so that several events about one refund, their order and their repetition cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from billing.ledger.ledger import Payment, PaymentDispute, Refund, amount_disputed_lost, amount_refunded
from billing.money import Money

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from billing.stripe.objects import Reversals, StripeDispute, StripeRefund


type _Row = Mapping[str, object]

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
class ReversalRows:
    """Rows of `refunds` and `payment_disputes` to write below one payment.

    `refunds` and `disputes` are all that the payment will have afterwards. `flags` say what a person should look at:
    what cannot be booked as it is (another currency, an unknown state) is left out of the rows and named there.
    """

    refunds: Sequence[Refund] = ()
    disputes: Sequence[PaymentDispute] = ()
    created_refunds: Sequence[_Row] = ()
    updated_refunds: Sequence[_Row] = ()
    created_disputes: Sequence[_Row] = ()
    updated_disputes: Sequence[_Row] = ()
    flags: Sequence[str] = field(default_factory=tuple)

    def columns(self, payment: Payment) -> dict[str, object]:
        """The columns of the payment's row that carry these: nested rows, and the two derived amounts.

        Nothing if nothing is to be written. Nested lists are always the three together: a plain array would detach
        every row that it does not name.
        """
        columns: dict[str, object] = {}
        if self.created_refunds or self.updated_refunds:
            columns["refunds"] = _nested(self.created_refunds, self.updated_refunds)
        if self.created_disputes or self.updated_disputes:
            columns["payment_disputes"] = _nested(self.created_disputes, self.updated_disputes)
        nothing = Money.zero(payment.amount.currency)
        for name, derived in (
            ("amount_refunded", amount_refunded(payment, self.refunds)),
            ("amount_disputed_lost", amount_disputed_lost(payment, self.disputes)),
        ):
            if derived != (getattr(payment, name) or nothing):
                columns[name] = derived.to_directus()
        return columns


def reversal_rows(
    payment: Payment,
    reversals: Reversals,
    known_refunds: Sequence[Refund],
    known_disputes: Sequence[PaymentDispute],
    now: datetime,
    *,
    taken: Collection[str] = (),
) -> ReversalRows:
    """What must be written below `payment` so that it says what Stripe says.

    `known_*` are the rows that Directus has; only those of this payment are looked at. Rows that Stripe does not have
    stay as they are: reconciliation names them. `now` is when a dispute that is over is first seen so. `taken` are
    Stripe's ids that Directus has in rows which are not among the known: they are not booked a second time.
    """
    refunds, created_refunds, updated_refunds, unfit_refunds = _refunds(
        payment, reversals, known_refunds, taken
    )
    disputes, created_disputes, updated_disputes, unfit_disputes = _disputes(
        payment, reversals, known_disputes, now, taken
    )
    return ReversalRows(
        refunds=refunds,
        disputes=disputes,
        created_refunds=created_refunds,
        updated_refunds=updated_refunds,
        created_disputes=created_disputes,
        updated_disputes=updated_disputes,
        flags=(*unfit_refunds, *unfit_disputes),
    )


def _refunds(
    payment: Payment, reversals: Reversals, known: Sequence[Refund], taken: Collection[str]
) -> tuple[list[Refund], list[_Row], list[_Row], list[str]]:
    """The refunds as they will be; rows to create and to update; what cannot be booked."""
    rows = {row.stripe_refund or row.id: row for row in known if row.payment == payment.id}
    created: list[_Row] = []
    updated: list[_Row] = []
    flags: list[str] = []
    for refund in reversals.refunds:
        row = rows.get(refund.id)
        if (unfit := _unfit("refund", refund, payment, REFUND_STATUSES)) is not None:
            flags.append(unfit)
        elif row is None and refund.id in taken:
            flags.append(_elsewhere("refund", refund))
        elif row is None:
            amount = Money(refund.amount, refund.currency)
            rows[refund.id] = Refund(payment.id, amount, refund.status, stripe_refund=refund.id)
            created.append(
                {
                    "stripe_refund": refund.id,
                    "amount": amount.to_directus(),
                    "currency": refund.currency,
                    "status": refund.status,
                    "reason": refund.reason,
                    "refunded_at": refund.created.isoformat(),
                }
            )
        elif row.status != refund.status:
            rows[refund.id] = replace(row, status=refund.status)
            updated.append({"id": row.id, "status": refund.status})
    return list(rows.values()), created, updated, flags


def _disputes(
    payment: Payment,
    reversals: Reversals,
    known: Sequence[PaymentDispute],
    now: datetime,
    taken: Collection[str],
) -> tuple[list[PaymentDispute], list[_Row], list[_Row], list[str]]:
    """As `_refunds`; but the amount of a dispute may change while it is open."""
    rows = {row.stripe_dispute or row.id: row for row in known if row.payment == payment.id}
    created: list[_Row] = []
    updated: list[_Row] = []
    flags: list[str] = []
    for dispute in reversals.disputes:
        row = rows.get(dispute.id)
        if (unfit := _unfit("dispute", dispute, payment, DISPUTE_STATUSES)) is not None:
            flags.append(unfit)
            continue
        if row is None and dispute.id in taken:
            flags.append(_elsewhere("dispute", dispute))
            continue
        amount = Money(dispute.amount, dispute.currency)
        due = dispute.evidence_due_by
        shown = (row.status, row.amount, row.evidence_due_by) if row is not None else None
        if shown == (dispute.status, amount, due):
            continue
        rows[dispute.id] = PaymentDispute(
            payment.id, amount, dispute.status, row.id if row else "", dispute.id, due
        )
        columns: dict[str, object] = {
            "amount": amount.to_directus(),
            "status": dispute.status,
            "reason": dispute.reason,
            "evidence_due_by": due.isoformat() if due is not None else None,
            "closed_at": None if dispute.status in UNSETTLED_DISPUTES else now.isoformat(),
        }
        if row is not None and row.status == dispute.status:
            del columns["closed_at"]  # it ended when its state changed, not when its amount or date did
        if row is None:
            created.append({"stripe_dispute": dispute.id, "currency": dispute.currency, **columns})
        else:
            updated.append({"id": row.id, **columns})
    return list(rows.values()), created, updated, flags


def _unfit(
    kind: str, found: StripeRefund | StripeDispute, payment: Payment, statuses: frozenset[str]
) -> str | None:
    """Why a refund or dispute cannot be booked below its payment, in one sentence; None if it can."""
    if found.currency != payment.amount.currency:
        return (
            f"Stripe's {kind} {found.id} is in {found.currency}, its payment in {payment.amount.currency}:"
            " it is not booked; look at it in Stripe's dashboard."
        )
    if found.status not in statuses:
        return f"Stripe's {kind} {found.id} is {found.status}, which is not known here: it is not booked."
    return None


def _elsewhere(kind: str, found: StripeRefund | StripeDispute) -> str:
    return (
        f"Stripe's {kind} {found.id} has a row below another payment, or one that cannot be read:"
        " it is not booked again; look at that row."
    )


def _nested(created: Sequence[_Row], updated: Sequence[_Row]) -> dict[str, list[_Row]]:
    return {"create": list(created), "update": list(updated), "delete": []}
