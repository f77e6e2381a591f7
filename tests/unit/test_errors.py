"""The picture of the tree is the tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from billing import errors
from billing.errors import BillingError

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^    (?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<status>\d{3})  (?P<meaning>\S.*)$")


def subclasses(root: type[BillingError]) -> list[type[BillingError]]:
    return [root, *(below for child in root.__subclasses__() for below in subclasses(child))]


TREE = [found for found in subclasses(BillingError) if found.__module__ == errors.__name__]


def drawn() -> dict[str, tuple[str | None, int]]:
    """Each name in the picture with the one it hangs on and its status."""
    assert errors.__doc__ is not None
    found: dict[str, tuple[str | None, int]] = {}
    above: list[str] = []
    for match in filter(None, map(LINE.match, errors.__doc__.splitlines())):
        depth = len(match["indent"]) // 4
        above[depth:] = [match["name"]]
        found[match["name"]] = (above[depth - 1] if depth else None, int(match["status"]))
    return found


def test_the_picture_shows_every_class_where_it_hangs_and_with_its_status() -> None:
    declared = {
        found.__name__: (
            found.__base__.__name__ if found is not BillingError and found.__base__ else None,
            found.status,
        )
        for found in TREE
    }
    assert drawn() == declared


def test_no_failure_is_declared_anywhere_else() -> None:
    names = {found.__name__ for found in TREE}
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for folder in ("layers/billing/billing", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and names & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    ]
    assert elsewhere == []


@pytest.mark.parametrize("found", TREE)
def test_exactly_what_may_pass_by_itself_is_retried(found: type[BillingError]) -> None:
    assert found.retryable == (found.status == 503)


def test_a_code_belongs_to_one_class() -> None:
    codes = [found.default_code for found in TREE if "default_code" in vars(found)]
    assert sorted(codes) == sorted(set(codes))
