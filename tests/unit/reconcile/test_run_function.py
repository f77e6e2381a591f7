"""The function: how long what it has built may take, and what it counts."""

from __future__ import annotations

import http.server
import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from billing.aws.deadline import TimeLimit
from billing.composition import HAND_OVER_SECONDS
from billing.directus.client import http_client, send
from billing.errors import ConnectionFailed, UpstreamUnavailable
from billing.reconcile.reconcile import CLOSING_SECONDS, RESERVE_SECONDS
from functions.reconcile import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_comparison_leaves_time_to_close_and_closing_leaves_time_to_hand_over() -> None:
    time = TimeLimit(lambda: 0.0)
    assert time.before(CLOSING_SECONDS)() == float("inf")
    time.begins(100.0)
    comparing, reporting = (time.before(seconds) for seconds in (CLOSING_SECONDS, HAND_OVER_SECONDS))
    assert (comparing(), reporting()) == (40.0, 75.0)
    assert RESERVE_SECONDS > CLOSING_SECONDS > HAND_OVER_SECONDS > 0
    time.begins(10.0)
    assert comparing() < 0


@pytest.fixture
def silent() -> Iterator[str]:
    """A Directus that takes a connection and never answers."""
    answer = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.wait(10)

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/items/firm"
    answer.set()
    server.shutdown()
    server.server_close()


def test_a_request_lasts_no_longer_than_what_remains(silent: str) -> None:
    left = [0.3]
    with http_client(read_timeout=60, remaining_seconds=lambda: left[0]) as http:
        with pytest.raises(ConnectionFailed) as failure:
            send(http, http.build_request("GET", silent))
        assert failure.value.maybe_sent
        left[0] = 0.0
        with pytest.raises(UpstreamUnavailable) as refused:
            send(http, http.build_request("GET", silent))
    assert (refused.value.code, type(refused.value)) == ("out_of_time", UpstreamUnavailable), (
        "it is not retried"
    )


def test_a_run_without_time_says_so_instead_of_dying(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be asked: every phase is named, and the answer is one that people and alarms can read."""
    for name, value in {
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "DEPLOYMENT": "main", "DIRECTUS_URL": "http://127.0.0.1:9",
        "DIRECTUS_TOKEN_SECRET": "arn:directus", "STRIPE_API_BASE": "http://127.0.0.1:9",
        "STRIPE_SECRET": "arn:stripe", "DIRECTUS_STORAGE": "s3", "DOCUMENTS_BUCKET": "documents",
        **{f"{queue}_{kind}_URL": "http://127.0.0.1:9/queue" for queue in ("INVOICE", "MESSAGE", "RENDER") for kind in ("QUEUE", "DLQ")},
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    context: Any = SimpleNamespace(
        function_name="test", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="request",
        get_remaining_time_in_millis=lambda: 1000,
    )  # fmt: skip
    app.build.cache_clear()
    try:
        answer = app.handler({}, context)
    finally:
        app.build.cache_clear()
        app.time_limit.begins(float("inf"))
    phases = [entry["phase"] for entry in answer["differences"] if entry["kind"] == "not_compared"]
    assert {"sessions", "transactions", "invoices", "dead_letter_queues"} <= set(phases)
    assert "report_not_stored" in [entry["kind"] for entry in answer["differences"]]
    counted = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "ReconcileDifferences" in line
    ]
    assert counted[0]["ReconcileDifferences"] == [len(answer["differences"])]
