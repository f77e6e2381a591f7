"""Builders and fakes for the tests of reconciliation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from billing.core.ledger import Invoice, InvoiceStatus, Ledger, LineItem, Payment, PaymentStatus
from billing.core.money import Money
from billing.core.stripe_objects import CheckoutSession, PaymentIntent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.core.reconciliation import EventRow, NoticeRow, OpenAttempt, UnreadableRow

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
INVOICE = "0b1c2d3e-0000-4000-8000-000000000001"
PAYMENT = "0b1c2d3e-0000-4000-8000-0000000000a1"
LONG_AGO = NOW - timedelta(minutes=16)
JUST_NOW = NOW - timedelta(minutes=14)


def usd(text: str) -> Money:
    return Money.from_decimal(Decimal(text), "USD")


def session(
    status: str = "complete",
    payment_status: str = "paid",
    *,
    amount: int = 10000,
    currency: str = "USD",
    intent: str | None = "succeeded",
    deployment: str = "main",
) -> CheckoutSession:
    return CheckoutSession(
        id="cs_1",
        status=status,
        payment_status=payment_status,
        amount_total=amount,
        currency=currency,
        expires_at=NOW + timedelta(hours=1),
        payment_intent=PaymentIntent("pi_1", intent, amount, currency) if intent else None,
        metadata={"directus_invoice": INVOICE, "directus_payment": PAYMENT, "deployment": deployment},
    )


def row(
    status: PaymentStatus = PaymentStatus.SUCCEEDED,
    *,
    key: str = PAYMENT,
    amount: Money | None = None,
    claim: bool = False,
    checkout_session: str | None = "cs_1",
    transaction_id: str | None = None,
    expires_at: datetime | None = None,
    invoice: str | None = INVOICE,
) -> Payment:
    return Payment(
        id=key,
        amount=amount or usd("100.00"),
        status=status,
        method="card",
        invoice=invoice,
        transaction_id=transaction_id,
        checkout_session=checkout_session,
        open_claim=INVOICE if claim else None,
        expires_at=expires_at,
    )


def ledger(
    status: InvoiceStatus = InvoiceStatus.SENT,
    *,
    payments: Sequence[Payment] = (),
    pdf_status: str = "ready",
    sent_at: datetime | None = LONG_AGO,
    total: str = "100.00",
    paid: str = "0.00",
    balance: str = "100.00",
) -> Ledger:
    return Ledger(
        invoice=Invoice(
            id=INVOICE,
            invoice_number="INV-1",
            client="client-1",
            currency="USD",
            status=status,
            tax_rate=Decimal(0),
            subtotal=usd(total),
            tax=usd("0.00"),
            total=usd(total),
            amount_paid=usd(paid),
            balance_due=usd(balance),
            sent_at=sent_at,
            pdf_status=pdf_status,
        ),
        line_items=[LineItem("line-1", usd("100.00"))],
        payments=payments,
    )


@dataclass
class Rows:
    """`ReconcileRows` in memory."""

    payments: list[Payment | UnreadableRow] = field(default_factory=list)
    attempts: list[OpenAttempt | UnreadableRow] = field(default_factory=list)
    unapplied: list[Payment | UnreadableRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    notices: list[NoticeRow] = field(default_factory=list)
    ledgers: list[list[Ledger | UnreadableRow]] = field(default_factory=list)

    def payments_of(self, sessions: Sequence[CheckoutSession]) -> list[Payment | UnreadableRow]:
        return self.payments if sessions else []

    def open_attempts(self) -> list[OpenAttempt | UnreadableRow]:
        return self.attempts

    def unapplied_payments(self) -> list[Payment | UnreadableRow]:
        return self.unapplied

    def unfinished_events(self) -> list[EventRow]:
        return self.events

    def unsettled_notices(self) -> list[NoticeRow]:
        return self.notices

    def sent_ledgers(self) -> Iterator[list[Ledger | UnreadableRow]]:
        yield from self.ledgers


@dataclass
class Stripe:
    """`StripeSessions` in memory."""

    sessions: list[CheckoutSession] = field(default_factory=list)
    asked_since: datetime | None = None

    def sessions_created_since(self, since: datetime) -> Iterator[CheckoutSession]:
        self.asked_since = since
        yield from self.sessions


@dataclass
class DeadLetters:
    """`DeadLetters` in memory."""

    queues: dict[str, int] = field(default_factory=dict)

    def depths(self) -> dict[str, int]:
        return self.queues


def kinds(differences: Any) -> list[str]:
    return [difference.kind for difference in differences]
