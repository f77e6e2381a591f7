from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from billing.errors import BadRequest
from billing.ledger.ledger import Dispute, InvoiceStatus
from billing.reminders.plan import PlanReminders, PlanRequest
from billing.reminders.policy import NoticeStatus, ReminderCase, UnreadableCase
from tests.unit.reminders.support import (
    DUE,
    INVOICE,
    POLICY,
    Clock,
    Directus,
    Queues,
    at,
    case,
    notice,
    payment,
)

OTHER = "0b1c2d3e-0000-4000-8000-000000000002"
THIRD = "0b1c2d3e-0000-4000-8000-000000000003"


def run(
    event: dict[str, Any], *cases: ReminderCase | UnreadableCase
) -> tuple[dict[str, Any], Queues, Directus]:
    clock = Clock(at("2026-03-03T17:00"))
    directus, queues = Directus(clock, *cases), Queues()
    planner = PlanReminders(cases=directus, invoices=queues, messages=queues, policy=POLICY, clock=clock)
    request = PlanRequest.from_event(event)
    return planner(request).as_json(dry_run=request.dry_run), queues, directus


def test_an_overdue_invoice_is_marked_by_the_one_writer_and_its_reminder_is_queued() -> None:
    answer, queues, _ = run({}, case())
    assert answer == {"overdue_marked": 1, "planned": 1, "queued": 1, "skipped": {}}
    assert queues.recomputed == [INVOICE]
    assert queues.messages == [
        {
            "kind": "reminder",
            "step": "overdue_1",
            "invoice": INVOICE,
            "dedupe_key": f"reminder:overdue_1:{INVOICE}:email",
            "as_of": "2026-03-03T17:00:00+00:00",
        }
    ]


def test_planned_for_a_moment_by_hand_an_invoice_is_marked_as_of_that_moment() -> None:
    _, queues, _ = run({}, case())
    assert queues.seen_at is None
    _, queues, _ = run({"as_of": "2026-03-04T18:00:00+01:00"}, case())
    assert (queues.recomputed, queues.seen_at) == ([INVOICE], at("2026-03-04T17:00"))


def test_a_dry_run_shows_the_plan_and_queues_nothing() -> None:
    answer, queues, _ = run({"dry_run": True}, case())
    assert answer == {
        "overdue_marked": 1,
        "planned": 1,
        "queued": 0,
        "skipped": {},
        "plan": [
            {
                "invoice": INVOICE,
                "invoice_number": "INV-1",
                "step": "overdue_1",
                "dedupe_key": f"reminder:overdue_1:{INVOICE}:email",
                "due_date": "2026-03-02",
                "balance_due": "100.00",
                "currency": "USD",
            }
        ],
    }
    assert (queues.recomputed, queues.messages) == ([], [])


def test_an_invoice_already_overdue_is_not_marked_again() -> None:
    answer, queues, _ = run({}, case(status=InvoiceStatus.OVERDUE))
    assert (answer["overdue_marked"], queues.recomputed) == (0, [])


def test_reasons_are_counted_and_one_unreadable_invoice_stops_nothing() -> None:
    answer, queues, _ = run(
        {},
        case(invoice=OTHER, disputes=[Dispute("d", "open")]),
        UnreadableCase(THIRD, "currency_not_supported"),
        case(),
    )
    assert answer["skipped"] == {"currency_not_supported": 1, "disputed": 1}
    assert [message["invoice"] for message in queues.messages] == [INVOICE]


def test_an_invoice_that_is_not_due_yet_is_not_counted_as_skipped() -> None:
    answer, _, _ = run({}, case(due=date(2026, 3, 3)))
    assert answer == {"overdue_marked": 0, "planned": 0, "queued": 0, "skipped": {}}


def test_a_day_means_noon_in_the_firms_zone() -> None:
    _, queues, _ = run({"as_of": "2026-07-01"}, case())
    assert queues.messages[0]["as_of"] == "2026-07-01T16:00:00+00:00"  # daylight saving time


def test_an_instant_is_taken_as_it_is() -> None:
    _, queues, _ = run({"as_of": "2026-03-09T09:30:00-05:00"}, case())
    assert (queues.messages[0]["step"], queues.messages[0]["as_of"]) == (
        "overdue_2",
        "2026-03-09T14:30:00+00:00",
    )


@pytest.mark.parametrize("absent", [None, "undefined"])
def test_null_and_undefined_mean_absent(absent: object) -> None:
    assert PlanRequest.from_event({"as_of": absent, "dry_run": absent}) == PlanRequest()


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"as_of": "tomorrow"}, "invalid_as_of"),
        ({"as_of": "2026-02-30"}, "invalid_as_of"),
        ({"as_of": "2026-03-01T09:00:00"}, "invalid_as_of"),  # in which zone?
        ({"as_of": 20260301}, "invalid_as_of"),
        ({"as_of": "9999-12-31"}, "invalid_as_of"),  # a zone would lead out of the calendar
        ({"as_of": "9999-12-31T23:59:59-12:00"}, "invalid_as_of"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "invalid_as_of"),
        ({"as_of": "2026-W10-1"}, "invalid_as_of"),
        ([], "malformed_event"),
        ("x", "malformed_event"),
        ({"dry_run": "true"}, "invalid_dry_run"),
        ({"dryrun": True}, "unknown_member"),
    ],
)
def test_an_event_that_cannot_be_read_is_refused_before_anything_is_queued(
    event: dict[str, Any], code: str
) -> None:
    with pytest.raises(BadRequest) as refusal:
        PlanRequest.from_event(event)
    assert refusal.value.code == code


def test_invoices_due_today_anywhere_on_earth_are_looked_at() -> None:
    _, _, directus = run({"as_of": "2026-03-02T10:00:00Z"}, case())
    assert directus.asked_latest_due_date == DUE  # on Kiritimati it is already the day after


def test_two_runs_in_one_hour_queue_the_same_reminder_under_the_same_key() -> None:
    clock = Clock(at("2026-03-03T17:00"))
    directus, queues = Directus(clock, case()), Queues()
    planner = PlanReminders(cases=directus, invoices=queues, messages=queues, policy=POLICY, clock=clock)
    planner(PlanRequest())
    clock.now = at("2026-03-03T17:20")
    planner(PlanRequest())
    assert len({message["dedupe_key"] for message in queues.messages}) == 1


def test_less_than_can_be_paid_online_is_skipped_with_its_reason() -> None:
    answer, queues, _ = run({}, case(payments=[payment("99.70")]))
    assert (answer["skipped"], queues.messages) == ({"below_minimum": 1}, [])


def test_once_claimed_nothing_more_is_queued() -> None:
    claimed = case(notices=[notice("overdue_1", NoticeStatus.CLAIMED, "2026-03-03T16:59")])
    answer, queues, _ = run({}, claimed)
    assert (answer["skipped"], queues.messages) == ({"being_sent": 1}, [])
