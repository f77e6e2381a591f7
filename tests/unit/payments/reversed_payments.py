"""Payments on which something goes back, and what the books say of them; for the tests beside this file."""

from collections.abc import Sequence
from typing import Any

from tests.fakes.world import INVOICE, World, opened

SECOND = "a2000000-0000-4000-8000-000000000002"
REFUND_COLUMNS = ("stripe_refund", "amount", "currency", "status", "reason")
DISPUTE_COLUMNS = ("stripe_dispute", "amount", "currency", "status", "reason")
PAYMENT_COLUMNS = (
    "transaction_id", "checkout_session", "amount", "currency", "status", "open_claim", "invoice", "client",
    "amount_refunded", "amount_disputed_lost", "note", "payment_date",
)  # fmt: skip


def rows(world: World, collection: str, names: Sequence[str]) -> list[dict[str, Any]]:
    found = world.directus.table(collection).values()
    return sorted(({name: row[name] for name in names} for row in found), key=str)


def summary(world: World) -> dict[str, Any]:
    """Everything that must depend on Stripe and nothing else."""
    of = {row["id"]: row["transaction_id"] for row in world.payments()}
    return {
        "invoice": {name: world.stored()[name] for name in ("status", "amount_paid", "balance_due")},
        "payments": [
            # null and nothing are the same where a column is derived
            {
                **row,
                "amount_refunded": row["amount_refunded"] or "0.00",
                "amount_disputed_lost": row["amount_disputed_lost"] or "0.00",
            }
            for row in rows(world, "payments", PAYMENT_COLUMNS)
        ],
        "refunds": rows(world, "refunds", REFUND_COLUMNS),
        "disputes": rows(world, "payment_disputes", DISPUTE_COLUMNS),
        "below": sorted(
            str(of[row["payment"]])
            for collection in ("refunds", "payment_disputes")
            for row in world.directus.table(collection).values()
        ),
    }


def paid(amount: str | None = None) -> tuple[World, str]:
    """An invoice over 100.00 whose payment is booked; Stripe's events are forgotten."""
    world, session = opened(amount)
    world.stripe.pays(session)
    world.deliver()
    world.stripe.events.clear()
    return world, session


def unapplied() -> tuple[World, str]:
    """90.00 EUR were paid for an invoice in dollars, and are booked below no invoice."""
    world, session = opened()
    world.stripe.pays(session, minor=9000, currency="EUR")
    world.deliver()
    world.stripe.events.clear()
    return world, session


def booked(world: World) -> dict[str, Any]:
    """The only payment that succeeded."""
    (row,) = world.payments(status="succeeded")
    return row


def totals(world: World, invoice: str = INVOICE) -> tuple[str, str, str]:
    row = world.stored(invoice)
    return row["status"], row["amount_paid"], row["balance_due"]


def booked_through_stripe(world: World) -> dict[str, Any]:
    (row,) = [row for row in world.payments(status="succeeded") if row["transaction_id"]]
    return row
