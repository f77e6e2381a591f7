"""Builders and fakes for the tests of reconciliation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from billing.documents.versions import DocumentRow
from billing.ledger.ledger import InvoiceStatus, Ledger, LineItem, Payment, PaymentStatus
from billing.reconcile.differences import Redriven
from billing.stripe.objects import CheckoutSession, PaymentIntent
from tests.builders import sent_invoice, usd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from billing.money import Money
    from billing.reconcile.differences import Difference
    from billing.reconcile.report import PrintableReport
from billing.reconcile.run import name_of

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
INVOICE = "0b1c2d3e-0000-4000-8000-000000000001"
OTHER_INVOICE = "0b1c2d3e-0000-4000-8000-000000000002"
PAYMENT = "0b1c2d3e-0000-4000-8000-0000000000a1"
OTHER_PAYMENT = "0b1c2d3e-0000-4000-8000-0000000000a2"
CLIENT = "client-1"
LONG_AGO = NOW - timedelta(minutes=16)
JUST_NOW = NOW - timedelta(minutes=14)
DOCUMENT = DocumentRow("document-1", 1, "file-1", invoice=INVOICE)


def session(
    status: str = "complete",
    payment_status: str = "paid",
    *,
    amount: int = 10000,
    currency: str = "USD",
    intent: str | None = "succeeded",
    deployment: str = "main",
    key: str = "cs_1",
) -> CheckoutSession:
    return CheckoutSession(
        id=key,
        status=status,
        payment_status=payment_status,
        amount_total=amount,
        currency=currency,
        expires_at=NOW + timedelta(hours=1),
        payment_intent=PaymentIntent("pi_1", intent, amount if intent == "succeeded" else 0, currency)
        if intent
        else None,
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
    fee: Money | None = None,
) -> Payment:
    return Payment(
        id=key,
        amount=amount or usd("100.00"),
        status=status,
        method="card",
        invoice=invoice,
        client=CLIENT if invoice else None,
        transaction_id=transaction_id,
        checkout_session=checkout_session,
        open_claim=INVOICE if claim else None,
        expires_at=expires_at,
        fee=fee,
    )


def booked(**columns: Any) -> Payment:
    """A payment of the session `cs_1` as the invoice writer books it."""
    return row(**{"transaction_id": "pi_1", **columns})


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
        invoice=sent_invoice(
            INVOICE,
            status=status,
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


def kinds(differences: Iterable[Difference]) -> list[str]:
    return [difference.kind for difference in differences]


def repairs(differences: Iterable[Difference]) -> list[str | None]:
    """The kind of repair of each difference."""
    return [None if found.repair is None else name_of(found.repair) for found in differences]


@dataclass
class FakeDeadLetters:
    """`DeadLetters` in memory: `queues` holds depths; those in `stuck` have come back too often, in `again` before."""

    queues: dict[str, int] = field(default_factory=dict)
    stuck: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None

    def depths(self) -> Mapping[str, int]:
        return dict(self.queues)

    def redrive(self, name: str, *, at_most: int) -> Redriven:
        if self.error is not None:
            raise self.error
        left = self.stuck.get(name, 0)
        redriven = min(at_most, self.queues[name] - left)
        self.queues[name] -= redriven
        return Redriven(redriven, left, self.again.pop(name, 0))


@dataclass
class FakeReports:
    """`Reports` in memory; what the newest one says is not stored again."""

    stored: list[PrintableReport] = field(default_factory=list)
    error: Exception | None = None

    def publish(self, report: PrintableReport) -> str | None:
        if self.error is not None:
            raise self.error
        if self.stored and list(self.stored[-1].differences) == list(report.differences):
            return None
        self.stored.append(report)
        return f"report-{len(self.stored)}"


@dataclass
class FakeContinuation:
    """`Continuation` in memory."""

    events: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    def hand_over(self, event: Mapping[str, object]) -> None:
        if self.error is not None:
            raise self.error
        self.events.append(dict(event))

    def taken(self) -> list[dict[str, Any]]:
        """The events so far, each once."""
        taken, self.events = self.events, []
        return taken


@dataclass
class FakeNotes:
    """`RunNotes` in memory, as JSON: what comes back is what S3 would give."""

    kept: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None

    def keep(self, notes: Mapping[str, Collection[str]]) -> str:
        if self.error is not None:
            raise self.error
        name = f"notes-{len(self.kept) + 1}"
        self.kept[name] = json.dumps({kind: sorted(ids) for kind, ids in notes.items()})
        return name

    def recall(self, name: str) -> Mapping[str, Collection[str]]:
        if self.error is not None:
            raise self.error
        notes: dict[str, list[str]] = json.loads(self.kept[name])
        return notes
