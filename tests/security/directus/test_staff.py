"""What staff can see and change: their own clients' rows, by the rules of the contract."""

from typing import Any

import pytest

from local.seed import seed_id
from tests.integration.directus.server import code_of
from tests.security.directus.world import World, invoice, new, sent_invoice, upload

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


def _refused(answer: tuple[int, Any], status: int, code: str) -> None:
    assert (answer[0], code_of(answer[1])) == (status, code), answer


# -- whose rows --------------------------------------------------------------------------------------------------------


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
    _refused((status, answer), 403, "FORBIDDEN")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert world.as_("sofia").answer("PATCH", f"/items/{collection}/{unknown}", CHANGES[collection]) == (
        status,
        answer,
    )
    frozen = {"client": world.one.client} if collection == "invoices" else CHANGES[collection]
    _refused(world.as_("sofia").answer("PATCH", f"/items/{collection}/{key}", frozen), 403, "FORBIDDEN")


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
    _refused(
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


# -- links -------------------------------------------------------------------------------------------------------------


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
def test_a_link_to_a_foreign_row_is_refused(world: World, collection: str, link: str, row: str) -> None:
    body = _creations(world)[collection] | {link: getattr(world.two, row)}
    _refused(world.as_("sofia").answer("POST", f"/items/{collection}", body), 403, "FORBIDDEN")
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
    _refused(world.as_("sofia").answer("POST", f"/items/{collection}", body), 400, "LINK_MUST_BE_A_KEY")


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
    _refused(sofia.answer("PATCH", f"/items/{collection}/{key}", {link: foreign}), 403, "FORBIDDEN")
    _refused(sofia.answer("PATCH", f"/items/{collection}", [{"id": key, link: foreign}]), 403, "FORBIDDEN")
    body = {"keys": [key], "data": {link: foreign}}
    _refused(sofia.answer("PATCH", f"/items/{collection}", body), 403, "FORBIDDEN")
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
    _refused(world.as_("sofia").answer("POST", "/items/documents", body), 400, "DIFFERS_FROM_INVOICE")
    _refused(world.as_("sofia").answer("POST", "/items/documents", {"type": "other"}), 400, "LINK_REQUIRED")
    report = {"type": "report", "visible_to_client": True}
    _refused(world.as_("sofia").answer("POST", "/items/documents", report), 400, "REPORT_IS_INTERNAL")
    body = {"type": "report"}
    _refused(
        world.as_("sofia").answer("PATCH", f"/items/documents/{world.one.visible}", body),
        400,
        "REPORT_IS_INTERNAL",
    )


# -- files -------------------------------------------------------------------------------------------------------------


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
    from urllib3.filepost import encode_multipart_formdata

    body, content_type = encode_multipart_formdata(
        {"file": ("x.pdf", b"%PDF-1.4 replaced", "application/pdf")}
    )
    for person in ("sofia", "maria", "james", "nobody", "service"):
        answer = world.as_(person).send("PATCH", f"/files/{world.one.visible_file}", body, content_type)
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


# -- invoices ----------------------------------------------------------------------------------------------------------

KEPT = [
    "amount_paid",
    "balance_due",
    "sent_at",
    "pdf_status",
    "pdf_error",
    "notices",
    "disputes",
    "id",
    "date_created",
]
VALUES: dict[str, Any] = {
    "amount_paid": "1.00", "balance_due": "1.00", "sent_at": "2026-01-01T00:00:00Z", "pdf_status": "ready",
    "pdf_error": "x", "notices": [], "disputes": [], "id": "5a1c0de0-0000-4000-8000-0000000000ab", "date_created": None,
}  # fmt: skip


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
@pytest.mark.parametrize("field", KEPT)
def test_what_the_functions_keep_is_never_written_by_staff(world: World, field: str, person: str) -> None:
    change = {field: VALUES[field]}
    if field != "id":  # Directus takes the key in the path and drops the one in the body of arrays only
        assert world.as_(person).answer("PATCH", f"/items/invoices/{world.one.draft}", change)[0] == 403
    assert world.as_(person).answer("POST", "/items/invoices", invoice(world.one.client) | change)[0] == 403


@pytest.mark.parametrize("status", ["draft", "partially_paid", "paid", "overdue", "nonsense", None])
def test_into_status_only_sent_or_void(world: World, status: str | None) -> None:
    assert (
        world.as_("sofia").answer("PATCH", f"/items/invoices/{world.one.sent}", {"status": status})[0] == 400
    )


@pytest.mark.parametrize("status", ["partially_paid", "paid", "overdue", "void"])
def test_a_new_invoice_is_a_draft_or_sent(world: World, status: str) -> None:
    assert (
        world.as_("sofia").answer("POST", "/items/invoices", invoice(world.one.client, status=status))[0]
        == 400
    )


def test_void_is_final(world: World) -> None:
    _refused(
        world.as_("sofia").answer("PATCH", f"/items/invoices/{world.one.void}", {"status": "sent"}),
        403,
        "INVOICE_VOID",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("currency", "EUR"), ("invoice_number", "X-1"), ("issue_date", "2026-02-01"), ("subtotal", "1.00"),
     ("tax_rate", "5"), ("tax", "1.00"), ("total", "1.00"), ("total", None)],
)  # fmt: skip
def test_a_sent_invoice_is_frozen(world: World, field: str, value: Any) -> None:
    for person in ("sofia", "ingrid"):
        answer = world.as_(person).answer("PATCH", f"/items/invoices/{world.one.sent}", {field: value})
        _refused(answer, 403, "INVOICE_FROZEN")
    many = {"keys": [world.one.draft, world.one.sent], "data": {field: value}}
    _refused(world.as_("sofia").answer("PATCH", "/items/invoices", many), 403, "INVOICE_FROZEN")


