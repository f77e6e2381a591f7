"""Plan and apply on a real target: idempotent, complete, never touching what is not ours."""

import uuid
from typing import Any

import pytest

from directus import access, flows, model
from directus.installer import apply, plan
from directus.rest import Directus, InstallerError
from tests.integration.directus.functions_stub import free_port
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, RunningDirectus


def test_a_second_apply_finds_nothing_to_do(directus: RunningDirectus) -> None:
    assert plan(directus.url, ADMIN_TOKEN, service_token=SERVICE_TOKEN) == []
    assert apply(directus.url, ADMIN_TOKEN, service_token=SERVICE_TOKEN) == []


def test_every_foreign_key_and_the_searched_columns_have_an_index(directus: RunningDirectus) -> None:
    fields = {(row["collection"], row["field"]): row for row in directus.admin.rows("/fields")}
    wanted = {
        (collection.name, field.name)
        for collection in model.collections()
        for field in collection.fields
        if field.target
    } | {("invoices", "status"), ("invoices", "due_date"), ("payments", "status")}
    assert [key for key in sorted(wanted) if not fields[key]["schema"]["is_indexed"]] == []


def test_what_was_changed_by_hand_is_put_back(directus: RunningDirectus) -> None:
    admin = directus.admin
    client = access.roles()[0]
    [row] = admin.rows(
        "/permissions",
        filter={
            "_and": [
                {"policy": {"_eq": client.policy["id"]}},
                {"collection": {"_eq": "invoices"}},
                {"action": {"_eq": "read"}},
            ]
        },
    )
    admin.call("PATCH", f"/permissions/{row['id']}", {"permissions": {}, "fields": ["*"]})
    pay = flows.flows()[0]
    admin.call("PATCH", f"/flows/{pay.id}", {"status": "inactive"})
    admin.call("PATCH", "/fields/payments/transaction_id", {"schema": {"is_unique": False}})
    changed = {change.summary for change in apply(directus.url, ADMIN_TOKEN, service_token=None)}
    assert changed == {
        "change permission Client: read invoices (permissions, fields)",
        "change flow Pay invoice (status)",
        "change field payments.transaction_id (is_unique)",
    }
    assert plan(directus.url, ADMIN_TOKEN) == []


def test_what_was_deleted_is_made_again(directus: RunningDirectus) -> None:
    admin = directus.admin
    render = next(flow for flow in flows.flows() if flow.name == "Render again")
    admin.call("DELETE", f"/flows/{render.id}")
    admin.call("DELETE", "/fields/invoices/matter_name")
    admin.call("DELETE", "/fields/directus_files/receipts")
    admin.call("DELETE", "/fields/portal_access/user")
    policy = next(role.policy for role in access.roles() if role.name == "Partner")
    admin.call("DELETE", f"/policies/{policy['id']}")
    assert apply(directus.url, ADMIN_TOKEN, service_token=None)
    assert plan(directus.url, ADMIN_TOKEN) == []
    assert directus.as_("ingrid").answer("GET", "/items/invoices?limit=1")[0] == 200
    assert directus.admin.answer("GET", "/files?fields=receipts.id&limit=1")[0] == 200


def test_a_new_service_token_replaces_the_old_one(directus: RunningDirectus) -> None:
    summaries = [
        change.summary for change in apply(directus.url, ADMIN_TOKEN, service_token="another-token-for-now")
    ]
    assert summaries == ["change service user billing-functions@example.com (token)"]
    assert directus.service.answer("GET", "/users/me")[0] == 401
    apply(directus.url, ADMIN_TOKEN, service_token=SERVICE_TOKEN)
    assert directus.service.answer("GET", "/users/me")[0] == 200


