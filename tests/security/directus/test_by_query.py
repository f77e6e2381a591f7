"""The hole of Directus 11.17.4: PATCH and DELETE by query answer yes/no questions to anyone."""

from itertools import product
from typing import Any

import pytest

from tests.integration.directus.server import RunningDirectus, code_of
from tests.security.directus.world import World

MATCH: dict[str, Any] = {"id": {"_nnull": True}}
NO_MATCH: dict[str, Any] = {"id": {"_null": True}}
PATHS = [
    "/items/clients", "/items/invoices", "/items/payments", "/items/clients/", "/ITEMS/clients", "/users", "/Users/",
    "/files", "/roles", "/policies", "/access", "/permissions", "/flows", "/operations", "/folders", "/notifications",
    "/presets", "/panels", "/dashboards", "/translations", "/versions", "/shares", "/comments",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_match_and_no_match_look_the_same(world: World, path: str) -> None:
    for person, method in product(("nobody", "maria", "sofia", "service"), ("PATCH", "DELETE")):
        answers = []
        for rule in (MATCH, NO_MATCH):
            body: dict[str, Any] = {"query": {"filter": rule}}
            if method == "PATCH":
                body["data"] = {"name": "x"}
            answers.append(world.as_(person).answer(method, path, body))
        assert answers[0] == answers[1], (person, method)
        assert (answers[0][0], code_of(answers[0][1])) == (403, "FORBIDDEN"), (person, method)


@pytest.mark.parametrize(
    "body", [{"data": {}}, {"query": None, "data": {}}, {"keys": "", "query": {}, "data": {}}, {}]
)
def test_half_a_query_opens_nothing(world: World, body: dict[str, Any]) -> None:
    for method in ("PATCH", "DELETE"):
        assert world.as_("nobody").answer(method, "/items/clients", body)[0] in {400, 403}


def test_what_is_not_by_query_still_works(world: World) -> None:
    sofia, one = world.as_("sofia"), world.one
    assert sofia.answer("PATCH", f"/items/invoices/{one.sent}", {"internal_notes": "hidden"})[0] == 200
    body = {"keys": [one.sent], "data": {"internal_notes": "hidden"}}
    assert sofia.answer("PATCH", "/items/invoices", body)[0] == 200
    rows = [{"id": one.sent, "internal_notes": "hidden"}]
    assert sofia.answer("PATCH", "/items/invoices", rows)[0] == 200
    search = {"query": {"filter": {"id": {"_eq": one.sent}}}}
    assert len(sofia.answer("SEARCH", "/items/invoices", search)[1]["data"]) == 1
    query = {"query": {"filter": {"id": {"_eq": one.sent}}}, "data": {"internal_notes": "hidden"}}
    assert world.admin.answer("PATCH", "/items/invoices", query)[0] == 200
    assert world.admin.answer("PATCH", "/items/firm", {"footer": "Attorneys at Law"})[0] == 200


def test_a_field_called_query_of_the_firms_own_stays_usable(world: World) -> None:
    directus: RunningDirectus = world.directus
    fields = [
        {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "query", "type": "string", "schema": {}},
    ]
    directus.admin.call(
        "POST", "/collections", {"collection": "searches", "schema": {}, "meta": {}, "fields": fields}
    )
    policy = "5a1c0de0-0000-4000-8000-000000000202"
    permissions = [
        {"policy": policy, "collection": "searches", "action": action, "fields": ["*"]}
        for action in ("create", "read", "update")
    ]
    ids = [directus.admin.call("POST", "/permissions", permission)["id"] for permission in permissions]
    try:
        sofia = directus.as_("sofia")
        key = sofia.call("POST", "/items/searches", {"query": "a"})["id"]
        assert sofia.call("PATCH", f"/items/searches/{key}", {"query": "b"})["query"] == "b"
    finally:
        directus.admin.call("DELETE", "/permissions", ids)
        directus.admin.call("DELETE", "/collections/searches")
