"""What reconciliation never repairs: it is named with both figures and what to do, each time, and nothing is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import StripeRejected
from billing.stripe.objects import BalanceTransaction, StripeRefund
from tests.fakes.stripe import FakeStripe
from tests.fakes.world import CLIENT, INVOICE, OTHER_CLIENT
from tests.unit.reconcile.house import House, kinds, rows_of, settled
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.support import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


def reported(house: House) -> dict[str, str]:
    """The one difference of a house in which nothing is repaired, however often one looks."""
    house.work_off()  # receipts are drawn
    house.receipts_are_true()
    before = rows_of(house)
    repaired, differences = settled(house)
    assert repaired == []
    assert rows_of(house) == before
    (difference,) = differences
    return difference


def with_refund(**columns: Any) -> tuple[House, str, dict[str, Any]]:
    """A paid invoice with a booked refund of 25.00; `columns` of its row are changed behind our back."""
    house, session = paid()
    refund = house.stripe.refunds_payment(session, 2500)
    house.deliver()
    house.drop_webhooks()
    (row,) = house.directus.table("refunds").values()
    row |= columns
    house.recompute()
    return house, refund, row


def test_an_amount_that_differs_from_stripes() -> None:
    house, _ = paid()
    house.payments()[0]["amount"] = "99.00"
    house.recompute()
    found = reported(house)
    assert found["kind"] == "payment_amount_differs"
    assert "100.00 USD received" in found["detail"]
    assert "says 99.00 USD" in found["detail"]


def test_a_currency_that_differs_from_stripes_and_from_the_invoices() -> None:
    house, _ = paid()
    house.payments()[0]["currency"] = "EUR"
    house.recompute()
    repaired, differences = settled(house)
    assert repaired == []
    assert sorted(kinds(differences)) == ["payment_amount_differs", "payment_in_other_currency"]
    assert any("says 100.00 EUR" in found["detail"] for found in differences)


def test_a_lost_transaction_is_not_written_over_an_amount_that_differs() -> None:
    house, _ = paid()
    house.payments()[0] |= {"amount": "99.00", "transaction_id": None}
    house.recompute()
    assert reported(house)["kind"] == "payment_amount_differs"


def test_a_transaction_that_is_not_its_sessions_is_never_booked_a_second_time() -> None:
    house, session = paid()
    house.payments()[0]["transaction_id"] = "pi_invented"
    assert sorted(kinds(settled(house)[1])) == ["payment_unknown_to_stripe", "transaction_differs"]
    house.invoice_writer.sync_session(session)
    house.deliver()
    assert len(house.payments()) == 1
    assert "would double it" in str(house.flags)


def test_an_attempt_that_names_another_transaction_takes_its_money_all_the_same() -> None:
    house, session = opened()
    house.payments()[0]["transaction_id"] = "pi_invented"
    intent = house.stripe.pays(session)
    house.drop_webhooks()
    assert "payment_missing" in kinds(house.run().as_json()["repaired"])
    house.work_off()
    assert settled(house) == ([], [])
    (row,) = house.payments()
    assert (row["transaction_id"], house.stored()["status"]) == (intent, "paid")


def test_a_payment_that_stripe_does_not_know() -> None:
    house = House()
    house.invoice("100.00")
    house.payment("100.00", method="card", transaction_id="pi_invented")
    house.recompute()
    found = reported(house)
    assert (found["kind"], found["transaction_id"]) == ("payment_unknown_to_stripe", "pi_invented")


def test_an_open_attempt_with_a_session_that_stripe_does_not_know() -> None:
    house = House()
    house.invoice("100.00")
    house.payment(
        "100.00",
        status="pending",
        method="card",
        open_claim=INVOICE,
        checkout_session="cs_invented",
    )
    found = reported(house)
    assert (found["kind"], found["checkout_session"]) == ("payment_unknown_to_stripe", "cs_invented")


def test_money_that_stripe_never_received() -> None:
    house, session = opened()
    house.payments()[0] |= {"status": "succeeded", "open_claim": None}
    house.stripe.expires(session)
    house.drop_webhooks()
    house.recompute()
    assert reported(house)["kind"] == "payment_not_paid"


def test_an_amount_of_a_refund_that_differs() -> None:
    house, refund, _ = with_refund(amount="20.00")
    found = reported(house)
    assert (found["kind"], found["refund"]) == ("refund_amount_differs", refund)
    assert "is 25.00 USD, but its row says 20.00 USD" in found["detail"]


@pytest.mark.parametrize("status", ["succeeded", "pending"])
def test_a_refund_that_stripe_does_not_know(status: str) -> None:
    house, refund, _ = with_refund(stripe_refund="re_invented", status=status)
    house.stripe.refunds.clear()
    found = reported(house)
    assert (found["kind"], found["refund"]) == ("refund_unknown_to_stripe", "re_invented")
    assert refund not in found["detail"]


def test_a_refund_that_was_entered_by_hand_for_a_stripe_payment_counts_twice() -> None:
    house, _, row = with_refund()
    house.directus.put(
        "refunds",
        id="r2",
        payment=row["payment"],
        amount="25.00",
        currency="USD",
        status="succeeded",
    )
    house.recompute()
    found = reported(house)
    assert (found["kind"], found["refund_row"]) == ("refund_entered_by_hand", "r2")


def test_a_refund_stored_on_another_payment() -> None:
    house, refund, row = with_refund()
    other = house.payment("50.00", method="check")
    row["payment"] = other["id"]
    house.recompute()
    house.recompute()
    found = reported(house)
    assert (found["kind"], found["refund"], found["stored_on"]) == (
        "refund_misplaced",
        refund,
        other["id"],
    )


@pytest.mark.parametrize("refund", [{"currency": "EUR"}, {"status": "reversed"}])
def test_a_refund_that_cannot_be_booked(refund: dict[str, Any]) -> None:
    house, session = paid()
    house.stripe.refunds_payment(session, 2500, **refund)
    house.drop_webhooks()
    found = reported(house)
    assert found["kind"] == "refund_not_bookable"
    assert "25.00" in found["detail"]


@pytest.mark.parametrize("dispute", [{"currency": "EUR"}, {"status": "escalated"}])
def test_a_dispute_that_cannot_be_booked(dispute: dict[str, Any]) -> None:
    house, session = paid()
    house.stripe.disputes_payment(session, **dispute)
    house.drop_webhooks()
    assert reported(house)["kind"] == "dispute_not_bookable"


def test_refunds_of_other_applications_are_none_of_our_business() -> None:
    house = House()
    other = house.stripe.makes_session(500, "USD", {"deployment": "another"})
    house.stripe.pays(other)
    house.stripe.refunds_payment(other)
    house.stripe.refunds["re_bare"] = StripeRefund("re_bare", "succeeded", 100, "USD", house.now())
    house.drop_webhooks()
    assert settled(house) == ([], [])


def test_a_payment_that_names_another_client_than_its_invoice() -> None:
    house, _ = paid()
    house.payments()[0]["client"] = OTHER_CLIENT
    assert reported(house)["kind"] == "payment_of_another_client"


def test_a_claim_on_another_invoice() -> None:
    house, _ = paid()
    second = house.invoice("50.00", id="a1000000-0000-4000-8000-000000000002")
    house.payments()[0] |= {"open_claim": second["id"], "status": "pending", "transaction_id": None}
    differences = house.run().as_json()["differences"]
    assert [entry["claimed"] for entry in differences if entry["kind"] == "claim_of_another"] == [
        second["id"]
    ]


def test_a_sent_invoice_that_is_a_draft_again() -> None:
    house = House()
    house.invoice("100.00", status="draft")
    assert reported(house)["kind"] == "sent_invoice_is_draft"


def test_rows_that_nobody_can_read_are_named_and_nothing_is_guessed_about_their_sessions() -> None:
    house, _ = paid()
    house.payments()[0]["amount"] = "much"
    _, differences = settled(house)
    assert set(kinds(differences)) == {"row_unreadable"}


def test_totals_that_do_not_add_up() -> None:
    house = House()
    house.invoice("100.00", sent=False, total="90.00")
    assert reported(house)["kind"] == "totals_do_not_add_up"


def test_money_that_staff_must_assign() -> None:
    house, session = opened()
    house.stripe.pays(session, currency="EUR")
    house.deliver()
    house.drop_webhooks()
    found = reported(house)
    assert found["kind"] == "payment_unapplied"
    assert "100.00 EUR" in found["detail"]


class Balance(FakeStripe):
    """A Stripe whose balance shows two movements that no session made."""

    def balance_transactions_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[BalanceTransaction]:
        assert after is None
        for number, deployment in enumerate(("test", "another")):
            yield BalanceTransaction(
                f"txn_{number}", "charge", 5000, 100, "USD", since, f"ch_{number}", f"pi_{number}",
                {"deployment": deployment, "directus_invoice": INVOICE},
            )  # fmt: skip


def test_money_on_the_balance_that_nothing_explains() -> None:
    found = reported(House(records=Balance(lambda: NOW)))
    assert (found["kind"], found["balance_transaction"]) == ("balance_transaction_unexplained", "txn_0")
    assert "50.00 USD" in found["detail"]


def test_a_debit_without_any_row_on_an_invoice_that_does_not_exist_is_not_repaired_in_vain() -> None:
    house = House()
    unknown = "a1000000-0000-4000-8000-00000000dead"
    session = house.stripe.makes_session(
        10000, "USD", {"deployment": "test", "directus_invoice": unknown, "directus_payment": unknown}
    )
    house.stripe.debits(session)
    house.drop_webhooks()
    found = reported(house)
    assert found["kind"] == "payment_status_differs"
    assert "No invoice in its currency is known" in found["detail"]


def test_a_debit_without_any_row_on_an_invoice_that_exists_is_booked() -> None:
    house = House()
    house.invoice("100.00")
    session = house.stripe.makes_session(10000, "USD", {"deployment": "test", "directus_invoice": INVOICE})
    house.stripe.debits(session)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), differences) == (["payment_status_differs"], [])
    assert house.payments(status="processing", client=CLIENT)


def test_a_document_that_failed_and_messages_that_nobody_got() -> None:
    house = House()
    house.invoice("100.00", pdf_status="failed")
    house.directus.put("notices", id="n1", kind="reminder", status="failed", dedupe_key="k1")
    _, differences = settled(house)
    assert kinds(differences) == ["pdf_failed", "notice_failed"]


def test_a_difference_names_records_and_figures_and_nobody() -> None:
    house, _ = paid()
    house.payments()[0]["client"] = OTHER_CLIENT
    house.stored()["internal_notes"] = "Zoë is furious"
    text = str(house.run().as_json())
    assert "Zoë" not in text
    assert "Client One" not in text


def only_kind(house: House) -> str:
    """The kind of the one difference after a recompute of the invoice."""
    house.recompute()
    return reported(house)["kind"]


def with_wire(status: str = "succeeded", **columns: Any) -> tuple[House, dict[str, Any]]:
    """An invoice with a payment that staff entered."""
    house = House()
    house.invoice("100.00")
    return house, house.payment("100.00", status=status, **columns)


def test_less_than_can_be_paid_online_stands_in_the_report_until_staff_act_and_raises_no_alarm() -> None:
    house = House()
    house.invoice("100.00")
    house.payment("99.70")
    house.recompute()
    assert only_kind(house) == "below_minimum"
    report = house.run()
    assert (report.differences_total, report.urgent_total) == (1, 0)
    house.line("-0.30", kind="discount")
    house.recompute()
    house.work_off()
    assert house.run().differences_total == 0


def test_a_payment_in_another_currency_counts_nothing_and_is_named() -> None:
    house, _ = with_wire(currency="EUR")
    assert only_kind(house) == "payment_in_other_currency"
    assert house.stored()["amount_paid"] == "0.00"


@pytest.mark.parametrize(
    ("status", "kind"), [("failed", "refund_of_unpaid"), ("canceled", "refund_of_unpaid")]
)
def test_a_refund_on_a_payment_that_is_no_more_is_named(status: str, kind: str) -> None:
    house, wire = with_wire(status)
    house.directus.put("refunds", payment=wire["id"], amount="10.00", currency="USD", status="succeeded")
    assert only_kind(house) == kind


def test_more_that_went_back_than_was_paid_is_named() -> None:
    house, wire = with_wire()
    house.directus.put("refunds", payment=wire["id"], amount="100.01", currency="USD", status="succeeded")
    assert only_kind(house) == "more_back_than_paid"
    assert house.stored()["amount_paid"] == "0.00"


def test_a_claim_whose_session_stripe_does_not_know_is_free_once_its_time_is_over() -> None:
    house, session = opened()
    del house.stripe.sessions[session]
    house.stored()["status"] = "void"
    with pytest.raises(StripeRejected):
        house.recompute()
    house.passes(hours=23)
    house.recompute()
    (row,) = house.payments()
    assert (row["status"], row["open_claim"]) == ("canceled", None)


# ---- what somebody changes on rows that are older than the window ----------------------------------------


def long_paid() -> tuple[House, str]:
    """An invoice that was paid by card a year ago; no list of Stripe's that is read goes back so far."""
    house, session = paid()
    house.passes(days=365)
    assert settled(house) == ([], [])
    return house, session


