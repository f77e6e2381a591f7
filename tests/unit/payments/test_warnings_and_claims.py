"""Warnings, surplus, sessions and claims without each other, bank debits without a row."""

from dataclasses import replace

import pytest

from billing.messages import StripeEvent
from billing.stripe.subjects import Subject
from tests.fakes.steps import Crash, crash
from tests.fakes.world import CLIENT, INVOICE, World, opened
from tests.unit.payments.reversed_payments import booked, booked_through_stripe, paid, totals

# ---- warnings and reviews -------------------------------------------------------------------------------

WARNINGS = [
    ("radar.early_fraud_warning.created", Subject.EARLY_FRAUD_WARNING, "issfr_1", "suspects fraud"),
    ("review.opened", Subject.REVIEW, "prv_1", "asks for a review"),
    ("review.closed", Subject.REVIEW, "prv_1", "is closed"),
]


def warned(world: World, session: str, warning: tuple[str, Subject, str, str], event: str) -> StripeEvent:
    kind, subject, name, _ = warning
    intent = world.stripe.sessions[session].payment_intent
    assert intent is not None
    world.stripe.hangs(subject, name, intent.metadata, intent.id)
    return StripeEvent(event, kind, name, "x", False)


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_warning_is_written_on_its_payment_once(warning: tuple[str, Subject, str, str]) -> None:
    world, session = paid()
    booked(world)["note"] = "Written by staff."
    for event in ("evt_w1", "evt_w2", "evt_w1"):
        world.deliver([warned(world, session, warning, event)])
    staff, sentence = booked(world)["note"].splitlines()
    assert staff == "Written by staff."
    assert warning[2] in sentence
    assert warning[3] in sentence
    assert [flag for flag, _ in world.flags] == [sentence]
    assert totals(world) == ("paid", "100.00", "0.00")


def test_a_review_that_is_opened_and_closed_leaves_both_sentences() -> None:
    world, session = paid()
    for number, warning in enumerate(WARNINGS[1:]):
        world.deliver([warned(world, session, warning, f"evt_r{number}")])
    assert len(booked(world)["note"].splitlines()) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_any_step_of_a_warning_leaves_one_sentence(when: str) -> None:
    number = 0
    while True:
        world, session = paid()
        event = warned(world, session, WARNINGS[0], "evt_w")
        world.steps.reset()
        (world.steps.before if when == "before" else world.steps.after)[number] = crash
        try:
            world.deliver([event])
        except Crash:
            world.deliver([event])
        else:
            break
        assert len(booked(world)["note"].splitlines()) == 1
        number += 1
    assert number >= 5


def test_a_warning_that_comes_before_its_payment_was_booked_is_written_on_it() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver([warned(world, session, WARNINGS[0], "evt_w")])
    assert booked(world)["amount"] == "100.00"
    assert "suspects fraud" in booked(world)["note"]


# ---- surplus --------------------------------------------------------------------------------------------


def test_surplus_is_noted_once_and_the_note_of_staff_stays() -> None:
    world, session = opened()
    world.payment("30.00")
    world.payments(checkout_session=session)[0]["note"] = "Written by staff."
    world.stripe.pays(session)
    world.stripe.learns_fee(session, 320)
    world.deliver()
    world.deliver([replace(event, event=f"{event.event}_again") for event in world.stripe.events])
    world.recompute()
    staff, sentence = booked_through_stripe(world)["note"].splitlines()
    assert staff == "Written by staff."
    assert "30.00 USD is credit" in sentence
    assert [flag for flag, _ in world.flags].count(sentence) == 1
    assert totals(world) == ("paid", "130.00", "-30.00")


def test_what_was_refunded_before_it_was_booked_is_no_surplus() -> None:
    world, session = opened()
    world.payment("100.00")
    world.stripe.pays(session)
    world.stripe.refunds_payment(session)
    world.deliver()
    assert booked_through_stripe(world)["note"] is None
    assert totals(world) == ("paid", "100.00", "0.00")


# ---- sessions without a claim, claims without a session ---------------------------------------------------


def test_an_open_session_that_nothing_claims_is_expired() -> None:
    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    assert world.invoice_writer.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"
    assert len(world.flags) == 1


def test_an_open_session_whose_row_is_gone_is_expired() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.invoice_writer.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"


