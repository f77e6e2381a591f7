"""Directus in memory, at the level of HTTP: the real client and the real stores of the functions stand on it.

It behaves as measured on 11.17.4: unique columns (`RECORD_NOT_UNIQUE`, 400), one transaction per PATCH with its
nested lists, an empty list for a missing row, money as a string (PostgreSQL) or a number (SQLite). Unlike Directus
it does not drop an unknown column without a word: it refuses the test.
"""

import copy
import functools
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import httpx
import yaml

from billing.directus.client import http_client
from billing.money import MINIMUM_CHARGE
from tests.fakes.steps import Steps

type Row = dict[str, Any]

_MODEL = Path(__file__).parents[2] / "directus" / "model"

_ACCESS = Path(__file__).parents[2] / "directus" / "access" / "billing_functions.yaml"


@functools.cache
def columns(collection: str) -> Mapping[str, Mapping[str, Any]]:
    """The columns of a collection as the installer creates them."""
    fields = yaml.safe_load((_MODEL / f"{collection}.yaml").read_text())["fields"]
    return {name: column for name, column in fields.items() if column["kind"] != "many"}


@functools.cache
def lists(collection: str) -> Mapping[str, tuple[str, str]]:
    """The lists below a row of the collection: of which collection, and by which of its columns."""
    fields = yaml.safe_load((_MODEL / f"{collection}.yaml").read_text())["fields"]
    return {
        name: (column["from"], column["field"]) for name, column in fields.items() if column["kind"] == "many"
    }


@functools.cache
def writable(collection: str, action: str) -> frozenset[str]:
    """The columns that the functions' user may `create` or `update`, from the same file that the installer applies."""
    permissions = yaml.safe_load(_ACCESS.read_text())["permissions"]
    return frozenset(
        name
        for permission in permissions
        if (permission["collection"], permission["action"]) == (collection, action)
        for name in permission["fields"]
    )


@functools.cache
def statuses(collection: str) -> frozenset[str] | None:
    """The values of `status` that the functions' user may write when it updates; None if any."""
    permissions = yaml.safe_load(_ACCESS.read_text())["permissions"]
    allowed = [
        (permission.get("validation") or {}).get("status", {}).get("_in")
        for permission in permissions
        if (permission["collection"], permission["action"]) == (collection, "update")
    ]
    return frozenset(allowed[0]) if allowed and allowed[0] is not None else None


def unique_columns(collection: str) -> list[str]:
    """Columns that hold a value at most once, the primary key first."""
    return ["id"] + [name for name, column in columns(collection).items() if column.get("unique")]


class Refusal(Exception):  # Directus's answer, not a failure of the fake
    """What Directus answers instead of acting."""

    def __init__(self, status: int, **extensions: str) -> None:
        super().__init__(status, extensions)
        self.response = httpx.Response(status, json={"errors": [{"message": "…", "extensions": extensions}]})


