"""The doctor names what is wrong and finds nothing wrong where nothing is."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from billing.errors import SignatureRejected
from billing.payments.events import verified_event
from directus.access import role_id, roles
from directus.doctor import Deployment, examine
from directus.doctor_access import PUBLIC_POLICY
from directus.flows import flow_ids
from local.seed import seed_id
from local.waiting import wait_for
from tests.integration.directus.functions_stub import free_port
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, RunningDirectus

WEBHOOK_SECRET = "whsec_the_right_one"


def problem(status: int, code: str) -> dict[str, Any]:
    return {"status": status, "detail": f"Why: {code}.", "code": code, "flow_code": code.upper()}


@pytest.fixture(autouse=True)
def functions_answer(directus: RunningDirectus) -> Iterator[None]:
    directus.stub.answer(404, problem(404, "not_found"), "application/problem+json")
    yield
    directus.stub.answer(202, {"accepted": 1})


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """An endpoint that verifies as the receiver does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                verified_event(raw, self.headers["Stripe-Signature"], [WEBHOOK_SECRET], time.time())
            except SignatureRejected as refused:
                content = f'{{"code": "{refused.code}", "detail": "{refused.detail}"}}'.encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  http.server's own name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _wrong(directus: RunningDirectus, **told: str) -> list[str]:
    findings = examine(Deployment(directus.url, ADMIN_TOKEN, **told))
    # These servers keep files on the local disk and have no mail server: the doctor rightly reports it.
    expected = ("Directus has no storage location named s3", "Directus cannot use its email")
    return [
        finding.what
        for finding in findings
        if finding.state == "wrong" and not finding.what.startswith(expected)
    ]


def test_nothing_is_wrong(directus: RunningDirectus, receiver: str) -> None:
    told = {"service_token": SERVICE_TOKEN, "functions_url": receiver, "webhook_secret": WEBHOOK_SECRET}
    assert _wrong(directus, **told) == []
    ok = [
        finding.what
        for finding in examine(Deployment(directus.url, ADMIN_TOKEN, **told))
        if finding.state == "ok"
    ]
    assert "the flow Pay invoice reaches the functions, and they reach Directus" in ok
    assert "the webhook accepts the signing secret and no other" in ok
    assert "the service user logs in" in ok


def test_a_wrong_webhook_secret_is_named(directus: RunningDirectus, receiver: str) -> None:
    [wrong] = _wrong(directus, functions_url=receiver, webhook_secret="whsec_another")
    assert "does not accept STRIPE_WEBHOOK_SECRET" in wrong


def test_an_endpoint_that_takes_everything_is_named(directus: RunningDirectus) -> None:
    [wrong] = _wrong(directus, functions_url=directus.stub.url, webhook_secret=WEBHOOK_SECRET)
    assert "does not refuse a wrong signature" in wrong


def test_an_unreachable_endpoint_is_named(directus: RunningDirectus) -> None:
    [wrong] = _wrong(directus, functions_url=f"http://127.0.0.1:{free_port()}", webhook_secret=WEBHOOK_SECRET)
    assert "does not answer" in wrong


def test_a_wrong_flow_secret_is_named(directus: RunningDirectus) -> None:
    directus.stub.answer(401, problem(401, "unauthenticated"), "application/problem+json")
    [wrong] = _wrong(directus)
    assert "do not accept the flow secret" in wrong


def test_a_secret_that_was_not_filled_in_is_named(directus: RunningDirectus) -> None:
    unavailable = problem(503, "secret_unavailable")
    directus.stub.answer(503, unavailable, "application/problem+json")
    [flow, webhook] = _wrong(directus, functions_url=directus.stub.url, webhook_secret=WEBHOOK_SECRET)
    assert "StripeSecretArn and DirectusTokenSecretArn" in flow
    assert "the log of CheckoutFunction names it" in flow
    assert "WebhookSecretArn" in webhook


def test_functions_that_do_not_answer_are_named(directus: RunningDirectus) -> None:
    with directus.stub.refusing_connections():
        [wrong] = _wrong(directus)
    assert "BILLING_FUNCTIONS_URL" in wrong


