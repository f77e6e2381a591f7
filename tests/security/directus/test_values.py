"""Names, days, zones and people that look like values and are none."""

from typing import Any

import pytest

from local.seed import seed_id
from tests.security.directus.world import World, invoice, refused

BLANKS = ["", " ", "   ", "\t", "\u00a0", "\r\n"]
BROKEN = ["A\r\nBcc: x@example.com", "A\nB", "A\u2028B", "A\x00B", "A\x7f"]


@pytest.mark.parametrize("value", [*BLANKS, *BROKEN])
@pytest.mark.parametrize("field", ["clients.name", "invoices.invoice_number"])
def test_a_name_is_one_line_and_not_blank(world: World, field: str, value: str) -> None:
    collection, _, name = field.partition(".")
    key = {"clients": world.one.client, "invoices": world.one.draft}[collection]
    rows = {"clients": {"name": "X", "email": "x@example.com"}, "invoices": invoice(world.one.client)}
    for person in ("sofia", "ingrid", "administrator"):
        somebody = world.as_(person)
        created = somebody.answer("POST", f"/items/{collection}", rows[collection] | {name: value})
        refused(created, 400, "FAILED_VALIDATION")
        changed = somebody.answer("PATCH", f"/items/{collection}/{key}", {name: value})
        refused(changed, 400, "FAILED_VALIDATION")


@pytest.mark.parametrize("value", BLANKS)
def test_an_objection_says_why_and_a_line_says_what(world: World, value: str) -> None:
    objection = {"invoice": world.one.sent, "reason": value}
    refused(world.as_("maria").answer("POST", "/items/disputes", objection), 400, "FAILED_VALIDATION")
    line = {"invoice": world.one.draft, "description": value, "amount": "1.00"}
    refused(world.as_("sofia").answer("POST", "/items/line_items", line), 400, "FAILED_VALIDATION")


def test_real_names_are_taken(world: World) -> None:
    for name in ("Núñez & O'Brien", "さくら株式会社", "A", "  Müller  "):
        row = {"name": name, "email": "x@example.com", "timezone": "Asia/Tokyo"}
        assert world.as_("sofia").call("POST", "/items/clients", row)["name"] == name


@pytest.mark.parametrize(
    "value", [0, 1, 20260101, True, "", "0000-01-01", "0000-00-00", "tomorrow", "12026-01-01"]
)
@pytest.mark.parametrize(
    ("collection", "row", "field"),
    [("invoices", "draft", "due_date"), ("invoices", "draft", "issue_date"), ("line_items", "draft_line", "date"),
     ("payments", "payment", "payment_date"), ("refunds", "refund", "refunded_at")],
)  # fmt: skip
def test_a_day_is_a_day(world: World, collection: str, row: str, field: str, value: Any) -> None:
    path = f"/items/{collection}/{getattr(world.one, row)}"
    refused(world.as_("sofia").answer("PATCH", path, {field: value}), 400, "FAILED_VALIDATION")
    assert world.as_("sofia").answer("PATCH", path, {field: "2026-02-28"})[0] == 200
    assert world.as_("sofia").answer("PATCH", path, {field: None})[0] == 200


@pytest.mark.parametrize("days", [-1, 3651, 2147483647, "soon"])
def test_payment_terms_are_days_up_to_ten_years(world: World, days: Any) -> None:
    refused(
        world.admin.answer("PATCH", "/items/firm", {"payment_terms_days": days}), 400, "FAILED_VALIDATION"
    )
    for taken in (0, 3650, None, 30):
        assert world.admin.answer("PATCH", "/items/firm", {"payment_terms_days": taken})[0] == 200


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "Europe", "europe/berlin", "EUROPE/BERLIN", "Europe/Atlantis"]
)
def test_a_zone_that_does_not_exist_is_refused(world: World, zone: str) -> None:
    row = {"name": "X", "email": "x@example.com", "timezone": zone}
    refused(world.as_("sofia").answer("POST", "/items/clients", row), 400, "INVALID_TIMEZONE")
    change = {"timezone": zone}
    for person in ("sofia", "ingrid"):
        answer = world.as_(person).answer("PATCH", f"/items/clients/{world.one.client}", change)
        refused(answer, 400, "INVALID_TIMEZONE")


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "US/Eastern", "Asia/Kolkata", "UTC", "America/Port_of_Spain", None]
)
def test_zones_that_exist_are_taken_by_any_of_their_names(world: World, zone: str | None) -> None:
    row = {"name": "X", "email": "x@example.com", "timezone": zone}
    assert world.as_("sofia").call("POST", "/items/clients", row)["timezone"] == zone


@pytest.mark.parametrize("person", ["maria", "zoe"])
def test_a_portal_user_is_no_clients_lawyer(world: World, person: str) -> None:
    ingrid, change = world.as_("ingrid"), {"assigned_staff": seed_id("user", person)}
    row = {"name": "X", "email": "x@example.com"}
    refused(ingrid.answer("POST", "/items/clients", row | change), 400, "NOT_STAFF")
    refused(ingrid.answer("PATCH", f"/items/clients/{world.two.client}", change), 400, "NOT_STAFF")
    many = {"keys": [world.two.client], "data": change}
    refused(ingrid.answer("PATCH", "/items/clients", many), 400, "NOT_STAFF")


def test_the_functions_user_is_no_clients_lawyer(world: World) -> None:
    service = world.as_("service").call("GET", "/users/me?fields=id")["id"]
    row = {"name": "X", "email": "x@example.com", "assigned_staff": service}
    refused(world.as_("ingrid").answer("POST", "/items/clients", row), 400, "NOT_STAFF")


def test_staff_partners_and_administrators_are(world: World) -> None:
    administrator = world.admin.call("GET", "/users/me?fields=id")["id"]
    for user in (seed_id("user", "james"), seed_id("user", "ingrid"), administrator, None):
        row = {"name": "X", "email": "x@example.com", "assigned_staff": user}
        assert world.as_("ingrid").call("POST", "/items/clients", row)["assigned_staff"] == user