@dataclass
class FakeDirectus:
    """Directus in memory; `http` is a client of it. `answers` overrides the next answers, by step name."""

    steps: Steps = field(default_factory=Steps)
    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    firm: Row = field(default_factory=lambda: {"timezone": "America/New_York"})
    money_as_numbers: bool = False
    answers: dict[str, list[Callable[[], httpx.Response]]] = field(default_factory=dict)
    #: Directus's own clock, which dates new and changed rows; without one these dates stay empty.
    now: Callable[[], datetime] | None = None
    new_key: Callable[[], str] = lambda: str(uuid.uuid4())
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)

    # ---- what a test does -------------------------------------------------------------------------------

    def put(self, collection: str, **row: Any) -> Row:
        """A row as staff, an administrator or the seed put it there."""
        row.setdefault("id", self.new_key())
        self._known(collection, row)
        stored: Row = {**self._fresh(collection), **row}
        self.table(collection)[row["id"]] = stored
        return stored

    def table(self, collection: str) -> dict[str, Row]:
        """The rows of a collection by primary key."""
        return self.tables.setdefault(collection, {})

    def snapshot(self) -> dict[str, dict[str, Row]]:
        """Everything that is stored."""
        return copy.deepcopy(self.tables)

    # ---- HTTP -------------------------------------------------------------------------------------------

    @property
    def http(self) -> httpx.Client:
        """A client that reaches nothing but this."""
        return http_client(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What Directus answers."""
        method, path = request.method, request.url.path
        parts = path.removeprefix("/items").strip("/").split("/")
        collection = "directus_users" if parts[0] == "users" else parts[0]
        name = f"{method} {collection}"
        body = request.content
        self.requests.append((method, str(request.url), request.headers, body))
        number = self.steps.begin(name)
        if waiting := self.answers.get(name):
            return waiting.pop(0)()
        # Rows are replaced and never changed by a request, so that copies of the tables alone are enough.
        before = {name: dict(rows) for name, rows in self.tables.items()}
        try:
            data = self._act(method, collection, parts[1:], json.loads(body) if body else {})
        except Refusal as refusal:
            self.tables = before
            return refusal.response
        self.steps.end(number)
        return httpx.Response(200, content=json.dumps({"data": data}).encode())

    def _act(self, method: str, collection: str, key: list[str], body: Any) -> Any:
        if method == "GET":
            assert collection == "firm"
            return self.firm
        if method == "SEARCH":
            return self._search(collection, body["query"])
        if method == "POST":
            return {"id": self._create(collection, body)}
        assert method == "PATCH"
        assert len(key) == 1
        return {"id": self._update(collection, key[0], body)}

    def _search(self, collection: str, query: Mapping[str, Any]) -> list[Row]:
        assert "limit" in query, "Directus cuts lists at 100 rows unless `limit` is sent"
        rows = [
            row for row in self.table(collection).values() if self._matches(collection, row, query["filter"])
        ]
        for name in reversed(query.get("sort", ())):
            rows.sort(key=functools.partial(_text_of, name.removeprefix("-")), reverse=name[0] == "-")
        rows = rows[query.get("offset", 0) :]
        found = rows if query["limit"] < 0 else rows[: query["limit"]]
        return [self._shown(collection, row, query["fields"], query.get("deep", {})) for row in found]

    def _matches(self, collection: str, row: Row, condition: Mapping[str, Any]) -> bool:
        """Directus's filters, as far as the functions use them; another one is a KeyError, never a wrong answer."""
        return all(self._holds(collection, row, name, rule) for name, rule in condition.items())

    def _holds(self, collection: str, row: Row, name: str, rule: Any) -> bool:
        if name == "_and":
            return all(self._matches(collection, row, part) for part in rule)
        if name == "_or":
            return any(self._matches(collection, row, part) for part in rule)
        if not all(part.startswith("_") for part in rule):
            linked = columns(collection)[name]["to"]
            target = self.table(linked).get(row[name])
            return target is not None and self._matches(linked, target, rule)
        return all(_OPERATORS[operator](row[name], operand) for operator, operand in rule.items())

    def _shown(self, collection: str, row: Row, fields: list[str], deep: Mapping[str, Any]) -> Row:
        shown: Row = {}
        for name in fields:
            if counted := _COUNTED.fullmatch(name):
                shown[f"{counted[1]}_count"] = len(self._below(collection, row["id"], counted[1]))
                continue
            first, _, below = name.partition(".")
            if first in lists(collection):
                if first not in shown:
                    shown[first] = self._list(collection, row["id"], first, fields, deep.get(first, {}))
                continue
            value = copy.deepcopy(row[first])
            if below:
                linked = columns(collection)[first]["to"]
                target = self.table(linked).get(value) if value else None
                nested = shown[first] if isinstance(shown.get(first), dict) else {}
                value = {**nested, **self._shown(linked, target, [below], {})} if target else None
            elif isinstance(shown.get(first), dict):
                continue  # the nested form wins
            elif (
                value is not None
                and first != "id"
                and columns(collection).get(first, {}).get("kind") == "money"
            ):
                value = float(value) if self.money_as_numbers else value
            shown[first] = value
        return shown

    def _below(self, collection: str, key: str, name: str) -> list[Row]:
        below, link = lists(collection)[name]
        return [row for row in self.table(below).values() if row[link] == key]

    def _list(
        self, collection: str, key: str, name: str, fields: list[str], deep: Mapping[str, Any]
    ) -> list[Row]:
        """The rows of a list below a row, as many as `deep` lets through."""
        rows = self._below(collection, key, name)
        for column in reversed(deep.get("_sort", ())):
            rows.sort(key=functools.partial(_text_of, column))
        limit = deep.get("_limit", 100)
        wanted = [field.partition(".")[2] for field in fields if field.startswith(f"{name}.")]
        shown = rows if limit < 0 else rows[:limit]
        return [self._shown(lists(collection)[name][0], row, wanted, deep) for row in shown]

    def _create(self, collection: str, payload: Row) -> str:
        self._allowed(collection, "create", payload)
        payload, nested = _without_nested(collection, payload)
        self._known(collection, payload)
        for name, column in columns(collection).items():
            if column["kind"] == "currency" and payload.get(name) not in {None, *MINIMUM_CHARGE}:
                raise Refusal(400, code="FAILED_VALIDATION", field=name)
        row: Row = {**self._fresh(collection), "id": self.new_key(), **payload}
        self._check_unique(collection, row, of=None)
        self.table(collection)[row["id"]] = row
        self._write_nested(collection, row["id"], nested)
        return str(row["id"])

    def _update(self, collection: str, key: str, payload: Row) -> str:
        # Directus writes the link of a nested row only if it changes, and the key not at all.
        before = self.table(collection).get(key, {})
        written = {
            name
            for name in payload
            if name != "id" and not (name in {"invoice", "payment"} and payload[name] == before.get(name))
        }
        self._allowed(collection, "update", written)
        payload, nested = _without_nested(collection, payload)
        if key not in self.table(collection):
            raise Refusal(403, code="FORBIDDEN")
        self._allowed_status(collection, before, payload)
        self._known(collection, payload)
        row = {**self.table(collection)[key], **payload}
        if self.now is not None and "date_updated" in row:
            row["date_updated"] = self.now().isoformat()
        self._check_unique(collection, row, of=key)
        self.table(collection)[key] = row
        self._write_nested(collection, key, nested)
        return key

    def _write_nested(self, collection: str, key: str, nested: Mapping[str, Any]) -> None:
        """The rows below `key`, in the same transaction."""
        link = _NESTED_BELOW[collection][0] if nested else ""
        for below, lists in nested.items():
            assert isinstance(lists, dict), "a plain array would detach every row that it does not name"
            for created in lists["create"]:
                self._create(below, {**created, link: key})
            for updated in lists["update"]:
                assert self.table(below)[updated["id"]][link] == key, "a nested update would move the row"
                self._update(below, updated["id"], {**updated, link: key})
            assert lists["delete"] == []

    def _fresh(self, collection: str) -> Row:
        """The columns of a new row before anybody says anything, with its date where Directus has a clock."""
        row: Row = dict.fromkeys(columns(collection))
        if self.now is not None and "date_created" in row:
            row["date_created"] = self.now().isoformat()
        return row

    @staticmethod
    def _allowed(collection: str, action: str, names: Iterable[str]) -> None:
        """Refuse as Directus does; what a test does behind Directus goes through `put` instead."""
        if forbidden := sorted(set(names) - writable(collection, action)):
            raise Refusal(403, code="FORBIDDEN", reason=f"{action} {collection}: {', '.join(forbidden)}")

    @staticmethod
    def _allowed_status(collection: str, before: Row, payload: Row) -> None:
        """The permission's list, and the guard: the functions restore a void and never make one."""
        status, allowed = payload.get("status"), statuses(collection)
        if status is not None and allowed is not None and status not in allowed:
            raise Refusal(400, code="FAILED_VALIDATION", field="status")
        if collection == "invoices" and status == "void" and before["voided_at"] is None:
            raise Refusal(403, code="INVOICE_NOT_VOIDED")

    def _check_unique(self, collection: str, row: Row, *, of: str | None) -> None:
        for name in unique_columns(collection):
            taken = (key for key, other in self.table(collection).items() if other[name] == row[name])
            if row[name] is not None and any(key != of for key in taken):
                raise Refusal(400, code="RECORD_NOT_UNIQUE", collection=collection, field=name)

    @staticmethod
    def _known(collection: str, row: Mapping[str, Any]) -> None:
        unknown = set(row) - set(columns(collection)) - {"id"}
        assert not unknown, f"{collection} has no column {unknown}: Directus would drop it without a word"
        for name, column in columns(collection).items():
            value = row.get(name)
            if value is not None and column["kind"] == "choice":
                assert value in column["choices"], f"{collection}.{name} = {value!r}"
            if value is not None and column["kind"] == "money":
                assert isinstance(value, str), f"{collection}.{name}: money is sent as a string"


#: Directus's function that counts a list, as a field.
_COUNTED = re.compile(r"count\((\w+)\)")

#: The collections whose rows may be written inside their parent's, and the column that links them.
_NESTED_BELOW = {
    "invoices": ("invoice", ("payments",)),
    "payments": ("payment", ("refunds", "payment_disputes")),
}


def _without_nested(collection: str, payload: Mapping[str, Any]) -> tuple[Row, Row]:
    """The row's own columns, and the nested lists by collection."""
    below = _NESTED_BELOW.get(collection, ("", ()))[1]
    own = {name: value for name, value in payload.items() if name not in below}
    return own, {name: payload[name] for name in below if payload.get(name) is not None}


def _text_of(column: str, row: Row) -> str:
    """What rows are sorted by: keys, dates and names are."""
    return str(row[column] or "")


#: As in SQL, nothing but `_null` finds an empty column.
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "_eq": lambda value, operand: value is not None and value == operand,
    "_neq": lambda value, operand: value is not None and value != operand,
    "_in": lambda value, operand: value is not None and value in operand,
    "_nin": lambda value, operand: value is not None and value not in operand,
    "_null": lambda value, operand: (value is None) == operand,
    "_nnull": lambda value, operand: (value is not None) == operand,
    "_lt": lambda value, operand: value is not None and _comparable(value) < _comparable(operand),
    "_lte": lambda value, operand: value is not None and _comparable(value) <= _comparable(operand),
    "_gt": lambda value, operand: value is not None and _comparable(value) > _comparable(operand),
    "_gte": lambda value, operand: value is not None and _comparable(value) >= _comparable(operand),
}


def _comparable(value: Any) -> Any:
    """Timestamps as moments and money as numbers: as text, neither is in order."""
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class FixedToken:
    """A token or key that never changes; `refreshed` counts how often somebody doubted it."""

    def __init__(self, value: str = "service-token") -> None:
        self.value = value
        self.refreshed = 0

    def current(self) -> str:
        return self.value

    def refresh(self) -> str:
        self.refreshed += 1
        return self.value
