"""A charge that was paid, and the events about it."""

from typing import Any

import stripe

from tests.integration.stripe_simulator.support import RunningSimulator, parameters


def paid_charge(simulator: RunningSimulator, *, amount: int = 10000, method: str = "card") -> stripe.Charge:
    """A charge that has succeeded, through Checkout."""
    wanted = parameters(amount=amount, allowed_payment_method_types=["card", "us_bank_account"])
    session = simulator.client().v1.checkout.sessions.create(wanted)
    intent = simulator.control(f"checkout/sessions/{session.id}/pay", method=method)["payment_intent"]
    if method == "us_bank_account":
        simulator.control(f"payment_intents/{intent}/settle", outcome="succeed")
    charges = simulator.client().v1.charges.list({"payment_intent": intent}).data
    assert [charge.status for charge in charges] == ["succeeded"]
    return charges[0]


def events_of(simulator: RunningSimulator, names: list[str]) -> list[Any]:
    return [simulator.client().v1.events.retrieve(name).to_dict(for_json=True) for name in names]
