"""A run in several invocations: what it costs, what it leaves out, and what becomes of a part that dies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import UpstreamUnavailable
from billing.reconcile.page import Scope
from billing.reconcile.phases import first_key
from billing.reconcile.reconcile import PARTS_OF_A_PHASE, RESERVE_SECONDS, Report
from billing.reconcile.run import Run
from tests.fakes.steps import Crash, crash
from tests.unit.reconcile.house import House, kinds
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.run_support import LIST_PAGE, firm
from tests.unit.reconcile.support import NOW, FakeContinuation, FakeReports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.reconcile.report import PrintableReport

AWAY = UpstreamUnavailable("The bucket is away.", code="documents_bucket_unavailable")
EVERYTHING = "2011-09-01"


# ---- what it costs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", [3, 5, 8])
def test_stripe_is_asked_two_lists_in_however_many_parts(available: int) -> None:
    """Once for each payment and part, the run of a large firm would never end."""
    payments = 800
    many = firm(payments)
    many.house.passes(days=30)
    many.stripe_seconds = many.directus_seconds = 1.0
    parts = many.parts(available, since=EVERYTHING)
    assert len(parts) > 4
    assert [part.as_json()["differences"] for part in parts] == [[]] * len(parts)
    assert parts[-1].checked["payments"] == payments
    others = 3  # refunds, disputes, events
    assert many.stripe.requests <= 2 * payments / LIST_PAGE + others + len(parts)


def test_a_hundred_thousand_payments_are_compared_within_two_invocations() -> None:
    """Measured with a thousand, reckoned for a hundred times as many, without their invoices: `docs/decisions/0016`."""
    many = firm(1000)
    many.house.passes(days=30)
    (whole,) = many.parts(since=EVERYTHING)
    assert whole.checked["payments"] == 1000
    assert many.seconds() * 100 < 810, "their invoices take as long again"


def test_a_fee_that_has_no_column_is_not_asked_for_night_after_night() -> None:
    """An account that settles in euros never tells a fee in the payments' own currency."""
    asked = {}
    for currency in ("USD", "EUR"):
        few = firm(5)
        for name in few.house.stripe.sessions:
            few.house.stripe.learns_fee(name, 300, currency)
            few.house.stripe.created[name] -= timedelta(days=30)  # no list of these days explains them
        few.house.drop_webhooks()
        for row in few.house.payments():
            row |= {"fee": None, "date_created": None, "date_updated": None}
        assert len(few.house.run().repaired) == (5 if currency == "USD" else 0)
        asked[currency] = few.stripe.requests
    assert asked["USD"] - asked["EUR"] == 2 * 5


def test_what_was_seen_is_handed_on_and_nothing_is_named_queued_or_asked_twice() -> None:
    many = firm(250, booked=False)
    for name in list(many.house.stripe.sessions)[:30]:
        many.house.stripe.refunds_payment(name, 100)
    many.house.drop_webhooks()
    many.house.payment("1.00", invoice=None, client=None, method="card", transaction_id="pi_lost")
    whole = firm(250, booked=False)
    for name in list(whole.house.stripe.sessions)[:30]:
        whole.house.stripe.refunds_payment(name, 100)
    whole.house.drop_webhooks()
    whole.house.payment("1.00", invoice=None, client=None, method="card", transaction_id="pi_lost")
    (expected,) = whole.parts()
    many.stripe_seconds = many.directus_seconds = 1.0
    parts = many.parts(4)
    assert len(parts) > 3
    found = [_named(entry) for part in parts for entry in [*part.repaired, *_left(part)]]
    assert Counter(found) == Counter(_named(entry) for entry in [*expected.repaired, *_left(expected)])
    assert many.house.queue.messages() == whole.house.queue.messages()
    assert many.stripe.requests <= whole.stripe.requests + len(parts)
    assert parts[-1].checked == expected.checked


