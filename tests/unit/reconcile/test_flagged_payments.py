"""Money that differs from what was asked for or was due: booked, noted, and said in the report for some days."""

from __future__ import annotations

from typing import Any

import pytest

from billing.reconcile.phases import FLAGGED_FOR
from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import opened


def received(minor: int) -> tuple[House, dict[str, Any]]:
    """An invoice over 100.00 on which that much was received, with its fee."""
    house, session = opened()
    house.stripe.pays(session, minor=minor)
    house.stripe.learns_fee(session, 320)
    house.deliver()
    house.drop_webhooks()
    (payment,) = house.payments()
    return house, payment


@pytest.mark.parametrize(
    ("minor", "said"),
    [
        (9000, ["100.00 USD was asked for, 90.00 USD was received."]),
        (
            12000,
            [
                "100.00 USD was asked for, 120.00 USD was received.",
                "More was received than was due: 20.00 USD",
            ],
        ),
    ],
)
def test_money_that_differs_is_named_in_the_words_of_its_note(minor: int, said: list[str]) -> None:
    house, payment = received(minor)
    repaired, (found,) = settled(house)
    assert (repaired, found["kind"], found["payment"]) == ([], "payment_flagged", payment["id"])
    assert all(sentence in found["detail"] for sentence in said)
    assert all(sentence in payment["note"] for sentence in said), "the words are booking's own"


def test_a_surplus_beside_another_payment_is_named_until_it_is_no_credit_any_more() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.stripe.learns_fee(session, 320)
    house.payment("30.00")  # by wire, in the same minute
    house.deliver()
    house.drop_webhooks()
    (found,) = settled(house)[1]
    assert "30.00 USD is credit of the client" in found["detail"]
    house.stripe.refunds_payment(session, 3000)
    house.deliver()
    house.drop_webhooks()
    assert settled(house) == ([], [])


@pytest.mark.parametrize("since", [None, "2011-09-01"])
def test_it_is_named_no_more_after_some_days_not_even_at_night(since: str | None) -> None:
    house, _ = received(9000)
    event = {} if since is None else {"since": since}
    assert kinds(settled(house, **event)[1]) == ["payment_flagged"]
    house.passes(seconds=FLAGGED_FOR.total_seconds() + 1)
    assert settled(house, **event) == ([], [])


@pytest.mark.parametrize("flag", ["resolved", None])
def test_it_is_named_no_more_once_an_administrator_has_resolved_it(flag: str | None) -> None:
    house, payment = received(9000)
    payment |= {"flag": flag, "date_updated": house.now().isoformat()}
    assert settled(house) == ([], [])


@pytest.mark.parametrize("note", ["The client pays the rest by wire.", None])
def test_what_staff_make_of_the_note_changes_nothing(note: str | None) -> None:
    house, payment = received(9000)
    payment["note"] = note
    (found,) = settled(house)[1]
    assert "100.00 USD was asked for, 90.00 USD was received." in found["detail"]


def test_a_note_of_staff_is_not_a_flag() -> None:
    house, payment = received(10000)
    payment["note"] = "Asked for 100.00 USD, received 90.00 USD."
    assert settled(house) == ([], [])


@pytest.mark.parametrize("attempt", [None, {}, {"parameters": None}, {"parameters": {"line_items": [{}]}}])
def test_an_attempt_that_somebody_emptied_tells_no_amount_and_stops_nothing(attempt: Any) -> None:
    house, payment = received(12000)
    payment["attempt"] = attempt
    (found,) = settled(house)[1]
    assert found["detail"].startswith("More was received than was due: 20.00 USD")
