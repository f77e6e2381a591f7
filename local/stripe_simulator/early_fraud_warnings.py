"""Early fraud warnings: the card issuer suspects fraud before the charge is disputed. No money moves."""

from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.store import StripeObject
from local.stripe_simulator.world import World


def create(world: World, charge: StripeObject) -> StripeObject:
    """A warning about a paid card charge; 400 for any other charge, `NotSimulated` for a second warning."""
    if charge["status"] != "succeeded" or charge["payment_method_details"]["type"] != "card":
        message = f"Charge {charge['id']} is not a succeeded card payment, so it has no fraud warning."
        raise StripeError(400, message, parameter="charge")
    if "_early_fraud_warning" in charge:
        raise NotSimulated("A second early fraud warning about one charge")
    warning = world.store.put(
        {
            "id": world.new_id("issfr_1", 23),
            "object": "radar.early_fraud_warning",
            "actionable": not charge["disputed"] and not charge["refunded"],
            "charge": charge["id"],
            "created": world.now(),
            "fraud_type": "made_with_stolen_card",
            "livemode": False,
            "payment_intent": charge["payment_intent"],
        }
    )
    charge["_early_fraud_warning"] = warning["id"]
    world.store.put(charge)
    world.announce("radar.early_fraud_warning.created", warning)
    return warning


def came_true(world: World, charge: StripeObject) -> None:
    """Nothing can be done about a warning any more once its charge is disputed or refunded whole."""
    if "_early_fraud_warning" not in charge:
        return
    warning = world.find(charge["_early_fraud_warning"], "radar.early_fraud_warning")
    if warning["actionable"]:
        warning["actionable"] = False
        world.store.put(warning)
        world.announce("radar.early_fraud_warning.updated", warning, previous={"actionable": True})
