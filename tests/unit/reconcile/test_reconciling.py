"""A run as a whole: what it is asked for, a dry run, failures on the way, what the answer holds, going on later."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.errors import BadRequest, StripeRejected, UpstreamUnavailable
from billing.reconcile.differences import Difference
from billing.reconcile.phases import ONE_BY_ONE, PAGE
from billing.reconcile.reconcile import (
    KEPT_IN_ANSWER,
    KEPT_IN_REPORT,
    RESERVE_SECONDS,
    ReconcileRequest,
    Report,
    Resume,
)
from tests.fakes.stripe import FakeStripe
from tests.unit.reconcile.house import House, kinds, rows_of
from tests.unit.reconcile.payments import opened, paid
from tests.unit.reconcile.support import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.stripe.objects import StripeDispute
    from tests.fakes.directus import Row

AWAY = UpstreamUnavailable("SQS did not take the message (Throttled).", code="queue_unavailable")


def crowded(invoices: int) -> House:
    """A firm with so many invoices, each of which shows a wrong amount."""
    house = House()
    for number in range(invoices):
        house.invoice("100.00", id=f"a1000000-0000-4000-8000-{number:012}", amount_paid="1.00")
    return house


class Clock:
    """Time that runs out after so many requests to Directus and Stripe."""

    def __init__(self, house: House, requests: int) -> None:
        self._house = house
        self._end = self._requests() + requests

    def _requests(self) -> int:
        return sum(not name.startswith("queue") for name in self._house.steps.names)

    def __call__(self) -> float:
        return 900.0 if self._requests() < self._end else RESERVE_SECONDS - 1


# ---- what it is asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, None),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T09:00:00+01:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_since_is_an_instant_or_the_beginning_of_a_day(since: str | None, expected: datetime | None) -> None:
    assert ReconcileRequest.from_event({"since": since, "dry_run": True}).since == expected


def test_stripes_lists_are_read_three_days_back_unless_it_is_asked_for_more() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    house.payments()[0] |= {"open_claim": None, "status": "canceled"}
    house.passes(days=4)
    assert house.run(dry_run=True).as_json()["differences"] == []
    since = (house.now() - timedelta(days=5)).isoformat()
    assert kinds(house.run(dry_run=True, since=since).as_json()["differences"]) == ["payment_missing"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"since": "yesterday"}, "invalid_since"),
        ({"since": "2026-03-01T09:00:00"}, "invalid_since"),
        ({"since": "2036-03-04"}, "invalid_since"),
        ({"dry_run": 1}, "invalid_dry_run"),
        ({"as_of": "2026-03-01"}, "unknown_member"),
        ({"widened": "yes"}, "invalid_widened"),
        ({"resume": "sessions"}, "invalid_resume"),
        ({"resume": {"phase": "sessions", "suspect_since": "2026-03-01"}}, "invalid_resume"),
        ({"resume": {"phase": "sessions", "suspect_since": 1}}, "invalid_resume"),
        ({"resume": {"phase": "lunch"}}, "invalid_resume"),
        ({"resume": {"phase": "sessions", "after": 1}}, "invalid_resume"),
        ({"resume": {"phase": "sessions", "checked": {"sessions": "many"}}}, "invalid_resume"),
        ({"resume": {"phase": "sessions", "checked": []}}, "invalid_resume"),
    ],
)
def test_an_event_that_cannot_be_read_is_refused(event: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        House().run(**event)
    assert refusal.value.code == code


# ---- a dry run ------------------------------------------------------------------------------------------


def test_a_dry_run_sends_nothing_stores_nothing_and_names_everything() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    house.stored()["pdf_status"] = "none"
    house.directus.put("stripe_events", id="evt_1", type="charge.updated", object_id="ch_1", status="parked")
    house.dead_letters.queues = {"render": 2}
    before = rows_of(house)
    answer = house.run(dry_run=True).as_json()
    assert answer["repaired"] == []
    assert sorted(kinds(answer["differences"])) == [
        "dead_letters", "event_parked", "payment_missing", "pdf_missing",
    ]  # fmt: skip
    assert (house.queue.sent, house.rendering.messages, house.reports.stored) == ([], [], [])
    assert house.dead_letters.queues == {"render": 2}
    assert rows_of(house) == before


# ---- failures on the way --------------------------------------------------------------------------------


def test_a_repair_that_cannot_be_queued_is_a_difference_that_says_why() -> None:
    house = crowded(2)
    house.queue.error = AWAY
    report = house.run()
    assert report.repaired_total == 0
    assert kinds(report.as_json()["differences"]) == ["invoice_differs", "invoice_differs"]
    assert report.differences[0].detail.endswith(f"could not be queued: {AWAY.detail}")
    assert house.steps.names.count("queue") == 1, "a queue that is away is not asked for every record"
    house.queue.error = None
    assert house.run().repaired_total == 2


def test_a_dead_letter_queue_that_cannot_be_read_is_a_difference() -> None:
    house = House()
    house.dead_letters.queues = {"render": 2}
    house.dead_letters.error = AWAY
    (difference,) = house.run().as_json()["differences"]
    assert (difference["kind"], difference["messages"]) == ("dead_letters", "2")
    assert AWAY.detail in difference["detail"]


class Restricted(FakeStripe):
    """Stripe with a key that may not list disputes."""

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeDispute]:
        text = f"Stripe refused the request: PermissionError ({since}, {after})."
        raise StripeRejected(text)


def test_a_part_that_cannot_be_compared_is_named_and_the_others_are() -> None:
    house = House(records=Restricted(lambda: NOW))
    house.invoice("100.00", amount_paid="1.00")
    answer = house.run().as_json()
    assert [(entry["kind"], entry["phase"]) for entry in answer["differences"]] == [
        ("not_compared", "disputes")
    ]
    assert kinds(answer["repaired"]) == ["invoice_differs"]


@pytest.mark.parametrize("error", [AWAY, RuntimeError("a bug")])
def test_a_report_that_cannot_be_stored_is_a_difference_and_no_crash(error: Exception) -> None:
    house = House()
    house.invoice("100.00", status="draft")
    house.reports.error = error
    report = house.run()
    assert kinds(report.as_json()["differences"]) == ["sent_invoice_is_draft", "report_not_stored"]
    assert report.differences_total == 2
    assert "a bug" not in str(report.as_json())


# ---- the report -----------------------------------------------------------------------------------------


def test_a_report_is_stored_when_something_is_left_for_people_and_only_then() -> None:
    house, _ = paid()
    assert "report" not in house.run().as_json()
    house.stored()["amount_paid"] = "77.00"
    assert "report" not in house.run().as_json(), "what is repaired is nothing to read"
    house.work_off()
    house.payments()[0]["amount"] = "99.00"
    house.recompute()
    report = house.run()
    assert report.as_json()["report"] == "report-1"
    (stored,) = house.reports.stored
    assert (stored.moment, stored.since) == (house.now(), house.now() - timedelta(days=3))
    assert list(stored.differences) == report.as_json()["differences"]
    assert stored.checked == report.as_json()["checked"]
    assert (stored.differences_total, stored.repaired_total, stored.continued) == (1, 0, False)
    assert "report" not in house.run().as_json(), "the same is not stored again"


def test_the_answer_and_the_report_are_cut_and_the_totals_count_all() -> None:
    report = Report()
    for number in range(KEPT_IN_REPORT + 1):
        report.differs(Difference("x", "…", {"n": str(number)}))
        report.was_repaired(Difference("payment_missing", "…", {"n": str(number)}), "sync_session")
    answer = report.as_json()
    assert (len(answer["repaired"]), len(answer["differences"])) == (KEPT_IN_ANSWER, KEPT_IN_ANSWER)
    assert answer["repaired_total"] == answer["differences_total"] == KEPT_IN_REPORT + 1
    assert (len(report.repaired), len(report.differences)) == (KEPT_IN_REPORT, KEPT_IN_REPORT)
    assert report.money_repaired == KEPT_IN_REPORT + 1


def test_an_answer_that_holds_everything_has_no_totals() -> None:
    report = Report()
    for number in range(KEPT_IN_ANSWER):
        report.differs(Difference("x", "…", {"n": str(number)}))
    assert "differences_total" not in report.as_json()


def test_only_money_in_the_books_counts_as_money_repaired() -> None:
    house, session = opened()
    house.stripe.pays(session)
    house.drop_webhooks()
    house.stored()["pdf_status"] = "none"
    report = house.run()
    assert (report.repaired_total, report.money_repaired) == (2, 1)


# ---- going on later -------------------------------------------------------------------------------------


def finished(house: House, requests: int, **event: Any) -> list[Report]:
    """The parts of a run each of which has time for so many requests, until none hands over."""
    parts = [house.run(remaining_seconds=Clock(house, requests), **event)]
    while parts[-1].continued:
        assert len(parts) < 200, "a run that never ends"
        (handed_over,) = house.continuation.events
        house.continuation.events.clear()
        parts.append(house.run(remaining_seconds=Clock(house, requests), **handed_over))
    assert all(event["widened"] and "resume" not in event for event in house.continuation.taken())
    return parts


def everything() -> House:
    """A firm in which every phase has more than a page of something."""
    house = crowded(PAGE + 5)
    for number in range(PAGE + 3):
        metadata = {"deployment": "test", "directus_payment": f"c1000000-0000-4000-8000-{number:012}"}
        session = house.stripe.makes_session(10000, "USD", metadata)
        house.stripe.pays(session)
        house.stripe.learns_fee(session, 320)
        if number < ONE_BY_ONE + 2:
            house.stripe.refunds_payment(session, 100)
    house.drop_webhooks()
    for number in range(ONE_BY_ONE + 4):
        house.payment("1.00", invoice=None, client=None, method="card", transaction_id=f"pi_lost_{number:03}")
        _event(house, number)
    return house


def _event(house: House, number: int) -> Row:
    return house.directus.put(
        "stripe_events", id=f"evt_{number:03}", type="charge.updated", object_id="ch_1", status="parked"
    )


@pytest.mark.parametrize("requests", [16, 24, 32])
def test_a_run_in_parts_finds_and_queues_what_one_run_does(requests: int) -> None:
    whole = everything()
    expected = whole.run()
    assert not expected.continued
    parted = everything()
    parts = finished(parted, requests)
    assert len(parts) > 2
    found = Counter(_found(entry) for part in parts for entry in part.repaired)
    assert found == Counter(map(_found, expected.repaired))
    left = Counter(_found(difference.as_json()) for part in parts for difference in part.differences)
    assert left == Counter(_found(difference.as_json()) for difference in expected.differences)
    assert Counter(map(str, parted.queue.messages())) == Counter(map(str, whole.queue.messages()))
    assert parts[-1].checked == expected.checked


def _found(entry: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Ids and kinds; the rows' own ids are random."""
    return tuple(sorted((name, value) for name, value in entry.items() if name not in {"payment", "detail"}))


