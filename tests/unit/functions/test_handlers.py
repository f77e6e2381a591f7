"""The handlers, called as API Gateway and SQS call them, over the fakes; and what they leave in the log."""

import base64
import dataclasses
import functools
import hashlib
import hmac
import io
import itertools
import json
from typing import Any

import pytest

from billing.aws.http_api import respond
from billing.aws.queue_worker import INVOICE_WORK, process_batch
from billing.aws.secrets import Secret
from billing.composition import BillingChanged, Checkout, InvoiceWorker
from billing.directus.client import DirectusClient
from billing.errors import BillingError, NotFound, UpstreamUnavailable
from billing.messages import to_json
from billing.payments.find_invoices import FindInvoices
from billing.payments.store import BillingStore
from functions.billing_changed import app as billing_changed
from functions.checkout import app as checkout
from functions.stripe_webhook import app as webhook
from functions.stripe_webhook import worker
from tests.fakes.aws import AcceptedSecrets, failing, refusal
from tests.fakes.directus import FixedToken
from tests.fakes.http_events import event
from tests.fakes.messages import Control
from tests.fakes.queues import FakeInvoiceQueue
from tests.fakes.world import INVOICE, OTHER_USER, STAFF, USER, World

NOW = 1_795_339_424
SECRETS = AcceptedSecrets(("flow-secret", "previous-flow-secret"))
WEBHOOK_SECRETS = AcceptedSecrets(("whsec_new", "whsec_old"))


def flow_event(body: Any, secret: str | None = "flow-secret") -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return event(text, {"authorization": f"Bearer {secret}"} if secret else {})


def called(world: World, body: Any, secret: str | None = "flow-secret") -> tuple[int, dict[str, Any]]:
    given = flow_event(body, secret)
    function = Checkout(SECRETS, FixedToken(), world.start_checkout)
    answer = respond(given, lambda: checkout.checkout(given, function, seconds=28.0))
    return answer["statusCode"], json.loads(answer["body"])


def sent_invoice() -> World:
    world = World()
    world.invoice("100.00")
    return world


# ---- POST /checkout -------------------------------------------------------------------------------------


def test_checkout_answers_with_the_open_session() -> None:
    world = sent_invoice()
    status, first = called(
        world, {"invoice": INVOICE, "user": USER, "amount": "undefined", "return_url": None}
    )
    assert status == 200
    assert first == {
        "url": "https://checkout.stripe.test/cs_test_1", "checkout_session": "cs_test_1", "amount": "100.00", "currency": "USD",
        "expires_at": "2026-11-21T14:00:00+00:00", "reused": False,
    }  # fmt: skip
    assert called(world, {"invoice": INVOICE.upper(), "user": USER}, "previous-flow-secret") == (200, {**first, "reused": True})  # fmt: skip
    assert len(world.payments()) == 1


@pytest.mark.parametrize("secret", [None, "wrong", ""])
def test_checkout_does_nothing_without_the_flow_secret(secret: str | None) -> None:
    world = sent_invoice()
    status, body = called(world, {"invoice": INVOICE, "user": USER}, secret)
    assert (status, body["code"]) == (401, "unauthenticated")
    assert world.directus.requests == []


@pytest.mark.parametrize("body", ["", "{", "[]", {}, {"invoice": INVOICE}, {"user": USER}, {"invoice": "x", "user": USER}, {"invoice": INVOICE, "user": "undefined"}])  # fmt: skip
def test_checkout_refuses_what_it_cannot_read(body: Any) -> None:
    assert called(sent_invoice(), body)[0] == 400


@pytest.mark.parametrize("user", [OTHER_USER, STAFF, "d9000000-0000-4000-8000-000000000009"])
def test_checkout_knows_no_invoice_of_somebody_else(user: str) -> None:
    world = sent_invoice()
    unknown = called(world, {"invoice": "a9000000-0000-4000-8000-000000000009", "user": USER})[1]
    status, body = called(world, {"invoice": INVOICE, "user": user})
    assert status == 404
    assert body | {"invoice": None} == unknown | {"invoice": None}
    assert world.payments() == []


