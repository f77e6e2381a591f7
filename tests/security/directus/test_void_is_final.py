"""Every change to void sets `voided_at`, and it is never taken back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from directus.installer import apply
from directus.rest import Directus
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, another
from tests.security.directus.world import World, invoice, new, refused, sent_invoice

MOMENT = "2026-03-01T10:00:00Z"
VOID = {"status": "void"}


def a_sent_one(world: World, **columns: Any) -> str:
    return new(world.directus, "/items/invoices", sent_invoice(world.one.client) | columns)


def stored(world: World, key: str) -> dict[str, Any]:
    row: dict[str, Any] = world.admin.call("GET", f"/items/invoices/{key}?fields=status,voided_at")
    return row


def was_voided_just_now(world: World, key: str) -> bool:
    row = stored(world, key)
    assert row["status"] == "void"
    age = datetime.now(UTC) - datetime.fromisoformat(row["voided_at"])
    return timedelta(minutes=-1) < age < timedelta(minutes=1)


def by_graphql(person: Directus, key: str) -> None:
    mutation = f'mutation {{ update_invoices_item(id: "{key}", data: {{status: "void"}}) {{ voided_at }} }}'
    answer = person.call("POST", "/graphql", {"query": mutation})
    assert answer["update_invoices_item"]["voided_at"] is not None


WAYS: dict[str, Callable[[Directus, str], object]] = {
    "one": lambda person, key: person.call("PATCH", f"/items/invoices/{key}", VOID),
    "keys": lambda person, key: person.call("PATCH", "/items/invoices", {"keys": [key], "data": VOID}),
    "rows": lambda person, key: person.call("PATCH", "/items/invoices", [{"id": key, **VOID}]),
    "graphql": by_graphql,
}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("person", ["sofia", "ingrid", "administrator"])
def test_whoever_voids_leaves_the_moment(world: World, person: str, way: str) -> None:
    key = a_sent_one(world)
    WAYS[way](world.admin if person == "administrator" else world.as_(person), key)
    assert was_voided_just_now(world, key)


@pytest.mark.parametrize("person", ["sofia", "administrator"])
def test_several_at_once_each_get_it(world: World, person: str) -> None:
    keys = [
        a_sent_one(world),
        a_sent_one(world),
        new(world.directus, "/items/invoices", invoice(world.one.client)),
    ]
    who = world.admin if person == "administrator" else world.as_(person)
    who.call("PATCH", "/items/invoices", {"keys": keys, "data": VOID})
    assert all(was_voided_just_now(world, key) for key in keys)


def test_one_that_was_void_before_keeps_its_moment_among_several(world: World) -> None:
    before, fresh = a_sent_one(world, status="void", voided_at=MOMENT), a_sent_one(world)
    for who in (world.as_("sofia"), world.admin):
        change = {"keys": [before, fresh], "data": VOID}
        refused(who.answer("PATCH", "/items/invoices", change), 403, "INVOICE_VOID")
    assert stored(world, fresh) == {"status": "sent", "voided_at": None}
    rows = [{"id": before, **VOID}, {"id": fresh, **VOID}]
    world.as_("sofia").call("PATCH", "/items/invoices", rows)
    world.admin.call("PATCH", "/items/invoices", {"keys": [before, fresh], "data": VOID})
    assert was_voided_just_now(world, fresh)
    assert stored(world, before)["voided_at"] == "2026-03-01T10:00:00.000Z"


def test_through_another_row_it_goes_the_same_way(world: World) -> None:
    key = a_sent_one(world)
    payment = {
        "invoice": key,
        "client": world.one.client,
        "amount": "1.00",
        "currency": "USD",
        "method": "cash",
    }
    row = new(world.directus, "/items/payments", payment)
    nested = {"invoice": {"id": key, **VOID}}
    refused(world.as_("sofia").answer("PATCH", f"/items/payments/{row}", nested), 400, "LINK_MUST_BE_A_KEY")
    world.admin.call("PATCH", f"/items/payments/{row}", nested)
    assert was_voided_just_now(world, key)


def test_an_invoice_that_is_created_void_has_it(world: World) -> None:
    key = new(world.directus, "/items/invoices", sent_invoice(world.one.client) | VOID)
    assert was_voided_just_now(world, key)
    imported = new(
        world.directus, "/items/invoices", sent_invoice(world.one.client) | VOID | {"voided_at": MOMENT}
    )
    assert stored(world, imported)["voided_at"] == "2026-03-01T10:00:00.000Z"
    assert stored(world, a_sent_one(world))["voided_at"] is None


def test_an_import_of_a_file_has_it_too(world: World) -> None:
    row = sent_invoice(world.one.client) | VOID
    content = json.dumps([row]).encode()
    body = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.json"\r\n'
        b"content-type: application/json\r\n\r\n" + content + b"\r\n--x--\r\n"
    )
    status, answer = world.admin.send(
        "POST", "/utils/import/invoices", body, "multipart/form-data; boundary=x"
    )
    assert status == 200, answer
    [found] = world.admin.rows("/items/invoices", **{"filter[invoice_number][_eq]": row["invoice_number"]})
    assert was_voided_just_now(world, found["id"])


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
@pytest.mark.parametrize(
    "change", [{"voided_at": MOMENT}, {"voided_at": MOMENT, **VOID}, {"voided_at": MOMENT, "status": "sent"}]
)
def test_people_write_no_moment_of_their_own(world: World, person: str, change: dict[str, Any]) -> None:
    who, key = world.as_(person), a_sent_one(world)
    refused(who.answer("PATCH", f"/items/invoices/{key}", change), 400, "VOIDED_AT_NOT_WRITABLE")
    row = invoice(world.one.client) | {"voided_at": MOMENT}
    refused(who.answer("POST", "/items/invoices", row), 400, "VOIDED_AT_NOT_WRITABLE")
    assert stored(world, key) == {"status": "sent", "voided_at": None}


def test_a_new_invoice_without_a_moment_may_say_so(world: World) -> None:
    row = invoice(world.one.client) | {"voided_at": None}  # as "Save as copy" in the Data Studio may
    assert world.as_("sofia").answer("POST", "/items/invoices", row)[0] == 200


@pytest.mark.parametrize("person", ["sofia", "ingrid", "administrator"])
@pytest.mark.parametrize("moment", [None, "2026-04-01T10:00:00Z"])
def test_the_moment_never_changes(world: World, person: str, moment: str | None) -> None:
    key = a_sent_one(world, status="void", voided_at=MOMENT)
    who = world.admin if person == "administrator" else world.as_(person)
    for change in ({"voided_at": moment}, {"voided_at": moment, **VOID}):
        refused(who.answer("PATCH", f"/items/invoices/{key}", change), 403, "INVOICE_VOID")
    same = {"voided_at": MOMENT, "internal_notes": "x"}
    assert who.answer("PATCH", f"/items/invoices/{key}", same)[0] == 200
    assert who.answer("PATCH", f"/items/invoices/{key}", VOID)[0] == 200
    assert stored(world, key) == {"status": "void", "voided_at": "2026-03-01T10:00:00.000Z"}


def test_going_back_to_an_older_revision_does_not_take_it_away(world: World) -> None:
    key = a_sent_one(world)
    world.admin.call("PATCH", f"/items/invoices/{key}", {"internal_notes": "before"})
    world.admin.call("PATCH", f"/items/invoices/{key}", VOID)
    condition = json.dumps({"_and": [{"collection": {"_eq": "invoices"}}, {"item": {"_eq": key}}]})
    revisions = world.admin.rows("/revisions", filter=condition, sort="id")
    refused(world.admin.answer("POST", f"/utils/revert/{revisions[1]['id']}"), 403, "INVOICE_VOID")
    assert was_voided_just_now(world, key)


@pytest.mark.parametrize("status", ["sent", "draft", "paid"])
def test_an_overwritten_void_is_void_for_people(world: World, status: str) -> None:
    """The invoice writer wrote the status without having seen the void; until it looks again, no reader is misled."""
    key = a_sent_one(world, status=status, voided_at=MOMENT)
    sofia, maria = world.as_("sofia"), world.as_("maria")
    refused(sofia.answer("PATCH", f"/items/invoices/{key}", {"status": "sent"}), 403, "INVOICE_VOID")
    line = {"invoice": key, "description": "x", "amount": "-5.00", "kind": "discount"}
    refused(sofia.answer("POST", "/items/line_items", line), 403, "INVOICE_FROZEN")
    objection = maria.answer("POST", "/items/disputes", {"invoice": key, "reason": "x"})
    assert objection[0] == (403 if status == "draft" else 400)


def test_a_draft_that_was_voided_stays_hidden_though_its_status_was_overwritten(world: World) -> None:
    hidden = new(
        world.directus, "/items/invoices", invoice(world.one.client, status="sent", voided_at=MOMENT)
    )
    behind = new(
        world.directus, "/items/line_items", {"invoice": hidden, "description": "x", "amount": "1.00"}
    )
    maria = world.as_("maria")
    assert maria.answer("GET", f"/items/invoices/{hidden}")[0] == 403
    assert maria.answer("GET", f"/items/line_items/{behind}")[0] == 403
    shown = a_sent_one(world, voided_at=MOMENT)
    assert maria.answer("GET", f"/items/invoices/{shown}")[0] == 200
    assert maria.answer("GET", f"/items/invoices/{shown}?fields=voided_at")[0] == 403


@pytest.mark.parametrize("person", ["maria", "zoe", "nobody"])
def test_who_may_not_write_learns_nothing(world: World, person: str) -> None:
    who = world.directus.nobody if person == "nobody" else world.as_(person)
    for key in (world.one.sent, world.one.void):
        for change in (VOID, {"voided_at": MOMENT}, {"voided_at": None}):
            refused(who.answer("PATCH", f"/items/invoices/{key}", change), 403, "FORBIDDEN")


def test_an_invoice_that_was_voided_before_there_was_the_column_is_void(world: World) -> None:
    key = a_sent_one(world)
    no_extensions = {"EXTENSIONS_PATH": str(world.directus.directory / "no-extensions")}
    with another(world.directus, no_extensions) as unguarded:
        unguarded.admin.call("PATCH", f"/items/invoices/{key}", VOID)
    assert stored(world, key) == {"status": "void", "voided_at": None}
    refused(
        world.as_("sofia").answer("PATCH", f"/items/invoices/{key}", {"status": "sent"}), 403, "INVOICE_VOID"
    )
    assert world.as_("maria").answer("POST", "/items/disputes", {"invoice": key, "reason": "x"})[0] == 400
    refused(world.as_("service").answer("PATCH", f"/items/invoices/{key}", VOID), 403, "INVOICE_NOT_VOIDED")
    world.as_("sofia").call("PATCH", f"/items/invoices/{key}", VOID)
    assert was_voided_just_now(world, key)


def test_the_guard_may_be_copied_before_the_column_is_added(world: World) -> None:
    service, sofia, keys = world.as_("service"), world.as_("sofia"), [a_sent_one(world) for _ in range(3)]
    world.admin.call("DELETE", "/fields/invoices/voided_at")
    try:
        assert sofia.answer("PATCH", f"/items/invoices/{keys[0]}", {"internal_notes": "x"})[0] == 200
        sofia.call("PATCH", f"/items/invoices/{keys[0]}", VOID)
        world.admin.call("PATCH", f"/items/invoices/{keys[1]}", VOID)
        new(world.directus, "/items/invoices", sent_invoice(world.one.client) | VOID)
        refused(sofia.answer("PATCH", f"/items/invoices/{keys[0]}", {"status": "sent"}), 403, "INVOICE_VOID")
        refused(service.answer("PATCH", f"/items/invoices/{keys[2]}", VOID), 403, "INVOICE_NOT_VOIDED")
    finally:
        added = apply(world.directus.url, ADMIN_TOKEN, service_token=SERVICE_TOKEN)
    # Directus takes a deleted field out of the permissions as well.
    assert added[0].summary == "create field invoices.voided_at"
    assert {change.summary for change in added[1:]} == {
        f"change permission {role}: {action} invoices (fields)"
        for role in ("Staff", "Partner")
        for action in ("create", "update")
    }
    assert [stored(world, key)["status"] for key in keys] == ["void", "void", "sent"]
    sofia.call("PATCH", f"/items/invoices/{keys[2]}", VOID)
    assert was_voided_just_now(world, keys[2])


# ---- the functions --------------------------------------------------------------------------------------


def test_the_functions_restore_a_void_and_make_none(world: World) -> None:
    service, key = world.as_("service"), a_sent_one(world)
    refused(service.answer("PATCH", f"/items/invoices/{key}", VOID), 403, "INVOICE_NOT_VOIDED")
    overwritten = a_sent_one(world, voided_at=MOMENT)
    both = {"keys": [key, overwritten], "data": VOID}
    refused(service.answer("PATCH", "/items/invoices", both), 403, "INVOICE_NOT_VOIDED")
    change = VOID | {"amount_paid": "0.00", "balance_due": "0.00"}
    service.call("PATCH", f"/items/invoices/{overwritten}?fields=id", change)
    assert stored(world, overwritten) == {"status": "void", "voided_at": "2026-03-01T10:00:00.000Z"}
    assert stored(world, key) == {"status": "sent", "voided_at": None}


def test_the_functions_never_write_the_moment(world: World) -> None:
    service, key = world.as_("service"), a_sent_one(world)
    voided = a_sent_one(world, status="void", voided_at=MOMENT)
    for change in ({"voided_at": MOMENT}, {"voided_at": MOMENT, **VOID}):
        refused(service.answer("PATCH", f"/items/invoices/{key}", change), 400, "VOIDED_AT_NOT_WRITABLE")
    refused(service.answer("PATCH", f"/items/invoices/{voided}", {"voided_at": None}), 403, "INVOICE_VOID")
    assert service.answer("PATCH", f"/items/invoices/{voided}", {"voided_at": MOMENT})[0] == 403
    assert stored(world, key) == {"status": "sent", "voided_at": None}
