"""What a client's person sees: their own, and exactly the fields of the contract."""

from decimal import Decimal
from typing import Any

import pytest

from local.seed import seed_id
from tests.integration.directus.server import code_of
from tests.security.directus.world import World, invoice, new

LINE_FIELDS = {
    "id", "invoice", "sort", "kind", "date", "timekeeper", "task_code", "description", "hours", "rate", "amount",
}  # fmt: skip
PAYMENT_FIELDS = {
    "id", "invoice", "amount", "currency", "status", "method", "payment_date", "amount_refunded", "brand",
    "bank_name", "account_type", "last4", "receipt",
}  # fmt: skip
INTERNAL = [
    ("invoices", "internal_notes"),
    ("invoices", "pdf_error"),
    ("invoices", "notices"),
    ("line_items", "cost_price"),
    ("line_items", "markup_percent"),
    ("payments", "transaction_id"),
    ("payments", "checkout_session"),
    ("payments", "attempt"),
    ("payments", "note"),
    ("payments", "fee"),
    ("payments", "client"),
    ("payments", "failure_reason"),
    ("payments", "refunds"),
    ("payments", "payment_disputes"),
    ("documents", "content_hash"),
    ("documents", "visible_to_client"),
    ("clients", "internal_notes"),
    ("clients", "assigned_staff"),
]
CLOSED = [
    "/items/notices", "/items/stripe_events", "/items/refunds", "/items/payment_disputes", "/items/portal_access",
    "/activity", "/revisions", "/roles", "/collections", "/fields", "/relations", "/flows", "/operations",
    "/settings", "/policies", "/access", "/presets", "/folders", "/notifications", "/comments", "/shares",
    "/versions", "/dashboards", "/panels", "/schema/snapshot",
]  # fmt: skip


def _was_sent(invoice: dict[str, Any]) -> bool:
    return invoice["status"] not in {"draft", "void"} or (
        invoice["status"] == "void" and invoice["sent_at"] is not None
    )


def _own(world: World, collection: str) -> set[str]:
    """What `maria` must see, computed by the administrator without Directus's permissions."""
    rows = {
        name: world.admin.rows(f"/items/{name}")
        for name in ("invoices", "line_items", "payments", "documents", "disputes")
    }
    client = world.one.client
    invoices = {row["id"] for row in rows["invoices"] if row["client"] == client and _was_sent(row)}
    if collection == "invoices":
        return invoices
    if collection == "documents":
        return {
            row["id"]
            for row in rows["documents"]
            if row["client"] == client and row["visible_to_client"] and row["type"] != "report"
        }
    return {row["id"] for row in rows[collection] if row["invoice"] in invoices}


@pytest.mark.parametrize("person", ["maria", "lukasz"])
@pytest.mark.parametrize("collection", ["invoices", "line_items", "payments", "documents", "disputes"])
def test_lists_hold_exactly_the_own_rows(world: World, collection: str, person: str) -> None:
    expected = _own(world, collection)
    assert expected
    rows = world.as_(person).rows(f"/items/{collection}", fields="id")
    assert {row["id"] for row in rows} == expected
    assert len(rows) == len(expected), "no row twice, although the client has two people"


def test_the_own_client_is_the_only_one(world: World) -> None:
    assert world.directus.ids("maria", "/items/clients") == {world.one.client}


@pytest.mark.parametrize("person", ["maria", "zoe", "nobody", "james"])
@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/items/clients", "client"),
        ("/items/invoices", "sent"),
        ("/items/invoices", "draft"),
        ("/items/line_items", "line"),
        ("/items/payments", "payment"),
        ("/items/refunds", "refund"),
        ("/items/payment_disputes", "payment_dispute"),
        ("/items/documents", "visible"),
        ("/items/documents", "hidden"),
        ("/items/documents", "report"),
        ("/items/disputes", "dispute"),
        ("/items/notices", "notice"),
        ("/items/portal_access", "portal_access"),
        ("/files", "visible_file"),
        ("/files", "hidden_file"),
        ("/files", "report_file"),
        ("/files", "receipt_file"),
        ("/files", "logo_file"),
        ("/assets", "visible_file"),
        ("/assets", "hidden_file"),
        ("/assets", "report_file"),
        ("/assets", "receipt_file"),
        ("/assets", "logo_file"),
    ],
)
def test_a_foreign_row_is_refused_by_id(world: World, path: str, row: str, person: str) -> None:
    # A row of the other client; james is staff of client 2.
    foreign = getattr(world.one if person == "james" else world.two, row)
    assert world.as_(person).answer("GET", f"{path}/{foreign}")[0] == 403
    if path != "/assets":
        listed = world.as_(person).answer("GET", f"{path}?filter[id][_in]={foreign}&fields=id")
        assert listed[0] == 403 or listed[1]["data"] == []


