"""The flows against a functions stub: what they send, and what the caller sees when things go wrong."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from directus.flows import flow_ids
from local.seed import seed_id
from local.waiting import wait_for
from tests.integration.directus.server import FLOW_SECRET, RunningDirectus, code_of

FLOWS = flow_ids()
PAY = f"/flows/trigger/{FLOWS['pay_invoice']}"
RENDER = f"/flows/trigger/{FLOWS['render_again']}"
INVOICE = seed_id("invoice", "HNO-0087")
SESSION = {"url": "https://checkout.stripe.com/c/pay/cs_1", "checkout_session": "cs_1", "amount": "2122.50"}


def problem(status: int, code: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": "Title",
        "status": status,
        "detail": f"Why: {code}.",
        "instance": "/checkout",
        "code": code,
        "flow_code": code.upper(),
        "invoice": INVOICE,
    }


@pytest.fixture(autouse=True)
def functions_accept(directus: RunningDirectus) -> Iterator[None]:
    directus.stub.answer(202, {"accepted": 1})
    yield
    directus.stub.answer(202, {"accepted": 1})


def _no_secret(directus: RunningDirectus, answer: Any) -> bool:
    text = json.dumps(answer, default=str)
    return FLOW_SECRET not in text and "undefined" not in text and directus.tokens["maria"] not in text


# -- Pay invoice -------------------------------------------------------------------------------------------------------


def test_paying_sends_invoice_user_and_amount_and_answers_with_checkouts_body(
    directus: RunningDirectus,
) -> None:
    directus.stub.answer(200, SESSION)
    status, answer = directus.as_("maria").answer(
        "POST", PAY, {"invoice": INVOICE, "amount": "10.00", "user": "me"}
    )
    assert (status, answer) == (200, SESSION)
    [request] = directus.stub.wait_for("/checkout")
    assert request.body == {"invoice": INVOICE, "user": seed_id("user", "maria"), "amount": "10.00"}
    assert request.headers["authorization"] == f"Bearer {FLOW_SECRET}"
    assert directus.tokens["maria"] not in str(request.headers)


def test_an_absent_amount_means_absent(directus: RunningDirectus) -> None:
    directus.stub.answer(200, SESSION)
    directus.as_("maria").call("POST", PAY, {"invoice": INVOICE})
    [request] = directus.stub.wait_for("/checkout")
    assert set(request.body) == {"invoice", "user", "amount"}
    assert request.body["amount"] in {None, "undefined"}


def test_quotes_in_the_body_stay_inside_their_value(directus: RunningDirectus) -> None:
    directus.stub.answer(200, SESSION)
    evil = 'x","user":"somebody else'
    directus.as_("maria").call("POST", PAY, {"invoice": evil, "amount": {"user": "x"}})
    [request] = directus.stub.wait_for("/checkout")
    assert request.body == {"invoice": evil, "user": seed_id("user", "maria"), "amount": {"user": "x"}}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (404, "not_found"),
        (409, "already_paid"),
        (422, "amount_too_large"),
        (429, "too_many"),
        (499, "last_of_its_kind"),
    ],
)
def test_a_refusal_arrives_with_its_status_code_and_detail(
    directus: RunningDirectus, status: int, code: str
) -> None:
    directus.stub.answer(status, problem(status, code), "application/problem+json")
    got, answer = directus.as_("maria").answer("POST", PAY, {"invoice": INVOICE})
    assert got == status
    [error] = answer["errors"]
    assert error["extensions"]["code"] == code.upper()
    assert error["message"] == f"Why: {code}."
    assert _no_secret(directus, answer)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "unauthenticated"),
        (500, "internal_error"),
        (501, "not_implemented_yet"),
        (502, "stripe_rejected"),
        (503, "directus_unauthenticated"),
    ],
)
def test_what_is_wrong_behind_the_scenes_is_not_told_to_a_client(
    directus: RunningDirectus, status: int, code: str
) -> None:
    """Its sentence is for the administrator: it may name a key, a secret, a permission, another program."""
    detail = "Stripe refused the API key in Secrets Manager (request req_x)."
    directus.stub.answer(status, {**problem(status, code), "detail": detail}, "application/problem+json")
    got, answer = directus.as_("maria").answer("POST", PAY, {"invoice": INVOICE})
    assert got == status
    [error] = answer["errors"]
    assert error["extensions"]["code"] == code.upper()
    assert error["message"] == (
        "The payment service has a problem. Nothing was charged; please try again in a few minutes."
    )
    text = json.dumps(answer)
    assert not any(word in text for word in ("Stripe", "Secrets Manager", "req_x", "urn:", INVOICE))
    assert _no_secret(directus, answer)


@pytest.mark.parametrize("path", [PAY, RENDER])
@pytest.mark.parametrize(
    "trouble", ["refused connection", "hang-up", "gateway's own 500", "page of HTML", "empty"]
)
def test_no_answer_of_ours_is_a_plain_502(directus: RunningDirectus, trouble: str, path: str) -> None:
    person = directus.as_("maria" if path == PAY else "sofia")
    body = {"invoice": INVOICE} if path == PAY else {"collection": "invoices", "keys": [INVOICE]}
    if trouble == "refused connection":
        with directus.stub.refusing_connections():
            status, answer = person.answer("POST", path, body)
    else:
        if trouble == "gateway's own 500":
            directus.stub.answer(500, {"message": "Internal Server Error"})
        elif trouble == "page of HTML":
            directus.stub.answer(503, b"<html>Service unavailable</html>", "text/html")
        elif trouble == "empty":
            directus.stub.answer(504, b"", "text/plain")
        else:
            directus.stub.hang_up = True
        status, answer = person.answer("POST", path, body)
    assert status == 502
    assert code_of(answer) == "BILLING_UNAVAILABLE"
    assert (
        "is not responding" in answer["errors"][0]["message"]
        or "are not responding" in answer["errors"][0]["message"]
    )
    assert _no_secret(directus, answer)
    assert "127.0.0.1" not in json.dumps(answer)


def test_nobody_cannot_pay_and_nothing_is_sent(directus: RunningDirectus) -> None:
    status, answer = directus.nobody.answer("POST", PAY, {"invoice": INVOICE})
    assert (status, code_of(answer)) == (403, "FORBIDDEN")
    assert directus.stub.requests == [], directus.stub.requests


def test_the_secret_is_not_kept_in_the_flows_log(directus: RunningDirectus) -> None:
    with directus.stub.refusing_connections():
        directus.as_("maria").answer("POST", PAY, {"invoice": INVOICE})
    revisions = directus.admin.rows("/revisions", filter={"collection": {"_eq": "directus_flows"}})
    assert revisions
    text = json.dumps(revisions, default=str)
    assert FLOW_SECRET not in text
    assert directus.tokens["maria"] not in text


# -- Render again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["sofia", "ingrid", "administrator"])
def test_staff_render_again(directus: RunningDirectus, person: str) -> None:
    directus.stub.answer(202, {"accepted": 1})
    status, answer = directus.as_(person).answer(
        "POST", RENDER, {"collection": "invoices", "keys": [INVOICE]}
    )
    assert (status, answer) == (200, {"accepted": 1})
    [request] = directus.stub.wait_for("/invoices/pdf")
    assert request.body == {"invoices": [INVOICE], "force": True}
    assert request.headers["authorization"] == f"Bearer {FLOW_SECRET}"


@pytest.mark.parametrize("person", ["sofia", "ingrid", "administrator"])
def test_staff_have_a_receipt_rendered_again(directus: RunningDirectus, person: str) -> None:
    directus.stub.answer(202, {"accepted": 1})
    body = {"collection": "payments", "keys": [_payment(directus)]}
    status, answer = directus.as_(person).answer("POST", RENDER, body)
    assert (status, answer) == (200, {"accepted": 1})
    [request] = directus.stub.wait_for("/invoices/pdf")
    assert request.body == {"payments": body["keys"], "force": True}
    assert request.headers["authorization"] == f"Bearer {FLOW_SECRET}"


def test_a_refusal_to_render_a_receipt_and_no_answer_are_passed_on(directus: RunningDirectus) -> None:
    body = {"collection": "payments", "keys": [_payment(directus)]}
    directus.stub.answer(409, problem(409, "no_receipt_due"), "application/problem+json")
    status, answer = directus.as_("sofia").answer("POST", RENDER, body)
    assert (status, code_of(answer)) == (409, "NO_RECEIPT_DUE")
    with directus.stub.refusing_connections():
        status, answer = directus.as_("sofia").answer("POST", RENDER, body)
    assert (status, code_of(answer)) == (502, "BILLING_UNAVAILABLE")
    assert _no_secret(directus, answer)


@pytest.mark.parametrize("collection", ["invoices", "payments"])
@pytest.mark.parametrize("person", ["maria", "james", "zoe", "nobody"])
def test_nobody_else_renders_again(directus: RunningDirectus, person: str, collection: str) -> None:
    body = {"collection": collection, "keys": [INVOICE if collection == "invoices" else _payment(directus)]}
    assert directus.as_(person).answer("POST", RENDER, body)[0] == 403
    assert directus.stub.requests == [], directus.stub.requests


def test_no_other_collection_goes_through_that_door(directus: RunningDirectus) -> None:
    body = {"collection": "clients", "keys": [seed_id("client", "velazquez")]}
    assert directus.as_("sofia").answer("POST", RENDER, body)[0] == 403
    assert directus.stub.requests == [], directus.stub.requests


def _payment(directus: RunningDirectus) -> str:
    """One of maria's, whose client sofia looks after."""
    client = seed_id("client", "velazquez")
    return str(directus.admin.call("GET", f"/items/payments?filter[client][_eq]={client}&limit=1")[0]["id"])


