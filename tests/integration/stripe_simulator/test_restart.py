"""The simulator as a program: options, restarts, and what it refuses to start with."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
import urllib3

from tests.integration.stripe_simulator.support import (
    SECRET_KEY,
    WEBHOOK_SECRET,
    Receiver,
    eventually,
    parameters,
)

ROOT = Path(__file__).parents[3]


class Program:
    """`python -m local.stripe_simulator`, started and stopped as the local stack does it."""

    def __init__(self, state_file: Path, specification: Path, webhook_url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [
            sys.executable, "-m", "local.stripe_simulator", "--port", str(self.port), "--secret-key", SECRET_KEY,
            "--webhook-secret", WEBHOOK_SECRET, "--webhook-url", webhook_url, "--state-file", str(state_file),
            "--spec", str(specification), "--retry-delays", "0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2",
        ]  # fmt: skip
        self._pool = urllib3.PoolManager()
        self.start()

    def start(self) -> None:
        began = time.monotonic()
        self.process = subprocess.Popen(
            self._arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, "the simulator answers")
        self.seconds_to_start = time.monotonic() - began

    def stop(self, how: signal.Signals) -> None:
        self._pool.clear()
        self.process.send_signal(how)
        self.process.wait(10)

    def control(self, path: str, given: dict[str, object]) -> urllib3.BaseHTTPResponse:
        return self._pool.request("POST", f"{self.url}/_test/{path}", json=given, retries=False)

    def client(self) -> stripe.StripeClient:
        return stripe.StripeClient(SECRET_KEY, base_addresses={"api": self.url}, max_network_retries=0)

    def _answers(self) -> bool:
        try:
            return self._pool.request("GET", f"{self.url}/_test/health", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False


@pytest.fixture
def program(tmp_path: Path, specification: Path, receiver: Receiver) -> Iterator[Program]:
    running = Program(tmp_path / "state.sqlite", specification, receiver.url)
    yield running
    if running.process.poll() is None:
        running.stop(signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_keeps_everything_that_was_answered(
    program: Program, receiver: Receiver, how: signal.Signals
) -> None:
    receiver.status = 503  # nothing is accepted before the restart
    client = program.client()
    kept = client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"})
    paid = client.v1.checkout.sessions.create(parameters())
    intent = program.control(f"checkout/sessions/{paid.id}/pay", {"method": "card"}).json()["payment_intent"]
    eventually(lambda: len(receiver.events) >= 1, "a first attempt")
    program.stop(how)
    receiver.status = 200
    program.start()
    assert program.seconds_to_start < 5
    client = program.client()
    assert client.v1.checkout.sessions.retrieve(kept.id).status == "open"
    assert client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"}).id == kept.id
    assert client.v1.payment_intents.retrieve(intent).status == "succeeded"
    wanted = {"payment_intent.succeeded", "charge.succeeded", "checkout.session.completed", "charge.updated"}
    eventually(lambda: wanted <= set(receiver.types()), "the undelivered events arrive after the restart")


def test_it_stops_soon_even_while_a_webhook_hangs(tmp_path: Path, specification: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        program = Program(
            tmp_path / "state.sqlite", specification, f"http://127.0.0.1:{silent.getsockname()[1]}/"
        )
        session = program.client().v1.checkout.sessions.create(parameters())
        program.client().v1.checkout.sessions.expire(session.id)
        connection, _ = silent.accept()
        began = time.monotonic()
        program.stop(signal.SIGTERM)
        assert time.monotonic() - began < 5
        connection.close()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"--host": "0.0.0.0"}, "loopback"),  # noqa: S104 - what must be refused
        ({"--secret-key": "sk_live_123"}, "sk_test_"),
        ({"--webhook-secret": "secret"}, "whsec_"),
        ({"--state-file": "/nonexistent/state.sqlite"}, "state file"),
    ],
)
def test_it_refuses_to_start_with_one_plain_sentence(
    tmp_path: Path, specification: Path, options: dict[str, str], reason: str
) -> None:
    given = {
        "--port": "1", "--secret-key": SECRET_KEY, "--webhook-secret": WEBHOOK_SECRET,
        "--webhook-url": "http://127.0.0.1:1/", "--state-file": str(tmp_path / "state"), "--spec": str(specification),
    } | options  # fmt: skip
    arguments = [part for option in given.items() for part in option]
    result = subprocess.run(
        [sys.executable, "-m", "local.stripe_simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert result.returncode == 1
    assert reason in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_file_that_is_no_state_file_is_left_alone(tmp_path: Path, specification: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear client, " * 100)
    result = subprocess.run(
        [
            sys.executable, "-m", "local.stripe_simulator", "--port", "1", "--secret-key", SECRET_KEY,
            "--state-file", str(letter), "--spec", str(specification),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert result.returncode == 1
    assert letter.read_text().startswith("Dear client")
