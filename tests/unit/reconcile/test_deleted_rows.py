"""Rows that somebody has deleted: they leave no date, but their invoice shows what is gone until it is added up again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.errors import UpstreamUnavailable
from billing.reconcile.reconcile import BEFORE_STRIPE, RESERVE_SECONDS
from tests.fakes.world import INVOICE
from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import balance_of, paid

SENT_AT = "2026-11-01T10:00:00+00:00"


def a_year_ago(*, refund: bool = False, dispute: bool = False) -> House:
    """An invoice paid by card a year ago, perhaps with what went back on it, and in order since."""
    house, session = paid()
    if refund:
        house.stripe.refunds_payment(session, 2500)
    if dispute:
        house.stripe.disputes_payment(session, status="lost", minor=4000)
    house.deliver()
    house.passes(days=365)
    house.drop_webhooks()
    assert settled(house) == ([], [])
    return house


def test_a_deleted_payment_is_found_and_booked_again_in_the_same_hour_however_old() -> None:
    house = a_year_ago()
    house.directus.table("payments").clear()
    answer = house.run().as_json()
    assert kinds(answer["repaired"]) == ["invoice_differs"]
    assert answer["widened"] == SENT_AT
    house.work_off()
    assert kinds(house.follow()) == ["payment_missing"]
    assert (house.stored()["status"], balance_of(house)) == ("paid", Decimal(0))
    assert settled(house) == ([], [])


@pytest.mark.parametrize(
    ("collection", "kind", "balance"),
    [("refunds", "refund_missing", 25), ("payment_disputes", "dispute_missing", 40)],
)
def test_a_deleted_refund_or_dispute_is_found_and_booked_again(
    collection: str, kind: str, balance: int
) -> None:
    house = a_year_ago(refund=collection == "refunds", dispute=collection == "payment_disputes")
    house.directus.table(collection).clear()
    repaired, differences = settled(house)
    assert (kind in kinds(repaired), differences) == (True, [])
    assert balance_of(house) == balance


def test_what_only_the_payments_own_sums_tell_of_is_found() -> None:
    """The invoice was added up in between; a payment still shows what went back."""
    house = a_year_ago(refund=True)
    house.directus.table("refunds").clear()
    house.stored()["amount_paid"], house.stored()["balance_due"] = "100.00", "0.00"
    house.stored()["status"] = "paid"
    repaired, _ = settled(house)
    assert kinds(repaired) == ["payment_differs", "refund_missing"]


def test_it_is_asked_for_once_from_the_earliest_suspect_on_and_never_by_itself_again() -> None:
    house = House()
    for number, sent_at in enumerate(("2026-05-01T10:00:00+00:00", "2026-04-01T10:00:00+00:00")):
        house.invoice(
            "100.00", id=f"a{number}000000-0000-4000-8000-000000000001", sent_at=sent_at, amount_paid="9.00"
        )
    house.run(dry_run=True)
    (event,) = house.continuation.taken()
    assert event == {"since": "2026-04-01T10:00:00+00:00", "dry_run": True, "widened": True}
    answer = house.run(**event).as_json()
    assert kinds(answer["differences"]) == ["invoice_differs"] * 2
    assert ("widened" in answer, house.continuation.events) == (False, [])
    house.run(since="2026-03-01")
    assert house.continuation.events == [], "it has looked so far back itself"


def test_a_widened_run_that_suspects_more_asks_for_no_other_one() -> None:
    house = House()
    house.invoice("100.00", sent_at="2026-04-01T10:00:00+00:00", amount_paid="9.00")
    assert "widened" not in house.run(since="2026-05-01", widened=True).as_json()
    assert house.continuation.events == []
    assert house.run(since="2026-05-01").as_json()["widened"] == "2026-04-01T10:00:00+00:00"


@pytest.mark.parametrize("columns", [{"sent_at": None}, {"amount_paid": "0.00", "balance_due": "9.00"}])
def test_an_invoice_that_has_lost_nothing_is_no_suspect(columns: dict[str, str | None]) -> None:
    house = House()
    house.invoice("100.00", **{"amount_paid": None, **columns})
    assert kinds(house.run().as_json()["repaired"]) == ["invoice_differs"]
    assert house.continuation.events == []


def test_an_invoice_of_these_days_needs_no_further_look() -> None:
    house = House()
    house.invoice("100.00", sent_at=(house.now() - timedelta(days=1)).isoformat(), amount_paid="9.00")
    assert "widened" not in house.run().as_json()


def test_nothing_is_read_further_back_than_stripe_exists() -> None:
    house = House()
    house.invoice("100.00", sent_at="1970-01-01T00:00:00+00:00", amount_paid="9.00")
    assert house.run().widened == BEFORE_STRIPE


def test_the_suspicion_outlives_the_invocation_that_had_it() -> None:
    house = a_year_ago()
    house.directus.table("payments").clear()
    house.invoice("100.00", id="b1000000-0000-4000-8000-000000000001")
    parts, event = 0, dict[str, Any]()
    while not event.get("widened"):
        assert parts < 100, "a run that never ends"
        report = house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **event)
        (event,) = house.continuation.taken()
        assert report.continued != bool(event["widened"])
        parts += 1
    assert parts > 1
    assert event["since"] == SENT_AT
    again = house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **event)
    assert again.continued
    (event,) = house.continuation.taken()
    assert (event["widened"], "resume" in event) == (True, True), "a part of it widens no more either"


def test_a_look_further_back_that_cannot_be_started_is_named() -> None:
    house = a_year_ago()
    house.directus.table("payments").clear()
    house.continuation.error = UpstreamUnavailable("Lambda is away.", code="lambda_unavailable")
    answer = house.run().as_json()
    (difference,) = answer["differences"]
    assert (difference["kind"], difference["since"]) == ("run_not_continued", SENT_AT)
    assert "Lambda is away." in difference["detail"]
    assert "widened" not in answer
    assert house.queue.messages() == [{"type": "recompute", "invoice": INVOICE}]
