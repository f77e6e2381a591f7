"""Rows whose payments another deployment made: it was renamed, or its rows were restored into another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.reconcile.house import House, kinds, rows_of, settled
from tests.unit.reconcile.payments import opened, paid


def rename(house: House, session: str, deployment: str | None = "staging") -> None:
    """Stripe's side names another deployment, or none."""
    found = house.stripe.sessions[session]
    metadata = {name: value for name, value in found.metadata.items() if name != "deployment"}
    if deployment is not None:
        metadata["deployment"] = deployment
    intent = found.payment_intent and replace(found.payment_intent, metadata=metadata)
    house.stripe.sessions[session] = replace(found, metadata=metadata, payment_intent=intent)


@pytest.mark.parametrize("deployment", ["staging", None])
@pytest.mark.parametrize("days", [0, 365])
def test_a_payment_that_another_deployment_made_is_named(deployment: str | None, days: int) -> None:
    house, session = paid()
    rename(house, session, deployment)
    house.passes(days=days)
    house.work_off()  # its receipt is drawn
    house.receipts_are_true()
    before = rows_of(house)
    repaired, (found,) = settled(house, **({"since": "2011-09-01"} if days else {}))
    assert (repaired, found["kind"]) == ([], "payment_of_another_deployment")
    assert found["checkout_session"] == session
    assert (deployment or "something else") in found["detail"]
    assert rows_of(house) == before


def test_a_bank_debit_and_an_open_attempt_are_named_however_old() -> None:
    house, session = opened()
    rename(house, session)
    house.passes(days=1)
    house.stripe.retrieve_session(session)
    house.drop_webhooks()
    assert kinds(settled(house)[1]) == ["payment_of_another_deployment"]
    house, session = opened()
    house.stripe.debits(session)
    house.deliver()
    house.drop_webhooks()
    rename(house, session)
    house.passes(days=5)
    assert kinds(settled(house)[1]) == ["payment_of_another_deployment"]


def test_an_attempt_that_is_over_and_took_nothing_harms_nobody() -> None:
    house, session = opened()
    house.stripe.expires(session)
    house.deliver()
    house.drop_webhooks()
    rename(house, session)
    assert settled(house) == ([], [])


@pytest.mark.parametrize("what", ["refund", "dispute"])
def test_what_goes_back_on_one_is_named_and_never_called_repaired(what: str) -> None:
    house, session = paid()
    rename(house, session)
    if what == "refund":
        house.stripe.refunds_payment(session, 2500)
    else:
        house.stripe.disputes_payment(session, status="lost")
    house.drop_webhooks()
    repaired, found = settled(house)
    assert repaired == []
    assert set(kinds(found)) == {f"{what}_missing", "payment_of_another_deployment"}
    assert "not booked automatically" in next(
        one["detail"] for one in found if one["kind"] == f"{what}_missing"
    )
