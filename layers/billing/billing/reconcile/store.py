"""The rows reconciliation compares: first the keys of a collection by their state, then the rows, some at a time.

The keys come in one answer: pages by offset would miss rows while the invoice writer changes them, and Directus cannot
compare uuids. They are handed out in order, so that a run can go on behind the last key it has looked at.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from billing.directus.rows import instant, key_of
from billing.documents.versions import DocumentRow
from billing.errors import BillingError, UnreadableRow
from billing.ids import chunks
from billing.ledger.receipts_due import Receipt
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
from billing.money import accepted_currency
from billing.payments.reversals import UNSETTLED_DISPUTES, UNSETTLED_REFUNDS
from billing.reconcile.differences import (
    EventRow,
    NamedInvoice,
    NoticeRow,
    OpenAttempt,
    ReversalRow,
)
from billing.reminders.policy import NoticeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from billing.directus.client import DirectusClient
    from billing.directus.rows import Row
    from billing.ledger.ledger import Ledger, Payment
    from billing.stripe.objects import CheckoutSession


_DOCUMENTS = ("id", "invoice", "version", "file", "sha256", "content_hash")
_UNFINISHED = {"status": {"_in": ["received", "parked", "failed"]}}
_UNSETTLED = {"status": {"_in": ["claimed", "failed", "unknown"]}}
_OPEN = {"_or": [{"open_claim": {"_nnull": True}}, {"status": {"_eq": "processing"}}]}
_ON_NONE: dict[str, object] = {"invoice": {"_null": True}}
_ON_A_DRAFT: dict[str, object] = {"invoice": {"status": {"_eq": "draft"}}}
_OF_NONE, _OF_A_DRAFT = {"payment": _ON_NONE}, {"payment": _ON_A_DRAFT}
#: One that was withdrawn before is staff's to show again.
_SHOWN: dict[str, object] = {
    "_and": [
        {"type": {"_eq": "receipt"}},
        {"visible_to_client": {"_eq": True}},
        {"withdrawn_at": {"_null": True}},
    ]
}
_UNAPPLIED = {
    "_or": [
        {"_and": [_ON_NONE, {"status": {"_in": ["processing", "succeeded"]}}]},
        {"_and": [{"receipt": {"_nnull": True}}, {"_or": [_ON_NONE, _ON_A_DRAFT]}]},
    ]
}
#: A draft that has been sent, or voided, is an invoice that somebody set back.
_SENT = {
    "_or": [
        {"status": {"_neq": "draft"}},
        {"sent_at": {"_nnull": True}},
        {"voided_at": {"_nnull": True}},
    ]
}
_OF_STRIPE = {"_or": [{"transaction_id": {"_nnull": True}}, {"checkout_session": {"_nnull": True}}]}
_OF_PAYMENT = tuple(f"payment.{name}" for name in PAYMENT_FIELDS)


class ReconcileRows:
    """The rows that reconcile compares, read from Directus in pages of keys."""

    def __init__(self, client: DirectusClient) -> None:
        """`client` acts as the functions' service user."""
        self._client = client
        self._ledgers = BulkLedgers(client)
        self._firm_timezone: str | None = None
        self._firm_read = False

    # ---- payments ---------------------------------------------------------------------------------------

    def payments_of(self, sessions: Sequence[CheckoutSession]) -> list[Payment | UnreadableRow]:
        """The payment rows that name one of the sessions, its attempt or its payment intent."""
        found: dict[str, Payment | UnreadableRow] = {}
        for some in chunks(sessions):
            keys = {
                "checkout_session": [session.id for session in some],
                "id": [session.attempt for session in some if session.attempt is not None],
                "transaction_id": [s.payment_intent.id for s in some if s.payment_intent],
            }
            wanted = [{name: {"_in": values}} for name, values in keys.items() if values]
            rows = self._client.read_many("payments", filter={"_or": wanted}, fields=PAYMENT_FIELDS)
            found |= {row["id"]: _parsed("payments", row, payment_from_row) for row in rows}
        return list(found.values())

    def payments_of_intents(self, payment_intents: Iterable[str]) -> list[Payment | UnreadableRow]:
        """The payment rows of these payment intents."""
        rows = self._by("payments", "transaction_id", payment_intents, PAYMENT_FIELDS)
        return [_parsed("payments", row, payment_from_row) for row in rows]

    def named_invoices(self, invoices: Collection[str]) -> Mapping[str, NamedInvoice]:
        """Those of the invoices that exist and have an accepted currency, by their id."""
        found: dict[str, NamedInvoice] = {}
        for row in self._by("invoices", "id", sorted(invoices), ("id", "invoice_number", "currency")):
            try:
                currency = accepted_currency(str(row["currency"]))
            except BillingError:
                continue  # named with the invoice's own ledger
            found[row["id"]] = NamedInvoice(str(row["invoice_number"]), currency)
        return found

    def attempt_keys(self) -> list[str]:
        """The payment rows that hold a claim, or wait for a bank at Stripe."""
        return self._keys("payments", _OPEN)

    def attempts(self, keys: Sequence[str]) -> list[OpenAttempt | UnreadableRow]:
        """These payment rows, if they still are such."""
        rows = self._among("payments", keys, (*PAYMENT_FIELDS, "date_created"), _OPEN)
        return [_parsed("payments", row, _attempt) for row in rows]

    def transaction_keys(self, since: datetime) -> list[str]:
        """The payment rows with a payment intent or a session that were made or changed since."""
        return self._keys("payments", {"_and": [_OF_STRIPE, _touched(since)]})

    def unapplied_keys(self) -> list[str]:
        """Money received or on its way that belongs to no invoice; payments there or on a draft that have a receipt."""
        detached = {"_and": [{"payment": {"_nnull": True}}, _SHOWN, {"_or": [_OF_NONE, _OF_A_DRAFT]}]}
        shown = self._client.read_many("documents", filter=detached, fields=("payment",), sort=("id",))
        return sorted({*self._keys("payments", _UNAPPLIED), *(key_of(row["payment"]) for row in shown)})

    def shown_receipts(self, payments: Sequence[str]) -> dict[str, list[Receipt]]:
        """The receipts of these payments that clients see."""
        shown: dict[str, list[Receipt]] = {}
        for row in self._by("documents", "payment", payments, ("payment", "invoice", "client"), _SHOWN):
            receipt = Receipt((key_of(row["invoice"]), key_of(row["client"])), is_shown=True)
            shown.setdefault(key_of(row["payment"]), []).append(receipt)
        return shown

    def payments(self, keys: Sequence[str]) -> list[Payment | UnreadableRow]:
        """These payment rows."""
        return [
            _parsed("payments", row, payment_from_row)
            for row in self._among("payments", keys, PAYMENT_FIELDS)
        ]

    # ---- refunds and disputes ---------------------------------------------------------------------------

    def refund_keys(self, since: datetime) -> list[str]:
        """The rows of Stripe's refunds that can still change, or were made or changed since."""
        return self._reversal_keys("refunds", "stripe_refund", UNSETTLED_REFUNDS, since)

    def refunds(self, keys: Sequence[str]) -> list[ReversalRow | UnreadableRow]:
        """These refunds."""
        return self._refunds("id", keys)

    def refunds_named(self, stripe_ids: Sequence[str]) -> list[ReversalRow | UnreadableRow]:
        """The rows of these refunds of Stripe's."""
        return self._refunds("stripe_refund", stripe_ids)

    def dispute_keys(self, since: datetime) -> list[str]:
        """The rows of Stripe's disputes that can still change, or were made or changed since."""
        return self._reversal_keys("payment_disputes", "stripe_dispute", UNSETTLED_DISPUTES, since)

    def disputes(self, keys: Sequence[str]) -> list[ReversalRow | UnreadableRow]:
        """These disputes."""
        return self._disputes("id", keys)

    def disputes_named(self, stripe_ids: Sequence[str]) -> list[ReversalRow | UnreadableRow]:
        """The rows of these disputes of Stripe's."""
        return self._disputes("stripe_dispute", stripe_ids)

    # ---- invoices and their documents -------------------------------------------------------------------

    def invoice_keys(self) -> list[str]:
        """The invoices that are sent, or were once."""
        return self._keys("invoices", _SENT)

    def ledgers(self, keys: Sequence[str]) -> list[Ledger | UnreadableRow]:
        """The ledgers of these invoices."""
        if not self._firm_read:
            self._firm_timezone, self._firm_read = self._ledgers.firm_timezone(), True
        return [
            UnreadableRow("invoices", found.invoice, found.error)
            if isinstance(found, UnreadableInvoice)
            else found
            for some in chunks(keys)
            for found in self._ledgers.ledgers(some, self._firm_timezone)
        ]

    def documents(self, invoices: Sequence[str]) -> list[DocumentRow]:
        """The documents that these invoices were printed as, and not what a renderer has only begun."""
        printed = {"type": {"_eq": "invoice"}}
        rows = self._by("documents", "invoice", invoices, _DOCUMENTS, printed)
        documents = [
            DocumentRow(
                row["id"],
                row.get("version") or 0,
                key_of(row.get("file")),
                row.get("sha256") or "",
                row.get("content_hash") or "",
                invoice=key_of(row["invoice"]),
            )
            for row in rows
        ]
        return [document for document in documents if not document.is_begun]

    # ---- events and notices -----------------------------------------------------------------------------

    def event_keys(self) -> list[str]:
        """The Stripe events that are not done or ignored."""
        return self._keys("stripe_events", _UNFINISHED)

    def events(self, keys: Sequence[str]) -> list[EventRow]:
        """These events, if they still are such."""
        fields = ("id", "type", "status", "received_at", "object_id")
        return [
            EventRow(
                id=row["id"],
                type=row.get("type") or "",
                status=row["status"],
                received_at=instant(row.get("received_at")),
                object_id=row.get("object_id"),
            )
            for row in self._among("stripe_events", keys, fields, _UNFINISHED)
        ]

    def known_events(self, keys: Sequence[str]) -> set[str]:
        """Those of the events that have a row."""
        return {row["id"] for row in self._among("stripe_events", keys, ("id",))}

    def notice_keys(self) -> list[str]:
        """The notices that are not sent or skipped."""
        return self._keys("notices", _UNSETTLED)

    def notices(self, keys: Sequence[str]) -> list[NoticeRow]:
        """These notices, if they still are such."""
        fields = ("id", "kind", "status", "invoice", "date_created")
        return [
            NoticeRow(
                id=row["id"],
                kind=row["kind"],
                status=NoticeStatus(row["status"]),
                invoice=row.get("invoice"),
                created=instant(row.get("date_created")),
            )
            for row in self._among("notices", keys, fields, _UNSETTLED)
        ]

    # ---- inside -----------------------------------------------------------------------------------------

    def _keys(self, collection: str, condition: Mapping[str, object]) -> list[str]:
        rows = self._client.read_many(collection, filter=condition, fields=("id",), sort=("id",))
        return sorted(row["id"] for row in rows)

    def _among(
        self,
        collection: str,
        keys: Iterable[str],
        fields: Sequence[str],
        condition: Mapping[str, object] | None = None,
    ) -> list[Row]:
        return self._by(collection, "id", keys, fields, condition)

    def _by(
        self,
        collection: str,
        column: str,
        values: Iterable[str],
        fields: Sequence[str],
        condition: Mapping[str, object] | None = None,
    ) -> list[Row]:
        found: list[Row] = []
        for some in chunks(values):
            one_of: dict[str, object] = {column: {"_in": list(some)}}
            wanted = one_of if condition is None else {"_and": [one_of, condition]}
            found += self._client.read_many(collection, filter=wanted, fields=fields, sort=("id",))
        return found

    def _reversal_keys(
        self, collection: str, name: str, unsettled: Iterable[str], since: datetime
    ) -> list[str]:
        changing = {"status": {"_in": sorted(unsettled)}}
        return self._keys(
            collection, {"_and": [{name: {"_nnull": True}}, {"_or": [changing, _touched(since)]}]}
        )

    def _refunds(self, column: str, values: Iterable[str]) -> list[ReversalRow | UnreadableRow]:
        rows = self._by("refunds", column, values, (*_own(REFUND_FIELDS), *_OF_PAYMENT))
        return [_parsed("refunds", row, _refund) for row in rows]

    def _disputes(self, column: str, values: Iterable[str]) -> list[ReversalRow | UnreadableRow]:
        rows = self._by("payment_disputes", column, values, (*_own(PAYMENT_DISPUTE_FIELDS), *_OF_PAYMENT))
        return [_parsed("payment_disputes", row, _dispute) for row in rows]


