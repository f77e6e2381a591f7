"""Staff and clients change an invoice while its payment is being booked: in the end it is what its rows say."""

import functools
from typing import TYPE_CHECKING

import pytest

from tests.integration.payments.at_once import at_once, shuffled
from tests.integration.payments.books import amount_paid, audit
from tests.integration.payments.edits import EDITS, Edit, a_wire_arrives, the_invoice_is_voided
from tests.integration.payments.firm import Firm
from tests.integration.payments.sizes import SIZES

if TYPE_CHECKING:
    from collections.abc import Callable


def with_open_session(firm: Firm, amount: str | None = None) -> tuple[str, str]:
    """An invoice over 100.00 and its open session."""
    invoice = firm.invoice("100.00")
    status, body = firm.checkout(invoice, amount)
    assert status == 200, body
    firm.drain()
    return invoice, body["checkout_session"]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_between_the_workers_look_and_its_write_is_not_lost(firm: Firm, edit: Edit) -> None:
    """The worst moment: the worker has read every row and is about to write what they said."""
    edited_between_look_and_write(firm, edit)


def test_a_void_between_the_workers_look_and_its_write_stays(firm: Firm) -> None:
    invoice = edited_between_look_and_write(firm, the_invoice_is_voided)
    assert firm.stored(invoice)["status"] == "void"


def edited_between_look_and_write(firm: Firm, edit: Edit) -> str:
    invoice, session = with_open_session(firm)
    firm.stripe_delivers(firm.client_pays(session)["events"][-1])
    firm.steps.before_next["PATCH invoices"] = functools.partial(edit, firm, invoice)
    firm.drain()
    assert not firm.steps.before_next, firm.steps.names
    audit(firm, invoice)
    return invoice


@pytest.mark.parametrize("edit", EDITS if SIZES.exhaustive else EDITS[2:3])
def test_an_edit_at_the_same_moment_as_the_payment_and_its_booking(firm: Firm, edit: Edit) -> None:
    """The client pays, the staff edit and the workers work side by side: whoever is first, the books are right."""
    for number in range(SIZES.rounds):
        invoice, session = with_open_session(firm)

        def pay_and_book(session: str = session) -> None:
            firm.try_to_pay(session)
            firm.stripe_delivers()
            firm.drain(workers=2)

        def change_and_book(invoice: str = invoice) -> None:
            edit(firm, invoice)
            firm.drain(workers=2)

        both: list[Callable[[], object]] = [pay_and_book, change_and_book]
        at_once(shuffled(both, seed=number))
        firm.drain()
        audit(firm, invoice)


def test_a_wire_a_card_and_a_void_at_once(firm: Firm) -> None:
    for number in range(SIZES.rounds):
        invoice, session = with_open_session(firm, "60.00")
        actions: list[Callable[[], object]] = [
            functools.partial(a_wire_arrives, firm, invoice),
            functools.partial(the_invoice_is_voided, firm, invoice),
            functools.partial(firm.try_to_pay, session),
            functools.partial(firm.drain, 2),
        ]
        at_once(shuffled(actions, seed=number))
        firm.settle(workers=4)
        audit(firm, invoice)
        by_card = [row for row in firm.rows("payments", invoice, status="succeeded") if row["transaction_id"]]
        assert str(amount_paid(firm, invoice)) == ("100.00" if by_card else "40.00")
        assert firm.stored(invoice)["status"] == "void"
        assert firm.open_sessions(invoice) == []


def test_many_wires_and_a_card_at_once(firm: Firm) -> None:
    """Every wire is entered while others are; the last recompute sees them all."""
    invoice, session = with_open_session(firm, "60.00")
    actions: list[Callable[[], object]] = [
        functools.partial(firm.staff_enters_payment, invoice, f"{number}.10")
        for number in range(1, SIZES.at_once)
    ]
    actions += [functools.partial(firm.try_to_pay, session), firm.drain, firm.drain]
    at_once(actions)
    firm.settle(workers=4)
    audit(firm, invoice)
    assert len(firm.rows("payments", invoice, method="wire")) == SIZES.at_once - 1