def test_the_same_value_and_what_is_not_frozen_may_be_saved(world: World) -> None:
    change = {
        "total": "100.00",
        "currency": "USD",
        "client": world.one.client,
        "due_date": "2030-01-01",
        "internal_notes": "hidden",
    }
    assert world.as_("sofia").answer("PATCH", f"/items/invoices/{world.one.sent}", change)[0] == 200


def test_a_line_edit_and_sending_go_in_one_save(world: World) -> None:
    sofia = world.as_("sofia")
    draft = sofia.call("POST", "/items/invoices", invoice(world.one.client))["id"]
    save = {"status": "sent", "line_items": {"create": [{"description": "x", "amount": "5.00"}]}}
    assert sofia.answer("PATCH", f"/items/invoices/{draft}", save)[0] == 200


def test_lines_of_a_sent_invoice_are_frozen_except_for_a_new_discount(world: World) -> None:
    sofia = world.as_("sofia")
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    line = new(world.directus, "/items/line_items", {"invoice": sent, "description": "x", "amount": "100.00"})
    fee = {"invoice": sent, "description": "x", "amount": "5.00"}
    _refused(sofia.answer("POST", "/items/line_items", fee), 403, "INVOICE_FROZEN")
    _refused(sofia.answer("POST", "/items/line_items", fee | {"kind": "expense"}), 403, "INVOICE_FROZEN")
    _refused(
        sofia.answer("POST", "/items/line_items", fee | {"kind": "discount"}),
        400,
        "DISCOUNT_MUST_BE_NEGATIVE",
    )
    _refused(sofia.answer("PATCH", f"/items/line_items/{line}", {"amount": "5.00"}), 403, "INVOICE_FROZEN")
    nested = {"line_items": {"create": [{"description": "x", "amount": "5.00"}]}}
    _refused(sofia.answer("PATCH", f"/items/invoices/{sent}", nested), 403, "INVOICE_FROZEN")
    nested = {"line_items": {"update": [{"id": line, "amount": "5.00"}]}}
    _refused(sofia.answer("PATCH", f"/items/invoices/{sent}", nested), 403, "INVOICE_FROZEN")
    assert sofia.answer("PATCH", f"/items/invoices/{sent}", {"line_items": []})[0] == 403
    discount = fee | {"kind": "discount", "amount": "-5.00"}
    assert sofia.answer("POST", "/items/line_items", discount)[0] == 200
    nested = {"line_items": {"create": [{"description": "x", "amount": "-5.00", "kind": "discount"}]}}
    assert sofia.answer("PATCH", f"/items/invoices/{sent}", nested)[0] == 200
    [added] = world.admin.rows(
        "/items/line_items",
        filter={"_and": [{"invoice": {"_eq": sent}}, {"kind": {"_eq": "discount"}}]},
        limit="1",
    )
    _refused(
        sofia.answer("PATCH", f"/items/line_items/{added['id']}", {"amount": "-50.00"}), 403, "INVOICE_FROZEN"
    )
    assert sofia.answer("DELETE", f"/items/line_items/{added['id']}")[0] == 403


