"""The simulator as a program: options, restarts, and what it refuses to start with."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import stripe

from local.stripe_simulator import SECRET_KEY_VARIABLE, WEBHOOK_SECRETS_VARIABLE
from local.waiting import wait_for
from tests.integration.connections import http
from tests.integration.stripe_simulator.support import (
    DEADLINE,
    SECRET_KEY,
    WEBHOOK_SECRET,
    Receiver,
    parameters,
)

ROOT = Path(__file__).parents[3]
SECRETS = {SECRET_KEY_VARIABLE: SECRET_KEY, WEBHOOK_SECRETS_VARIABLE: WEBHOOK_SECRET}


class Program:
    """`python -m local.stripe_simulator`, started and stopped as the local stack does it."""

    def __init__(self, state_file: Path, specification: Path, webhook_url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [
            sys.executable, "-m", "local.stripe_simulator", "--port", str(self.port),
            "--webhook-url", webhook_url, "--state-file", str(state_file),
            "--spec", str(specification), "--retry-delays", "0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2",
        ]  # fmt: skip
        self._http = http()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._arguments, cwd=ROOT, env=SECRETS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for("the simulator to answer", self._answers, seconds=DEADLINE)

    def stop(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(10)

    def control(self, path: str, given: dict[str, object]) -> httpx.Response:
        return self._http.post(f"{self.url}/_test/{path}", json=given)

    def client(self) -> stripe.StripeClient:
        return stripe.StripeClient(SECRET_KEY, base_addresses={"api": self.url}, max_network_retries=0)

    def _answers(self) -> bool:
        try:
            return self._http.get(f"{self.url}/_test/health").status_code == 200
        except httpx.TransportError:
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
    wait_for("a first attempt", lambda: len(receiver.events) >= 1)
    program.stop(how)
    receiver.status = 200
    program.start()
    client = program.client()
    assert client.v1.checkout.sessions.retrieve(kept.id).status == "open"
    assert client.v1.checkout.sessions.create(parameters(), {"idempotency_key": "attempt-1"}).id == kept.id
    assert client.v1.payment_intents.retrieve(intent).status == "succeeded"
    wanted = {"payment_intent.succeeded", "charge.succeeded", "checkout.session.completed", "charge.updated"}
    wait_for("the undelivered events after the restart", lambda: wanted <= set(receiver.types()))


def test_it_stops_soon_even_while_a_webhook_hangs(tmp_path: Path, specification: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        program = Program(
            tmp_path / "state.sqlite", specification, f"http://127.0.0.1:{silent.getsockname()[1]}/"
        )
        session = program.client().v1.checkout.sessions.create(parameters())
        program.client().v1.checkout.sessions.expire(session.id)
        connection, _ = silent.accept()
        with connection:  # stays open: the webhook hangs until the simulator gives it up
            program.stop(signal.SIGTERM)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"--host": "0.0.0.0"}, "loopback"),  # noqa: S104 - what must be refused
        ({SECRET_KEY_VARIABLE: "sk_live_123"}, "sk_test_"),
        ({SECRET_KEY_VARIABLE: ""}, "sk_test_"),
        ({WEBHOOK_SECRETS_VARIABLE: "secret"}, "whsec_"),
        ({"--state-file": "/nonexistent/state.sqlite"}, "state file"),
    ],
)
def test_it_refuses_to_start_with_one_plain_sentence(
    tmp_path: Path, specification: Path, changes: dict[str, str], reason: str
) -> None:
    given = {
        "--port": "1", "--webhook-url": "http://127.0.0.1:1/", "--state-file": str(tmp_path / "state"),
        "--spec": str(specification), **SECRETS, **changes,
    }  # fmt: skip
    arguments = [part for option in given.items() if option[0].startswith("--") for part in option]
    result = subprocess.run(
        [sys.executable, "-m", "local.stripe_simulator", *arguments],
        cwd=ROOT,
        env={name: value for name, value in given.items() if not name.startswith("--")},
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
            sys.executable, "-m", "local.stripe_simulator", "--port", "1",
            "--state-file", str(letter), "--spec", str(specification),
        ],
        cwd=ROOT, env=SECRETS, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert result.returncode == 1
    assert letter.read_text().startswith("Dear client")
