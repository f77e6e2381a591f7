"""Disputes that have lost Stripe's id: they count beside Stripe's own, which is booked again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from billing.ledger.ledger import InvoiceStatus, PaymentDispute, PaymentStatus, Refund
from billing.reconcile.invoices import compare_invoice
from tests.builders import usd
from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import balance_of, paid
from tests.unit.reconcile.support import DOCUMENT, NOW, PAYMENT, booked, ledger, row


def disputed(status: str = "lost", minor: int = 4000) -> tuple[House, dict[str, Any]]:
    """A paid invoice with a booked dispute."""
    house, session = paid()
    house.stripe.disputes_payment(session, status=status, minor=minor)
    house.deliver()
    house.drop_webhooks()
    (dispute,) = house.directus.table("payment_disputes").values()
    assert settled(house) == ([], [])
    return house, dispute


def empty(house: House, dispute: dict[str, Any], value: str | None = None) -> None:
    """An administrator empties the id, which Directus dates; the flow does not hear of it."""
    dispute |= {"stripe_dispute": value, "date_updated": house.now().isoformat()}


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("status", ["lost", "needs_response"])
def test_a_dispute_that_has_lost_its_id_is_named_and_stripes_is_booked_again(
    status: str, value: str | None
) -> None:
    house, dispute = disputed(status)
    empty(house, dispute, value)
    repaired, (difference,) = settled(house)
    assert kinds(repaired) == ["dispute_missing"]
    assert (difference["kind"], difference["dispute_row"]) == ("dispute_without_id", dispute["id"])
    assert f"A dispute of 40.00 USD ({status}) on a payment of 100.00 USD" in difference["detail"]
    assert len(house.directus.table("payment_disputes")) == 2


def test_without_the_row_that_is_named_the_books_are_stripes_again() -> None:
    house, dispute = disputed()
    empty(house, dispute)
    settled(house)
    assert balance_of(house) == 80, "it counts twice while both are there"
    del house.directus.table("payment_disputes")[dispute["id"]]
    _, differences = settled(house)
    assert differences == []
    assert balance_of(house) == 40


def test_with_its_id_again_before_anybody_has_booked_another_it_is_in_order() -> None:
    house, dispute = disputed()
    name = dispute["stripe_dispute"]
    house.passes(days=365)
    empty(house, dispute)
    assert kinds(settled(house)[1]) == ["dispute_without_id"], "Stripe's list does not go back so far"
    dispute["stripe_dispute"] = name
    assert settled(house) == ([], [])


def on_an_invoice(status: str, payment: PaymentStatus = PaymentStatus.SUCCEEDED, **columns: Any) -> list[str]:
    """What is found of a dispute of 10.00 with these columns, where the sums are those of the rows."""
    lost = status in {"lost", "appeal_needs_response"} and payment is PaymentStatus.SUCCEEDED
    back = usd("10.00") if status in {"lost", "appeal_needs_response"} else None
    shown = {
        (True, True): (InvoiceStatus.PARTIALLY_PAID, "90.00", "10.00"),
        (True, False): (InvoiceStatus.PAID, "100.00", "0.00"),
        (False, False): (InvoiceStatus.SENT, "0.00", "100.00"),
    }[payment is PaymentStatus.SUCCEEDED, lost]
    held = replace(booked(status=payment), amount_disputed_lost=back)
    found = ledger(shown[0], payments=[held], paid=shown[1], balance=shown[2])
    dispute = PaymentDispute(PAYMENT, usd("10.00"), status, "d1", **columns)
    return [one.kind for one in compare_invoice(replace(found, payment_disputes=[dispute]), [DOCUMENT], NOW)]


@pytest.mark.parametrize(
    "status", ["lost", "appeal_needs_response", "needs_response", "under_review", "warning_needs_response"]
)
def test_what_counts_or_may_come_to_count_is_named(status: str) -> None:
    assert on_an_invoice(status) == ["dispute_without_id"]
    assert on_an_invoice(status, stripe_dispute="du_1") == []


@pytest.mark.parametrize("status", ["won", "prevented", "warning_closed"])
def test_a_dispute_that_is_over_and_took_nothing_is_no_difference(status: str) -> None:
    assert on_an_invoice(status) == []


def test_on_a_payment_that_did_not_succeed_it_counts_nothing() -> None:
    assert on_an_invoice("lost", PaymentStatus.CANCELED) == []


def test_it_is_named_on_a_payment_that_staff_entered_too() -> None:
    check = replace(row(checkout_session=None), method="check", amount_disputed_lost=usd("10.00"))
    found = ledger(InvoiceStatus.PARTIALLY_PAID, payments=[check], paid="90.00", balance="10.00")
    found = replace(found, payment_disputes=[PaymentDispute(PAYMENT, usd("10.00"), "lost", "d1")])
    assert [one.kind for one in compare_invoice(found, [DOCUMENT], NOW)] == ["dispute_without_id"]


def test_a_refund_whose_id_was_emptied_to_a_text_without_letters_is_as_one_entered_by_hand() -> None:
    held = replace(booked(), amount_refunded=usd("10.00"))
    found = ledger(InvoiceStatus.PARTIALLY_PAID, payments=[held], paid="90.00", balance="10.00")
    found = replace(found, refunds=[Refund(PAYMENT, usd("10.00"), "succeeded", "r1", "")])
    assert [one.kind for one in compare_invoice(found, [DOCUMENT], NOW)] == ["refund_entered_by_hand"]