def test_the_client_of_an_invoice_with_payments_stays(world: World) -> None:
    sofia = world.as_("sofia")
    other = sofia.call("POST", "/items/clients", {"name": "Other", "email": "o@example.com"})["id"]
    draft = sofia.call("POST", "/items/invoices", invoice(world.one.client))["id"]
    assert sofia.answer("PATCH", f"/items/invoices/{draft}", {"client": other})[0] == 200
    sofia.call(
        "POST",
        "/items/payments",
        {"invoice": draft, "amount": "1.00", "method": "cash", "status": "succeeded"},
    )
    change = {"client": world.one.client}
    _refused(sofia.answer("PATCH", f"/items/invoices/{draft}", change), 403, "INVOICE_HAS_RECORDS")


# -- payments and refunds ----------------------------------------------------------------------------------------------


def _payment(world: World, **fields: Any) -> dict[str, Any]:
    return {"invoice": world.one.sent, "amount": "10.00", "method": "check", "status": "succeeded", **fields}


def test_a_payment_by_hand_takes_client_and_currency_from_its_invoice(world: World) -> None:
    row = world.as_("sofia").call(
        "POST", "/items/payments", _payment(world, reference="Check 7", note="x", payment_date="2026-01-09")
    )
    assert (row["client"], row["currency"]) == (world.one.client, "USD")


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [("method", "card", 400), ("method", "us_bank_account", 400), ("method", None, 400), ("amount", "0", 400),
     ("amount", "-1.00", 400), ("status", "processing", 400), ("status", "failed", 400), ("status", "canceled", 400),
     ("currency", "EUR", 400), ("invoice", None, 400), ("transaction_id", "pi_x", 403), ("checkout_session", "cs_x", 403),
     ("open_claim", "x", 403), ("amount_refunded", "1.00", 403), ("fee", "1.00", 403), ("receipt", None, 403),
     ("last4", "4242", 403), ("attempt", {}, 403), ("expires_at", None, 403), ("refunds", [], 403), ("id", "x", 403)],
)  # fmt: skip
def test_a_payment_by_hand_is_only_what_the_contract_says(
    world: World, field: str, value: Any, status: int
) -> None:
    assert (
        world.as_("sofia").answer("POST", "/items/payments", _payment(world, **{field: value}))[0] == status
    )


def test_a_payment_without_invoice_or_with_anothers_client_is_refused(world: World) -> None:
    other = world.as_("sofia").call("POST", "/items/clients", {"name": "Other", "email": "o@example.com"})[
        "id"
    ]
    _refused(
        world.as_("sofia").answer("POST", "/items/payments", _payment(world, client=other)),
        400,
        "DIFFERS_FROM_INVOICE",
    )
    row = _payment(world)
    del row["invoice"]
    assert world.as_("sofia").answer("POST", "/items/payments", row)[0] == 400


