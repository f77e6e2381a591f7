"""The rows reconciliation compares: whole collections by their state, never one request for each row."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from billing.adapters.bulk_ledgers import BulkLedgers, UnreadableInvoice
from billing.adapters.chunks import chunks
from billing.adapters.rows import PAYMENT_FIELDS, instant, payment_from_row
from billing.core.reconciliation import EventRow, NoticeRow, OpenAttempt, UnreadableRow
from billing.core.reminders import NoticeStatus
from billing.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from types_boto3_sqs import SQSClient

    from billing.adapters.directus import DirectusClient, Row
    from billing.core.ledger import Ledger, Payment
    from billing.core.stripe_objects import CheckoutSession


class StripeSessions(Protocol):
    """What reconciliation needs of Stripe."""

    def sessions_created_since(self, since: datetime) -> Iterable[CheckoutSession]:
        """Every Checkout session created at or after that moment."""
        ...


class ReconcileRows(Protocol):
    """What reconciliation needs of the system of record."""

    def payments_of(self, sessions: Sequence[CheckoutSession]) -> list[Payment | UnreadableRow]:
        """The payment rows that name one of the sessions, its attempt or its payment intent."""
        ...

    def open_attempts(self) -> list[OpenAttempt | UnreadableRow]:
        """The payment rows that hold a claim."""
        ...

    def unapplied_payments(self) -> list[Payment | UnreadableRow]:
        """Money received or on its way that belongs to no invoice."""
        ...

    def unfinished_events(self) -> list[EventRow]:
        """The Stripe events that are not done or ignored."""
        ...

    def unsettled_notices(self) -> list[NoticeRow]:
        """The notices that are not sent or skipped."""
        ...

    def sent_ledgers(self) -> Iterator[list[Ledger | UnreadableRow]]:
        """The ledgers of all sent invoices, some at a time."""
        ...


class DeadLetters(Protocol):
    """The dead-letter queues."""

    def depths(self) -> Mapping[str, int]:
        """How many messages each holds, by the name people know the queue by."""
        ...


class DirectusReconcileRows:
    """`ReconcileRows` on Directus."""

    def __init__(self, client: DirectusClient) -> None:
        """`client` acts as the functions' service user."""
        self._client = client
        self._ledgers = BulkLedgers(client)

    def payments_of(self, sessions: Sequence[CheckoutSession]) -> list[Payment | UnreadableRow]:
        """The payment rows that name one of the sessions, its attempt or its payment intent."""
        found: dict[str, Payment | UnreadableRow] = {}
        for some in chunks(sessions):
            keys = {
                "checkout_session": [session.id for session in some],
                "id": [key for s in some if _is_uuid(key := s.metadata.get("directus_payment", ""))],
                "transaction_id": [s.payment_intent.id for s in some if s.payment_intent],
            }
            wanted = [{name: {"_in": values}} for name, values in keys.items() if values]
            rows = self._client.read_many("payments", filter={"_or": wanted}, fields=PAYMENT_FIELDS)
            found |= {row["id"]: _parsed("payments", row, payment_from_row) for row in rows}
        return list(found.values())

    def open_attempts(self) -> list[OpenAttempt | UnreadableRow]:
        """The payment rows that hold a claim."""
        rows = self._client.read_many(
            "payments",
            filter={"open_claim": {"_nnull": True}},
            fields=(*PAYMENT_FIELDS, "date_created"),
            sort=("id",),
        )
        return [_parsed("payments", row, _attempt) for row in rows]

    def unapplied_payments(self) -> list[Payment | UnreadableRow]:
        """Money received or on its way that belongs to no invoice."""
        rows = self._client.read_many(
            "payments",
            filter={"_and": [{"invoice": {"_null": True}}, {"status": {"_in": ["processing", "succeeded"]}}]},
            fields=PAYMENT_FIELDS,
            sort=("id",),
        )
        return [_parsed("payments", row, payment_from_row) for row in rows]

    def unfinished_events(self) -> list[EventRow]:
        """The Stripe events that are not done or ignored."""
        rows = self._client.read_many(
            "stripe_events",
            filter={"status": {"_in": ["received", "parked", "failed"]}},
            fields=("id", "type", "status", "received_at"),
            sort=("id",),
        )
        return [
            EventRow(row["id"], row.get("type") or "", row["status"], instant(row.get("received_at")))
            for row in rows
        ]

    def unsettled_notices(self) -> list[NoticeRow]:
        """The notices that are not sent or skipped."""
        rows = self._client.read_many(
            "notices",
            filter={"status": {"_in": ["claimed", "failed", "unknown"]}},
            fields=("id", "kind", "status", "invoice", "date_created"),
            sort=("id",),
        )
        return [
            NoticeRow(
                id=row["id"],
                kind=row["kind"],
                status=NoticeStatus(row["status"]),
                invoice=row.get("invoice"),
                created=instant(row.get("date_created")),
            )
            for row in rows
        ]

    def sent_ledgers(self) -> Iterator[list[Ledger | UnreadableRow]]:
        """The ids come in one answer; pages by offset would miss rows while the one writer changes them."""
        rows = self._client.read_many(
            "invoices",
            # A draft that has been sent is an invoice that somebody set back.
            filter={"_or": [{"status": {"_neq": "draft"}}, {"sent_at": {"_nnull": True}}]},
            fields=("id",),
            sort=("id",),
        )
        firm_timezone = self._ledgers.firm_timezone()
        for keys in chunks(row["id"] for row in rows):
            yield [
                UnreadableRow("invoices", found.invoice, found.error)
                if isinstance(found, UnreadableInvoice)
                else found
                for found in self._ledgers.ledgers(keys, firm_timezone)
            ]


class SqsDeadLetters:
    """`DeadLetters` on SQS."""

    def __init__(self, client: SQSClient, queue_urls: Mapping[str, str]) -> None:
        """`queue_urls` by the name people know the queue by."""
        self._client = client
        self._queue_urls = queue_urls

    def depths(self) -> Mapping[str, int]:
        """How many messages wait or are being looked at."""
        return {name: self._depth(url) for name, url in self._queue_urls.items()}

    def _depth(self, url: str) -> int:
        answer = self._client.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(value) for value in answer["Attributes"].values())


def _parsed[Value](collection: str, row: Row, parse: Callable[[Row], Value]) -> Value | UnreadableRow:
    try:
        return parse(row)
    except BillingError as error:
        return UnreadableRow(collection, row["id"], error)


def _attempt(row: Row) -> OpenAttempt:
    created = instant(row.get("date_created"))
    return OpenAttempt(payment_from_row(row), created or datetime.min.replace(tzinfo=UTC))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
