"""How the records of a page are gone through: one that fails costs only itself, and the clock is looked at in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.errors import BillingError, StripeRejected
from billing.reconcile.differences import (
    Difference,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    type Failed = Callable[[str, Exception], None]


#: If more records of a phase fail by themselves, it is not the records: the phase is given up.
MOST_FAILING = 20


class Care:
    """Compares the records of one phase; names those that cannot be compared."""

    def __init__(self, phase: str, failed: Failed) -> None:
        """`phase` as in `Phases.by_name`; `failed` as in `Scope`."""
        self._phase = phase
        self._tell = failed
        self._failed = 0

    def compare[Record](
        self,
        records: Sequence[Record],
        name: Callable[[Record], str],
        compare: Callable[[Sequence[Record]], list[Difference]],
    ) -> list[Difference]:
        """What `compare` finds in all of them at once; if that fails, in each by itself.

        Raises what says nothing about a record (Directus or Stripe is away), and the failure of one too many.
        """
        try:
            return compare(records)
        except Exception as error:
            if isinstance(error, BillingError) and not isinstance(error, StripeRejected):
                raise
            if len(records) == 1:
                self._failed += 1
                if self._failed > MOST_FAILING:
                    raise
                return [self._not_compared(name(records[0]), error)]
        return [found for record in records for found in self.compare([record], name, compare)]

    def _not_compared(self, record: str, error: Exception) -> Difference:
        what = f"{record} ({self._phase.replace('_', ' ')}) could not be compared"
        text = f"{what}: {reason_of(error, f'{what}.', self._tell)}"
        return Difference("not_compared", text, {"phase": self._phase, "record": record})


def pieces[Record](
    records: Iterable[Record],
    compare: Callable[[Record], list[Difference]],
    hurry: Callable[[], bool],
) -> Iterator[tuple[list[Record], list[Difference]]]:
    """Records in their order with what was found in them: all at once, or as far as one came when time was short.

    What was found before a failure is handed out before it is raised.
    """
    seen: list[Record] = []
    differences: list[Difference] = []
    for record in records:
        try:
            differences += compare(record)
        except Exception:
            if seen:
                yield seen, differences
            raise
        seen.append(record)
        if hurry():
            yield seen, differences
            seen, differences = [], []
    if seen:
        yield seen, differences


@dataclass
class Scope:
    """One invocation: `since` is how far back Stripe's lists are read, `now` when it began.

    The sets are handed on from part to part of a run.
    """

    since: dt.datetime
    now: dt.datetime
    dry_run: bool = False
    #: Sessions of ours that were listed, and their payment intents.
    explained: set[str] = field(default_factory=set)
    #: Payment intents of other applications.
    foreign: set[str] = field(default_factory=set)
    #: Refunds and disputes that were compared already, by Stripe's id.
    reversals: set[str] = field(default_factory=set)
    #: Attempts that get their session stored.
    completing: set[str] = field(default_factory=set)
    #: Payments without a transaction whose session tells what is wrong with them.
    named: set[str] = field(default_factory=set)
    #: Rows are gone through from this key on, and then those before it.
    first: str = ""
    #: Whether time is short: a page then ends where it is.
    hurry: Callable[[], bool] = lambda: False
    #: Told of every failure without a name of ours.
    failed: Failed = lambda _sentence, _error: None


@dataclass(frozen=True)
class Page:
    """What was found in a page. `repaired`: what was put right on the way, and how."""

    cursor: str
    differences: Sequence[Difference] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    repaired: Sequence[tuple[Difference, str]] = ()


def reason_of(error: Exception, sentence: str, failed: Failed) -> str:
    """What is said of a failure; `failed` is told of one without a name of ours, under `sentence`."""
    if isinstance(error, BillingError):
        return error.detail
    failed(sentence, error)
    return f"{type(error).__name__}; see the log of this run."
