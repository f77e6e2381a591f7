"""Whatever is refunded, fails, is disputed, won or lost, in any order: the simulator's books add up."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.stripe_simulator import checkout_sessions, disputes, early_fraud_warnings, payments, refunds
from local.stripe_simulator.errors import StripeError
from local.stripe_simulator.openapi import StripeDocument
from local.stripe_simulator.store import Store
from local.stripe_simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

AMOUNT = 10000
SESSION: dict[str, Any] = {
    "mode": "payment",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {"currency": "usd", "unit_amount": AMOUNT, "product_data": {"name": "Invoice"}},
        }
    ],
    "success_url": "https://portal.example/paid",
}


def paid_charge(world: World, method: payments.Method) -> str:
    number = {"card": "4242424242424242", "us_bank_account": "000123456789"}[method]
    with world.change():
        session = checkout_sessions.create(world, SESSION)
        intent = payments.pay(world, session, method=method, number=number).payment_intent
        if method == "us_bank_account":
            payments.settle(world, world.find(intent, "payment_intent"), succeeds=True)
    (charge,) = world.store.newest_first("charge")
    identifier: str = charge["id"]
    return identifier


def step(world: World, charge: str, action: str, amount: int, which: int) -> None:
    """One thing that somebody tries; what Stripe refuses changes nothing."""
    made = world.store.newest_first("refund")
    opened = world.store.newest_first("dispute")
    tried: dict[str, Callable[[], Any]] = {
        "refund": lambda: refunds.create(world, {"charge": charge, "amount": amount}),
        "refund the rest": lambda: refunds.create(world, {"charge": charge}),
        "dispute": lambda: disputes.create(world, world.find(charge, "charge"), amount=amount),
        "inquire": lambda: disputes.create(world, world.find(charge, "charge"), inquiry=True),
        "warn": lambda: early_fraud_warnings.create(world, world.find(charge, "charge")),
        "fee": lambda: payments.settle_fee(world, world.find(charge, "charge")),
    }
    if made:
        one = made[which % len(made)]
        tried |= {
            "succeed": lambda: refunds.settle(world, one, "succeed"),
            "fail": lambda: refunds.settle(world, one, "fail"),
            "cancel": lambda: refunds.settle(world, one, "cancel"),
            "reference": lambda: refunds.settle_reference(world, one),
        }
    if opened:
        tried |= {
            "win": lambda: disputes.close(world, opened[0], "won"),
            "lose": lambda: disputes.close(world, opened[0], "lost"),
            "close": lambda: disputes.close(world, opened[0], "warning_closed"),
        }
    if action not in tried or (action == "reference" and not one["id"].startswith("re_")):
        return
    try:
        with world.change():
            tried[action]()
    except StripeError:
        return


def check(world: World, charge: str) -> None:
    found = world.find(charge, "charge")
    standing = [
        one["amount"]
        for one in world.store.newest_first("refund")
        if one["status"] in ("pending", "succeeded")
    ]
    assert found["amount_refunded"] == sum(standing) <= AMOUNT
    assert found["refunded"] == (found["amount_refunded"] == AMOUNT)
    moved = world.store.newest_first("balance_transaction")
    assert sum(one["net"] for one in moved if one["reporting_category"].startswith("refund")) == -sum(
        standing
    )
    disputed = world.store.newest_first("dispute")
    assert found["disputed"] == bool(disputed)
    taken = sum(one["net"] for one in moved if one["reporting_category"].startswith("dispute"))
    expected = 0
    for one in disputed:
        if not one["status"].startswith("warning_"):
            expected -= disputes.FEE + (0 if one["status"] == "won" else one["amount"])
        assert [part["id"] for part in one["balance_transactions"]] == [
            part["id"] for part in moved[::-1] if part["source"] == one["id"]
        ]
    assert taken == expected
    for event in world.store.newest_first("event"):
        if event["type"] == "charge.refunded":
            snapshot, before = event["data"]["object"], event["data"]["previous_attributes"]
            assert snapshot["amount_refunded"] > before["amount_refunded"]


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(["card", "us_bank_account"]),
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "refund", "refund the rest", "succeed", "fail", "cancel", "reference", "dispute",
                    "inquire", "win", "lose", "close", "warn",
                ]
            ),
            st.integers(min_value=1, max_value=AMOUNT + 1),
            st.integers(min_value=0, max_value=5),
        ),
        max_size=12,
    ),
)  # fmt: skip
def test_the_books_add_up(
    document: StripeDocument, method: payments.Method, steps: list[tuple[str, int, int]]
) -> None:
    world = World(store=Store(Path(":memory:")), document=document, base_url="http://127.0.0.1:1")
    charge = paid_charge(world, method)
    for action, amount, which in steps:
        step(world, charge, action, amount, which)
        check(world, charge)
    world.store.close()
