"""What comes back months later moves Stripe's balance: found within the hour, though no webhook tells of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import balance_of, opened, paid


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
    assert house.run(dry_run=True).money_repaired == 0
    assert house.run().money_repaired == 1
    house.queue.sent.clear()
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


@pytest.mark.parametrize("kind", ["re", "pyr", "du", "dp"])
def test_whatever_stripe_calls_what_came_back(kind: str) -> None:
    """A debit's refund and an older dispute have other ids."""
    what, name = "refund" if kind in {"re", "pyr"} else "dispute", f"{kind}_9"
    house, before = went_back(what)
    (row,) = house.directus.table("refunds" if what == "refund" else "payment_disputes").values()
    row[f"stripe_{what}"] = name
    if what == "refund":
        house.stripe.refunds[name] = replace(house.stripe.refunds.pop(before), id=name)
        house.stripe.refund_becomes(name, "failed")
    else:
        house.stripe.disputes[name] = replace(house.stripe.disputes.pop(before), id=name)
        house.stripe.dispute_becomes(name, "won")
    house.drop_webhooks()
    assert kinds(settled(house)[0]) == [f"{what}_differs"]


def test_what_moves_on_payments_of_others_is_not_asked_for() -> None:
    house, name = went_back("refund")
    house.directus.tables.clear()  # a Directus that never had any of it
    house.stripe.refund_becomes(name, "failed")
    house.drop_webhooks()
    house.steps.names.clear()
    answer = house.run().as_json()
    assert (answer["checked"]["balance_transactions"], answer["differences"]) == (1, [])
    assert "retrieve refund" not in house.steps.names


@pytest.mark.parametrize("type_", ["charge", "payment"])
def test_money_received_on_the_balance_is_booked_though_no_list_has_its_session(type_: str) -> None:
    house, session = opened()
    if type_ == "charge":
        house.stripe.pays(session)
    else:
        house.stripe.debits(session)
        house.stripe.settles(session, succeeds=True)
    house.stripe.learns_fee(session, 80)
    house.drop_webhooks()
    house.directus.table("payments").clear()
    house.stripe.created[session] -= timedelta(days=5)
    assert {one.type for one in house.stripe.balance_transactions_since(house.now() - timedelta(days=1))} == {
        type_
    }
    repaired, differences = settled(house)
    assert (kinds(repaired), differences, balance_of(house)) == (["payment_missing"], [], Decimal(0))


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
