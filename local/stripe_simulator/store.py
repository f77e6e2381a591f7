"""Everything the simulator remembers, in one SQLite file, so that a killed process loses nothing it answered.

A file of JSON would be written whole at each change; SQLite writes what changed, and a transaction holds an
operation's objects, its events and its idempotency record together: after a crash there are all or none.
Objects go in and come out as values; changing one means `put`ting it again.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: One of Stripe's objects as JSON. Keys that begin with `_` are the simulator's own notes and never leave it.
type StripeObject = dict[str, Any]

#: Raise it with every change of `_SCHEMA` or of what is kept in it.
_SCHEMA_VERSION = 2
#: What objects are looked for by: column and place in the body. SQLite keeps the columns in step with the body.
_COLUMNS = {
    "created": "$.created",
    "payment_intent": "$.payment_intent",
    "charge": "$.charge",
    "source": "$.source",
    "type": "$.type",
    "status": "$.status",
    "currency": "$.currency",
    "email": "$.customer_details.email",
    "pending_webhooks": "$.pending_webhooks",
}
_GENERATED = ", ".join(
    f"{column} AS (json_extract(body, '{place}')) STORED" for column, place in _COLUMNS.items()
)
# The body comes last, so that the fields before it can be read without it.
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS objects (
  position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, object TEXT NOT NULL, {_GENERATED},
  body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (object, position);
CREATE INDEX IF NOT EXISTS objects_by_payment_intent ON objects (payment_intent, object, position)
  WHERE payment_intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_charge ON objects (charge, object, position) WHERE charge IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_source ON objects (source, object, position) WHERE source IS NOT NULL;
CREATE INDEX IF NOT EXISTS undelivered ON objects (object, position) WHERE pending_webhooks > 0;
CREATE TABLE IF NOT EXISTS idempotency (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL,
  body TEXT NOT NULL, created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (created);
CREATE TABLE IF NOT EXISTS deliveries (
  event TEXT PRIMARY KEY, position INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_by_position ON deliveries (position, due);
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (due);
CREATE TABLE IF NOT EXISTS attempts (
  position INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, type TEXT NOT NULL, object TEXT NOT NULL,
  attempt INTEGER NOT NULL, status INTEGER NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_by_outcome ON attempts (outcome);
CREATE TABLE IF NOT EXISTS jobs (
  kind TEXT NOT NULL, subject TEXT NOT NULL, due REAL NOT NULL, PRIMARY KEY (kind, subject));
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (due);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

#: Timestamps inside objects, in whole seconds since 1970, that ageing moves.
_TIMESTAMPS = frozenset({"available_on", "canceled_at", "created", "due_by", "expires_at"})


class StoreError(Exception):
    """The state file cannot be used; the message explains what to do."""


@dataclass(frozen=True)
class KeptAnswer:
    """What was answered to the first request with an idempotency key; `request` is its `Request-Id`."""

    key: str
    fingerprint: str
    request: str
    status: int
    body: Any


@dataclass(frozen=True)
class Delivery:
    """An event not yet accepted by the webhook endpoint; `due` in seconds since 1970."""

    event: str
    attempts: int
    due: float


@dataclass(frozen=True)
class Condition:
    """What an object must have to be found: `Condition("created", ">=", 1795339424)`.

    `column` is one of `_COLUMNS`; `comparison` is SQLite's (`=`, `<`, `>=`, `GLOB`), or `IN` with a list of values.
    """

    column: str
    comparison: str
    value: Any


@dataclass(frozen=True)
class Job:
    """Something that happens by itself later: `expire` a session, `settle_fee` of a charge, `settle_reference` of a refund, and the like."""

    kind: str
    subject: str


class Store:
    """The simulator's memory. Not for more than one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file at `path`."""
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            found = self._database.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path} cannot be used as the simulator's state file: {error}.") from error
        if found not in (0, _SCHEMA_VERSION):
            self._database.close()
            raise StoreError(
                f"{path} was written by another version of the simulator. Remove it to start afresh."
            )
        self._database.execute(
            "PRAGMA synchronous = NORMAL"
        )  # survives a killed process, which is what we promise
        self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION};")

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen, or none."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def put(self, body: StripeObject) -> StripeObject:
        """Remembers an object under its `id`, in place of an earlier version of it."""
        self._database.execute(
            "INSERT INTO objects (id, object, body) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], body["object"], json.dumps(body)),
        )
        return body

    def get(self, identifier: str) -> StripeObject | None:
        """The object, or None."""
        row = self._database.execute("SELECT body FROM objects WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else _object(row[0])

    def newest_first(
        self,
        kind: str,
        conditions: Sequence[Condition] = (),
        *,
        limit: int = -1,
        older_than: str | None = None,
        newer_than: str | None = None,
    ) -> list[StripeObject]:
        """The objects of a kind (`charge`) that meet all conditions, the last created first.

        At most `limit`; with `older_than` (the id of an object) those next after that object, with `newer_than`
        those next before it.
        """
        clauses, values = ["object = ?"], [kind]
        for condition in conditions:
            clause, given = _clause(condition)
            clauses.append(clause)
            values += given
        for comparison, cursor in (("<", older_than), (">", newer_than)):
            if cursor is not None:
                clauses.append(f"position {comparison} (SELECT position FROM objects WHERE id = ?)")  # noqa: S608 - own names
                values.append(cursor)
        order = "DESC" if newer_than is None else "ASC"
        rows = self._database.execute(
            f"SELECT body FROM objects WHERE {' AND '.join(clauses)} ORDER BY position {order} LIMIT {limit:d}",  # noqa: S608 - own names
            values,
        ).fetchall()
        found = [_object(body) for (body,) in rows]
        return found if newer_than is None else found[::-1]

    def count(self, kind: str) -> int:
        """How many objects of a kind there are."""
        return int(
            self._database.execute("SELECT count(*) FROM objects WHERE object = ?", (kind,)).fetchone()[0]
        )

    def keep_answer(self, answer: KeptAnswer) -> None:
        """Remembers the answer to a request with an idempotency key."""
        self._database.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
            (
                answer.key,
                answer.fingerprint,
                answer.request,
                answer.status,
                json.dumps(answer.body),
                time.time(),
            ),
        )

    def kept_answer(self, key: str, *, newer_than: float) -> KeptAnswer | None:
        """What was answered under that key since `newer_than`; older answers are forgotten."""
        self._database.execute("DELETE FROM idempotency WHERE created <= ?", (newer_than,))
        row = self._database.execute(
            "SELECT key, fingerprint, request, status, body FROM idempotency WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else KeptAnswer(row[0], row[1], row[2], row[3], json.loads(row[4]))

    def queue(self, event: str, *, due: float, attempts: int = 0) -> None:
        """An event waits for delivery from `due` on."""
        self._database.execute(
            "INSERT OR REPLACE INTO deliveries VALUES (?, (SELECT position FROM objects WHERE id = ?), ?, ?)",
            (event, event, attempts, due),
        )

    def delivered(self, event: str) -> None:
        """The event waits no longer."""
        self._database.execute("DELETE FROM deliveries WHERE event = ?", (event,))

    def waiting(self) -> list[Delivery]:
        """All events that wait, in the order in which they happened."""
        rows = self._database.execute("SELECT event, attempts, due FROM deliveries ORDER BY position")
        return [Delivery(*row) for row in rows]

    def due_deliveries(self, now: float, limit: int) -> list[Delivery]:
        """At most `limit` of the events that are due, in the order in which they happened."""
        rows = self._database.execute(
            "SELECT event, attempts, due FROM deliveries WHERE due <= ? ORDER BY position LIMIT ?",
            (now, limit),
        )
        return [Delivery(*row) for row in rows]

    def next_delivery_due(self, *, after: float) -> float | None:
        """When the next event that is not due at `after` is due."""
        due: float | None = self._database.execute(
            "SELECT min(due) FROM deliveries WHERE due > ?", (after,)
        ).fetchone()[0]
        return due

    def log_attempt(self, event: StripeObject, *, attempt: int, status: int, outcome: str) -> None:
        """Records one delivery attempt; `status` is the HTTP status, 0 without an answer."""
        self._database.execute(
            "INSERT INTO attempts (event, type, object, attempt, status, outcome, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                event["id"],
                event["type"],
                event["data"]["object"]["id"],
                attempt,
                status,
                outcome,
                time.time(),
            ),
        )

    def attempts(self) -> list[dict[str, Any]]:
        """All delivery attempts, oldest first."""
        names = ("event", "type", "object", "attempt", "status", "outcome", "at")
        rows = self._database.execute(f"SELECT {', '.join(names)} FROM attempts ORDER BY position")  # noqa: S608 - own names
        return [dict(zip(names, row, strict=True)) for row in rows]

    def summary(self) -> dict[str, Any]:
        """How many events wait for delivery, and how many attempts ended how."""
        waiting = self._database.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        outcomes = self._database.execute(
            "SELECT outcome, count(*) FROM attempts GROUP BY outcome"
        ).fetchall()
        return {"waiting": waiting, "attempts": dict(outcomes)}

    def schedule(self, job: Job, *, due: float) -> None:
        """The job happens at `due`."""
        self._database.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)", (job.kind, job.subject, due))

    def unschedule(self, job: Job) -> None:
        """The job does not happen, or has happened."""
        self._database.execute("DELETE FROM jobs WHERE kind = ? AND subject = ?", (job.kind, job.subject))

    def due_jobs(self, now: float) -> list[Job]:
        """Jobs whose time has come, the longest due first."""
        rows = self._database.execute("SELECT kind, subject FROM jobs WHERE due <= ? ORDER BY due", (now,))
        return [Job(*row) for row in rows]

    def next_job_due(self) -> float | None:
        """When the next job is due."""
        due: float | None = self._database.execute("SELECT min(due) FROM jobs").fetchone()[0]
        return due

    def setting(self, name: str, default: Any) -> Any:
        """A setting as it was last stored."""
        row = self._database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def store_setting(self, name: str, value: Any) -> None:
        """Remembers a setting."""
        self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def age(self, seconds: int) -> None:
        """Makes everything that exists `seconds` older; the clock stays as it is."""
        for table, column, text in (("objects", "id", "body"), ("idempotency", "key", "body")):
            rows = self._database.execute(f"SELECT {column}, {text} FROM {table}").fetchall()  # noqa: S608 - own names
            self._database.executemany(
                f"UPDATE {table} SET {text} = ? WHERE {column} = ?",  # noqa: S608 - own names
                [(json.dumps(_older(json.loads(body), seconds)), key) for key, body in rows],
            )
        for table, column in (
            ("idempotency", "created"),
            ("deliveries", "due"),
            ("jobs", "due"),
            ("attempts", "at"),
        ):
            self._database.execute(f"UPDATE {table} SET {column} = {column} - ?", (seconds,))  # noqa: S608 - own names


def public(body: StripeObject) -> StripeObject:
    """The object as the outside sees it."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _clause(condition: Condition) -> tuple[str, list[Any]]:
    if condition.column not in _COLUMNS:
        raise ValueError(f"Objects are not looked for by {condition.column}.")
    if condition.comparison == "IN":
        marks = ", ".join("?" for _ in condition.value)
        return f"{condition.column} IN ({marks})", list(condition.value)
    if (condition.column, condition.comparison, condition.value) == ("pending_webhooks", ">", 0):
        return "pending_webhooks > 0", []  # written out: only so SQLite uses the index on it
    return f"{condition.column} {condition.comparison} ?", [condition.value]


def _object(text: str) -> StripeObject:
    body: StripeObject = json.loads(text)
    return body


def _older(node: Any, seconds: int) -> Any:
    if isinstance(node, list):
        return [_older(item, seconds) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value - seconds if key in _TIMESTAMPS and isinstance(value, int) else _older(value, seconds)
        for key, value in node.items()
    }
