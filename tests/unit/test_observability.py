"""What gets into a function's log, under the logging that Lambda's own runtime client sets up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from local.setup.paths import python_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "sk_live_never_in_a_log"

FUNCTION = """
import sys
from awslambdaric.bootstrap import _setup_logging, _AWS_LAMBDA_LOG_FORMAT, _AWS_LAMBDA_LOG_LEVEL, StandardLogSink

_setup_logging(_AWS_LAMBDA_LOG_FORMAT, _AWS_LAMBDA_LOG_LEVEL, StandardLogSink())
from billing import composition
from billing.aws.observability import logger

assert composition.secret("arn:stripe").current() == sys.argv[1]
logger.debug("Ours, at DEBUG.")
logger.info("Ours, at INFO.")
"""


@contextmanager
def secrets_manager() -> Iterator[str]:
    """An endpoint that answers every request with the secret."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.dumps({"SecretString": SECRET}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
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


@pytest.mark.parametrize(("level", "ours"), [("DEBUG", 2), ("INFO", 1)])
def test_the_log_level_is_ours_alone_and_no_library_writes_a_secret_into_the_log(
    level: str, ours: int
) -> None:
    runtime = python_environment("lambda_runtime") / "lib/python3.13/site-packages"
    with secrets_manager() as endpoint:
        run = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", FUNCTION, SECRET],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": ":".join([*sys.path, str(runtime)]),
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_LAMBDA_LOG_FORMAT": "JSON",
                "AWS_LAMBDA_LOG_LEVEL": level,
                "POWERTOOLS_LOG_LEVEL": level,
                "POWERTOOLS_SERVICE_NAME": "test",
                "POWERTOOLS_METRICS_NAMESPACE": "LegalBilling/main",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr[-800:]
    written = run.stdout + run.stderr
    assert SECRET not in written
    assert written.count("Ours, at ") == ours
    assert len(written.splitlines()) == ours, "libraries say nothing below WARNING"
