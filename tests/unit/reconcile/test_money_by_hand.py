"""Payments that name a checkout and no transaction count as nobody's: named, and never booked a second time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from billing.messages import SyncSession
from billing.reconcile.payments import PaymentIndex, compare_receipt, compare_session
from billing.stripe.objects import BalanceTransaction, CheckoutSession
from tests.builders import usd
from tests.unit.reconcile.house import kinds, settled
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.sessions import CANCELED, PENDING
from tests.unit.reconcile.support import INVOICE, NOW, OTHER_INVOICE, booked, row, session


@pytest.mark.parametrize("method", ["wire", "check", "cash", "other", "card"])
def test_a_stripe_payment_that_lost_its_transaction_counts_once_whatever_its_method_says(method: str) -> None:
    house, session_ = paid()
    house.payments()[0] |= {"transaction_id": None, "method": method}
    repaired, differences = settled(house)
    (kept,) = house.payments()
    assert house.stored()["amount_paid"] == "100.00"
    if method == "card":  # only where the method says so, too, is it Stripe's beyond doubt
        assert (kinds(repaired), differences, kept["transaction_id"]) == (["transaction_missing"], [], "pi_1")
    else:
        assert (repaired, kinds(differences)) == ([], ["payment_without_transaction"])
        assert (differences[0]["payment"], differences[0]["checkout_session"]) == (kept["id"], session_)


def test_it_is_named_in_every_run_until_the_transaction_is_back() -> None:
    house, _ = paid()
    (row_,) = house.payments()
    row_ |= {"transaction_id": None, "method": "wire"}
    house.passes(days=30)
    assert kinds(settled(house)[1]) == ["payment_without_transaction"]
    row_["transaction_id"] = "pi_1"
    assert settled(house) == ([], [])


def test_an_attempt_that_somebody_calls_received_by_wire_is_named() -> None:
    house, _ = opened()
    house.payments()[0] |= {"status": "succeeded", "method": "wire", "open_claim": None}
    house.recompute()
    _, differences = settled(house)
    assert kinds(differences) == ["payment_without_transaction"]
    assert house.stored()["amount_paid"] == "100.00"


@pytest.mark.parametrize("columns", [{"checkout_session": None, "attempt": None}])
def test_what_the_firm_received_otherwise_is_its_own_once_nothing_of_the_checkout_is_left(
    columns: dict[str, Any],
) -> None:
    house, session_ = opened()
    house.stripe.expires(session_)
    house.payments()[0] |= {"status": "succeeded", "method": "wire", "open_claim": None, **columns}
    house.deliver()
    house.drop_webhooks()
    assert settled(house) == ([], [])


def test_a_row_that_only_kept_what_was_sent_to_stripe_is_named() -> None:
    house, _ = paid()
    house.payments()[0] |= {"transaction_id": None, "checkout_session": None, "method": "wire"}
    assert "payment_without_transaction" in kinds(settled(house)[1])


def test_money_of_no_invoice_without_its_transaction_is_not_booked_beside_itself() -> None:
    house, _ = paid()
    house.payments()[0] |= {"transaction_id": None, "invoice": None, "client": None}
    house.recompute()
    _, differences = settled(house)
    assert set(kinds(differences)) == {"payment_without_transaction", "payment_unapplied"}
    assert len(house.payments()) == 1


# ---- whether money came ---------------------------------------------------------------------------------


def with_received(status: str, payment_status: str, *, received: int) -> CheckoutSession:
    found = session(status, payment_status)
    assert found.payment_intent is not None
    return replace(found, payment_intent=replace(found.payment_intent, amount_received=received))


@pytest.mark.parametrize(("status", "payment_status"), [("expired", "unpaid"), ("complete", "unpaid")])
def test_a_session_whose_intent_received_money_is_a_payment_whatever_its_own_status_says(
    status: str, payment_status: str
) -> None:
    found = with_received(status, payment_status, received=10000)
    for waiting in (None, row(PENDING), row(CANCELED)):
        (missing,) = compare_session(found, waiting)
        assert (missing.kind, missing.repair) == ("payment_missing", SyncSession("cs_1", INVOICE))
    assert compare_session(found, booked()) == []
    assert [one.kind for one in compare_session(found, booked(amount=usd("99.00")))] == [
        "payment_amount_differs"
    ]
    movement = BalanceTransaction(
        "txn_1", "charge", 10000, 320, "USD", NOW, source="ch_1", payment_intent="pi_1"
    )
    assert [one.kind for one in compare_receipt(movement, row(PENDING), found)] == ["payment_missing"]


@pytest.mark.parametrize("received", [0, 10000])
def test_an_expired_session_frees_its_attempt_only_if_nothing_was_received(received: int) -> None:
    found = with_received("expired", "unpaid", received=received)
    kinds_ = [one.kind for one in compare_session(found, row(PENDING, claim=True))]
    assert kinds_ == (["payment_missing"] if received else ["attempt_expired"])


def test_money_of_an_expired_session_is_booked_by_the_repair() -> None:
    house, session_ = opened()
    house.stripe.pays(session_)
    house.stripe.sessions[session_] = replace(
        house.stripe.sessions[session_], status="expired", payment_status="unpaid"
    )
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences, house.stored()["status"]) == (["payment_missing"], [], "paid")


# ---- which row is a session's ---------------------------------------------------------------------------


def test_a_row_by_hand_is_taken_by_its_transaction_alone_and_told_apart_while_it_counts() -> None:
    found = session()
    wire = replace(row(), method="wire")
    index = PaymentIndex([wire])
    assert (index.of(found), index.entered_by_hand(found)) == (None, wire)
    index = PaymentIndex([replace(wire, status=CANCELED)])
    assert (index.of(found), index.entered_by_hand(found)) == (None, None)
    with_transaction = replace(wire, transaction_id="pi_1")
    assert PaymentIndex([with_transaction]).of(found) == with_transaction


def test_it_is_the_row_that_the_one_writer_takes() -> None:
    found = session()
    by_transaction = row(key="a", checkout_session=None, transaction_id="pi_1")
    by_session = row(PENDING, key="b")
    by_id = row(PENDING, checkout_session=None)
    other = row(key="c", checkout_session="cs_2", transaction_id="pi_2")
    assert PaymentIndex([other, by_id, by_session, by_transaction]).of(found) == by_transaction
    assert PaymentIndex([other, by_id, by_session]).of(found) == by_session
    assert PaymentIndex([other, by_id]).of(found) == by_id
    assert PaymentIndex([other, replace(by_id, invoice=OTHER_INVOICE)]).of(found) is None
