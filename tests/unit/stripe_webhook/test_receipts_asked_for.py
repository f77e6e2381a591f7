"""The one writer asks the renderer for a receipt of every payment that succeeded, and dies in between without loss."""

import pytest

from tests.unit.fakes.receipts import receipt_columns
from tests.unit.fakes.steps import Crash, crash
from tests.unit.fakes.world import OTHER_CLIENT, World, opened


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
    world.payments()[0].update(receipt_columns(world.payments()[0]))
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


MENDED: list[dict[str, str | None]] = [
    {"amount": "6.00"}, {"payment_date": "2026-11-01"}, {"method": "cash"}, {"receipt_says": None},
    {"client": None}, {"client": OTHER_CLIENT},
]  # fmt: skip


@pytest.mark.parametrize("mended", MENDED)
def test_a_check_that_was_mended_is_asked_for_again(mended: dict[str, str]) -> None:
    world = World()
    world.invoice("100.00")
    world.payment("60.00")
    world.recompute()
    (check,) = world.payments()
    check.update(receipt_columns(check))
    asked(world)
    world.recompute()
    assert asked(world) == []
    check.update(mended)
    world.recompute()
    assert asked(world) == [check["id"]]


@pytest.mark.parametrize("mended", [{"amount": "6.00"}, {"payment_date": "2026-11-01"}])
def test_a_card_payment_that_an_administrator_has_corrected_is_asked_for_again(
    mended: dict[str, str],
) -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver()
    (card,) = world.payments()
    card.update(receipt_columns(card))
    asked(world)
    card.update(mended)
    world.recompute()
    assert asked(world) == [card["id"]]


@pytest.mark.parametrize(("status", "sent_at"), [("sent", "2026-11-01T12:00:00Z"), ("draft", None)])
def test_a_payment_that_was_moved_here_is_asked_for_again_on_a_draft_as_well(
    status: str, sent_at: str | None
) -> None:
    """There it gets none; the one of the other invoice must go all the same."""
    world = World()
    world.invoice("100.00", status=status, sent_at=sent_at)
    world.payment("60.00")
    (check,) = world.payments()
    check.update(receipt_columns({**check, "invoice": "another"}))
    world.recompute()
    assert asked(world) == [check["id"]]


def test_a_check_that_bounced_keeps_its_receipt_unless_it_is_moved() -> None:
    world = World()
    world.invoice("100.00")
    world.payment("60.00", status="canceled")
    (check,) = world.payments()
    check.update(receipt_columns(check), amount="6.00")
    world.recompute()
    assert asked(world) == []
    check.update(receipt_columns({**check, "invoice": "another"}))
    world.recompute()
    assert asked(world) == [check["id"]]


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


@pytest.mark.parametrize("moment", ["before the write", "after the write"])
def test_the_writer_dies_over_an_edit_and_the_next_asks(moment: str) -> None:
    world = World()
    world.invoice("100.00", pdf_status="ready")
    world.payment("60.00")
    world.recompute()
    (check,) = world.payments()
    check.update(receipt_columns(check), amount="6.00")
    asked(world)
    order = world.steps.before_next if moment == "before the write" else world.steps.after_next
    order["PATCH invoices"] = crash
    with pytest.raises(Crash):
        world.recompute()
    assert asked(world) == []
    world.recompute()
    assert asked(world) == [check["id"]]