def edit(house: House, row: dict[str, Any], **columns: Any) -> None:
    """An administrator changes a row, which Directus dates; the flow has the invoice recomputed at once."""
    row |= {**columns, "date_updated": house.now().isoformat()}
    house.recompute()


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"amount": "99.00"}, "payment_amount_differs"),
        ({"currency": "EUR"}, "payment_amount_differs"),
        ({"transaction_id": "pi_invented"}, "payment_unknown_to_stripe"),
        ({"transaction_id": None, "amount": "41.00"}, "payment_amount_differs"),
    ],
)
def test_a_change_of_an_old_payment_is_named_within_the_hour(columns: dict[str, Any], kind: str) -> None:
    house, _ = long_paid()
    edit(house, house.payments()[0], **columns)
    repaired, differences = settled(house)
    assert repaired == []
    assert kind in kinds(differences)


@pytest.mark.parametrize(
    "columns",
    [{"status": "canceled"}, {"transaction_id": None}, {"transaction_id": None, "status": "failed"}],
)
def test_a_change_of_an_old_payment_that_the_one_writer_knows_better_is_undone(
    columns: dict[str, Any],
) -> None:
    house, _ = long_paid()
    (row,) = house.payments()
    intent = row["transaction_id"]
    edit(house, row, **columns)
    _, differences = settled(house)
    assert differences == []
    (row,) = house.payments(status="succeeded")
    assert (row["transaction_id"], house.stored()["status"]) == (intent, "paid")


