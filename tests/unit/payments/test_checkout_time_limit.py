"""Checkout answers before Lambda kills it: it begins nothing that it could be killed in."""

import json
from dataclasses import replace

import httpx
import pytest

from billing.aws.deadline import TimeLimit
from billing.aws.http_api import respond
from billing.composition import Checkout
from billing.directus.client import DirectusClient, http_client
from billing.errors import UpstreamUnavailable
from billing.payments.store import BillingStore
from functions.checkout import app
from tests.fakes.aws import AcceptedSecrets
from tests.fakes.directus import FakeDirectus, FixedToken
from tests.fakes.world import INVOICE, USER, World


class Clock:
    """Seconds since whenever."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class SlowDirectus:
    """Every answer takes as long as it may."""

    def __init__(self, directus: FakeDirectus, clock: Clock, seconds: float) -> None:
        self.directus, self.clock, self.seconds = directus, clock, seconds

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.clock.seconds += self.seconds
        return self.directus.answer(request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_before_an_invocation_begins_there_is_no_limit(clock: Clock) -> None:
    limit = TimeLimit(clock)
    assert limit.remaining() == float("inf")
    limit.begins(28.0)
    clock.seconds += 20
    assert limit.remaining() == 8.0
    limit.begins(28.0)
    assert limit.remaining() == 28.0


@pytest.mark.parametrize("seconds", [3.0, 6.0, 9.0, 10.0])
def test_checkout_ends_in_time_however_slow_directus_is(clock: Clock, seconds: float) -> None:
    world = World()
    world.invoice("100.00")
    limit = TimeLimit(clock)

    pauses: list[float] = []
    slow = httpx.MockTransport(SlowDirectus(world.directus, clock, seconds).answer)
    http = http_client(transport=slow, remaining_seconds=limit.remaining, needed_seconds=11.0)
    store = BillingStore(DirectusClient("http://directus", FixedToken(), http, sleep=pauses.append))
    world.start_checkout = replace(world.start_checkout, store=store)
    limit.begins(28.0)
    with pytest.raises(UpstreamUnavailable) as refusal:
        world.pay()
    assert (refusal.value.status, refusal.value.code) == (503, "out_of_time")
    assert pauses == [], "asking again would only lose time"
    assert limit.remaining() > 0
    assert len(world.payments()) <= 1
    # The next call, at an hour when Directus is quick, completes what was begun.
    world.start_checkout = replace(world.start_checkout, store=world.store)
    assert world.pay().url
    assert len(world.payments()) == len(world.stripe.sessions) == 1


def test_the_handler_counts_from_what_lambda_says(clock: Clock) -> None:
    world = World()
    world.invoice("100.00")
    function = Checkout(AcceptedSecrets(("secret",)), FixedToken(), world.start_checkout, TimeLimit(clock))
    event = {
        "headers": {"authorization": "Bearer secret"},
        "body": json.dumps({"invoice": INVOICE, "user": USER}),
    }
    answer = respond(event, lambda: app.checkout(event, function, seconds=28.0))
    assert answer["statusCode"] == 200
    assert function.time_limit.remaining() == 28.0
