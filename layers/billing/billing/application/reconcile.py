"""Compare Stripe with Directus, and every sent invoice with its rows; have put right what the one writer can.

Nothing is written here: a repair is a message to whoever writes anyway, so it goes the way of every webhook, and doing
it twice does no harm. A run that is killed is simply repeated; one that has no time left goes on in a new invocation.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from billing.application.plan_reminders import members_of, parse_moment
from billing.application.reconcile_comparisons import Scope
from billing.application.reconcile_phases import Page, Phases
from billing.core.reconciliation import (
    MONEY_KINDS,
    ApplyEvent,
    Difference,
    Recompute,
    Render,
    Repair,
    SyncSession,
)
from billing.core.reconciliation_report import PrintableReport
from billing.errors import BadRequest, BillingError
from billing.observability import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from billing.adapters.queues import InvoiceQueue, WorkQueue
    from billing.adapters.reconcile_ports import Continuation, DeadLetters, Reports, StripeRecords
    from billing.adapters.reconcile_rows import ReconcileRows

#: A session lives at most 24 hours and Stripe retries a webhook for three days; what is older and can still change is
#: found from the side of Directus.
DEFAULT_LOOK_BACK = dt.timedelta(days=3)
#: Before Stripe existed: what lies further back no account can have (and no list is read further back on a suspicion).
BEFORE_STRIPE = dt.datetime(2011, 9, 1, tzinfo=dt.UTC)
#: Entries in the answer (Lambda takes 6 MB) and in the stored report.
KEPT_IN_ANSWER = 1_000
KEPT_IN_REPORT = 10_000
#: With less time left, no page is begun: it must be read, compared, repaired and the report be stored.
RESERVE_SECONDS = 45.0


@dataclass(frozen=True)
class Resume:
    """Where an earlier invocation of the same run stopped: behind the record `after` of a phase.

    `suspect_since` is the earliest of the differences so far (`Difference`).
    """

    phase: str
    after: str | None = None
    checked: Mapping[str, int] = field(default_factory=dict)
    suspect_since: dt.datetime | None = None

    @classmethod
    def from_member(cls, given: object) -> Resume:
        """Parse the member `resume`; `BadRequest` for what no run of ours has written."""
        message = "resume is what an earlier run has written; leave it out."
        if not isinstance(given, dict) or not isinstance(given.get("phase"), str):
            raise BadRequest(message, code="invalid_resume")
        after, checked = given.get("after"), given.get("checked", {})
        counts = checked.values() if isinstance(checked, dict) else [None]
        if not isinstance(after, str | None) or not all(isinstance(count, int) for count in counts):
            raise BadRequest(message, code="invalid_resume")
        suspect = given.get("suspect_since")
        moment = parse_moment(suspect, "resume") if suspect is not None else None
        if not isinstance(moment, dt.datetime | None):
            raise BadRequest(message, code="invalid_resume")
        return cls(given["phase"], after, checked, moment)

    def as_member(self) -> dict[str, object]:
        """The member `resume` of the event that goes on."""
        member: dict[str, object] = {"phase": self.phase, "after": self.after, "checked": dict(self.checked)}
        if self.suspect_since is not None:
            member["suspect_since"] = self.suspect_since.isoformat()
        return member


@dataclass(frozen=True)
class ReconcileRequest:
    """`since`: how far back Stripe's lists are read, None for `DEFAULT_LOOK_BACK`. `dry_run`: repair nothing.

    `widened`: an earlier run has asked for it, on the suspicion that rows are missing; it asks for no other one.
    """

    since: dt.datetime | None = None
    dry_run: bool = False
    resume: Resume | None = None
    widened: bool = False

    @classmethod
    def from_event(cls, event: object) -> ReconcileRequest:
        """Parse the event: `since` (a day is its beginning in UTC), `dry_run`, and what runs give each other.

        `BadRequest` for anything else.
        """
        given = members_of(event)
        if unknown := sorted(set(given) - {"since", "dry_run", "resume", "widened"}):
            message = f"Reconcile knows since and dry_run, not {', '.join(unknown)}."
            raise BadRequest(message, code="unknown_member")
        dry_run, widened = _flag(given, "dry_run"), _flag(given, "widened")
        resume = Resume.from_member(given["resume"]) if "resume" in given else None
        if "since" not in given:
            return cls(None, dry_run, resume, widened)
        moment = parse_moment(given["since"], "since")
        if not isinstance(moment, dt.datetime):
            moment = dt.datetime.combine(moment, dt.time(0), tzinfo=dt.UTC)
        return cls(moment, dry_run, resume, widened)


def _flag(given: Mapping[str, object], name: str) -> bool:
    flag = given.get(name, False)
    if not isinstance(flag, bool):
        message = f"{name} must be true or false."
        raise BadRequest(message, code=f"invalid_{name}")
    return flag


@dataclass
class Report:
    """What was compared, how many of each, what was repaired and what a person must look at.

    `checked` counts the whole run; entries and totals are those of this invocation. `money_repaired` counts repairs
    of money in the books; `published` is the id of the stored report; `continued`: another invocation goes on;
    `widened`: another run compares Stripe's lists from that moment on.
    """

    checked: Counter[str] = field(default_factory=Counter)
    repaired: list[dict[str, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    repaired_total: int = 0
    differences_total: int = 0
    published: str | None = None
    continued: bool = False
    widened: dt.datetime | None = None
    _money: set[object] = field(default_factory=set)

    @property
    def money_repaired(self) -> int:
        """Repairs of money in the books, each session once."""
        return len(self._money)

    def differs(self, difference: Difference) -> None:
        """Take up one more difference."""
        self.differences_total += 1
        if len(self.differences) < KEPT_IN_REPORT:
            self.differences.append(difference)

    def was_repaired(self, difference: Difference, repair: str) -> None:
        """Take up one more repair."""
        self.repaired_total += 1
        if difference.kind in MONEY_KINDS:
            # A session that differs in two ways, or is seen by two phases, is one that no webhook told of.
            looked_at = difference.repair
            self._money.add(
                looked_at.checkout_session if isinstance(looked_at, SyncSession) else difference.key
            )
        if len(self.repaired) < KEPT_IN_REPORT:
            self.repaired.append(difference.as_repaired(repair))

    def as_json(self) -> dict[str, Any]:
        """The answer of the function; the totals only where entries had to be left out."""
        answer: dict[str, Any] = {
            "checked": dict(self.checked),
            "repaired": self.repaired[:KEPT_IN_ANSWER],
            "differences": [difference.as_json() for difference in self.differences[:KEPT_IN_ANSWER]],
        }
        if self.repaired_total > KEPT_IN_ANSWER:
            answer["repaired_total"] = self.repaired_total
        if self.differences_total > KEPT_IN_ANSWER:
            answer["differences_total"] = self.differences_total
        if self.published is not None:
            answer["report"] = self.published
        if self.continued:
            answer["continued"] = True
        if self.widened is not None:
            answer["widened"] = self.widened.isoformat()
        return answer


class Reconcile:
    """The reconciler."""

    def __init__(
        self,
        *,
        rows: ReconcileRows,
        stripe: StripeRecords,
        dead_letters: DeadLetters,
        invoice_queue: InvoiceQueue,
        render_queue: WorkQueue,
        reports: Reports,
        continuation: Continuation,
        deployment: str,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """`deployment` is our name in Stripe's metadata; what is another's is none of our business."""
        self._phases = Phases(rows, stripe, dead_letters, deployment).by_name
        self._invoice_queue = invoice_queue
        self._render_queue = render_queue
        self._reports = reports
        self._continuation = continuation
        self._clock = clock

    def __call__(
        self, request: ReconcileRequest, *, remaining_seconds: Callable[[], float] = lambda: float("inf")
    ) -> Report:
        """Compare everything once, or go on where an earlier invocation stopped.

        `remaining_seconds`: how long this invocation may still take.
        """
        now = self._clock()
        since = request.since or now - DEFAULT_LOOK_BACK
        if since > now:
            message = "since lies in the future."
            raise BadRequest(message, code="invalid_since")
        resume = request.resume or Resume(next(iter(self._phases)))
        if resume.phase not in self._phases:
            message = f"No phase is called {resume.phase}."
            raise BadRequest(message, code="invalid_resume")
        scope = Scope(since, now, request.dry_run)
        run = _Run(scope, self._invoice_queue, self._render_queue, widened=request.widened)
        run.suspect_since = resume.suspect_since
        run.report.checked = Counter(dict.fromkeys(self._phases, 0) | {"payments": 0} | dict(resume.checked))
        if self._run(run, resume, remaining_seconds):
            self._widen(run)
        self._publish(run)
        return run.report

    def _run(self, run: _Run, resume: Resume, remaining_seconds: Callable[[], float]) -> bool:
        """Whether it came to the end."""
        names = list(self._phases)
        progressed = (
            False  # at least a page in each invocation, whatever time is left: else nothing ever ends
        )
        after = resume.after
        for name in names[names.index(resume.phase) :]:
            pages = self._phases[name](run.scope, after)
            while True:
                if progressed and remaining_seconds() < RESERVE_SECONDS:
                    self._hand_over(run, Resume(name, after, run.report.checked, run.suspect_since))
                    return False
                page = _next(pages, name, run)
                if page is None:
                    break
                run.take(page)
                progressed, after = True, page.cursor
            after = None
        return True

    def _widen(self, run: _Run) -> None:
        """Where a row may have been deleted, compare Stripe's lists from then on in a run of their own, once.

        A recompute makes the invoice agree with the rows that are left: the next hour would suspect nothing any more.
        """
        if run.suspect_since is None or run.widened:
            return
        since = max(run.suspect_since, BEFORE_STRIPE)
        if since >= run.scope.since:
            return
        event = {"since": since.isoformat(), "dry_run": run.scope.dry_run, "widened": True}
        try:
            self._continuation.hand_over(event)
        except BillingError as error:
            text = (
                f"Rows may be missing of what Stripe made since {since.isoformat()}, and the run that looks for them could"
                f" not be started: {error.detail} The nightly run compares everything."
            )
            run.report.differs(Difference("run_not_continued", text, {"since": since.isoformat()}))
        else:
            run.report.widened = since

    def _hand_over(self, run: _Run, resume: Resume) -> None:
        event = {
            "since": run.scope.since.isoformat(),
            "dry_run": run.scope.dry_run,
            "resume": resume.as_member(),
            "widened": run.widened,
        }
        try:
            self._continuation.hand_over(event)
        except BillingError as error:
            text = f"The run had no time left at {resume.phase} and could not go on: {error.detail} The next run begins anew."
            run.report.differs(Difference("run_not_continued", text, {"phase": resume.phase}))
        else:
            run.report.continued = True

    def _publish(self, run: _Run) -> None:
        report = run.report
        if not report.differences_total or run.scope.dry_run:
            return
        printable = PrintableReport(
            moment=run.scope.now,
            since=run.scope.since,
            checked=dict(report.checked),
            repaired=report.repaired,
            differences=[difference.as_json() for difference in report.differences],
            repaired_total=report.repaired_total,
            differences_total=report.differences_total,
            continued=report.continued,
        )
        try:
            report.published = self._reports.publish(printable)
        except Exception as error:  # noqa: BLE001  # whatever it is: what was found must still reach answer and log
            logger.exception("The report of the reconciliation could not be stored.")
            said = error.detail if isinstance(error, BillingError) else type(error).__name__
            text = f"The report could not be stored ({said}); the log of this run has the differences."
            report.differs(Difference("report_not_stored", text))


class _Run:
    """One invocation: what was found so far, and what was queued."""

    def __init__(
        self, scope: Scope, invoice_queue: InvoiceQueue, render_queue: WorkQueue, *, widened: bool
    ) -> None:
        self.scope = scope
        self.widened = widened
        self.suspect_since: dt.datetime | None = None
        self.report = Report()
        self._invoice_queue = invoice_queue
        self._render_queue = render_queue
        self._seen: set[int] = set()
        self._queued: set[tuple[str, str]] = set()

    def take(self, page: Page) -> None:
        """Each difference once; what has a repair is queued, once for each target."""
        self.report.checked.update(page.checked)
        for difference, how in page.repaired:
            self.report.was_repaired(difference, how)
        refused: str | None = None  # a queue that is away is not asked again for every record of the page
        for difference in page.differences:
            key = hash(difference.key)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._suspect(difference)
            if difference.repair is None or self.scope.dry_run:
                self.report.differs(difference)
                continue
            refused = refused or self._queue(difference.repair)
            if refused is not None:
                text = f"{difference.detail} Its repair could not be queued: {refused}"
                self.report.differs(replace(difference, detail=text))
                continue
            if difference.stays or difference.tried_before:
                self.report.differs(difference)
            if not difference.stays:
                self.report.was_repaired(difference, difference.repair.name)

    def _suspect(self, difference: Difference) -> None:
        moments = [self.suspect_since, difference.suspect_since]
        self.suspect_since = min((one for one in moments if one is not None), default=None)

    def _queue(self, repair: Repair) -> str | None:
        """None once it is queued, else why not."""
        target = _target(repair)
        if target in self._queued:
            return None
        try:
            self._send(repair)
        except BillingError as error:
            return error.detail
        self._queued.add(target)
        return None

    def _send(self, repair: Repair) -> None:
        match repair:
            case SyncSession(session, invoice):
                message = {"type": "sync_session", "invoice": invoice, "checkout_session": session}
                self._invoice_queue.send(message, group=invoice or session)
            case Recompute(invoice):
                self._invoice_queue.recompute([invoice])
            case ApplyEvent(event, again):
                # The first message about an event has its id: a webhook that arrives meanwhile is not doubled.
                self._invoice_queue.send(
                    event.message(), group=event.group, deduplication_id=None if again else event.id
                )
            case Render(invoice, force):
                self._render_queue.send_many([{"type": "invoice", "invoice": invoice, "force": force}])


def _target(repair: Repair) -> tuple[str, str]:
    match repair:
        case SyncSession(session):
            return repair.name, session
        case ApplyEvent(event):
            return repair.name, event.id
        case Recompute(invoice) | Render(invoice):
            return repair.name, invoice


def _next(pages: Any, phase: str, run: _Run) -> Page | None:
    """The next page; a phase that cannot be looked at is named and does not keep the others from being."""
    try:
        page: Page | None = next(pages, None)
    except BillingError as error:
        text = f"{phase.replace('_', ' ').capitalize()} could not be compared: {error.detail}"
        run.report.differs(Difference("not_compared", text, {"phase": phase}))
        return None
    return page
