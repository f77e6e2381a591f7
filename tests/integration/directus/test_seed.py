"""The seed data are what the contract promises, and add up."""

from collections import Counter
from decimal import Decimal
from typing import Any

from local.seed import seed, seed_id
from tests.integration.directus.server import ADMIN_TOKEN, RunningDirectus


def _money(value: Any) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def test_clients_and_staff_stand_in_the_contracts_order(directus: RunningDirectus) -> None:
    staff, clients = directus.seeded["staff"], directus.seeded["clients"]
    assigned = {row["id"]: row["assigned_staff"] for row in directus.admin.rows("/items/clients")}
    assert assigned[clients[0]["client"]] == staff[0]["id"]
    assert assigned[clients[1]["client"]] == staff[1]["id"]
    per_client = Counter(login["client"] for login in clients)
    assert len(per_client) >= 3
    assert per_client[clients[0]["client"]] == 2
    [unlinked] = directus.seeded["unlinked"]
    user = directus.admin.call("GET", f"/users/{unlinked['user']}?fields=client,role.name")
    assert user == {"client": None, "role": {"name": "Client"}}


def test_everybody_can_log_in(directus: RunningDirectus) -> None:
    # A second run sets new passwords and writes nothing else.
    before = {row["id"] for row in directus.admin.rows("/items/line_items", fields="id")}
    directus.seeded = seed(directus.url, ADMIN_TOKEN)
    assert {row["id"] for row in directus.admin.rows("/items/line_items", fields="id")} == before
    for login in [login for logins in directus.seeded.values() for login in logins]:
        body = {"email": login["email"], "password": login["password"]}
        assert directus.nobody.answer("POST", "/auth/login", body)[0] == 200


def test_invoices_in_every_status_and_currency_add_up(directus: RunningDirectus) -> None:
    numbers = {seed_id("invoice", f"HNO-{number:04d}") for number in range(200)}
    invoices = [row for row in directus.admin.rows("/items/invoices") if row["id"] in numbers]
    assert {row["status"] for row in invoices} == {
        "draft",
        "sent",
        "partially_paid",
        "paid",
        "overdue",
        "void",
    }
    assert {row["currency"] for row in invoices} == {"USD", "EUR", "JPY"}
    lines: dict[str, list[Decimal]] = {}
    for row in directus.admin.rows("/items/line_items"):
        lines.setdefault(row["invoice"], []).append(_money(row["amount"]))
    paid: dict[str, Decimal] = {}
    for row in directus.admin.rows("/items/payments", filter={"status": {"_eq": "succeeded"}}):
        paid[row["invoice"]] = paid.get(row["invoice"], Decimal(0)) + _money(row["amount"])
    assert max(len(amounts) for amounts in lines.values()) == 150
    for row in invoices:
        if row["status"] == "draft":
            assert row["sent_at"] is row["total"] is None
            continue
        assert row["sent_at"] is not None
        assert _money(row["subtotal"]) == sum(lines[row["id"]])
        assert _money(row["total"]) == _money(row["subtotal"]) + _money(row["tax"])
        assert _money(row["amount_paid"]) == paid.get(row["id"], 0)
        if row["status"] != "void":
            assert _money(row["balance_due"]) == _money(row["total"]) - _money(row["amount_paid"])


def test_seeding_calls_no_function(directus: RunningDirectus) -> None:
    directus.stub.answer(202, {"accepted": 1})
    directus.admin.call("DELETE", "/items/payments", [seed_id("payment", "HNO-0066/1")])
    directus.seeded = seed(directus.url, ADMIN_TOKEN)
    # The flows are on again, and seeded rows are not reported: the next change is the first request.
    directus.admin.call(
        "PATCH", f"/items/invoices/{seed_id('invoice', 'HNO-0101')}", {"internal_notes": "now"}
    )
    [first] = directus.stub.wait_for("/invoices/changed")
    assert first.body == {"invoices": [seed_id("invoice", "HNO-0101")]}
