"""The titles of refusals in the Data Studio (`translations/refusals.yaml`), and which are missing on a target.

Found by language and key. What is there stays: the firm may say it otherwise.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from directus.changes import Change

TRANSLATIONS = Path(__file__).parent / "translations"

type Row = dict[str, Any]


@cache
def _document() -> Row:
    return cast("Row", yaml.safe_load((TRANSLATIONS / "refusals.yaml").read_text("utf-8")))


def titles() -> dict[str, dict[str, str]]:
    """Each code's title by language (`en`, `de`, ...)."""
    return cast("dict[str, dict[str, str]]", _document()["titles"])


def languages() -> dict[str, str]:
    """Every language of the Data Studio that has titles, and the language they are written in."""
    return {
        variant: language for language, variants in _document()["languages"].items() for variant in variants
    }


def compare(rows: list[Row]) -> list[Change]:
    """What is missing, given the target's `/translations` rows; one change per language, its body all rows of it."""
    there = {(row["language"], row["key"]) for row in rows}
    changes = []
    for variant, language in languages().items():
        missing = [
            {"language": variant, "key": f"errors.{code}", "value": words[language]}
            for code, words in titles().items()
            if (variant, f"errors.{code}") not in there
        ]
        if missing:
            summary = f"create {len(missing)} titles of refusals in {variant}"
            changes.append(Change(summary, "POST", "/translations", missing))
    return changes
