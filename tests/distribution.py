"""Which tests the processes of `pytest -n` take, so that no program is started twice without need.

A Directus with its model and seed data costs many seconds of a processor, for each process that needs one. So a process
keeps to the databases it has started, and others take the rest; only when nothing else is left it starts one more.
"""

from collections.abc import Iterable
from typing import Final

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # xdist ships no types
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # likewise
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]  # likewise

STACK: Final = "tests/e2e"
DATABASES: Final = ("postgresql", "sqlite")
#: What a parametrised fixture named `sqlite` puts into a test's id, among what others put there.
_IN_BRACKETS: Final = "[]-"


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.split("::", 1)[0]


def database_of(nodeid: str) -> str | None:
    """Return the database that the test's id names."""
    named = nodeid.partition("[")[2].rstrip("]").split("-")
    return next((database for database in DATABASES if database in named), None)


def on_a_database(nodeids: Iterable[str]) -> frozenset[str]:
    """Return the files that have tests on a database: what else is in them may use SQLite's, as any of them can."""
    return frozenset(file_of(nodeid) for nodeid in nodeids if database_of(nodeid))


def unit_of(nodeid: str, on_databases: frozenset[str]) -> str:
    """Return the name of what is kept together: the one deployed stack's tests, a file's on one database, a file's."""
    file = file_of(nodeid)
    if file.startswith(f"{STACK}/"):
        return STACK
    return f"{file} on {database_of(nodeid) or 'sqlite'}" if file in on_databases else file


def needed_by(unit: str) -> str | None:
    """Return what a process must have started for this unit: the stack, a database, or nothing."""
    return unit if unit == STACK else next((name for name in DATABASES if unit.endswith(f" on {name}")), None)


def next_unit(waiting: Iterable[str], started: frozenset[str], started_by_others: frozenset[str]) -> str:
    """Return the unit to take: for what is started here, for what nobody has started yet, for nothing, then any.

    The longest first: the stack, then Directus on its databases.
    """
    order = (STACK, *DATABASES)

    def cost(unit: str) -> tuple[int, int]:
        needed = needed_by(unit)
        if needed is None:
            return 2, 0
        if needed in started:
            return 0, 0
        return (3 if needed in started_by_others else 1), order.index(needed)

    return min(waiting, key=cost)


class ByNeed(LoadFileScheduling):  # type: ignore[misc]  # likewise
    """Hands out the units in this way."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._on_databases: frozenset[str] | None = None
        self._started: dict[WorkerController, frozenset[str]] = {}

    def _split_scope(self, nodeid: str) -> str:
        """Return what is kept together."""
        if self._on_databases is None:
            self._on_databases = on_a_database(self.collection)
        return unit_of(nodeid, self._on_databases)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give the node its best unit."""
        own = self._started.get(node, frozenset())
        others = frozenset[str]().union(
            *(names for other, names in self._started.items() if other is not node)
        )
        unit = next_unit(self.workqueue, own, others)
        self._started[node] = own | frozenset(filter(None, (needed_by(unit),)))
        self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)
