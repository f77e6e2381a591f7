"""Refunds and disputes on the deployed stack, told by webhooks or found by reconcile."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from local.demo import steps
from local.demo.people import pay_on_the_page
from local.waiting import wait_for
from tests.e2e.paid_invoices import money, paid, sent, shows

if TYPE_CHECKING:
    from local.demo.steps import Firm


def below(firm: Firm, collection: str, payment: dict[str, Any]) -> list[dict[str, Any]]:
    return firm.administrator.list(collection, {"payment": {"_eq": payment["id"]}})


def test_refunds_open_the_invoice_again_each_with_one_row(firm: Firm) -> None:
    invoice, payment = paid(firm)
    first = steps.refund(firm, payment, 25000)
    shows(firm, invoice, "partially_paid", "250.00")
    second = steps.refund(firm, payment)
    row = shows(firm, invoice, "sent", "1000.00")
    assert money(row["amount_paid"]) == 0
    found = below(firm, "refunds", payment)
    assert sorted(
        (r["stripe_refund"], str(money(r["amount"])), r["currency"], r["status"]) for r in found
    ) == sorted(
        [(first["refund"], "250.00", "USD", "succeeded"), (second["refund"], "750.00", "USD", "succeeded")]
    )
    (again,) = steps.payments_of(firm, invoice)
    assert again["status"] == "succeeded"
    assert money(again["amount"]) == money(again["amount_refunded"]) == Decimal("1000.00")
    reopened = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert (reopened.status, reopened.json["amount"]) == (200, "1000.00")


def test_a_refund_that_fails_later_counts_no_more(firm: Firm) -> None:
    invoice, payment = paid(firm)
    made = steps.refund(firm, payment, 40000)
    shows(firm, invoice, "partially_paid", "400.00")
    firm.simulator("POST", f"/_test/refunds/{made['refund']}/settle", {"outcome": "fail"})
    shows(firm, invoice, "paid", "0.00")
    (row,) = below(firm, "refunds", payment)
    assert row["status"] == "failed"


@pytest.mark.parametrize(
    ("outcome", "status", "balance"), [("won", "paid", "0.00"), ("lost", "partially_paid", "300.00")]
)
def test_a_dispute_counts_once_it_is_lost(firm: Firm, outcome: str, status: str, balance: str) -> None:
    invoice, payment = paid(firm)
    opened = steps.dispute(firm, payment, "open", 30000)
    (row,) = wait_for("the dispute's row", lambda: below(firm, "payment_disputes", payment))
    assert (row["stripe_dispute"], row["status"]) == (opened["dispute"], "needs_response")
    shows(firm, invoice, "paid", "0.00")
    firm.simulator("POST", f"/_test/disputes/{opened['dispute']}/close", {"outcome": outcome})
    wait_for("the end", lambda: below(firm, "payment_disputes", payment)[0]["status"] == outcome)
    shows(firm, invoice, status, balance)


def test_what_no_webhook_told_is_found_and_booked_by_reconcile(firm: Firm) -> None:
    refunded, payment = paid(firm)
    with steps.webhooks_lost(firm):
        unpaid = sent(firm, "640.00")
        started = firm.clients[0].pay(firm.flow("pay_invoice"), unpaid).json
        steps.refund(firm, payment, 10000)
        assert pay_on_the_page(started["url"], steps.GOOD_CARD).status == 303
    assert firm.administrator.read("invoices", unpaid)["status"] == "sent"
    answer = firm.invoke("reconcile", {})
    assert {"payment_missing", "refund_missing"} <= {found["kind"] for found in answer["repaired"]}, answer
    shows(firm, unpaid, "paid", "0.00")
    shows(firm, refunded, "partially_paid", "100.00")
    (booked,) = steps.payments_of(firm, unpaid)
    assert booked["status"] == "succeeded"
    assert (money(booked["amount"]), money(booked["fee"])) == (Decimal("640.00"), Decimal("18.86"))
    wait_for("the queue", lambda: steps.is_empty(firm, "stripe_events"))
    again = firm.invoke("reconcile", {})
    mine = {refunded, unpaid, payment["id"], booked["id"]}
    assert not [found for found in (*again["repaired"], *again["differences"]) if mine & set(found.values())]
