"""Refunds by the SDK, by the Dashboard, of cards and of bank debits, and those that fail afterwards."""

from typing import Any

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.charges import events_of, paid_charge
from tests.integration.stripe_simulator.support import Receiver, RunningSimulator, Start, parameters

UPDATED = ["refund.updated", "charge.refund.updated"]


def newest_events(simulator: RunningSimulator, count: int) -> list[Any]:
    """The last events, oldest first."""
    listed = simulator.client().v1.events.list({"limit": count}).data
    return [event.to_dict(for_json=True) for event in listed[::-1]]


def test_a_card_refund_of_everything_succeeds_at_once(start: Start) -> None:
    simulator = start(fee_delay=3600.0)
    client = simulator.client()
    charge = paid_charge(simulator)
    refund = client.v1.refunds.create(
        {"charge": charge.id, "reason": "requested_by_customer", "metadata": {"by": "staff"}},
        {"idempotency_key": "refund-1"},
    )
    assert refund.id.startswith("re_")
    assert (refund.status, refund.amount, refund.currency) == ("succeeded", 10000, "usd")
    assert (refund.charge, refund.payment_intent) == (charge.id, charge.payment_intent)
    assert refund.metadata is not None
    assert (refund.reason, refund.metadata.to_dict()) == ("requested_by_customer", {"by": "staff"})
    after = client.v1.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded, after.status) == (10000, True, "succeeded")
    created, refunded = newest_events(simulator, 2)
    assert (created["type"], refunded["type"]) == ("refund.created", "charge.refunded")
    assert created["data"]["object"]["id"] == refund.id
    assert created["request"]["idempotency_key"] == "refund-1"
    assert created["request"]["id"] == refunded["request"]["id"] is not None
    assert refunded["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}
    assert "refunds" not in refunded["data"]["object"]
    assert refunded["data"]["object"]["metadata"]["directus_invoice"] == "42"


def test_a_refund_takes_its_amount_from_the_balance_and_no_fee_comes_back(
    simulator: RunningSimulator,
) -> None:
    charge = paid_charge(simulator)
    created = simulator.client().v1.refunds.create(
        {"charge": charge.id, "amount": 2500, "expand": ["balance_transaction"]}
    )
    transaction = created.balance_transaction
    assert isinstance(transaction, stripe.BalanceTransaction)
    assert (transaction.amount, transaction.fee, transaction.net) == (-2500, 0, -2500)
    assert (transaction.type, transaction.reporting_category, transaction.source) == (
        "refund", "refund", created.id,
    )  # fmt: skip


def test_several_partial_refunds_add_up_and_stop_at_the_charge(simulator: RunningSimulator) -> None:
    refunds = simulator.client().v1.refunds
    charge = paid_charge(simulator)
    intent = str(charge.payment_intent)
    refunds.create({"payment_intent": intent, "amount": 3000})
    refunds.create({"payment_intent": intent, "amount": 4500})
    after = simulator.client().v1.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded) == (7500, False)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount") as too_much:
        refunds.create({"payment_intent": intent, "amount": 2501})
    assert (too_much.value.http_status, too_much.value.param) == (400, "amount")
    assert refunds.create({"payment_intent": intent}).amount == 2500
    for amount in (1, 10000):
        with pytest.raises(stripe.InvalidRequestError) as nothing_left:
            refunds.create({"payment_intent": intent, "amount": amount})
        assert nothing_left.value.code == "charge_already_refunded"
    snapshots = simulator.client().v1.events.list({"type": "charge.refunded"}).data
    totals = [event.data.object["amount_refunded"] for event in snapshots]
    assert totals == [10000, 7500, 3000]


@pytest.mark.parametrize(
    ("given", "parameter", "code"),
    [
        ({}, "charge", "parameter_missing"),
        ({"charge": "ch_unknown"}, "charge", "resource_missing"),
        ({"payment_intent": "pi_unknown"}, "payment_intent", "resource_missing"),
        ({"amount": 0}, "amount", "parameter_invalid_integer"),
        ({"amount": -5}, "amount", "parameter_invalid_integer"),
        ({"amount": "12.50"}, "amount", "parameter_invalid_integer"),
        ({"reason": "bored"}, "reason", None),
        ({"metadata": {"k" * 41: "x"}}, f"metadata[{'k' * 40}]", None),
    ],
)
def test_what_stripe_refuses_of_a_refund_is_refused(
    simulator: RunningSimulator, given: dict[str, Any], parameter: str, code: str | None
) -> None:
    charge = paid_charge(simulator)
    named = {} if not given or "charge" in given or "payment_intent" in given else {"charge": charge.id}
    wanted: Any = {**named, **given}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.refunds.create(wanted)
    assert (refused.value.param, refused.value.code) == (parameter, code)
    assert simulator.client().v1.refunds.list().data == []


