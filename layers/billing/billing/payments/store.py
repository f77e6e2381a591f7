"""The ledger's rows in Directus: what the use cases read and the only ways they write."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING

from billing.errors import RecordNotUnique
from billing.ids import chunks
from billing.ledger.ledger import Invoice, Payment, PaymentDispute, Refund
from billing.ledger.store import (
    PAYMENT_DISPUTE_FIELDS,
    PAYMENT_FIELDS,
    REFUND_FIELDS,
    BulkLedgers,
    UnreadableInvoice,
    payment_dispute_from_row,
    payment_from_row,
    refund_from_row,
)
from billing.money import Money
from billing.payments.checkout import InvoiceOwnership
from billing.payments.reversals import BookedReversals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from billing.directus.client import DirectusClient
    from billing.ledger.ledger import Ledger


type Columns = dict[str, object]

NO_REVERSALS = BookedReversals()
#: The key, the link to what it hangs below, and what Directus writes itself.
_NOT_WRITTEN = frozenset({"id", "payment", "changed_at"})


def changes[Row: (Invoice, Payment, Refund, PaymentDispute)](before: Row | None, after: Row) -> Columns:
    """The columns in which `after` differs, in Directus's form; without `before` those that have a value.

    The only place that knows how a value of ours is written. A currency is written once, with the row.
    """
    columns = {
        field.name: _column(getattr(after, field.name))
        for field in fields(after)
        if field.name not in _NOT_WRITTEN
        and getattr(after, field.name) != (getattr(before, field.name) if before is not None else None)
    }
    if before is None and not isinstance(after, Invoice):
        columns["currency"] = after.amount.currency
    return columns


def _column(value: object) -> object:
    if isinstance(value, Money):
        return value.to_directus()
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date


def payment_changes(
    before: Payment | None, after: Payment, known: BookedReversals, reversals: BookedReversals
) -> Columns:
    """The columns of a payment, and nested in them those of its refunds and disputes."""
    columns = changes(before, after)
    mine = reversals.of(after.id)
    if refunds := _nested(known.refunds, mine.refunds):
        columns["refunds"] = refunds
    if disputes := _nested(known.disputes, mine.disputes):
        columns["payment_disputes"] = disputes
    return columns


def _nested[Row: (Refund, PaymentDispute)](known: Sequence[Row], rows: Sequence[Row]) -> Columns | None:
    was = {row.id: row for row in known}
    updated = [{"id": row.id, **changes(was[row.id], row)} for row in rows if row.id and row != was[row.id]]
    return _lists([changes(None, row) for row in rows if not row.id], updated)


def _lists(created: list[Columns], updated: list[Columns]) -> Columns | None:
    """The three lists together: a plain array would detach every row that it does not name."""
    return {"create": created, "update": updated, "delete": []} if created or updated else None


def ledger_changes(before: Ledger, after: Ledger) -> Columns:
    """The columns of an invoice, and nested in them those of its payments."""
    was = {payment.id: payment for payment in before.payments}
    known = BookedReversals(before.refunds, before.payment_disputes)
    reversals = BookedReversals(after.refunds, after.payment_disputes)
    columns = changes(before.invoice, after.invoice)
    created: list[Columns] = []
    updated: list[Columns] = []
    for payment in after.payments:
        row = payment_changes(was.get(payment.id), payment, known, reversals)
        if payment.id not in was:
            created.append({name: value for name, value in row.items() if name != "invoice"})
        elif row:
            updated.append({"id": payment.id, **row})
    if payments := _lists(created, updated):
        columns["payments"] = payments
    return columns


@dataclass(frozen=True)
class PortalUser:
    """A person who logs in for a client; `client` is None for anybody else."""

    id: str
    client: str | None
    active: bool


#: A firm hardly ever moves to another time zone: seconds that a warm environment may go on with the last one.
FIRM_TIMEZONE_KEPT = 60


class BillingStore:
    """What the use cases about payments read of the system of record, and the only ways they write."""

    def __init__(self, client: DirectusClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`client` acts as the functions' service user; `monotonic` counts seconds."""
        self._client = client
        self._ledgers = BulkLedgers(client)
        self._monotonic = monotonic
        self._firm_timezone: str | None = None
        self._firm_read_again = -math.inf

    def ownership(self, invoice: str) -> InvoiceOwnership | None:
        """Whose the invoice is and where it stands: one request, and nothing of it can be unreadable."""
        row = self._client.read_one("invoices", invoice, ("client", "status", "sent_at", "voided_at"))
        if row is None:
            return None
        return InvoiceOwnership(row["client"], row["status"], row["sent_at"], row["voided_at"])

    def ledger(self, invoice: str) -> Ledger | None:
        """Every row that decides about the invoice; with a `fault` if one of those below it cannot be read."""
        if self._monotonic() >= self._firm_read_again:
            self._firm_timezone = self._ledgers.firm_timezone()
            self._firm_read_again = self._monotonic() + FIRM_TIMEZONE_KEPT
        found = self._ledgers.ledgers([invoice], self._firm_timezone)
        if not found:
            return None
        (ledger,) = found
        if isinstance(ledger, UnreadableInvoice):
            if ledger.readable is None:
                raise ledger.error
            ledger = ledger.readable
        # The dates that it gets now stay for good: they must not follow the firm's terms of a minute ago.
        return self._ledgers.with_firms_terms(ledger) if ledger.invoice.lacks_dates else ledger

    def portal_user(self, user: str) -> PortalUser | None:
        """The person and the client they belong to; None if there is no such person."""
        row = self._client.read_one("directus_users", user, ("id", "client", "status"))
        if row is None:
            return None
        return PortalUser(id=row["id"], client=row.get("client"), active=row.get("status") == "active")

    def create_payment(self, payment: Payment, reversals: BookedReversals = NO_REVERSALS) -> None:
        """Create a payment row with what went back on it.

        `RecordNotUnique` names the column: `open_claim` if its invoice has an open attempt, `transaction_id` if the
        money is booked.
        """
        key = {"id": payment.id} if payment.id else {}
        self._client.create("payments", {**key, **payment_changes(None, payment, NO_REVERSALS, reversals)})

    def update_payment(
        self,
        before: Payment,
        after: Payment,
        known: BookedReversals = NO_REVERSALS,
        reversals: BookedReversals = NO_REVERSALS,
    ) -> None:
        """Write what differs, if anything; `known` went back on it before, `reversals` will have afterwards."""
        if columns := payment_changes(before, after, known, reversals):
            self._client.update("payments", before.id, columns)

    def payments_named(
        self, *, transaction_id: str | None, checkout_session: str, payment: str | None
    ) -> Iterator[Payment]:
        """The payment rows that hold a payment intent, then a session, then with this id; at most one of each.

        Found with one request and parsed one by one: a row that cannot be read stops only who gets as far as that.
        """
        names = {"transaction_id": transaction_id, "checkout_session": checkout_session, "id": payment}
        wanted = {name: value for name, value in names.items() if value is not None}
        rows = self._client.read_many(
            "payments",
            filter={"_or": [{name: {"_eq": value}} for name, value in wanted.items()]},
            fields=PAYMENT_FIELDS,
        )
        for row in sorted(rows, key=lambda row: [row[name] != value for name, value in wanted.items()]):
            yield payment_from_row(row)

    def payment_of_transaction(self, transaction_id: str) -> Payment | None:
        """The payment row that holds a payment intent."""
        rows = self._client.read_many(
            "payments", filter={"transaction_id": {"_eq": transaction_id}}, fields=PAYMENT_FIELDS, limit=1
        )
        return payment_from_row(rows[0]) if rows else None

    def reversals_below(self, payment: Payment) -> BookedReversals:
        """The refund and dispute rows of one payment, which may belong to no invoice."""
        currency, below = payment.amount.currency, {"payment": {"_eq": payment.id}}
        refunds = self._client.read_many("refunds", filter=below, fields=REFUND_FIELDS)
        disputes = self._client.read_many("payment_disputes", filter=below, fields=PAYMENT_DISPUTE_FIELDS)
        return BookedReversals(
            [refund_from_row(row, currency) for row in refunds],
            [payment_dispute_from_row(row, currency) for row in disputes],
        )

    def reversals_known(self, stripe_ids: Sequence[str]) -> set[str]:
        """Those of Stripe's refunds and disputes that have a row, whatever it says and wherever it hangs."""
        known: set[str] = set()
        for collection, column in (("refunds", "stripe_refund"), ("payment_disputes", "stripe_dispute")):
            for keys in chunks(stripe_ids):
                rows = self._client.read_many(
                    collection, filter={column: {"_in": list(keys)}}, fields=(column,)
                )
                known |= {str(row[column]) for row in rows}
        return known

    def write(self, before: Ledger, after: Ledger) -> None:
        """Write how `after` differs from `before`, in one transaction; nothing to write writes nothing."""
        columns = ledger_changes(before, after)
        if columns:
            self._client.update("invoices", before.invoice.id, columns)

    def begin_event(self, event: str, event_type: str, object_id: str, received_at: str) -> str | None:
        """Make sure the event has a row; return the status of a row that was there before."""
        row = {
            "id": event,
            "type": event_type,
            "object_id": object_id,
            "status": "received",
            "received_at": received_at,
        }
        try:
            self._client.create("stripe_events", row)
        except RecordNotUnique:
            found = self._client.read_one("stripe_events", event, ("id", "status"))
            return str(found["status"]) if found else "received"
        return None

    def finish_event(self, event: str, status: str, processed_at: str, error: str | None = None) -> None:
        """Write how the event ended."""
        self._client.update(
            "stripe_events", event, {"status": status, "processed_at": processed_at, "error": error}
        )
