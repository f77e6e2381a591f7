"""The functions' service user: what it needs and not a field more."""

from typing import Any

import pytest

from tests.integration.directus.server import code_of
from tests.security.directus.world import World, new, sent_invoice

COLLECTIONS = [
    "clients", "invoices", "line_items", "payments", "refunds", "payment_disputes", "disputes", "documents",
    "notices", "stripe_events",
]  # fmt: skip
ROWS = {
    "clients": "client", "invoices": "sent", "line_items": "line", "payments": "payment", "refunds": "refund",
    "payment_disputes": "payment_dispute", "disputes": "dispute", "documents": "visible", "notices": "notice",
}  # fmt: skip


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_it_reads_what_it_works_on(world: World, collection: str) -> None:
    assert world.as_("service").answer("GET", f"/items/{collection}?limit=1")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/items/portal_access", "/roles", "/policies", "/permissions", "/flows", "/settings", "/activity", "/revisions",
        "/users?fields=password", "/users?fields=token", "/users?fields=role", "/users?fields=first_name",
        "/users?fields=email", "/users?fields=language", "/items/clients?fields=internal_notes",
        "/items/clients?fields=phone", "/items/clients?fields=assigned_staff", "/items/clients?fields=portal_users",
        "/items/clients?fields=portal_users.email", "/items/clients?fields=logo", "/schema/snapshot",
    ],
)  # fmt: skip
def test_it_does_not_read(world: World, path: str) -> None:
    assert world.as_("service").answer("GET", path)[0] == 403


@pytest.mark.parametrize("collection", sorted(ROWS))
def test_it_deletes_nothing(world: World, collection: str) -> None:
    row = getattr(world.one, ROWS[collection])
    assert world.as_("service").answer("DELETE", f"/items/{collection}/{row}")[0] == 403
    assert world.as_("service").answer("DELETE", f"/items/{collection}", [row])[0] == 403


def test_it_deletes_no_file(world: World) -> None:
    assert world.as_("service").answer("DELETE", f"/files/{world.one.visible_file}")[0] == 403
    assert world.as_("service").answer("PATCH", f"/files/{world.one.visible_file}", {"title": "x"})[0] == 403


@pytest.mark.parametrize(
    "collection", ["clients", "invoices", "line_items", "disputes", "portal_access", "firm"]
)
def test_it_does_not_create(world: World, collection: str) -> None:
    assert world.as_("service").answer("POST", f"/items/{collection}", {"note": "x"})[0] in {403, 404}


@pytest.mark.parametrize(
    ("collection", "row", "change"),
    [
        ("payments", "payment", {"invoice": "two.sent"}),
        ("payments", "payment", {"client": "two.client"}),
        ("payments", "payment", {"invoice": None}),
        ("payments", "payment", {"currency": "EUR"}),
        ("payments", "payment", {"reference": "x"}),
        ("payments", "payment", {"attempt": {"mode": "setup"}}),
        ("payments", "payment", {"expires_at": "2026-01-05T10:00:00Z"}),
        ("payments", "payment", {"refunds": {"create": [], "update": [{"id": "two.refund"}], "delete": []}}),
        ("payments", "payment", {"refunds": {"create": [], "update": [], "delete": ["one.refund"]}}),
        ("payments", "payment", {"refunds": []}),
        ("invoices", "sent", {"client": "two.client"}),
        ("invoices", "sent", {"currency": "EUR"}),
        ("invoices", "sent", {"invoice_number": "X"}),
        ("invoices", "sent", {"internal_notes": "X"}),
        ("invoices", "sent", {"tax_rate": "5"}),
        ("invoices", "sent", {"line_items": {"create": [{"description": "x", "amount": "1"}]}}),
        ("invoices", "sent", {"disputes": {"create": [{"reason": "x"}]}}),
        ("invoices", "sent", {"payments": []}),
        ("invoices", "sent", {"documents": {"create": [{"type": "invoice"}]}}),
        ("line_items", "line", {"amount": "1.00"}),
        ("clients", "client", {"email": "x@example.com"}),
        ("clients", "client", {"assigned_staff": None}),
        ("disputes", "dispute", {"status": "accepted"}),
        ("portal_access", "portal_access", {"status": "active"}),
        ("refunds", "refund", {"payment": "two.payment"}),
        ("refunds", "refund", {"amount": "1.00"}),
        ("refunds", "refund", {"currency": "EUR"}),
        ("refunds", "refund", {"stripe_refund": "re_other"}),
        ("payment_disputes", "payment_dispute", {"payment": "two.payment"}),
        ("payment_disputes", "payment_dispute", {"currency": "EUR"}),
        ("payment_disputes", "payment_dispute", {"stripe_dispute": "du_other"}),
        ("documents", "visible", {"visible_to_client": False}),
        ("documents", "visible", {"client": "two.client"}),
        ("documents", "visible", {"invoice": "two.sent"}),
        ("documents", "visible", {"payment": "one.payment"}),
        ("documents", "visible", {"title": "What a person has entered"}),
        ("documents", "visible", {"title": "What a person has entered", "version": 2}),
        ("documents", "visible", {"replaces": 1}),
        ("notices", "notice", {"recipient": "x@example.com"}),
        ("notices", "notice", {"invoice": "two.sent"}),
    ],
)
def test_it_does_not_change(world: World, collection: str, row: str, change: dict[str, Any]) -> None:
    replaced = {name: _named(world, value) for name, value in change.items()}
    key = getattr(world.one, row)
    assert world.as_("service").answer("PATCH", f"/items/{collection}/{key}", replaced)[0] == 403


