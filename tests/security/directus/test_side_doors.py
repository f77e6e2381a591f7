"""Endpoints of Directus besides /items that could write or return rows."""

from typing import Any

import pytest

from tests.security.directus.world import World, new, upload


def _import(world: World, person: str, collection: str, rows: str) -> int:
    file = ("rows.json", rows.encode(), "application/json")
    return world.as_(person).form("POST", f"/utils/import/{collection}", file)[0]


@pytest.mark.parametrize("person", ["nobody", "maria", "sofia"])
def test_an_import_passes_the_same_guard(world: World, person: str) -> None:
    before = world.admin.rows("/items/line_items", filter={"invoice": {"_eq": world.two.draft}})
    rows = f'[{{"invoice": "{world.two.draft}", "description": "imported", "amount": "1.00"}}]'
    assert _import(world, person, "line_items", rows) // 100 == 4
    moved = f'[{{"id": "{world.two.draft_line}", "description": "imported"}}]'
    assert _import(world, person, "line_items", moved) // 100 == 4
    assert world.admin.rows("/items/line_items", filter={"invoice": {"_eq": world.two.draft}}) == before


@pytest.mark.parametrize("person", ["nobody", "maria", "sofia"])
def test_lines_are_not_sorted_across_invoices(world: World, person: str) -> None:
    # /utils/sort moves rows of the whole collection, regardless of their owner; without a sort field it does nothing.
    body = {"item": world.one.line, "to": world.two.line}
    before = [row["sort"] for row in world.admin.rows("/items/line_items", sort="id")]
    assert world.as_(person).answer("POST", "/utils/sort/line_items", body)[0] // 100 == 4
    assert [row["sort"] for row in world.admin.rows("/items/line_items", sort="id")] == before


@pytest.mark.parametrize("person", ["nobody", "maria", "zoe", "sofia", "ingrid", "service"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/shares",
            {"collection": "invoices", "item": "own", "role": "5a1c0de0-0000-4000-8000-000000000103"},
        ),
        ("/users/invite", {"email": "x@example.com", "role": "5a1c0de0-0000-4000-8000-000000000103"}),
        ("/users/register", {"email": "x@example.com", "password": "a-long-password"}),
        ("/users", {"email": "x@example.com"}),
        ("/roles", {"name": "x"}),
        ("/policies", {"name": "x", "admin_access": True}),
        ("/access", {"policy": "5a1c0de0-0000-4000-8000-000000000203"}),
        ("/permissions", {"collection": "invoices", "action": "read", "fields": ["*"]}),
        ("/flows", {"name": "x", "trigger": "webhook"}),
        ("/operations", {"name": "x"}),
        ("/collections", {"collection": "x", "schema": {}, "meta": {}}),
        ("/fields/invoices", {"field": "x", "type": "string"}),
        ("/schema/apply", {}),
        ("/utils/cache/clear", {}),
    ],
)
def test_what_only_the_administrator_does(world: World, path: str, body: dict[str, Any], person: str) -> None:
    own = {name: world.one.sent if value == "own" else value for name, value in body.items()}
    status = world.as_(person).answer("POST", path, own)[0]
    assert status // 100 == 4, status


@pytest.mark.parametrize("person", ["maria", "sofia"])
def test_a_foreign_row_is_not_commented_on(world: World, person: str) -> None:
    body = {"collection": "invoices", "item": world.two.sent, "comment": "x"}
    assert world.as_(person).answer("POST", "/comments", body)[0] == 403


@pytest.mark.parametrize("person", ["maria", "sofia"])
def test_a_foreign_row_is_not_versioned_or_reverted(world: World, person: str) -> None:
    body = {"collection": "invoices", "item": world.two.sent, "key": "x", "name": "x"}
    assert world.as_(person).answer("POST", "/versions", body)[0] // 100 == 4
    revisions = world.admin.rows("/revisions", filter={"item": {"_eq": world.two.sent}}, limit="1")
    assert world.as_(person).answer("POST", f"/utils/revert/{revisions[0]['id']}")[0] == 403


def test_a_person_who_was_moved_sees_the_new_client_at_once(world: World) -> None:
    user = world.directus.seeded["clients"][-1]["user"]
    assert world.as_("lukasz").answer("GET", f"/items/invoices/{world.one.sent}")[0] == 200
    world.admin.call("PATCH", f"/users/{user}", {"client": world.two.client})
    try:
        assert world.as_("lukasz").answer("GET", f"/items/invoices/{world.one.sent}")[0] == 403
        assert world.as_("lukasz").answer("GET", f"/items/invoices/{world.two.sent}")[0] == 200
    finally:
        world.admin.call("PATCH", f"/users/{user}", {"client": world.one.client})


def test_a_document_hidden_again_takes_its_file_along(world: World) -> None:
    file = upload(world.admin, title="Letter")[1]["data"]["id"]
    row = {"client": world.one.client, "type": "other", "file": file, "visible_to_client": True}
    document = new(world.directus, "/items/documents", row)
    assert world.as_("maria").answer("GET", f"/assets/{file}")[0] == 200
    world.as_("sofia").call("PATCH", f"/items/documents/{document}", {"visible_to_client": False})
    assert world.as_("maria").answer("GET", f"/assets/{file}")[0] == 403


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
@pytest.mark.parametrize(
    "path",
    ["/users/me?fields=*", "/permissions/me", "/settings", "/collections", "/fields", "/relations", "/presets",
     "/flows", "/items/invoices?fields=*,client.name,line_items.*&limit=25", "/files?limit=25"],
)  # fmt: skip
def test_the_data_studio_opens_for_staff(world: World, path: str, person: str) -> None:
    assert world.as_(person).answer("GET", path)[0] == 200


def test_staff_see_the_button_of_render_again_and_no_other_flow(world: World) -> None:
    for person in ("sofia", "ingrid"):
        [flow] = world.as_(person).rows("/flows")
        assert flow["name"] == "Render again"
        assert "operations" not in flow
        assert world.as_(person).answer("GET", "/operations")[0] == 403
        assert world.as_(person).answer("GET", "/flows?fields=operations.options")[0] in {200, 403}
        assert "BILLING" not in str(world.as_(person).answer("GET", "/flows?fields=*.*")[1])
