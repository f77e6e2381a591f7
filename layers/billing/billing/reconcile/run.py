"""One invocation of reconciliation: what it has found, what it has queued, and what it notes for the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from billing.messages import Recompute, RenderInvoicePdf, RenderReceiptPdf, SyncSession
from billing.reconcile.differences import (
    MONEY_KINDS,
    QUIET_KINDS,
    ApplyEvent,
    Difference,
    Repair,
)
from billing.reconcile.page import reason_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping

    from billing.aws.queues import InvoiceQueue, WorkQueue
    from billing.reconcile.page import Page, Scope


#: Entries in the answer (Lambda takes 6 MB) and in the stored report.
KEPT_IN_ANSWER = 1_000
KEPT_IN_REPORT = 10_000
#: What a scope remembers, by the names of its fields.
_OF_SCOPE = ("explained", "foreign", "reversals", "completing", "named")
_NO_NOTES: Mapping[str, Collection[str]] = MappingProxyType({})


@dataclass
class Report:
    """What was compared, how many of each, what was repaired and what a person must look at.

    `checked` counts the whole run; entries and totals are those of this invocation. `urgent_total` counts differences
    that cannot wait, `money_repaired` repairs of money in the books; `published` is the id of the stored report; `continued`: another invocation goes on;
    `widened`: another run compares Stripe's lists from that moment on.
    """

    checked: Counter[str] = field(default_factory=Counter)
    repaired: list[dict[str, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    repaired_total: int = 0
    differences_total: int = 0
    urgent_total: int = 0
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
        if difference.kind not in QUIET_KINDS:
            self.urgent_total += 1
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


class Run:
    """One invocation: what was found so far, and what was queued."""

    def __init__(
        self,
        scope: Scope,
        invoice_queue: InvoiceQueue,
        render_queue: WorkQueue,
        *,
        widened: bool,
        notes: Mapping[str, Collection[str]] = _NO_NOTES,
    ) -> None:
        """`notes` are those of the part before (`notes`); `widened` as in the request."""
        self.scope = scope
        self.widened = widened
        self.suspect_since: dt.datetime | None = None
        self.report = Report()
        self._invoice_queue = invoice_queue
        self._render_queue = render_queue
        self._seen = set(notes.get("seen", ()))
        self._queued = set(notes.get("queued", ()))
        for name in _OF_SCOPE:
            setattr(scope, name, set(notes.get(name, ())))

    def notes(self) -> Mapping[str, Collection[str]]:
        """What the next part must know so as to ask, queue and report nothing twice."""
        of_scope = {name: getattr(self.scope, name) for name in _OF_SCOPE}
        return {**of_scope, "seen": self._seen, "queued": self._queued}

    def take(self, page: Page) -> None:
        """Count; take each difference once; queue what has a repair, once for each target."""
        self.report.checked.update(page.checked)
        for difference, how in page.repaired:
            self.report.was_repaired(difference, how)
        self.take_differences(page.differences)

    def take_differences(self, differences: Iterable[Difference]) -> None:
        """Those that were not seen yet."""
        refused: str | None = None  # a queue that is away is not asked again for every record of the page
        for difference in differences:
            key = _digest(difference)
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
                self.report.was_repaired(difference, name_of(difference.repair))

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
        except Exception as error:  # noqa: BLE001  # whatever it is: the others must still be queued, and all be told
            return reason_of(error, "A repair could not be queued.", self.scope.failed)
        self._queued.add(target)
        return None

    def _send(self, repair: Repair) -> None:
        match repair:
            case ApplyEvent(event, again):
                # The first message about an event has its id: a webhook that arrives meanwhile is not doubled.
                self._invoice_queue.send(event, deduplication_id=None if again else event.event)
            case SyncSession() | Recompute():
                self._invoice_queue.send(repair)
            case RenderInvoicePdf() | RenderReceiptPdf():
                self._render_queue.send_many([repair])


def name_of(repair: Repair) -> str:
    """What a repair is called in the answer."""
    return "render" if isinstance(repair, RenderInvoicePdf | RenderReceiptPdf) else repair.type


def _target(repair: Repair) -> str:
    match repair:
        case ApplyEvent(event):
            target = event.event
        case SyncSession(target) | Recompute(target) | RenderInvoicePdf(target) | RenderReceiptPdf(target):
            pass
    return f"{name_of(repair)} {target}"


def _digest(difference: Difference) -> str:
    """The same in every process, as Python's own hash is not."""
    return blake2b(repr(difference.key).encode(errors="replace"), digest_size=8).hexdigest()
