"""Payments made, and what Stripe keeps of them."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.reconcile.house import House


def opened(amount: str | None = None) -> tuple[House, str]:
    """A sent invoice over 100.00 with an open session; every webhook so far was handled."""
    house = House()
    house.invoice("100.00")
    session = house.pay(amount).checkout_session
    house.work_off()
    return house, session


def paid(fee: int | None = 320) -> tuple[House, str]:
    """An invoice that was paid by card, its fee known, and nothing left to do."""
    house, session = opened()
    house.stripe.pays(session)
    if fee is not None:
        house.stripe.learns_fee(session, fee)
    house.deliver()
    house.drop_webhooks()
    assert house.stored()["status"] == "paid"
    return house, session


def balance_of(house: House) -> Decimal:
    return Decimal(house.stored()["balance_due"])
