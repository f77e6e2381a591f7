from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from billing.application.reconcile import Reconcile, ReconcileRequest, Report
from billing.core.ledger import PaymentStatus
from billing.core.reconciliation import EventRow, NoticeRow, OpenAttempt, UnreadableRow
from billing.core.reminders import NoticeStatus
from billing.errors import BadRequest, Unprocessable
from tests.unit.reconcile.support import LONG_AGO, NOW, DeadLetters, Rows, Stripe, kinds, ledger, row, session


def run(
    event: dict[str, Any] | None = None,
    *,
    rows: Rows | None = None,
    stripe: Stripe | None = None,
    dead_letters: DeadLetters | None = None,
) -> Report:
    reconcile = Reconcile(
        rows=rows or Rows(),
        stripe=stripe or Stripe(),
        dead_letters=dead_letters or DeadLetters(),
        deployment="main",
        clock=lambda: NOW,
    )
    return reconcile(ReconcileRequest.from_event(event or {}))


def test_a_house_in_order_has_no_differences_and_says_what_was_looked_at() -> None:
    rows = Rows(payments=[row()], ledgers=[[ledger()], [ledger()]])
    report = run(rows=rows, stripe=Stripe([session()]), dead_letters=DeadLetters({"render": 0}))
    assert report.as_json() == {
        "checked": {
            "sessions": 1,
            "payments": 1,
            "open_attempts": 0,
            "invoices": 2,
            "unapplied_payments": 0,
            "unfinished_events": 0,
            "unsettled_notices": 0,
            "dead_letter_queues": 1,
        },
        "repaired": [],
        "differences": [],
    }


def test_everything_that_is_wrong_is_in_one_report() -> None:
    rows = Rows(
        attempts=[OpenAttempt(row(PaymentStatus.PENDING, claim=True, checkout_session=None), LONG_AGO)],
        unapplied=[row(invoice=None)],
        events=[EventRow("evt_1", "x", "parked")],
        notices=[NoticeRow("n", "reminder", NoticeStatus.FAILED)],
        ledgers=[[ledger(balance="1.00")]],
    )
    report = run(rows=rows, stripe=Stripe([session()]), dead_letters=DeadLetters({"render": 1}))
    assert kinds(report.differences) == [
        "payment_missing",
        "attempt_without_session",
        "invoice_differs",
        "payment_unapplied",
        "event_parked",
        "notice_failed",
        "dead_letters",
    ]
    assert report.repaired == []


def test_sessions_of_other_deployments_are_left_alone() -> None:
    report = run(stripe=Stripe([session(deployment="another")]))
    assert (report.checked["sessions"], report.differences) == (0, [])


def test_one_unreadable_row_is_reported_and_the_others_are_compared() -> None:
    broken = UnreadableRow(
        "invoices", "i-1", Unprocessable("Unknown currency.", code="currency_not_supported")
    )
    report = run(rows=Rows(ledgers=[[broken, ledger(balance="1.00")]]))
    assert kinds(report.differences) == ["row_unreadable", "invoice_differs"]
    assert report.differences[0].ids == {"invoices": "i-1"}


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T09:00:00+01:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_stripe_is_read_from_since_or_the_last_three_days(since: str | None, expected: datetime) -> None:
    stripe = Stripe()
    run({"since": since, "dry_run": True}, stripe=stripe)
    assert stripe.asked_since == expected


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"since": "yesterday"}, "invalid_since"),
        ({"since": "2026-03-01T09:00:00"}, "invalid_since"),
        ({"since": "2026-03-04"}, "invalid_since"),
        ({"dry_run": 1}, "invalid_dry_run"),
        ({"as_of": "2026-03-01"}, "unknown_member"),
    ],
)
def test_an_event_that_cannot_be_read_is_refused(event: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        run(event)
    assert refusal.value.code == code
