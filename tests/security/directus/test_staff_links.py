"""Staff cannot link to what they cannot read, through any endpoint; files cannot be taken over."""

from typing import Any

import pytest

from tests.security.directus.world import World, invoice, refused, upload


def _creations(world: World) -> dict[str, dict[str, Any]]:
    """A row staff may create, for every collection that has links."""
    one = world.one
    return {
        "clients": {"name": "X", "email": "x@example.com"},
        "invoices": invoice(one.client),
        "line_items": {"invoice": one.draft, "description": "x", "amount": "1.00"},
        "payments": {"invoice": one.sent, "amount": "1.00", "method": "cash", "status": "succeeded"},
        "refunds": {"payment": one.payment, "amount": "0.01", "status": "succeeded"},
        "documents": {"client": one.client, "invoice": one.sent, "type": "other", "title": "x"},
        "portal_access": {"client": one.client, "email": "x@example.com"},
    }


LINKS = [
    ("clients", "logo", "hidden_file"),
    ("invoices", "client", "client"),
    ("line_items", "invoice", "draft"),
    ("payments", "invoice", "sent"),
    ("payments", "client", "client"),
    ("refunds", "payment", "payment"),
    ("documents", "client", "client"),
    ("documents", "invoice", "sent"),
    ("documents", "file", "hidden_file"),
    ("portal_access", "client", "client"),
]


@pytest.mark.parametrize(
    "collection", ["clients", "invoices", "line_items", "payments", "refunds", "documents", "portal_access"]
)
def test_the_rows_these_tests_spoil_are_fine(world: World, collection: str) -> None:
    assert world.as_("sofia").answer("POST", f"/items/{collection}", _creations(world)[collection])[0] == 200


@pytest.mark.parametrize(("collection", "link", "row"), LINKS)
def test_a_link_to_a_foreign_row_isrefused(world: World, collection: str, link: str, row: str) -> None:
    body = _creations(world)[collection] | {link: getattr(world.two, row)}
    refused(world.as_("sofia").answer("POST", f"/items/{collection}", body), 403, "FORBIDDEN")
    unknown = _creations(world)[collection] | {link: "00000000-0000-4000-8000-000000000000"}
    assert world.as_("sofia").answer("POST", f"/items/{collection}", unknown)[0] == 403
    assert world.as_("sofia").answer("POST", f"/items/{collection}", body | {link: "no key"})[0] == 403


@pytest.mark.parametrize(("collection", "link", "row"), LINKS)
@pytest.mark.parametrize("shape", ["key only", "changed", "new", "list"])
def test_an_object_is_no_link(world: World, collection: str, link: str, row: str, shape: str) -> None:
    key = getattr(world.one, row)
    value: Any = {
        "key only": {"id": key},
        "changed": {"id": key, "title": "x"},
        "new": {"title": "x"},
        "list": [key],
    }[shape]
    body = _creations(world)[collection] | {link: value}
    refused(world.as_("sofia").answer("POST", f"/items/{collection}", body), 400, "LINK_MUST_BE_A_KEY")


@pytest.mark.parametrize(
    ("collection", "row", "link"),
    [("invoices", "draft", "client"), ("line_items", "draft_line", "invoice"), ("payments", "payment", "client"),
     ("payments", "payment", "invoice"), ("refunds", "refund", "payment"), ("portal_access", "portal_access", "client"),
     ("documents", "visible", "client")],
)  # fmt: skip
def test_a_link_is_not_emptied(world: World, collection: str, row: str, link: str) -> None:
    key = getattr(world.one, row)
    for person in ("sofia", "ingrid"):
        assert world.as_(person).answer("PATCH", f"/items/{collection}/{key}", {link: None})[0] in {400, 403}
    assert world.admin.call("GET", f"/items/{collection}/{key}")[link] is not None


@pytest.mark.parametrize(
    ("collection", "row", "link", "target"),
    [("invoices", "draft", "client", "client"), ("line_items", "draft_line", "invoice", "draft"),
     ("payments", "payment", "invoice", "sent"), ("payments", "payment", "client", "client"),
     ("refunds", "refund", "payment", "payment"), ("documents", "visible", "client", "client"),
     ("documents", "visible", "file", "hidden_file"), ("clients", "client", "logo", "hidden_file"),
     ("portal_access", "portal_access", "client", "client"), ("disputes", "dispute", "invoice", "sent")],
)  # fmt: skip
def test_a_row_is_not_moved_to_a_foreign_client(
    world: World, collection: str, row: str, link: str, target: str
) -> None:
    key, foreign = getattr(world.one, row), getattr(world.two, target)
    sofia = world.as_("sofia")
    refused(sofia.answer("PATCH", f"/items/{collection}/{key}", {link: foreign}), 403, "FORBIDDEN")
    refused(sofia.answer("PATCH", f"/items/{collection}", [{"id": key, link: foreign}]), 403, "FORBIDDEN")
    body = {"keys": [key], "data": {link: foreign}}
    refused(sofia.answer("PATCH", f"/items/{collection}", body), 403, "FORBIDDEN")
    assert world.admin.call("GET", f"/items/{collection}/{key}")[link] != foreign


