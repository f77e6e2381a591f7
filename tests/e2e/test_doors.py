"""Every door of the deployed stack, tried by those who must not pass, and with what must not be let in."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.demo import steps
from local.demo.people import Answer, send
from local.waiting import wait_for
from tests.e2e.support import write_behind_directus

if TYPE_CHECKING:
    from local.demo.steps import Firm
    from local.stack import Stack

ROUTES = ("/checkout", "/invoices/pdf", "/invoices/changed")


@pytest.fixture(scope="module")
def invoice(firm: Firm) -> str:
    lines = [steps.fee("Advice", "1.00", "800.00", "800.00")]
    row = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")
    steps.send_invoice(firm, firm.staff[0], row["id"])
    return str(row["id"])


@pytest.fixture(scope="module")
def draft(firm: Firm) -> str:
    lines = [steps.fee("Advice", "1.00", "800.00", "800.00")]
    return str(steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines)["id"])


@pytest.fixture(scope="module")
def user(firm: Firm) -> str:
    return str(firm.description["directus"]["clients"][0]["user"])


@pytest.fixture(scope="module")
def stranger(firm: Firm) -> int:
    """The number of a portal user of another client."""
    return next(number for number in range(len(firm.clients)) if firm.client_of(number) != firm.client_of(0))


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert {"type", "title", "status", "detail", "instance", "code"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (status, code)
    assert "Traceback" not in answer.body.decode()


# ---- the functions' routes: the flow secret -----------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("secret", ["", "wrong", "Bearer"])
def test_a_route_without_the_flow_secret_is_closed(firm: Firm, path: str, secret: str) -> None:
    assert_problem(firm.function(path, {}, secret=secret), 401, "unauthenticated")


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_called_with_another_scheme_is_closed(firm: Firm, path: str) -> None:
    functions = firm.description["functions"]
    headers = {"Authorization": f"Basic {functions['flow_secret']}"}
    assert_problem(
        send("POST", functions["api_url"] + path, body={}, headers=headers), 401, "unauthenticated"
    )


def test_the_previous_flow_secret_is_accepted_after_a_rotation(firm: Firm, invoice: str, user: str) -> None:
    secrets = firm.aws("secretsmanager")
    arn, old = firm.description["aws"]["secrets"]["flow"], firm.description["functions"]["flow_secret"]
    secrets.put_secret_value(SecretId=arn, SecretString="the-new-flow-secret")
    try:
        body = {"invoice": invoice, "user": user}
        assert firm.function("/checkout", body, secret="the-new-flow-secret").status == 200
        assert firm.function("/checkout", body, secret=old).status == 200
        assert_problem(firm.function("/checkout", body, secret="neither"), 401, "unauthenticated")
    finally:
        secrets.put_secret_value(SecretId=arn, SecretString=old)
    wait_for("the old secret to be current again", lambda: firm.function("/checkout", body).status == 200)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_400(firm: Firm, path: str, raw: bytes) -> None:
    assert_problem(firm.function(path, None, raw=raw), 400, "malformed_json")


@pytest.mark.parametrize("path", ROUTES)
def test_a_huge_body_is_refused(firm: Firm, path: str) -> None:
    raw = json.dumps({"invoice": "x" * 300_000}).encode()
    assert_problem(firm.function(path, None, raw=raw), 413, "payload_too_large")


def test_a_route_that_does_not_exist_is_a_404(firm: Firm) -> None:
    assert firm.function("/invoices/delete", {}).status == 404


# ---- /checkout ----------------------------------------------------------------------------------------------


def test_only_the_invoices_own_client_may_check_out(
    firm: Firm, invoice: str, draft: str, user: str, stranger: int
) -> None:
    directus = firm.description["directus"]
    others = [
        directus["clients"][stranger]["user"],
        directus["staff"][0]["id"],
        directus["staff"][1]["id"],
        steps.unknown_id(),
    ]
    answers = [firm.function("/checkout", {"invoice": invoice, "user": other}) for other in others]
    answers.append(firm.function("/checkout", {"invoice": draft, "user": user}))
    answers.append(firm.function("/checkout", {"invoice": steps.unknown_id(), "user": user}))
    for answer in answers:
        assert_problem(answer, 404, "not_found")
    # The answer never tells which of the three it was.
    assert len({answer.json["detail"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("800.01", "amount_too_large"),
        ("0", "invalid_amount"),
        ("0.00", "invalid_amount"),
        ("-1.00", "invalid_amount"),
        ("1.234", "invalid_amount"),
        ("1e2", "invalid_amount"),
        ("1,000.00", "invalid_amount"),
        ("", "invalid_amount"),
        ("NaN", "invalid_amount"),
        (100, "invalid_amount"),
        (100.5, "invalid_amount"),
        ({"gt": 1}, "invalid_amount"),
        (["1.00"], "invalid_amount"),
        (True, "invalid_amount"),
        ("0.10", "amount_too_small"),
        ("799.80", "remainder_too_small"),
    ],
)
def test_an_amount_that_cannot_be_charged_is_refused(
    firm: Firm, invoice: str, user: str, amount: Any, code: str
) -> None:
    assert_problem(
        firm.function("/checkout", {"invoice": invoice, "user": user, "amount": amount}), 422, code
    )


@pytest.mark.parametrize("amount", [None, "undefined"])
def test_an_absent_amount_means_everything(firm: Firm, invoice: str, user: str, amount: Any) -> None:
    answer = firm.function("/checkout", {"invoice": invoice, "user": user, "amount": amount})
    assert (answer.status, answer.json["amount"]) == (200, "800.00")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/paid",
        "//evil.example",
        "javascript:alert(1)",
        "http://127.0.0.1@evil.example/",
        5,
    ],
)
def test_a_foreign_return_url_is_refused(firm: Firm, invoice: str, user: str, url: Any) -> None:
    body = {"invoice": invoice, "user": user, "return_url": url}
    assert_problem(firm.function("/checkout", body), 422, "return_url_not_allowed")


@pytest.mark.parametrize("value", ["", "1", "../items", {"id": 1}, 7, ["a"]])
def test_an_id_that_is_no_uuid_is_a_400(firm: Firm, user: str, value: Any) -> None:
    assert_problem(firm.function("/checkout", {"invoice": value, "user": user}), 400, "invalid_id")


def test_an_unsupported_currency_is_refused_by_directus_and_by_checkout(
    firm: Firm, stack: Stack, user: str
) -> None:
    lines = [steps.fee("Advice", "1.00", "100.00", "100.00")]
    row = steps.draft_invoice(firm, firm.administrator, firm.client_of(0), lines, tax_rate="0")
    refused = firm.administrator.ask("PATCH", f"/items/invoices/{row['id']}", {"currency": "KWD"})
    assert (refused.status, refused.error_code) == (400, "FAILED_VALIDATION")
    # A firm may have imported one past the validation.
    write_behind_directus(stack, "invoices", str(row["id"]), {"currency": "KWD", "status": "sent"})
    answer = firm.function("/checkout", {"invoice": row["id"], "user": user})
    assert_problem(answer, 422, "currency_not_supported")
    stranger = firm.description["directus"]["staff"][0]["id"]
    assert_problem(firm.function("/checkout", {"invoice": row["id"], "user": stranger}), 404, "not_found")


# ---- /invoices/pdf and /invoices/changed ---------------------------------------------------------------------


def test_rendering_what_does_not_exist_or_is_a_draft_is_refused(firm: Firm, invoice: str, draft: str) -> None:
    assert_problem(firm.function("/invoices/pdf", {"invoices": steps.unknown_id()}), 404, "not_found")
    assert_problem(firm.function("/invoices/pdf", {"invoices": [invoice, draft]}), 409, "invoice_is_draft")
    assert firm.function("/invoices/pdf", {"invoices": []}).status == 400
    assert firm.function("/invoices/pdf", {"invoices": [invoice], "force": "yes"}).status == 400
    too_many = [steps.unknown_id() for _ in range(1001)]
    assert firm.function("/invoices/pdf", {"invoices": too_many}).status == 400


def test_changed_rows_lead_to_their_invoices(firm: Firm, invoice: str) -> None:
    (line,) = firm.administrator.list("line_items", {"invoice": {"_eq": invoice}}, "id")
    answer = firm.function("/invoices/changed", {"invoices": [invoice], "line_items": [line["id"]]})
    assert (answer.status, answer.json) == (202, {"accepted": 1})
    unknown = firm.function("/invoices/changed", {"payments": [steps.unknown_id()]})
    assert (unknown.status, unknown.json) == (202, {"accepted": 0})
    assert_problem(firm.function("/invoices/changed", {}), 400, "nothing_to_do")


def test_a_name_of_the_contract_that_is_not_built_says_so(firm: Firm) -> None:
    answer = firm.function("/invoices/changed", {"portal_access": [steps.unknown_id()]})
    assert_problem(answer, 501, "not_implemented_yet")
    assert "portal_access" in answer.json["detail"]


# ---- the flows ----------------------------------------------------------------------------------------------


def test_the_pay_flow_is_closed_to_everybody_but_the_invoices_own_client(
    firm: Firm, invoice: str, draft: str, stranger: int
) -> None:
    flow = firm.flow("pay_invoice")
    nobody = firm.anonymous.pay(flow, invoice)
    assert (nobody.status, nobody.error_code) == (403, "FORBIDDEN")
    for person in (firm.clients[stranger], firm.staff[0], firm.staff[1]):
        answer = person.pay(flow, invoice)
        assert (answer.status, answer.error_code) == (404, "NOT_FOUND")
    for unknown in (draft, steps.unknown_id()):
        answer = firm.clients[0].pay(flow, unknown)
        assert (answer.status, answer.error_code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "INVALID_ID"),
        ({"invoice": "nonsense"}, 400, "INVALID_ID"),
        ({"amount": "-5"}, 422, "INVALID_AMOUNT"),
        ({"amount": 5}, 422, "INVALID_AMOUNT"),
        ({"amount": "99999.00"}, 422, "AMOUNT_TOO_LARGE"),
        ({"user": "somebody-else", "amount": "0"}, 422, "INVALID_AMOUNT"),
    ],
)
def test_the_pay_flow_hands_on_our_refusals(
    firm: Firm, invoice: str, body: dict[str, Any], status: int, code: str
) -> None:
    sent = body if "invoice" in body or not body else {"invoice": invoice, **body}
    answer = firm.clients[0].ask("POST", f"/flows/trigger/{firm.flow('pay_invoice')}", sent)
    assert (answer.status, answer.error_code) == (status, code)
    assert "undefined" not in answer.body.decode()
    assert firm.description["functions"]["flow_secret"] not in answer.body.decode()


def test_the_pay_flow_never_takes_the_clients_return_url(firm: Firm, invoice: str) -> None:
    body = {"invoice": invoice, "return_url": "https://evil.example/"}
    answer = firm.clients[0].ask("POST", f"/flows/trigger/{firm.flow('pay_invoice')}", body)
    assert answer.status == 200
    session = firm.simulator("GET", f"/_test/objects/{answer.json['checkout_session']}").json
    assert "evil" not in session["success_url"] + session["cancel_url"]


def test_render_again_is_for_staff_who_see_the_invoice(
    firm: Firm, invoice: str, draft: str, stranger: int
) -> None:
    path, body = f"/flows/trigger/{firm.flow('render_again')}", {"collection": "invoices", "keys": [invoice]}
    for person in (firm.anonymous, firm.clients[0], firm.clients[stranger], firm.staff[1]):
        assert person.ask("POST", path, body).status == 403
    assert firm.staff[0].ask("POST", path, body).status in {200, 204}
    refused = firm.staff[0].ask("POST", path, {"collection": "invoices", "keys": [draft]})
    assert refused.status == 409
    assert steps.documents_of(firm.administrator, draft) == []


@pytest.mark.parametrize("name", ["invoice_sent", "billing_changed"])
def test_event_flows_cannot_be_triggered_by_anybody(firm: Firm, name: str) -> None:
    for person in (firm.anonymous, firm.clients[0], firm.staff[0]):
        assert person.ask("POST", f"/flows/trigger/{firm.flow(name)}", {}).status in {403, 404}


# ---- /stripe/webhook ----------------------------------------------------------------------------------------


def event_bytes(event_id: str = "evt_door") -> bytes:
    event = {
        "id": event_id,
        "object": "event",
        "type": "customer.created",
        "livemode": False,
        "data": {"object": {"id": "cus_1", "object": "customer", "metadata": {}}},
    }
    return json.dumps(event).encode()


def deliver(
    firm: Firm, raw: bytes, *, at: float | None = None, secret: str | None = None, **headers: str
) -> Answer:
    timestamp = int(time.time() if at is None else at)
    key = (secret or firm.description["stripe"]["webhook_secret"]).encode()
    digest = hmac.new(key, f"{timestamp}.".encode() + raw, hashlib.sha256).hexdigest()
    signed = {"Stripe-Signature": f"t={timestamp},v1={digest}", **headers}
    return send("POST", f"{firm.description['functions']['api_url']}/stripe/webhook", raw=raw, headers=signed)


def test_a_signed_event_of_no_concern_is_accepted_and_recorded_as_ignored(firm: Firm) -> None:
    event = f"evt_{steps.unknown_id().replace('-', '')}"
    assert deliver(firm, event_bytes(event)).status == 200
    (row,) = wait_for(
        "the event's row",
        lambda: firm.administrator.list(
            "stripe_events", {"_and": [{"id": {"_eq": event}}, {"status": {"_neq": "received"}}]}
        ),
    )
    assert (row["status"], row["object_id"]) == ("ignored", "cus_1")


@pytest.mark.parametrize("seconds", [-301, -86_400, 301, 86_400])
def test_an_old_or_future_signature_is_refused(firm: Firm, seconds: int) -> None:
    assert_problem(deliver(firm, event_bytes(), at=time.time() + seconds), 400, "signature_rejected")


def test_a_wrong_secret_a_changed_body_and_no_signature_are_refused(firm: Firm) -> None:
    assert_problem(deliver(firm, event_bytes(), secret="whsec_other"), 400, "signature_rejected")
    url = f"{firm.description['functions']['api_url']}/stripe/webhook"
    assert_problem(send("POST", url, raw=event_bytes()), 400, "signature_rejected")
    for header in ("", "t=1", "v1=x", "t=x,v1=y", "t=1,v1=" + "0" * 64, "t=" + "9" * 4000 + ",v1=00"):
        answer = send("POST", url, raw=event_bytes(), headers={"Stripe-Signature": header})
        assert_problem(answer, 400, "signature_rejected")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"null", b"[" * 50_000, b'{"object":"event"}'])
def test_a_signed_body_that_is_no_event_is_refused(firm: Firm, raw: bytes) -> None:
    assert_problem(deliver(firm, raw), 400, "signature_rejected")


def test_a_webhook_larger_than_any_event_is_refused(firm: Firm) -> None:
    assert_problem(deliver(firm, b" " * 300_000), 413, "payload_too_large")


def test_a_refund_that_cannot_be_applied_yet_is_parked_visibly(firm: Firm) -> None:
    event = f"evt_{steps.unknown_id().replace('-', '')}"
    document = json.loads(event_bytes(event))
    document |= {
        "type": "refund.created",
        "data": {"object": {"id": "re_1", "object": "refund", "metadata": {}}},
    }
    assert deliver(firm, json.dumps(document).encode()).status == 200
    (row,) = wait_for(
        "the event to be parked",
        lambda: firm.administrator.list(
            "stripe_events", {"_and": [{"id": {"_eq": event}}, {"status": {"_neq": "received"}}]}
        ),
    )
    assert row["status"] == "parked"
    assert "refund.created" in row["error"]
