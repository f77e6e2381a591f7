"""The gateway against an endpoint on loopback that answers what it is told to: keys, time, and refusals."""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.errors import (
    BillingError,
    CreationRefused,
    SessionNotOpen,
    StripeRejected,
    StripeUnreadable,
    UpstreamUnavailable,
)
from billing.stripe.account import StripeAccount
from billing.stripe.gateway import StripeGateway
from tests.fakes.directus import FixedToken

SESSION: dict[str, Any] = {
    "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "open", "payment_status": "unpaid",
    "amount_total": 100, "currency": "usd", "expires_at": 1795425822, "url": "https://x", "payment_intent": None,
    "metadata": {"deployment": "test"},
}  # fmt: skip
PARAMETERS = {"mode": "payment", "allowed_payment_method_types": ["card"]}
#: Stripe's sentence for it; no code comes with it.
NOT_OPEN = {
    "error": {
        "type": "invalid_request_error",
        "message": 'Only Checkout Sessions with a status in ["open"] can be expired.'
        " This Checkout Session has a status of `complete`.",
    }
}
OTHERWISE = {
    "error": {"type": "invalid_request_error", "message": "This endpoint does not allow impersonation."}
}


class Endpoint:
    """Answers by method and path, the last of several for ever; keeps the keys it was called with."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[str] = []
        self.keys: list[str] = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = f"{self.command} {self.path.partition('?')[0]}"
                endpoint.asked.append(asked)
                endpoint.keys.append(str(self.headers["Authorization"]).removeprefix("Bearer "))
                answers = endpoint.answers[asked]
                status, body = answers[0] if len(answers) == 1 else answers.pop(0)
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = _answer  # noqa: N815  # the standard library calls them so

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def says(self, asked: str, *answers: Any, status: int = 200) -> None:
        self.answers[asked] = [(status, body) for body in answers]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    running.says("GET /v1/checkout/sessions/cs_1", SESSION)
    yield running
    running.close()


# ---- the key --------------------------------------------------------------------------------------------


def test_a_key_that_was_rotated_is_used_at_once_though_the_old_one_stays_valid(endpoint: Endpoint) -> None:
    key = FixedToken("sk_test_old")
    gateway = StripeGateway(endpoint.url, key)
    gateway.retrieve_session("cs_1")
    key.value = "sk_test_new"
    gateway.retrieve_session("cs_1")
    gateway.retrieve_session("cs_1")
    assert endpoint.keys == ["sk_test_old", "sk_test_new", "sk_test_new"]


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "sk_org_live_1"])
def test_a_live_key_is_sent_to_stripe_only_also_one_that_came_later(endpoint: Endpoint, key: str) -> None:
    token = FixedToken("sk_test_1")
    gateway = StripeGateway(endpoint.url, token)
    gateway.retrieve_session("cs_1")
    token.value = key
    with pytest.raises(BillingError) as refusal:
        gateway.retrieve_session("cs_1")
    assert refusal.value.code == "live_key_refused"
    assert endpoint.keys == ["sk_test_1"]


@pytest.mark.parametrize(
    ("key", "livemode"),
    [
        ("sk_live_1", True), ("rk_live_1", True), ("sk_org_live_1", True),
        ("sk_test_1", False), ("rk_test_1", False), ("sk_org_test_1", False),
        ("sk_1", None), ("", None),
    ],
)  # fmt: skip
def test_the_key_tells_its_mode(key: str, livemode: bool | None) -> None:  # noqa: FBT001  # a table's column
    assert StripeGateway("https://api.stripe.com", FixedToken(key)).livemode is livemode


# ---- the time that is left ------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "tries"), [(9.6, 1), (17.9, 1), (18.1, 2), (26.9, 2), (28.0, 3)])
def test_a_call_gets_as_many_tries_as_fit_into_the_time_that_is_left(
    endpoint: Endpoint, seconds: float, tries: int
) -> None:
    endpoint.says("GET /v1/checkout/sessions/cs_1", {"error": {"type": "api_error"}}, status=500)
    with pytest.raises(UpstreamUnavailable) as failure:
        StripeGateway(
            endpoint.url, FixedToken("sk_test_1"), remaining_seconds=lambda: seconds
        ).retrieve_session("cs_1")
    assert failure.value.code == "stripe_unavailable"
    assert len(endpoint.asked) == tries


def test_a_call_that_could_be_cut_off_is_not_begun(endpoint: Endpoint) -> None:
    gateway = StripeGateway(endpoint.url, FixedToken("sk_test_1"), remaining_seconds=lambda: 9.4)
    with pytest.raises(UpstreamUnavailable) as refusal:
        gateway.retrieve_session("cs_1")
    assert (refusal.value.code, refusal.value.status, endpoint.asked) == ("out_of_time", 503, [])


# ---- expiring -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_a_session_that_is_not_open_cannot_be_expired(endpoint: Endpoint, status: str) -> None:
    endpoint.says("POST /v1/checkout/sessions/cs_1/expire", NOT_OPEN, status=400)
    endpoint.says("GET /v1/checkout/sessions/cs_1", {**SESSION, "status": status})
    with pytest.raises(SessionNotOpen):
        StripeGateway(endpoint.url, FixedToken("sk_test_1")).expire_session("cs_1")


def test_whatever_else_stripe_refuses_says_nothing_about_the_session(endpoint: Endpoint) -> None:
    endpoint.says("POST /v1/checkout/sessions/cs_1/expire", OTHERWISE, status=400)
    with pytest.raises(StripeRejected) as refusal:
        StripeGateway(endpoint.url, FixedToken("sk_test_1")).expire_session("cs_1")
    assert not isinstance(refusal.value, SessionNotOpen)


def test_an_unknown_session_is_not_asked_for_again(endpoint: Endpoint) -> None:
    missing = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such."}}
    endpoint.says("POST /v1/checkout/sessions/cs_1/expire", missing, status=404)
    with pytest.raises(StripeRejected) as refusal:
        StripeGateway(endpoint.url, FixedToken("sk_test_1")).expire_session("cs_1")
    assert refusal.value.stripe_code == "resource_missing"
    assert len(endpoint.asked) == 1


# ---- creating -------------------------------------------------------------------------------------------


def test_a_session_without_any_payment_method_is_never_asked_for(endpoint: Endpoint) -> None:
    with pytest.raises(CreationRefused):
        StripeGateway(endpoint.url, FixedToken("sk_test_1")).create_session(
            {"mode": "payment", "allowed_payment_method_types": []}, "key"
        )
    assert endpoint.asked == []


def test_a_session_that_was_created_and_cannot_be_read_was_not_refused(endpoint: Endpoint) -> None:
    """Taken for a refusal it would be given up, while somebody can pay in it."""
    endpoint.says("POST /v1/checkout/sessions", {**SESSION, "amount_total": None})
    with pytest.raises(StripeUnreadable) as failure:
        StripeGateway(endpoint.url, FixedToken("sk_test_1")).create_session(PARAMETERS, "key")
    assert not isinstance(failure.value, CreationRefused)


# ---- lists ----------------------------------------------------------------------------------------------

BROKEN = {**SESSION, "id": "cs_broken", "currency": None}
SETUP = {
    **SESSION, "id": "cs_setup", "mode": "setup", "amount_total": None, "currency": None,
    "payment_status": "no_payment_required",
}  # fmt: skip
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def listing(endpoint: Endpoint, *data: Any) -> StripeGateway:
    endpoint.says("GET /v1/checkout/sessions", {"object": "list", "data": list(data), "has_more": False})
    return StripeGateway(endpoint.url, FixedToken("sk_test_1"))


def test_one_session_that_cannot_be_read_is_named_and_the_others_are_compared(endpoint: Endpoint) -> None:
    account = StripeAccount(listing(endpoint, SETUP, BROKEN, SESSION), lambda: datetime.now(UTC))
    assert [found.id for found in account.sessions_created_since(SINCE)] == ["cs_setup", "cs_1"]
    (passed,) = account.unreadable()
    assert (passed.collection, passed.id, passed.error.code) == (
        "checkout.session", "cs_broken", "stripe_unreadable",
    )  # fmt: skip
    assert account.unreadable() == []


def test_who_looks_for_one_session_does_not_take_an_unreadable_one_for_none(endpoint: Endpoint) -> None:
    listed = listing(endpoint, BROKEN, SESSION).sessions_created_since(SINCE)
    assert next(listed).id == "cs_1"
    with pytest.raises(StripeUnreadable, match="cs_broken"):
        next(listed)