def test_a_change_of_an_old_refund_or_dispute_is_found_within_the_hour() -> None:
    house, session = paid()
    house.stripe.refunds_payment(session, 2500)
    house.stripe.disputes_payment(session, status="lost", minor=1000)
    house.deliver()
    house.passes(days=365)
    house.drop_webhooks()
    assert settled(house) == ([], [])
    (refund,) = house.directus.table("refunds").values()
    (dispute,) = house.directus.table("payment_disputes").values()
    edit(house, refund, amount="20.00")
    edit(house, dispute, status="won")
    repaired, differences = settled(house)
    assert kinds(repaired) == ["dispute_differs"]
    assert kinds(differences) == ["refund_amount_differs"]


def test_an_attempt_whose_money_has_a_row_of_its_own_is_in_order_however_it_is_looked_at() -> None:
    house, session = opened()
    house.stripe.pays(session, currency="EUR")
    house.deliver()
    house.passes(days=365)
    house.drop_webhooks()
    attempt = next(row for row in house.payments() if row["checkout_session"] == session)
    edit(house, attempt, note="looked at")
    assert kinds(settled(house)[1]) == ["payment_unapplied"]


def test_an_attempt_that_is_over_and_names_a_session_of_another_account_is_no_difference() -> None:
    house, session = opened()
    house.stripe.expires(session)
    house.deliver()
    house.drop_webhooks()
    house.passes(days=365)
    del house.stripe.sessions[session]
    edit(house, house.payments()[0], note="looked at")
    assert settled(house) == ([], [])