def test_a_refund_parameter_that_is_not_simulated_is_never_ignored(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    with pytest.raises(stripe.APIError) as refused:
        simulator.client().v1.refunds.create({"charge": charge.id, "reverse_transfer": True})
    assert refused.value.http_status == 501


def test_only_money_that_arrived_is_refunded(simulator: RunningSimulator) -> None:
    client = simulator.client()
    wanted = parameters(allowed_payment_method_types=["card", "us_bank_account"])
    session = client.v1.checkout.sessions.create(wanted)
    intent = simulator.control(f"checkout/sessions/{session.id}/pay", method="us_bank_account")[
        "payment_intent"
    ]
    charge = client.v1.charges.list({"payment_intent": intent}).data[0]
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        client.v1.refunds.create({"payment_intent": intent})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": charge.id})
    assert refused.value.code == "charge_not_refundable"


def test_the_same_key_refunds_once_and_another_amount_under_it_is_refused(
    simulator: RunningSimulator,
) -> None:
    refunds = simulator.client().v1.refunds
    charge = paid_charge(simulator)
    once = refunds.create({"charge": charge.id, "amount": 100}, {"idempotency_key": "refund-1"})
    again = refunds.create({"charge": charge.id, "amount": 100}, {"idempotency_key": "refund-1"})
    assert again.id == once.id
    with pytest.raises(stripe.IdempotencyError):
        refunds.create({"charge": charge.id, "amount": 200}, {"idempotency_key": "refund-1"})
    assert simulator.client().v1.charges.retrieve(charge.id).amount_refunded == 100


def test_what_the_state_of_a_charge_forbade_stays_forbidden_under_the_same_key(
    simulator: RunningSimulator,
) -> None:
    refunds = simulator.client().v1.refunds
    charge = paid_charge(simulator, method="us_bank_account")
    first = refunds.create({"charge": charge.id})
    with pytest.raises(stripe.InvalidRequestError):
        refunds.create({"charge": charge.id}, {"idempotency_key": "refund-2"})
    simulator.control(f"refunds/{first.id}/settle", outcome="fail")
    with pytest.raises(stripe.InvalidRequestError) as still:
        refunds.create({"charge": charge.id}, {"idempotency_key": "refund-2"})
    assert still.value.code == "charge_already_refunded"
    assert refunds.create({"charge": charge.id}, {"idempotency_key": "refund-3"}).amount == 10000


def test_a_refund_whose_answer_is_lost_is_there_once_after_the_retry(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    simulator.control("fail_next", fault="lose_answer", operation="POST /v1/refunds")
    refund = simulator.client(max_network_retries=2).v1.refunds.create({"charge": charge.id, "amount": 100})
    assert [one.id for one in simulator.client().v1.refunds.list().data] == [refund.id]


def test_the_networks_reference_of_a_card_refund_is_announced_later(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    charge = paid_charge(simulator)
    refund = simulator.client().v1.refunds.create({"charge": charge.id})
    wait_for("the update of the refund", lambda: set(UPDATED) <= set(receiver.types()))
    updated = next(event for event in receiver.events if event["type"] == "refund.updated")
    twin = next(event for event in receiver.events if event["type"] == "charge.refund.updated")
    assert updated["data"] == twin["data"]
    assert updated["id"] != twin["id"]
    assert updated["data"]["object"]["id"] == refund.id
    assert updated["data"]["object"]["destination_details"]["card"]["reference_status"] == "available"
    assert updated["request"]["id"] is None


def test_a_bank_refund_is_pending_until_the_bank_has_taken_it(simulator: RunningSimulator) -> None:
    client = simulator.client()
    charge = paid_charge(simulator, method="us_bank_account")
    assert charge.id.startswith("py_")
    refund = client.v1.refunds.create(
        {"charge": charge.id, "amount": 4000, "expand": ["balance_transaction"]}
    )
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert isinstance(refund.balance_transaction, stripe.BalanceTransaction)
    assert refund.balance_transaction.type == "payment_refund"
    assert client.v1.charges.retrieve(charge.id).amount_refunded == 4000
    done = simulator.control(f"refunds/{refund.id}/settle", outcome="succeed")
    assert (done["refund"], done["charge"], done["status"]) == (refund.id, charge.id, "succeeded")
    assert [event["type"] for event in events_of(simulator, done["events"])] == UPDATED
    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert client.v1.charges.retrieve(charge.id).amount_refunded == 4000


@pytest.mark.parametrize("method", ["card", "us_bank_account"])
def test_a_refund_that_fails_gives_the_money_back(simulator: RunningSimulator, method: str) -> None:
    client = simulator.client()
    charge = paid_charge(simulator, method=method)
    client.v1.refunds.create({"charge": charge.id, "amount": 1000})
    refund = client.v1.refunds.create({"charge": charge.id})
    assert client.v1.charges.retrieve(charge.id).refunded
    failed = simulator.control(f"refunds/{refund.id}/settle", outcome="fail")
    assert [event["type"] for event in events_of(simulator, failed["events"])] == [*UPDATED, "refund.failed"]
    after = client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (after.status, after.failure_reason) == ("failed", "unknown")
    back = after.failure_balance_transaction
    assert isinstance(back, stripe.BalanceTransaction)
    assert (back.type, back.net, back.source) == ("refund_failure", 9000, refund.id)
    charge = client.v1.charges.retrieve(charge.id)
    assert (charge.amount_refunded, charge.refunded) == (1000, False)
    assert client.v1.refunds.create({"charge": charge.id}).amount == 9000  # it can be tried again


def test_a_refund_that_succeeded_can_fail_later_and_nothing_else(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator, method="us_bank_account")
    refund = simulator.client().v1.refunds.create({"charge": charge.id})
    simulator.control(f"refunds/{refund.id}/settle", outcome="succeed")
    for outcome in ("succeed", "cancel"):
        path = f"/_test/refunds/{refund.id}/settle"
        assert simulator.call("POST", path, json={"outcome": outcome}).status_code == 400
    simulator.control(f"refunds/{refund.id}/settle", outcome="fail")
    assert simulator.client().v1.charges.retrieve(charge.id).amount_refunded == 0
    again = simulator.call("POST", f"/_test/refunds/{refund.id}/settle", json={"outcome": "fail"})
    assert again.status_code == 400


def test_a_pending_refund_can_be_canceled_in_the_dashboard_but_not_by_the_api(
    simulator: RunningSimulator,
) -> None:
    client = simulator.client()
    charge = paid_charge(simulator, method="us_bank_account")
    refund = client.v1.refunds.create({"charge": charge.id})
    with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
        client.v1.refunds.cancel(refund.id)
    simulator.control(f"refunds/{refund.id}/settle", outcome="cancel")
    assert client.v1.refunds.retrieve(refund.id).status == "canceled"
    assert client.v1.charges.retrieve(charge.id).amount_refunded == 0


def test_a_refund_of_the_dashboard_names_no_request(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    made = simulator.control(f"charges/{charge.id}/refund", amount=700, reason="duplicate")
    announced = events_of(simulator, made["events"])
    assert [event["type"] for event in announced] == ["refund.created", "charge.refunded"]
    assert [event["request"] for event in announced] == [{"id": None, "idempotency_key": None}] * 2
    refund = simulator.client().v1.refunds.retrieve(made["refund"])
    assert (refund.amount, refund.reason, refund.charge) == (700, "duplicate", charge.id)
    for wrong in ({"amount": 0}, {"amount": "1"}, {"amount": True}, {"reason": "bored"}, {"bogus": 1}):
        assert simulator.call("POST", f"/_test/charges/{charge.id}/refund", json=wrong).status_code == 400


def test_a_charge_tells_its_refunds_only_when_asked(simulator: RunningSimulator) -> None:
    client = simulator.client()
    charge = paid_charge(simulator)
    made = [client.v1.refunds.create({"charge": charge.id, "amount": amount}).id for amount in (1, 2)]
    assert "refunds" not in client.v1.charges.retrieve(charge.id)
    expand = ["latest_charge.refunds.data.balance_transaction"]
    intent = client.v1.payment_intents.retrieve(str(charge.payment_intent), {"expand": expand})
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.refunds is not None
    told = intent.latest_charge.refunds.data
    assert [one.id for one in told] == made[::-1]
    assert isinstance(told[0].balance_transaction, stripe.BalanceTransaction)


def test_refunds_are_listed_by_charge_and_payment_intent(simulator: RunningSimulator) -> None:
    refunds = simulator.client().v1.refunds
    first, second = paid_charge(simulator), paid_charge(simulator)
    mine = [refunds.create({"charge": first.id, "amount": amount}).id for amount in (1, 2, 3)]
    other = refunds.create({"charge": second.id, "amount": 4})
    assert [one.id for one in refunds.list({"charge": first.id}).data] == mine[::-1]
    by_intent = refunds.list(
        {"payment_intent": str(second.payment_intent), "expand": ["data.payment_intent", "data.charge"]}
    )
    assert [one.id for one in by_intent.data] == [other.id]
    assert isinstance(by_intent.data[0].payment_intent, stripe.PaymentIntent)
    assert isinstance(by_intent.data[0].charge, stripe.Charge)
    assert [one.id for one in refunds.list({"limit": 3}).auto_paging_iter()] == [other.id, *mine[::-1]]
    assert refunds.list({"created": {"gt": other.created + 60}}).data == []
