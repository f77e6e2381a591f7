"""Disputes and inquiries: opened, won, lost, closed, and what they do to the balance."""

from typing import Any

import pytest
import stripe

from tests.integration.stripe_simulator.charges import events_of, paid_charge
from tests.integration.stripe_simulator.support import RunningSimulator, parameters

OPENED = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def disputed(simulator: RunningSimulator, charge: stripe.Charge, **given: Any) -> tuple[Any, list[str]]:
    """The dispute as the API tells it, and the types of the events that were announced."""
    answer = simulator.control(f"charges/{charge.id}/dispute", **{"outcome": "open", **given})
    assert (answer["charge"], answer["payment_intent"]) == (charge.id, charge.payment_intent)
    types = [event["type"] for event in events_of(simulator, answer["events"])]
    return simulator.client().v1.disputes.retrieve(answer["dispute"]), types


def closed(simulator: RunningSimulator, dispute: Any, outcome: str) -> tuple[Any, list[str]]:
    answer = simulator.control(f"disputes/{dispute.id}/close", outcome=outcome)
    types = [event["type"] for event in events_of(simulator, answer["events"])]
    return simulator.client().v1.disputes.retrieve(answer["dispute"]), types


def test_an_open_dispute_takes_the_money_and_a_fee(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    dispute, types = disputed(simulator, charge)
    assert types == OPENED
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 10000, "fraudulent")
    assert dispute.evidence_details.due_by > dispute.created
    (taken,) = dispute.balance_transactions
    assert (taken.amount, taken.fee, taken.net) == (-10000, 1500, -11500)
    assert (taken.type, taken.reporting_category) == ("adjustment", "dispute")
    assert taken.source == dispute.id
    after = simulator.client().v1.charges.retrieve(charge.id)
    assert (after.disputed, after.amount_refunded, after.status) == (True, 0, "succeeded")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_disputed"


def test_a_lost_dispute_gives_nothing_back(simulator: RunningSimulator) -> None:
    dispute, types = disputed(simulator, paid_charge(simulator), outcome="lost", reason="duplicate")
    assert types == [*OPENED, "charge.dispute.closed"]
    assert (dispute.status, dispute.reason) == ("lost", "duplicate")
    assert [one.net for one in dispute.balance_transactions] == [-11500]


def test_a_won_dispute_gives_the_money_back_but_not_the_fee(simulator: RunningSimulator) -> None:
    dispute, types = disputed(simulator, paid_charge(simulator), outcome="won")
    assert types == [
        *OPENED, "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_reinstated",
    ]  # fmt: skip
    assert dispute.status == "won"
    assert [one.net for one in dispute.balance_transactions] == [-11500, 10000]
    assert dispute.balance_transactions[1].reporting_category == "dispute_reversal"


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_an_open_dispute_is_closed_later_and_once(simulator: RunningSimulator, outcome: str) -> None:
    dispute, _ = disputed(simulator, paid_charge(simulator))
    refused = simulator.call(
        "POST", f"/_test/disputes/{dispute.id}/close", json={"outcome": "warning_closed"}
    )
    assert refused.status_code == 400
    after, types = closed(simulator, dispute, outcome)
    assert after.status == outcome
    assert "charge.dispute.closed" in types
    again = simulator.call("POST", f"/_test/disputes/{dispute.id}/close", json={"outcome": outcome})
    assert again.status_code == 400


def test_a_part_of_a_charge_can_be_disputed(simulator: RunningSimulator) -> None:
    dispute, _ = disputed(simulator, paid_charge(simulator), amount=2500, outcome="lost")
    assert dispute.amount == 2500
    assert [one.net for one in dispute.balance_transactions] == [-4000]


