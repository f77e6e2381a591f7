"""How long a run works between two looks at the clock, and what is left when it stops."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from billing.errors import UpstreamUnavailable
from billing.reconcile.reconcile import CLOSING_SECONDS, RESERVE_SECONDS
from tests.unit.reconcile.house import House, kinds
from tests.unit.reconcile.run_support import CountedStripe, Firm, firm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from billing.stripe.objects import BalanceTransaction, CheckoutSession

#: The reserve must let a slow Stripe answer the questions about one record, and Directus those about a page.
WORK_SECONDS = RESERVE_SECONDS - CLOSING_SECONDS


class Unlisted(CountedStripe):
    """Stripe whose list of sessions is behind: what the balance shows must be asked for one by one."""

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[CheckoutSession]:
        self.requests += 1
        assert (since, after) is not None
        return iter([])


def outage(*, refunds: int = 0, attempts: int = 0) -> Firm:
    """Every webhook of many payments was lost, and no list of sessions explains them."""
    many = firm(150, booked=False)
    stripe = Unlisted()
    house = House(records=stripe)
    house.stripe, stripe.account = many.house.stripe, many.house.stripe
    house.directus.tables |= many.house.directus.snapshot()
    for row in house.payments():
        row |= {"status": "canceled"}
    for row in house.payments()[:attempts]:
        row |= {"status": "processing"}
    for name in list(house.stripe.sessions)[:refunds]:
        house.stripe.refunds_payment(name, 100)
    house.drop_webhooks()
    house.directus.requests.clear()
    return Firm(house, stripe)


@pytest.mark.parametrize("stripe_seconds", [0.3, 1.0])
def test_an_outage_is_worked_off_with_looks_at_the_clock_that_leave_the_reserve(
    stripe_seconds: float,
) -> None:
    many = outage(refunds=30, attempts=30)
    many.stripe_seconds = stripe_seconds
    parts = many.parts(stripe_seconds * 150)
    assert len(parts) > 2
    gaps = [before - after for before, after in itertools.pairwise(many.looks) if before > after]
    assert max(gaps) < WORK_SECONDS, max(gaps)
    assert min(many.looks) > CLOSING_SECONDS
    assert many.house.queue.messages()


def test_a_session_that_a_list_told_of_is_not_asked_for_again_by_the_balance_or_a_refund() -> None:
    """Otherwise an outage costs two requests for each payment, though each is to be booked already."""
    many = firm(300, booked=False)
    for name in list(many.house.stripe.sessions)[:30]:
        many.house.stripe.refunds_payment(name, 100)
    many.house.drop_webhooks()
    report = many.house.run()
    assert report.repaired_total == 300
    sessions, movements, refunds, disputes, events = 3, 4, 1, 1, 1
    assert many.stripe.requests == sessions + movements + refunds + disputes + events
    many.house.work_off()
    assert len(many.house.directus.table("refunds")) == 30, "the repair of the payment books its refund"


def test_a_page_that_fails_for_want_of_time_is_looked_at_again_by_the_next_part() -> None:
    """Requests are cut when the invocation ends: what failed then says nothing about Stripe."""
    many = firm(150)
    left = [900.0]

    class Cut(CountedStripe):
        def balance_transactions_since(
            self, since: datetime, *, after: str | None = None
        ) -> Iterator[BalanceTransaction]:
            yield from itertools.islice(super().balance_transactions_since(since, after=after), 10)
            left[0] = CLOSING_SECONDS
            message = "No time was left for the request to Stripe; try again."
            raise UpstreamUnavailable(message, code="out_of_time")

    stripe = Cut()
    house = House(records=stripe)
    house.stripe, stripe.account = many.house.stripe, many.house.stripe
    house.directus.tables |= many.house.directus.snapshot()
    report = house.run(remaining_seconds=lambda: left[0])
    assert (report.continued, kinds(report.as_json()["differences"])) == (True, [])
    (event,) = house.continuation.taken()
    assert event["resume"]["phase"] == "balance_transactions"
    left[0] = 900.0
    again = house.run(remaining_seconds=lambda: 900.0, **event)
    assert kinds(again.as_json()["differences"]) == ["not_compared"], "with time enough it is a failure"
