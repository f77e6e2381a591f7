"""Whatever was lost and whatever an administrator did to the payment rows: repairs end, and the rest is named alike.

What an invoice shows as paid is what Stripe has received for it and not given back, and what the firm entered itself; or
a difference names the invoice or one of its payments. `make soak` tries more of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.ledger import LOST_DISPUTE
from tests.unit.reconcile.house import House, settled

INVOICES = [f"a{number}000000-0000-4000-8000-000000000001" for number in range(1, 4)]

#: What happened to an invoice at Stripe.
HAPPENINGS = st.sampled_from(
    ["opened", "expired", "paid", "paid less", "paid in euros", "debited", "debit failed", "debit paid", "refunded",
     "refund failed", "disputed", "lost"]
)  # fmt: skip
#: What somebody did to a row behind everybody's back.
DAMAGE = st.sampled_from(
    [
        {"status": "canceled"}, {"status": "failed"}, {"status": "succeeded"}, {"status": "pending"},
        {"status": "processing"}, {"open_claim": None}, {"transaction_id": None}, {"transaction_id": "pi_invented"},
        {"checkout_session": None}, {"checkout_session": None, "transaction_id": None}, {"amount": "41.00"},
        {"checkout_session": "cs_invented"}, {"method": "wire"}, {"client": None}, {"amount_refunded": "3.00"}, {"fee": None},
        {"invoice": INVOICES[0]}, {"invoice": None}, {"note": None},
    ]
)  # fmt: skip
#: What the firm received by wire on each invoice, besides what was paid through Stripe.
BY_WIRE = Decimal("7.00")
LIVES = st.lists(st.tuples(HAPPENINGS, st.booleans(), st.lists(DAMAGE, max_size=2)), min_size=1, max_size=3)


def happens(house: House, what: str, session: str) -> None:
    stripe = house.stripe
    match what:
        case "expired":
            stripe.expires(session)
        case "paid less":
            stripe.pays(session, minor=5000)
        case "paid in euros":
            stripe.pays(session, currency="EUR")
        case "debited" | "debit failed" | "debit paid":
            stripe.debits(session)
            if what != "debited":
                stripe.settles(session, succeeds=what == "debit paid")
        case "paid" | "refunded" | "refund failed" | "disputed" | "lost":
            stripe.pays(session)
            stripe.learns_fee(session, 320)
            if what.startswith("refund"):
                refund = stripe.refunds_payment(session, 2500)
                if what == "refund failed":
                    stripe.refund_becomes(refund, "failed")
            elif what != "paid":
                stripe.disputes_payment(session, status="lost" if what == "lost" else "needs_response")


def lived(lives: list[tuple[str, bool, list[dict[str, Any]]]]) -> House:
    """A firm after these lives: what happened to each invoice, whether webhooks told of it, and the damage since."""
    house = House()
    for invoice, (what, told, _) in zip(INVOICES, lives, strict=False):
        house.invoice("100.00", "7.00", id=invoice)
        house.payment(str(BY_WIRE), id=_wire(invoice), invoice=invoice)
        attempt = {
            "invoice": invoice, "client": house.stored(invoice)["client"], "amount": "100.00", "currency": "USD",
            "status": "pending", "method": "card", "open_claim": invoice,
        }  # fmt: skip
        row = house.directus.put("payments", **attempt)
        metadata = {"deployment": "test", "directus_invoice": invoice, "directus_payment": row["id"]}
        row["checkout_session"] = house.stripe.makes_session(10000, "USD", metadata)
        happens(house, what, row["checkout_session"])
        if told:
            house.deliver(event for event in house.stripe.events if event.event not in house.stripe.delivered)
        house.drop_webhooks()
    for invoice, (_, _, damage) in zip(INVOICES, lives, strict=False):
        for row in [row for row in house.payments(invoice=invoice) if row["id"] != _wire(invoice)][:1]:
            for change in damage:
                # Of an open attempt only time helps against a session that Stripe does not know, and against a claim on
                # the invoice that it was moved away from.
                booked = row["status"] == "succeeded"
                if booked or not ("invoice" in change or change.get("checkout_session")):
                    row.update(_unique(change, invoice))
    return house


def _wire(invoice: str) -> str:
    return invoice.replace("-8000-", "-9000-")


def _unique(change: dict[str, Any], invoice: str) -> dict[str, Any]:
    """Both columns hold a value once."""
    invented = {"pi_invented", "cs_invented"}
    return {name: f"{value}_{invoice[:2]}" if value in invented else value for name, value in change.items()}


def after_one_run(house: House) -> list[dict[str, str]]:
    """What is left once the repairs of one run are worked off: the next ones repair nothing and report the same.

    A payment that is booked now may belong to no invoice: that is seen only then.
    """
    house.run()
    house.work_off()
    house.follow()
    house.deliver(event for event in house.stripe.events if event.event not in house.stripe.delivered)
    house.drop_webhooks()
    assert house.failed == []
    repaired, left = settled(house)
    assert repaired == []
    return left


def received(house: House, invoice: str) -> Decimal:
    """What Stripe has received for the invoice in its currency and not given back, and what came by wire."""
    minor = 0
    for session in house.stripe.sessions.values():
        intent = session.payment_intent
        if session.invoice != invoice or intent is None or intent.currency != "USD":
            continue
        back = [
            one.amount
            for one in house.stripe.refunds.values()
            if one.payment_intent == intent.id and one.status not in {"failed", "canceled"}
        ]
        back += [
            one.amount
            for one in house.stripe.disputes.values()
            if one.payment_intent == intent.id and one.status in LOST_DISPUTE
        ]
        minor += max(0, intent.amount_received - sum(back))
    return Decimal(minor) / 100 + BY_WIRE


def unexplained(house: House, left: list[dict[str, str]]) -> list[str]:
    """Invoices that show something else than was received, though no difference names them or a payment of theirs."""
    named = {value for entry in left for value in entry.values()}
    return [
        invoice
        for invoice, row in house.directus.table("invoices").items()
        if Decimal(row["amount_paid"]) != received(house, invoice) and not named & names_of(house, invoice)
    ]


def names_of(house: House, invoice: str) -> set[str]:
    """The invoice, its payments, and what was paid for it at Stripe, wherever that stands now."""
    made_for = [session for session in house.stripe.sessions.values() if session.invoice == invoice]
    names = {invoice, *(row["id"] for row in house.payments(invoice=invoice))}
    names |= {str(name) for session in made_for for name in (session.id, session.attempt)}
    return names | {session.payment_intent.id for session in made_for if session.payment_intent is not None}


@given(LIVES)
def test_repairs_end_and_what_is_left_is_named_alike(
    lives: list[tuple[str, bool, list[dict[str, Any]]]],
) -> None:
    house = lived(lives)
    left = after_one_run(house)
    assert unexplained(house, left) == []


@given(st.lists(st.tuples(HAPPENINGS, st.booleans(), st.just([])), min_size=1, max_size=3))
def test_what_was_merely_lost_is_repaired_wholly(lives: list[Any]) -> None:
    """Only money that no invoice can take, or that is not what was asked for, is left for people."""
    house = lived(lives)
    assert {entry["kind"] for entry in after_one_run(house)} <= {"payment_unapplied", "payment_flagged"}
    assert unexplained(house, []) == []