def test_own_draft_hidden_document_and_files_are_refused(world: World) -> None:
    maria, one = world.as_("maria"), world.one
    for path in (
        f"/items/invoices/{one.draft}",
        f"/items/line_items/{one.draft_line}",
        f"/items/documents/{one.hidden}",
        f"/items/documents/{one.report}",
        f"/files/{one.hidden_file}",
        f"/assets/{one.hidden_file}",
        f"/assets/{one.report_file}",
    ):
        assert maria.answer("GET", path)[0] == 403, path


def test_a_draft_that_was_voided_stays_hidden_with_all_behind_it(world: World) -> None:
    directus, maria = world.directus, world.as_("maria")
    draft = new(directus, "/items/invoices", invoice(world.one.client))
    behind = {
        "line_items": new(
            directus, "/items/line_items", {"invoice": draft, "description": "x", "amount": "1.00"}
        ),
        "payments": new(
            directus,
            "/items/payments",
            {
                "invoice": draft,
                "client": world.one.client,
                "amount": "1.00",
                "currency": "USD",
                "method": "cash",
            },
        ),
        "disputes": new(directus, "/items/disputes", {"invoice": draft, "reason": "x"}),
    }
    assert world.as_("sofia").answer("PATCH", f"/items/invoices/{draft}", {"status": "void"})[0] == 200
    for collection, key in {"invoices": draft, **behind}.items():
        assert maria.answer("GET", f"/items/{collection}/{key}")[0] == 403, collection
        assert key not in directus.ids("maria", f"/items/{collection}"), collection
    withdrawn = maria.answer("PATCH", f"/items/disputes/{behind['disputes']}", {"status": "withdrawn"})
    assert withdrawn[0] == 403


def test_a_void_invoice_that_was_sent_stays_visible(world: World) -> None:
    assert world.as_("maria").answer("GET", f"/items/invoices/{world.one.void}")[0] == 200
    obrien = world.as_("siobhan").rows("/items/invoices", fields="id,status,sent_at")
    assert [row["sent_at"] is not None for row in obrien if row["status"] == "void"] == [True]


def test_own_sent_invoice_document_and_the_firms_logo_are_there(world: World) -> None:
    maria, one = world.as_("maria"), world.one
    for path in (
        f"/items/invoices/{one.sent}",
        f"/items/documents/{one.visible}",
        f"/files/{one.visible_file}",
        f"/assets/{one.visible_file}",
        f"/assets/{seed_id('file', 'logo.svg')}",
    ):
        assert maria.answer("GET", path)[0] == 200, path
    assert maria.call("GET", "/items/firm")["name"] == "Hartmann, Núñez & O'Brien"


def test_files_lists_only_own_documents_and_the_firms_logo(world: World) -> None:
    files = world.directus.ids("maria", "/files")
    documents = {row["file"] for row in world.as_("maria").rows("/items/documents") if row["file"]}
    assert files == documents | {seed_id("file", "logo.svg")}
    assert world.one.visible_file in files


def test_zipped_assets_hold_no_foreign_file(world: World) -> None:
    import io
    import zipfile

    body = {"ids": [world.one.visible_file, world.one.hidden_file, world.two.visible_file]}
    status, content = world.as_("maria").raw("POST", "/assets/files", body)
    assert status == 200
    assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 1


def test_exactly_the_fields_of_the_contract(world: World) -> None:
    maria = world.as_("maria")
    assert set(maria.call("GET", f"/items/line_items/{world.one.line}")) == LINE_FIELDS
    assert set(maria.call("GET", f"/items/payments/{world.one.payment}")) == PAYMENT_FIELDS
    assert not {"internal_notes", "pdf_error", "notices"} & set(
        maria.call("GET", f"/items/invoices/{world.one.sent}")
    )


@pytest.mark.parametrize(("collection", "field"), INTERNAL)
@pytest.mark.parametrize(
    "query",
    [
        "fields={0}",
        "sort={0}",
        "filter[{0}][_nnull]=true",
        "aggregate[count]={0}",
        "groupBy={0}",
        "fields=id,{0}",
    ],
)
def test_internal_fields_are_refused_in_every_part_of_a_query(
    world: World, collection: str, field: str, query: str
) -> None:
    status, answer = world.as_("maria").answer("GET", f"/items/{collection}?{query.format(field)}")
    if status == 200 and "fields" in query:
        # Directus leaves out a list of a collection one may not read instead of refusing it.
        assert field in {"notices", "refunds", "payment_disputes"}
        assert all(field not in row for row in answer["data"])
    else:
        assert (status, code_of(answer)) in {(403, "FORBIDDEN"), (400, "INVALID_QUERY")}


