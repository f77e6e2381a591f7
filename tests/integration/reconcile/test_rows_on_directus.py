"""What reconciliation reads, as the service user of a real Directus, on both databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.directus.client import DirectusClient
from billing.documents.versions import DocumentRow
from billing.errors import UnreadableRow
from billing.ledger.ledger import Ledger, Payment
from billing.ledger.receipts_due import Receipt
from billing.reconcile.comparisons import Comparisons
from billing.reconcile.differences import EventRow, NoticeRow, OpenAttempt, ReversalRow
from billing.reconcile.invoices import compare_invoice
from billing.reconcile.page import Scope
from billing.reconcile.store import ReconcileRows
from tests.fakes.directus import FixedToken
from tests.fakes.stripe import FakeStripe
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN

if TYPE_CHECKING:
    from tests.integration.directus.server import RunningDirectus

YESTERDAY, TOMORROW = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))


class Firm:
    """A client with rows of their own in a database that others use, too."""

    def __init__(self, directus: RunningDirectus) -> None:
        self.admin = directus.admin
        client = DirectusClient(directus.url, FixedToken(SERVICE_TOKEN), http(read_timeout=60))
        self.rows = ReconcileRows(client)
        self.client = self.create("clients", name="A client", email="client@client.example")
        self.invoice = self.create(
            "invoices", invoice_number=uuid.uuid4().hex, client=self.client, currency="USD", status="sent",
            tax_rate=0, sent_at="2026-03-01T10:00:00Z",
        )  # fmt: skip

    def create(self, collection: str, **row: Any) -> str:
        return str(self.admin.call("POST", f"/items/{collection}", row)["id"])

    def payment(self, **columns: Any) -> str:
        row = {
            "invoice": self.invoice, "client": self.client, "amount": "100.00", "currency": "USD",
            "status": "succeeded", "method": "card",
        }  # fmt: skip
        return self.create("payments", **{**row, **columns})


@pytest.fixture
def firm(directus: RunningDirectus) -> Firm:
    return Firm(directus)


def stripe_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def test_payments_are_found_by_session_by_attempt_and_by_payment_intent(firm: Firm) -> None:
    stripe = FakeStripe(lambda: datetime.now(UTC), account=uuid.uuid4().hex)
    by_id = firm.payment(status="pending")
    name = stripe.makes_session(10000, "USD", {"directus_payment": by_id, "directus_invoice": "no uuid"})
    intent = stripe.pays(name)
    by_session = firm.payment(checkout_session=name)
    by_intent = firm.payment(transaction_id=intent)
    found = firm.rows.payments_of([stripe.sessions[name]])
    assert {row.id for row in found} == {by_id, by_session, by_intent}
    assert [row.id for row in firm.rows.payments_of_intents([intent, "pi_none"])] == [by_intent]


def test_young_transactions_and_open_attempts_are_found_by_their_keys(firm: Firm) -> None:
    young = firm.payment(transaction_id=stripe_id("pi"))
    claim = firm.payment(status="pending", open_claim=firm.invoice)
    debit = firm.payment(status="processing", transaction_id=stripe_id("pi"))
    assert {young, debit} <= set(firm.rows.transaction_keys(YESTERDAY))
    assert not {young, debit} & set(firm.rows.transaction_keys(TOMORROW))
    keys = firm.rows.attempt_keys()
    assert keys == sorted(keys)
    assert {claim, debit} <= set(keys)
    assert young not in keys
    attempts = firm.rows.attempts([claim, debit, young])
    assert {attempt.payment.id for attempt in attempts if isinstance(attempt, OpenAttempt)} == {claim, debit}
    assert all(
        YESTERDAY < attempt.created < TOMORROW for attempt in attempts if isinstance(attempt, OpenAttempt)
    )


def test_unapplied_money_is_found(firm: Firm) -> None:
    unapplied = firm.payment(invoice=None, client=None, currency="CHF")
    failed = firm.payment(invoice=None, client=None, status="failed")
    keys = firm.rows.unapplied_keys()
    assert unapplied in keys
    assert failed not in keys
    (payment,) = firm.rows.payments([unapplied])
    assert isinstance(payment, Payment)
    assert str(payment.amount) == "100.00 CHF"


def test_payments_that_name_a_receipt_are_found_on_a_draft_and_on_no_invoice(firm: Firm) -> None:
    draft = firm.create(
        "invoices", invoice_number=uuid.uuid4().hex, client=firm.client, currency="USD", status="draft", tax_rate=0
    )  # fmt: skip
    names = {"storage": "local", "filename_download": "receipt.pdf", "type": "application/pdf"}
    receipt = str(firm.admin.call("POST", "/files", {**names, "filename_disk": f"{uuid.uuid4()}.pdf"})["id"])
    moved = firm.payment(invoice=draft, receipt=receipt)
    canceled = firm.payment(invoice=None, client=None, status="canceled", receipt=receipt)
    others = [firm.payment(receipt=receipt), firm.payment(invoice=draft)]
    keys = firm.rows.unapplied_keys()
    assert {moved, canceled} <= set(keys)
    assert not set(others) & set(keys)


def test_payments_whose_receipt_a_client_sees_are_found_on_a_draft_and_on_no_invoice(firm: Firm) -> None:
    draft = firm.create(
        "invoices", invoice_number=uuid.uuid4().hex, client=firm.client, currency="USD", status="draft", tax_rate=0
    )  # fmt: skip
    places: list[dict[str, Any]] = [
        {"invoice": draft},
        {"invoice": None, "client": None, "status": "canceled"},
        {},
    ]
    detached, canceled, there = (firm.payment(**place) for place in places)
    hidden, withdrawn = (firm.payment(**places[1]) for _ in range(2))
    shown = {"type": "receipt", "client": firm.client, "invoice": firm.invoice, "visible_to_client": True}
    for payment in (detached, canceled, there):
        firm.create("documents", **shown, payment=payment)
    firm.create("documents", **shown)
    firm.create("documents", **shown | {"visible_to_client": False}, payment=hidden)
    firm.create("documents", **shown, payment=withdrawn, withdrawn_at="2026-11-01T09:00:00Z")
    keys = firm.rows.unapplied_keys()
    assert {detached, canceled} <= set(keys)
    assert not {there, hidden, withdrawn} & set(keys)
    assert keys == sorted(keys)
    seen = firm.rows.shown_receipts([detached, there, hidden, withdrawn])
    place = firm.invoice, firm.client
    assert seen == {payment: [Receipt(place, is_shown=True)] for payment in (detached, there)}


def test_a_refund_and_a_dispute_come_with_their_payment(firm: Firm) -> None:
    payment = firm.payment(transaction_id=stripe_id("pi"))
    named, disputed = stripe_id("re"), stripe_id("du")
    refund = firm.create(
        "refunds", payment=payment, stripe_refund=named, amount="10.00", currency="USD", status="succeeded"
    )
    firm.create("refunds", payment=payment, amount="1.00", currency="USD", status="pending")
    dispute = firm.create(
        "payment_disputes", payment=payment, stripe_dispute=disputed, amount="100.00", currency="USD",
        status="under_review",
    )  # fmt: skip
    (row,) = firm.rows.refunds_named([named, "re_none"])
    assert isinstance(row, ReversalRow)
    assert (row.id, row.stripe_id, str(row.amount), row.status) == (refund, named, "10.00 USD", "succeeded")
    assert (row.payment.id, row.payment.invoice, row.payment.client) == (payment, firm.invoice, firm.client)
    assert firm.rows.refunds([refund]) == [row]
    (other,) = firm.rows.disputes_named([disputed])
    assert isinstance(other, ReversalRow)
    assert (other.id, other.status, other.payment.id) == (dispute, "under_review", payment)
    assert firm.rows.disputes([dispute]) == [other]


def test_what_can_still_change_is_found_however_old_and_the_rest_while_it_is_young(firm: Firm) -> None:
    payment = firm.payment(transaction_id=stripe_id("pi"))
    common = {"payment": payment, "amount": "10.00", "currency": "USD"}
    settled = firm.create("refunds", **common, stripe_refund=stripe_id("re"), status="succeeded")
    pending = firm.create("refunds", **common, stripe_refund=stripe_id("re"), status="pending")
    by_hand = firm.create("refunds", **common, status="pending")
    lost = firm.create("payment_disputes", **common, stripe_dispute=stripe_id("du"), status="lost")
    fought = firm.create(
        "payment_disputes", **common, stripe_dispute=stripe_id("du"), status="needs_response"
    )
    refunds, disputes = set(firm.rows.refund_keys(TOMORROW)), set(firm.rows.dispute_keys(TOMORROW))
    assert refunds & {settled, pending, by_hand} == {pending}
    assert disputes & {lost, fought} == {fought}
    assert {settled, pending} <= set(firm.rows.refund_keys(YESTERDAY))
    assert {lost, fought} <= set(firm.rows.dispute_keys(YESTERDAY))
    assert by_hand not in firm.rows.refund_keys(YESTERDAY)


def test_a_row_that_was_changed_since_is_found_and_one_that_was_only_made_before_is_not(firm: Firm) -> None:
    payment = firm.payment(transaction_id=stripe_id("pi"))
    attempt = firm.payment(checkout_session=stripe_id("cs"), status="canceled")
    by_hand = firm.payment(method="wire")
    common = {"payment": payment, "amount": "10.00", "currency": "USD"}
    refund = firm.create("refunds", **common, stripe_refund=stripe_id("re"), status="succeeded")
    dispute = firm.create("payment_disputes", **common, stripe_dispute=stripe_id("du"), status="lost")
    made = datetime.now(UTC)
    rows = {
        ("payments", payment): firm.rows.transaction_keys,
        ("payments", attempt): firm.rows.transaction_keys,
        ("refunds", refund): firm.rows.refund_keys,
        ("payment_disputes", dispute): firm.rows.dispute_keys,
    }
    for (collection, key), keys in rows.items():
        assert key not in keys(made)
        firm.admin.call("PATCH", f"/items/{collection}/{key}", {"amount": "9.00"})
        assert key in keys(made)
        assert key not in keys(TOMORROW)
    firm.admin.call("PATCH", f"/items/payments/{by_hand}", {"amount": "9.00"})
    assert by_hand not in firm.rows.transaction_keys(YESTERDAY)


def test_invoices_come_with_their_rows_and_documents_and_currencies(firm: Firm) -> None:
    payment = firm.payment()
    draft = firm.create(
        "invoices", invoice_number=uuid.uuid4().hex, client=firm.client, currency="USD", status="draft"
    )
    set_back = firm.create(
        "invoices", invoice_number=uuid.uuid4().hex, client=firm.client, currency="EUR", status="draft",
        sent_at="2026-03-01T10:00:00Z",
    )  # fmt: skip
    voided = firm.create(
        "invoices", invoice_number=uuid.uuid4().hex, client=firm.client, currency="USD", status="draft",
        voided_at="2026-03-01T10:00:00Z",
    )  # fmt: skip
    keys = firm.rows.invoice_keys()
    assert {firm.invoice, set_back, voided} <= set(keys)
    assert draft not in keys
    (found,) = firm.rows.ledgers([voided])
    assert isinstance(found, Ledger)
    assert found.invoice.voided_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    (ledger,) = firm.rows.ledgers([firm.invoice])
    assert isinstance(ledger, Ledger)
    assert [row.id for row in ledger.payments] == [payment]
    document = firm.create(
        "documents", invoice=firm.invoice, client=firm.client, type="invoice", title="x", version=2
    )
    firm.create("documents", invoice=firm.invoice, client=firm.client, type="other", title="y")
    assert firm.rows.documents([firm.invoice]) == [DocumentRow(document, 2, None, invoice=firm.invoice)]
    unknown = str(uuid.uuid4())
    named = firm.rows.named_invoices({firm.invoice, set_back, unknown})
    assert {key: invoice.currency for key, invoice in named.items()} == {firm.invoice: "USD", set_back: "EUR"}
    assert named[firm.invoice].invoice_number == ledger.invoice.invoice_number


def test_a_payment_that_an_administrator_moves_is_looked_at_and_named_until_its_flag_says_it_was_meant(
    firm: Firm,
) -> None:
    stripe = FakeStripe(lambda: datetime.now(UTC), account=uuid.uuid4().hex)
    attempt = firm.payment(status="pending")
    metadata = {"deployment": "test", "directus_payment": attempt, "directus_invoice": firm.invoice}
    name = stripe.makes_session(10000, "USD", metadata)
    columns = {"status": "succeeded", "checkout_session": name, "transaction_id": stripe.pays(name)}
    firm.admin.call("PATCH", f"/items/payments/{attempt}", columns)
    numbers = [uuid.uuid4().hex, firm.admin.call("GET", f"/items/invoices/{firm.invoice}")["invoice_number"]]
    other = firm.create(
        "invoices", invoice_number=numbers[0], client=firm.client, currency="USD", status="sent"
    )

    def named() -> list[Any]:
        now = datetime.now(UTC)
        scope = Scope(now, now)
        return Comparisons(firm.rows, stripe, "test", {}).sessions([stripe.sessions[name]], scope)

    assert named() == []
    moved = datetime.now(UTC)
    firm.admin.call("PATCH", f"/items/payments/{attempt}", {"invoice": other})
    assert attempt in firm.rows.transaction_keys(moved)
    (difference,) = named()
    assert difference.kind == "payment_misplaced"
    assert (difference.ids["invoice"], difference.ids["made_for"]) == (other, firm.invoice)
    assert all(number in difference.detail for number in numbers)
    firm.admin.call("PATCH", f"/items/payments/{attempt}", {"flag": "moved"})
    assert named() == []


def test_a_dispute_whose_id_was_emptied_is_named_with_its_invoice(firm: Firm) -> None:
    payment = firm.payment(transaction_id=stripe_id("pi"))
    dispute = firm.create(
        "payment_disputes", payment=payment, stripe_dispute=stripe_id("du"), amount="10.00", currency="USD",
        status="lost",
    )  # fmt: skip

    def named() -> set[tuple[str, str]]:
        (ledger,) = firm.rows.ledgers([firm.invoice])
        assert isinstance(ledger, Ledger)
        found = compare_invoice(ledger, [], datetime.now(UTC))
        return {(one.kind, one.ids["dispute_row"]) for one in found if "dispute_row" in one.ids}

    assert named() == set()
    firm.admin.call("PATCH", f"/items/payment_disputes/{dispute}", {"stripe_dispute": None})
    assert named() == {("dispute_without_id", dispute)}
    assert dispute not in firm.rows.dispute_keys(YESTERDAY), "Stripe is asked about none without an id"


def test_an_unreadable_payment_is_known_by_all_its_names(firm: Firm) -> None:
    intent, session = stripe_id("pi"), stripe_id("cs")
    payment = firm.payment(transaction_id=intent, checkout_session=session, currency="JPY", amount="100.50")
    (found,) = firm.rows.payments([payment])
    assert isinstance(found, UnreadableRow)
    assert found.names == {payment, intent, session}


def test_events_and_notices_that_are_not_done_are_found(firm: Firm) -> None:
    parked, done = stripe_id("evt"), stripe_id("evt")
    firm.create("stripe_events", id=parked, type="charge.updated", object_id="ch_1", status="parked")
    firm.create("stripe_events", id=done, type="charge.updated", object_id="ch_1", status="done")
    notice = firm.create(
        "notices",
        kind="reminder",
        status="failed",
        invoice=firm.invoice,
        channel="email",
        recipient="a@b.example",
    )
    assert parked in firm.rows.event_keys()
    assert firm.rows.events([parked, done]) == [EventRow(parked, "charge.updated", "parked", None, "ch_1")]
    assert firm.rows.known_events([parked, done, "evt_none"]) == {parked, done}
    assert notice in firm.rows.notice_keys()
    (found,) = firm.rows.notices([notice])
    assert isinstance(found, NoticeRow)
    assert (found.invoice, found.status) == (firm.invoice, "failed")
