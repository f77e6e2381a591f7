"""The forms in which a query can ask about related rows: every parameter of Directus that takes a relation.

A form makes the request that asks it of a chain of edges, or None where it cannot ask that chain at all (a number of
related rows needs a relation to many, GraphQL cannot write `$FOLLOW`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tests.security.directus.questions.graph import MARKER, Collection, Edge


@dataclass(frozen=True)
class Request:
    """One request to Directus; `is_unordered`: the rows of its answer come in no order."""

    method: str
    path: str
    body: Any = None
    is_unordered: bool = False


@dataclass(frozen=True)
class Chain:
    """Edges from a collection that the caller reads to the rows that are asked about, as one caller sees them."""

    edges: tuple[Edge, ...]
    collections: Mapping[str, Collection]

    @property
    def root(self) -> Collection:
        return self.collections[self.edges[0].source]

    @property
    def target(self) -> Collection:
        return self.collections[self.edges[-1].target]

    @property
    def last(self) -> Edge:
        return self.edges[-1]

    @property
    def text(self) -> str:
        return self.target.text or self.target.primary

    @property
    def names(self) -> list[str]:
        return [edge.name for edge in self.edges]

    def under(self, leaf: Any, *, steps: int | None = None) -> Any:
        """The condition below the first steps of the chain."""
        for name in reversed(self.names[:steps]):
            leaf = {name: leaf}
        return leaf

    @property
    def marked(self) -> Any:
        """The condition that a related row has the marker."""
        return self.under({self.text: {"_starts_with": MARKER}})

    def get(self, *, is_unordered: bool = False, **query: Any) -> Request:
        parameters = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in query.items()
        }
        parameters = {"fields": self.root.primary, "limit": "-1"} | parameters
        return Request("GET", f"{self.root.path}?{urlencode(parameters)}", is_unordered=is_unordered)

    def graphql(self, template: str, condition: Any) -> Request | None:
        """A GraphQL query with `%(name)s` for the root's name and `%(filter)s` for a condition."""
        if any(edge.is_written_out for edge in self.edges):
            return None
        is_system = self.root.name.startswith("directus_")
        name = self.root.name.removeprefix("directus_")
        query = template % {"name": name, "filter": _graphql(condition), "key": self.root.primary}
        return Request("POST", "/graphql/system" if is_system else "/graphql", {"query": query})


def _graphql(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_graphql(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_graphql, value)) + "]"
    return json.dumps(value)


def _number(chain: Chain) -> str | None:
    return f"count({chain.last.name})" if chain.last.many and not chain.last.is_written_out else None


def _by_number(chain: Chain, test: Any) -> Any:
    number = _number(chain)
    return number and chain.under({number: test}, steps=len(chain.edges) - 1)


def _filtered(chain: Chain, condition: Any, **more: Any) -> Request | None:
    return chain.get(filter=condition, **more) if condition else None


def _related(chain: Chain, quantity: str) -> Request | None:
    condition = chain.under({quantity: {chain.text: {"_starts_with": MARKER}}})
    return chain.get(filter=condition) if chain.last.many else None


def _existence(chain: Chain, test: Any) -> Request:
    leaf = test if chain.last.many else {chain.target.primary: test}
    return chain.get(filter=chain.under(leaf), meta="filter_count")


def _nested(chain: Chain) -> tuple[str, Any] | None:
    """The first edge as a nested field, and the condition on the rows that it nests."""
    if len(chain.edges) == 1 or chain.edges[0].is_written_out:
        return None
    return chain.edges[0].name, chain.marked[chain.edges[0].name]


def _deep(chain: Chain, name: str, query: Callable[[str, Any], Any]) -> Request | None:
    nested = _nested(chain)
    if nested is None:
        return None
    field, condition = nested
    inner = chain.collections[chain.edges[0].target].primary
    level = query(field, condition)
    shown = f"{chain.root.primary},{name or field}.{inner}"
    if name:
        return chain.get(fields=shown, deep={name: level}, alias={name: field})
    return chain.get(fields=shown, deep={field: level})


def _sorted(chain: Chain, path: list[str]) -> str:
    return ".".join([*chain.names, *path])


def _aggregated(chain: Chain) -> Request:
    numbers = {"sum": [chain.root.number]} if chain.root.number else {}
    return chain.get(
        filter=chain.marked, aggregate={"count": ["*"], "countDistinct": [chain.root.primary], **numbers}
    )


def _dated(chain: Chain) -> Request | None:
    date = chain.target.date
    return chain.get(filter=chain.under({f"year({date})": {"_gt": 1}})) if date else None


def _one(chain: Chain) -> Request | None:
    if not chain.root.keys:
        return None
    query = urlencode({"fields": chain.root.primary, "filter": json.dumps(chain.marked)})
    return Request("GET", f"{chain.root.path}/{chain.root.keys[0]}?{query}")


def _variable(chain: Chain) -> Request | None:
    if chain.root.name != "directus_users" or any(edge.is_written_out for edge in chain.edges):
        return None
    return chain.get(filter={"first_name": {"_lt": f"$CURRENT_USER.{_sorted(chain, [chain.text])}"}})


def _graphql_nested(chain: Chain, alias: str = "") -> Request | None:
    nested = _nested(chain)
    if nested is None or not chain.edges[0].many:
        return None
    field, condition = nested
    inner = chain.collections[chain.edges[0].target].primary
    return chain.graphql(
        "{ %(name)s(limit: -1) { %(key)s " + alias + field + "(filter: %(filter)s) { " + inner + " } } }",
        condition,
    )