def test_an_unclaimed_session_that_is_paid_before_it_can_be_expired_is_booked() -> None:
    world, session = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    world.steps.before_next["expire session"] = lambda: world.stripe.pays(session)
    world.invoice_writer.sync_session(session)
    assert totals(world) == ("paid", "100.00", "0.00")


def test_an_open_session_that_is_claimed_stays_open() -> None:
    world, session = opened()
    world.invoice_writer.sync_session(session)
    assert world.stripe.sessions[session].is_open
    assert world.payments()[0]["open_claim"] == INVOICE


def test_a_claim_whose_maker_died_gets_its_session() -> None:
    world, session = opened()
    world.payments()[0]["checkout_session"] = None
    world.invoice_writer.sync_session(session)
    row = world.payments()[0]
    assert (row["checkout_session"], row["open_claim"], row["status"]) == (session, INVOICE, "pending")
    assert world.stripe.sessions[session].is_open
    assert world.pay().checkout_session == session


@pytest.mark.parametrize("change", ["void", "canceled", "wire"])
def test_a_session_found_for_a_claim_that_no_longer_fits_is_expired_at_once(change: str) -> None:
    """Nobody was told of the session: nobody asked for the look that follows every opening."""
    world, session = opened()
    world.payments()[0]["checkout_session"] = None
    match change:
        case "void":
            world.stored()["status"] = "void"
        case "canceled":
            world.payments()[0]["status"] = "canceled"
        case _:
            world.payment("50.00")
    world.invoice_writer.sync_session(session)
    assert world.stripe.sessions[session].status == "expired"
    (attempt,) = world.payments(checkout_session=session)
    assert (attempt["open_claim"], attempt["status"]) == (None, "canceled")


# ---- bank debits ----------------------------------------------------------------------------------------


def test_a_bank_debit_without_a_row_gets_one_that_holds_the_invoice() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.stripe.debits(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"], row["client"], row["amount"]) == ("processing", INVOICE, CLIENT, "100.00")  # fmt: skip
    assert "bank debit is under way" in row["note"]
    assert totals(world) == ("sent", "0.00", "100.00")
    assert world.flags


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_bank_debit_without_a_row_ends_on_the_row_it_got(succeeds: bool) -> None:  # noqa: FBT001  # a parameter of pytest
    world, session = opened()
    world.directus.table("payments").clear()
    world.stripe.debits(session)
    world.deliver()
    world.stripe.settles(session, succeeds=succeeds)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"]) == ("succeeded" if succeeds else "failed", None)
    assert totals(world)[0] == ("paid" if succeeds else "sent")


def test_a_bank_debit_through_an_older_session_leaves_the_newer_claim_where_it_is() -> None:
    world, first = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    second = world.pay().checkout_session
    world.drain()
    world.stripe.debits(first)
    world.deliver([event for event in world.stripe.events if event.object != second])
    (row,) = world.payments(checkout_session=first)
    assert (row["status"], row["open_claim"]) == ("processing", None)
    assert len(world.payments(open_claim=INVOICE)) <= 1


@pytest.mark.parametrize("change", ["the invoice is gone", "the invoice's currency changed"])
def test_a_bank_debit_that_no_invoice_can_take_any_more_is_unapplied_and_never_lost(change: str) -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    if change == "the invoice is gone":
        world.payments()[0]["invoice"] = None
    else:
        world.stored()["currency"] = "EUR"
    world.stripe.settles(session, succeeds=True)
    for _ in range(2):
        world.deliver()
    row = booked(world)
    assert (row["amount"], row["currency"], row["invoice"], row["client"]) == ("100.00", "USD", None, None)
    (attempt,) = world.payments(checkout_session=session)
    assert (attempt["status"], attempt["open_claim"], attempt["transaction_id"]) == ("canceled", None, None)


# ---- claims that are left -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["recompute", "event"])
def test_a_claim_left_on_a_payment_that_succeeded_is_freed(how: str) -> None:
    world, session = paid("40.00")
    booked(world)["open_claim"] = INVOICE
    if how == "recompute":
        world.recompute()
    else:
        world.stripe.learns_fee(session, 320)
        world.deliver()
    assert booked(world)["open_claim"] is None
    assert world.pay().checkout_session != session


def test_a_claim_left_on_a_payment_that_failed_is_freed_and_its_session_is_not_left_payable() -> None:
    world, session = opened()
    world.payments()[0]["status"] = "failed"
    world.recompute()
    assert world.payments()[0]["open_claim"] is None
    assert world.stripe.sessions[session].status == "expired"