@pytest.mark.parametrize("person", ["maria", "zoe", "nobody"])
def test_a_client_learns_nothing_of_a_rendering_that_cannot_be_ordered(
    directus: RunningDirectus, person: str
) -> None:
    directus.stub.answer(502, problem(502, "directus_rejected"), "application/problem+json")
    _, answer = directus.as_(person).answer("POST", RENDER, {"collection": "invoices", "keys": [INVOICE]})
    assert "Why" not in json.dumps(answer)
    assert code_of(answer) == "FORBIDDEN"


def test_a_refusal_to_render_is_passed_on(directus: RunningDirectus) -> None:
    directus.stub.answer(422, problem(422, "totals_do_not_add_up"), "application/problem+json")
    body = {"collection": "invoices", "keys": [INVOICE]}
    status, answer = directus.as_("sofia").answer("POST", RENDER, body)
    assert (status, code_of(answer)) == (422, "TOTALS_DO_NOT_ADD_UP")


# -- Invoice sent, Billing changed -------------------------------------------------------------------------------------


def _draft(**fields: Any) -> dict[str, Any]:
    return {
        "invoice_number": f"T-{uuid.uuid4().hex[:12]}",
        "client": seed_id("client", "velazquez"),
        "currency": "USD",
        **fields,
    }


