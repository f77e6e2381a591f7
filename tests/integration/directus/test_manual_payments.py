"""A wire, a check or cash entered by staff: what is stored, what is refused, what is sent to the billing functions.

Single doors (which fields, whose rows, which amounts) are in `tests/security/directus/test_staff_money.py`; here are the
things a bookkeeper does. That the invoice follows is in `tests/e2e/test_manual_payments.py`.
"""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from local.seed import seed_id
from tests.integration.directus.server import RunningDirectus, code_of

#: What only Stripe's payments have; null, and never "", on a payment entered manually.
STRIPES = (
    "transaction_id",
    "checkout_session",
    "open_claim",
    "attempt",
    "expires_at",
    "fee",
    "last4",
    "brand",
)


@pytest.fixture(autouse=True)
def functions_accept(directus: RunningDirectus) -> Iterator[None]:
    directus.stub.answer(202, {"accepted": 1})
    yield
    directus.stub.answer(202, {"accepted": 1})


def _invoice(directus: RunningDirectus, client: str = "velazquez", **fields: Any) -> str:
    """A sent invoice of 100.00, written past the flows as after the functions' work."""
    amounts = {"subtotal": "100.00", "tax": "0.00", "total": "100.00", "balance_due": "100.00"}
    row = {"client": seed_id("client", client), "currency": "USD", "status": "sent", **amounts, **fields}
    row |= {"invoice_number": f"M-{uuid.uuid4().hex[:12]}", "sent_at": "2026-01-05T10:00:00Z"}
    key = str(directus.admin.call("POST", "/items/invoices?fields=id", row)["id"])
    assert {"invoices": [key]} in _told(directus, 1)
    directus.stub.wait_for("/invoices/pdf", 1)
    directus.stub.requests.clear()
    return key


def _payment(invoice: str, amount: str = "10.00", **fields: Any) -> dict[str, Any]:
    return {"invoice": invoice, "amount": amount, "method": "check", "status": "succeeded", **fields}


def _entered(directus: RunningDirectus, row: dict[str, Any], person: str = "sofia") -> str:
    """A payment that staff entered; the functions were notified."""
    key = str(directus.as_(person).call("POST", "/items/payments", row)["id"])
    assert _told(directus, 1) == [{"payments": [key]}]
    directus.stub.requests.clear()
    return key


def _told(directus: RunningDirectus, count: int) -> list[dict[str, list[str]]]:
    """What the Billing changed flow sent to the functions since they were last cleared, in any order."""
    return [request.body for request in directus.stub.wait_for("/invoices/changed", count)]


def _stored(directus: RunningDirectus, key: str) -> dict[str, Any]:
    row: dict[str, Any] = directus.admin.call("GET", f"/items/payments/{key}")
    return row


