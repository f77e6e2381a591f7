"""The rooms of docs/architecture.md: which files are pure, what each room may import, and that no imports form a circle."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers/billing"
BILLING = LAYER / "billing"

#: A room imports only from rooms further to the left; those in one place do not know one another.
ORDER = (
    ("errors",),
    ("messages", "money", "ids", "settings"),
    ("formats",),
    ("aws",),
    ("directus", "stripe"),
    ("ledger",),
    ("payments", "documents", "reminders"),
    ("reconcile",),
    ("composition",),
)
PLACE = {room: place for place, rooms in enumerate(ORDER) for room in rooms}

#: Files that decide: they and all that they import do no I/O and need no library that does.
PURE = (
    "documents.factur_x.country_codes",
    "documents.factur_x.invoice",
    "documents.invoice",
    "documents.receipt",
    "documents.text",
    "documents.versions",
    "errors",
    "formats",
    "ids",
    "ledger.ledger",
    "ledger.receipts_due",
    "messages",
    "money",
    "payments.booking",
    "payments.checkout",
    "payments.events",
    "payments.reversals",
    "reconcile.differences",
    "reconcile.guidance",
    "reconcile.invoices",
    "reconcile.leftovers",
    "reconcile.payments",
    "reconcile.receipts",
    "reconcile.report",
    "reconcile.reversals",
    "reminders.policy",
    "stripe.amounts",
    "stripe.objects",
    "stripe.subjects",
)
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME": "tests", "POWERTOOLS_METRICS_NAMESPACE": "Tests"}
LIBRARIES_OF_EDGES = ("boto3", "botocore", "httpx", "jinja2", "stripe", "urllib3", "weasyprint")


def module_of(path: Path) -> str:
    """The dotted name below `billing`."""
    return ".".join(path.relative_to(BILLING).with_suffix("").parts)


MODULES = {module_of(path): path for path in BILLING.rglob("*.py") if path.name != "__init__.py"}


def imports_of(source: str, modules: frozenset[str]) -> set[str]:
    """The modules of `billing` that a source imports: always, late in a function, or only for the type checker."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            package = (node.module or "").removeprefix("billing").removeprefix(".")
            if (node.module or "").partition(".")[0] == "billing":
                inside = [f"{package}.{alias.name}".removeprefix(".") for alias in node.names]
                names = [package] if package in modules else inside
        elif isinstance(node, ast.Import):
            names = [
                alias.name.removeprefix("billing.")
                for alias in node.names
                if alias.name.startswith("billing.")
            ]
        found |= {name for name in names if name in modules}
    return found


GRAPH = {name: imports_of(path.read_text(), frozenset(MODULES)) for name, path in MODULES.items()}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def test_every_file_is_in_a_room_that_has_its_place() -> None:
    assert {room_of(module) for module in MODULES} == set(PLACE)


@pytest.mark.parametrize("room", list(PLACE))
def test_a_room_imports_only_from_rooms_to_its_left(room: str) -> None:
    wrong = {
        f"{module} imports {imported}"
        for module, all_imported in GRAPH.items()
        for imported in all_imported
        if room_of(module) == room != room_of(imported) and PLACE[room_of(imported)] >= PLACE[room]
    }
    assert wrong == set()


def test_no_use_case_logs_or_counts_but_those_of_documents() -> None:
    """What a use case has to tell it returns, or gives to whoever made it: handlers log and count."""
    rooms = {room_of(module) for module, imported in GRAPH.items() if "aws.observability" in imported}
    assert rooms == {"aws", "documents"}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The first circle found from each module that is on one."""
    done: set[str] = set()
    found: list[list[str]] = []

    def walk(path: list[str]) -> None:
        for after in sorted(graph.get(path[-1], ())):
            if after in path:
                found.append([*path[path.index(after) :], after])
            elif after not in done:
                walk([*path, after])
        done.add(path[-1])

    for start in sorted(graph):
        if start not in done:
            walk([start])
    return found


def test_no_file_imports_another_in_a_circle() -> None:
    """Imports for the type checker and late ones count: they, too, are needed to understand a file."""
    assert circles(GRAPH) == []


def loaded_by(
    modules: tuple[str, ...], libraries: tuple[str, ...] = LIBRARIES_OF_EDGES
) -> dict[str, list[str]]:
    """Which of the libraries a fresh interpreter has loaded after importing each module."""
    # One interpreter for all of them, in the order given: what is loaded stays, so the first that brings one is named.
    program = (
        "import importlib, json, sys\n"
        "print(json.dumps({name: (importlib.import_module('billing.' + name),"
        f" [library for library in {libraries!r} if library in sys.modules])[1]"
        " for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *modules],
        env={"PYTHONPATH": str(LAYER), "PATH": os.environ["PATH"], **POWERTOOLS},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer


def test_a_pure_file_loads_no_library_that_does_io() -> None:
    assert loaded_by(PURE) == {module: [] for module in PURE}


def test_the_receiver_of_webhooks_loads_no_client_and_no_models() -> None:
    """Its cold start is what Stripe waits for: pydantic alone would take longer than all the rest of it."""
    used = ("aws.http_api", "aws.queues", "composition", "messages", "payments.events", "settings")
    loaded = {
        library
        for libraries in loaded_by(used, ("httpx", "pydantic", "stripe")).values()
        for library in libraries
    }
    assert loaded == set()


def test_an_edge_would_be_noticed() -> None:
    assert loaded_by(("stripe.gateway",)) != {"stripe.gateway": []}


def table() -> Iterator[tuple[str, str]]:
    """The rows of the table of rooms in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text().partition("## Rooms")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield cells[0], cells[1]


def test_the_table_of_rooms_names_every_file_and_marks_what_is_pure() -> None:
    named: defaultdict[str, set[str]] = defaultdict(set)
    for room, files in table():
        folder = room.strip("`").rstrip("/").replace("/", ".")
        for name, star in re.findall(r"`([a-z_]+)`(\*?)", files):
            named[f"{folder}.{name}".removeprefix("..")].add(star)
    assert dict(named) == {name: {"*" if name in PURE else ""} for name in MODULES}


def test_every_file_that_the_document_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`([a-z_]+/[\w/.]+\.(?:py|toml))`", text))
    assert "payments/booking.py" in named
    assert {name for name in named if not ((BILLING / name).exists() or (ROOT / name).exists())} == set()


def test_every_room_of_a_subject_has_its_picture() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for room in ("rooms", "payments", "documents", "reminders", "reconcile"):
        assert re.search(rf"^## {room.capitalize()}\n(?:[^`]|`(?!``))*^```$", text, re.MULTILINE), room


def test_no_test_imports_from_a_test_module() -> None:
    """What two tests share is in its own file, so that moving a test moves nothing else."""
    found = {
        f"{path.relative_to(ROOT)} imports {match}"
        for path in (ROOT / "tests").rglob("*.py")
        for match in re.findall(r"^ *from (tests\.[\w.]*\.test_\w+) import", path.read_text(), re.MULTILINE)
    }
    assert found == set()


def test_the_walk_sees_an_import_wherever_it_stands() -> None:
    source = (
        "import billing.money\n"
        "from billing import composition\n"
        "def late():\n    from billing.directus.client import DirectusClient\n"
        "if TYPE_CHECKING:\n    from billing.settings import StripeSettings\n"
        "else:\n    from billing.errors import Parked\n"
    )
    found = imports_of(source, frozenset(MODULES))
    assert found == {"money", "composition", "directus.client", "settings", "errors"}


def test_the_walk_finds_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]
