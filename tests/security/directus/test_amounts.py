"""What counts as money, at every door through which people write it: an exact number its currency and column can hold."""

import re
from typing import Any

import pytest

from billing.money import MINIMUM_CHARGE, exponent_of
from directus.probe import EXTENSION
from tests.security.directus.world import World, invoice, new, refused, sent_invoice

#: Neither number nor decimal string, out of range, or finer than a cent.
NO_MONEY: list[Any] = [
    "NaN", "Infinity", "-ten", "", " 1.00", "1e3", "0x10", "1,00", "\uff11.00", {"a": 1}, [1], True,
    "1.005", 0.001, 1e-7, "1000000000000", "99999999999999999", 1e300, "9" * 1000,
]  # fmt: skip


def _yen(world: World) -> str:
    """A sent invoice in a currency without decimals."""
    row = sent_invoice(world.one.client, tax_rate="10") | {"currency": "JPY"}
    return new(world.directus, "/items/invoices", row)


#: Who writes an amount how: person, method, path, the row without the amount, the field.
type Door = tuple[str, str, str, dict[str, Any], str]


def _doors(sent: str, draft: str, payment: str, line: str) -> dict[str, Door]:
    """Every place where people write an amount."""
    return {
        "new discount": (
            "sofia", "POST", "/items/line_items", {"invoice": sent, "kind": "discount", "description": "x"}, "amount",
        ),
        "new fee": ("sofia", "POST", "/items/line_items", {"invoice": draft, "description": "x"}, "amount"),
        "changed fee": ("sofia", "PATCH", f"/items/line_items/{line}", {}, "amount"),
        "rate": ("sofia", "PATCH", f"/items/line_items/{line}", {}, "rate"),
        "cost price": ("sofia", "PATCH", f"/items/line_items/{line}", {}, "cost_price"),
        "new payment": (
            "sofia", "POST", "/items/payments", {"invoice": sent, "method": "wire", "status": "succeeded"}, "amount",
        ),
        "changed payment": ("sofia", "PATCH", f"/items/payments/{payment}", {}, "amount"),
        "refund": ("sofia", "POST", "/items/refunds", {"payment": payment, "status": "succeeded"}, "amount"),
        "objection": ("maria", "POST", "/items/disputes", {"invoice": sent, "reason": "x"}, "amount"),
        "subtotal": ("sofia", "PATCH", f"/items/invoices/{draft}", {}, "subtotal"),
        "tax": ("sofia", "PATCH", f"/items/invoices/{draft}", {}, "tax"),
        "total": ("sofia", "PATCH", f"/items/invoices/{draft}", {}, "total"),
    }  # fmt: skip


DOORS = [
    "new discount", "new fee", "changed fee", "rate", "cost price", "new payment", "changed payment", "refund",
    "objection", "subtotal", "tax", "total",
]  # fmt: skip


def _door(world: World, name: str, currency: str) -> Door:
    client = world.one.client
    sent = (
        _yen(world)
        if currency == "JPY"
        else new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    )
    draft = new(world.directus, "/items/invoices", invoice(client) | {"currency": currency})
    money = {"amount": "500.00", "currency": currency, "status": "succeeded", "method": "wire"}
    payment = new(world.directus, "/items/payments", money | {"invoice": sent, "client": client})
    line = new(world.directus, "/items/line_items", {"invoice": draft, "description": "x", "amount": "7.00"})
    return _doors(sent, draft, payment, line)[name]


@pytest.mark.parametrize("name", DOORS)
def test_what_is_no_money_enters_through_no_door(world: World, name: str) -> None:
    person, method, path, row, field = _door(world, name, "USD")
    for value in NO_MONEY:
        answer = world.as_(person).answer(method, path, row | {field: value})
        refused(answer, 400, "INVALID_AMOUNT")


@pytest.mark.parametrize("name", DOORS)
def test_a_currency_without_decimals_takes_whole_amounts_only(world: World, name: str) -> None:
    person, method, path, row, field = _door(world, name, "JPY")
    sign = "-" if name == "new discount" else ""
    for value in (f"{sign}10.50", float(f"{sign}10.5"), f"{sign}0.01"):
        refused(world.as_(person).answer(method, path, row | {field: value}), 400, "INVALID_AMOUNT")
    assert world.as_(person).answer(method, path, row | {field: f"{sign}10.00"})[0] == 200


@pytest.mark.parametrize("name", DOORS)
def test_cents_are_taken_as_string_and_as_number(world: World, name: str) -> None:
    person, method, path, row, field = _door(world, name, "USD")
    sign = -1 if name == "new discount" else 1
    for value in (sign * 10.5, f"{sign * 10.5}", f"{sign * 10}.500", sign * 11):
        assert world.as_(person).answer(method, path, row | {field: value})[0] == 200, value


