"""Questions under names that Directus reads in another way than they look, and queries that it cannot read."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.directus.server import code_of
from tests.security.directus.strangers import Strangers
from tests.security.directus.world import World, new

#: What Directus keeps as it came inside a level of `deep`, and what GraphQL makes of an alias.
NAMES = ("_export", "_version", "_deep", "_meta", "_a", "_alias")


def test_an_alias_like_an_operator_hides_no_question(world: World) -> None:
    title = "quetzal"
    hidden = {
        "client": world.one.client,
        "invoice": world.one.sent,
        "type": "other",
        "visible_to_client": False,
    }
    new(world.directus, "/items/documents", hidden | {"title": title, "file": world.one.hidden_file})
    told: list[str] = []
    for name in NAMES:
        asked = {"invoice": {"documents": {"title": {"_starts_with": title}}}}
        level: dict[str, Any] = {"_alias": {name: "documents"}, name: {"_filter": asked}}
        path = f"/items/line_items?fields=id,invoice.{name}.id&limit=-1&deep={quote(json.dumps({'invoice': level}))}"
        status, answer = world.as_("maria").answer("GET", path)
        told += [name] if status == 200 and title_shows(answer, name) else []
    query = '{ invoices { id _d: documents(filter: {invoice: {documents: {title: {_starts_with: "quetzal"}}}}) { id } } }'
    status, answer = world.as_("maria").answer("POST", "/graphql", {"query": query})
    told += ["GraphQL"] if status == 200 and '"_d": [{' in json.dumps(answer) else []
    assert told == []


def title_shows(answer: Any, name: str) -> bool:
    """Whether any row answers under that name."""
    related = [row.get("invoice") for row in answer["data"]]
    return any(isinstance(one, dict) and one.get(name) for one in related)


def test_an_alias_still_names_a_nested_list_twice(world: World) -> None:
    query = quote(json.dumps({"shown": {"_filter": {"id": {"_eq": world.one.visible}}}}))
    path = f"/items/invoices/{world.one.sent}?fields=id,shown.id&alias[shown]=documents&deep={query}"
    assert world.as_("maria").call("GET", path)["shown"] == [{"id": world.one.visible}]


@pytest.mark.parametrize("level", [{"_aggregate": {"count": ["*"]}}, {"_groupBy": ["id"]}], ids=str)
@pytest.mark.parametrize("relation", ["client", "documents"])
def test_nothing_is_counted_in_deep(world: World, relation: str, level: dict[str, Any]) -> None:
    """PostgreSQL refuses what Directus writes for it (a failure with 500), SQLite answers with any one row."""
    deep = quote(json.dumps({relation: level}))
    status, answer = world.as_("sofia").answer("GET", f"/items/invoices?fields=id,{relation}.id&deep={deep}")
    assert (status, code_of(answer)) == (403, "FORBIDDEN")
    assert "Ask their own collection" in answer["errors"][0]["message"]


def test_conditions_inside_some_hold_together(world: World) -> None:
    shown = world.admin.call("GET", f"/items/documents/{world.one.visible}?fields=title")["title"]
    for part, found in ((shown, True), ("nowhere", False)):
        both = {"documents": {"_some": {"title": {"_nnull": True, "_contains": part}}}}
        rows = world.as_("maria").rows("/items/invoices", fields="id", filter=both)
        assert (world.one.sent in {row["id"] for row in rows}) is found


def test_a_relation_without_a_condition_leaves_the_others_of_an_or(world: World) -> None:
    either = {"_or": [{"documents": {}}, {"id": {"_eq": world.one.sent}}]}
    rows = world.as_("maria").rows("/items/invoices", fields="id", filter=either)
    assert [row["id"] for row in rows] == [world.one.sent]


@pytest.mark.parametrize("person", ["nobody", "maria", "sofia"])
@pytest.mark.parametrize(
    "level", [{"_filter": "x"}, {"_sort": [1]}, {"_meta": {"a": 1}}, {"_filter": {"_and": "x"}}], ids=str
)
def test_a_deep_that_cannot_be_read_does_not_end_directus(
    world: World, person: str, level: dict[str, Any]
) -> None:
    deep = quote(json.dumps({"a": level}))
    for path in (f"/items/invoices?deep={deep}", f"/users?deep={deep}"):
        world.as_(person).answer("GET", path)
    status, answer = world.directus.nobody.answer("GET", "/server/ping")
    assert (status, code_of(answer)) == (200, None)


@pytest.mark.parametrize("key", ["_version", "_alias", "_filter"])
def test_a_deep_that_is_nested_without_end_does_not_end_directus(strangers: Strangers, key: str) -> None:
    level = f'{{"{key}":{"[" * 3000}{"]" * 3000}}}'
    deep = f'{{"a":{level}}}'.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
    for path in (f"/users?deep={deep}", f"/items/invoices?deep={deep}"):
        assert strangers.ask("GET", path).status < 500
    assert strangers.ask("GET", "/server/ping").body == "pong"