def test_nested_rows_pass_the_same_guard(world: World) -> None:
    sofia, one, two = world.as_("sofia"), world.one, world.two
    path = f"/items/invoices/{one.draft}"
    file = {"title": "x", "type": "other", "client": one.client, "file": two.hidden_file}
    assert sofia.answer("PATCH", path, {"documents": {"create": [file]}})[0] == 403
    stolen_file = {"documents": {"create": [file | {"file": {"id": two.hidden_file, "title": "x"}}]}}
    assert sofia.answer("PATCH", path, stolen_file)[0] == 400
    assert sofia.answer("PATCH", path, {"line_items": {"update": [{"id": two.draft_line}]}})[0] == 403
    assert sofia.answer("PATCH", path, {"line_items": [two.draft_line]})[0] == 403
    assert sofia.answer("PATCH", path, {"payments": {"update": [{"id": two.payment, "note": "x"}]}})[0] == 403
    assert sofia.answer("PATCH", path, {"payments": {"update": [{"id": one.payment, "note": "x"}]}})[0] == 403
    assert sofia.answer("PATCH", path, {"payments": []})[0] in {200, 403}
    assert sofia.answer("PATCH", path, {"notices": {"create": [{"kind": "x", "recipient": "x"}]}})[0] == 403
    card = {"amount": "1.00", "method": "card", "status": "succeeded"}
    assert sofia.answer("PATCH", path, {"payments": {"create": [card]}})[0] == 400
    nested = invoice(
        one.client, line_items={"create": [{"description": "x", "amount": "1.00", "invoice": two.draft}]}
    )
    created = sofia.call("POST", "/items/invoices?fields=id,line_items.invoice", nested)
    assert [line["invoice"] for line in created["line_items"]] == [created["id"]]
    assert sofia.answer("PATCH", f"/items/clients/{one.client}", {"logo": {"id": two.hidden_file}})[0] == 400
    assert world.admin.call("GET", f"/items/line_items/{two.draft_line}")["invoice"] == two.draft


def test_a_document_is_its_invoices_clients(world: World) -> None:
    other = world.as_("sofia").call("POST", "/items/clients", {"name": "Other", "email": "o@example.com"})[
        "id"
    ]
    body = {"client": other, "invoice": world.one.sent, "type": "other"}
    refused(world.as_("sofia").answer("POST", "/items/documents", body), 400, "DIFFERS_FROM_INVOICE")
    refused(world.as_("sofia").answer("POST", "/items/documents", {"type": "other"}), 400, "LINK_REQUIRED")
    report = {"type": "report", "visible_to_client": True}
    refused(world.as_("sofia").answer("POST", "/items/documents", report), 400, "REPORT_IS_INTERNAL")
    body = {"type": "report"}
    refused(
        world.as_("sofia").answer("PATCH", f"/items/documents/{world.one.visible}", body),
        400,
        "REPORT_IS_INTERNAL",
    )


def test_own_uploads_and_files_of_own_clients_are_read(world: World) -> None:
    sofia, one, two = world.as_("sofia"), world.one, world.two
    status, answer = upload(sofia, title="Engagement letter")
    assert status == 200
    own = answer["data"]["id"]
    seen = world.directus.ids("sofia", "/files")
    assert {own, one.visible_file, one.hidden_file, one.receipt_file, one.logo_file} <= seen
    assert not {two.visible_file, two.hidden_file, two.receipt_file, two.logo_file} & seen
    for file in (two.visible_file, two.hidden_file, two.receipt_file, two.logo_file):
        assert sofia.answer("GET", f"/assets/{file}")[0] == 403
    assert world.as_("james").answer("GET", f"/files/{own}")[0] == 403


@pytest.mark.parametrize(
    "field",
    [{"filename_disk": "x.pdf"}, {"id": "5a1c0de0-0000-4000-8000-0000000000aa"}, {"uploaded_by": "x"}],
)
def test_only_the_functions_say_where_a_file_lies(world: World, field: dict[str, str]) -> None:
    sofia = world.as_("sofia")
    row = {"storage": "local", "type": "application/pdf", "filename_download": "x.pdf"}
    assert sofia.answer("POST", "/files", row | field)[0] == 403
    assert upload(sofia, **field)[0] == 403
    own = upload(sofia)[1]["data"]["id"]
    for change in (
        {"filename_disk": f"{world.two.hidden_file}.pdf"},
        {"storage": "s3"},
        {"uploaded_by": None},
        {"type": "text/html"},
    ):
        assert sofia.answer("PATCH", f"/files/{own}", change)[0] == 403
    assert sofia.answer("PATCH", f"/files/{own}", {"title": "New title"})[0] == 200
    assert sofia.answer("DELETE", f"/files/{own}")[0] == 403


def test_a_file_is_not_replaced(world: World) -> None:
    file = ("x.pdf", b"%PDF-1.4 replaced", "application/pdf")
    for person in ("sofia", "maria", "james", "nobody", "service"):
        answer = world.as_(person).form("PATCH", f"/files/{world.one.visible_file}", file)
        assert answer[0] == 403, person
    assert b"replaced" not in world.admin.raw("GET", f"/assets/{world.one.visible_file}")[1]


def test_files_are_not_linked_through_their_own_row(world: World) -> None:
    sofia, two = world.as_("sofia"), world.two
    own = upload(sofia)[1]["data"]["id"]
    document = {"create": [{"client": two.client, "type": "other"}]}
    for alias, value in (
        ("documents", document),
        ("client_logos", [two.client]),
        ("receipts", [two.payment]),
        ("firm_logo", []),
    ):
        assert sofia.answer("PATCH", f"/files/{own}", {alias: value})[0] == 403
