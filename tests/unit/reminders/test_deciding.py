from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from billing.ledger.ledger import Dispute, InvoiceStatus, LineItem, PaymentStatus, Refund
from billing.money import Money
from billing.reminders.policy import NoticeStatus, Remind, ReminderCase, Skip, becomes_overdue, decide
from tests.builders import usd
from tests.unit.reminders.support import DUE, INVOICE, POLICY, at, case, notice, payment

NOON = "2026-03-03T17:00"  # noon in New York, the day after the due date


def step_at(when: str, found: ReminderCase | None = None) -> str:
    """The step sent at that moment, or the reason why none is, in parentheses."""
    decision = decide(found or case(), POLICY, at(when))
    return decision.step if isinstance(decision, Remind) else f"({decision.reason})"


def test_a_reminder_carries_what_the_rows_say_is_due() -> None:
    decision = decide(case(payments=[payment("30.00")]), POLICY, at(NOON))
    assert decision == Remind(
        invoice=INVOICE,
        step="overdue_1",
        dedupe_key=f"reminder:overdue_1:{INVOICE}:email",
        balance_due=usd("70.00"),
        due_date=DUE,
    )


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-03-01T17:00", "(not_due)"),
        ("2026-03-02T17:00", "(not_due)"),
        ("2026-03-03T17:00", "overdue_1"),
        ("2026-03-08T17:00", "overdue_1"),
        ("2026-03-09T17:00", "overdue_2"),
        ("2026-03-22T17:00", "overdue_2"),
        ("2026-03-23T17:00", "overdue_3"),
        ("2027-03-23T17:00", "overdue_3"),
    ],
)
def test_the_latest_step_that_is_due_is_sent_however_many_days_were_missed(when: str, expected: str) -> None:
    assert step_at(when) == expected


def test_days_are_counted_in_the_clients_zone_not_in_utc() -> None:
    assert (
        step_at("2026-03-02T22:30", case(timezone="Asia/Tokyo")) == "(outside_hours)"
    )  # 07:30 on 3 March there
    assert step_at("2026-03-02T23:30", case(timezone="Asia/Tokyo")) == "overdue_1"
    assert (
        step_at("2026-03-03T00:30", case(timezone="America/Los_Angeles")) == "(not_due)"
    )  # still 2 March there


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("0.49", "(below_minimum)"),
        ("0.01", "(below_minimum)"),
        ("0.50", "overdue_1"),
        ("0.00", "(nothing_due)"),
    ],
)
def test_less_than_can_be_paid_online_is_not_asked_for(left: str, expected: str) -> None:
    paid = payment(f"{Decimal('100.00') - Decimal(left)}")
    assert step_at(NOON, case(payments=[paid])) == expected


def test_what_is_not_due_yet_is_not_counted_as_too_little() -> None:
    assert step_at("2026-03-02T17:00", case(payments=[payment("99.70")])) == "(not_due)"


def test_a_reminder_sent_before_says_nothing_of_what_is_left_now() -> None:
    sent = notice("overdue_1", NoticeStatus.SENT, "2026-03-03T16:00")
    before = case(payments=[payment("99.70")], notices=[sent])
    assert step_at(NOON, before) == "(below_minimum)"


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_zones_a_day_apart_each_have_their_own_third_of_march(timezone: str) -> None:
    first = {"Pacific/Kiritimati": "2026-03-02T18:00", "Pacific/Pago_Pago": "2026-03-03T19:00"}
    hour_before = {"Pacific/Kiritimati": "2026-03-02T09:59", "Pacific/Pago_Pago": "2026-03-03T10:59"}
    assert step_at(first[timezone], case(timezone=timezone)) == "overdue_1"
    assert step_at(hour_before[timezone], case(timezone=timezone)) == "(not_due)"


def test_a_mistyped_zone_falls_back_to_the_firms_and_then_to_utc() -> None:
    assert step_at("2026-03-03T13:30", case(timezone="Mars/Olympus")) == "overdue_1"  # 08:30 in New York
    assert step_at("2026-03-03T12:30", case(timezone="Mars/Olympus")) == "(outside_hours)"
    assert step_at("2026-03-03T08:30", case(timezone=None, firm_timezone="")) == "overdue_1"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-03-07T12:59", "(outside_hours)"),  # 07:59 EST, the day before the clocks go forward
        ("2026-03-07T13:00", "overdue_1"),
        ("2026-03-08T11:59", "(outside_hours)"),  # 07:59 EDT
        ("2026-03-08T12:00", "overdue_1"),
        ("2026-03-08T23:59", "overdue_1"),  # 19:59 EDT
        ("2026-03-09T00:00", "(outside_hours)"),  # 20:00 EDT, still 8 March in New York
    ],
)
def test_the_window_follows_the_clients_clock_through_a_change_of_daylight_saving(
    when: str, expected: str
) -> None:
    assert step_at(when) == expected


def test_an_invoice_without_a_due_date_gets_no_reminder() -> None:
    assert step_at(NOON, case(due=None)) == "(no_due_date)"


@pytest.mark.parametrize("paid", ["100.00", "130.00"])
def test_nothing_is_asked_for_when_the_rows_say_paid_or_credit(paid: str) -> None:
    stale = case(payments=[payment(paid)], status=InvoiceStatus.OVERDUE)
    assert step_at(NOON, stale) == "(nothing_due)"


