"""Test cards whose payments are disputed, inquired about or warned of afterwards."""

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.charges import events_of, paid_charge
from tests.integration.stripe_simulator.support import Receiver, RunningSimulator, Start, parameters


def paid_with(simulator: RunningSimulator, number: str) -> stripe.Charge:
    session = simulator.client().v1.checkout.sessions.create(parameters())
    assert session.url is not None
    assert simulator.post_form(session.url, number=number, method="card").status_code == 303
    (charge,) = simulator.client().v1.charges.list().data
    assert charge.status == "succeeded"
    return charge


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        ("4000000000000259", "needs_response", "fraudulent"),
        ("4000000000002685", "needs_response", "product_not_received"),
        ("4000000000001976", "warning_needs_response", "fraudulent"),
    ],
)
def test_a_card_pays_and_its_payment_is_disputed_later(
    simulator: RunningSimulator, number: str, status: str, reason: str
) -> None:
    charge = paid_with(simulator, number)
    disputes = simulator.client().v1.disputes
    found = wait_for("the dispute", lambda: disputes.list({"charge": charge.id}).data)
    assert [(one.status, one.reason) for one in found] == [(status, reason)]
    assert simulator.client().v1.charges.retrieve(charge.id).disputed


def test_a_card_pays_and_its_issuer_warns_later(simulator: RunningSimulator, receiver: Receiver) -> None:
    charge = paid_with(simulator, "4000000000005423")
    wait_for("the warning", lambda: "radar.early_fraud_warning.created" in receiver.types())
    warnings = simulator.client().v1.radar.early_fraud_warnings
    (warning,) = warnings.list({"charge": charge.id}).data
    assert (warning.actionable, warning.charge, warning.payment_intent) == (
        True, charge.id, charge.payment_intent,
    )  # fmt: skip
    (found,) = warnings.list({"payment_intent": str(charge.payment_intent), "expand": ["data.charge"]}).data
    assert isinstance(found.charge, stripe.Charge)
    assert warnings.retrieve(warning.id).fraud_type == "made_with_stolen_card"
    assert warnings.list({"charge": "ch_other"}).data == []


def test_what_a_card_promises_waits_for_its_time(start: Start) -> None:
    simulator = start(fee_delay=3600.0)
    charge = paid_with(simulator, "4000000000000259")
    assert simulator.client().v1.disputes.list().data == []
    simulator.control(f"charges/{charge.id}/dispute", outcome="won")
    simulator.control("advance", seconds=3600)  # disputed already: nothing comes of the card's own
    assert len(simulator.client().v1.disputes.list().data) == 1


@pytest.mark.parametrize("how", ["refund", "dispute"])
def test_a_warning_is_no_longer_actionable_once_it_came_true(simulator: RunningSimulator, how: str) -> None:
    charge = paid_charge(simulator)
    made = simulator.control(f"charges/{charge.id}/early_fraud_warning")
    answer = simulator.control(
        f"charges/{charge.id}/{how}", **({"outcome": "open"} if how == "dispute" else {})
    )
    assert events_of(simulator, answer["events"])[-1]["type"] == "radar.early_fraud_warning.updated"
    warning = simulator.client().v1.radar.early_fraud_warnings.retrieve(made["early_fraud_warning"])
    assert not warning.actionable


def test_issuers_warn_of_card_payments_only_and_once(simulator: RunningSimulator) -> None:
    bank = paid_charge(simulator, method="us_bank_account")
    refused = simulator.call("POST", f"/_test/charges/{bank.id}/early_fraud_warning", json={})
    assert refused.status_code == 400
    card = paid_charge(simulator)
    simulator.control(f"charges/{card.id}/early_fraud_warning")
    second = simulator.call("POST", f"/_test/charges/{card.id}/early_fraud_warning", json={})
    assert second.status_code == 501