def test_functions_that_cannot_reach_directus_are_named(directus: RunningDirectus) -> None:
    directus.stub.answer(503, problem(503, "upstream_unavailable"), "application/problem+json")
    [wrong] = _wrong(directus)
    assert "503 UPSTREAM_UNAVAILABLE" in wrong


def test_a_wrong_service_token_is_named(directus: RunningDirectus) -> None:
    [wrong] = _wrong(directus, service_token="nonsense")
    assert "make apply" in wrong
    [wrong] = _wrong(directus, service_token=ADMIN_TOKEN)
    assert "another user" in wrong


def test_an_inactive_flow_is_named(directus: RunningDirectus) -> None:
    path = f"/flows/{flow_ids()['pay_invoice']}"
    directus.admin.call("PATCH", path, {"status": "inactive"})
    try:
        assert any("change flow Pay invoice (status)" in wrong for wrong in _wrong(directus))
    finally:
        directus.admin.call("PATCH", path, {"status": "active"})
        _await_active(directus)


def _await_active(directus: RunningDirectus) -> None:
    """Directus loads its flows again a moment after a change."""
    trigger = f"/flows/trigger/{flow_ids()['pay_invoice']}"
    wait_for(
        "the flow to be on again",
        lambda: directus.admin.answer("POST", trigger, {})[0] != 403,
        seconds=20,
    )


def test_a_right_of_everybody_is_named(directus: RunningDirectus) -> None:
    open_door = {"policy": PUBLIC_POLICY, "collection": "invoices", "action": "read", "fields": ["id"]}
    key = directus.admin.call("POST", "/permissions", open_door)["id"]
    try:
        [wrong] = _wrong(directus)
        assert "Anyone may do this without a login: read invoices" in wrong
    finally:
        directus.admin.call("DELETE", f"/permissions/{key}")


def test_a_colour_too_light_to_be_used_is_a_warning_with_its_ratio(directus: RunningDirectus) -> None:
    before = directus.admin.call("GET", "/items/firm?fields=accent_color")
    looks = []
    try:
        for color in ("#ffcc00", "#9b1c31", None):
            directus.admin.call("PATCH", "/items/firm", {"accent_color": color})
            findings = examine(Deployment(directus.url, ADMIN_TOKEN))
            told = ("rendered in", "firm.accent_color")
            looks += [(one.state, one.what) for one in findings if any(words in one.what for words in told)]
    finally:
        directus.admin.call("PATCH", "/items/firm", before)
    (state, what), *fine = looks
    assert state == "warning"
    assert "#ffcc00 is too light" in what
    assert "1.51:1" in what
    assert fine == [
        ("ok", "documents are rendered in #9b1c31"),
        ("ok", "documents are rendered in our dark blue"),
    ]


def test_what_was_not_told_is_not_called_fine(directus: RunningDirectus) -> None:
    unchecked = [
        finding.what
        for finding in examine(Deployment(directus.url, ADMIN_TOKEN))
        if finding.state == "unchecked"
    ]
    assert len(unchecked) == 2


@contextmanager
def _policy(directus: RunningDirectus, **link: str) -> Iterator[str]:
    """A policy of the firm's own, attached so."""
    policy = directus.admin.call("POST", "/policies", {"name": "Everything of the firm's own"})["id"]
    try:
        directus.admin.call("POST", "/access", {"policy": policy} | link)
        yield policy
    finally:
        directus.admin.call("DELETE", f"/policies/{policy}")


@contextmanager
def _changed(directus: RunningDirectus, path: str, **fields: Any) -> Iterator[None]:
    before = directus.admin.call("GET", f"{path}?fields={','.join(fields)}")
    directus.admin.call("PATCH", path, fields)
    try:
        yield
    finally:
        directus.admin.call("PATCH", path, {name: before[name] for name in fields})


@pytest.mark.parametrize("name", ["Client", "Staff", "Partner", "Billing functions"])
def test_a_second_policy_of_a_role_is_named(directus: RunningDirectus, name: str) -> None:
    with _policy(directus, role=role_id(name)):
        [wrong] = _wrong(directus)
    assert f"The role {name} has the policy " in wrong
    assert "Everything of the firm's own" in wrong