def test_every_part_looks_at_a_page_whatever_time_is_left() -> None:
    house = everything()
    first = house.run(remaining_seconds=lambda: 1.0)
    assert first.checked["sessions"] == PAGE
    assert first.continued
    (event,) = house.continuation.events
    resume = event["resume"]
    assert (resume["phase"], resume["checked"]["sessions"]) == ("sessions", PAGE)
    assert event["since"] == (house.now() - timedelta(days=3)).isoformat()
    assert ReconcileRequest.from_event(event).resume == Resume(
        "sessions", resume["after"], resume["checked"], began=house.now(), parts=1, notes="notes-1"
    )


def test_a_run_that_goes_on_says_so_in_its_answer() -> None:
    house = everything()
    assert house.run(remaining_seconds=lambda: 1.0).as_json()["continued"] is True
    assert "continued" not in house.run().as_json()


def test_a_dry_run_stays_one_when_it_goes_on() -> None:
    house = everything()
    parts = finished(house, 20, dry_run=True)
    assert len(parts) > 2
    assert (house.queue.sent, sum(part.repaired_total for part in parts)) == ([], 0)


def test_a_run_that_cannot_go_on_names_where_it_stopped() -> None:
    house = everything()
    house.continuation.error = AWAY
    report = house.run(remaining_seconds=lambda: 1.0)
    assert not report.continued
    assert [(one.kind, one.ids) for one in report.differences if one.kind == "run_not_continued"] == [
        ("run_not_continued", {"phase": "sessions"})
    ]
    assert AWAY.detail in str(report.as_json())


def test_rows_that_come_and_go_between_two_parts_do_not_confuse_it() -> None:
    house = crowded(PAGE + 5)
    house.run(remaining_seconds=lambda: 1.0)
    (event,) = house.continuation.events
    resume = event["resume"]
    assert resume["phase"] == "invoices"
    del house.directus.table("invoices")[resume["after"]]
    report = house.run(**event)
    assert report.repaired_total == 5


def test_memory_stays_flat_a_few_hundred_ledgers_at_once() -> None:
    house = crowded(PAGE * 2 + 1)
    house.run()
    asked = [len(batch) for batch in _batches_of_invoices(house)]
    assert max(asked) <= PAGE
    assert sum(asked) == PAGE * 2 + 1


def _batches_of_invoices(house: House) -> list[list[str]]:

    bodies = [
        json.loads(body)["query"]
        for method, url, _, body in house.directus.requests
        if method == "SEARCH" and url.endswith("/invoices") and body
    ]
    return [query["filter"]["id"]["_in"] for query in bodies if "id" in query["filter"]]
