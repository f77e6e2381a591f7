from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.charges import paid_charge
from tests.integration.stripe_simulator.support import RunningSimulator, parameters


def test_the_same_key_gives_the_same_session(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    first = sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    second = sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    assert second.id == first.id
    assert second.last_response is not None
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert first.last_response is not None
    assert second.last_response.headers["original-request"] == first.last_response.headers["request-id"]
    assert len(sessions.list().data) == 1


def test_the_same_key_with_another_amount_is_an_error(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    with pytest.raises(stripe.IdempotencyError):
        sessions.create(parameters(amount=5000), {"idempotency_key": "attempt-1"})


def test_a_replay_tells_what_was_true_then(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    first = sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    simulator.control(f"checkout/sessions/{first.id}/pay", method="card")
    assert sessions.create(parameters(), {"idempotency_key": "attempt-1"}).status == "open"
    assert sessions.retrieve(first.id).status == "complete"


def test_a_key_is_forgotten_after_a_day(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    first = sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    simulator.control("advance", seconds=24 * 60 * 60)
    assert sessions.create(parameters(), {"idempotency_key": "attempt-1"}).id != first.id


def test_a_refused_request_does_not_use_up_its_key(simulator: RunningSimulator) -> None:
    sessions = simulator.client().v1.checkout.sessions
    with pytest.raises(stripe.InvalidRequestError):
        sessions.create(parameters(amount=1), {"idempotency_key": "attempt-1"})
    assert sessions.create(parameters(), {"idempotency_key": "attempt-1"}).status == "open"


def test_a_key_has_at_most_255_characters(simulator: RunningSimulator) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="255"):
        simulator.client().v1.checkout.sessions.create(parameters(), {"idempotency_key": "k" * 256})


def test_a_lost_answer_and_a_retry_make_one_session(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="lose_answer")
    client = simulator.client(max_network_retries=2)
    session = client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    assert session.last_response is not None
    assert session.last_response.headers["idempotent-replayed"] == "true"
    assert [one.id for one in client.v1.checkout.sessions.list().data] == [session.id]


def test_a_lost_answer_without_a_retry_is_a_connection_error(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="lose_answer")
    client = simulator.client(max_network_retries=0)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(parameters())
    assert len(client.v1.checkout.sessions.list().data) == 1


def test_a_lost_request_does_nothing(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="lose_request")
    client = simulator.client(max_network_retries=0)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.create(parameters())
    assert client.v1.checkout.sessions.list().data == []


def test_a_status_can_be_ordered_for_one_operation(simulator: RunningSimulator) -> None:
    simulator.control(
        "fail_next", fault="status", status=429, count=2, operation="POST /v1/checkout/sessions"
    )
    client = simulator.client(max_network_retries=0)
    assert client.v1.checkout.sessions.list().data == []  # another operation: untouched
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.checkout.sessions.create(parameters())
    assert client.v1.checkout.sessions.create(parameters()).status == "open"


def test_ordered_faults_can_be_called_off(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="status", status=500, count=100)
    assert simulator.call("DELETE", "/_test/fail_next").json() == {"data": []}
    assert simulator.client().v1.checkout.sessions.list().data == []


def test_stripe_repeats_even_a_500_under_the_same_key(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="status", status=500, replay=True)
    client = simulator.client(max_network_retries=0)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"})
        assert failed.value.http_status == 500
    assert client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-2"}).status == "open"


def test_a_key_in_use_is_a_conflict(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="delay", seconds=1)
    client = simulator.client(max_network_retries=0)

    def create() -> stripe.checkout.Session:
        return client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"})

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(create)
        wait_for(
            "the slow call to be under way",
            lambda: not simulator.call("GET", "/_test/fail_next").json()["data"],
        )
        with pytest.raises(stripe.APIError) as conflict:
            create()
        assert conflict.value.http_status == 409
        assert conflict.value.error is not None
        assert conflict.value.error.code == "idempotency_key_in_use"
        session = slow.result()
    assert create().id == session.id


def test_a_refund_whose_key_is_in_use_is_a_conflict_and_happens_once(simulator: RunningSimulator) -> None:
    charge = paid_charge(simulator)
    simulator.control("fail_next", fault="delay", seconds=1, operation="POST /v1/refunds")
    client = simulator.client(max_network_retries=0)

    def refund() -> stripe.Refund:
        return client.v1.refunds.create({"charge": charge.id}, {"idempotency_key": "refund-1"})

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(refund)
        wait_for(
            "the slow call to be under way",
            lambda: not simulator.call("GET", "/_test/fail_next").json()["data"],
        )
        with pytest.raises(stripe.APIError) as conflict:
            refund()
        assert conflict.value.error is not None
        assert conflict.value.error.code == "idempotency_key_in_use"
        made = slow.result()
    assert refund().id == made.id
    assert [one.id for one in client.v1.refunds.list().data] == [made.id]


def test_a_read_can_fail_too(simulator: RunningSimulator) -> None:
    simulator.control("fail_next", fault="status", status=500, operation="GET /v1/disputes")
    simulator.control("fail_next", fault="lose_answer", operation="GET /v1/refunds/{refund}")
    client = simulator.client(max_network_retries=0)
    with pytest.raises(stripe.APIError):
        client.v1.disputes.list()
    with pytest.raises(stripe.APIConnectionError):
        client.v1.refunds.retrieve("re_unknown")
    assert client.v1.disputes.list().data == []


def test_many_callers_with_one_key_get_one_session(simulator: RunningSimulator) -> None:
    client = simulator.client(max_network_retries=2)
    with ThreadPoolExecutor(8) as pool:
        made = [
            pool.submit(client.v1.checkout.sessions.create, parameters(), {"idempotency_key": "attempt-1"})
            for _ in range(16)
        ]
    assert len({one.result().id for one in made}) == 1
    assert len(client.v1.checkout.sessions.list().data) == 1