# ---- what a row says of its session ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cs_nonsense", "cs_of_another"])
def test_a_booked_payment_that_names_another_session_is_named_however_old(name: str) -> None:
    house, _ = long_paid()
    if name == "cs_of_another":
        name = house.stripe.makes_session(500, "USD", {"deployment": "another"})
    edit(house, house.payments()[0], checkout_session=name)
    found = reported(house)
    assert found["kind"] == "transaction_differs"
    assert name in found["detail"]


def test_what_goes_back_on_a_payment_that_names_another_session_is_booked_all_the_same() -> None:
    house, session = paid()
    house.payments()[0]["checkout_session"] = "cs_nonsense"
    house.stripe.refunds_payment(session, 2500)
    house.drop_webhooks()
    repaired, differences = settled(house)
    assert (kinds(repaired), kinds(differences)) == (["refund_missing"], ["transaction_differs"])
    assert house.stored()["balance_due"] == "25.00"


def test_a_payment_without_transaction_and_without_session_is_named() -> None:
    house, _ = paid()
    house.stripe.sessions.clear()
    house.stripe.created.clear()
    house.payments()[0] |= {"transaction_id": None, "checkout_session": None}
    assert reported(house)["kind"] == "payment_without_transaction"


def test_a_fee_that_two_decimals_cannot_hold_is_asked_for_by_nobody() -> None:
    house, session = opened()
    house.stripe.pays(session, minor=100_000, currency="KWD")
    house.stripe.learns_fee(session, 755)
    house.deliver()
    house.drop_webhooks()
    found = reported(house)
    assert found["kind"] == "payment_unapplied"
    assert "100.000 KWD" in found["detail"]
