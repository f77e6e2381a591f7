"""A client's user can change their own objection, nothing else."""

from typing import Any

import pytest

from local.seed import seed_id
from tests.integration.directus.server import code_of
from tests.security.directus.world import World, upload

COLLECTIONS = [
    "clients", "invoices", "line_items", "payments", "refunds", "payment_disputes", "portal_access", "documents",
    "notices", "stripe_events", "firm",
]  # fmt: skip
ROWS = {
    "clients": "client", "invoices": "sent", "line_items": "line", "payments": "payment", "refunds": "refund",
    "payment_disputes": "payment_dispute", "portal_access": "portal_access", "documents": "visible", "notices": "notice",
}  # fmt: skip


@pytest.mark.parametrize("person", ["maria", "zoe", "nobody"])
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_nothing_can_be_created_changed_or_deleted(world: World, collection: str, person: str) -> None:
    somebody = world.as_(person)
    assert somebody.answer("POST", f"/items/{collection}", {"note": "x"})[0] in {403, 404}
    if collection in ROWS:
        row = getattr(world.one, ROWS[collection])
        assert somebody.answer("PATCH", f"/items/{collection}/{row}", {"note": "x"})[0] == 403
        assert somebody.answer("PATCH", f"/items/{collection}", [{"id": row, "note": "x"}])[0] == 403
        assert (
            somebody.answer("PATCH", f"/items/{collection}", {"keys": [row], "data": {"note": "x"}})[0] == 403
        )
        assert somebody.answer("DELETE", f"/items/{collection}/{row}")[0] == 403
        assert somebody.answer("DELETE", f"/items/{collection}", [row])[0] == 403
    else:
        assert somebody.answer("PATCH", f"/items/{collection}", {"name": "x"})[0] in {403, 400}


@pytest.mark.parametrize(
    "change",
    [
        {"client": "other"}, {"role": "staff"}, {"email": "maria2@example.com"}, {"status": "active"},
        {"first_name": "x", "client": "other"}, {"policies": []}, {"token": "x"}, {"password": "x"},
        {"client": {"id": "other", "name": "x"}},
    ],
)  # fmt: skip
def test_own_user_row_cannot_be_changed(world: World, change: dict[str, Any]) -> None:
    replaced = {
        name: {"other": world.two.client, "staff": "5a1c0de0-0000-4000-8000-000000000102"}.get(
            str(value), value
        )
        for name, value in change.items()
    }
    for path in ("/users/me", f"/users/{seed_id('user', 'maria')}"):
        assert world.as_("maria").answer("PATCH", path, replaced)[0] == 403
    user = world.admin.call("GET", f"/users/{seed_id('user', 'maria')}")
    assert user["client"] == world.one.client


def test_files_can_neither_be_uploaded_nor_changed(world: World) -> None:
    maria = world.as_("maria")
    assert upload(maria)[0] == 403
    assert maria.answer("PATCH", f"/files/{world.one.visible_file}", {"title": "x"})[0] == 403
    assert maria.answer("DELETE", f"/files/{world.one.visible_file}")[0] == 403
    assert maria.answer("POST", "/files/import", {"url": "http://127.0.0.1:9/x"})[0] == 403


# -- disputes ----------------------------------------------------------------------------------------------------------


def _dispute(world: World, person: str, **fields: Any) -> tuple[int, Any]:
    return world.as_(person).answer("POST", "/items/disputes", {"reason": "Too much", **fields})


def test_an_objection_is_open_and_ones_own(world: World) -> None:
    status, answer = _dispute(
        world, "maria", invoice=world.one.sent, line_item=world.one.line, amount="10.00"
    )
    assert status == 200
    row = answer["data"]
    assert (row["status"], row["opened_by"]) == ("open", seed_id("user", "maria"))
    assert world.as_("juergen").answer("GET", f"/items/disputes/{row['id']}")[0] == 403


@pytest.mark.parametrize(
    "field",
    [{"status": "accepted"}, {"status": "open"}, {"opened_by": "x"}, {"id": "x"}, {"date_created": None}],
)
def test_preset_fields_cannot_be_given(world: World, field: dict[str, Any]) -> None:
    assert _dispute(world, "maria", invoice=world.one.sent, **field)[0] == 403


@pytest.mark.parametrize("amount", ["0", "-5.00", 0, -1])
def test_an_amount_is_above_zero(world: World, amount: Any) -> None:
    assert _dispute(world, "maria", invoice=world.one.sent, amount=amount)[0] == 400


def test_only_own_sent_invoices_can_be_objected_to(world: World) -> None:
    assert _dispute(world, "maria", invoice=world.two.sent)[0] == 403
    assert _dispute(world, "maria", invoice=world.one.draft)[0] == 403
    assert _dispute(world, "maria", invoice=world.one.void)[0] == 400
    assert _dispute(world, "zoe", invoice=world.one.sent)[0] == 403
    assert _dispute(world, "nobody", invoice=world.one.sent)[0] == 403
    assert _dispute(world, "maria", invoice=None)[0] == 400
    assert _dispute(world, "maria")[0] == 400


def test_the_line_must_be_one_of_the_invoice(world: World) -> None:
    other = seed_id("line_item", "HNO-0087/1")
    assert _dispute(world, "maria", invoice=world.one.sent, line_item=world.two.line)[0] == 403
    status, answer = _dispute(world, "maria", invoice=world.one.sent, line_item=other)
    assert (status, code_of(answer)) == (400, "DIFFERS_FROM_INVOICE")


@pytest.mark.parametrize("link", ["invoice", "line_item"])
@pytest.mark.parametrize("shape", ["update", "create", "list"])
def test_an_object_is_no_link(world: World, link: str, shape: str) -> None:
    row = {"invoice": world.one.sent, "line_item": world.one.line}[link]
    value: Any = {
        "update": {"id": row, "internal_notes": "owned", "description": "owned"},
        "create": {"invoice_number": "owned", "client": world.two.client, "currency": "USD"},
        "list": [row],
    }[shape]
    status, answer = _dispute(world, "maria", **{"invoice": world.one.sent, link: value})
    assert (status, code_of(answer)) == (400, "LINK_MUST_BE_A_KEY")
    assert world.admin.call("GET", f"/items/invoices/{world.one.sent}")["internal_notes"] == "hidden"


def test_an_open_objection_can_be_withdrawn_and_nothing_else(world: World) -> None:
    maria = world.as_("maria")
    key = _dispute(world, "maria", invoice=world.one.sent)[1]["data"]["id"]
    path = f"/items/disputes/{key}"
    for change in ({"status": "accepted"}, {"status": "answered"}):
        assert maria.answer("PATCH", path, change)[0] == 400
    for refused in ({"amount": "1.00"}, {"reason": "x"}, {"invoice": world.two.sent}, {"opened_by": None}):
        assert maria.answer("PATCH", path, refused)[0] == 403
    assert world.as_("juergen").answer("PATCH", path, {"status": "withdrawn"})[0] == 403
    assert maria.answer("PATCH", path, {"status": "withdrawn"})[0] == 200
    assert maria.answer("PATCH", path, {"status": "withdrawn"})[0] == 403
    assert maria.answer("DELETE", path)[0] == 403
