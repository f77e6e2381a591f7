"""Whose rows staff see, and what else stays closed to them."""

from typing import Any

import pytest

from local.seed import seed_id
from tests.integration.directus.server import code_of
from tests.security.directus.world import World, new, refused

SCOPED = [
    "clients",
    "invoices",
    "line_items",
    "payments",
    "refunds",
    "payment_disputes",
    "disputes",
    "portal_access",
    "documents",
    "notices",
]
ROWS = {
    "clients": "client", "invoices": "sent", "line_items": "draft_line", "payments": "payment", "refunds": "refund",
    "payment_disputes": "payment_dispute", "portal_access": "portal_access", "documents": "visible",
    "notices": "notice", "disputes": "dispute",
}  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {
    "clients": {"phone": "+12125550199"}, "invoices": {"internal_notes": "x"}, "line_items": {"description": "x"},
    "payments": {"note": "x"}, "refunds": {"reason": "x"}, "portal_access": {"status": "withdrawn"},
    "documents": {"title": "x"}, "disputes": {"status": "answered"},
}  # fmt: skip


@pytest.mark.parametrize("collection", SCOPED)
def test_only_rows_of_assigned_clients(world: World, collection: str) -> None:
    row = ROWS[collection]
    mine, theirs = getattr(world.one, row), getattr(world.two, row)
    seen = world.directus.ids("sofia", f"/items/{collection}")
    assert mine in seen
    assert theirs not in seen
    assert world.as_("sofia").answer("GET", f"/items/{collection}/{theirs}")[0] == 403
    everything = world.directus.ids("administrator", f"/items/{collection}")
    assert world.directus.ids("ingrid", f"/items/{collection}") == everything


@pytest.mark.parametrize("collection", sorted(CHANGES))
def test_foreign_rows_cannot_be_changed_and_say_nothing(world: World, collection: str) -> None:
    key = getattr(world.two, ROWS[collection])
    status, answer = world.as_("sofia").answer("PATCH", f"/items/{collection}/{key}", CHANGES[collection])
    refused((status, answer), 403, "FORBIDDEN")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert world.as_("sofia").answer("PATCH", f"/items/{collection}/{unknown}", CHANGES[collection]) == (
        status,
        answer,
    )
    frozen = {"client": world.one.client} if collection == "invoices" else CHANGES[collection]
    refused(world.as_("sofia").answer("PATCH", f"/items/{collection}/{key}", frozen), 403, "FORBIDDEN")


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
@pytest.mark.parametrize("collection", [name for name in SCOPED if name != "line_items"])
def test_nothing_is_deleted(world: World, collection: str, person: str) -> None:
    key = getattr(world.one, ROWS[collection])
    assert world.as_(person).answer("DELETE", f"/items/{collection}/{key}")[0] == 403


def test_lines_are_deleted_only_from_drafts_of_assigned_clients(world: World) -> None:
    sofia = world.as_("sofia")
    line = {"invoice": world.one.draft, "description": "x", "amount": "1.00"}
    assert sofia.answer("DELETE", f"/items/line_items/{world.one.line}")[0] == 403
    assert sofia.answer("DELETE", f"/items/line_items/{world.two.draft_line}")[0] == 403
    assert (
        sofia.answer("DELETE", f"/items/line_items/{new(world.directus, '/items/line_items', line)}")[0]
        == 204
    )
    nested = {"line_items": {"create": [], "update": [], "delete": [world.one.line]}}
    assert sofia.answer("PATCH", f"/items/invoices/{world.one.sent}", nested)[0] == 403


def test_people_of_assigned_clients_are_seen_without_their_secrets(world: World) -> None:
    users = world.directus.ids("sofia", "/users")
    assert seed_id("user", "maria") in users
    assert not {seed_id("user", "juergen"), seed_id("user", "james")} & users
    for field in ("token", "password", "tfa_secret", "role"):
        assert world.as_("sofia").answer("GET", f"/users/{seed_id('user', 'maria')}?fields={field}")[0] == 403


def test_nobody_gives_access_by_hand(world: World) -> None:
    for person in ("sofia", "ingrid"):
        somebody = world.as_(person)
        assert (
            somebody.answer("PATCH", f"/users/{seed_id('user', 'zoe')}", {"client": world.one.client})[0]
            == 403
        )
        assert somebody.answer("PATCH", "/users/me", {"client": world.one.client})[0] == 403
        assert (
            somebody.answer("PATCH", "/users/me", {"role": "5a1c0de0-0000-4000-8000-000000000103"})[0] == 403
        )
        change = {"portal_users": {"update": [{"id": seed_id("user", "zoe")}]}}
        assert somebody.answer("PATCH", f"/items/clients/{world.one.client}", change)[0] == 403
        assert (
            somebody.answer(
                "PATCH", f"/items/clients/{world.one.client}", {"portal_users": [seed_id("user", "zoe")]}
            )[0]
            == 403
        )
    row = {
        "client": world.one.client,
        "email": "a@example.com",
        "status": "active",
        "user": seed_id("user", "zoe"),
    }
    assert world.as_("sofia").answer("POST", "/items/portal_access", row)[0] == 403
    refused(
        world.as_("sofia").answer(
            "POST", "/items/portal_access", {"client": world.two.client, "email": "a@example.com"}
        ),
        403,
        "FORBIDDEN",
    )


def test_a_new_client_is_the_staffs_own_and_stays(world: World) -> None:
    sofia = world.as_("sofia")
    client = sofia.call(
        "POST", "/items/clients", {"name": "Ångström AB", "email": "faktura@angstrom.example.com"}
    )
    assert client["assigned_staff"] == seed_id("user", "sofia")
    change = {"assigned_staff": seed_id("user", "james")}
    assert sofia.answer("PATCH", f"/items/clients/{client['id']}", change)[0] == 403
    assert world.as_("ingrid").answer("PATCH", f"/items/clients/{client['id']}", change)[0] == 200
    assert sofia.answer("GET", f"/items/clients/{client['id']}")[0] == 403


@pytest.mark.parametrize(
    "path", ["/items/stripe_events", "/permissions?filter[admin][_eq]=1", "/revisions", "/schema/snapshot"]
)
def test_staff_do_not_read(world: World, path: str) -> None:
    assert world.as_("sofia").answer("GET", path)[0] == 403


def test_staff_do_not_write_the_firm_or_the_flows(world: World) -> None:
    for person in ("sofia", "ingrid"):
        assert world.as_(person).answer("PATCH", "/items/firm", {"bank_details": "mine"})[0] == 403
        flow = "5a1c0de0-0000-4000-8000-000000000501"
        assert world.as_(person).answer("PATCH", f"/flows/{flow}", {"status": "inactive"})[0] == 403


def test_graphql_passes_the_same_guard(world: World) -> None:
    def ask(query: str) -> Any:
        return world.as_("sofia").answer("POST", "/graphql", {"query": query})[1]

    frozen = ask(f'mutation {{ update_invoices_item(id: "{world.one.sent}", data: {{total: 1}}) {{ id }} }}')
    assert code_of(frozen) == "INVOICE_FROZEN"
    theft = ask(
        'mutation { create_documents_item(data: {type: "other", title: "x", visible_to_client: false}) { id } }'
    )
    assert code_of(theft) == "LINK_REQUIRED"
