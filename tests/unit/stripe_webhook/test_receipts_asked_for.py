"""The one writer asks the renderer for a receipt of every payment that succeeded, and dies in between without loss."""

import pytest

from tests.unit.fakes.steps import Crash, crash
from tests.unit.fakes.world import World, opened


def asked(world: World) -> list[object]:
    """The payments whose receipts were asked for since the last look."""
    found = [message["payment"] for message in world.rendering.messages if message["type"] == "receipt"]
    world.rendering.messages.clear()
    return found


def test_a_payment_through_stripe_is_acknowledged_once_it_is_booked() -> None:
    world, session = opened()
    assert asked(world) == []
    world.stripe.pays(session)
    world.deliver()
    assert set(asked(world)) == {world.payments()[0]["id"]}


def test_a_payment_that_has_its_receipt_is_not_asked_for_again() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver()
    asked(world)
    world.payments()[0]["receipt"] = "a file"
    world.recompute()
    assert asked(world) == []


def test_a_debit_under_way_is_acknowledged_when_it_has_settled_only() -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    assert asked(world) == []
    world.stripe.settles(session, succeeds=True)
    world.deliver()
    assert set(asked(world)) == {world.payments()[0]["id"]}


def test_a_check_entered_by_staff_is_acknowledged() -> None:
    world = World()
    world.invoice("100.00")
    world.payment("60.00")
    world.recompute()
    assert asked(world) == [world.payments()[0]["id"]]


def test_money_without_an_attempt_is_acknowledged_by_the_row_that_directus_made_for_it() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.payments()[0].update(
        checkout_session=None, open_claim=None, status="canceled", transaction_id="pi_other"
    )
    world.deliver()
    booked = [row["id"] for row in world.payments() if row["status"] == "succeeded"]
    assert len(booked) == 1
    assert set(asked(world)) == set(booked)


@pytest.mark.parametrize("mended", [{"amount": "6.00"}, {"payment_date": "2026-11-01"}])
def test_a_check_that_staff_have_mended_is_asked_for_again(mended: dict[str, str]) -> None:
    world = World()
    world.invoice("100.00")
    world.payment("60.00")
    world.recompute()
    world.payments()[0].update(receipt="a file", **mended)
    asked(world)
    world.recompute()
    assert asked(world) == [world.payments()[0]["id"]]


def test_money_on_a_draft_waits_for_its_sending() -> None:
    world = World()
    world.invoice("100.00", status="draft", sent_at=None)
    world.payment("60.00")
    world.recompute()
    assert asked(world) == []
    world.stored()["status"] = "sent"
    world.recompute()
    assert asked(world) == [world.payments()[0]["id"]]


def test_money_on_an_invoice_that_cannot_be_read_is_acknowledged_all_the_same() -> None:
    world, session = opened()
    next(iter(world.directus.table("line_items").values()))["amount"] = "many"
    world.stripe.pays(session)
    world.deliver()
    assert world.payments()[0]["status"] == "succeeded"
    assert set(asked(world)) == {world.payments()[0]["id"]}


@pytest.mark.parametrize("moment", ["before the write", "after the write"])
def test_the_writer_dies_and_the_next_asks(moment: str) -> None:
    world = World()
    world.invoice("100.00", pdf_status="ready")
    world.payment("60.00")
    order = world.steps.before_next if moment == "before the write" else world.steps.after_next
    order["PATCH invoices"] = crash
    with pytest.raises(Crash):
        world.recompute()
    assert asked(world) == []
    world.recompute()
    assert asked(world) == [world.payments()[0]["id"]]


def test_an_edit_is_asked_for_though_the_writer_dies_at_its_write() -> None:
    world = World()
    world.invoice("100.00", pdf_status="ready")
    world.payment("60.00")
    world.recompute()
    world.payments()[0].update(receipt="a file", amount="6.00")
    asked(world)
    world.steps.after_next["PATCH invoices"] = crash
    with pytest.raises(Crash):
        world.recompute()
    assert asked(world) == [world.payments()[0]["id"]]