def test_a_suspended_user_pays_nothing() -> None:
    world = sent_invoice()
    world.directus.table("directus_users")[USER]["status"] = "suspended"
    assert called(world, {"invoice": INVOICE, "user": USER})[0] == 404


@pytest.mark.parametrize("amount", [40, 40.5, {"x": 1}, True, "40.001", "1e2", "-1", "0"])
def test_an_invalid_amount_is_a_422(amount: object) -> None:
    status, body = called(sent_invoice(), {"invoice": INVOICE, "user": USER, "amount": amount})
    assert (status, body["code"], body["flow_code"]) == (422, "invalid_amount", "INVALID_AMOUNT")


def test_a_foreign_return_url_is_a_422_before_anything_is_read() -> None:
    world = sent_invoice()
    status, body = called(world, {"invoice": INVOICE, "user": USER, "return_url": "https://evil.example/"})
    assert (status, body["code"]) == (422, "return_url_not_allowed")
    assert world.directus.requests == []


def test_stripe_down_is_a_503_the_invoice_is_unchanged_and_the_next_call_completes() -> None:
    world = sent_invoice()
    before = dict(world.stored())

    def down() -> None:
        message = "Stripe cannot be reached."
        raise UpstreamUnavailable(message, code="stripe_unavailable")

    world.steps.before_next["create session"] = down
    status, body = called(world, {"invoice": INVOICE, "user": USER})
    assert (status, body["code"]) == (503, "stripe_unavailable")
    assert world.stored() == before
    (attempt,) = world.payments()
    assert called(world, {"invoice": INVOICE, "user": USER})[0] == 200
    assert [row["id"] for row in world.payments()] == [attempt["id"]]


# ---- POST /stripe/webhook -------------------------------------------------------------------------------

STRIPE_EVENT = {
    "id": "evt_1", "object": "event", "type": "checkout.session.completed", "livemode": False,
    "data": {"object": {"id": "cs_1", "object": "checkout.session", "metadata": {"directus_invoice": INVOICE, "deployment": "test"},
                        "customer_details": {"email": "jenny@example.com", "name": "Jenny Rosen"}}},
}  # fmt: skip
BODY = json.dumps(STRIPE_EVENT).encode()


def delivered(
    body: bytes = BODY, *, secret: str = "whsec_new", encoded: bool = False, queue: FakeInvoiceQueue | None = None,
    name: str = "Stripe-Signature", sign: bool = True,
) -> tuple[int, dict[str, Any], FakeInvoiceQueue]:  # fmt: skip
    queue = queue or FakeInvoiceQueue()
    signed = hmac.new(secret.encode(), f"{NOW}.".encode() + body, hashlib.sha256).hexdigest()
    text = base64.b64encode(body).decode() if encoded else body.decode()
    given = event(text, {name: f"t={NOW},v1={signed}"} if sign else {}, encoded=encoded)
    answer = respond(given, lambda: webhook.receive(given, WEBHOOK_SECRETS, queue, now=NOW))
    return answer["statusCode"], json.loads(answer["body"]), queue


@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
@pytest.mark.parametrize("name", ["Stripe-Signature", "stripe-signature"])
def test_a_signed_delivery_is_stored_as_ids(secret: str, name: str, *, encoded: bool) -> None:
    status, _, queue = delivered(encoded=encoded, secret=secret, name=name)
    assert status == 200
    ((message, group, deduplication),) = queue.sent
    assert (group, deduplication) == (INVOICE, "evt_1")
    assert message == {
        "type": "stripe_event", "event": "evt_1", "event_type": "checkout.session.completed", "object": "cs_1",
        "object_type": "checkout.session", "livemode": False, "invoice": INVOICE, "deployment": "test",
        "of_another_account": False,
    }  # fmt: skip
    assert "jenny" not in json.dumps(message).lower()


@pytest.mark.parametrize("account", ["acct_1", "org_1/acct_1"])
def test_a_delivery_about_a_connected_account_is_taken_and_marked(account: str) -> None:
    for named in ({"account": account}, {"context": account}):
        status, _, queue = delivered(json.dumps({**STRIPE_EVENT, **named}).encode())
        assert (status, queue.messages()[0]["of_another_account"]) == (200, True)