def _sent(directus: RunningDirectus, count: int) -> list[list[str]]:
    return [request.body["invoices"] for request in directus.stub.wait_for("/invoices/pdf", count)]


def _changed(directus: RunningDirectus, count: int) -> list[dict[str, list[str]]]:
    return [request.body for request in directus.stub.wait_for("/invoices/changed", count)]


def test_an_invoice_created_as_sent_is_rendered(directus: RunningDirectus) -> None:
    row = directus.as_("sofia").call("POST", "/items/invoices", _draft(status="sent"))
    assert _sent(directus, 1) == [[row["id"]]]
    assert _changed(directus, 1) == [{"invoices": [row["id"]]}]


def test_one_some_and_many_invoices_arrive_as_lists(directus: RunningDirectus) -> None:
    sofia = directus.as_("sofia")
    rows = sofia.call("POST", "/items/invoices", [_draft() for _ in range(6)])
    ids = [row["id"] for row in rows]
    assert sorted(body["invoices"][0] for body in _changed(directus, 6)) == sorted(ids)
    directus.stub.requests.clear()
    sofia.call("PATCH", f"/items/invoices/{ids[0]}", {"status": "sent"})
    sofia.call("PATCH", "/items/invoices", {"keys": ids[1:3], "data": {"status": "sent"}})
    sofia.call("PATCH", "/items/invoices", [{"id": key, "status": "sent"} for key in ids[3:5]])
    query = {"filter": {"id": {"_in": [ids[5]]}}}
    directus.admin.call("PATCH", "/items/invoices", {"query": query, "data": {"status": "sent"}})
    expected = sorted([[ids[0]], sorted(ids[1:3]), [ids[3]], [ids[4]], [ids[5]]])
    assert sorted(sorted(keys) for keys in _sent(directus, 5)) == expected
    assert sorted(sorted(body["invoices"]) for body in _changed(directus, 5)) == expected


