"""What reconciliation repairs: on the fakes with the real use cases, to the state that no run changes any more."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from billing.stripe.objects import Charge
from tests.fakes.world import INVOICE
from tests.unit.reconcile.house import House, kinds, settled
from tests.unit.reconcile.payments import balance_of, opened, paid


def test_a_house_in_order_has_nothing_to_repair_and_says_what_was_looked_at() -> None:
    house, _ = paid()
    answer = house.run().as_json()
    assert (answer["repaired"], answer["differences"]) == ([], [])
    assert answer["checked"] == {
        "sessions": 1, "refunds": 0, "refund_rows": 0, "disputes": 0, "dispute_rows": 0, "balance_transactions": 1,
        "open_attempts": 0, "transactions": 0, "invoices": 1, "unapplied_payments": 0, "unfinished_events": 0,
        "undelivered_events": 0, "unsettled_notices": 0, "dead_letter_queues": 0, "payments": 1,
    }  # fmt: skip


def test_a_payment_whose_webhooks_were_all_lost_is_booked_within_a_run() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["payment_missing"], [])
    assert repaired[0]["repair"] == "sync_session"
    assert (house.stored()["status"], balance_of(house)) == ("paid", Decimal(0))
    assert house.run().money_repaired == 0


def test_a_bank_debit_is_followed_from_its_beginning_to_its_end_without_any_webhook() -> None:
    house, session = opened()
    house.stripe.debits(session)
    house.drop_webhooks()
    repaired, _ = settled(house)
    assert set(kinds(repaired)) == {"payment_status_differs"}
    assert house.payments(status="processing")
    house.passes(days=5)
    house.stripe.settles(session, succeeds=True)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["payment_missing"], [])
    assert house.stored()["status"] == "paid"


def test_a_bank_debit_that_fails_after_days_frees_its_invoice() -> None:
    house, session = opened()
    house.stripe.debits(session)
    house.deliver()
    house.passes(days=5)
    house.stripe.settles(session, succeeds=False)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["payment_status_differs"], [])
    (row,) = house.payments()
    assert (row["status"], row["open_claim"]) == ("failed", None)


@pytest.mark.parametrize("hours", [24, 24 * 10])
def test_an_attempt_whose_session_expired_unnoticed_is_ended_however_old(hours: int) -> None:
    house, session = opened()
    house.passes(hours=hours)
    house.stripe.retrieve_session(session)  # time passes at Stripe, too
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["attempt_expired"], [])
    assert house.payments(open_claim=INVOICE) == []


def test_a_session_that_was_stored_nowhere_is_stored_on_its_attempt() -> None:
    house, session = opened()
    (row,) = house.payments()
    row["checkout_session"] = None
    house.passes(minutes=20)
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["session_not_stored"], [])
    assert house.payments()[0]["checkout_session"] == session


def test_an_open_session_that_nothing_claims_is_expired() -> None:
    house, session = opened()
    (row,) = house.payments()
    row |= {"open_claim": None, "status": "canceled"}
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["session_without_attempt"], [])
    assert house.stripe.sessions[session].status == "expired"


def test_a_payment_through_a_session_that_nobody_claims_is_booked_and_flagged() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    (row,) = house.payments()
    row |= {"open_claim": None, "status": "canceled"}
    settled(house)
    assert house.stored()["status"] == "paid"


def test_a_claim_that_never_got_a_session_is_freed_once_its_time_is_over() -> None:
    house = House()
    house.invoice("100.00")
    house.payment(
        "100.00", status="pending", method="card", open_claim=INVOICE,
        expires_at=(house.now() + timedelta(hours=23)).isoformat(),
    )  # fmt: skip
    assert kinds(house.run().as_json()["differences"]) == []
    house.passes(minutes=15)
    _, differences = settled(house)
    assert kinds(differences) == ["attempt_without_session"]
    house.passes(hours=23)
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["attempt_expired"], [])
    assert repaired[0]["repair"] == "recompute"
    assert house.payments(open_claim=INVOICE) == []


def test_an_open_session_that_no_longer_fits_is_ended_though_the_flow_was_lost() -> None:
    house, session = opened()
    house.payment("40.00")  # a check came in; Billing changed never ran
    repaired, differences = settled(house)
    assert sorted(kinds(repaired)) == ["attempt_does_not_fit", "invoice_differs"]
    assert differences == []
    assert house.stripe.sessions[session].status == "expired"
    assert balance_of(house) == Decimal(60)


def test_a_canceled_attempt_is_carried_out_though_the_flow_was_lost() -> None:
    house, session = opened()
    house.payments()[0]["status"] = "canceled"
    repaired, _ = settled(house)
    assert kinds(repaired) == ["attempt_does_not_fit"]
    assert house.stripe.sessions[session].status == "expired"


def test_a_fee_that_became_known_later_is_filled_in() -> None:
    house, session = paid(fee=None)
    assert house.payments()[0]["fee"] is None
    house.stripe.learns_fee(session, 320)
    house.drop_webhooks()
    house.passes(days=1)
    repaired, differences = settled(house)
    assert (set(kinds(repaired)), differences) == ({"fee_missing"}, [])
    assert house.payments()[0]["fee"] == "3.20"


@pytest.mark.parametrize("days", [0, 40])
def test_a_refund_whose_webhooks_were_lost_is_booked_however_old_the_payment(days: int) -> None:
    house, session = paid()
    house.passes(days=days)
    house.stripe.refunds_payment(session, 2500)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["refund_missing"], [])
    assert balance_of(house) == Decimal(25)


def test_a_refund_that_fails_weeks_later_is_found_without_a_webhook() -> None:
    house, session = paid()
    refund = house.stripe.refunds_payment(session, 2500, status="pending")
    house.deliver()
    house.passes(days=20)
    house.stripe.refund_becomes(refund, "failed")
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["refund_differs"], [])
    assert balance_of(house) == Decimal(0)


def test_a_dispute_is_followed_to_its_end_without_a_webhook() -> None:
    house, session = paid()
    dispute = house.stripe.disputes_payment(session)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["dispute_missing"], [])
    assert balance_of(house) == Decimal(0)
    house.passes(days=60)
    house.stripe.dispute_becomes(dispute, "lost", minor=5000)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["dispute_differs"], [])
    assert balance_of(house) == Decimal(50)


def test_a_refund_of_a_payment_that_was_never_booked_brings_both() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.passes(days=10)
    house.stripe.refunds_payment(session, 2500)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (set(kinds(repaired)), differences) == ({"payment_missing"}, [])
    assert balance_of(house) == Decimal(25)


def test_a_refund_on_unapplied_money_is_booked_below_it() -> None:
    house, session = opened()
    house.stripe.pays(session, currency="EUR")
    house.deliver()
    (unapplied,) = house.payments(invoice=None)
    house.stripe.refunds_payment(session)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert kinds(repaired) == ["refund_missing"]
    assert kinds(differences) == ["payment_unapplied"]
    (refund,) = house.directus.table("refunds").values()
    assert refund["payment"] == unapplied["id"]


def test_a_lost_transaction_id_is_written_again() -> None:
    house, _ = paid()
    house.payments()[0]["transaction_id"] = None
    repaired, differences = settled(house)
    assert "transaction_missing" in kinds(repaired)
    assert differences == []
    assert house.payments()[0]["transaction_id"] is not None


def test_every_derived_column_is_derived_again() -> None:
    house, _ = paid()
    house.stored()["amount_paid"] = "77.00"
    house.payments()[0]["amount_refunded"] = "5.00"
    house.payments()[0]["open_claim"] = INVOICE
    repaired, differences = settled(house)
    assert set(kinds(repaired)) == {"invoice_differs", "payment_differs", "claim_left"}
    assert {entry["repair"] for entry in repaired} == {"recompute"}
    assert differences == []
    assert house.payments()[0]["open_claim"] is None


def test_one_invoice_is_recomputed_once_for_all_its_differences() -> None:
    house, _ = paid()
    house.stored()["amount_paid"] = "77.00"
    house.payments()[0]["amount_refunded"] = "5.00"
    report = house.run()
    assert report.repaired_total == 2
    assert house.queue.messages() == [{"type": "recompute", "invoice": INVOICE}]


def test_a_manual_payment_whose_flow_was_lost_counts_within_the_hour() -> None:
    house = House()
    house.invoice("100.00")
    house.payment("100.00")
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["invoice_differs"], [])
    assert house.stored()["status"] == "paid"


@pytest.mark.parametrize("status", ["none", "pending"])
def test_a_lost_render_is_asked_for_again(status: str) -> None:
    house = House()
    house.invoice("100.00", pdf_status=status)
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["pdf_missing"], [])
    assert repaired[0]["repair"] == "render"


def test_a_document_that_is_gone_is_drawn_again_by_force() -> None:
    house = House()
    house.invoice("100.00")
    house.directus.table("documents").clear()
    house.run()
    assert house.rendering.messages == [{"type": "invoice", "invoice": INVOICE, "force": True}]
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["document_missing"], [])


def test_a_file_that_is_gone_is_drawn_again_only_for_the_newest_version() -> None:
    house = House()
    house.invoice("100.00")
    old = house.document(version=2, file=None)
    house.document(version=3, file=None)
    repaired, differences = settled(house)
    assert kinds(repaired) == ["document_without_file"]
    assert [entry["document"] for entry in differences] == [old["id"]]


def test_a_document_that_a_renderer_has_begun_and_not_shown_has_lost_nothing() -> None:
    """It has no file yet, or never gets one; an invoice that is said to be ready needs another."""
    house = House()
    house.invoice("100.00")
    begun = house.document(version=0, file=None) | {"content_hash": "x", "sha256": None}
    house.directus.table("documents")[begun["id"]] = begun
    assert settled(house) == ([], [])
    (shown,) = [row for row in house.directus.table("documents").values() if row is not begun]
    del house.directus.table("documents")[shown["id"]]
    house.run()
    assert house.rendering.messages == [{"type": "invoice", "invoice": INVOICE, "force": True}]


def test_an_event_that_was_never_finished_is_applied() -> None:
    house, session = opened()
    house.stripe.pays(session)
    event = house.stripe.events[-1]
    house.drop_webhooks()
    house.directus.put(
        "stripe_events", id=event.event, type=event.event_type, object_id=event.object, status="received",
        received_at=(house.now() - timedelta(minutes=16)).isoformat(),
    )  # fmt: skip
    repaired, differences = settled(house)
    assert set(kinds(repaired)) == {"payment_missing", "event_unfinished"}
    assert differences == []
    assert house.directus.table("stripe_events")[event.event]["status"] == "done"


def test_a_parked_event_is_tried_each_time_and_stays_named_until_it_succeeds() -> None:
    house = House()
    house.directus.put(
        "stripe_events", id="evt_1", type="charge.updated", object_id="ch_unknown", status="parked"
    )
    for _ in range(2):
        answer = house.run().as_json()
        assert (answer["repaired"], kinds(answer["differences"])) == ([], ["event_parked"])
        assert [message["event"] for message in house.queue.messages()] == ["evt_1"]
        house.work_off()
    house.stripe.foreign_charges.append(Charge("ch_unknown", "succeeded", house.now(), "USD"))
    house.run()
    house.work_off()
    assert house.directus.table("stripe_events")["evt_1"]["status"] == "ignored"
    assert settled(house) == ([], [])


def test_an_event_that_stripe_could_not_deliver_is_applied_even_weeks_later() -> None:
    house, session = paid()
    house.stripe.disputes_payment(session)
    house.passes(days=20)
    undelivered = [event.event for event in house.stripe.events if event.event not in house.stripe.delivered]
    repaired, differences = settled(house)
    assert [entry["event"] for entry in repaired if "event" in entry] == undelivered[::-1]
    assert differences == []
    assert house.directus.table("payment_disputes")
    assert {house.directus.table("stripe_events")[event]["status"] for event in undelivered} == {"done"}


def test_an_undelivered_event_of_another_deployment_is_left_alone_and_one_of_nobody_is_looked_into() -> None:
    house = House()
    other = house.stripe.makes_session(500, "USD", {"deployment": "another"})
    house.stripe.pays(other)
    nobodys = house.stripe.makes_session(500, "USD", {})
    house.stripe.pays(nobodys)
    house.stripe.refunds_payment(nobodys)
    repaired, differences = settled(house)
    assert {entry["detail"].partition("(")[2].partition(")")[0] for entry in repaired} == {"refund.created"}
    assert differences == []
    assert {row["status"] for row in house.directus.table("stripe_events").values()} == {"ignored"}


def test_dead_letters_go_back_and_those_that_came_back_too_often_stay_named() -> None:
    house = House()
    house.dead_letters.queues = {"invoice work": 3, "messages": 0, "render": 2}
    house.dead_letters.stuck = {"render": 1}
    answer = house.run().as_json()
    assert [(entry["queue"], entry["messages"], entry["repair"]) for entry in answer["repaired"]] == [
        ("invoice work", "3", "redrive"),
        ("render", "1", "redrive"),
    ]
    assert [(entry["queue"], entry["messages"]) for entry in answer["differences"]] == [("render", "1")]
    assert answer["checked"]["dead_letter_queues"] == 3
    assert settled(house)[1] == answer["differences"]


def test_dead_letters_that_come_back_are_not_called_repaired() -> None:
    house = House()
    house.dead_letters.queues = {"render": 6}
    house.dead_letters.stuck, house.dead_letters.again = {"render": 1}, {"render": 2}
    report = house.run()
    assert [entry["messages"] for entry in report.repaired] == ["3"]
    (difference,) = report.as_json()["differences"]
    assert (difference["kind"], difference["queue"], difference["messages"]) == (
        "dead_letters",
        "render",
        "3",
    )
    assert "2 went back to the queue once more, 1 stay" in difference["detail"]
    house.dead_letters.queues, house.dead_letters.stuck = {"render": 1}, {}
    house.dead_letters.again = {"render": 1}
    report = house.run()
    assert (report.repaired, [one.ids["messages"] for one in report.differences]) == ([], ["1"])


def test_a_session_that_two_phases_see_is_one_repair_of_money() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.stripe.learns_fee(session, 320)
    first, second = (house.stripe.refunds_payment(session, minor) for minor in (1000, 500))
    house.drop_webhooks()
    assert house.run().money_repaired == 1
    house.work_off()
    house.directus.table("refunds").clear()
    report = house.run()
    assert {entry.get("refund") for entry in report.repaired} >= {first, second}
    assert report.money_repaired == 1


def test_the_balance_finds_a_payment_that_no_list_of_sessions_reaches() -> None:
    """An attempt was undone in Directus while its debit was on the way; the bank answers after a week."""
    house, session = opened()
    house.stripe.debits(session)
    house.deliver()
    house.payments()[0] |= {"status": "canceled", "open_claim": None}
    house.passes(days=7)
    house.stripe.settles(session, succeeds=True)
    house.drop_webhooks()
    assert kinds(settled(house)[0]) == []  # its charge was made a week ago: nothing young tells of it
    house.stripe.learns_fee(session, 80)
    house.drop_webhooks()
    repaired, differences = settled(house, since=(house.now() - timedelta(days=8)).isoformat())
    assert (kinds(repaired), differences) == (["payment_missing"], [])
    assert house.stored()["status"] == "paid"


def test_a_voided_draft_whose_status_was_overwritten_is_void_again() -> None:
    """It was never sent: only the day on which it was voided tells that it is no draft."""
    house = House()
    house.invoice("100.00", sent=False, status="draft", voided_at=house.now().isoformat())
    repaired, differences = settled(house)
    assert (kinds(repaired), differences, house.stored()["status"]) == (["invoice_differs"], [], "void")
