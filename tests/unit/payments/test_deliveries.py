"""Deliveries as Stripe makes them: signed bytes through the receiver and the queue to the rows, however they come."""

import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from billing.aws.http_api import respond
from billing.errors import UpstreamUnavailable
from billing.messages import StripeEvent
from functions.stripe_webhook import app as webhook
from tests.fakes.aws import AcceptedSecrets
from tests.fakes.http_events import event as http_event
from tests.fakes.world import INVOICE, World, opened
from tests.unit.template.sam_template import read_template

SECRET = "whsec_live"
NAME = "Żółć 🦊"


def snapshot(event: StripeEvent, **envelope: Any) -> bytes:
    """The event as Stripe sends it, with a payload of which nothing may be believed or kept."""
    metadata = {"directus_invoice": event.invoice, "deployment": event.deployment} if event.invoice else {}
    described = {
        "id": event.object, "object": event.object_type, "metadata": metadata, "payment_status": "unpaid",
        "amount_total": 1, "customer_details": {"name": NAME},
    }  # fmt: skip
    body = {"id": event.event, "object": "event", "type": event.event_type, "livemode": False, "api_version": "2026-10-28.endive"}  # fmt: skip
    return json.dumps({**body, "data": {"object": described}, **envelope}, ensure_ascii=False).encode()


def thin(event: StripeEvent) -> bytes:
    related = {"id": event.object, "type": event.object_type, "url": "/v1/x"}
    body = {"id": event.event, "object": "v2.core.event", "type": f"v1.{event.event_type}", "livemode": False}
    return json.dumps({**body, "related_object": related}).encode()


def signed(world: World, body: bytes, secret: str = SECRET) -> str:
    at = int(world.now().timestamp())
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def received(world: World, body: bytes, signature: str | None = None) -> int:
    """One delivery; the receiver's status."""
    given = http_event(body.decode(), {"Stripe-Signature": signature or signed(world, body)})
    secrets, now = AcceptedSecrets((SECRET,)), world.now().timestamp()
    return int(respond(given, lambda: webhook.receive(given, secrets, world.queue, now=now))["statusCode"])


def paid() -> World:
    """A client has paid at Stripe; nothing was delivered."""
    world, session = opened()
    world.stripe.pays(session)
    world.stripe.learns_fee(session, 320)
    return world


def books(world: World) -> dict[str, Any]:
    row = world.stored()
    return {
        "invoice": (row["status"], row["amount_paid"], row["balance_due"]),
        "payments": [
            (row["transaction_id"], row["amount"], row["status"], row["fee"], row["open_claim"])
            for row in world.payments()
        ],
    }


PAID = {
    "invoice": ("paid", "100.00", "0.00"),
    "payments": [("pi_1", "100.00", "succeeded", "3.20", None)],
}


def events(world: World) -> dict[str, str]:
    return {key: row["status"] for key, row in world.directus.table("stripe_events").items()}


# ---- from the bytes to the books ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [snapshot, thin])
def test_a_signed_event_travels_from_its_bytes_to_the_books(form: Any) -> None:
    world = paid()
    for event in world.stripe.events:
        assert received(world, form(event)) == 200
    queued = json.dumps(world.queue.messages(), ensure_ascii=False)
    assert NAME not in queued
    world.drain()
    assert books(world) == PAID
    assert set(events(world).values()) == {"done"}
    assert NAME not in json.dumps(world.directus.tables, ensure_ascii=False, default=str)


@pytest.mark.parametrize("version", ["2020-08-27", "2030-01-01.future", None])
def test_an_event_of_another_api_version_is_only_a_hint(version: str | None) -> None:
    """What it says in its payload (unpaid, one cent) is not what is booked."""
    world = paid()
    for event in world.stripe.events:
        assert received(world, snapshot(event, api_version=version)) == 200
    world.drain()
    assert books(world) == PAID