def test_an_edit_that_does_not_send_renders_nothing(directus: RunningDirectus) -> None:
    directus.as_("sofia").call("PATCH", f"/items/invoices/{INVOICE}", {"internal_notes": "called"})
    assert _changed(directus, 1) == [{"invoices": [INVOICE]}]
    assert [request.path for request in directus.stub.requests] == ["/invoices/changed"]


def test_the_functions_own_writes_start_no_flow(directus: RunningDirectus) -> None:
    payment = {
        "client": seed_id("client", "velazquez"),
        "amount": "1.00",
        "currency": "USD",
        "status": "canceled",
    }
    nested = {"amount_paid": "0.00", "status": "sent", "payments": {"create": [payment | {"note": "test"}]}}
    directus.service.call("PATCH", f"/items/invoices/{INVOICE}?fields=id", nested)
    # The next change of a person is the first thing the functions hear.
    directus.as_("sofia").call("PATCH", f"/items/invoices/{INVOICE}", {"internal_notes": "again"})
    assert _changed(directus, 1) == [{"invoices": [INVOICE]}]
    assert [request.path for request in directus.stub.requests] == ["/invoices/changed"]


def test_every_collection_tells_its_changes(directus: RunningDirectus) -> None:
    sofia, maria = directus.as_("sofia"), directus.as_("maria")
    invoice = sofia.call(
        "POST",
        "/items/invoices?fields=id,line_items",
        _draft(line_items={"create": [{"description": "Advice", "amount": "100.00"}]}),
    )
    sofia.call("PATCH", f"/items/invoices/{invoice['id']}", {"status": "sent"})
    payment = sofia.call(
        "POST",
        "/items/payments",
        {"invoice": invoice["id"], "amount": "40.00", "method": "cash", "status": "succeeded"},
    )
    refund = sofia.call(
        "POST", "/items/refunds", {"payment": payment["id"], "amount": "5.00", "status": "succeeded"}
    )
    maria.call("POST", "/items/disputes", {"invoice": invoice["id"], "reason": "Too much"})
    access = sofia.call(
        "POST", "/items/portal_access", {"client": seed_id("client", "velazquez"), "email": "new@example.com"}
    )
    [dispute] = maria.rows("/items/disputes", filter={"invoice": {"_eq": invoice["id"]}})
    told = _changed(directus, 7)
    for collection, key in (
        ("invoices", invoice["id"]),
        ("line_items", invoice["line_items"][0]),
        ("payments", payment["id"]),
        ("refunds", refund["id"]),
        ("disputes", dispute["id"]),
        ("portal_access", access["id"]),
    ):
        assert {collection: [key]} in told


def test_the_sender_is_told_when_rendering_cannot_be_ordered(directus: RunningDirectus) -> None:
    row = directus.as_("sofia").call("POST", "/items/invoices", _draft())
    with directus.stub.refusing_connections():
        directus.as_("sofia").call("PATCH", f"/items/invoices/{row['id']}", {"status": "sent"})
        notice = _notification(directus, row["id"])
    assert notice["recipient"] == seed_id("user", "sofia")
    assert FLOW_SECRET not in json.dumps(notice)


def _notification(directus: RunningDirectus, invoice: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = wait_for(
        "a notification",
        lambda: directus.admin.rows("/notifications", filter={"item": {"_eq": invoice}}),
        seconds=10,
    )
    return rows[0]


def test_at_most_five_flows_are_active(directus: RunningDirectus) -> None:
    # Directus 12 without a licence stops at five.
    assert len(directus.admin.rows("/flows", filter={"status": {"_eq": "active"}})) == 4