def test_a_payment_by_hand_is_edited_but_never_moved(world: World) -> None:
    sofia = world.as_("sofia")
    key = sofia.call("POST", "/items/payments", _payment(world, status="pending"))["id"]
    path = f"/items/payments/{key}"
    other = sofia.call("POST", "/items/invoices", invoice(world.one.client))["id"]
    change = {
        "amount": "11.00",
        "payment_date": "2026-01-02",
        "reference": "x",
        "note": "y",
        "status": "succeeded",
    }
    assert sofia.answer("PATCH", path, change)[0] == 200
    assert sofia.answer("PATCH", path, {"invoice": other})[0] == 403
    _refused(world.as_("ingrid").answer("PATCH", path, {"invoice": other}), 403, "PAYMENT_MOVED")
    for refused in (
        {"method": "cash"},
        {"currency": "EUR"},
        {"transaction_id": "pi_x"},
        {"amount_refunded": "1"},
    ):
        assert sofia.answer("PATCH", path, refused)[0] == 403
    assert sofia.answer("PATCH", path, {"amount": "0"})[0] == 400
    _refused(sofia.answer("PATCH", path, {"status": "pending"}), 403, "INVALID_STATUS")
    assert sofia.answer("PATCH", path, {"status": "canceled"})[0] == 200
    _refused(sofia.answer("PATCH", path, {"status": "succeeded"}), 403, "PAYMENT_FINAL")
    _refused(sofia.answer("PATCH", path, {"amount": "1.00"}), 403, "PAYMENT_FINAL")
    assert sofia.answer("PATCH", path, {"note": "bounced"})[0] == 200


def test_of_a_stripe_payment_only_a_pending_one_is_canceled(world: World) -> None:
    sofia = world.as_("sofia")
    pending = new(
        world.directus,
        "/items/payments",
        {
            "invoice": world.one.sent,
            "client": world.one.client,
            "amount": "5.00",
            "currency": "USD",
            "status": "pending",
        },
    )
    for change in (
        {"amount": "1.00"},
        {"note": "x"},
        {"status": "succeeded"},
        {"status": "canceled", "note": "x"},
    ):
        _refused(sofia.answer("PATCH", f"/items/payments/{pending}", change), 403, "STRIPE_PAYMENT")
    assert sofia.answer("PATCH", f"/items/payments/{pending}", {"status": "canceled"})[0] == 200
    for change in ({"status": "canceled"}, {"status": "failed"}, {"amount": "1.00"}, {"reference": "x"}):
        _refused(
            sofia.answer("PATCH", f"/items/payments/{world.one.card_payment}", change), 403, "STRIPE_PAYMENT"
        )


def test_a_partner_assigns_an_unapplied_payment_once(world: World) -> None:
    ingrid, sofia = world.as_("ingrid"), world.as_("sofia")
    row = {"amount": "9.00", "currency": "USD", "status": "succeeded", "method": "card"}
    key = new(world.directus, "/items/payments", row)
    path = f"/items/payments/{key}"
    assert sofia.answer("PATCH", path, {"invoice": world.one.sent})[0] == 403
    euro = new(world.directus, "/items/payments", row | {"currency": "EUR"})
    _refused(
        ingrid.answer("PATCH", f"/items/payments/{euro}", {"invoice": world.one.sent}),
        400,
        "DIFFERS_FROM_INVOICE",
    )
    _refused(ingrid.answer("PATCH", path, {"client": world.one.client}), 400, "LINK_REQUIRED")
    _refused(ingrid.answer("PATCH", path, {"invoice": world.one.sent, "amount": "1.00"}), 400, "ASSIGN_ONE")
    assert ingrid.call("PATCH", path, {"invoice": world.one.sent})["client"] == world.one.client
    _refused(ingrid.answer("PATCH", path, {"invoice": world.two.sent}), 403, "PAYMENT_MOVED")


