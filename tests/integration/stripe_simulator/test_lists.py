"""The lists a reconciliation goes through: filters, cursors, what is expanded in them, and what is refused."""

from typing import Any

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.charges import paid_charge
from tests.integration.stripe_simulator.support import RunningSimulator, Start, parameters


def test_every_movement_on_the_balance_is_listed_with_its_source(simulator: RunningSimulator) -> None:
    client = simulator.client()
    charge = paid_charge(simulator)
    refund = client.v1.refunds.create({"charge": charge.id, "amount": 2000})
    dispute = simulator.control(f"charges/{charge.id}/dispute", outcome="won")["dispute"]
    wait_for("the fee", lambda: client.v1.charges.retrieve(charge.id).balance_transaction)
    listed = client.v1.balance_transactions.list({"expand": ["data.source"], "limit": 100}).data
    moved = {
        (one.type, one.reporting_category, one.net, one.source.id)
        for one in listed
        if isinstance(one.source, stripe.Charge | stripe.Refund | stripe.Dispute)
    }
    assert moved == {
        ("charge", "charge", 10000 - 320, charge.id),
        ("refund", "refund", -2000, refund.id),
        ("adjustment", "dispute", -8000 - 1500, dispute),
        ("adjustment", "dispute_reversal", 8000, dispute),
    }
    transactions = client.v1.balance_transactions
    assert [one.source for one in transactions.list({"type": "refund"}).data] == [refund.id]
    assert len(transactions.list({"source": dispute}).data) == 2
    assert len(transactions.list({"currency": "usd"}).data) == 4
    assert transactions.list({"currency": "eur"}).data == []
    now = listed[0].created
    assert transactions.list({"created": {"gt": now + 60}}).data == []
    assert len(transactions.list({"created": {"gte": now - 60, "lte": now + 60}}).data) == 4


def test_payments_are_listed_with_their_charges(simulator: RunningSimulator) -> None:
    client = simulator.client()
    charges = [paid_charge(simulator) for _ in range(3)]
    intents = client.v1.payment_intents.list(
        {"created": {"gte": charges[0].created - 60}, "expand": ["data.latest_charge"], "limit": 2}
    )
    found = [one.latest_charge for one in intents.auto_paging_iter()]
    assert [one.id for one in found if isinstance(one, stripe.Charge)] == [one.id for one in charges[::-1]]
    assert client.v1.payment_intents.list({"created": {"lt": charges[0].created - 60}}).data == []


def test_sessions_are_listed_down_to_the_fee_and_no_deeper(simulator: RunningSimulator) -> None:
    client = simulator.client()
    charge = paid_charge(simulator)
    wait_for("the fee", lambda: client.v1.charges.retrieve(charge.id).balance_transaction)
    deepest = "data.payment_intent.latest_charge.balance_transaction"
    (session,) = client.v1.checkout.sessions.list({"expand": [deepest]}).data
    assert isinstance(session.payment_intent, stripe.PaymentIntent)
    assert isinstance(session.payment_intent.latest_charge, stripe.Charge)
    transaction = session.payment_intent.latest_charge.balance_transaction
    assert isinstance(transaction, stripe.BalanceTransaction)
    assert transaction.fee == 320
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        client.v1.checkout.sessions.list({"expand": [f"{deepest}.source"]})


def test_sessions_are_found_by_the_payers_address(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    made = sessions.create(parameters(customer_email="one@example.com"))
    sessions.create(parameters(customer_email="two@example.com"))
    assert [one.id for one in sessions.list({"customer_details": {"email": "one@example.com"}}).data] == [
        made.id
    ]


def test_a_page_goes_on_after_an_object_the_filter_leaves_out(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    made = [sessions.create(parameters()).id for _ in range(4)]
    sessions.expire(made[2])
    page = sessions.list({"status": "open", "starting_after": made[2], "limit": 1})
    assert ([one.id for one in page.data], page.has_more) == ([made[1]], True)
    page = sessions.list({"status": "open", "ending_before": made[0], "limit": 1})
    assert ([one.id for one in page.data], page.has_more) == ([made[1]], True)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sessions.list({"starting_after": made[1], "ending_before": made[2]})
    assert refused.value.param == "ending_before"


def test_a_cursor_of_another_kind_is_refused(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.refunds.list({"starting_after": charge.id})
    assert (refused.value.param, refused.value.code) == ("starting_after", "resource_missing")


def test_events_are_listed_by_at_most_twenty_types(simulator: RunningSimulator) -> None:
    events = simulator.client().v1.events
    paid_charge(simulator)
    many: Any = ["charge.succeeded", *(f"invoice.{number}" for number in range(20))]
    assert [one.type for one in events.list({"types": many[:20]}).data] == ["charge.succeeded"]
    with pytest.raises(stripe.InvalidRequestError) as too_many:
        events.list({"types": many})
    assert too_many.value.param == "types"
    with pytest.raises(stripe.InvalidRequestError):
        events.list({"types": many[:1], "type": "charge.*"})
    for nothing in ("charge.[s]*", "charge.succeede?", "charge", "CHARGE.*"):
        assert events.list({"type": nothing}).data == []


def test_undelivered_events_are_found_among_many(start: Start) -> None:
    simulator = start()
    events = simulator.client().v1.events
    for _ in range(3):
        paid_charge(simulator)
    simulator.settled()
    simulator.control("deliveries", lose=1000)
    lost = [simulator.control(f"charges/{paid_charge(simulator).id}/refund")["events"] for _ in range(2)]
    found = events.list({"delivery_success": False, "types": ["refund.created", "charge.refunded"]}).data
    assert [one.id for one in found[::-1]] == [name for names in lost for name in names]
    delivered = events.list({"delivery_success": True, "types": ["refund.created"]}).data
    assert delivered == []
