"""The records of a page against their other side: what must be read besides, and the differences.

What differs is decided in the pure files beside it; here is asked for what those decisions need, as little as they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.errors import StripeRejected, UnreadableRow
from billing.ledger.ledger import PaymentStatus
from billing.payments.booking import is_ours
from billing.reconcile.differences import Difference, once_tried
from billing.reconcile.leftovers import report_unreadable
from billing.reconcile.payments import (
    PaymentIndex,
    compare_attempt,
    compare_receipt,
    compare_session,
    invoices_concerned,
    is_surplus,
    moment_of,
    report_flagged,
    report_of_another_deployment,
    report_unknown_session,
    sync,
)
from billing.reconcile.reversals import compare_reversal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from billing.ledger.ledger import Ledger, Payment
    from billing.reconcile.differences import OpenAttempt, ReversalRow
    from billing.reconcile.page import Scope
    from billing.reconcile.ports import StripeRecords
    from billing.reconcile.store import ReconcileRows
    from billing.stripe.objects import BalanceTransaction, CheckoutSession, StripeDispute, StripeRefund


@dataclass(frozen=True)
class ReversalQuestions:
    """The same questions about refunds and about disputes."""

    kind: str
    checked: str
    created_since: Callable[..., Iterable[StripeRefund | StripeDispute]]
    retrieve: Callable[[str], StripeRefund | StripeDispute | None]
    keys: Callable[[dt.datetime], list[str]]
    rows: Callable[[Sequence[str]], list[ReversalRow | UnreadableRow]]
    named: Callable[[Sequence[str]], list[ReversalRow | UnreadableRow]]


class Comparisons:
    """What the phases compare, one kind of record at a time."""

    def __init__(
        self,
        rows: ReconcileRows,
        stripe: StripeRecords,
        deployment: str,
        reversals: Mapping[str, ReversalQuestions],
    ) -> None:
        """`deployment` is our name in Stripe's metadata; `reversals` are the questions about `refund` and `dispute`."""
        self._rows = rows
        self._stripe = stripe
        self._deployment = deployment
        self._reversals = reversals

    def sessions(self, sessions: Sequence[CheckoutSession], scope: Scope) -> list[Difference]:
        """Sessions of ours with their payment rows."""
        if not sessions:
            return []
        found = self._rows.payments_of(sessions)
        payments, differences = readable(found)
        hidden = _names(found)
        index = PaymentIndex(payments)
        concerned = set[str]().union(
            *(invoices_concerned(session, index.of(session)) for session in sessions)
        )
        invoices = self._rows.named_invoices(concerned) if concerned else {}
        for session in sessions:
            if hidden & _names_of(session):
                continue  # its row is there, and is reported as unreadable
            row = index.of(session)
            compared = compare_session(session, row, invoices, index.entered_by_hand(session))
            if row is not None and any(one.kind == "session_not_stored" for one in compared):
                scope.completing.add(row.id)
            if row is not None and row.transaction_id is None and compared:
                scope.named.add(row.id)
            scope.named |= {
                one.ids["payment"] for one in compared if one.kind == "payment_without_transaction"
            }
            differences += _once_tried(compared, moment_of(session), scope)
        return differences

    def attempt(self, attempt: OpenAttempt, ledgers: Mapping[str, Ledger], scope: Scope) -> list[Difference]:
        """An open attempt, or a debit on its way, with its session; `ledgers` are those of the attempts' invoices."""
        payment = attempt.payment
        ledger = ledgers.get(payment.invoice or "")
        if payment.checkout_session is None and payment.transaction_id is None:
            if payment.id in scope.completing:
                return []
            return compare_attempt(attempt, None, ledger, scope.now)
        session = self._session_behind(payment)
        if session is None:
            return [report_unknown_session(payment)]
        if not self.is_ours(session):
            return report_of_another_deployment(payment, session)
        differences = self.sessions([session], scope)
        return differences or compare_attempt(attempt, session, ledger, scope.now)

    def receipt(
        self, movement: BalanceTransaction, booked: Mapping[str, Payment], scope: Scope
    ) -> list[Difference]:
        """Money of ours that came onto Stripe's balance; `booked` are payments by their payment intent."""
        intent = movement.payment_intent
        row = booked.get(intent) if intent is not None else None
        missing = row is None or row.status is not PaymentStatus.SUCCEEDED
        if intent in scope.explained:
            # Its session was compared already, with its fee: it is not asked for again, and a repair is queued.
            return [] if missing else compare_receipt(movement, row, None)
        # The fee of an account that settles in another currency has no column: nobody asks for it, night after night.
        without_fee = row is not None and row.fee is None and row.amount.currency == movement.currency
        session = self._session_of(intent) if intent is not None and (missing or without_fee) else None
        if session is not None and not self.is_ours(session):
            session = None
        if session is None:
            return compare_receipt(movement, row, None)
        by_hand = None
        if missing:
            index = PaymentIndex(readable(self._rows.payments_of([session]))[0])
            row, by_hand = index.of(session), index.entered_by_hand(session)
        return _once_tried(compare_receipt(movement, row, session, by_hand), moment_of(session), scope)

    def missing_reversals(
        self, movements: Iterable[BalanceTransaction], booked: Mapping[str, Payment], scope: Scope
    ) -> list[Difference]:
        """What went back on a payment of ours, or came back to it, and was not compared with its row yet.

        A refund that fails and a dispute that is won after all move the balance once more, months later perhaps.
        """
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
            stored, unreadable = readable(of.named(sources))
            found = [one for one in map(of.retrieve, sorted(set(sources))) if one is not None]
            differences += [*unreadable, *self.reversals(found, stored, scope)]
            scope.reversals |= set(sources)
        return differences

    def reversals(
        self,
        found: Sequence[StripeRefund | StripeDispute],
        stored: Iterable[ReversalRow],
        scope: Scope,
    ) -> list[Difference]:
        """Refunds or disputes of Stripe's with those of the rows that have their ids."""
        rows = {row.stripe_id: row for row in stored}
        booked, hidden = self.booked(one.payment_intent for one in found)
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
            # The row's own word for its session may be wrong: the repair asks for the one that Stripe names. Only what
            # this deployment made will be booked.
            session = self._session_of(intent)
            repair = sync(session, payment) if session is not None and self.is_ours(session) else None
            compared = compare_reversal(one, row, payment, repair)
            differences += _once_tried(compared, one.created, scope) if row is None else compared
        return differences

    def flagged(self, payments: Sequence[Payment]) -> list[Difference]:
        """What the invoice writer flagged on these payments: money that was not asked for."""
        surplus = sorted({p.invoice for p in payments if p.invoice is not None and is_surplus(p)})
        ledgers = readable(self._rows.ledgers(surplus))[0] if surplus else []
        balances = {ledger.invoice.id: ledger.invoice.balance_due for ledger in ledgers}
        return [
            found
            for payment in payments
            for found in report_flagged(payment, balances.get(payment.invoice or ""))
        ]

    def _compare_unbooked(self, intent: str, scope: Scope) -> list[Difference]:
        """The payment behind a refund or dispute that Directus does not have as succeeded."""
        if intent in scope.foreign or intent in scope.explained:
            return []  # none of ours, or its session was compared already: a repair of that books this, too
        session = self._session_of(intent)
        if session is None or not self.is_ours(session):
            scope.foreign.add(intent)
            return []
        return self.sessions([session], scope)

    def is_ours(self, session: CheckoutSession) -> bool:
        """Whether this deployment made the session."""
        return is_ours(session.metadata, self._deployment)

    def booked(self, intents: Iterable[str | None]) -> tuple[dict[str, Payment], frozenset[str]]:
        """Payments by their payment intent, and the names of those that cannot be read."""
        wanted = sorted({intent for intent in intents if intent is not None})
        found = self._rows.payments_of_intents(wanted) if wanted else []
        payments, _ = readable(found)
        return {p.transaction_id: p for p in payments if p.transaction_id is not None}, _names(found)

    def session_to_compare(self, payment: Payment) -> CheckoutSession | None:
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


def _once_tried(found: Iterable[Difference], happened: dt.datetime | None, scope: Scope) -> list[Difference]:
    return [one if happened is None else once_tried(one, happened, scope.now) for one in found]


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


def readable[Value](found: Iterable[Value | UnreadableRow]) -> tuple[list[Value], list[Difference]]:
    """The rows that can be read, and a difference for each of the others."""
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


def stripe_names(session: CheckoutSession) -> set[str]:
    """What a payment row may know the session by."""
    return {session.id} | ({session.payment_intent.id} if session.payment_intent is not None else set())


def _names_of(session: CheckoutSession) -> set[str]:
    return stripe_names(session) | ({session.attempt} if session.attempt is not None else set())
