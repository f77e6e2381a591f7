"""Payments and refunds that staff enter manually."""

from typing import Any

import pytest

from tests.security.directus.world import World, invoice, new, refused


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


def test_a_payment_without_invoice_or_with_anothers_client_isrefused(world: World) -> None:
    other = world.as_("sofia").call("POST", "/items/clients", {"name": "Other", "email": "o@example.com"})[
        "id"
    ]
    refused(
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
    refused(world.as_("ingrid").answer("PATCH", path, {"invoice": other}), 403, "PAYMENT_MOVED")
    for forbidden in (
        {"method": "cash"},
        {"currency": "EUR"},
        {"transaction_id": "pi_x"},
        {"amount_refunded": "1"},
    ):
        assert sofia.answer("PATCH", path, forbidden)[0] == 403
    assert sofia.answer("PATCH", path, {"amount": "0"})[0] == 400
    refused(sofia.answer("PATCH", path, {"status": "pending"}), 403, "INVALID_STATUS")
    assert sofia.answer("PATCH", path, {"status": "canceled"})[0] == 200
    refused(sofia.answer("PATCH", path, {"status": "succeeded"}), 403, "PAYMENT_FINAL")
    refused(sofia.answer("PATCH", path, {"amount": "1.00"}), 403, "PAYMENT_FINAL")
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
        refused(sofia.answer("PATCH", f"/items/payments/{pending}", change), 403, "STRIPE_PAYMENT")
    assert sofia.answer("PATCH", f"/items/payments/{pending}", {"status": "canceled"})[0] == 200
    for change in ({"status": "canceled"}, {"status": "failed"}, {"amount": "1.00"}, {"reference": "x"}):
        refused(
            sofia.answer("PATCH", f"/items/payments/{world.one.card_payment}", change), 403, "STRIPE_PAYMENT"
        )


def test_a_partner_assigns_an_unapplied_payment_once(world: World) -> None:
    ingrid, sofia = world.as_("ingrid"), world.as_("sofia")
    row = {"amount": "9.00", "currency": "USD", "status": "succeeded", "method": "card"}
    key = new(world.directus, "/items/payments", row)
    path = f"/items/payments/{key}"
    assert sofia.answer("PATCH", path, {"invoice": world.one.sent})[0] == 403
    euro = new(world.directus, "/items/payments", row | {"currency": "EUR"})
    refused(
        ingrid.answer("PATCH", f"/items/payments/{euro}", {"invoice": world.one.sent}),
        400,
        "DIFFERS_FROM_INVOICE",
    )
    refused(ingrid.answer("PATCH", path, {"client": world.one.client}), 400, "LINK_REQUIRED")
    refused(ingrid.answer("PATCH", path, {"invoice": world.one.sent, "amount": "1.00"}), 400, "ASSIGN_ONE")
    assert ingrid.call("PATCH", path, {"invoice": world.one.sent})["client"] == world.one.client
    refused(ingrid.answer("PATCH", path, {"invoice": world.two.sent}), 403, "PAYMENT_MOVED")


def test_refunds_by_hand_are_at_most_what_is_left(world: World) -> None:
    sofia = world.as_("sofia")
    payment = sofia.call("POST", "/items/payments", _payment(world, amount="10.00"))["id"]

    def refund(amount: str, **fields: Any) -> tuple[int, Any]:
        return sofia.answer(
            "POST", "/items/refunds", {"payment": payment, "amount": amount, "status": "succeeded", **fields}
        )

    refused(refund("10.01"), 400, "MORE_THAN_IS_LEFT")
    first = refund("7.00")
    assert first[0] == 200
    assert first[1]["data"]["currency"] == "USD"
    refused(refund("3.01"), 400, "MORE_THAN_IS_LEFT")
    assert refund("3.00", status="pending")[0] == 200
    refused(refund("0.01"), 400, "MORE_THAN_IS_LEFT")
    path = f"/items/refunds/{first[1]['data']['id']}"
    for change in ({"amount": "1.00"}, {"payment": world.one.payment}, {"stripe_refund": "re_x"}):
        assert sofia.answer("PATCH", path, change)[0] == 403
    assert sofia.answer("PATCH", path, {"status": "canceled"})[0] == 200
    refused(sofia.answer("PATCH", path, {"status": "succeeded"}), 403, "INVALID_STATUS")
    assert refund("7.00")[0] == 200
    refused(sofia.answer("PATCH", f"/items/payments/{payment}", {"amount": "9.00"}), 400, "BELOW_REFUNDS")


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
    refused(sofia.answer("POST", "/items/refunds", row), 403, "NOT_REFUNDABLE_BY_HAND")
    pending = sofia.call("POST", "/items/payments", _payment(world, status="pending"))["id"]
    refused(sofia.answer("POST", "/items/refunds", row | {"payment": pending}), 403, "NOT_REFUNDABLE_BY_HAND")
    by_hand = row | {"payment": world.one.payment}
    refused(
        sofia.answer("POST", "/items/refunds", by_hand | {"currency": "EUR"}), 400, "DIFFERS_FROM_PAYMENT"
    )
    assert sofia.answer("POST", "/items/refunds", by_hand | {"stripe_refund": "re_x"})[0] == 403
    assert sofia.answer("POST", "/items/refunds", by_hand | {"amount": "-1.00"})[0] == 400
