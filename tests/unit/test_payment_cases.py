"""Every case of docs/payment-cases.md names tests that exist; no case of the matrix is missing."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The matrix numbers its cases from 1 to 62 and leaves these out.
LEFT_OUT = {16, 31, 36, 38, 39, 46, 52}
_TEST = re.compile(r"`(tests/[^`]+)`")


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    number: int
    case: str
    expected: str
    tests: tuple[str, ...]


def cases() -> list[Case]:
    lines = (ROOT / "docs" / "payment-cases.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if re.match(r"\| \d", line)]
    return [Case(int(row[0]), row[1], row[2], tuple(_TEST.findall(row[3]))) for row in rows]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """Tests of a file, read without importing it: functions, methods, and the cases of state machines."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) if name.startswith("test_"):
                names.add(name)
            case ast.ClassDef(name=name, body=body) if name.startswith("Test"):
                names |= {f"{name}::{found.name}" for found in body if isinstance(found, ast.FunctionDef)}
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute(attr="TestCase")):
                names.add(name)
    return frozenset(names)


CASES = cases()


def test_every_case_of_the_matrix_is_there_once_and_in_order() -> None:
    assert [case.number for case in CASES] == [n for n in range(1, 63) if n not in LEFT_OUT]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))
def test_a_case_says_what_is_expected_and_its_tests_exist(case: Case) -> None:
    assert case.case
    assert case.expected
    assert case.tests, "no test proves it"
    assert len(set(case.tests)) == len(case.tests)
    missing = [
        test for test in case.tests if test.partition("::")[2] not in names_in(test.partition("::")[0])
    ]
    assert not missing


def test_a_name_that_does_not_exist_is_noticed() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    assert "test_a_name_that_does_not_exist_is_noticed" in names_in(here)
    assert "test_of_something_else" not in names_in(here)
    assert names_in("tests/unit/test_of_nothing.py") == frozenset()
