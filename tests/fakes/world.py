"""A small firm with one client and one invoice, the use cases of the money path, and Stripe beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.directus.client import DirectusClient
from billing.errors import BillingError
from billing.ledger.ledger import Ledger
from billing.messages import StripeEvent
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.checkout import CheckoutTerms
from billing.payments.start_checkout import CheckoutRequest, StartCheckout, StartedCheckout
from billing.payments.store import BillingStore
from billing.payments.write_invoice import InvoiceWriter
from tests.fakes.directus import FakeDirectus, FixedToken, Row
from tests.fakes.messages import carry_out
from tests.fakes.queues import FakeInvoiceQueue, FakeWorkQueue
from tests.fakes.steps import Steps
from tests.fakes.stripe import FakeStripe

CLIENT = "c1000000-0000-4000-8000-000000000001"
OTHER_CLIENT = "c2000000-0000-4000-8000-000000000002"
USER = "d1000000-0000-4000-8000-000000000001"
OTHER_USER = "d2000000-0000-4000-8000-000000000002"
STAFF = "d3000000-0000-4000-8000-000000000003"
INVOICE = "a1000000-0000-4000-8000-000000000001"
TERMS = CheckoutTerms(
    deployment="test",
    return_url="https://firm.example/paid",
    allowed_payment_method_types=("card", "us_bank_account"),
    portal_origins=("https://portal.example", "http://localhost:8055"),
)


@dataclass
class World:
    """`now` is moved by the test. Every call to the outside counts in `steps`."""

    time: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    steps: Steps = field(default_factory=Steps)
    flags: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    parked: list[BillingError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directus = FakeDirectus(self.steps)
        self.stripe = FakeStripe(self.now, self.steps)
        self.queue = FakeInvoiceQueue(self.steps)
        self.rendering = FakeWorkQueue(self.steps)
        client = DirectusClient("http://directus", FixedToken(), self.directus.http, sleep=lambda _: None)
        self.store = BillingStore(client)
        self.start_checkout = StartCheckout(self.store, self.stripe, self.queue, TERMS, now=self.now)
        self.invoice_writer = InvoiceWriter(
            self.store,
            self.stripe,
            self.rendering,
            "test",
            lambda sentence, ids: self.flags.append((sentence, ids)),
            now=self.now,
        )
        self.apply_event = ApplyStripeEvent(
            self.store, self.stripe, self.invoice_writer, self.queue, "test", self.parked.append, now=self.now
        )
        self.directus.put("clients", id=CLIENT, name="Client One", timezone="America/New_York")
        self.directus.put("clients", id=OTHER_CLIENT, name="Client Two")
        self._user(USER, CLIENT)
        self._user(OTHER_USER, OTHER_CLIENT)
        self._user(STAFF, None)

    def _user(self, user: str, client: str | None, status: str = "active") -> None:
        self.directus.table("directus_users")[user] = {"id": user, "client": client, "status": status}

    def now(self) -> datetime:
        return self.time

    def passes(self, **duration: float) -> None:
        """Time passes."""
        self.time += timedelta(**duration)

    # ---- rows -------------------------------------------------------------------------------------------

    def invoice(
        self, *lines: str, status: str = "sent", sent: bool = True, currency: str = "USD", **columns: Any
    ) -> Row:
        """An invoice of the client with these line amounts; `sent` says that the writer has seen it sent."""
        key = columns.pop("id", INVOICE)
        total = f"{sum(map(Decimal, lines or ('100.00',))):.2f}"
        amounts: Row = {"subtotal": total, "tax": "0.00", "total": total, "tax_rate": 0}
        if sent:
            amounts |= {
                "sent_at": "2026-11-01T10:00:00+00:00", "pdf_status": "ready",
                "amount_paid": "0.00", "balance_due": total,
            }  # fmt: skip
        row = self.directus.put(
            "invoices",
            **{
                "id": key, "invoice_number": f"2026-{key[:4]}", "client": CLIENT, "currency": currency,
                "status": status, **amounts, **columns,
            },
        )  # fmt: skip
        for amount in lines or ("100.00",):
            self.line(amount, invoice=key)
        return row

    def line(self, amount: str, *, invoice: str = INVOICE, kind: str = "fee") -> Row:
        """One more line."""
        return self.directus.put(
            "line_items", invoice=invoice, amount=amount, kind=kind, description="Legal advice"
        )

    def payment(self, amount: str, *, status: str = "succeeded", **columns: Any) -> Row:
        """A payment that staff entered."""
        return self.directus.put(
            "payments",
            **{
                "invoice": INVOICE, "client": CLIENT, "currency": "USD", "method": "wire",
                "amount": amount, "status": status, **columns,
            },
        )  # fmt: skip

    def stored(self, invoice: str = INVOICE) -> Row:
        """The invoice's row as it is now."""
        return self.directus.table("invoices")[invoice]

    def payments(self, **columns: Any) -> list[Row]:
        """Payment rows with these values."""
        return [
            row
            for row in self.directus.table("payments").values()
            if all(row[name] == value for name, value in columns.items())
        ]

    def ledger(self, invoice: str = INVOICE) -> Ledger:
        """The invoice's ledger as the functions read it."""
        ledger = self.store.ledger(invoice)
        assert ledger is not None
        return ledger

    # ---- what people and queues do ----------------------------------------------------------------------

    def pay(self, amount: object | None = None, *, user: str = USER, **request: Any) -> StartedCheckout:
        """A client asks to pay."""
        return self.start_checkout(CheckoutRequest(INVOICE, user, amount, **request))

    def recompute(self, invoice: str = INVOICE, *, payments: Sequence[str] = ()) -> None:
        """`payments` are those that staff have entered or changed."""
        self.invoice_writer.recompute(invoice, payments=payments)

    def deliver(self, events: Iterable[StripeEvent] | None = None) -> None:
        """Every event goes through the worker, then the queue is emptied."""
        for event in list(self.stripe.events if events is None else events):
            self.apply_event(event)
        self.drain()

    def drain(self) -> None:
        """The worker empties the queue of invoice work."""
        while self.queue.sent:
            message, _, _ = self.queue.sent.pop(0)
            carry_out(message, self.invoice_writer, self.apply_event)


def opened(amount: str | None = None, *, status: str = "sent") -> tuple[World, str]:
    """A sent invoice over 100.00 with an open session, and an empty queue."""
    world = World()
    world.invoice("100.00", status=status)
    session = world.pay(amount).checkout_session
    world.drain()
    return world, session
