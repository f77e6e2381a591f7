"""Compare Stripe with Directus, and every sent invoice with its rows; report, repair nothing yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from billing.application.plan_reminders import members_of, parse_moment
from billing.core.booking import is_ours
from billing.core.reconciliation import (
    Difference,
    PaymentIndex,
    UnreadableRow,
    compare_attempt,
    compare_event,
    compare_invoice,
    compare_notice,
    compare_queue,
    compare_session,
    distinct,
    report_unapplied,
    report_unreadable,
)
from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from billing.adapters.reconcile_rows import DeadLetters, ReconcileRows, StripeSessions

#: A session lives at most 24 hours and Stripe retries a webhook for three days; what is older and still open is
#: found from the side of Directus.
DEFAULT_LOOK_BACK = dt.timedelta(days=3)


@dataclass(frozen=True)
class ReconcileRequest:
    """`since`: how far back Stripe's sessions are read, None for `DEFAULT_LOOK_BACK`. `dry_run`: repair nothing."""

    since: dt.datetime | None = None
    dry_run: bool = False

    @classmethod
    def from_event(cls, event: object) -> ReconcileRequest:
        """Parse the event; `BadRequest` for anything but `since` (a day is its beginning in UTC) and `dry_run`."""
        given = members_of(event)
        if unknown := sorted(set(given) - {"since", "dry_run"}):
            message = f"Reconcile knows since and dry_run, not {', '.join(unknown)}."
            raise BadRequest(message, code="unknown_member")
        dry_run = given.get("dry_run", False)
        if not isinstance(dry_run, bool):
            message = "dry_run must be true or false."
            raise BadRequest(message, code="invalid_dry_run")
        if "since" not in given:
            return cls(None, dry_run)
        moment = parse_moment(given["since"], "since")
        if not isinstance(moment, dt.datetime):
            moment = dt.datetime.combine(moment, dt.time(0), tzinfo=dt.UTC)
        return cls(moment, dry_run)


@dataclass
class Report:
    """What was compared, how many of each, and what differs."""

    checked: dict[str, int] = field(default_factory=dict)
    repaired: list[dict[str, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The answer of the function."""
        return {
            "checked": self.checked,
            "repaired": self.repaired,
            "differences": [difference.as_json() for difference in self.differences],
        }


class Reconcile:
    """The reconciler."""

    def __init__(
        self,
        *,
        rows: ReconcileRows,
        stripe: StripeSessions,
        dead_letters: DeadLetters,
        deployment: str,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """`deployment` is our name in Stripe's metadata; sessions of others are none of our business."""
        self._rows = rows
        self._stripe = stripe
        self._dead_letters = dead_letters
        self._deployment = deployment
        self._clock = clock

    def __call__(self, request: ReconcileRequest) -> Report:
        """Compare everything once."""
        now = self._clock()
        since = request.since or now - DEFAULT_LOOK_BACK
        if since > now:
            message = "since lies in the future."
            raise BadRequest(message, code="invalid_since")
        report = Report()
        found = [
            *self._sessions(since, report),
            *self._attempts(now, report),
            *self._invoices(now, report),
            *self._unapplied(report),
            *self._events(now, report),
            *self._notices(now, report),
            *self._queues(report),
        ]
        report.differences = distinct(found)
        return report

    def _sessions(self, since: dt.datetime, report: Report) -> Iterator[Difference]:
        """Sessions are read before payments: what is booked meanwhile is not reported as missing."""
        sessions = [
            session
            for session in self._stripe.sessions_created_since(since)
            if is_ours(session.metadata, self._deployment)
        ]
        payments, unreadable = _readable(self._rows.payments_of(sessions))
        report.checked |= {"sessions": len(sessions), "payments": len(payments)}
        yield from unreadable
        index = PaymentIndex(payments)
        for session in sessions:
            yield from compare_session(session, index.of(session))

    def _attempts(self, now: dt.datetime, report: Report) -> Iterator[Difference]:
        attempts, unreadable = _readable(self._rows.open_attempts())
        report.checked["open_attempts"] = len(attempts)
        yield from unreadable
        for attempt in attempts:
            yield from compare_attempt(attempt, now)

    def _invoices(self, now: dt.datetime, report: Report) -> Iterator[Difference]:
        report.checked["invoices"] = 0
        for some in self._rows.sent_ledgers():
            ledgers, unreadable = _readable(some)
            report.checked["invoices"] += len(some)
            yield from unreadable
            for ledger in ledgers:
                yield from compare_invoice(ledger, now)

    def _unapplied(self, report: Report) -> Iterator[Difference]:
        payments, unreadable = _readable(self._rows.unapplied_payments())
        report.checked["unapplied_payments"] = len(payments)
        yield from unreadable
        yield from map(report_unapplied, payments)

    def _events(self, now: dt.datetime, report: Report) -> Iterator[Difference]:
        events = self._rows.unfinished_events()
        report.checked["unfinished_events"] = len(events)
        for event in events:
            yield from compare_event(event, now)

    def _notices(self, now: dt.datetime, report: Report) -> Iterator[Difference]:
        notices = self._rows.unsettled_notices()
        report.checked["unsettled_notices"] = len(notices)
        for notice in notices:
            yield from compare_notice(notice, now)

    def _queues(self, report: Report) -> Iterator[Difference]:
        depths = self._dead_letters.depths()
        report.checked["dead_letter_queues"] = len(depths)
        for name, messages in depths.items():
            yield from compare_queue(name, messages)


def _readable[Value](found: Iterable[Value | UnreadableRow]) -> tuple[list[Value], list[Difference]]:
    values: list[Value] = []
    unreadable: list[Difference] = []
    for one in found:
        if isinstance(one, UnreadableRow):
            unreadable.append(report_unreadable(one))
        else:
            values.append(one)
    return values, unreadable
