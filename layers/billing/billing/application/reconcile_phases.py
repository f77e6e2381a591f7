"""What a run of reconciliation looks at, phase by phase, page by page.

A page is a few hundred records at most: they are read, compared and forgotten. Its `cursor` is enough to go on behind
it, in this invocation or in another one. What a scope remembers besides saves questions; nothing is wrong without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING

from billing.application.reconcile_comparisons import (
    Comparisons,
    ReversalQuestions,
    Scope,
    readable,
    stripe_names,
)
from billing.core.booking import is_ours
from billing.core.ledger import Ledger
from billing.core.reconcile_invoices import compare_invoice
from billing.core.reconcile_leftovers import (
    compare_event,
    compare_notice,
    compare_queue,
    compare_redriven,
    compare_undelivered,
    is_worth_applying,
)
from billing.core.reconcile_payments import (
    RECEIPTS,
    is_flagged,
    report_of_another_deployment,
    report_unapplied,
    report_unknown_payment,
)
from billing.core.reconcile_reversals import report_unknown_reversal
from billing.core.reconciliation import Difference
from billing.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from billing.adapters.reconcile_ports import DeadLetters, StripeRecords
    from billing.adapters.reconcile_rows import ReconcileRows
    from billing.core.stripe_objects import (
        CheckoutSession,
        UndeliveredEvent,
    )

#: Records in a page; and where Stripe is asked about each of them, which takes seconds for ten.
PAGE = 200
ONE_BY_ONE = 50
#: What was noted on a payment is said for so long after it was made or changed; then everybody has heard.
FLAGGED_FOR = timedelta(days=3)
#: Stripe keeps events for 30 days.
_EVENTS_KEPT = timedelta(days=30)
#: Messages that one run sends back from a dead-letter queue.
_REDRIVEN_AT_MOST = 1000


@dataclass(frozen=True)
class Page:
    """What was found in a page. `repaired`: what was put right on the way, and how."""

    cursor: str
    differences: Sequence[Difference] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    repaired: Sequence[tuple[Difference, str]] = ()


class Phases:
    """The phases of a run, in their order."""

    def __init__(
        self, rows: ReconcileRows, stripe: StripeRecords, dead_letters: DeadLetters, deployment: str
    ) -> None:
        """`deployment` is our name in Stripe's metadata; what is another's is none of our business."""
        self._rows = rows
        self._stripe = stripe
        self._dead_letters = dead_letters
        self._deployment = deployment
        refunds = ReversalQuestions(
            "refund", "refunds", stripe.refunds_created_since, stripe.retrieve_refund,
            rows.refund_keys, rows.refunds, rows.refunds_named,
        )  # fmt: skip
        disputes = ReversalQuestions(
            "dispute", "disputes", stripe.disputes_created_since, stripe.retrieve_dispute,
            rows.dispute_keys, rows.disputes, rows.disputes_named,
        )  # fmt: skip
        self._compare = Comparisons(rows, stripe, deployment, {"refund": refunds, "dispute": disputes})
        #: A phase takes the scope and the last record it has seen, and gives its pages behind that.
        self.by_name: Mapping[str, Callable[[Scope, str | None], Iterator[Page]]] = {
            "sessions": self._sessions,
            "refunds": lambda scope, after: self._listed_reversals(refunds, scope, after),
            "refund_rows": lambda scope, after: self._reversal_rows(refunds, scope, after),
            "disputes": lambda scope, after: self._listed_reversals(disputes, scope, after),
            "dispute_rows": lambda scope, after: self._reversal_rows(disputes, scope, after),
            "balance_transactions": self._balance_transactions,
            "open_attempts": self._attempts,
            "transactions": self._transactions,
            "invoices": self._invoices,
            "unapplied_payments": self._unapplied,
            "unfinished_events": self._events,
            "undelivered_events": self._undelivered,
            "unsettled_notices": self._notices,
            "dead_letter_queues": self._queues,
        }

    # ---- Stripe's lists against the rows ----------------------------------------------------------------

    def _sessions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Sessions are read before payments: what is booked meanwhile is not reported as missing."""
        listed = self._stripe.sessions_created_since(scope.since, after=after)
        for some in batched(listed, PAGE, strict=False):
            ours = [session for session in some if self._compare.is_ours(session)]
            differences = self._compare.sessions(ours, scope)
            for session in ours:
                scope.explained |= stripe_names(session)
            yield Page(some[-1].id, differences, {"sessions": len(ours)})

    def _listed_reversals(self, of: ReversalQuestions, scope: Scope, after: str | None) -> Iterator[Page]:
        for some in batched(of.created_since(scope.since, after=after), PAGE, strict=False):
            scope.reversals |= {found.id for found in some}
            found = [one for one in some if one.payment_intent is not None]
            stored, unreadable = readable(of.named([one.id for one in found]))
            differences = self._compare.reversals(found, stored, scope)
            yield Page(some[-1].id, [*unreadable, *differences], {of.checked: len(found)})

    def _balance_transactions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """What moved the balance: a second list of everything, made by another part of Stripe."""
        listed = self._stripe.balance_transactions_since(scope.since, after=after)
        for some in batched(listed, PAGE, strict=False):
            receipts = [
                movement
                for movement in some
                if movement.type in RECEIPTS and is_ours(movement.metadata, self._deployment)
            ]
            booked, hidden = self._compare.booked(movement.payment_intent for movement in some)
            differences = [
                difference
                for movement in receipts
                if movement.payment_intent not in hidden
                for difference in self._compare.receipt(movement, booked, scope)
            ]
            differences += self._compare.missing_reversals(some, booked, scope)
            yield Page(some[-1].id, differences, {"balance_transactions": len(some)})

    def _undelivered(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Always as far back as Stripe goes: what was applied meanwhile has a row.

        Stripe lists only so many types at once, so the list as a whole has no place to go on behind: what was seen
        before is read again and passed over.
        """
        since = min(scope.since, scope.now - _EVENTS_KEPT)
        for some in batched(_passed(self._stripe.undelivered_events_since(since), after), PAGE, strict=False):
            worth = [event for event in some if is_worth_applying(event, self._deployment)]
            known = self._rows.known_events([event.id for event in worth]) if worth else set()
            differences = [
                difference
                for event in worth
                if event.id not in known
                for difference in compare_undelivered(event)
            ]
            yield Page(some[-1].id, differences, {"undelivered_events": len(some)})

    # ---- the rows against Stripe ------------------------------------------------------------------------

    def _reversal_rows(self, of: ReversalQuestions, scope: Scope, after: str | None) -> Iterator[Page]:
        """Rows that can still change, however old, and young ones that Stripe has not listed: asked one by one."""
        for keys in _behind(of.keys(scope.since), after, ONE_BY_ONE):
            stored, differences = readable(of.rows(keys))
            found = []
            for row in stored:
                if not row.stripe_id or row.stripe_id in scope.reversals:
                    continue  # without an id it is named with its invoice
                one = of.retrieve(row.stripe_id)
                if one is None:
                    differences.append(report_unknown_reversal(of.kind, row))
                else:
                    found.append(one)
            differences += self._compare.reversals(found, stored, scope)
            yield Page(keys[-1], differences, {of.checked: len(found)})

    def _attempts(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Open attempts and debits on their way, however old: what tells of a bank's answer after all else was lost."""
        for keys in _behind(self._rows.attempt_keys(), after, ONE_BY_ONE):
            attempts, differences = readable(self._rows.attempts(keys))
            invoices = sorted({a.payment.invoice for a in attempts if a.payment.invoice is not None})
            ledgers = {
                ledger.invoice.id: ledger
                for ledger in self._rows.ledgers(invoices)
                if isinstance(ledger, Ledger)
            }
            for attempt in attempts:
                differences += self._compare.attempt(attempt, ledgers, scope)
            yield Page(keys[-1], differences, {"open_attempts": len(attempts)})

    def _transactions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Payments that are young, or were changed lately, and that no listed session explains."""
        lately = scope.now - FLAGGED_FOR
        fresh = set(self._rows.transaction_keys(lately)) if scope.since < lately else None
        for keys in _behind(self._rows.transaction_keys(scope.since), after, ONE_BY_ONE):
            payments, differences = readable(self._rows.payments(keys))
            flagged = [payment for payment in payments if is_flagged(payment)]
            differences += self._compare.flagged([p for p in flagged if fresh is None or p.id in fresh])
            sessions: dict[str, CheckoutSession] = {}
            for payment in payments:
                if (payment.transaction_id or payment.checkout_session) in scope.explained:
                    continue
                session = self._compare.session_to_compare(payment)
                if session is None:
                    differences += report_unknown_payment(payment)
                elif self._compare.is_ours(session):
                    sessions[session.id] = session
                else:
                    differences += report_of_another_deployment(payment, session)
            # By all their names: the attempt of money that went to a row of its own keeps its session.
            differences += self._compare.sessions(list(sessions.values()), scope)
            yield Page(keys[-1], differences, {"payments": len(payments)})

    # ---- the rows by themselves -------------------------------------------------------------------------

    def _invoices(self, scope: Scope, after: str | None) -> Iterator[Page]:
        for keys in _behind(self._rows.invoice_keys(), after, PAGE):
            ledgers, differences = readable(self._rows.ledgers(keys))
            documents = self._rows.documents(keys)
            for ledger in ledgers:
                printed = [row for row in documents if row.invoice == ledger.invoice.id]
                differences += compare_invoice(ledger, printed, scope.now, named=scope.named)
            yield Page(keys[-1], differences, {"invoices": len(keys)})

    def _unapplied(self, scope: Scope, after: str | None) -> Iterator[Page]:  # noqa: ARG002  # as every phase
        for keys in _behind(self._rows.unapplied_keys(), after, PAGE):
            payments, differences = readable(self._rows.payments(keys))
            differences += map(report_unapplied, payments)
            yield Page(keys[-1], differences, {"unapplied_payments": len(payments)})

    def _events(self, scope: Scope, after: str | None) -> Iterator[Page]:
        for keys in _behind(self._rows.event_keys(), after, PAGE):
            events = self._rows.events(keys)
            differences = [found for event in events for found in compare_event(event, scope.now)]
            yield Page(keys[-1], differences, {"unfinished_events": len(events)})

    def _notices(self, scope: Scope, after: str | None) -> Iterator[Page]:
        for keys in _behind(self._rows.notice_keys(), after, PAGE):
            notices = self._rows.notices(keys)
            differences = [found for notice in notices for found in compare_notice(notice, scope.now)]
            yield Page(keys[-1], differences, {"unsettled_notices": len(notices)})

    def _queues(self, scope: Scope, after: str | None) -> Iterator[Page]:
        depths = self._dead_letters.depths()
        for (name,) in _behind(sorted(depths), after, 1):
            checked = {"dead_letter_queues": 1}
            found = compare_queue(name, depths[name])
            if not found or scope.dry_run:
                yield Page(name, found, checked)
                continue
            try:
                redriven = self._dead_letters.redrive(name, at_most=_REDRIVEN_AT_MOST)
            except BillingError as error:
                text = f"{found[0].detail} They could not be sent back: {error.detail}"
                yield Page(name, [Difference(found[0].kind, text, found[0].ids)], checked)
                continue
            back, left = compare_redriven(name, redriven)
            yield Page(
                name,
                [left] if left is not None else [],
                checked,
                [(back, "redrive")] if back is not None else [],
            )


def _behind(keys: Iterable[str], after: str | None, size: int) -> Iterator[tuple[str, ...]]:
    """The sorted keys behind the last one seen, `size` at a time."""
    return batched((key for key in keys if after is None or key > after), size, strict=False)


def _passed(events: Iterable[UndeliveredEvent], after: str | None) -> Iterator[UndeliveredEvent]:
    """The events behind the last one seen; all of them if that is not there any more (applying twice is harmless)."""
    if after is None:
        yield from events
        return
    before: list[UndeliveredEvent] = []
    remaining = iter(events)
    for event in remaining:
        if event.id == after:
            yield from remaining
            return
        before.append(event)
    yield from before
