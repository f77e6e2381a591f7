import http.server
import json
import threading
from collections import Counter

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.charges import paid_charge
from tests.integration.stripe_simulator.support import (
    DEADLINE,
    WEBHOOK_SECRET,
    Receiver,
    RunningSimulator,
    Start,
    parameters,
)


def expire_one(simulator: RunningSimulator) -> str:
    """One event happens; the session it is about."""
    client = simulator.client()
    return client.v1.checkout.sessions.expire(client.v1.checkout.sessions.create(parameters()).id).id


def test_an_event_is_signed_and_shaped_so_that_the_sdk_takes_it(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    session = expire_one(simulator)
    simulator.settled()
    body = json.dumps(receiver.events[0], indent=2, ensure_ascii=False)
    event = simulator.client().construct_event(body, receiver.headers[0], WEBHOOK_SECRET)
    assert (event.type, event.api_version, event.livemode) == (
        "checkout.session.expired",
        "2026-10-28.endive",
        False,
    )
    assert event.data.object["id"] == session
    assert event.request is not None
    assert event.request.id is not None


def test_another_secret_does_not_verify(simulator: RunningSimulator, receiver: Receiver) -> None:
    expire_one(simulator)
    simulator.settled()
    body = json.dumps(receiver.events[0], indent=2, ensure_ascii=False)
    with pytest.raises(stripe.SignatureVerificationError):
        simulator.client().construct_event(body, receiver.headers[0], "whsec_other")


def test_while_a_secret_is_rolled_both_signatures_are_sent(start: Start, receiver: Receiver) -> None:
    simulator = start(webhook_secrets=("whsec_new", WEBHOOK_SECRET))
    expire_one(simulator)
    simulator.settled()
    assert receiver.headers[0].count("v1=") == 2


def test_every_delivery_can_be_doubled(simulator: RunningSimulator, receiver: Receiver) -> None:
    simulator.control("deliveries", duplicate=2)
    expire_one(simulator)
    simulator.settled()
    assert len({event["id"] for event in receiver.events}) == 1
    assert len(receiver.events) == 3
    assert [(entry["attempt"], entry["status"]) for entry in simulator.deliveries()] == [(1, 200)] * 3


def test_a_dropped_attempt_is_repeated(simulator: RunningSimulator, receiver: Receiver) -> None:
    simulator.control("deliveries", drop=2)
    session = expire_one(simulator)
    simulator.settled()
    log = simulator.deliveries()
    assert [(entry["attempt"], entry["status"], entry["outcome"]) for entry in log] == [
        (1, 0, "dropped"),
        (2, 0, "dropped"),
        (3, 200, "delivered"),
    ]
    assert {entry["object"] for entry in log} == {session}
    assert len(receiver.events) == 1


def test_a_lost_event_never_arrives_but_can_be_sent_by_hand(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    simulator.control("deliveries", lose=1)
    expire_one(simulator)
    expire_one(simulator)
    simulator.settled()
    lost = [entry["event"] for entry in simulator.deliveries() if entry["outcome"] == "lost"]
    assert len(lost) == 1
    assert lost[0] not in {event["id"] for event in receiver.events}
    simulator.control(f"events/{lost[0]}/resend")
    simulator.settled()
    assert lost[0] in {event["id"] for event in receiver.events}


def test_a_refusing_endpoint_is_tried_again_with_a_fresh_signature(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    receiver.status = 503
    expire_one(simulator)
    wait_for("the second attempt", lambda: len(receiver.events) >= 2)
    receiver.status = 200
    simulator.settled()
    assert [entry["outcome"] for entry in simulator.deliveries()][:2] == ["refused", "refused"]
    assert simulator.deliveries()[-1]["outcome"] == "delivered"


def test_a_redirect_is_no_acceptance(simulator: RunningSimulator, receiver: Receiver) -> None:
    receiver.status = 301
    expire_one(simulator)
    simulator.settled()
    assert [entry["outcome"] for entry in simulator.deliveries()] == ["refused"] * 4  # then it is given up


def test_a_waiting_retry_comes_when_time_passes(start: Start, receiver: Receiver) -> None:
    simulator = start(retry_delays=(7200.0,))
    receiver.status = 500
    expire_one(simulator)
    wait_for("the first attempt", lambda: len(simulator.deliveries()) == 1)
    receiver.status = 200
    simulator.control("advance", seconds=7200)
    simulator.settled()
    assert [entry["status"] for entry in simulator.deliveries()] == [500, 200]


def test_events_can_arrive_in_another_order(simulator: RunningSimulator) -> None:
    simulator.control("deliveries", reorder=True)
    session = simulator.client().v1.checkout.sessions.create(parameters())
    happened = simulator.control(f"checkout/sessions/{session.id}/pay", method="card")["events"]
    simulator.settled()
    tried = [entry["event"] for entry in simulator.deliveries()]
    assert Counter(happened) <= Counter(tried)
    assert [event for event in tried if event in happened] != happened


def test_an_endpoint_gets_only_what_it_subscribed_to(start: Start, receiver: Receiver) -> None:
    simulator = start(webhook_events=frozenset({"checkout.session.completed"}))
    session = simulator.client().v1.checkout.sessions.create(parameters())
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card")
    simulator.settled()
    assert receiver.types() == ["checkout.session.completed"]


def test_refunds_and_disputes_are_disturbed_like_everything_else(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    charge = paid_charge(simulator)
    wait_for("the fee", lambda: "charge.updated" in receiver.types())
    simulator.settled()
    already = len(receiver.events)
    simulator.control("deliveries", duplicate=1, reorder=True, lose=1, drop=1)
    happened = simulator.control(f"charges/{charge.id}/dispute", outcome="won")["events"]
    simulator.settled()
    arrived = [event["id"] for event in receiver.events[already:]]
    assert set(arrived) == set(happened[1:])  # the first is lost
    assert list(dict.fromkeys(arrived)) != happened[1:]
    assert set(Counter(arrived).values()) == {2}
    undelivered = simulator.client().v1.events.list({"delivery_success": False}).data
    assert [event.id for event in undelivered] == happened[:1]
    log = Counter(entry["outcome"] for entry in simulator.deliveries())
    assert log["dropped"] == 1
    assert simulator.call("GET", "/_test/deliveries/summary").json() == {"waiting": 0, "attempts": dict(log)}


class HoldingEndpoint:
    """A webhook endpoint that answers only when it is let go, and counts who waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.go = threading.Event()
        endpoint, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with lock:
                    endpoint.waiting += 1
                endpoint.go.wait(DEADLINE)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_as_many_deliveries_run_at_a_time_as_wanted(start: Start, at_a_time: int) -> None:
    endpoint = HoldingEndpoint()
    try:
        simulator = start(webhook_url=endpoint.url, at_a_time=at_a_time)
        paid_charge(simulator)  # at least five events
        wait_for("the deliveries to arrive", lambda: endpoint.waiting == at_a_time)
        waiting = simulator.call("GET", "/_test/deliveries").json()["waiting"]
        assert len(waiting) > at_a_time
        assert endpoint.waiting == at_a_time
        endpoint.go.set()
        simulator.settled()
    finally:
        endpoint.close()