def test_what_was_refunded_is_not_disputed_unless_it_is_said(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    simulator.client().v1.refunds.create({"charge": charge.id, "amount": 4000})
    dispute, _ = disputed(simulator, charge)
    assert dispute.amount == 6000
    other = paid_charge(simulator)
    simulator.client().v1.refunds.create({"charge": other.id})
    assert disputed(simulator, other, amount=10000)[0].amount == 10000  # refunded and disputed crossed


def test_an_inquiry_moves_no_money_and_allows_a_refund(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    inquiry, types = disputed(simulator, charge, inquiry=True)
    assert types == ["charge.dispute.created"]
    assert (inquiry.status, inquiry.balance_transactions) == ("warning_needs_response", [])
    assert inquiry.is_charge_refundable
    simulator.client().v1.refunds.create({"charge": charge.id, "amount": 100})
    after, types = closed(simulator, inquiry, "warning_closed")
    assert (after.status, types) == ("warning_closed", ["charge.dispute.closed"])
    assert after.balance_transactions == []


def test_an_inquiry_can_become_a_dispute_and_be_lost(simulator: RunningSimulator) -> None:
    inquiry, _ = disputed(simulator, paid_charge(simulator), inquiry=True)
    after, types = closed(simulator, inquiry, "lost")
    assert types == [
        "charge.dispute.updated", "charge.dispute.funds_withdrawn", "charge.dispute.closed",
    ]  # fmt: skip
    assert (after.id, after.status, after.is_charge_refundable) == (inquiry.id, "lost", False)
    assert [one.net for one in after.balance_transactions] == [-11500]


def test_a_bank_debit_can_be_disputed(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator, method="us_bank_account")
    dispute, _ = disputed(simulator, charge, outcome="lost", reason="debit_not_authorized")
    assert (dispute.status, dispute.charge) == ("lost", charge.id)
    assert "payment_method_details" not in dispute


def test_what_cannot_be_disputed(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    path = f"/_test/charges/{charge.id}/dispute"
    for wrong in (
        {},
        {"outcome": "perhaps"},
        {"outcome": "open", "amount": 10001},
        {"outcome": "open", "amount": 0},
        {"outcome": "open", "amount": 1.5},
        {"outcome": "open", "inquiry": "yes"},
        {"outcome": "open", "reason": "bored"},
        {"outcome": "warning_closed"},  # no inquiry
        {"outcome": "open", "bogus": 1},
    ):
        assert simulator.call("POST", path, json=wrong).status_code == 400
    assert simulator.client().v1.disputes.list().data == []
    assert not simulator.client().v1.charges.retrieve(charge.id).disputed
    assert simulator.call("POST", "/_test/charges/ch_x/dispute", json={"outcome": "open"}).status_code == 404
    simulator.control(f"charges/{charge.id}/dispute", outcome="won")
    second = simulator.call("POST", path, json={"outcome": "open"})
    assert second.status_code == 501
    assert "second dispute" in second.json()["error"]["message"]


def test_a_charge_without_money_cannot_be_disputed(simulator: RunningSimulator) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card", outcome="fail")
    failed = client.v1.charges.list().data[0]
    answer = simulator.call("POST", f"/_test/charges/{failed.id}/dispute", json={"outcome": "lost"})
    assert answer.status_code == 400


def test_disputes_are_listed_by_charge_and_payment_intent(simulator: RunningSimulator) -> None:
    disputes = simulator.client().v1.disputes
    first, second = paid_charge(simulator), paid_charge(simulator)
    one, _ = disputed(simulator, first)
    two, _ = disputed(simulator, second)
    assert [found.id for found in disputes.list({"limit": 1}).auto_paging_iter()] == [two.id, one.id]
    assert [found.id for found in disputes.list({"charge": first.id}).data] == [one.id]
    by_intent = disputes.list(
        {"payment_intent": str(second.payment_intent), "expand": ["data.payment_intent", "data.charge"]}
    ).data
    assert [found.id for found in by_intent] == [two.id]
    assert isinstance(by_intent[0].payment_intent, stripe.PaymentIntent)
    assert isinstance(by_intent[0].charge, stripe.Charge)
    assert disputes.list({"created": {"lt": one.created - 60}}).data == []


def test_ageing_moves_the_deadline_of_a_dispute(simulator: RunningSimulator) -> None:
    dispute, _ = disputed(simulator, paid_charge(simulator))
    simulator.control("advance", seconds=86400)
    after = simulator.client().v1.disputes.retrieve(dispute.id)
    assert after.created == dispute.created - 86400
    assert after.evidence_details.due_by == dispute.evidence_details.due_by - 86400
    assert after.balance_transactions[0].created == dispute.balance_transactions[0].created - 86400