def test_a_retry_hours_later_is_signed_anew_and_booked() -> None:
    world = paid()
    bodies = [snapshot(event) for event in world.stripe.events]
    world.queue.error = UpstreamUnavailable("x", code="queue_unavailable")
    old = signed(world, bodies[0])
    assert [received(world, body) for body in bodies] == [503] * len(bodies)
    world.queue.error = None
    world.passes(hours=2)
    assert received(world, bodies[0], old) == 400, "only a fresh signature is accepted"
    assert [received(world, body) for body in bodies] == [200] * len(bodies)
    world.drain()
    assert books(world) == PAID


def test_the_same_bytes_under_the_same_header_have_one_effect() -> None:
    world = paid()
    body = snapshot(world.stripe.events[0])
    header = signed(world, body)
    world.passes(seconds=299)
    for _ in range(3):
        assert received(world, body, header) == 200
    assert {deduplication for _, _, deduplication in world.queue.sent} == {world.stripe.events[0].event}
    world.drain()
    assert len(world.payments()) == 1
    assert events(world) == {world.stripe.events[0].event: "done"}


def test_a_secret_of_the_other_mode_is_refused_and_raises_an_alarm() -> None:
    world = paid()
    body = snapshot(world.stripe.events[0])
    assert received(world, body, signed(world, body, "whsec_test")) == 400
    assert world.queue.sent == []
    alarms = [
        resource["Properties"]
        for resource in read_template()["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert [alarm["Namespace"] for alarm in alarms if alarm["MetricName"] == "SignatureRejected"] == [
        {"Sub": "LegalBilling/${Deployment}"}
    ]


# ---- several workers, and others who look at the same session ---------------------------------------------


def _rehearsed_steps(world: World) -> int:
    world.steps.reset()
    world.deliver()
    return len(world.steps.names)


def test_another_worker_between_any_two_steps_of_an_event_books_nothing_twice() -> None:
    """The queue delivers a group once at a time; this is what holds when it does not."""
    for number, when in itertools.product(range(_rehearsed_steps(paid())), ("before", "after")):
        world = paid()
        world.steps.reset()
        (world.steps.before if when == "before" else world.steps.after)[number] = world.deliver
        try:
            world.deliver()
        except UpstreamUnavailable:
            world.deliver()
        assert books(world) == PAID, (number, when)
        assert set(events(world).values()) == {"done"}


def test_a_look_at_the_session_between_any_two_steps_of_an_event_changes_nothing() -> None:
    """What reconciliation and checkout queue, while a webhook is being worked on."""
    for number, when in itertools.product(range(_rehearsed_steps(paid())), ("before", "after")):
        world = paid()
        (session,) = world.stripe.sessions

        def look(world: World = world, session: str = session) -> None:
            world.invoice_writer.sync_session(session)

        world.steps.reset()
        (world.steps.before if when == "before" else world.steps.after)[number] = look
        try:
            world.deliver()
        except UpstreamUnavailable:
            world.deliver()
        assert books(world) == PAID, (number, when)


def test_without_a_single_event_a_look_at_the_session_gives_the_same_books() -> None:
    world = paid()
    (session,) = world.stripe.sessions
    world.passes(days=3)
    for _ in range(2):
        assert world.invoice_writer.sync_session(session)
    assert books(world) == PAID
    assert events(world) == {}
    world.deliver()
    assert books(world) == PAID


# ---- fees -----------------------------------------------------------------------------------------------


def test_a_payment_is_booked_before_its_fee_is_known_and_the_fee_is_filled_in() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["fee"]) == ("succeeded", None)
    world.stripe.learns_fee(session, 320)
    world.deliver()
    assert books(world) == PAID


# ---- another application beside us --------------------------------------------------------------------------


def test_a_payment_of_another_application_costs_its_look_and_tells_nobody() -> None:
    world = paid()
    foreign = [replace(event, invoice=None, deployment=None) for event in world.stripe.events]
    (session,) = world.stripe.sessions
    found = world.stripe.sessions[session]
    assert found.payment_intent is not None
    world.stripe.sessions[session] = replace(
        found, metadata={}, payment_intent=replace(found.payment_intent, metadata={})
    )
    before = books(world)
    for event in foreign:
        assert received(world, snapshot(event)) == 200
    world.drain()
    assert books(world) == before
    assert set(events(world).values()) == {"ignored"}
    assert (world.flags, world.parked) == ([], [])
    assert world.stored()["id"] == INVOICE
