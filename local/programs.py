"""The programs of the local stack besides Directus: how each is started and when it is ready."""

import os
import sys
from pathlib import Path
from typing import Final

import httpx

from local.credentials import Credentials
from local.ministack_start import KEPT_FOR_QUEUE_WORKERS
from local.ports import HOST
from local.setup.paths import ROOT, python_environment
from local.stripe_simulator import SECRET_KEY_VARIABLE, WEBHOOK_SECRETS_VARIABLE
from local.supervisor import Program

#: One client for all requests: each new one would read the certificates again.
_http = httpx.Client(timeout=2.0, trust_env=False)

REGION: Final = "us-east-1"
LAMBDA_CONCURRENCY: Final = 20 + KEPT_FOR_QUEUE_WORKERS
"""Unbounded, forty cold starts at once on two cores ended in errors. Who comes when twenty calls run waits for room;
the queues' workers find theirs kept (ministack_start.py)."""


def answers(url: str) -> bool:
    """Return whether a GET answers 200 within two seconds."""
    try:
        return _http.get(url).status_code == 200  # noqa: PLR2004 - OK
    except httpx.RequestError:
        return False


def mail_catcher(directory: Path, *, smtp_port: int, http_port: int) -> Program:
    """Return the mail catcher; it keeps its messages in `directory`."""
    arguments = ["--smtp-port", str(smtp_port), "--http-port", str(http_port), "--directory", str(directory)]
    return Program(
        name="mail_catcher",
        arguments=[sys.executable, "-m", "local.mail_catcher", *arguments],
        environment=_plain_environment(),
        directory=ROOT,
        ready=lambda: answers(f"http://{HOST}:{http_port}/messages"),
    )


def ministack(directory: Path, *, port: int, smtp_port: int) -> Program:
    """Return the AWS emulator, IAM enforced; it saves its state in `directory` when it is stopped."""
    for name in ("state", "s3", "tmp"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    return Program(
        name="ministack",
        arguments=[
            str(python_environment("ministack") / "bin/python"),
            str(ROOT / "local/ministack_start.py"),
        ],
        environment={
            **_plain_environment(),
            # Functions are started from its environment, so nothing else of ours may be in it.
            "AUTH": "true",
            "BIND_HOST": HOST,  # the default is every interface
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_ACCOUNT_CONCURRENCY": str(LAMBDA_CONCURRENCY),
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "S3_DATA_DIR": str(directory / "s3"),
            "S3_PERSIST": "1",
            "SFTP_ENABLED": "0",
            "SMTP_HOST": f"{HOST}:{smtp_port}",
            "STATE_DIR": str(directory / "state"),
            "TMPDIR": str(directory / "tmp"),
        },
        directory=directory,
        ready=lambda: answers(f"http://{HOST}:{port}/_ministack/health"),
        stop_seconds=60,
    )


def stripe_simulator(
    state_file: Path, *, port: int, credentials: Credentials, webhook_url: str, document: Path
) -> Program:
    """Return the Stripe simulator; `document` is Stripe's pruned OpenAPI document."""
    options = {
        "--host": HOST,
        "--port": str(port),
        "--webhook-url": webhook_url,
        "--state-file": str(state_file),
        "--spec": str(document),
    }
    arguments = [part for option in options.items() for part in option]
    return Program(
        name="stripe_simulator",
        arguments=[sys.executable, "-m", "local.stripe_simulator", *arguments],
        # Not as arguments, which every user of the machine sees.
        environment={
            **_plain_environment(),
            SECRET_KEY_VARIABLE: credentials.stripe_secret_key,
            WEBHOOK_SECRETS_VARIABLE: credentials.webhook_secret,
        },
        directory=ROOT,
        ready=lambda: answers(f"http://{HOST}:{port}/_test/health"),
    )


def _plain_environment() -> dict[str, str]:
    return {
        "HOME": str(Path.home()),
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
