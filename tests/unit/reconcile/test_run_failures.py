"""One bad object, in a list or in a row, costs itself; a part of the run that fails costs that part."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from billing.errors import StripeUnreadable, UnreadableRow, UpstreamUnavailable
from billing.reconcile.page import MOST_FAILING
from billing.reconcile.reconcile import RESERVE_SECONDS
from tests.fakes.stripe import FakeStripe
from tests.fakes.world import INVOICE
from tests.unit.reconcile.house import House, kinds
from tests.unit.reconcile.run_support import CountedStripe, firm
from tests.unit.reconcile.support import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from billing.stripe.objects import CheckoutSession, StripeDispute, StripeRefund

OTHER = "b1000000-0000-4000-8000-0000000000ff"


class Odd(FakeStripe):
    """Stripe with a list that holds something nobody has thought of."""

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeDispute]:
        yield from super().disputes_created_since(since, after=after)
        message = f"'NoneType' object has no attribute 'upper' ({since}, {after})"
        raise AttributeError(message)


def test_a_phase_that_breaks_is_named_and_what_others_found_is_kept_queued_and_reported() -> None:
    house = House(records=Odd(lambda: NOW))
    house.invoice("100.00", amount_paid="1.00")
    house.invoice("100.00", id=OTHER, status="draft")
    report = house.run()
    assert [(one.kind, one.ids.get("phase")) for one in report.differences] == [
        ("not_compared", "disputes"),
        ("sent_invoice_is_draft", None),
    ]
    assert "AttributeError" in report.differences[0].detail
    assert "upper" not in str(report.as_json()), "what an exception says may be anything"
    assert report.differences_total == 2, "the alarm counts it"
    assert house.queue.messages() == [{"type": "recompute", "invoice": INVOICE}]
    assert len(house.reports.stored) == 1
    ((sentence, error),) = house.unnamed
    assert (sentence, type(error)) == ("Disputes could not be compared.", AttributeError), (
        "the log has all of it"
    )


def test_a_session_that_breaks_the_comparison_costs_only_itself() -> None:
    many = firm(4, booked=False)
    stripe = many.house.stripe
    bad = list(stripe.sessions)[1]
    intent = stripe.sessions[bad].payment_intent
    assert intent is not None
    broken = replace(intent)
    object.__setattr__(broken, "amount_received", None)  # past every validation
    stripe.sessions[bad] = replace(stripe.sessions[bad], payment_intent=broken)
    report = many.house.run()
    named = [one.ids for one in report.differences if one.kind == "not_compared"]
    assert {"phase": "sessions", "record": bad} in named
    synced = {message["checkout_session"] for message in many.house.queue.messages()}
    assert synced == set(stripe.sessions) - {bad}
    assert report.checked["invoices"] == 1, "and the run goes on"


class Unreadable(CountedStripe):
    """Stripe with one refund and one session that cannot be read when they are asked for."""

    bad: str = ""

    def retrieve_refund(self, refund: str) -> StripeRefund | None:
        if refund == self.bad:
            message = "Stripe's refund has no amount."
            raise StripeUnreadable(message, object=refund)
        return super().retrieve_refund(refund)

    def retrieve_session(self, session: str) -> CheckoutSession:
        if session == self.bad:
            message = "Stripe's session has no status."
            raise StripeUnreadable(message, object=session)
        return super().retrieve_session(session)


def test_a_refund_that_cannot_be_read_hides_no_other_one() -> None:
    stripe = Unreadable()
    house = House(records=stripe)
    stripe.account = house.stripe
    house.invoice("100.00")
    session = house.pay().checkout_session
    house.stripe.pays(session)
    first, second = (house.stripe.refunds_payment(session, 100, status="pending") for _ in range(2))
    house.deliver()
    house.passes(days=5)
    stripe.bad = first
    house.stripe.refund_becomes(second, "succeeded")
    house.drop_webhooks()
    report = house.run()
    rows = {row["stripe_refund"]: row["id"] for row in house.directus.table("refunds").values()}
    assert [one.ids for one in report.differences] == [{"phase": "refund_rows", "record": rows[first]}]
    assert "has no amount" in report.differences[0].detail
    assert kinds(report.repaired) == ["refund_differs"]


def test_a_session_of_an_attempt_that_cannot_be_read_hides_no_other_attempt() -> None:
    stripe = Unreadable()
    house = House(records=stripe)
    stripe.account = house.stripe
    house.invoice("100.00")
    house.invoice("100.00", id=OTHER, invoice_number="other")
    session = house.pay().checkout_session
    (row,) = house.payments()
    other = {**row, "id": OTHER, "invoice": OTHER, "open_claim": OTHER, "checkout_session": "cs_gone"}
    house.directus.put("payments", **other)
    house.passes(days=5)
    stripe.bad = session
    report = house.run()
    assert {(one.kind, one.ids.get("record")) for one in report.differences} == {
        ("not_compared", row["id"]),
        ("payment_unknown_to_stripe", None),
    }


class Broken(FakeStripe):
    """Stripe's answer about a single session, as a new version of the SDK might break it."""

    def retrieve_session(self, session: str) -> CheckoutSession:
        raise RuntimeError(session)