def _touched(since: datetime) -> dict[str, object]:
    """Rows that were made or changed since: what somebody changes on an old row must be looked at, too."""
    moment = {"_gte": since.isoformat()}
    return {"_or": [{"date_created": moment}, {"date_updated": moment}]}


def _own(fields: Iterable[str]) -> list[str]:
    """The columns without the link, which comes with the payment's."""
    return [name for name in fields if name != "payment"]


def _parsed[Value](collection: str, row: Row, parse: Callable[[Row], Value]) -> Value | UnreadableRow:
    try:
        return parse(row)
    except BillingError as error:
        names = (row.get(name) for name in ("id", "checkout_session", "transaction_id"))
        return UnreadableRow(collection, row["id"], error, frozenset(str(name) for name in names if name))


def _attempt(row: Row) -> OpenAttempt:
    created = instant(row.get("date_created"))
    return OpenAttempt(payment_from_row(row), created or datetime.min.replace(tzinfo=UTC))


def _refund(row: Row) -> ReversalRow:
    payment = payment_from_row(row["payment"])
    found = refund_from_row(row, payment.amount.currency)
    return ReversalRow(found.id, found.stripe_refund or "", found.amount, found.status, payment)


def _dispute(row: Row) -> ReversalRow:
    payment = payment_from_row(row["payment"])
    found = payment_dispute_from_row(row, payment.amount.currency)
    return ReversalRow(found.id, found.stripe_dispute or "", found.amount, found.status, payment)