@pytest.mark.parametrize("person", ["maria", "sofia", "ingrid"])
def test_a_policy_of_a_users_own_is_named(directus: RunningDirectus, person: str) -> None:
    with _policy(directus, user=seed_id("user", person)):
        [wrong] = _wrong(directus)
    assert f"The user {seed_id('user', person)} " in wrong
    assert "Everything of the firm's own" in wrong


def test_a_second_policy_of_everybody_is_named(directus: RunningDirectus) -> None:
    with _policy(directus):
        [wrong] = _wrong(directus)
    assert wrong.startswith("Everyone without a login has the policy ")


def test_what_public_may_do_with_directuss_own_rows_is_named(directus: RunningDirectus) -> None:
    rule: dict[str, Any] = {"policy": PUBLIC_POLICY, "collection": "directus_users", "action": "read"}
    permission = directus.admin.call("POST", "/permissions", rule | {"fields": ["id"], "permissions": {}})[
        "id"
    ]
    try:
        assert any("read directus_users" in wrong for wrong in _wrong(directus))
    finally:
        directus.admin.call("DELETE", f"/permissions/{permission}")


def test_a_role_that_inherits_and_one_that_is_inherited_are_named(directus: RunningDirectus) -> None:
    parent = directus.admin.call("POST", "/roles", {"name": "Parent"})["id"]
    child = directus.admin.call("POST", "/roles", {"name": "Child", "parent": role_id("Client")})["id"]
    try:
        with _changed(directus, f"/roles/{role_id('Staff')}", parent=parent):
            wrong = _wrong(directus)
        assert [remark for remark in wrong if "role Staff has the parent 'Parent'" in remark]
        assert [remark for remark in wrong if "'Child' has the parent Client" in remark]
        assert len(wrong) == 2
    finally:
        directus.admin.call("DELETE", "/roles", [child, parent])


def test_somebody_else_with_the_role_of_the_functions_is_named(directus: RunningDirectus) -> None:
    with _changed(directus, f"/users/{seed_id('user', 'zoe')}", role=role_id("Billing functions")):
        [wrong] = _wrong(directus)
    assert seed_id("user", "zoe") in wrong


def test_passwords_without_a_policy_and_with_one_that_accepts_anything_are_named(
    directus: RunningDirectus,
) -> None:
    for policy, said in ((None, "There is no password policy"), ("/^.{4,}$/", "fewer than 8 characters")):
        with _changed(directus, "/settings", auth_password_policy=policy):
            [wrong] = _wrong(directus)
        assert said in wrong


def _said(directus: RunningDirectus, state: str) -> list[str]:
    findings = examine(Deployment(directus.url, ADMIN_TOKEN))
    return [finding.what for finding in findings if finding.state == state]


def test_two_factor_login_that_is_not_enforced_is_named(directus: RunningDirectus) -> None:
    [warning] = [what for what in _said(directus, "warning") if "Two-factor" in what]
    assert "Administrator, Partner, Staff:" in warning
    administrators = directus.admin.rows("/policies", filter={"admin_access": {"_eq": True}}, fields="id")
    asked = [str(role.policy["id"]) for role in roles() if role.name in {"Staff", "Partner"}]
    keys = [*asked, *(row["id"] for row in administrators)]
    directus.admin.call("PATCH", "/policies", {"keys": keys, "data": {"enforce_tfa": True}})
    try:
        assert "two-factor login is enforced" in _said(directus, "ok")
        # The installer leaves it to the firm.
        assert _wrong(directus) == []
    finally:
        directus.admin.call("PATCH", "/policies", {"keys": keys, "data": {"enforce_tfa": False}})


def test_a_language_without_titles_of_refusals_is_named(directus: RunningDirectus) -> None:
    assert not [what for what in _said(directus, "warning") if "titles" in what or "language" in what]
    with _changed(directus, f"/users/{seed_id('user', 'james')}", language="it-IT"):
        assert [what for what in _said(directus, "warning") if "it-IT" in what]
    # Clients never see the Data Studio.
    with _changed(directus, f"/users/{seed_id('user', 'haruka')}", language="ja-JP"):
        assert not [what for what in _said(directus, "warning") if "ja-JP" in what]
