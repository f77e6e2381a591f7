"""The table of rooms in docs/architecture.md says who may import whom: it is what the files do, no more and no less."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BILLING = ROOT / "layers/billing/billing"
ROOMS = ("core", "adapters", "application")


class Imports(ast.NodeVisitor):
    """Modules of ours that a file imports: when it runs, and only for the type checker."""

    def __init__(self) -> None:
        self.at_run_time: set[str] = set()
        self.for_types: set[str] = set()
        self._target = self.at_run_time

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            self._target = self.for_types
            for statement in node.body:
                self.visit(statement)
            self._target = self.at_run_time
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        if node.module == "billing":
            for alias in node.names:
                self._note(f"billing.{alias.name}")
        else:
            self._note(node.module or "")

    def _note(self, module: str) -> None:
        package, _, rest = module.partition(".")
        if package == "billing":
            self._target.add(rest.partition(".")[0])


def imports_of(path: Path) -> Imports:
    found = Imports()
    found.visit(ast.parse(path.read_text()))
    return found


def imports_of_room(room: str) -> tuple[set[str], set[str]]:
    """What the files of a room import of other rooms and modules: at run time, and besides that for types."""
    at_run_time: set[str] = set()
    for_types: set[str] = set()
    for path in (BILLING / room).glob("*.py"):
        found = imports_of(path)
        at_run_time |= found.at_run_time
        for_types |= found.for_types
    return at_run_time - {room}, for_types - at_run_time - {room}


def table() -> dict[str, str]:
    """The third column of the table of rooms by the folder in the first."""
    lines = (
        (ROOT / "docs/architecture.md")
        .read_text()
        .partition("## Rooms")[2]
        .partition("\n## ")[0]
        .splitlines()
    )
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[2] for row in cells}


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_table_says(room: str) -> None:
    always, _, typed = table()[f"layers/billing/billing/{room}/"].partition("; for types only")
    assert imports_of_room(room) == (quoted(always), quoted(typed))


def test_the_modules_beside_the_rooms_import_what_the_table_says() -> None:
    found = {path.stem: imports_of(path).at_run_time for path in BILLING.glob("*.py")}
    rooms_by_module = {
        name: imported & set(ROOMS) for name, imported in found.items() if imported & set(ROOMS)
    }
    assert rooms_by_module == {"composition": {"adapters"}}
    assert "`composition.py` alone `adapters`" in table()["layers/billing/billing/"]


def test_no_program_file_is_in_a_room_that_the_table_does_not_know() -> None:
    folders = {path.parent.relative_to(BILLING).as_posix() for path in BILLING.rglob("*.py")}
    assert folders == {".", *ROOMS}


def cycles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    def walk(path: list[str]) -> Iterator[list[str]]:
        for after in graph.get(path[-1], ()):
            if after in path:
                yield [*path[path.index(after) :], after]
            else:
                yield from walk([*path, after])

    for start in graph:
        yield from walk([start])


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for room in ROOMS:
        graph[room] |= imports_of_room(room)[0]
    for path in BILLING.glob("*.py"):
        graph[path.stem] |= imports_of(path).at_run_time
    assert list(cycles(dict(graph))) == []


def test_the_walk_sees_an_import_wherever_it_stands() -> None:
    found = Imports()
    found.visit(
        ast.parse(
            "import billing.core.money\n"
            "from billing import composition\n"
            "def late():\n    from billing.adapters.http import HttpResponse\n"
            "if TYPE_CHECKING:\n    from billing.settings import StripeSettings\n"
            "else:\n    from billing.errors import Parked\n"
        )
    )
    assert found.at_run_time == {"core", "composition", "adapters", "errors"}
    assert found.for_types == {"settings"}