def test_a_delivery_whose_account_is_no_text_is_answered_by_name() -> None:
    status, body, queue = delivered(json.dumps({**STRIPE_EVENT, "account": {"id": "acct_1"}}).encode())
    assert (status, body["code"], queue.sent) == (400, "signature_rejected", [])


def test_a_delivery_that_is_not_signed_for_us_stores_nothing() -> None:
    for status, body, queue in (delivered(secret="whsec_other"), delivered(sign=False), delivered(b"")):
        assert (status, body["code"], queue.sent) == (400, "signature_rejected", [])


def test_a_delivery_that_cannot_be_stored_is_asked_for_again() -> None:
    status, _, _ = delivered(queue=FakeInvoiceQueue(error=UpstreamUnavailable("x", code="queue_unavailable")))
    assert status == 503


def test_a_delivery_that_is_too_large_is_not_read() -> None:
    assert delivered(b" " * (256 * 1024) + BODY)[0] == 413


# ---- POST /invoices/changed -----------------------------------------------------------------------------


def changed(
    world: World, body: Any, secret: str | None = "flow-secret"
) -> tuple[int, dict[str, Any], FakeInvoiceQueue]:
    queue, given = FakeInvoiceQueue(), flow_event(body, secret)
    client = DirectusClient("http://directus", FixedToken(), world.directus.http)
    function = BillingChanged(SECRETS, FindInvoices(client), queue, world.rendering)
    answer = respond(given, lambda: billing_changed.changed(given, function))
    return answer["statusCode"], json.loads(answer["body"]), queue


def test_every_kind_of_changed_row_leads_to_its_invoice_once() -> None:
    world = sent_invoice()
    line = next(iter(world.directus.table("line_items")))
    payment = world.payment("10.00")["id"]
    refund = world.directus.put("refunds", payment=payment, amount="1.00", status="succeeded")["id"]
    dispute = world.directus.put("disputes", invoice=INVOICE, reason="x", status="open")["id"]
    for body in ({"invoices": INVOICE}, {"line_items": [line]}, {"payments": payment}, {"refunds": [refund]}, {"disputes": dispute},
                 {"invoices": [INVOICE], "line_items": line, "payments": [payment], "refunds": refund, "disputes": "undefined"}):  # fmt: skip
        status, answer, queue = changed(world, body)
        assert (status, answer) == (202, {"accepted": 1})
        named = {"payments": [payment]} if "payments" in body else {}
        assert queue.messages() == [{"type": "recompute", "invoice": INVOICE, **named}]


def test_a_recompute_names_the_payments_that_are_on_its_invoice() -> None:
    world = sent_invoice()
    second = "a2000000-0000-4000-8000-000000000002"
    world.invoice("100.00", id=second)
    one, two, other = (
        world.payment("10.00", invoice=invoice)["id"] for invoice in (INVOICE, INVOICE, second)
    )
    _, answer, queue = changed(world, {"payments": [one, other, two]})
    assert answer == {"accepted": 2}
    told = {message["invoice"]: message["payments"] for message in queue.messages()}
    assert {invoice: sorted(payments) for invoice, payments in told.items()} == {
        INVOICE: sorted([one, two]), second: [other],
    }  # fmt: skip


def test_rows_that_lead_nowhere_are_no_error() -> None:
    world = sent_invoice()
    unapplied = world.payment("10.00", invoice=None, client=None)["id"]
    gone = "a9000000-0000-4000-8000-000000000009"
    status, answer, queue = changed(
        world, {"payments": [unapplied, gone], "invoices": gone, "line_items": gone}
    )
    assert (status, answer, queue.sent) == (202, {"accepted": 0}, [])


