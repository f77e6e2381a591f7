import json
from collections import Counter
from typing import Any

from bench.deliveries import PER_PAYMENT, REPEATED_PER_PAYMENT, chosen
from bench.traffic import MIX, Kind, plans, steps_of

PAYMENTS = 50
EVENTS: list[dict[str, Any]] = [
    {"id": f"evt_{payment}_{number}"} for payment in range(PAYMENTS) for number in range(6)
]
SESSION_OF = {event["id"]: event["id"].split("_")[1] for event in EVENTS}


def test_five_deliveries_a_payment_arrive_some_twice_some_never() -> None:
    storm = chosen(EVENTS, SESSION_OF, PAYMENTS, seed=1)
    names = [json.loads(raw)["id"] for raw in storm.bodies]
    assert len(names) == PER_PAYMENT * PAYMENTS
    assert set(names) == storm.arriving
    assert storm.lost == len(EVENTS) - len(storm.arriving) > 0
    assert storm.repeated == REPEATED_PER_PAYMENT * PAYMENTS
    assert max(Counter(names).values()) > 1


def test_of_a_silent_payment_nothing_arrives() -> None:
    storm = chosen(EVENTS, SESSION_OF, PAYMENTS, seed=1)
    heard = {SESSION_OF[name] for name in storm.arriving}
    assert storm.silent_payments == PAYMENTS // 25
    assert len(heard) <= PAYMENTS - storm.silent_payments


def test_the_order_is_not_that_of_the_events_but_the_same_in_every_run() -> None:
    first, second = (chosen(EVENTS, SESSION_OF, PAYMENTS, seed=1) for _ in range(2))
    assert first.bodies == second.bodies
    assert list(first.bodies) != sorted(first.bodies)


def test_few_events_are_repeated_more_often() -> None:
    storm = chosen(EVENTS[:12], SESSION_OF, 2, seed=1)
    assert len(storm.bodies) == 2 * PER_PAYMENT


def test_every_kind_of_payment_comes_early_and_as_often_as_the_mix_says() -> None:
    made = plans(1000, 3)
    assert {plan.kind for plan in made[: len(MIX)]} == set(MIX)
    counted = Counter(plan.kind for plan in made)
    assert counted[Kind.CARD] > counted[Kind.PART_BY_CARD] > counted[Kind.DISPUTE_LOST]
    assert made == plans(1000, 3)


def test_bank_debits_are_in_dollars_and_parts_are_halves() -> None:
    for plan in plans(200, 3):
        if plan.kind is Kind.BANK_DEBIT:
            assert plan.currency == "USD"
        assert plan.paid == (plan.total // 2 if plan.kind is Kind.PART_BY_CARD else plan.total)
        assert steps_of(plan) >= 2
