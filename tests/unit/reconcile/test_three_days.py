"""Three days in which no webhook arrives and no run happens: one run reaches the rows that they would have made."""

from __future__ import annotations

from typing import Any

from tests.unit.reconcile.house import House, kinds, settled

NAMES = ("paid", "refunded", "debited", "failed", "lost", "expired")
INVOICES = {name: f"a{number}000000-0000-4000-8000-000000000001" for number, name in enumerate(NAMES)}
COMPARED = {
    "invoices": ("id", "status", "amount_paid", "balance_due"),
    "payments": (
        "invoice", "status", "amount", "method", "transaction_id", "checkout_session", "open_claim", "payment_date", "fee",
        "last4", "amount_refunded", "amount_disputed_lost", "failure_reason", "note",
    ),
    "refunds": ("stripe_refund", "status", "amount", "reason"),
    "payment_disputes": ("stripe_dispute", "status", "amount", "reason"),
}  # fmt: skip


def three_days(*, told: bool) -> House:
    """A card, what goes back on one, debits that end well and badly, a lost dispute and an attempt nobody pays in."""
    house = House()
    sessions: dict[str, str] = {}
    for name, invoice in INVOICES.items():
        house.invoice("100.00", id=invoice, invoice_number=name)
        row = house.directus.put(
            "payments", invoice=invoice, client=house.stored(invoice)["client"], amount="100.00", currency="USD",
            status="pending", method="card", open_claim=invoice,
        )  # fmt: skip
        metadata = {"deployment": "test", "directus_invoice": invoice, "directus_payment": row["id"]}
        row["checkout_session"] = sessions[name] = house.stripe.makes_session(10000, "USD", metadata)
    stripe = house.stripe

    def later(hours: float) -> None:
        if told:
            house.deliver(event for event in stripe.events if event.event not in stripe.delivered)
        stripe.delivered |= {event.event for event in stripe.events}
        house.queue.sent.clear()
        house.passes(hours=hours)

    for name in ("debited", "failed"):
        stripe.debits(sessions[name])
    for name in ("paid", "refunded", "lost"):
        stripe.pays(sessions[name])
    later(1)
    for name in ("paid", "refunded", "lost"):
        stripe.learns_fee(sessions[name], 320)
    refund = stripe.refunds_payment(sessions["refunded"], 2500)
    again = stripe.refunds_payment(sessions["refunded"], 1000, status="pending")
    dispute = stripe.disputes_payment(sessions["lost"])
    later(30)
    stripe.retrieve_session(sessions["expired"])  # its time is over
    stripe.refund_becomes(again, "succeeded")
    later(20)
    stripe.settles(sessions["debited"], succeeds=True)
    stripe.settles(sessions["failed"], succeeds=False)
    stripe.learns_fee(sessions["debited"], 80)
    stripe.dispute_becomes(dispute, "lost")
    stripe.refund_becomes(refund, "failed")
    later(20.5)
    return house


#: What is known of a debit that failed only if somebody looked while it was under way.
UNDER_WAY = frozenset({"method", "transaction_id", "payment_date", "last4"})


def rows(house: House) -> dict[str, list[dict[str, Any]]]:
    def compared(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        passed_over = UNDER_WAY if row["status"] == "failed" else frozenset()
        return {name: row[name] for name in names if name not in passed_over}

    return {
        collection: sorted(
            (compared(row, names) for row in house.directus.table(collection).values()), key=str
        )
        for collection, names in COMPARED.items()
    }


def test_one_run_after_three_days_reaches_the_rows_that_every_webhook_would_have_made() -> None:
    told, untold = three_days(told=True), three_days(told=False)
    assert rows(untold) != rows(told)
    assert settled(told) == ([], [])
    repaired, differences = settled(untold)
    assert {"payment_missing", "attempt_expired", "payment_status_differs"} <= set(kinds(repaired))
    assert differences == []
    assert rows(untold) == rows(told)
    shown = {row["id"]: (row["status"], row["amount_paid"]) for row in rows(untold)["invoices"]}
    assert shown == {
        INVOICES["paid"]: ("paid", "100.00"),
        INVOICES["refunded"]: ("partially_paid", "90.00"),
        INVOICES["debited"]: ("paid", "100.00"),
        INVOICES["failed"]: ("sent", "0.00"),
        INVOICES["lost"]: ("sent", "0.00"),
        INVOICES["expired"]: ("sent", "0.00"),
    }