def _money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def _by_key(told: list[dict[str, list[str]]]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((collection, tuple(sorted(keys))) for body in told for collection, keys in body.items())


def test_one_wire_for_three_invoices_is_three_rows_with_one_reference(directus: RunningDirectus) -> None:
    invoices = [_invoice(directus) for _ in range(3)]
    wire = {"method": "wire", "reference": "FT26009-447", "payment_date": "2026-01-09"}
    rows = [_payment(key, f"{number}0.00", **wire) for number, key in enumerate(invoices, 1)]
    created = directus.as_("sofia").call("POST", "/items/payments", rows)
    keys = [row["id"] for row in created]
    assert _by_key(_told(directus, 3)) == sorted(("payments", (key,)) for key in keys)
    stored = [_stored(directus, key) for key in keys]
    assert {row["invoice"]: _money(row["amount"]) for row in stored} == {
        key: Decimal(f"{number}0.00") for number, key in enumerate(invoices, 1)
    }
    for row in stored:
        assert (row["method"], row["reference"], row["payment_date"]) == ("wire", "FT26009-447", "2026-01-09")
        assert (row["client"], row["currency"]) == (seed_id("client", "velazquez"), "USD")


def test_the_same_check_number_at_two_banks_is_fine_even_on_one_invoice(directus: RunningDirectus) -> None:
    invoice = _invoice(directus)
    for bank in ("First Bank", "Second Bank"):
        _entered(directus, _payment(invoice, "50.00", reference="1042", note=bank))
    rows = directus.as_("sofia").rows("/items/payments", filter={"invoice": {"_eq": invoice}})
    assert [(row["reference"], _money(row["amount"])) for row in rows] == [("1042", Decimal("50.00"))] * 2
    assert {row["note"] for row in rows} == {"First Bank", "Second Bank"}


@pytest.mark.parametrize("method", ["wire", "check", "cash", "other"])
def test_what_belongs_to_stripe_is_null_and_never_empty_text(directus: RunningDirectus, method: str) -> None:
    invoice = _invoice(directus)
    # Twice: a unique column takes any number of nulls, but "" only once.
    for _ in range(2):
        row = _stored(directus, _entered(directus, _payment(invoice, method=method)))
        assert {name: row[name] for name in STRIPES} == dict.fromkeys(STRIPES)
    for name in ("transaction_id", "checkout_session", "open_claim"):
        empty = _payment(invoice, method=method) | {name: ""}
        assert directus.as_("sofia").answer("POST", "/items/payments", empty)[0] == 403
        # Not even an import by the administrator brings one in.
        status, answer = directus.admin.answer("POST", "/items/payments", empty | {"currency": "USD"})
        assert (status, code_of(answer)) == (400, "FAILED_VALIDATION")


def test_a_check_is_noted_cleared_corrected_canceled_and_entered_again(directus: RunningDirectus) -> None:
    invoice, sofia = _invoice(directus), directus.as_("sofia")
    key = _entered(directus, _payment(invoice, "40.00", status="pending", reference="7"))
    for change in (
        {"status": "succeeded", "payment_date": "2026-01-12"},
        {"amount": "45.00", "note": "bank read 45"},
        {"status": "canceled"},
    ):
        sofia.call("PATCH", f"/items/payments/{key}", change)
        assert _told(directus, 1) == [{"payments": [key]}]
        directus.stub.requests.clear()
        row = _stored(directus, key)
        for field, value in change.items():
            assert (_money(row[field]) if field == "amount" else row[field]) == (
                _money(value) if field == "amount" else value
            )
    again = _entered(directus, _payment(invoice, "54.00", reference="7"))
    rows = sofia.rows("/items/payments", filter={"invoice": {"_eq": invoice}})
    assert {row["id"]: (row["status"], _money(row["amount"])) for row in rows} == {
        key: ("canceled", Decimal("45.00")),
        again: ("succeeded", Decimal("54.00")),
    }


def test_payments_changed_together_are_told_together(directus: RunningDirectus) -> None:
    invoices, sofia = [_invoice(directus) for _ in range(3)], directus.as_("sofia")
    keys = [_entered(directus, _payment(invoice, status="pending", method="wire")) for invoice in invoices]
    sofia.call("PATCH", "/items/payments", {"keys": keys, "data": {"status": "succeeded"}})
    assert _by_key(_told(directus, 1)) == [("payments", tuple(sorted(keys)))]
    directus.stub.requests.clear()
    sofia.call("PATCH", "/items/payments", [{"id": key, "amount": "11.00"} for key in keys])
    assert _by_key(_told(directus, 3)) == sorted(("payments", (key,)) for key in keys)


def test_in_the_form_of_the_invoice_payments_are_entered_and_edited_too(directus: RunningDirectus) -> None:
    invoice, sofia = _invoice(directus), directus.as_("sofia")
    path = f"/items/invoices/{invoice}?fields=id,payments"
    row = {"amount": "30.00", "method": "check", "reference": "8", "status": "pending"}
    [key] = sofia.call("PATCH", path, {"payments": {"create": [row], "update": [], "delete": []}})["payments"]
    assert _by_key(_told(directus, 2)) == [("invoices", (invoice,)), ("payments", (key,))]
    directus.stub.requests.clear()
    assert _stored(directus, key)["client"] == seed_id("client", "velazquez")
    edit = {"id": key, "amount": "31.00", "status": "succeeded"}
    sofia.call("PATCH", path, {"payments": {"create": [], "update": [edit], "delete": []}})
    assert _by_key(_told(directus, 2)) == [("invoices", (invoice,)), ("payments", (key,))]
    stored = _stored(directus, key)
    assert (_money(stored["amount"]), stored["status"], stored["invoice"]) == (
        Decimal("31.00"),
        "succeeded",
        invoice,
    )


@pytest.mark.parametrize(
    "change",
    [{"delete": ["own"]}, [], ["other"], {"update": [{"id": "own", "amount": "9.00", "method": "card"}]}],
)
def test_in_the_form_of_the_invoice_no_payment_is_removed_moved_or_turned_into_stripes(
    directus: RunningDirectus, change: Any
) -> None:
    invoice, elsewhere = _invoice(directus), _invoice(directus)
    keys = {
        "own": _entered(directus, _payment(invoice)),
        "other": _entered(directus, _payment(elsewhere)),
    }

    def with_keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: with_keys(part) for name, part in value.items()}
        if isinstance(value, list):
            return [with_keys(part) for part in value]
        return keys.get(value, value)

    before = {key: _stored(directus, key) for key in keys.values()}
    body = {"payments": with_keys(change)}
    status, _ = directus.as_("sofia").answer("PATCH", f"/items/invoices/{invoice}", body)
    assert status in {400, 403}
    assert {key: _stored(directus, key) for key in keys.values()} == before


def test_a_refund_by_hand_and_its_cancellation_are_told(directus: RunningDirectus) -> None:
    sofia = directus.as_("sofia")
    payment = _entered(directus, _payment(_invoice(directus), "60.00", method="wire"))
    row = {"payment": payment, "amount": "25.00", "status": "pending", "reason": "paid twice"}
    refund = sofia.call("POST", "/items/refunds", row)
    assert _told(directus, 1) == [{"refunds": [refund["id"]]}]
    for status in ("succeeded", "canceled"):
        directus.stub.requests.clear()
        sofia.call("PATCH", f"/items/refunds/{refund['id']}", {"status": status})
        assert _told(directus, 1) == [{"refunds": [refund["id"]]}]
    directus.stub.requests.clear()
    seconds = [sofia.call("POST", "/items/refunds", row | {"amount": "30.00"})["id"] for _ in range(2)]
    sofia.call("PATCH", "/items/refunds", {"keys": seconds, "data": {"status": "succeeded"}})
    told = _by_key(_told(directus, 3))
    assert told == sorted(
        [("refunds", (seconds[0],)), ("refunds", (seconds[1],)), ("refunds", tuple(sorted(seconds)))]
    )
    stored = directus.admin.call("GET", f"/items/refunds/{seconds[0]}")
    assert (stored["currency"], stored["stripe_refund"]) == ("USD", None)


