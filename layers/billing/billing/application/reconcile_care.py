"""How the records of a page are gone through: one that fails costs only itself, and the clock is looked at in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.application.reconcile_run import reason_of
from billing.core.reconciliation import Difference
from billing.errors import BillingError, StripeRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: If more records of a phase fail by themselves, it is not the records: the phase is given up.
MOST_FAILING = 20


class Care:
    """Compares the records of one phase; names those that cannot be compared."""

    def __init__(self, phase: str) -> None:
        """`phase` as in `Phases.by_name`."""
        self._phase = phase
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
        text = f"{what}: {reason_of(error, f'{what}.')}"
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
