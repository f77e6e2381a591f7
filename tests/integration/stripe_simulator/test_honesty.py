"""What the simulator refuses: what Stripe refuses, what it does not do, and what it must never say."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe

from local.stripe_simulator.openapi import StripeDocument
from local.waiting import wait_for
from tests.integration.stripe_simulator.support import SECRET_KEY, RunningSimulator, parameters


@pytest.fixture(scope="module")
def simulator(specification: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """One simulator for all tests here: each shows that something is refused and leaves nothing behind."""
    running = RunningSimulator(specification, tmp_path_factory.mktemp("stripe") / "state.sqlite", None)
    yield running
    running.close()


def sessions_in(simulator: RunningSimulator) -> int:
    count: int = simulator.call("GET", "/_test/health").json()["checkout_sessions"]
    return count


def price(**changes: Any) -> Any:
    data = {"currency": "usd", "unit_amount": 5000, "product_data": {"name": "Invoice"}, **changes}
    return [{"quantity": 1, "price_data": {name: value for name, value in data.items() if value is not None}}]


@pytest.mark.parametrize(
    ("changes", "parameter", "code"),
    [
        ({"bogus": "1"}, "bogus", "parameter_unknown"),
        ({"payment_intent_data": {"bogus": "1"}}, "payment_intent_data[bogus]", "parameter_unknown"),
        ({"line_items": price(bogus="1")}, "line_items[0][price_data][bogus]", "parameter_unknown"),
        ({"payment_method_types": ["card"]}, "payment_method_types", "parameter_unknown"),
        ({"mode": "paymnt"}, "mode", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"client_reference_id": "x" * 201}, "client_reference_id", None),
        ({"line_items": price(currency=None)}, "line_items[0][price_data][currency]", "parameter_missing"),
        (
            {"line_items": price(unit_amount=None)},
            "line_items[0][price_data][unit_amount]",
            "parameter_missing",
        ),
        (
            {"line_items": price(unit_amount=-1)},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        (
            {"line_items": price(unit_amount="12.50")},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        ({"line_items": price(currency="USD")}, "line_items[0][price_data][currency]", None),
        (
            {"line_items": price(currency="kwd", unit_amount=5001)},
            "line_items[0][price_data][unit_amount]",
            "parameter_invalid_integer",
        ),
        (
            {"line_items": price(product_data=None)},
            "line_items[0][price_data][product_data]",
            "parameter_missing",
        ),
        ({"line_items": price() + price(currency="eur")}, "line_items[0][price_data][currency]", None),
        ({"line_items": price() * 101}, "line_items", None),
        ({"amount": 49}, None, "amount_too_small"),
        ({"amount": 49, "currency": "jpy"}, None, "amount_too_small"),
        ({"amount": 100_000_000}, None, "amount_too_large"),
        (
            {"allowed_payment_method_types": ["us_bank_account"], "currency": "eur"},
            "allowed_payment_method_types",
            None,
        ),
        ({"metadata": {f"key{number}": "x" for number in range(51)}}, "metadata", None),
        ({"metadata": {"k" * 41: "x"}}, f"metadata[{'k' * 40}]", None),
        ({"payment_intent_data": {"metadata": {"k": "x" * 501}}}, "payment_intent_data[metadata][k]", None),
        ({"success_url": "portal.example"}, "success_url", "url_invalid"),
        ({"cancel_url": "javascript:alert(1)"}, "cancel_url", "url_invalid"),
    ],
)
def test_what_stripe_refuses_is_refused(
    simulator: RunningSimulator, changes: dict[str, Any], parameter: str | None, code: str | None
) -> None:
    before = sessions_in(simulator)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.checkout.sessions.create(parameters(**changes))
    assert refused.value.http_status == 400
    assert (refused.value.param, refused.value.code) == (parameter, code)
    assert sessions_in(simulator) == before


@pytest.mark.parametrize("life", [1800, 86400])
def test_a_session_may_live_from_half_an_hour_to_a_day(simulator: RunningSimulator, life: int) -> None:
    now = int(time.time())
    session = simulator.client().v1.checkout.sessions.create(parameters(expires_at=now + life))
    assert session.expires_at == now + life


@pytest.mark.parametrize("life", [1700, 86500])
def test_a_session_lives_no_shorter_and_no_longer(simulator: RunningSimulator, life: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.checkout.sessions.create(parameters(expires_at=int(time.time()) + life))
    assert refused.value.param == "expires_at"


def test_a_session_needs_lines_and_a_place_to_return_to(simulator: RunningSimulator) -> None:
    for missing in ("line_items", "success_url"):
        given = parameters()
        del given[missing]
        with pytest.raises(stripe.InvalidRequestError) as refused:
            simulator.client().v1.checkout.sessions.create(given)
        assert (refused.value.param, refused.value.code) == (missing, "parameter_missing")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mode": "subscription"}, "mode"),
        ({"ui_mode": "embedded_page"}, "ui_mode"),
        ({"adaptive_pricing": {"enabled": True}}, "adaptive_pricing[enabled]"),
        ({"customer": "cus_1"}, "customer"),
        ({"automatic_tax": {"enabled": True}}, "automatic_tax"),
        ({"line_items": [{"price": "price_1", "quantity": 1}]}, "line_items[0][price]"),
        ({"payment_intent_data": {"capture_method": "manual"}}, "payment_intent_data[capture_method]"),
        ({"allowed_payment_method_types": ["klarna"]}, "klarna"),
    ],
)
def test_a_parameter_that_is_not_simulated_is_never_ignored(
    simulator: RunningSimulator, changes: dict[str, Any], named: str
) -> None:
    before = sessions_in(simulator)
    with pytest.raises(stripe.APIError) as refused:
        simulator.client().v1.checkout.sessions.create(parameters(**changes))
    assert refused.value.http_status == 501
    assert named in str(refused.value)
    assert sessions_in(simulator) == before


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/refunds/re_1", "PostRefundsRefund"),
        ("POST", "/v1/charges/ch_1/refunds", "PostChargesChargeRefunds"),
        ("POST", "/v1/disputes/du_1/close", "PostDisputesDisputeClose"),
        ("POST", "/v1/customers", "PostCustomers"),
        ("GET", "/v1/payment_intents/pi_1/amount_details_line_items", "AmountDetailsLineItems"),
        ("DELETE", "/v1/webhook_endpoints/we_1", "DeleteWebhookEndpointsWebhookEndpoint"),
    ],
)
def test_the_rest_of_stripe_answers_501_by_its_name(
    simulator: RunningSimulator, method: str, path: str, operation: str
) -> None:
    answer = simulator.api(method, path)
    assert answer.status_code == 501
    assert answer.headers["stripe-should-retry"] == "false"
    assert operation in answer.json()["error"]["message"]


def test_an_unknown_filter_or_expansion_is_not_ignored(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    session = sessions.create(parameters())
    with pytest.raises(stripe.APIError) as not_simulated:
        sessions.list({"customer": "cus_1"})
    assert not_simulated.value.http_status == 501
    for path in ("status", "bogus", "payment_intent.a.b.c.d", ""):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            sessions.retrieve(session.id, {"expand": [path]})
        assert refused.value.param == "expand"
    with pytest.raises(stripe.InvalidRequestError):
        sessions.list({"limit": 101})


def test_an_object_that_does_not_exist_is_stripes_404(simulator: RunningSimulator) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.client().v1.checkout.sessions.retrieve("cs_test_unknown")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


def test_only_the_api_version_of_the_document_is_spoken(simulator: RunningSimulator) -> None:
    with pytest.raises(stripe.APIError, match="dahlia"):
        simulator.client(stripe_version="2026-08-26.dahlia").v1.events.list()


def test_every_answer_names_its_request_and_version(simulator: RunningSimulator) -> None:
    answer = simulator.api("GET", "/v1/events")
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == stripe.api_version
    refused = simulator.api("GET", "/v1/events", headers={"Authorization": "Bearer sk_test_other"})
    assert refused.headers["request-id"] != answer.headers["request-id"]


def document_that_says(specification: Path, folder: Path, kind: str, field: str, values: list[str]) -> Path:
    """Stripe's document, altered so that what the simulator says is no longer true."""
    altered = json.loads(specification.read_text())
    altered["components"]["schemas"][kind]["properties"][field]["enum"] = values
    path = folder / "altered.json"
    path.write_text(json.dumps(altered))
    return path


