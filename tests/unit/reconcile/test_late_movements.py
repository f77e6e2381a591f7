"""What comes back months later moves Stripe's balance: found within the hour, though no webhook tells of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.test_repairs import balance_of, opened, paid


def went_back(what: str) -> tuple[House, str]:
    """A payment of which something went back, and a month since; gives Stripe's id of it."""
    house, session = paid()
    name = (
        house.stripe.refunds_payment(session, 2500)
        if what == "refund"
        else house.stripe.disputes_payment(session, 2500, status="lost")
    )
    house.deliver()
    house.passes(days=30)
    house.drop_webhooks()
    assert balance_of(house) == Decimal(25)
    return house, name


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_money_that_came_back_is_booked_within_the_hour(what: str) -> None:
    house, name = went_back(what)
    if what == "refund":
        house.stripe.refund_becomes(name, "failed")
    else:
        house.stripe.dispute_becomes(name, "won")
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == ([f"{what}_differs"], [])
    assert (balance_of(house), house.stored()["status"]) == (Decimal(0), "paid")


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_what_has_no_row_is_booked_though_it_is_older_than_the_lists_go_back(what: str) -> None:
    house, name = went_back(what)
    house.directus.table("refunds" if what == "refund" else "payment_disputes").clear()
    house.recompute()
    if what == "refund":
        house.stripe.refund_becomes(name, "failed")
    else:
        house.stripe.dispute_becomes(name, "won")
    house.drop_webhooks()
    repaired, _ = settled(house)
    assert kinds(repaired) == [f"{what}_missing"]


def test_what_this_run_has_compared_already_is_not_asked_for_again() -> None:
    house, session = paid()
    house.stripe.refunds_payment(session, 2500)
    house.stripe.disputes_payment(session, 2500)
    house.deliver()
    house.drop_webhooks()
    house.steps.names.clear()
    house.run()
    assert not {"retrieve refund", "retrieve dispute"} & set(house.steps.names)


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_bank_debit_on_the_balance_is_no_difference_from_its_first_day_to_its_answer(
    *, succeeds: bool
) -> None:
    house, session = opened()
    house.stripe.debits(session)
    house.stripe.learns_fee(session, 80)
    house.deliver()
    house.drop_webhooks()
    assert settled(house) == ([], [])
    house.passes(days=2)
    house.stripe.settles(session, succeeds=succeeds)
    house.deliver()
    house.drop_webhooks()
    moved = [one.type for one in house.stripe.balance_transactions_since(house.now() - timedelta(days=3))]
    assert moved == (["payment"] if succeeds else ["payment_failure_refund", "payment"])
    assert settled(house) == ([], [])


def test_a_refund_of_a_bank_debit_is_booked() -> None:
    house, session = opened()
    house.stripe.debits(session)
    house.stripe.learns_fee(session, 80)
    house.stripe.settles(session, succeeds=True)
    house.deliver()
    house.stripe.refunds_payment(session, 2500)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences, balance_of(house)) == (["refund_missing"], [], Decimal(25))
