"""Which database a stack has: the first start decides, and data never moves."""

import json
from pathlib import Path

import pytest

from local.problem import Problem
from local.stack import DATABASE_VARIABLE, Stack


@pytest.fixture(autouse=True)
def nothing_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)


def stack_with_data_in(directory: Path, **facts: str) -> Path:
    (directory / "data").mkdir()
    (directory / "data" / "facts.json").write_text(json.dumps({"seeded": True, **facts}))
    return directory


def test_sqlite_unless_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stack(tmp_path).database == "sqlite"
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql")
    assert Stack(tmp_path).database == "postgresql"
    assert Stack(tmp_path, database="sqlite").database == "sqlite"


def test_data_stays_where_it_is_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "sqlite")
    assert Stack(stack_with_data_in(tmp_path, database="postgresql")).database == "postgresql"


def test_data_from_before_there_was_a_choice_is_in_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, "postgresql")
    assert Stack(stack_with_data_in(tmp_path)).database == "sqlite"


def test_another_database_than_the_datas_is_refused(tmp_path: Path) -> None:
    stack = Stack(stack_with_data_in(tmp_path, database="sqlite"), database="postgresql")
    with pytest.raises(Problem, match="is in sqlite"):
        stack.up()
    assert stack.running() == []


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="one of sqlite, postgresql"):
        Stack(tmp_path, database="oracle").up()
