"""Compare Stripe with Directus, and every sent invoice with its rows; have put right what the invoice writer can.

Nothing is written here: a repair is a message to whoever writes anyway, so it goes the way of every webhook, and doing
it twice does no harm. A run that is killed is simply repeated by the next; one that has no time left goes on in a new
invocation, which is told what was seen so far.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

from billing.errors import BadRequest
from billing.reconcile.differences import Difference
from billing.reconcile.leftovers import report_unreadable
from billing.reconcile.page import Scope, reason_of
from billing.reconcile.phases import Phases, first_key
from billing.reconcile.report import PrintableReport
from billing.reconcile.request import ReconcileRequest, Resume
from billing.reconcile.run import KEPT_IN_ANSWER, KEPT_IN_REPORT, Report, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from billing.aws.queues import InvoiceQueue, WorkQueue
    from billing.reconcile.page import Failed
    from billing.reconcile.ports import Continuation, DeadLetters, Reports, RunNotes, StripeRecords
    from billing.reconcile.store import ReconcileRows


__all__ = [
    "BEFORE_STRIPE",
    "CLOSING_SECONDS",
    "DEFAULT_LOOK_BACK",
    "KEPT_IN_ANSWER",
    "KEPT_IN_REPORT",
    "PARTS_OF_A_PHASE",
    "RESERVE_SECONDS",
    "Reconcile",
    "ReconcileRequest",
    "Report",
    "Resume",
]

#: A session lives at most 24 hours and Stripe retries a webhook for three days; what is older and can still change is
#: found from the side of Directus.
DEFAULT_LOOK_BACK = dt.timedelta(days=3)
#: Before Stripe existed: what lies further back no account can have (and no list is read further back on a suspicion).
BEFORE_STRIPE = dt.datetime(2011, 9, 1, tzinfo=dt.UTC)
#: With less time left, no page is begun and none goes on: its requests must be answered, its repairs be queued.
RESERVE_SECONDS = 90.0
#: No request of a comparison lasts longer than until so much is left: report, notes and hand-over need it.
CLOSING_SECONDS = 60.0
#: Invocations that one phase may take. All phases together then end within a day, before the next night's run.
PARTS_OF_A_PHASE = 6


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
        notes: RunNotes,
        deployment: str,
        failed: Failed,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """`deployment` is our name in Stripe's metadata; what is another's is none of our business.

        `failed` is told of every failure without a name of ours, with a sentence.
        """
        self._phases = Phases(rows, stripe, dead_letters, deployment).by_name
        self._stripe = stripe
        self._invoice_queue = invoice_queue
        self._render_queue = render_queue
        self._reports = reports
        self._continuation = continuation
        self._notes = notes
        self._failed = failed
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
            message = "since is in the future."
            raise BadRequest(message, code="invalid_since")
        resume = request.resume or Resume(next(iter(self._phases)))
        if resume.phase not in self._phases:
            message = f"No phase is called {resume.phase}."
            raise BadRequest(message, code="invalid_resume")
        began = resume.began or now

        def hurry() -> bool:
            return remaining_seconds() < RESERVE_SECONDS

        scope = Scope(since, now, request.dry_run, first=first_key(began), hurry=hurry, failed=self._failed)
        notes = self._recalled(resume)
        run = Run(scope, self._invoice_queue, self._render_queue, widened=request.widened, notes=notes)
        run.suspect_since = resume.suspect_since
        run.report.checked = Counter(dict.fromkeys(self._phases, 0) | {"payments": 0} | dict(resume.checked))
        self._close(run, self._run(run, resume, began))
        return run.report

    def _run(self, run: Run, resume: Resume, began: dt.datetime) -> Resume | None:
        """Where the next invocation goes on; None if this one came to the end."""
        names = list(self._phases)
        progressed = (
            False  # at least a page in each invocation, whatever time is left: else nothing ever ends
        )
        after, parts = resume.after, resume.parts
        for name in names[names.index(resume.phase) :]:
            pages = self._phases[name](run.scope, after)
            while True:
                if progressed and run.scope.hurry():
                    return self._stopped(run, Resume(name, after, began=began, parts=parts + 1))
                try:
                    page = next(pages, None)
                except Exception as error:  # noqa: BLE001  # one object, however odd, must never cost the whole run
                    if progressed and run.scope.hurry():
                        continue  # perhaps for want of time only: the next invocation looks at this page again
                    run.report.differs(self._not_compared(name, error))
                    break
                finally:
                    run.take_differences(
                        map(report_unreadable, self._stripe.unreadable())
                    )  # what lists passed over
                if page is None:
                    break
                run.take(page)
                progressed, after = True, page.cursor
            after, parts = None, 0
        return None

    def _stopped(self, run: Run, stop: Resume) -> Resume | None:
        """Where to go on after a stop: behind what this phase has left out, if it has had its parts."""
        stop = Resume(stop.phase, stop.after, run.report.checked, run.suspect_since, stop.began, stop.parts)
        if stop.parts < PARTS_OF_A_PHASE:
            return stop
        names = list(self._phases)
        what = stop.phase.replace("_", " ").capitalize()
        text = (
            f"{what} were not all compared: {PARTS_OF_A_PHASE} invocations were not enough. Everything after"
            f" {stop.after} is left out this time; later runs start elsewhere in the rows of Directus."
        )
        run.report.differs(Difference("not_compared", text, {"phase": stop.phase}))
        following = names[names.index(stop.phase) + 1 :]
        if not following:
            return None
        return Resume(following[0], None, run.report.checked, run.suspect_since, stop.began)

    def _close(self, run: Run, resume: Resume | None) -> None:
        """The report first: an invocation that dies in between has then told what it found, and started nothing."""
        run.report.continued = resume is not None
        self._publish(run)
        told = run.report.differences_total
        if resume is None:
            self._widen(run)
        else:
            self._hand_over(run, resume)
        if run.report.differences_total > told:
            self._publish(run)

    def _widen(self, run: Run) -> None:
        """Where a row may have been deleted, compare Stripe's lists from then on in a run of their own, once.

        A recompute makes the invoice agree with the rows that are left: the next hour would suspect nothing any more.
        """
        if run.suspect_since is None or run.widened:
            return
        since = max(run.suspect_since, BEFORE_STRIPE)
        if since >= run.scope.since:
            return
        event = {"since": since.isoformat(), "dry_run": run.scope.dry_run, "widened": True}
        if (refused := self._started(event)) is not None:
            text = (
                f"Rows of Stripe objects made since {since.isoformat()} may be missing, but the run that looks for them"
                f" could not be started: {refused} The nightly run compares everything."
            )
            run.report.differs(Difference("run_not_continued", text, {"since": since.isoformat()}))
        else:
            run.report.widened = since

    def _hand_over(self, run: Run, resume: Resume) -> None:
        event = {
            "since": run.scope.since.isoformat(),
            "dry_run": run.scope.dry_run,
            "resume": {**resume.as_member(), **self._kept(run)},
            "widened": run.widened,
        }
        if (refused := self._started(event)) is not None:
            run.report.continued = False
            text = f"The run ran out of time at {resume.phase} and could not continue: {refused} The next run starts again."
            run.report.differs(Difference("run_not_continued", text, {"phase": resume.phase}))

    def _started(self, event: Mapping[str, object]) -> str | None:
        """None once the function is started again with this event, else why not."""
        try:
            self._continuation.hand_over(event)
        except Exception as error:  # noqa: BLE001  # whatever it is: what was found must still reach answer and log
            return reason_of(error, "The function could not be started again.", self._failed)
        return None

    def _kept(self, run: Run) -> dict[str, str]:
        """Without notes the next invocation asks more, and may name again what was named: nothing is wrong with that."""
        try:
            return {"notes": self._notes.keep(run.notes())}
        except Exception as error:  # noqa: BLE001  # the run goes on without, and asks more
            self._failed("The state of the run could not be stored for its next part.", error)
            return {}

    def _recalled(self, resume: Resume) -> Mapping[str, Collection[str]]:
        if resume.notes is None:
            return {}
        try:
            return self._notes.recall(resume.notes)
        except Exception as error:  # noqa: BLE001  # without them this part only asks more
            self._failed("The state of the previous part could not be read.", error)
            return {}

    def _publish(self, run: Run) -> None:
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
            said = reason_of(error, "The report of the reconciliation could not be stored.", self._failed)
            text = f"The report could not be stored ({said}); the log of this run has the differences."
            report.differs(Difference("report_not_stored", text))

    def _not_compared(self, phase: str, error: Exception) -> Difference:
        """A phase that cannot be looked at is named and does not keep the others from being."""
        what = phase.replace("_", " ").capitalize()
        said = reason_of(error, f"{what} could not be compared.", self._failed)
        return Difference("not_compared", f"{what} could not be compared: {said}", {"phase": phase})
