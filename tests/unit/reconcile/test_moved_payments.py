"""Payments that stand on another invoice than the client paid: named where somebody moved them, not where they had to be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from billing.ledger.ledger import PaymentFlag
from billing.reconcile.differences import NamedInvoice
from billing.reconcile.payments import compare_session, invoices_concerned
from tests.builders import usd
from tests.fakes.world import CLIENT, INVOICE
from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.sessions import DEAD, EXPIRED, ON_ITS_WAY, OPEN, PENDING
from tests.unit.reconcile.support import INVOICE as MADE_FOR
from tests.unit.reconcile.support import OTHER_INVOICE, booked, row, session

if TYPE_CHECKING:
    from billing.ledger.ledger import Payment
    from billing.stripe.objects import CheckoutSession

SECOND = "b1000000-0000-4000-8000-000000000002"
NUMBER, SECOND_NUMBER = "2026-a100", "2026-b100"
UNKNOWN = "d1000000-0000-4000-8000-00000000dead"


def move(house: House, payment: dict[str, Any], invoice: str = SECOND, **columns: Any) -> None:
    """An administrator puts a payment on another invoice, which Directus dates; the flow tells of both invoices."""
    before = payment["invoice"]
    payment |= {"invoice": invoice, "date_updated": house.now().isoformat(), **columns}
    for concerned in {before, invoice} - {None}:
        house.recompute(concerned)


def moved(**columns: Any) -> tuple[House, dict[str, Any]]:
    """A paid invoice whose payment stands on another one of the same client since."""
    house, _ = paid()
    house.invoice("100.00", id=SECOND)
    (payment,) = house.payments()
    move(house, payment, **columns)
    return house, payment


# ---- named ----------------------------------------------------------------------------------------------


def test_a_payment_that_was_moved_is_named_with_both_invoices_and_stays_where_it_is() -> None:
    house, payment = moved()
    assert (house.stored()["status"], house.stored(SECOND)["status"]) == ("sent", "paid")
    repaired, (difference,) = settled(house)
    assert repaired == []
    assert {name: difference[name] for name in ("kind", "payment", "invoice", "made_for")} == {
        "kind": "payment_misplaced",
        "payment": payment["id"],
        "invoice": SECOND,
        "made_for": INVOICE,
    }
    for told in ("100.00 USD", f"for invoice {NUMBER}", f"on invoice {SECOND_NUMBER}", "moves it back"):
        assert told in difference["detail"]
    assert house.payments(invoice=SECOND) == [payment]


def test_a_payment_of_a_year_ago_that_is_moved_is_named_within_the_hour() -> None:
    house, _ = paid()
    house.passes(days=365)
    house.invoice("100.00", id=SECOND)
    move(house, house.payments()[0])
    assert kinds(settled(house)[1]) == ["payment_misplaced"]


def test_the_nightly_run_names_one_that_was_moved_long_ago() -> None:
    house, _ = moved()
    house.passes(days=365)
    assert settled(house) == ([], [])
    assert kinds(settled(house, since="2011-09-01")[1]) == ["payment_misplaced"]


def test_moved_back_it_is_named_no_more() -> None:
    house, payment = moved()
    move(house, payment, INVOICE)
    assert settled(house) == ([], [])
    assert house.stored()["status"] == "paid"


def test_a_payment_with_a_row_of_its_own_on_the_invoice_is_named_once_it_was_moved() -> None:
    house, session_id = opened()
    house.directus.table("payments").clear()
    house.stripe.pays(session_id)
    house.stripe.learns_fee(session_id, 320)
    house.deliver()
    house.drop_webhooks()
    house.invoice("100.00", id=SECOND)
    (payment,) = house.payments()
    assert "does not belong to an open attempt" in payment["note"]
    move(house, payment)
    assert kinds(settled(house)[1]) == ["payment_misplaced"]


def test_a_refund_of_a_moved_payment_is_booked_where_it_stands() -> None:
    house, _ = moved()
    (name,) = house.stripe.sessions
    house.stripe.refunds_payment(name, 2500)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), kinds(differences)) == (["refund_missing"], ["payment_misplaced"])
    assert (house.stored(SECOND)["balance_due"], house.stored()["balance_due"]) == ("25.00", "100.00")


# ---- not named ------------------------------------------------------------------------------------------


def test_a_payment_that_an_administrator_flags_as_moved_was_moved_on_purpose() -> None:
    house, _ = moved(flag="moved")
    assert settled(house) == ([], [])


@pytest.mark.parametrize(
    "columns", [{"note": f"Moved from {NUMBER}."}, {"flag": "resolved"}, {"flag": "surplus"}]
)
def test_nothing_else_explains_it(columns: dict[str, Any]) -> None:
    house, _ = moved(**columns)
    assert "payment_misplaced" in kinds(settled(house)[1])


def test_unapplied_money_that_staff_assigned_is_where_it_belongs() -> None:
    house = House()
    house.invoice("100.00")
    name = house.stripe.makes_session(10000, "USD", {"deployment": "test", "directus_invoice": UNKNOWN})
    house.stripe.pays(name)
    house.stripe.learns_fee(name, 320)
    house.deliver()
    house.drop_webhooks()
    (payment,) = house.payments()
    move(house, payment, INVOICE, client=CLIENT)
    assert settled(house) == ([], [])
    house.invoice("100.00", id=UNKNOWN)  # found again, or brought back by a restore
    assert settled(house) == ([], []), "its flag says that it was assigned"


def test_unapplied_money_in_another_currency_that_staff_assigned_is_where_it_belongs() -> None:
    house, name = opened()
    house.stripe.pays(name, currency="EUR")
    house.stripe.learns_fee(name, 320)
    house.deliver()
    house.drop_webhooks()
    house.invoice("100.00", id=SECOND, currency="EUR")
    (payment,) = house.payments(currency="EUR")
    move(house, payment, client=CLIENT, note=None)
    assert settled(house) == ([], [])


def test_money_that_was_taken_off_its_invoice_is_named_as_what_it_is() -> None:
    house, payment = moved()
    payment["invoice"] = None
    house.recompute(SECOND)
    assert kinds(settled(house)[1]) == ["payment_unapplied"]


# ---- the comparison by itself ---------------------------------------------------------------------------

ELSEWHERE = booked(invoice=OTHER_INVOICE)
BOTH = {MADE_FOR: NamedInvoice("INV-1", "USD"), OTHER_INVOICE: NamedInvoice("INV-2", "USD")}


@pytest.mark.parametrize(
    ("found", "payment", "expected"),
    [
        (session(), booked(), set()),
        (session(), ELSEWHERE, {MADE_FOR, OTHER_INVOICE}),
        (session(), booked(invoice=None), set()),
        (session(), row(PENDING, invoice=OTHER_INVOICE), set()),
        (session(), None, set()),
        (replace(session(), metadata={"deployment": "main"}), ELSEWHERE, set()),
        (OPEN, None, set()),
        (EXPIRED, None, set()),
        (ON_ITS_WAY, None, {MADE_FOR}),
        (ON_ITS_WAY, row(PENDING), set()),
        (ON_ITS_WAY, row(PENDING, checkout_session="cs_2"), {MADE_FOR}),
        (DEAD, None, {MADE_FOR}),
    ],
)
def test_invoices_are_asked_for_where_the_comparison_depends_on_them(
    found: CheckoutSession, payment: Payment | None, expected: set[str]
) -> None:
    assert invoices_concerned(found, payment) == expected


@pytest.mark.parametrize(
    ("made_for", "expected"),
    [
        (NamedInvoice("INV-1", "USD"), ["payment_misplaced"]),
        (NamedInvoice("INV-1", "EUR"), []),
        (None, []),
    ],
)
def test_only_an_invoice_that_could_take_the_money_misses_it(
    made_for: NamedInvoice | None, expected: list[str]
) -> None:
    known = {OTHER_INVOICE: NamedInvoice("INV-2", "USD")} | ({MADE_FOR: made_for} if made_for else {})
    assert kinds_of(compare_session(session(), ELSEWHERE, known)) == expected


def test_an_amount_or_a_fee_that_is_wrong_as_well_is_named_beside_it() -> None:
    less = replace(ELSEWHERE, amount=usd("99.00"))
    assert kinds_of(compare_session(session(), less, BOTH)) == ["payment_misplaced", "payment_amount_differs"]


@pytest.mark.parametrize("flag", [PaymentFlag.MOVED, PaymentFlag.UNKNOWN_INVOICE, PaymentFlag.OTHER_CURRENCY])
def test_what_was_meant_or_assigned_is_not_named(flag: PaymentFlag) -> None:
    assert compare_session(session(), replace(ELSEWHERE, flag=flag), BOTH) == []


def test_an_invoice_that_cannot_be_read_is_called_another_one() -> None:
    (difference,) = compare_session(session(), ELSEWHERE, {MADE_FOR: BOTH[MADE_FOR]})
    assert "stands on another invoice." in difference.detail
    assert (difference.repair, difference.stays) == (None, False)


def kinds_of(differences: list[Any]) -> list[str]:
    return [difference.kind for difference in differences]
