"""What Stripe took back is written below its payment in the payment's own transaction, with the functions' real rights."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from billing.directus.client import DirectusClient, http_client
from billing.errors import RecordNotUnique, UpstreamUnavailable
from billing.ledger.ledger import Payment, PaymentStatus, Refund
from billing.money import Money
from billing.payments.reversals import BookedReversals
from billing.payments.store import BillingStore
from billing.payments.write_invoice import InvoiceWriter
from billing.stripe.objects import (
    Charge,
    CheckoutSession,
    PaymentIntent,
    Reversals,
    StripeDispute,
    StripeRefund,
)
from local.seed import seed_id
from tests.fakes.directus import FixedToken
from tests.fakes.queues import FakeWorkQueue
from tests.integration.connections import POOL
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
REFUND_COLUMNS = "stripe_refund,amount,currency,status,reason,refunded_at"
DISPUTE_COLUMNS = "stripe_dispute,amount,currency,status,reason,evidence_due_by,closed_at"


@dataclass
class Account:
    """A Stripe account with one session and what went back on its payment."""

    session: CheckoutSession
    reversals: Reversals

    def retrieve_session(self, _session: str) -> CheckoutSession:
        return self.session

    def expire_session(self, _session: str) -> CheckoutSession:
        message = "Nothing is open here."
        raise AssertionError(message)

    def reversals_of(self, payment_intent: str) -> Reversals:
        assert self.session.payment_intent is not None
        assert payment_intent == self.session.payment_intent.id
        return self.reversals


@dataclass(frozen=True)
class Interrupted(httpx.BaseTransport):
    """Something happens before every change of an invoice."""

    happening: Callable[[], object]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and "/invoices/" in request.url.path:
            self.happening()
        return POOL.handle_request(request)


@dataclass
class Books:
    """An invoice over 100.00 on the real Directus, and Stripe's state of its payment."""

    directus: RunningDirectus
    client: str
    invoice: str
    stripe: Account
    flags: list[str]
    before_writing: Callable[[], object] = lambda: None

    @property
    def key(self) -> str:
        return self.stripe.session.id.removeprefix("cs_")

    @property
    def store(self) -> BillingStore:
        http = http_client(read_timeout=30, transport=Interrupted(self.before_writing))
        return BillingStore(
            DirectusClient(self.directus.url, FixedToken(SERVICE_TOKEN), http, sleep=lambda _: None)
        )

    def keep(self) -> None:
        """The invoice writer books Stripe's current state."""
        keep = InvoiceWriter(
            self.store, self.stripe, FakeWorkQueue(), "proof", lambda sentence, _: self.flags.append(sentence),
            now=lambda: NOW,
        )  # fmt: skip
        assert keep.sync_session(self.stripe.session.id)

    def claim(self) -> str:
        """The attempt that the client pays in."""
        attempt = {
            "invoice": self.invoice, "client": self.client, "amount": "100.00", "currency": "USD", "status": "pending",
            "method": "card", "open_claim": self.invoice, "checkout_session": self.stripe.session.id,
        }  # fmt: skip
        return str(self.directus.service.call("POST", "/items/payments?fields=id", attempt)["id"])

    def went_back(self, *reversals: StripeRefund | StripeDispute) -> None:
        """Stripe knows of these now."""
        self.stripe.reversals = Reversals(
            refunds=[found for found in reversals if isinstance(found, StripeRefund)],
            disputes=[found for found in reversals if isinstance(found, StripeDispute)],
        )

    def refund(self, name: str, minor: int, status: str = "succeeded", currency: str = "USD") -> StripeRefund:
        return StripeRefund(f"re_{name}_{self.key}", status, minor, currency, NOW, reason="duplicate")

    def dispute(self, name: str, minor: int, status: str = "needs_response") -> StripeDispute:
        return StripeDispute(
            f"du_{name}_{self.key}", status, minor, "USD", NOW, reason="fraudulent", evidence_due_by=NOW
        )

    # ---- what Directus has ------------------------------------------------------------------------------

    def payment(self) -> dict[str, Any]:
        """The only payment row of this transaction."""
        transaction = {"transaction_id": {"_eq": f"pi_{self.key}"}}
        (row,) = self.directus.admin.rows("/items/payments", fields="*", filter=transaction)
        return dict(row)

    def below(self, collection: str, columns: str, payment: str) -> list[dict[str, Any]]:
        rows = self.directus.admin.rows(
            f"/items/{collection}", fields=columns, filter={"payment": {"_eq": payment}}
        )
        return sorted(({**row, "amount": money(row["amount"])} for row in rows), key=str)

    def totals(self) -> tuple[str, str, str]:
        row = self.directus.admin.call(
            "GET", f"/items/invoices/{self.invoice}?fields=status,amount_paid,balance_due"
        )
        return row["status"], money(row["amount_paid"]), money(row["balance_due"])


def money(value: object) -> str:
    """SQLite answers with numbers, PostgreSQL with text."""
    return f"{Decimal(str(value)):.2f}"


def seconds(value: object) -> str:
    return str(value)[:19]