def _left(report: Report) -> list[dict[str, str]]:
    return [difference.as_json() for difference in report.differences]


def _named(entry: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Without the rows' own ids, which are random."""
    return tuple(sorted((name, value) for name, value in entry.items() if name not in {"payment", "detail"}))


def parted(house: House) -> list[dict[str, str]]:
    """What is repaired by a run each part of which has time for one page."""
    return [entry for report in one_record_each(house) for entry in report.repaired]


def test_what_two_phases_see_is_repaired_once_though_another_part_saw_it_first() -> None:
    house, _ = opened()
    house.passes(hours=25)
    house.stripe.open_sessions()  # time passes at Stripe, too
    house.drop_webhooks()
    assert kinds(parted(house)) == ["attempt_expired"]
    assert len(house.queue.messages()) == 1


def test_two_repairs_of_one_session_are_one_message_though_they_are_found_in_two_parts() -> None:
    house, session = paid()
    house.stripe.refunds_payment(session, 1000)
    house.stripe.disputes_payment(session, 2000)
    house.drop_webhooks()
    assert kinds(parted(house)) == ["refund_missing", "dispute_missing"]
    assert len(house.queue.messages()) == 1


def test_whatever_a_scope_remembers_is_handed_on() -> None:
    """Also what it will remember one day."""
    house = House()
    scope, later = Scope(NOW, NOW), Scope(NOW, NOW)
    remembered = [one.name for one in fields(scope) if isinstance(getattr(scope, one.name), set)]
    assert len(remembered) >= 5
    first = Run(scope, house.queue, house.rendering, widened=False)
    for name in remembered:
        getattr(scope, name).add(f"an id of {name}")
    notes = house.notes.recall(house.notes.keep(first.notes()))
    Run(later, house.queue, house.rendering, widened=False, notes=notes)
    for name in remembered:
        assert getattr(later, name) == {f"an id of {name}"}


def test_lost_notes_cost_questions_and_nothing_else() -> None:
    many = firm(250)
    many.stripe_seconds = many.directus_seconds = 1.0
    many.house.notes.error = AWAY
    reports = [many.house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1)]
    (event,) = many.house.continuation.taken()
    assert "notes" not in event["resume"]
    reports.append(many.house.run(**event))
    many.house.notes.error = None
    many.house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1)
    (event,) = many.house.continuation.taken()
    many.house.notes.kept.clear()
    reports.append(many.house.run(**event))
    assert [_left(report) for report in reports] == [[], [], []]
    assert reports[-1].checked["payments"] == 250


# ---- what it leaves out ---------------------------------------------------------------------------------


def without_sessions(payments: int, **surroundings: Any) -> House:
    """Rows that Stripe is asked about one by one, because no list explains them."""
    house = House(**surroundings)
    for number in range(payments):
        house.payment(
            "1.00", id=f"{number:08x}-0000-4000-8000-000000000000", invoice=None, client=None, method="card",
            transaction_id=f"pi_{number:03}",
        )  # fmt: skip
    return house


def one_record_each(house: House, **event: Any) -> list[Report]:
    """Invocations that have time for a single question."""
    reports = [house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **event)]
    while reports[-1].continued:
        (handed_over,) = house.continuation.taken()
        reports.append(house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **handed_over))
    return reports


def test_a_phase_that_takes_too_long_is_named_and_the_others_get_their_turn() -> None:
    house = without_sessions(3 * PARTS_OF_A_PHASE)
    reports = one_record_each(house)
    cut = [one for report in reports for one in report.differences if one.kind == "not_compared"]
    assert [one.ids for one in cut] == [{"phase": "transactions"}]
    assert reports[-1].checked["payments"] == PARTS_OF_A_PHASE
    assert reports[-1].checked["unapplied_payments"] == 3 * PARTS_OF_A_PHASE, (
        "the phases behind it were begun"
    )
    published = [str(entry) for report in house.reports.stored for entry in report.differences]
    assert sum("were not all compared" in entry for entry in published) == 1