def test_what_is_not_ours_stays(directus: RunningDirectus) -> None:
    admin = directus.admin
    collection, role = f"firm_own_{uuid.uuid4().hex[:6]}", str(uuid.uuid4())
    key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
    admin.call("POST", "/collections", {"collection": collection, "schema": {}, "meta": {}, "fields": [key]})
    admin.call("POST", "/fields/invoices", {"field": "firm_own", "type": "string", "schema": {}, "meta": {}})
    admin.call("POST", "/roles", {"id": role, "name": "Bookkeeper"})
    admin.call("PATCH", "/fields/invoices/matter_name", {"meta": {"note": "Our own note", "sort": 1}})
    own = {
        "policy": access.roles()[1].policy["id"],
        "collection": collection,
        "action": "read",
        "fields": ["*"],
    }
    permission = admin.call("POST", "/permissions", own)["id"]
    try:
        assert apply(directus.url, ADMIN_TOKEN, service_token=None) == []
        assert access.unknown_permissions(admin.rows("/permissions")) == [
            f"policy 'Staff' has a permission that is not ours: read {collection}"
        ]
        assert admin.call("GET", f"/collections/{collection}")["collection"] == collection
        assert admin.call("GET", "/fields/invoices/firm_own")["field"] == "firm_own"
        assert admin.call("GET", f"/roles/{role}")["name"] == "Bookkeeper"
        assert admin.call("GET", "/fields/invoices/matter_name")["meta"]["note"] == "Our own note"
    finally:
        admin.call("DELETE", f"/permissions/{permission}")
        admin.call("DELETE", "/fields/invoices/firm_own")
        admin.call("DELETE", f"/collections/{collection}")
        admin.call("DELETE", f"/roles/{role}")


def test_a_token_that_is_not_an_administrators_is_refused(directus: RunningDirectus) -> None:
    with pytest.raises(InstallerError, match="not accepted"):
        plan(directus.url, "no-such-token")
    with pytest.raises(InstallerError, match="administrator"):
        plan(directus.url, SERVICE_TOKEN)
    with pytest.raises(InstallerError, match="administrator"):
        plan(directus.url, directus.tokens["sofia"])


def test_nobody_there_is_said_plainly() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(InstallerError, match=f"does not answer at {url}"):
        plan(url, ADMIN_TOKEN)


@pytest.mark.parametrize(
    "url", ["directus.example.com", "https://", "http://[", "ftp://directus.example.com"]
)
def test_what_is_no_address_is_said_plainly(url: str) -> None:
    with pytest.raises(InstallerError, match=r"is not an address|does not answer"):
        plan(url, ADMIN_TOKEN)


def test_something_that_is_not_directus_is_said_plainly(directus: RunningDirectus) -> None:
    with pytest.raises(InstallerError, match="not like a Directus"):
        plan(directus.stub.url, ADMIN_TOKEN)


