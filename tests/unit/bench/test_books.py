"""The auditor finds what he must find: lost, doubled, invented, different."""

from collections.abc import Sequence
from typing import Any

import pytest

from bench.books import AtStripe, Findings, paid_by_invoice
from bench.traffic import Kind, Plan

PLAN = Plan(number=1, kind=Kind.CARD, currency="USD", total=20_000, client=0)

EXPECTED = {"cs_1": ("invoice", "10.00"), "cs_2": ("invoice", "20.00")}
FOUND = [("cs_1", ("invoice", "10.00")), ("cs_2", ("invoice", "20.00"))]


def compared(found: Sequence[tuple[str, tuple[str, ...]]]) -> Findings:
    findings = Findings()
    findings.compare("payment", EXPECTED, found)
    return findings


def test_all_is_well_when_each_fact_is_one_row() -> None:
    findings = compared(FOUND)
    assert findings.all_is_well
    assert findings.compared == {"payment": 2}


def test_a_missing_row_is_lost() -> None:
    findings = compared(FOUND[:1])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (1, 0, 0)
    assert findings.sentences()[0].startswith("lost: payment cs_2")


def test_a_row_that_is_there_twice_is_doubled() -> None:
    findings = compared([*FOUND, FOUND[0]])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 1, 0)


def test_a_row_of_nobody_is_doubled() -> None:
    findings = compared([*FOUND, ("cs_3", ("invoice", "10.00"))])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 1, 0)
    assert not findings.all_is_well


def test_a_cent_makes_a_difference() -> None:
    findings = compared([FOUND[0], ("cs_2", ("invoice", "20.01"))])
    assert (len(findings.lost), len(findings.doubled), len(findings.different)) == (0, 0, 1)


def stripe_with(**changes: Any) -> AtStripe:
    """One session of a payment of 100.00 dollars, with what else is given."""
    intent = {"id": "pi_1", "status": "succeeded", "amount_received": 10_000, "currency": "usd"}
    session = {"id": "cs_1", "payment_intent": "pi_1", "metadata": {"directus_invoice": "invoice"}}
    given: dict[str, Any] = {
        "sessions": {"cs_1": session},
        "open_sessions": frozenset(),
        "intents": {"pi_1": intent},
        "refunds": {},
        "disputes": {},
    }
    return AtStripe(**{**given, **changes})


def of(amount: int, status: str) -> dict[str, Any]:
    return {"payment_intent": "pi_1", "amount": amount, "status": status}


@pytest.mark.parametrize(
    ("refunds", "disputes", "paid"),
    [
        ([], [], 10_000),
        ([of(2_500, "succeeded"), of(500, "pending")], [], 7_000),
        ([of(2_500, "failed"), of(500, "canceled")], [], 10_000),
        ([], [of(10_000, "lost")], 0),
        ([], [of(10_000, "won"), of(10_000, "needs_response")], 10_000),
        ([of(2_500, "succeeded")], [of(10_000, "lost")], 0),
    ],
)
def test_what_an_invoice_was_paid_is_what_stripe_kept(
    refunds: list[dict[str, Any]], disputes: list[dict[str, Any]], paid: int
) -> None:
    stripe = stripe_with(
        refunds={f"re_{number}": one for number, one in enumerate(refunds)},
        disputes={f"du_{number}": one for number, one in enumerate(disputes)},
    )
    assert paid_by_invoice([PLAN], {1: "invoice"}, {}, stripe)["invoice"] == paid


def test_an_unpaid_intent_and_another_invoices_wire_pay_nothing() -> None:
    intent = {"id": "pi_1", "status": "processing", "amount_received": 0, "currency": "usd"}
    stripe = stripe_with(intents={"pi_1": intent})
    assert paid_by_invoice([PLAN], {1: "invoice"}, {"W-1": ("other", "7.00")}, stripe)["invoice"] == 0


def test_a_wire_counts_beside_what_stripe_kept() -> None:
    wires = {"W-1": ("invoice", "7.01")}
    assert paid_by_invoice([PLAN], {1: "invoice"}, wires, stripe_with())["invoice"] == 10_701