def test_the_next_runs_look_at_what_was_left_out() -> None:
    house = without_sessions(3 * PARTS_OF_A_PHASE)
    for number, row in enumerate(list(house.payments())):  # spread as real keys are
        house.directus.table("payments").pop(row["id"])
        row["id"] = f"{number * 16**8 // (3 * PARTS_OF_A_PHASE):08x}-0000-4000-8000-000000000000"
        house.directus.table("payments")[row["id"]] = row
    looked_at: set[str] = set()
    for _ in range(8):
        found = [
            one.ids["transaction_id"]
            for report in one_record_each(house)
            for one in report.differences
            if one.kind == "payment_unknown_to_stripe"
        ]
        assert len(found) == PARTS_OF_A_PHASE
        looked_at |= set(found)
        house.passes(days=1)
        for row in house.payments():
            row["date_created"] = house.now().isoformat()
        if len(looked_at) == 3 * PARTS_OF_A_PHASE:
            break
    assert len(looked_at) == 3 * PARTS_OF_A_PHASE


def test_a_run_begins_elsewhere_each_time_and_stays_with_it_in_all_its_parts() -> None:
    beginnings = {first_key(NOW + timedelta(hours=hours))[0] for hours in range(24)}
    assert len(beginnings) > 12
    assert all(len(first_key(NOW + timedelta(days=day))) == 8 for day in range(400))
    house = without_sessions(4)
    house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1)
    (event,) = house.continuation.taken()
    began = event["resume"]["began"]
    assert began == house.now().isoformat()
    house.passes(hours=1)
    house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1, **event)
    (event,) = house.continuation.taken()
    assert (event["resume"]["began"], event["resume"]["parts"]) == (began, 2)


# ---- what becomes of a part that dies -------------------------------------------------------------------


@dataclass
class Dying(FakeReports):
    """Reports during which the process dies, as long as `dies`."""

    dies: bool = True

    def publish(self, report: PrintableReport) -> str | None:
        if self.dies:
            crash()
        return super().publish(report)


@dataclass
class Watching(FakeContinuation):
    """A continuation that knows how many reports were stored when it was asked for."""

    reports: FakeReports = field(default_factory=FakeReports)
    stored: list[int] = field(default_factory=list)

    def hand_over(self, event: Mapping[str, object]) -> None:
        self.stored.append(len(self.reports.stored))
        super().hand_over(event)


def test_the_report_is_stored_before_the_next_part_is_started() -> None:
    """A part that dies while it reports has started nothing: no repetition of it can make two runs of one."""
    reports = Dying()
    house = without_sessions(3, reports=reports)
    with pytest.raises(Crash):
        house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1)
    assert house.continuation.events == []
    reports.dies = False
    assert house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1).continued
    assert [report.continued for report in reports.stored] == [True]
    assert len(house.continuation.events) == 1


def test_a_run_that_looks_further_back_is_started_after_the_report_too() -> None:
    watching = Watching()
    house = without_sessions(1, reports=watching.reports, continuation=watching)
    house.invoice("100.00", amount_paid="9.00", sent_at="2026-04-01T10:00:00+00:00")
    assert house.run().widened is not None
    assert watching.stored == [1]


def test_what_could_not_be_started_is_in_the_stored_report_too() -> None:
    house = without_sessions(3)
    house.continuation.error = RuntimeError("a bug")
    report = house.run(remaining_seconds=lambda: RESERVE_SECONDS - 1)
    assert not report.continued
    assert kinds(report.as_json()["differences"]) == ["payment_unknown_to_stripe", "run_not_continued"]
    newest = house.reports.stored[-1]
    assert ([entry["kind"] for entry in newest.differences], newest.continued) == (
        ["payment_unknown_to_stripe", "run_not_continued"],
        False,
    )
    assert "a bug" not in str(report.as_json())