def test_a_payment_on_no_invoice_that_cannot_be_read_refuses_nothing_and_is_the_renderers_matter() -> None:
    world = sent_invoice()
    fine, broken = (world.payment("10.00")["id"] for _ in range(2))
    world.directus.table("payments")[broken].update(
        invoice=None, client=None, status="who knows", receipt="a file"
    )
    status, answer, queue = changed(world, {"payments": [fine, broken]})
    assert (status, answer) == (202, {"accepted": 1})
    assert queue.messages() == [{"type": "recompute", "invoice": INVOICE, "payments": [fine]}]
    assert world.rendering.messages == [{"type": "receipt", "payment": broken, "force": False}]


def test_a_payment_that_was_taken_off_its_invoice_is_the_renderers_matter() -> None:
    world = sent_invoice()
    moved, off, other = (world.payment("10.00")["id"] for _ in range(3))
    for payment in (moved, off):
        world.directus.table("payments")[payment].update(receipt="a file")
    for payment in (off, other):
        world.directus.table("payments")[payment].update(invoice=None, client=None)
    status, answer, queue = changed(world, {"payments": [moved, off, other]})
    assert (status, answer) == (202, {"accepted": 1})
    assert queue.messages() == [{"type": "recompute", "invoice": INVOICE, "payments": [moved]}]
    assert world.rendering.messages == [{"type": "receipt", "payment": off, "force": False}]


@pytest.mark.parametrize(
    ("columns", "is_told"),
    [
        ({}, True), ({"visible_to_client": False}, False), ({"withdrawn_at": "2026-11-01T09:00:00Z"}, False),
        ({"type": "invoice"}, False), ({"payment": None}, False),
    ],
)  # fmt: skip
def test_a_payment_that_names_no_receipt_is_the_renderers_matter_while_its_client_sees_one(
    columns: dict[str, Any], *, is_told: bool
) -> None:
    world = sent_invoice()
    payment = world.payment("10.00", invoice=None, client=None, receipt=None)["id"]
    receipt = {"type": "receipt", "payment": payment, "invoice": INVOICE, "visible_to_client": True}
    world.directus.put("documents", **receipt | columns)
    assert changed(world, {"payments": payment})[:2] == (202, {"accepted": 0})
    told = [{"type": "receipt", "payment": payment, "force": False}]
    assert world.rendering.messages == (told if is_told else [])


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"invoices": "x"}, 400), ({"invoices": None}, 400), ({"invoices": {}}, 400), ("{", 400), ({"portal_access": INVOICE}, 501)],
)  # fmt: skip
def test_a_change_that_names_nothing_is_refused(body: Any, status: int) -> None:
    assert changed(World(), body)[0] == status


def test_a_change_without_the_flow_secret_is_refused() -> None:
    assert changed(World(), {"invoices": INVOICE}, "wrong")[0] == 401


# ---- the worker -----------------------------------------------------------------------------------------


def work(world: World, *messages: dict[str, Any], receives: int = 1) -> tuple[list[str], Control]:
    control = Control()
    function = InvoiceWorker(world.invoice_writer, world.apply_event, control)
    records = [
        {"messageId": f"m{number}", "receiptHandle": f"h{number}", "body": json.dumps(message),
         "attributes": {"ApproximateReceiveCount": str(receives)}}
        for number, message in enumerate(messages)
    ]  # fmt: skip
    answer = process_batch(
        {"Records": records}, INVOICE_WORK, lambda message: worker.work(message, function), control
    )
    return [failed["itemIdentifier"] for failed in answer["batchItemFailures"]], control


def test_the_worker_does_what_each_message_asks() -> None:
    world = sent_invoice()
    session = world.pay().checkout_session
    world.stripe.pays(session)
    failed, control = work(
        world,
        {"type": "recompute", "invoice": INVOICE},
        {"type": "sync_session", "invoice": INVOICE, "checkout_session": session},
        json.loads(to_json(world.stripe.events[0])),
    )
    assert (failed, control.dead, control.postponed) == ([], [], [])
    assert world.stored()["status"] == "paid"
    assert len(world.payments()) == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [({"type": "dance"}, "unknown_message"), ({}, "unknown_message"), ({"type": "recompute"}, "malformed_message"), ({"type": "recompute", "invoice": "gone"}, "not_found")],
)  # fmt: skip
def test_a_message_that_can_never_succeed_is_kept_as_a_dead_letter(
    message: dict[str, Any], reason: str
) -> None:
    failed, control = work(World(), message)
    assert failed == []
    assert [found for _, found in control.dead] == [reason]