def _named(world: World, value: Any) -> Any:
    """The value, with `one.x` and `two.x` replaced by those rows' ids."""
    if isinstance(value, dict):
        return {name: _named(world, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_named(world, inner) for inner in value]
    whose, _, row = value.partition(".") if isinstance(value, str) else ("", "", "")
    return getattr(getattr(world, whose), row) if whose in {"one", "two"} else value


def test_it_names_the_payment_of_an_old_receipt_once_and_never_another_one(world: World) -> None:
    row = {"client": world.one.client, "invoice": world.one.sent, "type": "receipt", "title": "Receipt"}
    receipt = new(world.directus, "/items/documents", row)
    changes = [
        {"payment": key} for key in (world.one.payment, world.one.card_payment, None, world.one.payment)
    ]
    path = f"/items/documents/{receipt}"
    answers = [world.as_("service").answer("PATCH", path, change)[0] for change in changes]
    assert answers == [200, 403, 403, 200]
    assert world.admin.call("GET", path)["payment"] == world.one.payment


def test_it_titles_a_version_that_was_replaced_and_no_other_document(world: World) -> None:
    def made(document_type: str, version: int, **columns: Any) -> str:
        row = {
            "client": world.one.client, "invoice": world.one.sent, "type": document_type, "version": version,
            "version_key": f"{document_type}:{world.one.sent}:{version}", "content_hash": f"{document_type}{version}",
            "title": "INV",
        }  # fmt: skip
        return new(world.directus, "/items/documents", row | columns)

    def titled(document: str, **columns: Any) -> int:
        return world.as_("service").answer(
            "PATCH", f"/items/documents/{document}", {"title": "x", **columns}
        )[0]

    first = made("invoice", 1)
    assert titled(first) == 403, "it is the current one"
    second, receipts = made("invoice", 2), [made("receipt", 1), made("receipt", 2)]
    scan = made("invoice", 1, content_hash=None, version_key=None)
    assert [titled(each) for each in (first, second, scan, *receipts)] == [200, 403, 403, 403, 403]
    key = {"version": 3, "version_key": f"invoice:{world.one.sent}:3"}
    assert [titled(first, **key), titled(second)] == [200, 200], "the version moves up, and with it the title"
    both = {"keys": [second, receipts[0]], "data": {"title": "y"}}
    assert world.as_("service").answer("PATCH", "/items/documents", both)[0] == 403
    assert titled(second, visible_to_client=False) == 403, "who sees it is not the functions' to say"


def test_it_shows_what_it_has_begun_once_and_with_its_file(world: World) -> None:
    """What staff hide afterwards stays hidden; of a receipt the functions say where its payment is."""
    service, maria = world.as_("service"), world.as_("maria")
    begun = {
        "client": world.one.client, "invoice": world.one.sent, "title": "INV", "content_hash": "x",
        "visible_to_client": False,
    }  # fmt: skip
    shows = {"visible_to_client": True, "file": world.one.visible_file, "sha256": "0" * 64}
    for document_type, again in (("invoice", 403), ("other", 403), ("receipt", 200)):
        path = f"/items/documents/{service.call('POST', '/items/documents', begun | {'type': document_type})['id']}"
        assert maria.answer("GET", path)[0] == 403
        assert world.as_("sofia").answer("PATCH", path, {"visible_to_client": True})[0] == 403, (
            "it has no file"
        )
        assert world.as_("sofia").answer("PATCH", path, {"title": "INV"})[0] == 200
        for missing in shows:
            part = {"visible_to_client": True} | {k: v for k, v in shows.items() if k != missing}
            assert missing == "visible_to_client" or service.answer("PATCH", path, part)[0] == 403
        assert maria.answer("GET", path)[0] == 403
        assert service.answer("PATCH", path, {**shows, "version": 1})[0] == 200
        assert maria.answer("GET", path)[0] == 200
        world.as_("sofia").call("PATCH", path, {"visible_to_client": False})
        assert service.answer("PATCH", path, shows)[0] == again
        world.admin.call("DELETE", path)


def test_it_never_shows_a_report_nor_what_people_have_added(world: World) -> None:
    service = world.as_("service")
    shows = {"file": world.one.visible_file, "sha256": "0" * 64}
    row = {"type": "report", "title": "R", "content_hash": "x", "visible_to_client": False}
    report = f"/items/documents/{service.call('POST', '/items/documents', row)['id']}"
    assert service.answer("PATCH", report, {**shows, "visible_to_client": True})[0] == 403
    assert service.answer("PATCH", report, {**shows, "visible_to_client": False})[0] == 200
    scan = {"client": world.one.client, "invoice": world.one.sent, "type": "invoice", "title": "Scan"}
    path = f"/items/documents/{new(world.directus, '/items/documents', scan)}"
    assert service.answer("PATCH", path, {**shows, "visible_to_client": True})[0] == 403


def test_it_never_drafts(world: World) -> None:
    change = {"status": "draft"}
    assert world.as_("service").answer("PATCH", f"/items/invoices/{world.one.sent}", change)[0] == 400


def test_it_changes_no_user(world: World) -> None:
    user = world.directus.seeded["clients"][0]["user"]
    for change in ({"client": world.two.client}, {"status": "suspended"}, {"role": None}):
        assert world.as_("service").answer("PATCH", f"/users/{user}", change)[0] == 403
    assert world.as_("service").answer("POST", "/users", {"email": "x@example.com"})[0] == 403


def test_it_books_a_payment_in_one_nested_change(world: World) -> None:
    service = world.as_("service")
    invoice = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    attempt = service.call(
        "POST",
        "/items/payments",
        {
            "invoice": invoice, "client": world.one.client, "amount": "100.00", "currency": "USD", "status": "pending",
            "open_claim": invoice, "attempt": {"mode": "payment"},
        },
    )  # fmt: skip
    facts = {
        "id": attempt["id"],
        "status": "succeeded",
        "transaction_id": f"pi_{invoice.replace('-', '')}",
        "open_claim": None,
    }
    booked = {
        "amount_paid": "100.00",
        "balance_due": "0.00",
        "status": "paid",
        "payments": {"update": [facts]},
    }
    service.call("PATCH", f"/items/invoices/{invoice}?fields=id", booked)
    row = world.admin.call("GET", f"/items/payments/{attempt['id']}")
    assert (row["status"], row["open_claim"], row["invoice"]) == ("succeeded", None, invoice)
    again = {
        "payments": {
            "create": [
                {
                    "client": world.one.client,
                    "amount": "1.00",
                    "currency": "USD",
                    "transaction_id": facts["transaction_id"],
                }
            ]
        }
    }
    status, answer = service.answer("PATCH", f"/items/invoices/{invoice}", again)
    assert (status, code_of(answer)) == (400, "RECORD_NOT_UNIQUE")


def test_a_second_open_claim_is_refused(world: World) -> None:
    invoice = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    claim = {
        "invoice": invoice, "client": world.one.client, "amount": "1.00", "currency": "USD", "status": "pending",
        "open_claim": invoice,
    }  # fmt: skip
    assert world.as_("service").answer("POST", "/items/payments", claim)[0] == 200
    status, answer = world.as_("service").answer("POST", "/items/payments", claim)
    assert (status, code_of(answer)) == (400, "RECORD_NOT_UNIQUE")
    assert answer["errors"][0]["extensions"]["field"] == "open_claim"


def test_it_registers_a_file_and_its_document(world: World) -> None:
    import uuid

    key = str(uuid.uuid4())
    file = {
        "id": key, "storage": "local", "filename_disk": f"{key}.pdf", "filename_download": "INV.pdf",
        "type": "application/pdf", "filesize": 10, "title": "INV",
    }  # fmt: skip
    assert world.as_("service").answer("POST", "/files", file)[0] == 200
    document = {
        "client": world.one.client, "invoice": world.one.sent, "type": "invoice", "file": key, "version": 1,
        "sha256": "0" * 64, "content_hash": "x", "visible_to_client": True, "title": "INV",
    }  # fmt: skip
    assert world.as_("service").answer("POST", "/items/documents", document)[0] == 200
    assert world.as_("maria").answer("GET", f"/files/{key}")[0] == 200
    assert world.as_("juergen").answer("GET", f"/files/{key}")[0] == 403


@pytest.mark.parametrize("field", ["transaction_id", "checkout_session", "open_claim"])
def test_an_empty_string_never_enters_a_unique_column(world: World, field: str) -> None:
    status, _ = world.as_("service").answer("PATCH", f"/items/payments/{world.one.card_payment}", {field: ""})
    assert status == 400
