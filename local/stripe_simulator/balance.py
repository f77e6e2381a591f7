"""The account's balance: every movement of money is one balance transaction, with Stripe's fee on it."""

from local.stripe_simulator.store import StripeObject
from local.stripe_simulator.world import World

_SETTLEMENT_DAYS = 2 * 24 * 60 * 60


def book(
    world: World,
    *,
    amount: int,
    currency: str,
    kind: str,
    category: str,
    source: str,
    fee: int = 0,
    fee_for: str = "Stripe processing fees",
    description: str | None = None,
) -> StripeObject:
    """A new balance transaction.

    `amount` and `fee` in minor units of `currency`: `amount` is negative when money leaves the balance, `fee` is
    what Stripe takes on top. `kind` and `category` are Stripe's `type` and `reporting_category`; `source` is the
    id of the charge, refund or dispute that moved the money.
    """
    details = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": fee_for,
        "type": "stripe_fee",
    }
    return world.store.put(
        {
            "id": world.new_id("txn_3", 23),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": world.now() + _SETTLEMENT_DAYS,
            "balance_type": "payments",
            "created": world.now(),
            "currency": currency,
            "description": description,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [details] if fee else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source,
            "status": "pending",
            "type": kind,
        }
    )