@pytest.fixture
def books(directus: RunningDirectus) -> Books:
    key, client = uuid.uuid4().hex, seed_id("client", "velazquez")
    row = {
        "invoice_number": f"R-{key[:12]}", "client": client, "currency": "USD", "status": "sent",
        "sent_at": "2026-11-01T10:00:00Z", "subtotal": "100.00", "tax": "0.00", "total": "100.00", "tax_rate": "0",
        "amount_paid": "0.00", "balance_due": "100.00", "pdf_status": "ready",
    }  # fmt: skip
    line = {"description": "Advice", "amount": "100.00", "kind": "fee"}
    invoice = directus.admin.call("POST", "/items/invoices?fields=id", {**row, "line_items": [line]})["id"]
    charge = Charge(f"ch_{key}", "succeeded", NOW, "USD", f"pi_{key}", "card", last4="4242")
    intent = PaymentIntent(f"pi_{key}", "succeeded", 10000, "USD", charge)
    metadata = {"deployment": "proof", "directus_invoice": invoice}
    session = CheckoutSession(f"cs_{key}", "complete", "paid", 10000, "USD", NOW, None, intent, metadata)
    return Books(directus, client, invoice, Account(session, Reversals()), [])


def in_currency(books: Books, currency: str) -> None:
    """The client paid in another currency."""
    session = books.stripe.session
    intent = session.payment_intent
    assert intent is not None
    assert intent.latest_charge is not None
    charge = replace(intent.latest_charge, currency=currency)
    books.stripe.session = replace(
        session, payment_intent=replace(intent, currency=currency, latest_charge=charge)
    )


# ---- below an invoice -----------------------------------------------------------------------------------


def test_a_payment_its_refunds_and_its_dispute_are_created_in_one_change_of_the_invoice(books: Books) -> None:
    books.went_back(
        books.refund("a", 3000), books.refund("b", 500, "pending"), books.dispute("a", 2000, "lost")
    )
    books.keep()
    row = books.payment()
    assert (row["invoice"], row["status"]) == (books.invoice, "succeeded")
    assert (money(row["amount_refunded"]), money(row["amount_disputed_lost"])) == ("35.00", "20.00")
    first, second = books.below("refunds", REFUND_COLUMNS, row["id"])
    assert {**first, "refunded_at": seconds(first["refunded_at"])} == {
        "stripe_refund": f"re_a_{books.key}", "amount": "30.00", "currency": "USD", "status": "succeeded",
        "reason": "duplicate", "refunded_at": "2026-11-20T15:00:00",
    }  # fmt: skip
    assert (second["amount"], second["status"]) == ("5.00", "pending")
    (dispute,) = books.below("payment_disputes", DISPUTE_COLUMNS, row["id"])
    assert {name: seconds(value) for name, value in dispute.items() if name.endswith(("_at", "_by"))} == {
        "evidence_due_by": "2026-11-20T15:00:00",
        "closed_at": "2026-11-20T15:00:00",
    }
    assert (dispute["amount"], dispute["status"], dispute["reason"]) == ("20.00", "lost", "fraudulent")
    assert books.totals() == ("partially_paid", "45.00", "55.00")


def test_they_are_created_and_updated_below_the_attempt_and_stay_where_they_are(books: Books) -> None:
    attempt = books.claim()
    books.went_back(books.refund("a", 3000, "pending"), books.dispute("a", 2000))
    books.keep()
    assert books.payment()["id"] == attempt
    assert books.totals() == ("partially_paid", "70.00", "30.00")
    books.went_back(
        books.refund("a", 3000, "failed"), books.refund("b", 1000), books.dispute("a", 2500, "lost")
    )
    books.keep()
    refunds = books.below("refunds", "stripe_refund,amount,status", attempt)
    assert [(row["amount"], row["status"]) for row in refunds] == [
        ("30.00", "failed"),
        ("10.00", "succeeded"),
    ]
    (dispute,) = books.below("payment_disputes", DISPUTE_COLUMNS, attempt)
    assert (dispute["amount"], dispute["status"]) == ("25.00", "lost")
    assert books.totals() == ("partially_paid", "65.00", "35.00")
    row = books.payment()
    assert (money(row["amount_refunded"]), money(row["amount_disputed_lost"])) == ("10.00", "25.00")
    assert row["open_claim"] is None


# ---- below no invoice -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("EUR", "100.00"),
        ("JPY", "10000.00"),
        pytest.param("INR", "100.00", id="one that no invoice may have"),
    ],
)
def test_an_unapplied_payment_is_created_with_what_went_back_on_it(
    books: Books, currency: str, amount: str
) -> None:
    in_currency(books, currency)
    books.went_back(books.refund("a", 4000, currency=currency))
    for _ in range(2):
        books.keep()
    row = books.payment()
    assert (row["invoice"], row["client"], row["currency"], money(row["amount"])) == (None, None, currency, amount)  # fmt: skip
    (refund,) = books.below("refunds", REFUND_COLUMNS, row["id"])
    assert (refund["currency"], refund["status"]) == (currency, "succeeded")
    assert money(row["amount_refunded"]) == refund["amount"]
    assert books.totals() == ("sent", "0.00", "100.00")


