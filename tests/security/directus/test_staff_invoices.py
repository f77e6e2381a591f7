"""Invoices, lines and objections: what staff may write, and what is frozen."""

from typing import Any

import pytest

from tests.security.directus.world import World, invoice, new, refused, sent_invoice

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
    refused(
        world.as_("sofia").answer("PATCH", f"/items/invoices/{world.one.void}", {"status": "sent"}),
        403,
        "INVOICE_VOID",
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("currency", "EUR"), ("invoice_number", "X-1"), ("issue_date", "2026-02-01"), ("subtotal", "1.00"),
     ("tax_rate", "5"), ("tax", "1.00"), ("total", "1.00"), ("total", None), ("tax_category", "exempt"),
     ("tax_exemption_reason", "None of our business")],
)  # fmt: skip
def test_a_sent_invoice_is_frozen(world: World, field: str, value: Any) -> None:
    for person in ("sofia", "ingrid"):
        answer = world.as_(person).answer("PATCH", f"/items/invoices/{world.one.sent}", {field: value})
        refused(answer, 403, "INVOICE_FROZEN")
    many = {"keys": [world.one.draft, world.one.sent], "data": {field: value}}
    refused(world.as_("sofia").answer("PATCH", "/items/invoices", many), 403, "INVOICE_FROZEN")


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
    refused(sofia.answer("POST", "/items/line_items", fee), 403, "INVOICE_FROZEN")
    refused(sofia.answer("POST", "/items/line_items", fee | {"kind": "expense"}), 403, "INVOICE_FROZEN")
    refused(
        sofia.answer("POST", "/items/line_items", fee | {"kind": "discount"}),
        400,
        "DISCOUNT_MUST_BE_NEGATIVE",
    )
    refused(sofia.answer("PATCH", f"/items/line_items/{line}", {"amount": "5.00"}), 403, "INVOICE_FROZEN")
    nested = {"line_items": {"create": [{"description": "x", "amount": "5.00"}]}}
    refused(sofia.answer("PATCH", f"/items/invoices/{sent}", nested), 403, "INVOICE_FROZEN")
    nested = {"line_items": {"update": [{"id": line, "amount": "5.00"}]}}
    refused(sofia.answer("PATCH", f"/items/invoices/{sent}", nested), 403, "INVOICE_FROZEN")
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
    refused(
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
    refused(sofia.answer("PATCH", f"/items/invoices/{draft}", change), 403, "INVOICE_HAS_RECORDS")


def test_an_objection_with_an_amount_is_accepted_only_with_its_discount(world: World) -> None:
    sofia = world.as_("sofia")
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    dispute = world.as_("maria").call(
        "POST", "/items/disputes", {"invoice": sent, "reason": "x", "amount": "10.00"}
    )["id"]
    path = f"/items/disputes/{dispute}"
    refused(sofia.answer("PATCH", path, {"status": "accepted"}), 403, "DISCOUNT_FIRST")
    discount = {"invoice": sent, "description": "Agreed", "amount": "-10.00", "kind": "discount"}
    sofia.call("POST", "/items/line_items", discount)
    assert sofia.answer("PATCH", path, {"status": "accepted"})[0] == 200
    assert sofia.answer("PATCH", path, {"status": "rejected"})[0] == 403


def _objections(world: World, sent: str, *amounts: str) -> list[str]:
    return [
        world.as_("maria").call(
            "POST", "/items/disputes", {"invoice": sent, "reason": "x", "amount": amount}
        )["id"]
        for amount in amounts
    ]


def _discount(world: World, sent: str, amount: str) -> None:
    line = {"invoice": sent, "description": "Agreed", "amount": amount, "kind": "discount"}
    world.as_("sofia").call("POST", "/items/line_items", line)


def test_discounts_must_come_to_what_is_accepted(world: World) -> None:
    sofia = world.as_("sofia")
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    _discount(world, sent, "-50.00")  # agreed before the client objected
    first, second = _objections(world, sent, "30.00", "30.00")
    accepted = {"status": "accepted"}
    refused(sofia.answer("PATCH", f"/items/disputes/{first}", accepted), 403, "DISCOUNT_FIRST")
    _discount(world, sent, "-0.01")
    refused(sofia.answer("PATCH", f"/items/disputes/{first}", accepted), 403, "DISCOUNT_FIRST")
    _discount(world, sent, "-29.99")
    both = {"keys": [first, second], "data": accepted}
    refused(sofia.answer("PATCH", "/items/disputes", both), 403, "DISCOUNT_FIRST")
    each = [{"id": first, **accepted}, {"id": second, **accepted}]
    refused(sofia.answer("PATCH", "/items/disputes", each), 403, "DISCOUNT_FIRST")
    assert sofia.answer("PATCH", f"/items/disputes/{first}", accepted)[0] == 200
    refused(sofia.answer("PATCH", f"/items/disputes/{second}", accepted), 403, "DISCOUNT_FIRST")
    _discount(world, sent, "-30.00")
    assert sofia.answer("PATCH", f"/items/disputes/{second}", accepted)[0] == 200


def test_two_objections_are_accepted_at_once_with_one_discount_for_both(world: World) -> None:
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    keys = _objections(world, sent, "10.00", "20.00")
    _discount(world, sent, "-30.00")
    both = {"keys": keys, "data": {"status": "accepted"}}
    assert world.as_("sofia").answer("PATCH", "/items/disputes", both)[0] == 200


@pytest.mark.parametrize(
    ("money", "objection", "short", "enough"),
    [
        ({"currency": "USD", "tax_rate": "19"}, "300.00", "-252.09", "-252.10"),
        ({"currency": "JPY", "tax_rate": "10"}, "1000.00", "-908", "-909"),
    ],
)
def test_the_discount_counts_with_its_tax(
    world: World, money: dict[str, str], objection: str, short: str, enough: str
) -> None:
    # 252.09 + 47.90 = 299.99 and 252.10 + 47.90 = 300.00; 908 + 91 = 999 and 909 + 91 = 1000.
    for discount, status in ((short, 403), (enough, 200)):
        sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client) | money)
        [key] = _objections(world, sent, objection)
        _discount(world, sent, discount)
        answer = world.as_("sofia").answer("PATCH", f"/items/disputes/{key}", {"status": "accepted"})
        assert answer[0] == status, (discount, answer)


def test_staff_neither_open_withdraw_nor_rewrite_objections(world: World) -> None:
    sofia = world.as_("sofia")
    assert sofia.answer("POST", "/items/disputes", {"invoice": world.one.sent, "reason": "x"})[0] == 403
    for change in ({"status": "withdrawn"}, {"status": "open"}):
        assert sofia.answer("PATCH", f"/items/disputes/{world.one.dispute}", change)[0] == 400
    for forbidden in (
        {"reason": "x"},
        {"amount": "1.00"},
        {"line_item": world.one.line},
        {"opened_by": None},
    ):
        assert sofia.answer("PATCH", f"/items/disputes/{world.one.dispute}", forbidden)[0] == 403
