"""What a run of reconciliation looks at, phase by phase, page by page.

A page is a few hundred records at most: they are read, compared and forgotten. Its `cursor` is enough to go on behind
it, in this invocation or in another one. What a scope remembers besides saves questions; nothing is wrong without it.
Where Stripe is asked about single records, the clock is looked at after each: a page ends where time is short.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Protocol

from billing.ledger.ledger import Ledger
from billing.payments.booking import is_ours
from billing.reconcile.comparisons import Comparisons, ReversalQuestions, readable, stripe_names
from billing.reconcile.differences import Difference
from billing.reconcile.invoices import compare_invoice
from billing.reconcile.leftovers import (
    compare_event,
    compare_notice,
    compare_queue,
    compare_redriven,
    compare_undelivered,
    is_worth_applying,
)
from billing.reconcile.page import Care, Page, Scope, pieces, reason_of
from billing.reconcile.payments import (
    RECEIPTS,
    is_flagged,
    is_unapplied,
    report_of_another_deployment,
    report_unapplied,
    report_unknown_payment,
)
from billing.reconcile.receipts import compare_detached
from billing.reconcile.reversals import report_unknown_reversal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from billing.documents.versions import DocumentRow
    from billing.errors import UnreadableRow
    from billing.ledger.ledger import Payment
    from billing.ledger.receipts_due import Receipt
    from billing.reconcile.differences import OpenAttempt, ReversalRow
    from billing.reconcile.ports import DeadLetters, StripeRecords
    from billing.reconcile.store import ReconcileRows
    from billing.stripe.objects import BalanceTransaction, StripeDispute, StripeRefund, UndeliveredEvent


#: Records in a page; where Stripe is asked about each of them; and between two looks at the clock where it may be asked.
PAGE = 200
ONE_BY_ONE = 50
FEW = 10
#: What was noted on a payment is said for so long after it was made or changed; then everybody has heard.
FLAGGED_FOR = timedelta(days=3)
#: Stripe keeps events for 30 days.
_EVENTS_KEPT = timedelta(days=30)
#: Messages that one run sends back from a dead-letter queue.
_REDRIVEN_AT_MOST = 1000
_GOLDEN_RATIO = (5**0.5 - 1) / 2


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
        care = Care("sessions", scope.failed)
        listed = self._stripe.sessions_created_since(scope.since, after=after)
        for some in batched(listed, PAGE, strict=False):
            ours = [session for session in some if self._compare.is_ours(session)]
            differences = care.compare(ours, _id_of, lambda these: self._compare.sessions(these, scope))
            for session in ours:
                scope.explained |= stripe_names(session)
            yield Page(some[-1].id, differences, {"sessions": len(ours)})

    def _listed_reversals(self, of: ReversalQuestions, scope: Scope, after: str | None) -> Iterator[Page]:
        care = Care(of.checked, scope.failed)
        for some in batched(of.created_since(scope.since, after=after), PAGE, strict=False):
            stored, unreadable = readable(
                of.named([one.id for one in some if one.payment_intent is not None])
            )

            def compare(
                few: Sequence[StripeRefund | StripeDispute], stored: Sequence[ReversalRow] = tuple(stored)
            ) -> list[Difference]:
                found = [one for one in few if one.payment_intent is not None]
                differences = care.compare(
                    found, _id_of, lambda these: self._compare.reversals(these, stored, scope)
                )
                scope.reversals |= {one.id for one in few}  # not before: what failed is asked for row by row
                return differences

            for seen, differences in pieces(batched(some, FEW, strict=False), compare, scope.hurry):
                intents = [one.payment_intent for few in seen for one in few]
                yield Page(
                    seen[-1][-1].id,
                    [*unreadable, *differences],
                    {of.checked: sum(intent is not None for intent in intents)},
                )

    def _balance_transactions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """What moved the balance: a second list of everything, made by another part of Stripe."""
        care = Care("balance_transactions", scope.failed)
        listed = self._stripe.balance_transactions_since(scope.since, after=after)
        for some in batched(listed, PAGE, strict=False):
            booked, hidden = self._compare.booked(movement.payment_intent for movement in some)

            def compare(
                movement: BalanceTransaction,
                booked: Mapping[str, Payment] = booked,
                hidden: frozenset[str] = hidden,
            ) -> list[Difference]:
                return care.compare(
                    [movement], _id_of, lambda _: self._movement(movement, booked, hidden, scope)
                )

            for seen, differences in pieces(some, compare, scope.hurry):
                yield Page(seen[-1].id, differences, {"balance_transactions": len(seen)})

    def _movement(
        self,
        movement: BalanceTransaction,
        booked: Mapping[str, Payment],
        hidden: frozenset[str],
        scope: Scope,
    ) -> list[Difference]:
        differences = self._compare.missing_reversals([movement], booked, scope)
        received = movement.type in RECEIPTS and is_ours(movement.metadata, self._deployment)
        if received and movement.payment_intent not in hidden:
            differences += self._compare.receipt(movement, booked, scope)
        return differences

    def _undelivered(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Always as far back as Stripe goes: what was applied meanwhile has a row.

        Stripe lists only so many types at once, so the list as a whole has no place to go on behind: what was seen
        before is read again and passed over.
        """
        care = Care("undelivered_events", scope.failed)
        since = min(scope.since, scope.now - _EVENTS_KEPT)
        for some in batched(_passed(self._stripe.undelivered_events_since(since), after), PAGE, strict=False):
            worth = [event for event in some if is_worth_applying(event, self._deployment)]
            known = self._rows.known_events([event.id for event in worth]) if worth else set()
            fresh = [event for event in worth if event.id not in known]
            differences = care.compare(
                fresh,
                _id_of,
                lambda these: [found for event in these for found in compare_undelivered(event)],
            )
            yield Page(some[-1].id, differences, {"undelivered_events": len(some)})

    # ---- the rows against Stripe ------------------------------------------------------------------------

    def _reversal_rows(self, of: ReversalQuestions, scope: Scope, after: str | None) -> Iterator[Page]:
        """Rows that can still change, however old, and young ones that Stripe has not listed: asked one by one."""
        care = Care(f"{of.kind}_rows", scope.failed)
        for keys in _behind(of.keys(scope.since), after, ONE_BY_ONE, scope.first):
            rows = {row.id: row for row in of.rows(keys)}
            found: set[str] = set()  # at Stripe, by the rows' own ids

            def compare(
                key: str,
                rows: Mapping[str, ReversalRow | UnreadableRow] = rows,
                found: set[str] = found,
            ) -> list[Difference]:
                stored, unreadable = readable([rows[key]] if key in rows else [])
                return [
                    *unreadable,
                    *care.compare(stored, _id_of, lambda these: self._reversal_row(of, these, scope, found)),
                ]

            for seen, differences in pieces(keys, compare, scope.hurry):
                yield Page(seen[-1], differences, {of.checked: sum(key in found for key in seen)})

    def _reversal_row(
        self, of: ReversalQuestions, rows: Sequence[ReversalRow], scope: Scope, found: set[str]
    ) -> list[Difference]:
        differences: list[Difference] = []
        for row in rows:
            if not row.stripe_id or row.stripe_id in scope.reversals:
                continue  # without an id it is named with its invoice
            one = of.retrieve(row.stripe_id)
            if one is None:
                differences.append(report_unknown_reversal(of.kind, row))
            else:
                found.add(row.id)
                differences += self._compare.reversals([one], [row], scope)
        return differences

    def _attempts(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Open attempts and debits on their way, however old: what tells of a bank's answer after all else was lost."""
        care = Care("open_attempts", scope.failed)
        for keys in _behind(self._rows.attempt_keys(), after, ONE_BY_ONE, scope.first):
            attempts, unreadable = readable(self._rows.attempts(keys))
            by_key = {attempt.payment.id: attempt for attempt in attempts}
            invoices = sorted({a.payment.invoice for a in attempts if a.payment.invoice is not None})
            ledgers = {
                ledger.invoice.id: ledger
                for ledger in self._rows.ledgers(invoices)
                if isinstance(ledger, Ledger)
            }

            def compare(
                key: str,
                by_key: Mapping[str, OpenAttempt] = by_key,
                ledgers: Mapping[str, Ledger] = ledgers,
            ) -> list[Difference]:
                if key not in by_key:
                    return []
                return care.compare([key], str, lambda _: self._compare.attempt(by_key[key], ledgers, scope))

            for seen, differences in pieces(keys, compare, scope.hurry):
                checked = sum(key in by_key for key in seen)
                yield Page(seen[-1], [*unreadable, *differences], {"open_attempts": checked})

    def _transactions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Payments that are young, or were changed lately, and that no listed session explains."""
        care = Care("transactions", scope.failed)
        lately = scope.now - FLAGGED_FOR
        fresh = set(self._rows.transaction_keys(lately)) if scope.since < lately else None
        for keys in _behind(self._rows.transaction_keys(scope.since), after, PAGE, scope.first):
            payments, unreadable = readable(self._rows.payments(keys))
            by_key = {payment.id: payment for payment in payments}

            def compare(key: str, by_key: Mapping[str, Payment] = by_key) -> list[Difference]:
                if key not in by_key:
                    return []
                is_fresh = fresh is None or key in fresh
                return care.compare(
                    [key], str, lambda _: self._transaction(by_key[key], scope, is_fresh=is_fresh)
                )

            for seen, differences in pieces(keys, compare, scope.hurry):
                checked = sum(key in by_key for key in seen)
                yield Page(seen[-1], [*unreadable, *differences], {"payments": checked})

    def _transaction(self, payment: Payment, scope: Scope, *, is_fresh: bool) -> list[Difference]:
        differences = self._compare.flagged([payment]) if is_fresh and is_flagged(payment) else []
        if (payment.transaction_id or payment.checkout_session) in scope.explained:
            return differences
        session = self._compare.session_to_compare(payment)
        if session is None:
            return [*differences, *report_unknown_payment(payment)]
        if not self._compare.is_ours(session):
            return [*differences, *report_of_another_deployment(payment, session)]
        # By all its names: the attempt of money that went to a row of its own keeps its session.
        return [*differences, *self._compare.sessions([session], scope)]

    # ---- the rows by themselves -------------------------------------------------------------------------

    def _invoices(self, scope: Scope, after: str | None) -> Iterator[Page]:
        care = Care("invoices", scope.failed)
        for keys in _behind(self._rows.invoice_keys(), after, PAGE, scope.first):
            ledgers, unreadable = readable(self._rows.ledgers(keys))
            printed: defaultdict[str | None, list[DocumentRow]] = defaultdict(list)
            for row in self._rows.documents(keys):
                printed[row.invoice].append(row)

            def compare(
                these: Sequence[Ledger], printed: Mapping[str | None, list[DocumentRow]] = printed
            ) -> list[Difference]:
                return [
                    found
                    for ledger in these
                    for found in compare_invoice(
                        ledger, printed.get(ledger.invoice.id, []), scope.now, named=scope.named
                    )
                ]

            differences = care.compare(ledgers, lambda ledger: ledger.invoice.id, compare)
            yield Page(keys[-1], [*unreadable, *differences], {"invoices": len(keys)})

    def _unapplied(self, scope: Scope, after: str | None) -> Iterator[Page]:
        care = Care("unapplied_payments", scope.failed)
        for keys in _behind(self._rows.unapplied_keys(), after, PAGE, scope.first):
            payments, unreadable = readable(self._rows.payments(keys))
            shown = self._rows.shown_receipts(keys)
            differences = care.compare(payments, _id_of, partial(_compare_unapplied, shown=shown))
            number = sum(map(is_unapplied, payments))
            yield Page(keys[-1], [*unreadable, *differences], {"unapplied_payments": number})

    def _events(self, scope: Scope, after: str | None) -> Iterator[Page]:
        care = Care("unfinished_events", scope.failed)
        for keys in _behind(self._rows.event_keys(), after, PAGE, scope.first):
            events = self._rows.events(keys)
            differences = care.compare(
                events,
                _id_of,
                lambda these: [found for one in these for found in compare_event(one, scope.now)],
            )
            yield Page(keys[-1], differences, {"unfinished_events": len(events)})

    def _notices(self, scope: Scope, after: str | None) -> Iterator[Page]:
        care = Care("unsettled_notices", scope.failed)
        for keys in _behind(self._rows.notice_keys(), after, PAGE, scope.first):
            notices = self._rows.notices(keys)
            differences = care.compare(
                notices,
                _id_of,
                lambda these: [found for one in these for found in compare_notice(one, scope.now)],
            )
            yield Page(keys[-1], differences, {"unsettled_notices": len(notices)})

    def _queues(self, scope: Scope, after: str | None) -> Iterator[Page]:
        depths = self._dead_letters.depths()
        for (name,) in _behind(depths, after, 1):
            checked = {"dead_letter_queues": 1}
            found = compare_queue(name, depths[name])
            if not found or scope.dry_run:
                yield Page(name, found, checked)
                continue
            try:
                redriven = self._dead_letters.redrive(name, at_most=_REDRIVEN_AT_MOST)
            except Exception as error:  # noqa: BLE001  # the other queues have nothing to do with it
                said = reason_of(error, "Dead letters could not go back to their queue.", scope.failed)
                text = f"{found[0].detail} They could not go back to the queue: {said}"
                yield Page(name, [Difference(found[0].kind, text, found[0].ids)], checked)
                continue
            back, left = compare_redriven(name, redriven)
            yield Page(
                name,
                [left] if left is not None else [],
                checked,
                [(back, "redrive")] if back is not None else [],
            )


class _Named(Protocol):
    @property
    def id(self) -> str: ...


def _id_of(record: _Named) -> str:
    return record.id


def first_key(began: datetime) -> str:
    """Where a run that begins then begins to go through rows: if it does not come to the end, the next leaves out others.

    The golden ratio spreads the beginnings evenly, from hour to hour and from night to night.
    """
    share = int(began.timestamp() // 3600) * _GOLDEN_RATIO % 1
    return f"{int(share * 16**8):08x}"


def _behind(keys: Iterable[str], after: str | None, size: int, first: str = "") -> Iterator[tuple[str, ...]]:
    """The keys behind the last one seen, `size` at a time: in order from `first` on, then those before it."""

    def turn(key: str) -> tuple[bool, str]:
        return key < first, key

    behind = [key for key in keys if after is None or turn(key) > turn(after)]
    return batched(sorted(behind, key=turn), size, strict=False)


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


def _compare_unapplied(
    payments: Sequence[Payment], *, shown: Mapping[str, Sequence[Receipt]]
) -> list[Difference]:
    found: list[Difference] = []
    for payment in payments:
        found += [report_unapplied(payment)] if is_unapplied(payment) else []
        found += compare_detached(payment, shown.get(payment.id, ()))
    return found