def test_a_dishonest_answer_is_a_500_that_names_the_place_and_leaves_nothing(
    specification: Path, tmp_path: Path
) -> None:
    altered = document_that_says(specification, tmp_path, "checkout.session", "payment_status", ["paid"])
    running = RunningSimulator(altered, tmp_path / "state.sqlite", None)
    try:
        with pytest.raises(stripe.APIError, match="payment_status") as refused:
            running.client().v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"})
        assert refused.value.http_status == 500
        assert sessions_in(running) == 0
    finally:
        running.close()


def test_a_dishonest_event_is_never_sent_and_its_cause_is_undone(specification: Path, tmp_path: Path) -> None:
    altered = document_that_says(specification, tmp_path, "charge", "status", ["failed", "pending"])
    running = RunningSimulator(altered, tmp_path / "state.sqlite", None)
    try:
        session = running.client().v1.checkout.sessions.create(parameters())
        answer = running.call("POST", f"/_test/checkout/sessions/{session.id}/pay", json={"method": "card"})
        assert answer.status_code == 500
        assert "status" in answer.json()["error"]["message"]
        assert session.url is not None
        page = running.post_form(session.url, number="4242424242424242")
        assert page.status_code == 500
        assert b"A charge breaks" in page.content
        assert running.client().v1.checkout.sessions.retrieve(session.id).status == "open"
        assert running.client().v1.events.list().data == []
    finally:
        running.close()


