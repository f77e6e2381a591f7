"""What a run of reconciliation looks at, phase by phase, page by page.

A page is a few hundred records at most: they are read, compared and forgotten. Its `cursor` is enough to go on behind
it, in this invocation or in another one. What a scope remembers besides saves questions; nothing is wrong without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING

from billing.core.booking import is_ours
from billing.core.ledger import Ledger, PaymentStatus
from billing.core.reconcile_invoices import compare_invoice
from billing.core.reconcile_leftovers import (
    compare_event,
    compare_notice,
    compare_queue,
    compare_redriven,
    compare_undelivered,
    is_worth_applying,
    report_unreadable,
)
from billing.core.reconcile_payments import (
    RECEIPTS,
    PaymentIndex,
    compare_attempt,
    compare_receipt,
    compare_session,
    report_unapplied,
    report_unknown_payment,
    report_unknown_session,
    sync,
)
from billing.core.reconcile_reversals import compare_reversal, report_unknown_reversal
from billing.core.reconciliation import Difference, UnreadableRow
from billing.errors import BillingError, StripeRejected

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from billing.adapters.reconcile_ports import DeadLetters, StripeRecords
    from billing.adapters.reconcile_rows import ReconcileRows
    from billing.core.ledger import Payment
    from billing.core.reconciliation import OpenAttempt, ReversalRow
    from billing.core.stripe_objects import (
        BalanceTransaction,
        CheckoutSession,
        StripeDispute,
        StripeRefund,
        UndeliveredEvent,
    )

#: Records in a page; and where Stripe is asked about each of them, which takes seconds for ten.
PAGE = 200
ONE_BY_ONE = 50
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


@dataclass
class Scope:
    """One invocation: `since` is how far back Stripe's lists are read, `now` when it began."""

    since: dt.datetime
    now: dt.datetime
    dry_run: bool = False
    #: Sessions of ours that were listed, and their payment intents.
    explained: set[str] = field(default_factory=set)
    #: Payment intents of other applications.
    foreign: set[str] = field(default_factory=set)
    #: Refunds and disputes that were compared already, by Stripe's id.
    reversals: set[str] = field(default_factory=set)
    #: Attempts that get their session stored.
    completing: set[str] = field(default_factory=set)
    #: Payments without a transaction whose session tells what is wrong with them.
    named: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Reversals:
    """The same questions about refunds and about disputes."""

    kind: str
    checked: str
    created_since: Callable[..., Iterable[StripeRefund | StripeDispute]]
    retrieve: Callable[[str], StripeRefund | StripeDispute | None]
    keys: Callable[[dt.datetime], list[str]]
    rows: Callable[[Sequence[str]], list[ReversalRow | UnreadableRow]]
    named: Callable[[Sequence[str]], list[ReversalRow | UnreadableRow]]


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
        refunds = _Reversals(
            "refund", "refunds", stripe.refunds_created_since, stripe.retrieve_refund,
            rows.refund_keys, rows.refunds, rows.refunds_named,
        )  # fmt: skip
        disputes = _Reversals(
            "dispute", "disputes", stripe.disputes_created_since, stripe.retrieve_dispute,
            rows.dispute_keys, rows.disputes, rows.disputes_named,
        )  # fmt: skip
        self._reversals = {"refund": refunds, "dispute": disputes}
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
            ours = [session for session in some if self._is_ours(session)]
            differences = self._compare_sessions(ours, scope)
            for session in ours:
                scope.explained |= _stripe_names(session)
            yield Page(some[-1].id, differences, {"sessions": len(ours)})

    def _listed_reversals(self, of: _Reversals, scope: Scope, after: str | None) -> Iterator[Page]:
        for some in batched(of.created_since(scope.since, after=after), PAGE, strict=False):
            scope.reversals |= {found.id for found in some}
            found = [one for one in some if one.payment_intent is not None]
            stored, unreadable = _readable(of.named([one.id for one in found]))
            differences = self._compare_reversals(found, stored, scope)
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
            booked, hidden = self._booked(movement.payment_intent for movement in some)
            differences = [
                difference
                for movement in receipts
                if movement.payment_intent not in hidden
                for difference in self._compare_receipt(movement, booked)
            ]
            differences += self._missing_reversals(some, booked, scope)
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

    def _reversal_rows(self, of: _Reversals, scope: Scope, after: str | None) -> Iterator[Page]:
        """Rows that can still change, however old, and young ones that Stripe has not listed: asked one by one."""
        for keys in _behind(of.keys(scope.since), after, ONE_BY_ONE):
            stored, differences = _readable(of.rows(keys))
            found = []
            for row in stored:
                if row.stripe_id in scope.reversals:
                    continue
                one = of.retrieve(row.stripe_id)
                if one is None:
                    differences.append(report_unknown_reversal(of.kind, row))
                else:
                    found.append(one)
            differences += self._compare_reversals(found, stored, scope)
            yield Page(keys[-1], differences, {of.checked: len(found)})

    def _attempts(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Open attempts and debits on their way, however old: what tells of a bank's answer after all else was lost."""
        for keys in _behind(self._rows.attempt_keys(), after, ONE_BY_ONE):
            attempts, differences = _readable(self._rows.attempts(keys))
            invoices = sorted({a.payment.invoice for a in attempts if a.payment.invoice is not None})
            ledgers = {
                ledger.invoice.id: ledger
                for ledger in self._rows.ledgers(invoices)
                if isinstance(ledger, Ledger)
            }
            for attempt in attempts:
                differences += self._compare_attempt(attempt, ledgers, scope)
            yield Page(keys[-1], differences, {"open_attempts": len(attempts)})

    def _transactions(self, scope: Scope, after: str | None) -> Iterator[Page]:
        """Payments that are young, or were changed lately, and that no listed session explains."""
        for keys in _behind(self._rows.transaction_keys(scope.since), after, ONE_BY_ONE):
            payments, differences = _readable(self._rows.payments(keys))
            sessions: dict[str, CheckoutSession] = {}
            for payment in payments:
                if (payment.transaction_id or payment.checkout_session) in scope.explained:
                    continue
                session = self._session_to_compare(payment)
                if session is None:
                    differences += report_unknown_payment(payment)
                elif self._is_ours(session):
                    sessions[session.id] = session
            # By all their names: the attempt of money that went to a row of its own keeps its session.
            differences += self._compare_sessions(list(sessions.values()), scope)
            yield Page(keys[-1], differences, {"payments": len(payments)})

    # ---- the rows by themselves -------------------------------------------------------------------------

    def _invoices(self, scope: Scope, after: str | None) -> Iterator[Page]:
        for keys in _behind(self._rows.invoice_keys(), after, PAGE):
            ledgers, differences = _readable(self._rows.ledgers(keys))
            documents = self._rows.documents(keys)
            for ledger in ledgers:
                printed = [row for row in documents if row.invoice == ledger.invoice.id]
                differences += compare_invoice(ledger, printed, scope.now, named=scope.named)
            yield Page(keys[-1], differences, {"invoices": len(keys)})

    def _unapplied(self, scope: Scope, after: str | None) -> Iterator[Page]:  # noqa: ARG002  # as every phase
        for keys in _behind(self._rows.unapplied_keys(), after, PAGE):
            payments, differences = _readable(self._rows.payments(keys))
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

    # ---- comparing --------------------------------------------------------------------------------------

    def _compare_sessions(self, sessions: Sequence[CheckoutSession], scope: Scope) -> list[Difference]:
        if not sessions:
            return []
        found = self._rows.payments_of(sessions)
        payments, differences = _readable(found)
        hidden = _names(found)
        index = PaymentIndex(payments)
        lonely = {
            session.invoice
            for session in sessions
            if session.payment_status == "unpaid" and not session.is_open and session.invoice is not None
        }
        currencies = self._rows.currencies(lonely) if lonely else {}
        for session in sessions:
            if hidden & _names_of(session):
                continue  # its row is there, and is reported as unreadable
            row = index.of(session)
            compared = compare_session(session, row, invoice_currency=currencies.get(session.invoice or ""))
            if row is not None and any(one.kind == "session_not_stored" for one in compared):
                scope.completing.add(row.id)
            if row is not None and row.transaction_id is None and compared:
                scope.named.add(row.id)
            differences += compared
        return differences

    def _compare_attempt(
        self, attempt: OpenAttempt, ledgers: Mapping[str, Ledger], scope: Scope
    ) -> list[Difference]:
        payment = attempt.payment
        ledger = ledgers.get(payment.invoice or "")
        if payment.checkout_session is None and payment.transaction_id is None:
            if payment.id in scope.completing:
                return []
            return compare_attempt(attempt, None, ledger, scope.now)
        session = self._session_behind(payment)
        if session is None:
            return [report_unknown_session(payment)]
        if not self._is_ours(session):
            return []
        differences = self._compare_sessions([session], scope)
        return differences or compare_attempt(attempt, session, ledger, scope.now)

    def _compare_receipt(
        self, movement: BalanceTransaction, booked: Mapping[str, Payment]
    ) -> list[Difference]:
        intent = movement.payment_intent
        row = booked.get(intent) if intent is not None else None
        missing = row is None or row.status is not PaymentStatus.SUCCEEDED
        without_fee = row is not None and row.fee is None
        session = self._session_of(intent) if intent is not None and (missing or without_fee) else None
        if session is not None and not self._is_ours(session):
            session = None
        if session is not None and missing:
            payments, _ = _readable(self._rows.payments_of([session]))
            row = PaymentIndex(payments).of(session)
        return compare_receipt(movement, row, session)

    def _missing_reversals(
        self, movements: Iterable[BalanceTransaction], booked: Mapping[str, Payment], scope: Scope
    ) -> list[Difference]:
        """What went back on a payment of ours and was not compared with its row yet."""
        differences: list[Difference] = []
        back: dict[str, list[str]] = {"refund": [], "dispute": []}
        for movement in movements:
            kind = _kind_of(movement.source)
            known = movement.payment_intent is not None and movement.payment_intent in booked
            if kind is not None and known and movement.source not in scope.reversals:
                back[kind].append(str(movement.source))
        for kind, sources in back.items():
            if not sources:
                continue
            of = self._reversals[kind]
            stored, unreadable = _readable(of.named(sources))
            missing = sorted(set(sources) - {row.stripe_id for row in stored})
            found = [one for one in map(of.retrieve, missing) if one is not None]
            differences += [*unreadable, *self._compare_reversals(found, stored, scope)]
        return differences

    def _compare_reversals(
        self,
        found: Sequence[StripeRefund | StripeDispute],
        stored: Iterable[ReversalRow],
        scope: Scope,
    ) -> list[Difference]:
        rows = {row.stripe_id: row for row in stored}
        booked, hidden = self._booked(one.payment_intent for one in found)
        differences: list[Difference] = []
        for one in found:
            intent = one.payment_intent
            if intent is None or intent in hidden:
                continue
            payment = booked.get(intent)
            if payment is None or payment.status is not PaymentStatus.SUCCEEDED:
                differences += self._compare_unbooked(intent, scope)
                continue
            row = rows.get(one.id)
            if not compare_reversal(one, row, payment, None):
                continue
            # The row's own word for its session may be wrong: the repair asks for the one that Stripe names.
            session = self._session_of(intent)
            repair = sync(session, payment) if session is not None else None
            differences += compare_reversal(one, row, payment, repair)
        return differences

    def _compare_unbooked(self, intent: str, scope: Scope) -> list[Difference]:
        """The payment behind a refund or dispute that Directus does not have as succeeded."""
        if intent in scope.foreign:
            return []
        session = self._session_of(intent)
        if session is None or not self._is_ours(session):
            scope.foreign.add(intent)
            return []
        return self._compare_sessions([session], scope)

    # ---- asking -----------------------------------------------------------------------------------------

    def _is_ours(self, session: CheckoutSession) -> bool:
        return is_ours(session.metadata, self._deployment)

    def _booked(self, intents: Iterable[str | None]) -> tuple[dict[str, Payment], frozenset[str]]:
        """Payments by their payment intent, and the names of those that cannot be read."""
        wanted = sorted({intent for intent in intents if intent is not None})
        found = self._rows.payments_of_intents(wanted) if wanted else []
        payments, _ = _readable(found)
        return {p.transaction_id: p for p in payments if p.transaction_id is not None}, _names(found)

    def _session_to_compare(self, payment: Payment) -> CheckoutSession | None:
        """The session of the row's transaction; the row's own word for it may be wrong, and is taken last."""
        if payment.transaction_id is not None:
            return self._session_of(payment.transaction_id)
        return self._session_behind(payment)

    def _session_behind(self, payment: Payment) -> CheckoutSession | None:
        stored = payment.checkout_session
        if stored is None:
            return self._session_of(payment.transaction_id) if payment.transaction_id is not None else None
        return _unless_missing(lambda: self._stripe.retrieve_session(stored))

    def _session_of(self, intent: str) -> CheckoutSession | None:
        return _unless_missing(lambda: self._stripe.session_of_payment_intent(intent))


def _unless_missing(ask: Callable[[], CheckoutSession | None]) -> CheckoutSession | None:
    """What Stripe answers, None if it knows no such object."""
    try:
        return ask()
    except StripeRejected as error:
        if error.stripe_code != "resource_missing":
            raise
        return None


def _kind_of(source: str | None) -> str | None:
    """`refund` or `dispute`, by the beginning of Stripe's id; None for anything else."""
    prefix = (source or "").partition("_")[0]
    return {"re": "refund", "pyr": "refund", "du": "dispute", "dp": "dispute"}.get(prefix)


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


def _readable[Value](found: Iterable[Value | UnreadableRow]) -> tuple[list[Value], list[Difference]]:
    values: list[Value] = []
    unreadable: list[Difference] = []
    for one in found:
        if isinstance(one, UnreadableRow):
            unreadable.append(report_unreadable(one))
        else:
            values.append(one)
    return values, unreadable


def _names(found: Iterable[object]) -> frozenset[str]:
    """What the unreadable rows among them are known by."""
    hidden: set[str] = set()
    for row in found:
        if isinstance(row, UnreadableRow):
            hidden |= row.names
    return frozenset(hidden)


def _stripe_names(session: CheckoutSession) -> set[str]:
    return {session.id} | ({session.payment_intent.id} if session.payment_intent is not None else set())


def _names_of(session: CheckoutSession) -> set[str]:
    return _stripe_names(session) | ({session.attempt} if session.attempt is not None else set())