def test_refunds_by_hand_are_at_most_what_is_left(world: World) -> None:
    sofia = world.as_("sofia")
    payment = sofia.call("POST", "/items/payments", _payment(world, amount="10.00"))["id"]

    def refund(amount: str, **fields: Any) -> tuple[int, Any]:
        return sofia.answer(
            "POST", "/items/refunds", {"payment": payment, "amount": amount, "status": "succeeded", **fields}
        )

    _refused(refund("10.01"), 400, "MORE_THAN_IS_LEFT")
    first = refund("7.00")
    assert first[0] == 200
    assert first[1]["data"]["currency"] == "USD"
    _refused(refund("3.01"), 400, "MORE_THAN_IS_LEFT")
    assert refund("3.00", status="pending")[0] == 200
    _refused(refund("0.01"), 400, "MORE_THAN_IS_LEFT")
    path = f"/items/refunds/{first[1]['data']['id']}"
    for change in ({"amount": "1.00"}, {"payment": world.one.payment}, {"stripe_refund": "re_x"}):
        assert sofia.answer("PATCH", path, change)[0] == 403
    assert sofia.answer("PATCH", path, {"status": "canceled"})[0] == 200
    _refused(sofia.answer("PATCH", path, {"status": "succeeded"}), 403, "INVALID_STATUS")
    assert refund("7.00")[0] == 200
    _refused(sofia.answer("PATCH", f"/items/payments/{payment}", {"amount": "9.00"}), 400, "BELOW_REFUNDS")


def test_two_refunds_at_the_same_moment_do_not_take_the_same_money(world: World) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from directus.rest import Directus

    payment = world.as_("sofia").call("POST", "/items/payments", _payment(world, amount="10.00"))["id"]
    body = {"payment": payment, "amount": "6.00", "status": "succeeded"}

    def enter(_: int) -> int:
        with Directus(world.directus.url, world.directus.tokens["sofia"]) as sofia:
            return sofia.answer("POST", "/items/refunds", body)[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(enter, range(8)))
    assert sorted(statuses) == [200, *[400] * 7]


def test_only_payments_by_hand_are_refunded_by_hand(world: World) -> None:
    sofia = world.as_("sofia")
    row = {"payment": world.one.card_payment, "amount": "1.00", "status": "succeeded"}
    _refused(sofia.answer("POST", "/items/refunds", row), 403, "NOT_REFUNDABLE_BY_HAND")
    pending = sofia.call("POST", "/items/payments", _payment(world, status="pending"))["id"]
    _refused(
        sofia.answer("POST", "/items/refunds", row | {"payment": pending}), 403, "NOT_REFUNDABLE_BY_HAND"
    )
    by_hand = row | {"payment": world.one.payment}
    _refused(
        sofia.answer("POST", "/items/refunds", by_hand | {"currency": "EUR"}), 400, "DIFFERS_FROM_PAYMENT"
    )
    assert sofia.answer("POST", "/items/refunds", by_hand | {"stripe_refund": "re_x"})[0] == 403
    assert sofia.answer("POST", "/items/refunds", by_hand | {"amount": "-1.00"})[0] == 400


# -- objections --------------------------------------------------------------------------------------------------------


def test_an_objection_with_an_amount_is_accepted_only_with_its_discount(world: World) -> None:
    sofia = world.as_("sofia")
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    dispute = world.as_("maria").call(
        "POST", "/items/disputes", {"invoice": sent, "reason": "x", "amount": "10.00"}
    )["id"]
    path = f"/items/disputes/{dispute}"
    _refused(sofia.answer("PATCH", path, {"status": "accepted"}), 403, "DISCOUNT_FIRST")
    discount = {"invoice": sent, "description": "Agreed", "amount": "-10.00", "kind": "discount"}
    sofia.call("POST", "/items/line_items", discount)
    assert sofia.answer("PATCH", path, {"status": "accepted"})[0] == 200
    assert sofia.answer("PATCH", path, {"status": "rejected"})[0] == 403


def test_staff_neither_open_withdraw_nor_rewrite_objections(world: World) -> None:
    sofia = world.as_("sofia")
    assert sofia.answer("POST", "/items/disputes", {"invoice": world.one.sent, "reason": "x"})[0] == 403
    for change in ({"status": "withdrawn"}, {"status": "open"}):
        assert sofia.answer("PATCH", f"/items/disputes/{world.one.dispute}", change)[0] == 400
    for refused in ({"reason": "x"}, {"amount": "1.00"}, {"line_item": world.one.line}, {"opened_by": None}):
        assert sofia.answer("PATCH", f"/items/disputes/{world.one.dispute}", refused)[0] == 403


# -- the rest ----------------------------------------------------------------------------------------------------------


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