@pytest.mark.parametrize(
    "path",
    [
        "/items/invoices?filter[client][internal_notes][_nnull]=true",
        "/items/invoices?filter[client][assigned_staff][email][_contains]=sofia",
        "/items/invoices?filter[client][portal_users][email][_contains]=maria",
        "/items/documents?filter[file][uploaded_by][email][_nnull]=true",
        "/items/payments?filter[receipt][documents][title][_nnull]=true&fields=receipt.filename_disk",
        "/items/invoices?fields=client.internal_notes",
        "/items/invoices?sort=client.internal_notes",
        "/items/line_items?filter[invoice][internal_notes][_nnull]=true",
        "/items/disputes?fields=opened_by.password",
        "/users?filter[email][_contains]=sofia&fields=email,token",
    ],
)
def test_relations_lead_to_no_internal_field(world: World, path: str) -> None:
    status, _ = world.as_("maria").answer("GET", path)
    assert status == 403


@pytest.mark.parametrize("person", ["maria", "juergen", "zoe"])
@pytest.mark.parametrize("path", CLOSED)
def test_what_is_not_the_clients_is_closed(world: World, person: str, path: str) -> None:
    assert world.as_(person).answer("GET", path)[0] in {403, 404}


def test_aggregates_count_and_add_only_own_rows(world: World) -> None:
    maria = world.as_("maria")
    ids = _own(world, "invoices")
    own = [row for row in world.admin.rows("/items/invoices") if row["id"] in ids]
    [answer] = maria.call(
        "GET", "/items/invoices?aggregate[count]=*&aggregate[sum]=total&aggregate[countDistinct]=id"
    )
    assert int(answer["count"]) == len(own)
    assert int(answer["countDistinct"]["id"]) == len(own)
    # A sum leaves out what is null: an invoice that was sent and not yet seen by the invoice writer.
    totals = [Decimal(str(row["total"])) for row in own if row["total"] is not None]
    assert Decimal(str(answer["sum"]["total"])) == sum(totals)
    grouped = maria.call("GET", "/items/invoices?groupBy=status&aggregate[count]=*")
    assert "draft" not in {row["status"] for row in grouped}
    assert maria.answer("GET", "/items/invoices?meta=*&limit=1")[1]["meta"] == {
        "total_count": len(own),
        "filter_count": len(own),
    }


def test_nested_lists_and_search_stay_inside(world: World) -> None:
    maria = world.as_("maria")
    own = _own(world, "line_items")
    rows = maria.call("GET", "/items/invoices?fields=*.*&limit=-1&deep[line_items][_limit]=-1")
    seen = {line["id"] for row in rows for line in row["line_items"]}
    assert seen == own
    assert all(set(line) == LINE_FIELDS for row in rows for line in row["line_items"])
    assert maria.rows("/items/invoices", search="hidden") == []


def test_graphql_isolates_the_same_way(world: World) -> None:
    def ask(person: str, query: str) -> Any:
        return world.as_(person).answer("POST", "/graphql", {"query": query})[1]

    listed = ask("maria", "{ invoices(limit: -1) { id } }")["data"]["invoices"]
    assert {row["id"] for row in listed} == _own(world, "invoices")
    foreign = ask("maria", f'{{ invoices_by_id(id: "{world.two.sent}") {{ id }} }}')
    assert foreign["data"]["invoices_by_id"] is None
    assert "errors" in ask("maria", "{ invoices { internal_notes } }")
    assert "errors" in ask(
        "maria", f'mutation {{ update_invoices_item(id: "{world.one.sent}", data: {{total: 1}}) {{ id }} }}'
    )


def test_a_person_without_a_client_sees_nothing(world: World) -> None:
    zoe = world.as_("zoe")
    for collection in ("clients", "invoices", "line_items", "payments", "documents", "disputes"):
        assert zoe.rows(f"/items/{collection}") == []
        answer = zoe.answer("GET", f"/items/{collection}?aggregate[count]=*")[1]
        assert int(answer["data"][0]["count"]) == 0
    assert world.directus.ids("zoe", "/files") == {seed_id("file", "logo.svg")}


def test_rows_without_a_client_are_nobodys(world: World) -> None:
    unapplied = world.admin.call(
        "POST",
        "/items/payments",
        {"amount": "9.00", "currency": "USD", "status": "succeeded", "method": "card"},
    )["id"]
    for person in ("maria", "juergen", "zoe", "sofia", "james"):
        assert world.as_(person).answer("GET", f"/items/payments/{unapplied}")[0] == 403
    assert world.as_("ingrid").answer("GET", f"/items/payments/{unapplied}")[0] == 200


def test_of_people_only_oneself(world: World) -> None:
    assert world.directus.ids("maria", "/users") == {seed_id("user", "maria")}
    me = world.as_("maria").call("GET", "/users/me")
    assert set(me) == {"id", "email", "first_name", "last_name", "language", "client"}


@pytest.mark.parametrize(
    "path",
    ["/items/invoices", "/items/clients", "/items/firm", "/items/payments", "/files", "/users", "/flows"],
)
def test_nobody_reads_nothing(world: World, path: str) -> None:
    assert world.as_("nobody").answer("GET", path)[0] == 403
