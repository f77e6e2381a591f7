"""The ledger's rows in Directus: what the use cases read and the only ways they write."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from billing.errors import RecordNotUnique
from billing.ids import chunks
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
from billing.payments.checkout import InvoiceOwnership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from billing.directus.client import DirectusClient
    from billing.ledger.ledger import Ledger, Payment, PaymentDispute, Refund


type Changes = Mapping[str, object]


@dataclass(frozen=True)
class PortalUser:
    """A person who logs in for a client; `client` is None for anybody else."""

    id: str
    client: str | None
    active: bool


class BillingStore(Protocol):
    """What the use cases about payments need of the system of record."""

    def ownership(self, invoice: str) -> InvoiceOwnership | None:
        """Whose the invoice is and its status, as stored; None if there is no such invoice."""
        ...

    def ledger(self, invoice: str) -> Ledger | None:
        """Every row that decides about the invoice; None if there is no such invoice."""
        ...

    def portal_user(self, user: str) -> PortalUser | None:
        """The person and the client they belong to."""
        ...

    def create_attempt(self, row: Changes) -> None:
        """Create a payment row that claims its invoice; `RecordNotUnique` (`open_claim`) if one is open."""
        ...

    def update_payment(self, payment: str, changes: Changes) -> None:
        """Write columns of one payment row."""
        ...

    def payments_named(self, *, transaction_id: str | None, checkout_session: str, payment: str | None) -> Iterator[Payment]:  # fmt: skip
        """The payment rows that hold a payment intent, then a session, then with this id; at most one of each."""
        ...

    def payment_of_transaction(self, transaction_id: str) -> Payment | None:
        """The payment row that holds a payment intent."""
        ...

    def reversals_below(self, payment: Payment) -> tuple[list[Refund], list[PaymentDispute]]:
        """The refund and dispute rows of one payment, which may belong to no invoice."""
        ...

    def reversals_known(self, stripe_ids: Sequence[str]) -> set[str]:
        """Those of Stripe's refunds and disputes that have a row, whatever it says and wherever it hangs."""
        ...

    def create_payment(self, row: Changes) -> None:
        """Create a payment row that belongs to no invoice; `RecordNotUnique` if the transaction is booked."""
        ...

    def write_invoice(self, invoice: str, changes: Changes, *, updated: Sequence[Changes] = (), created: Sequence[Changes] = ()) -> None:  # fmt: skip
        """Write the invoice and its payment rows in one transaction."""
        ...

    def begin_event(self, event: str, event_type: str, object_id: str, received_at: str) -> str | None:
        """Make sure the event has a row; return the status of a row that was there before."""
        ...

    def finish_event(self, event: str, status: str, processed_at: str, error: str | None = None) -> None:
        """Write how the event ended."""
        ...


#: A firm hardly ever moves to another time zone: seconds that a warm environment may go on with the last one.
FIRM_TIMEZONE_KEPT = 60


class DirectusBillingStore:
    """`BillingStore` on Directus."""

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
        """The person and the client they belong to."""
        row = self._client.read_one("directus_users", user, ("id", "client", "status"))
        if row is None:
            return None
        return PortalUser(id=row["id"], client=row.get("client"), active=row.get("status") == "active")

    def create_attempt(self, row: Changes) -> None:
        """Create a payment row that claims its invoice."""
        self._client.create("payments", row)

    def update_payment(self, payment: str, changes: Changes) -> None:
        """Write columns of one payment row."""
        self._client.update("payments", payment, changes)

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

    def reversals_below(self, payment: Payment) -> tuple[list[Refund], list[PaymentDispute]]:
        """The refund and dispute rows of one payment."""
        currency, below = payment.amount.currency, {"payment": {"_eq": payment.id}}
        refunds = self._client.read_many("refunds", filter=below, fields=REFUND_FIELDS)
        disputes = self._client.read_many("payment_disputes", filter=below, fields=PAYMENT_DISPUTE_FIELDS)
        return (
            [refund_from_row(row, currency) for row in refunds],
            [payment_dispute_from_row(row, currency) for row in disputes],
        )

    def reversals_known(self, stripe_ids: Sequence[str]) -> set[str]:
        """Those of Stripe's refunds and disputes that have a row."""
        known: set[str] = set()
        for collection, column in (("refunds", "stripe_refund"), ("payment_disputes", "stripe_dispute")):
            for keys in chunks(stripe_ids):
                rows = self._client.read_many(
                    collection, filter={column: {"_in": list(keys)}}, fields=(column,)
                )
                known |= {str(row[column]) for row in rows}
        return known

    def create_payment(self, row: Changes) -> None:
        """Create a payment row that belongs to no invoice."""
        self._client.create("payments", row)

    def write_invoice(
        self,
        invoice: str,
        changes: Changes,
        *,
        updated: Sequence[Changes] = (),
        created: Sequence[Changes] = (),
    ) -> None:
        """Write the invoice and its payment rows in one transaction; nothing to write writes nothing."""
        payload: dict[str, object] = dict(changes)
        if updated or created:
            # The three lists together: a plain array would detach every payment that it does not name.
            payload["payments"] = {"create": list(created), "update": list(updated), "delete": []}
        if payload:
            self._client.update("invoices", invoice, payload)

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