def test_a_payment_is_not_canceled_under_its_refunds(directus: RunningDirectus) -> None:
    sofia, invoice = directus.as_("sofia"), _invoice(directus)
    payment = _entered(directus, _payment(invoice, "60.00", method="wire"))
    row = {"payment": payment, "amount": "25.00"}
    refunds = [
        sofia.call("POST", "/items/refunds", row | {"status": status})["id"]
        for status in ("pending", "succeeded")
    ]
    cancel = {"status": "canceled"}
    for refund in refunds:
        status, answer = sofia.answer("PATCH", f"/items/payments/{payment}", cancel)
        assert (status, code_of(answer)) == (403, "HAS_REFUNDS")
        edit = {"payments": {"update": [{"id": payment} | cancel]}}
        assert sofia.answer("PATCH", f"/items/invoices/{invoice}", edit)[0] == 403
        sofia.call("PATCH", f"/items/refunds/{refund}", cancel)
    assert sofia.call("PATCH", f"/items/payments/{payment}", cancel)["status"] == "canceled"


def test_a_check_may_bounce_after_some_of_it_was_refunded(directus: RunningDirectus) -> None:
    sofia = directus.as_("sofia")
    payment = _entered(directus, _payment(_invoice(directus), "60.00"))
    sofia.call("POST", "/items/refunds", {"payment": payment, "amount": "25.00", "status": "succeeded"})
    bounced = sofia.call("PATCH", f"/items/payments/{payment}", {"status": "failed", "note": "bounced"})
    assert bounced["status"] == "failed"


def test_a_refused_payment_or_refund_is_not_told(directus: RunningDirectus) -> None:
    sofia, invoice = directus.as_("sofia"), _invoice(directus)
    rows = [_payment(invoice, "5.00"), _payment(invoice, "0.00")]
    assert sofia.answer("POST", "/items/payments", rows)[0] == 400
    assert sofia.rows("/items/payments", filter={"invoice": {"_eq": invoice}}) == []
    payment = _entered(directus, _payment(invoice, "5.00"))
    refunds = [{"payment": payment, "amount": amount, "status": "succeeded"} for amount in ("3.00", "2.01")]
    assert sofia.answer("POST", "/items/refunds", refunds)[0] == 400
    assert sofia.rows("/items/refunds", filter={"payment": {"_eq": payment}}) == []
    # The next thing that is done is the first the functions hear.
    refund = sofia.call("POST", "/items/refunds", refunds[0])["id"]
    assert _told(directus, 1) == [{"refunds": [refund]}]


def test_each_keeps_the_books_of_their_own_clients_and_a_partner_all(directus: RunningDirectus) -> None:
    ours, theirs = _invoice(directus), _invoice(directus, "mueller", currency="EUR")
    wire = {"method": "wire", "reference": f"FT-{uuid.uuid4().hex[:8]}"}
    keys = {
        "sofia": _entered(directus, _payment(ours, **wire)),
        "james": _entered(directus, _payment(theirs, **wire), "james"),
    }
    same_reference = {"filter": {"reference": {"_eq": wire["reference"]}}}
    for person, own in keys.items():
        assert [row["id"] for row in directus.as_(person).rows("/items/payments", **same_reference)] == [own]
    assert {row["id"] for row in directus.as_("ingrid").rows("/items/payments", **same_reference)} == {
        *keys.values()
    }
    # One wire of two clients of two people: neither enters the other's part, and half of it is not entered either.
    both = [_payment(ours, **wire), _payment(theirs, **wire)]
    for person in keys:
        assert directus.as_(person).answer("POST", "/items/payments", both)[0] == 403
    data = {"keys": [*keys.values()], "data": {"status": "canceled"}}
    for person in keys:
        assert directus.as_(person).answer("PATCH", "/items/payments", data)[0] == 403
    refund = {"payment": keys["sofia"], "amount": "1.00", "status": "succeeded"}
    assert directus.as_("james").answer("POST", "/items/refunds", refund)[0] == 403
    assert {_stored(directus, key)["status"] for key in keys.values()} == {"succeeded"}
    assert len(directus.as_("ingrid").rows("/items/payments", **same_reference)) == 2
    created = directus.as_("ingrid").call("POST", "/items/payments", both)
    assert {row["client"]: row["currency"] for row in created} == {
        seed_id("client", "velazquez"): "USD",
        seed_id("client", "mueller"): "EUR",
    }
    assert _by_key(_told(directus, 2)) == sorted(("payments", (row["id"],)) for row in created)