def test_a_refund_of_an_unapplied_payment_is_updated_where_it_is(books: Books) -> None:
    in_currency(books, "EUR")
    books.went_back(books.refund("a", 4000, "pending", "EUR"))
    books.keep()
    books.went_back(books.refund("a", 4000, "failed", "EUR"), books.refund("b", 100, "succeeded", "EUR"))
    books.keep()
    row = books.payment()
    refunds = books.below("refunds", "stripe_refund,amount,status", row["id"])
    assert [(refund["amount"], refund["status"]) for refund in refunds] == [("40.00", "failed"), ("1.00", "succeeded")]  # fmt: skip
    assert (row["invoice"], money(row["amount_refunded"])) == (None, "1.00")


# ---- all or nothing -------------------------------------------------------------------------------------


class Taken:
    """A row somewhere else that has Stripe's id of a refund or a dispute."""

    def __init__(self, books: Books, collection: str, name: str) -> None:
        self.books, self.collection = books, collection
        other = {
            "client": books.client, "invoice": books.invoice, "amount": "1.00", "currency": "USD",
            "status": "succeeded", "method": "check",
        }  # fmt: skip
        self.payment = books.directus.admin.call("POST", "/items/payments?fields=id", other)["id"]
        self.row = {"payment": self.payment, "amount": "1.00", "currency": "USD"} | (
            {"stripe_refund": name, "status": "succeeded"}
            if collection == "refunds"
            else {"stripe_dispute": name, "status": "needs_response"}
        )
        self.id: str | None = None

    def __call__(self) -> None:
        """Now it is there."""
        if self.id is None:
            path = f"/items/{self.collection}?fields=id"
            self.id = self.books.directus.admin.call("POST", path, self.row)["id"]

    def is_as_it_was(self) -> bool:
        path = f"/items/{self.collection}/{self.id}?fields=payment,amount"
        kept = self.books.directus.admin.call("GET", path)
        return (kept["payment"], money(kept["amount"])) == (self.payment, "1.00")


@pytest.mark.parametrize("collection", ["refunds", "payment_disputes"])
def test_what_is_booked_elsewhere_between_look_and_write_rolls_everything_back(
    books: Books, collection: str
) -> None:
    attempt = books.claim()
    refund, dispute = books.refund("a", 3000), books.dispute("a", 2000, "lost")
    taken = Taken(books, collection, refund.id if collection == "refunds" else dispute.id)
    before = books.directus.admin.call("GET", f"/items/payments/{attempt}")
    totals = books.totals()
    books.went_back(refund, dispute)
    books.before_writing = taken
    with pytest.raises(UpstreamUnavailable) as refused:
        books.keep()
    cause = refused.value.__cause__
    assert isinstance(cause, RecordNotUnique)
    column = "stripe_refund" if collection == "refunds" else "stripe_dispute"
    assert (cause.collection, cause.field) == (collection, column)
    assert books.directus.admin.call("GET", f"/items/payments/{attempt}") == before
    assert books.totals() == totals
    assert books.below("refunds", "amount", attempt) == []
    assert books.below("payment_disputes", "amount", attempt) == []
    assert taken.is_as_it_was()


@pytest.mark.parametrize("collection", ["refunds", "payment_disputes"])
def test_what_was_booked_elsewhere_is_named_and_the_rest_is_booked(books: Books, collection: str) -> None:
    attempt = books.claim()
    refund, dispute = books.refund("a", 3000), books.dispute("a", 2000, "lost")
    taken = Taken(books, collection, refund.id if collection == "refunds" else dispute.id)
    taken()
    books.went_back(refund, dispute)
    books.keep()
    (flag,) = [flag for flag in books.flags if str(books.key) in flag]
    assert "below another payment" in flag
    assert books.payment()["id"] == attempt
    expected = {"refunds": ["30.00"], "payment_disputes": ["20.00"]} | {collection: []}
    assert {
        name: [row["amount"] for row in books.below(name, "amount", attempt)] for name in expected
    } == expected
    assert taken.is_as_it_was()


def test_an_unapplied_payment_whose_refund_is_booked_elsewhere_is_not_created(books: Books) -> None:
    in_currency(books, "EUR")
    refund = books.refund("a", 4000, currency="EUR")
    attempt = books.claim()
    taken = {"payment": attempt, "amount": "40.00", "currency": "EUR", "status": "pending", "stripe_refund": refund.id}  # fmt: skip
    books.directus.admin.call("POST", "/items/refunds?fields=id", taken)
    money = Payment(
        "", Money(10000, "EUR"), PaymentStatus.SUCCEEDED, "card", transaction_id=f"pi_{books.key}"
    )
    back = Refund("", Money(4000, "EUR"), "pending", stripe_refund=refund.id)
    with pytest.raises(RecordNotUnique):
        books.store.create_payment(money, BookedReversals([back]))
    transaction = {"transaction_id": {"_eq": f"pi_{books.key}"}}
    assert books.directus.admin.rows("/items/payments", fields="id", filter=transaction) == []
