"""The relations of a Directus as steps that a query can take, read from the Directus itself: nothing is listed here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from directus.rest import Directus

#: What the words of a question are compared with; a row that has it, has it at the beginning of a text.
MARKER = "zebra"
#: Where a caller may read several texts of a collection, the marker goes into the first of these.
_TEXTS = (
    "internal_notes", "matter_name", "description", "title", "reason", "note", "first_name", "subject", "comment",
    "bookmark", "brand", "name", "step", "task_code",
)  # fmt: skip


@dataclass(frozen=True)
class Edge:
    """One way to cross a relation: `name` is written in the query, `link` is the column of `source` or `target` behind it."""

    source: str
    target: str
    name: str
    link: str
    many: bool

    @property
    def is_written_out(self) -> bool:
        """Whether it is `$FOLLOW`, which only a filter or an order can name."""
        return self.name.startswith("$FOLLOW(")

    def __str__(self) -> str:
        return f"{self.source}.{self.name}"


@dataclass(frozen=True)
class Collection:
    """A collection as one caller sees it: its endpoint, its key, and what of it can be asked for.

    `keys` are the visible rows, `hidden` all others. `text`, `number` and `date` are readable fields, where there are any.
    """

    name: str
    path: str
    primary: str
    is_singleton: bool
    is_readable: bool
    keys: tuple[str, ...]
    hidden: tuple[str, ...]
    text: str | None
    number: str | None
    date: str | None

    def row(self, key: str) -> str:
        """The endpoint of one row."""
        return self.path if self.is_singleton else f"{self.path}/{key}"


def path_of(collection: str) -> str:
    """The REST endpoint of a collection."""
    return (
        f"/{collection.removeprefix('directus_')}"
        if collection.startswith("directus_")
        else f"/items/{collection}"
    )


def edges_of(relations: Iterable[Mapping[str, Any]]) -> tuple[Edge, ...]:
    """Every relation in both directions, and against its direction once more by `$FOLLOW`."""
    found: list[Edge] = []
    for relation in relations:
        child, field, parent = relation["collection"], relation["field"], relation["related_collection"]
        found.append(Edge(child, parent, field, field, many=False))
        alias = (relation.get("meta") or {}).get("one_field")
        if alias:
            found.append(Edge(parent, child, alias, field, many=True))
        found.append(Edge(parent, child, f"$FOLLOW({child},{field})", field, many=True))
    return tuple(dict.fromkeys(found))


def collections_as_seen(admin: Directus, person: Directus, names: Iterable[str]) -> dict[str, Collection]:
    """The collections of the graph as a person sees them."""
    status, answer = person.answer("GET", "/permissions/me")
    allowed = answer["data"] if status == HTTPStatus.OK else {}
    fields: dict[str, dict[str, Any]] = {}
    for field in admin.call("GET", "/fields"):
        fields.setdefault(field["collection"], {})[field["field"]] = field
    singletons = {
        one["collection"] for one in admin.call("GET", "/collections") if (one["meta"] or {}).get("singleton")
    }
    return {
        name: replace(
            _seen(admin, person, name, fields.get(name, {}), allowed.get(name)),
            is_singleton=name in singletons,
        )
        for name in sorted(names)
    }


def _seen(
    admin: Directus,
    person: Directus,
    name: str,
    fields: Mapping[str, Any],
    allowed: Mapping[str, Any] | None,
) -> Collection:
    path = path_of(name)
    primary = next(
        (field for field, one in fields.items() if (one["schema"] or {}).get("is_primary_key")), "id"
    )
    readable = set((allowed or {}).get("read", {}).get("fields") or ())
    may = [one for field, one in fields.items() if field in readable or "*" in readable]
    plain = [
        one["field"]
        for one in may
        if one["type"] in {"string", "text"} and not (one["schema"] or {}).get("is_unique")
    ]
    text = next((field for field in _TEXTS if field in plain), None)
    return Collection(
        name, path, primary, False, bool(readable),
        (seen := _keys(person, path, primary)),
        tuple(key for key in _keys(admin, path, primary) if key not in set(seen)),
        text,
        next((one["field"] for one in may if one["type"] == "decimal"), None),
        next((one["field"] for one in may if one["type"] in {"date", "timestamp", "dateTime"}), None),
    )  # fmt: skip


def _keys(person: Directus, path: str, primary: str) -> tuple[str, ...]:
    status, answer = person.answer("GET", f"{path}?limit=-1&fields={primary}")
    rows = answer["data"] if status == HTTPStatus.OK and isinstance(answer, dict) else []
    rows = rows if isinstance(rows, list) else [rows]
    return tuple(sorted(str(row[primary]) for row in rows if row.get(primary) is not None))