def test_what_goes_wrong_in_the_background_makes_the_health_check_fail(
    specification: Path, tmp_path: Path
) -> None:
    altered = document_that_says(specification, tmp_path, "event", "object", ["bogus"])
    state = tmp_path / "state.sqlite"
    honest = RunningSimulator(specification, state, None, fee_delay=3600.0)
    session = honest.client().v1.checkout.sessions.create(parameters())
    honest.control(f"checkout/sessions/{session.id}/pay", method="card")
    honest.control("advance", seconds=3599)
    honest.close()
    running = RunningSimulator(altered, state, None)
    try:
        failed = wait_for("the health check to fail", lambda: failing_health(running))
        assert "event" in failed["error"]["message"]
    finally:
        running.close()


def failing_health(simulator: RunningSimulator) -> Any:
    answer = simulator.call("GET", "/_test/health")
    return answer.json() if answer.status_code == 500 else None


def test_what_differs_from_the_document_is_found_at_every_depth(
    simulator: RunningSimulator, document: StripeDocument
) -> None:
    session = simulator.client().v1.checkout.sessions.create(parameters())
    body = simulator.call("GET", f"/_test/objects/{session.id}").json()
    assert document.violations_of_object("checkout.session", body) == []
    for path, change in (
        ("payment_status", {"payment_status": "payd"}),
        ("custom_text[submit]", {"custom_text": {"submit": 1}}),
        ("bogus", {"bogus": None}),
        ("total_details[bogus]", {"total_details": body["total_details"] | {"bogus": 1}}),
    ):
        violations = document.violations_of_object("checkout.session", body | change)
        assert path in {violation.parameter for violation in violations}


def test_every_kind_of_object_the_simulator_makes_follows_the_document(
    simulator: RunningSimulator, document: StripeDocument
) -> None:
    session = simulator.client().v1.checkout.sessions.create(parameters())
    assert session.url is not None
    simulator.post_form(session.url, number="4000000000009995")
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card")
    simulator.control("advance", seconds=1)
    charge = simulator.client().v1.charges.list().data[0].id
    simulator.control(f"charges/{charge}/refund", amount=100)
    simulator.control(f"charges/{charge}/dispute", outcome="won")
    simulator.control(f"charges/{charge}/early_fraud_warning")
    for kind, path in (
        ("refund", "/v1/refunds"),
        ("dispute", "/v1/disputes"),
        ("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings"),
        ("payment_intent", "/v1/payment_intents"),
        ("charge", "/v1/charges"),
        ("balance_transaction", "/v1/balance_transactions"),
        ("event", "/v1/events"),
    ):
        data = simulator.api("GET", path).json()["data"]
        assert data
        for body in data:
            assert document.violations_of_object(kind, body) == []
            # Full to the last field: what the document requires is there, and each of our notes stays inside.
            assert not [name for name in body if name.startswith("_")]


def test_paying_needs_a_test_number(simulator: RunningSimulator) -> None:
    session = simulator.client().v1.checkout.sessions.create(parameters())
    path = f"/_test/checkout/sessions/{session.id}/pay"
    for given in (
        {},
        {"method": "klarna"},
        {"method": "us_bank_account"},  # the session takes cards only
        {"method": "card", "number": "4111111111111111"},
        {"method": "card", "number": 4242424242424242},
        {"method": "card", "number": "4242424242424242", "outcome": "fail"},
        {"method": "card", "outcome": "perhaps"},
    ):
        assert simulator.call("POST", path, json=given).status_code == 400
    assert (
        simulator.call("POST", "/_test/checkout/sessions/cs_x/pay", json={"method": "card"}).status_code
        == 404
    )
    assert simulator.client().v1.checkout.sessions.retrieve(session.id).payment_intent is None