def attempts(house: House, count: int) -> None:
    """So many old open attempts, which Stripe is asked about one by one."""
    for number in range(count):
        key = f"b1000000-0000-4000-8000-{number:012}"
        house.invoice("100.00", id=key, invoice_number=str(number))
        house.payment(
            "100.00", status="pending", invoice=key, open_claim=key, method="card",
            checkout_session=f"cs_{number}", date_created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip


def test_a_fault_that_is_not_the_records_ends_its_phase_after_a_few() -> None:
    """Ten thousand entries that say the same help nobody."""
    house = House(records=Broken(lambda: NOW))
    attempts(house, MOST_FAILING + 5)
    report = house.run()
    named = [one.ids for one in report.differences if one.kind == "not_compared"]
    assert [ids for ids in named if "record" not in ids] == [{"phase": "open_attempts"}]
    assert len(named) == MOST_FAILING + 1
    assert report.checked["invoices"] == MOST_FAILING + 5, "the other phases have their turn"


class Away(FakeStripe):
    """Stripe that is away when it is asked about a single session."""

    asked: int = 0

    def retrieve_session(self, session: str) -> CheckoutSession:
        self.asked += 1
        message = f"Stripe cannot be reached ({session})."
        raise UpstreamUnavailable(message, code="stripe_unavailable")


def test_stripe_that_is_away_is_not_asked_about_each_record_to_find_out() -> None:
    stripe = Away(lambda: NOW)
    house = House(records=stripe)
    attempts(house, 3)
    (difference,) = house.run().differences
    assert (difference.kind, difference.ids, stripe.asked) == ("not_compared", {"phase": "open_attempts"}, 1)


class AwaySoon(FakeStripe):
    """Stripe that goes away after a few answers."""

    answers: int = 3

    def retrieve_session(self, session: str) -> CheckoutSession:
        self.answers -= 1
        if self.answers < 0:
            message = f"Stripe cannot be reached ({session})."
            raise UpstreamUnavailable(message, code="stripe_unavailable")
        return super().retrieve_session(session)


def test_what_was_found_in_a_page_before_stripe_went_away_is_kept() -> None:
    house = House(records=AwaySoon(lambda: NOW))
    attempts(house, 5)
    report = house.run()
    assert kinds(report.as_json()["differences"]) == ["payment_unknown_to_stripe"] * 3 + ["not_compared"]
    assert report.checked["open_attempts"] == 3


def test_what_a_list_has_passed_over_is_named() -> None:
    house = House()
    error = StripeUnreadable("Stripe's checkout.session has no amount_total.", object="cs_odd")
    house.stripe.passed_over.append(UnreadableRow("checkout.session", "cs_odd", error))
    (difference,) = house.run().as_json()["differences"]
    assert (difference["kind"], difference["checkout.session"]) == ("row_unreadable", "cs_odd")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("MessageId")])
def test_a_queue_that_fails_in_an_unknown_way_loses_nothing_that_was_found(error: Exception) -> None:
    house = House()
    house.invoice("100.00", amount_paid="1.00")
    house.queue.error = error
    (difference,) = house.run().differences
    assert difference.kind == "invoice_differs"
    assert type(error).__name__ in difference.detail
    house.dead_letters.queues, house.dead_letters.error = {"render": 1, "work": 2}, error
    house.queue.error = None
    report = house.run()
    assert [one.ids["queue"] for one in report.differences] == ["render", "work"]
    assert kinds(report.repaired) == ["invoice_differs"]
    said = ["A repair could not be queued.", *["Dead letters could not go back to their queue."] * 2]
    assert house.unnamed == [(sentence, error) for sentence in said]


class AwayForSessions(CountedStripe):
    """Stripe that answers lists and refunds, and is away when it is asked for the session of a payment."""

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        message = f"Stripe cannot be reached ({payment_intent})."
        raise UpstreamUnavailable(message, code="stripe_unavailable")


def test_refunds_that_a_list_named_and_nobody_compared_are_not_noted_as_compared() -> None:
    """Else the next part would not ask about their rows either."""
    stripe = AwayForSessions()
    house = House(records=stripe)
    stripe.account = house.stripe
    house.invoice("100.00")
    session = house.pay().checkout_session
    house.stripe.pays(session)
    house.deliver()
    refund = house.stripe.refunds_payment(session, 100)
    house.drop_webhooks()
    house.invoice("100.00", id=OTHER, invoice_number="other")
    report = house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, resume={"phase": "refunds"})
    assert {"phase": "refunds"} in [one.ids for one in report.differences]
    assert all(refund not in kept for kept in house.notes.kept.values())