@pytest.mark.parametrize("field", ["subtotal", "tax", "total"])
def test_a_new_invoice_holds_money_too(world: World, field: str) -> None:
    for value in ("NaN", "1.005", "99999999999999999"):
        row = invoice(world.one.client) | {field: value}
        refused(world.as_("sofia").answer("POST", "/items/invoices", row), 400, "INVALID_AMOUNT")
    yen = invoice(world.one.client) | {"currency": "JPY", field: "10.50"}
    refused(world.as_("sofia").answer("POST", "/items/invoices", yen), 400, "INVALID_AMOUNT")


def test_nested_lines_are_checked_in_the_currency_of_the_invoice_made_with_them(world: World) -> None:
    line = {"description": "x", "amount": "10.50"}
    row = invoice(world.one.client) | {"currency": "JPY", "line_items": {"create": [line]}}
    refused(world.as_("sofia").answer("POST", "/items/invoices", row), 400, "INVALID_AMOUNT")
    row["currency"] = "USD"
    assert world.as_("sofia").answer("POST", "/items/invoices", row)[0] == 200


@pytest.mark.parametrize("field", ["amount", "rate", "cost_price"])
def test_an_invoice_with_cents_does_not_become_one_in_yen(world: World, field: str) -> None:
    sofia = world.as_("sofia")
    draft = sofia.call("POST", "/items/invoices", invoice(world.one.client))["id"]
    line = {"invoice": draft, "description": "x", "amount": "7.00"} | {field: "10.50"}
    key = sofia.call("POST", "/items/line_items", line)["id"]
    yen = {"currency": "JPY"}
    refused(sofia.answer("PATCH", f"/items/invoices/{draft}", yen), 400, "INVALID_AMOUNT")
    assert sofia.answer("PATCH", f"/items/line_items/{key}", {field: "10.00"})[0] == 200
    sofia.call("PATCH", f"/items/invoices/{draft}", {"total": "10.50"})
    refused(sofia.answer("PATCH", f"/items/invoices/{draft}", yen), 400, "INVALID_AMOUNT")
    assert sofia.answer("PATCH", f"/items/invoices/{draft}", yen | {"total": None})[0] == 200


@pytest.mark.parametrize(
    ("collection", "row", "field", "most"),
    [("line_items", "draft_line", "hours", "999999.99"), ("line_items", "draft_line", "markup_percent", "999.9999"),
     ("invoices", "draft", "tax_rate", "999.9999")],
)  # fmt: skip
def test_hours_and_percentages_fit_their_columns(
    world: World, collection: str, row: str, field: str, most: str
) -> None:
    path, sofia = f"/items/{collection}/{getattr(world.one, row)}", world.as_("sofia")
    for value in ("NaN", {"a": 1}, f"{most}9", f"1{most}", 1e300):
        refused(sofia.answer("PATCH", path, {field: value}), 400, "INVALID_AMOUNT")
    assert sofia.answer("PATCH", path, {field: most})[0] == 200
    assert sofia.answer("PATCH", path, {field: None})[0] == 200


def test_discounts_never_add_up_to_a_total_without_a_column(world: World) -> None:
    sofia = world.as_("sofia")
    sent = new(world.directus, "/items/invoices", sent_invoice(world.one.client, tax_rate="10"))
    line = {"invoice": sent, "description": "x", "kind": "discount"}
    refused(
        sofia.answer("POST", "/items/line_items", line | {"amount": "-999999999999.99"}),
        400,
        "INVALID_AMOUNT",
    )
    assert sofia.answer("POST", "/items/line_items", line | {"amount": "-900000000000"})[0] == 200
    refused(
        sofia.answer("POST", "/items/line_items", line | {"amount": "-9999999999"}), 400, "INVALID_AMOUNT"
    )


def test_an_amount_in_a_foreign_row_is_refused_like_any_other(world: World) -> None:
    for amount in ("NaN", "10.00"):
        body = {"invoice": world.two.sent, "reason": "x", "amount": amount}
        refused(world.as_("maria").answer("POST", "/items/disputes", body), 403, "FORBIDDEN")
        line = f"/items/line_items/{world.two.draft_line}"
        refused(world.as_("sofia").answer("PATCH", line, {"amount": amount}), 403, "FORBIDDEN")


def test_administrators_and_the_functions_are_not_checked(world: World) -> None:
    line = {"invoice": _yen(world), "description": "x", "amount": "10.50"}
    assert world.admin.answer("POST", "/items/line_items", line)[0] == 200
    row = {"invoice": world.one.sent, "client": world.one.client, "currency": "JPY", "amount": "10.50"}
    assert world.as_("service").answer("POST", "/items/payments", row | {"status": "pending"})[0] == 200


def test_the_guard_knows_the_currencies_without_decimals() -> None:
    source = (EXTENSION / "dist/money.js").read_text("utf-8")
    found = re.search(r"WITHOUT_DECIMALS = \[([^\]]*)\]", source)
    assert found is not None
    named = set(re.findall(r"'([A-Z]{3})'", found.group(1)))
    assert named == {currency for currency in MINIMUM_CHARGE if exponent_of(currency) == 0}
    assert {exponent_of(currency) for currency in MINIMUM_CHARGE} == {0, 2}