def test_the_wrong_key_opens_nothing(simulator: RunningSimulator) -> None:
    wrong: tuple[str | bytes, ...] = (
        "",
        "Bearer",
        "Bearer sk_test_other",
        "Bearer sk_live_x",
        "Basic !!!",
        "Bearer ключ".encode(),
    )
    for authorization in wrong:
        answer = simulator.api("GET", "/v1/events", headers={"Authorization": authorization})
        assert answer.status_code == 401
        assert SECRET_KEY not in answer.content.decode()
    with pytest.raises(stripe.AuthenticationError):
        simulator.client(api_key="sk_test_other").v1.events.list()


def test_basic_authentication_works_as_with_curl(simulator: RunningSimulator) -> None:
    key = base64.b64encode(f"{SECRET_KEY}:".encode()).decode()
    assert simulator.api("GET", "/v1/events", headers={"Authorization": f"Basic {key}"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"mode",
        b"mode=payment&mode=payment",
        b"mode=payment&mode[x]=1",
        b"mode[=payment",
        b"[mode]=payment",
        b"a[b][c][d][e][f][g][h][i][j]=1",
        b"mode=%ff",
        b"line_items[99999]=1",
        b"line_items=1",
        b"metadata[a][b]=1",
        b"metadata=1",
        b"line_items[0][quantity]=99999999999999999999999",
        b"&".join(b"metadata[k%d]=1" % number for number in range(3000)),
        b"mode=" + b"x" * (1024 * 1024),
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_hostile_bodies_are_refused_and_never_break_anything(
    simulator: RunningSimulator, body: bytes
) -> None:
    answer = simulator.api("POST", "/v1/checkout/sessions", body=body)
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc",
        "limit=-1",
        "limit=99999999999999999999",
        "created[gte]=x",
        "created[bogus]=1",
        "created[gte]=99999999999999999999999999",
        "created=-99999999999999999999999999",
        "%ff=1",
        "a&b",
        "expand[0][x]=1",
    ],
)
def test_hostile_queries_are_refused(simulator: RunningSimulator, query: str) -> None:
    assert simulator.api("GET", f"/v1/checkout/sessions?{query}").status_code == 400


def test_a_json_body_is_not_taken_for_a_form(simulator: RunningSimulator) -> None:
    answer = simulator.api(
        "POST", "/v1/checkout/sessions", headers={"Content-Type": "application/json"}, body=b"{}"
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/bogus"),
        ("PUT", "/v1/events"),
        ("GET", "/_test/bogus"),
        ("GET", "/c/pay"),
    ],
)
def test_an_unknown_url_is_a_404(simulator: RunningSimulator, method: str, path: str) -> None:
    answer = simulator.api(method, path)
    assert answer.status_code == 404
    assert "Unrecognized request URL" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b'{"seconds": "1"}',
        b'{"seconds": true}',
        b'{"seconds": -1}',
        b'{"seconds": NaN}',
        b'{"seconds": "\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_control_routes_refuse_nonsense(simulator: RunningSimulator, body: bytes) -> None:
    assert simulator.call("POST", "/_test/advance", body=body).status_code == 400
    assert simulator.call("POST", "/_test/deliveries", body=b'{"drop": -1}').status_code == 400
    assert simulator.call("POST", "/_test/deliveries", body=b'{"bogus": 1}').status_code == 400
    assert simulator.call("POST", "/_test/fail_next", body=b'{"fault": "bogus"}').status_code == 400


def test_a_page_of_another_origin_cannot_reach_it_by_name(simulator: RunningSimulator) -> None:
    assert simulator.call("GET", "/_test/health", headers={"Host": "attacker.example"}).status_code == 400


def test_the_form_body_is_read_as_the_sdk_writes_it(simulator: RunningSimulator) -> None:
    given = urlencode({"mode": "payment", "line_items[][quantity]": "1"})
    answer = simulator.api("POST", "/v1/checkout/sessions", body=given.encode())
    assert answer.json()["error"]["param"] == "line_items[0][price_data]"
