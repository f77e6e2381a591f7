"""What only tests may do to a stack: write behind its back, and look into its queues."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from local.demo.people import Person

if TYPE_CHECKING:
    from local.demo.steps import Firm
    from local.stack import Stack


def write_behind_the_flows(firm: Firm, collection: str, key: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Write as the functions' own user: the flows do not tell the functions what the functions did."""
    Person(firm.directus_url, firm.description["directus"]["service_token"]).update(collection, key, changes)
    return firm.administrator.read(collection, key)


def write_behind_directus(stack: Stack, collection: str, key: str, changes: dict[str, str]) -> None:
    """Write past Directus's validations, as an import or another program with the database would."""
    assignments = ", ".join(f"{column} = ?" for column in changes)
    with (
        closing(sqlite3.connect(stack.directory / "data/directus/directus.sqlite", timeout=30)) as database,
        database,
    ):
        written = database.execute(
            f"UPDATE {collection} SET {assignments} WHERE id = ?",  # noqa: S608  # names of the model
            [*changes.values(), key],
        )
        assert written.rowcount == 1
