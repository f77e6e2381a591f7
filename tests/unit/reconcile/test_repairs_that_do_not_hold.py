"""A repair that the invoice writer parks is asked for every hour, and named as soon as an earlier run has asked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from billing.messages import Recompute, SyncSession
from billing.reconcile.differences import (
    BANK_ANSWERS_WITHIN,
    HELD_AFTER,
    Difference,
    once_tried,
)
from tests.unit.reconcile.house import House, kinds, rows_of
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.support import NOW

SYNC = SyncSession("cs_1")
MISSING = Difference("payment_missing", "Stripe has 1.00 USD paid.", {"checkout_session": "cs_1"}, SYNC)


def passed_over() -> House:
    """A payment that the invoice writer leaves alone, without a word: it was deployed as another deployment."""
    house, session = opened()
    house.invoice_writer = replace(house.invoice_writer, deployment="another")
    house.stripe.pays(session)
    house.drop_webhooks()
    return house


def one_hour(house: House) -> tuple[list[str], list[str]]:
    """Kinds that a run repairs, and that it names."""
    answer = house.run().as_json()
    house.work_off()
    house.follow()
    house.drop_webhooks()
    house.passes(hours=1)
    return kinds(answer["repaired"]), kinds(answer["differences"])


def test_it_is_named_once_an_earlier_run_has_asked_for_it_and_asked_for_on_and_on() -> None:
    house = passed_over()
    assert one_hour(house) == (["payment_missing"], [])
    left = rows_of(house)
    for _ in range(2):
        one_hour(house)
    repaired, named = one_hour(house)
    assert ("payment_missing" in repaired, "payment_missing" in named) == (True, True)
    assert rows_of(house) == left, "else it does hold and proves nothing"
    (report, *_) = house.reports.stored
    assert "an earlier repair failed" in report.differences[0]["detail"]


def test_one_that_holds_is_named_by_no_later_run() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    house.passes(days=2)  # no run came either
    answer = house.run().as_json()
    assert kinds(answer["repaired"]) == kinds(answer["differences"]) == ["payment_missing"]
    assert house.run().money_repaired == 1
    house.work_off()
    answer = house.run().as_json()
    assert (answer["repaired"], answer["differences"]) == ([], [])


def test_the_banks_late_answer_to_a_debit_is_no_repair_that_failed() -> None:
    house, session = opened()
    house.stripe.debits(session)
    house.deliver()
    house.passes(days=5)
    house.stripe.settles(session, succeeds=True)
    house.drop_webhooks()
    assert one_hour(house) == (["payment_missing"], [])


def test_a_refund_that_is_still_missing_is_named_too() -> None:
    house, session = paid()
    house.stripe.refunds_payment(session, 2500)
    house.drop_webhooks()
    assert kinds(house.run().as_json()["differences"]) == []
    house.queue.sent.clear()  # and the worker never gets to it
    house.passes(hours=2)
    answer = house.run().as_json()
    assert kinds(answer["repaired"]) == kinds(answer["differences"]) == ["refund_missing"]


@pytest.mark.parametrize(
    ("difference", "age", "expected"),
    [
        (MISSING, HELD_AFTER, True),
        (MISSING, HELD_AFTER - timedelta(seconds=1), False),
        (Difference("payment_missing", "", {}), HELD_AFTER, False),
        (Difference("invoice_differs", "", {}, Recompute("i")), HELD_AFTER, False),
    ],
)
def test_money_alone_is_named_after_two_hours(
    difference: Difference, age: timedelta, *, expected: bool
) -> None:
    assert once_tried(difference, NOW - age, NOW).tried_before is expected
    assert timedelta(days=7) < BANK_ANSWERS_WITHIN