# ---- a secret that has no value yet ---------------------------------------------------------------------

ARN = "arn:aws:secretsmanager:us-east-1:1:secret:StripeSecret-x"


def empty_secret() -> Secret:
    return Secret(failing(get_secret_value=refusal("GetSecretValue", "ResourceNotFoundException")), ARN)


def checkout_without_stripes_key(world: World) -> Checkout:
    return Checkout(SECRETS, empty_secret(), world.start_checkout)


def checkout_without_directus(world: World) -> Checkout:
    store = BillingStore(DirectusClient("http://directus", empty_secret(), world.directus.http))
    return Checkout(SECRETS, FixedToken(), dataclasses.replace(world.start_checkout, store=store))


def checkout_without_the_flow_secret(world: World) -> Checkout:
    return Checkout(empty_secret(), FixedToken(), world.start_checkout)


@pytest.mark.parametrize(
    "lacking", [checkout_without_stripes_key, checkout_without_directus, checkout_without_the_flow_secret]
)
@pytest.mark.parametrize("invoice", [INVOICE, "a9000000-0000-4000-8000-000000000009"])
def test_checkout_says_that_a_secret_is_empty_and_the_log_says_which(
    lacking: Any, invoice: str, log: io.StringIO
) -> None:
    """Also of an invoice that does not exist, which is what the doctor asks about."""
    world = sent_invoice()
    function = lacking(world)
    given = flow_event({"invoice": invoice, "user": USER})
    answer = respond(given, lambda: checkout.checkout(given, function, seconds=28.0))
    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["code"], body["flow_code"]) == (
        503, "secret_unavailable", "SECRET_UNAVAILABLE",
    )  # fmt: skip
    assert "arn" not in answer["body"]
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["code"], line["secret"]) == ("secret_unavailable", ARN)
    assert world.payments() == []


def test_a_delivery_waits_at_stripe_until_the_signing_secret_is_filled_in(log: io.StringIO) -> None:
    signed = hmac.new(b"whsec_new", f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    given = event(BODY.decode(), {"Stripe-Signature": f"t={NOW},v1={signed}"})
    answer = respond(given, lambda: webhook.receive(given, empty_secret(), FakeInvoiceQueue(), now=NOW))
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (503, "secret_unavailable")
    assert "arn" not in answer["body"]
    assert json.loads(log.getvalue())["secret"] == ARN


# ---- the log --------------------------------------------------------------------------------------------


def test_no_secret_no_address_and_no_card_is_ever_logged(log: io.StringIO) -> None:
    world = sent_invoice()
    world.directus.table("clients")[world.stored()["client"]].update(
        email="client@example.com", name="Ada Client"
    )
    for body, secret in itertools.product(
        (
            {"invoice": INVOICE, "user": USER},
            {"invoice": INVOICE, "user": OTHER_USER, "amount": "secret-amount"},
            "{bad",
        ),
        ("flow-secret", "previous-flow-secret", "wrong-flow-secret"),
    ):
        called(world, body, secret)
    session = world.payments()[0]["checkout_session"]
    world.stripe.pays(session, minor=4000)
    for message in world.stripe.events:
        work(world, json.loads(to_json(message)))
    delivered()
    delivered(secret="whsec_other")
    for error in (NotFound("x"), RuntimeError("x")):
        respond(event(), functools.partial(_raise, error))
    worker.flagged("Look at this.", {"checkout_session": session})
    worker.parked(BillingError("x"))
    logged = log.getvalue()
    assert session in logged, "the log was captured"
    for word in ("flow-secret", "whsec_", "service-token", "Bearer", "@example.com", "Ada", "Jenny", "4242", "visa", "secret-amount", "checkout.stripe.test"):  # fmt: skip
        assert word not in logged, word


def _raise(error: Exception) -> Any:
    raise error
