"""The invoice writer orders the receipt of every payment that succeeded about once, and dies in between without loss."""

from collections import Counter

import pytest

from billing.messages import RenderInvoicePdf
from tests.fakes.receipts import receipt_columns
from tests.fakes.steps import Crash, crash
from tests.fakes.world import INVOICE, OTHER_CLIENT, World, opened


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
    check = world.payment("60.00")
    world.recompute(payments=[check["id"]])
    assert asked(world) == [check["id"]]


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
    world.recompute(payments=[check["id"]])
    assert asked(world) == []
    check.update(mended)
    world.recompute(payments=[check["id"]])
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
    world.recompute(payments=[card["id"]])
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
    world.recompute(payments=[check["id"]])
    assert asked(world) == [check["id"]]


def test_a_check_that_bounced_keeps_its_receipt_unless_it_is_moved() -> None:
    world = World()
    world.invoice("100.00")
    world.payment("60.00", status="canceled")
    (check,) = world.payments()
    check.update(receipt_columns(check), amount="6.00")
    world.recompute(payments=[check["id"]])
    assert asked(world) == []
    check.update(receipt_columns({**check, "invoice": "another"}))
    world.recompute(payments=[check["id"]])
    assert asked(world) == [check["id"]]


def test_money_on_a_draft_waits_for_its_sending() -> None:
    world = World()
    world.invoice("100.00", status="draft", sent_at=None)
    check = world.payment("60.00")
    world.recompute(payments=[check["id"]])
    assert asked(world) == []
    world.stored()["status"] = "sent"
    world.recompute()
    assert asked(world) == [check["id"]]
    world.recompute()
    assert asked(world) == []


def test_money_on_an_invoice_that_cannot_be_read_is_acknowledged_all_the_same() -> None:
    world, session = opened()
    next(iter(world.directus.table("line_items").values()))["amount"] = "many"
    world.stripe.pays(session)
    world.deliver()
    assert world.payments()[0]["status"] == "succeeded"
    assert set(asked(world)) == {world.payments()[0]["id"]}


@pytest.mark.parametrize("moment", ["before the write", "after the write"])
def test_the_writer_dies_and_the_redelivered_message_orders(moment: str) -> None:
    world = World()
    world.invoice("100.00", pdf_status="ready")
    check = world.payment("60.00")
    order = world.steps.before_next if moment == "before the write" else world.steps.after_next
    order["PATCH invoices"] = crash
    with pytest.raises(Crash):
        world.recompute(payments=[check["id"]])
    assert asked(world) == []
    world.recompute(payments=[check["id"]])
    assert asked(world) == [check["id"]]


@pytest.mark.parametrize("step", ["PATCH invoices", "queue rendering", "PATCH stripe_events"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_writer_dies_over_a_card_payment_and_the_redelivered_event_orders(step: str, moment: str) -> None:
    world, session = opened()
    world.stripe.pays(session)
    order = world.steps.before_next if moment == "before" else world.steps.after_next
    order[step] = crash
    with pytest.raises(Crash):
        world.deliver()
    world.deliver()
    (payment,) = world.payments(status="succeeded")
    assert payment["id"] in asked(world)


@pytest.mark.parametrize("step", ["PATCH invoices", "queue rendering"])
def test_a_look_at_a_session_that_died_is_repeated_and_orders(step: str) -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.steps.after_next[step] = crash
    with pytest.raises(Crash):
        world.invoice_writer.sync_session(session)
    asked(world)
    world.invoice_writer.sync_session(session)
    assert asked(world) == [world.payments()[0]["id"]]


# ---- many at once ---------------------------------------------------------------------------------------

MANY = 60


def test_sixty_checks_entered_at_once_are_sixty_orders_and_keep_no_other_client_waiting() -> None:
    """One request each, or one for all: Directus tells of each new row. No receipt is drawn meanwhile."""
    world = World()
    world.invoice("100.00")
    entered = [world.payment("1.00")["id"] for _ in range(MANY)]
    world.queue.recompute([INVOICE] * 2)  # of the invoice itself, and of a line
    for payment in entered:
        world.queue.recompute([INVOICE], payments={INVOICE: [payment]})
    world.drain()
    world.rendering.send_many([RenderInvoicePdf("another client's")])
    orders = [message.get("payment") or message["invoice"] for message in world.rendering.messages]
    assert orders == [*entered, "another client's"]


def test_sixty_checks_changed_by_one_request_are_sixty_orders() -> None:
    world = World()
    world.invoice("100.00")
    changed = [world.payment("1.00")["id"] for _ in range(MANY)]
    world.queue.recompute([INVOICE], payments={INVOICE: changed})
    world.drain()
    assert sorted(map(str, asked(world))) == sorted(changed)


def test_sixty_checks_on_a_draft_are_two_orders_each_at_most_when_it_is_sent() -> None:
    world = World()
    world.invoice("100.00", status="sent", sent=False)
    entered = [world.payment("1.00")["id"] for _ in range(MANY)]
    for payment in entered:
        world.queue.recompute([INVOICE], payments={INVOICE: [payment]})
    world.drain()
    orders = Counter(asked(world))
    assert set(orders) == set(entered)
    assert set(orders.values()) <= {1, 2}


def test_sixty_card_payments_are_sixty_orders_whatever_is_told_of_each() -> None:
    world = World()
    world.invoice("60.00")
    for _ in range(MANY):
        session = world.pay("1.00").checkout_session
        world.stripe.pays(session)
        world.stripe.learns_fee(session, 33)
        world.deliver()
    orders = Counter(asked(world))
    assert set(orders) == {row["id"] for row in world.payments(status="succeeded")}
    assert (len(orders), set(orders.values())) == (MANY, {1})