def test_a_refund_reopens_the_balance() -> None:
    found = case(payments=[payment("100.00")])
    refunded = replace(
        found, ledger=replace(found.ledger, refunds=[Refund("pay-1", usd("40.00"), "succeeded")])
    )
    decision = decide(refunded, POLICY, at(NOON))
    assert isinstance(decision, Remind)
    assert decision.balance_due == usd("40.00")


def voided(found: ReminderCase) -> ReminderCase:
    """The same invoice, voided and then overwritten by somebody who had not seen it."""
    invoice = replace(found.ledger.invoice, voided_at=at(NOON))
    return replace(found, ledger=replace(found.ledger, invoice=invoice))


def test_a_declined_or_pending_payment_neither_counts_nor_pauses() -> None:
    declined = case(payments=[payment("100.00", PaymentStatus.FAILED)])
    pending = case(payments=[payment("100.00", PaymentStatus.PENDING)])
    assert [step_at(NOON, declined), step_at(NOON, pending)] == ["overdue_1", "overdue_1"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (case(status=InvoiceStatus.DRAFT), "draft"),
        (case(status=InvoiceStatus.VOID), "void"),
        (voided(case(status=InvoiceStatus.OVERDUE)), "void"),
        (case(disputes=[Dispute("d", "open")]), "disputed"),
        (case(disputes=[Dispute("d", "open", line_item="line-1", amount=usd("1.00"))]), "disputed"),
        (case(payments=[payment("10.00", PaymentStatus.PROCESSING)]), "payment_processing"),
        (case(prefers="none"), "opted_out"),
        (case(prefers="sms"), "sms_not_available"),
        (case(email=""), "no_email"),
    ],
)
def test_a_reason_not_to_remind_is_named(found: ReminderCase, reason: str) -> None:
    assert step_at(NOON, found) == f"({reason})"


@pytest.mark.parametrize("status", ["answered", "accepted", "rejected", "withdrawn"])
def test_a_dispute_that_is_no_longer_open_pauses_nothing(status: str) -> None:
    assert step_at(NOON, case(disputes=[Dispute("d", status)])) == "overdue_1"


@pytest.mark.parametrize("prefers", [None, "email", "email_and_sms"])
def test_email_is_used_unless_the_client_said_otherwise(prefers: str | None) -> None:
    assert step_at(NOON, case(prefers=prefers)) == "overdue_1"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (NoticeStatus.SENT, "already_sent"),
        (NoticeStatus.CLAIMED, "being_sent"),
        (NoticeStatus.FAILED, "already_failed"),
        (NoticeStatus.SKIPPED, "already_skipped"),
        (NoticeStatus.UNKNOWN, "outcome_unknown"),
    ],
)
def test_a_step_that_has_its_notice_is_never_taken_again(status: NoticeStatus, reason: str) -> None:
    found = case(notices=[notice("overdue_1", status, "2026-03-03T14:00")])
    assert step_at("2026-03-05T17:00", found) == f"({reason})"


def test_a_claim_that_was_given_back_leaves_the_step_free_even_on_the_same_day() -> None:
    given_back = notice("overdue_1", NoticeStatus.SKIPPED, "2026-03-03T14:00", key=False)
    assert step_at(NOON, case(notices=[given_back])) == "overdue_1"


def test_a_second_step_waits_for_the_next_day_of_the_client() -> None:
    late = case(notices=[notice("overdue_1", NoticeStatus.SENT, "2026-03-09T15:00")])
    assert step_at("2026-03-09T23:00", late) == "(one_per_day)"
    assert step_at("2026-03-10T00:30", late) == "(one_per_day)"  # in New York it is still 9 March
    assert step_at("2026-03-10T13:00", late) == "overdue_2"


def test_a_reminder_never_follows_a_sterner_one() -> None:
    found = case(notices=[notice("overdue_2", NoticeStatus.SENT, "2026-03-09T15:00")])
    assert step_at("2026-03-05T17:00", found) == "(already_sent)"


def test_totals_that_do_not_add_up_are_a_reason_of_their_own() -> None:
    found = case()
    invoice = replace(found.ledger.invoice, sent_at=None, total=usd("99.00"))
    assert (
        step_at(NOON, replace(found, ledger=replace(found.ledger, invoice=invoice)))
        == "(totals_do_not_add_up)"
    )


def test_amounts_of_two_currencies_in_one_ledger_are_a_reason_of_their_own() -> None:
    found = case()
    euro = LineItem("line-2", Money.from_decimal(Decimal(5), "EUR"))
    mixed = replace(found, ledger=replace(found.ledger, line_items=[*found.ledger.line_items, euro]))
    assert decide(mixed, POLICY, at(NOON)) == Skip("rows_do_not_fit")
    assert not becomes_overdue(mixed, at(NOON))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (case(), True),
        (case(status=InvoiceStatus.PARTIALLY_PAID, payments=[payment("1.00")]), True),
        (case(status=InvoiceStatus.OVERDUE), False),
        (case(payments=[payment("100.00")]), False),
        (case(due=None), False),
        (case(due=date(2026, 3, 3)), False),
        (case(status=InvoiceStatus.VOID), False),
        (case(status=InvoiceStatus.DRAFT), False),
        (case(prefers="none"), True),
        (case(disputes=[Dispute("d", "open")]), True),
    ],
)
def test_an_invoice_becomes_overdue_by_its_rows_and_its_clients_day(
    found: ReminderCase, *, expected: bool
) -> None:
    assert becomes_overdue(found, at(NOON)) is expected