def _table(**fields: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The target's `/collections` and `/fields` rows for a firm's own table called `clients`."""
    key = {
        "collection": "clients",
        "field": "id",
        "type": "uuid",
        "schema": {"is_primary_key": True},
        "meta": {},
    }
    rows = [
        {"collection": "clients", "field": name, "type": kind, "schema": {}, "meta": {}}
        for name, kind in fields.items()
    ]
    return [{"collection": "clients", "meta": {}}], [
        rows.pop(0) | {"schema": {"is_primary_key": True}} if "id" in fields else key,
        *rows,
    ]


def test_a_firms_own_table_of_our_name_gets_the_missing_fields() -> None:
    changes = model.compare(*_table(name="string", shoe_size="integer"), [])
    paths = {change.path for change in changes}
    assert "/fields/clients" in paths
    assert not any("shoe_size" in change.summary for change in changes)
    assert not any(change.summary.startswith("create collection clients") for change in changes)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "integer"}, "clients.id is integer on the target; uuid is needed"),
        ({"email": "integer"}, "clients.email is integer on the target; string is needed"),
        ({"assigned_staff": "integer"}, "clients.assigned_staff is integer on the target; uuid is needed"),
    ],
)
def test_a_table_that_means_something_else_is_refused_before_any_change(
    fields: dict[str, str], reason: str
) -> None:
    with pytest.raises(InstallerError, match=f"Nothing was changed.*{reason}"):
        model.compare(*_table(**fields), [])


def test_a_relation_that_points_elsewhere_is_refused() -> None:
    relation = {
        "collection": "clients",
        "field": "assigned_staff",
        "related_collection": "people",
        "meta": {},
    }
    with pytest.raises(InstallerError, match="points to people on the target, not directus_users"):
        model.compare(*_table(assigned_staff="uuid"), [relation])


class _Answers(Directus):
    """A Directus that answers from a table; for versions we cannot start here."""

    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        super().__init__("http://127.0.0.1:9", "token")
        self.answers = answers
        self.asked: list[str] = []

    def answer(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        del body
        key = f"{method} {path.partition('?')[0]}"
        self.asked.append(key)
        return next(answer for prefix, answer in self.answers.items() if key.startswith(prefix))


ADMINISTRATOR = {
    "GET /users/me": (200, {"data": {"id": "x"}}),
    "GET /policies": (200, {"data": []}),
    "GET /settings": (200, {"data": {}}),
}


@pytest.mark.parametrize("version", ["10.13.1", "11.16.9", "13.0.0"])
def test_an_unknown_version_is_refused(version: str) -> None:
    from directus.probe import probe

    target = _Answers(ADMINISTRATOR | {"GET /server/info": (200, {"data": {"version": version}})})
    with pytest.raises(InstallerError, match=version):
        probe(target)


def test_directus_12_without_a_licence_is_refused_and_the_probe_cleans_up() -> None:
    from directus.probe import probe

    restricted = {
        "message": "custom_permission_rules_enabled is a restricted resource.",
        "extensions": {"category": "custom_permission_rules_enabled", "code": "RESOURCE_RESTRICTED"},
    }
    target = _Answers(
        ADMINISTRATOR
        | {
            "GET /server/info": (200, {"data": {"version": "12.4.0"}}),
            "POST /policies": (200, {"data": {}}),
            "POST /permissions": (403, {"errors": [restricted]}),
            "DELETE /policies": (204, None),
        }
    )
    with pytest.raises(InstallerError, match="licence"):
        probe(target)
    assert target.asked[-1].startswith("DELETE /policies/")


LEGACY_NOTES = {
    "Asked for 100.00 USD, received 90.00 USD.": "amount_differs",
    "Asked for 100.00 USD, received 120.00 USD.\nMore was received than was due: 20.00 USD is credit of the client, to be"
    " refunded or applied by hand.": "surplus",
    "Paid in EUR, the invoice is in USD. Assign it by hand.": "other_currency",
    "Paid through Stripe for an invoice that Directus does not have. Assign it by hand.\nThe client called.": "unknown_invoice",
    "Asked for 100.00 USD, and received nothing.": None,
    "The client pays by wire.": None,
}


def test_what_notes_of_earlier_versions_say_is_filled_into_the_flag_once(directus: RunningDirectus) -> None:
    payments = {
        note: directus.admin.call(
            "POST",
            "/items/payments",
            {"amount": "100.00", "currency": "USD", "status": "succeeded", "note": note},
        )["id"]
        for note in LEGACY_NOTES
    }
    summaries = [change.summary for change in plan(directus.url, ADMIN_TOKEN)]
    assert len(summaries) == 4
    assert all(summary.startswith("fill payments.flag with ") for summary in summaries)
    assert len(apply(directus.url, ADMIN_TOKEN, service_token=None)) == 4
    rows = directus.admin.rows(
        "/items/payments", fields="id,flag", filter={"id": {"_in": list(payments.values())}}
    )
    flags = {row["id"]: row["flag"] for row in rows}
    assert {note: flags[key] for note, key in payments.items()} == LEGACY_NOTES
    assert plan(directus.url, ADMIN_TOKEN) == []


def invoice(directus: RunningDirectus, number: str) -> str:
    client = directus.admin.rows("/items/clients", fields="id")[0]["id"]
    row = {"invoice_number": number, "client": client, "currency": "USD"}
    return str(directus.admin.call("POST", "/items/invoices?fields=id", row)["id"])


def test_a_payment_that_was_moved_on_purpose_is_known_by_the_number_in_its_note(
    directus: RunningDirectus,
) -> None:
    made_for, stands_on = (invoice(directus, number) for number in ("2019-77", "2019-78"))
    attempt = {"parameters": {"client_reference_id": made_for}}
    columns = {
        "amount": "100.00",
        "currency": "USD",
        "status": "succeeded",
        "attempt": attempt,
        "invoice": stands_on,
    }
    moved, other = (
        directus.admin.call("POST", "/items/payments", {**columns, "note": note})["id"]
        for note in ("Moved from 2019-77.", "Moved from 2019-770.")
    )
    apply(directus.url, ADMIN_TOKEN, service_token=None)
    rows = directus.admin.rows("/items/payments", fields="id,flag", filter={"id": {"_in": [moved, other]}})
    assert {row["id"]: row["flag"] for row in rows} == {moved: "moved", other: None}