def _graphql_number(chain: Chain) -> Request | None:
    if not _number(chain):
        return None
    condition = chain.under({f"{chain.last.name}_func": {"count": {"_gt": 1}}}, steps=len(chain.edges) - 1)
    return chain.graphql("{ %(name)s(filter: %(filter)s, limit: -1) { %(key)s } }", condition)


FORMS: Final[Mapping[str, Callable[[Chain], Request | None]]] = {
    "filter": lambda chain: chain.get(filter=chain.marked, meta="*"),
    "filter by SEARCH": lambda chain: Request(
        "SEARCH",
        chain.root.path,
        {
            "query": {
                "filter": chain.marked,
                "fields": [chain.root.primary],
                "limit": -1,
                "meta": ["filter_count"],
            }
        },
    ),
    "only the number": lambda chain: chain.get(filter=chain.marked, meta="filter_count", limit="0"),
    "exported": lambda chain: chain.get(filter=chain.marked, export="json"),
    "of one row": _one,
    "negated": lambda chain: chain.get(filter=chain.under({chain.text: {"_nstarts_with": MARKER}})),
    "empty": lambda chain: chain.get(filter=chain.under({chain.text: {"_null": True}})),
    "or": lambda chain: chain.get(filter={"_or": [{chain.root.primary: {"_null": True}}, chain.marked]}),
    "and": lambda chain: chain.get(
        filter=chain.under(
            {"_and": [{chain.text: {"_starts_with": MARKER}}, {chain.target.primary: {"_nnull": True}}]}
        )
    ),
    "some": lambda chain: _related(chain, "_some"),
    "none": lambda chain: _related(chain, "_none"),
    "there are none": lambda chain: _existence(chain, {"_null": True}),
    "there are any": lambda chain: _existence(chain, {"_nnull": True}),
    "number": lambda chain: _filtered(chain, _by_number(chain, {"_gt": 1})),
    "number is nought": lambda chain: _filtered(chain, _by_number(chain, {"_eq": 0})),
    "function": _dated,
    "variable": _variable,
    "aggregate": _aggregated,
    "aggregate of related": lambda chain: chain.get(aggregate={"max": [_sorted(chain, [chain.text])]}),
    "aggregate of a relation": lambda chain: chain.get(aggregate={"count": [_sorted(chain, [])]}),
    "group": lambda chain: chain.get(
        groupBy=_sorted(chain, [chain.text]), aggregate={"count": ["*"]}, is_unordered=True
    ),
    "group by number": lambda chain: (
        chain.get(groupBy=_number(chain), aggregate={"count": ["*"]}, is_unordered=True)
        if _number(chain)
        else None
    ),
    "sort": lambda chain: chain.get(sort=[_sorted(chain, [chain.text])]),
    "sort descending": lambda chain: chain.get(sort=[f"-{_sorted(chain, [chain.text])}", chain.root.primary]),
    "sort by relation": lambda chain: chain.get(sort=[_sorted(chain, [])]),
    "sort by number": lambda chain: (
        chain.get(sort=[f"-{'.'.join([*chain.names[:-1], _number(chain) or ''])}"])
        if _number(chain)
        else None
    ),
    "shown": lambda chain: (
        None
        if any(edge.is_written_out for edge in chain.edges)
        else chain.get(fields=f"{chain.root.primary},{_sorted(chain, [chain.text])}", is_unordered=True)
    ),
    "shown number": lambda chain: (
        chain.get(fields=f"{chain.root.primary},{'.'.join([*chain.names[:-1], _number(chain) or ''])}")
        if _number(chain)
        else None
    ),
    "searched": lambda chain: chain.get(search=MARKER, filter=chain.marked),
    "deep filter": lambda chain: _deep(chain, "", lambda _, condition: {"_filter": condition}),
    "deep filter by alias": lambda chain: _deep(chain, "other", lambda _, condition: {"_filter": condition}),
    "deep sort": lambda chain: _deep(
        chain, "", lambda _, __: {"_sort": [".".join([*chain.names[1:], chain.text])], "_limit": 1}
    ),
    "deep aggregate": lambda chain: _deep(
        chain, "", lambda _, condition: {"_filter": condition, "_aggregate": {"count": ["*"]}}
    ),
    "GraphQL": lambda chain: chain.graphql(
        "{ %(name)s(filter: %(filter)s, limit: -1) { %(key)s } }", chain.marked
    ),
    "GraphQL aggregate": lambda chain: chain.graphql(
        "{ %(name)s_aggregated(filter: %(filter)s) { count { %(key)s } } }", chain.marked
    ),
    "GraphQL nested": _graphql_nested,
    "GraphQL nested by alias": lambda chain: _graphql_nested(chain, "_other: "),
    "GraphQL number": _graphql_number,
}
"""Every form by the name with which a leak is reported."""

#: What can be asked about rows of which no field may be read: whether there are any, and how many.
WITHOUT_A_FIELD: Final = (
    "filter", "there are none", "there are any", "number", "some", "none", "aggregate of a relation", "sort by relation",
    "sort by number", "shown number", "GraphQL", "GraphQL number",
)  # fmt: skip

#: Forms in which the path before the edge matters; the others pass the same condition in another way.
OF_A_PATH: Final = (
    "filter", "and", "some", "there are none", "number", "aggregate", "group", "sort", "sort by number", "shown",
    "shown number", "deep filter", "deep filter by alias", "deep sort", "deep aggregate", "GraphQL nested", "GraphQL nested by alias", "GraphQL number",
)  # fmt: skip

#: One form of each kind of SQL that Directus writes for a question.
OF_SQL: Final = (
    "filter", "there are none", "number", "aggregate", "group", "sort", "sort by number", "deep filter", "deep sort",
)  # fmt: skip
