"""The stack as a thing one starts, stops, breaks and starts again."""

import json
import os
import signal
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx

from local.adapter.sandbox import Mode, available_mode
from local.setup.paths import ROOT
from local.stack import STACK_NAME, Stack
from local.supervisor import identify
from local.waiting import wait_for

NAMES = {"directus", "mail_catcher", "ministack", "stripe_simulator"}


def answer(stack: Stack, path: str, *, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{stack.description()['directus']['url']}{path}"
    return httpx.get(url, headers=headers, timeout=10.0, trust_env=False)


def pid_of(stack: Stack, name: str) -> int:
    return int(json.loads((stack.directory / "run" / f"{name}.json").read_text())["pid"])


def test_the_description_is_private_and_everything_runs(stack: Stack) -> None:
    assert set(stack.running()) == NAMES
    assert stat.S_IMODE((stack.directory / "stack.json").stat().st_mode) == 0o600


def test_directus_is_healthy_with_its_bucket_and_its_mail(stack: Stack) -> None:
    health = answer(stack, "/server/health", token=stack.description()["directus"]["admin_token"]).json()
    assert health["checks"]["storage:s3:responseTime"][0]["status"] == "ok"
    assert health["checks"]["email:connection"][0]["status"] == "ok"


def messages(stack: Stack, subject_or_recipient: str) -> list[dict[str, Any]]:
    url = f"{stack.description()['mail']['url']}/messages"
    caught: list[dict[str, Any]] = httpx.get(url, timeout=10.0, trust_env=False).json()
    return [mail for mail in caught if subject_or_recipient in (mail["subject"], *mail["to"])]


def wait_for_message(stack: Stack, subject_or_recipient: str) -> dict[str, Any]:
    found = wait_for("the e-mail", lambda: messages(stack, subject_or_recipient), seconds=20)
    return found[-1]


def test_mail_from_ses_is_caught(stack: Stack) -> None:
    subject = f"Reminder {uuid.uuid4()}"
    stack.emulator().client("sesv2").send_email(
        FromEmailAddress=stack.parameters()["SenderEmail"],
        Destination={"ToAddresses": ["client@example.com"]},
        Content={
            "Simple": {
                "Subject": {"Data": subject},
                "Body": {"Text": {"Data": "Señora Núñez: 1.200,00 €"}, "Html": {"Data": "<p>Señora</p>"}},
            }
        },
    )
    caught = wait_for_message(stack, subject)
    assert caught["to"] == ["client@example.com"]
    assert "Señora Núñez: 1.200,00 €" in caught["text"]


def test_mail_from_directus_is_caught(stack: Stack) -> None:
    directus = stack.description()["directus"]
    person = directus["staff"][0]["email"]
    path = f"{directus['url']}/auth/password/request"
    asked = httpx.post(path, json={"email": person}, timeout=10.0, trust_env=False)
    assert asked.status_code == 204
    assert person in wait_for_message(stack, person)["to"]


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    ports = set(json.loads((stack.directory / "ports.json").read_text()).values())
    listening = subprocess.run(
        ["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True
    )
    found = set()
    for line in listening.stdout.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == "0A":
            address, port = fields[1].rsplit(":", 1)
            if int(port, 16) in ports:
                found.add(int(port, 16))
                assert address == "0100007F", f"port {int(port, 16)} listens on more than 127.0.0.1"
    assert found == ports


def deployed(stack: Stack) -> dict[str, str]:
    """When each function was written last, and the stack itself."""
    emulator = stack.emulator()
    functions = emulator.client("lambda").list_functions()["Functions"]
    (own,) = emulator.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    modified = {row["FunctionName"]: f"{row['LastModified']} {row['RevisionId']}" for row in functions}
    return {**modified, STACK_NAME: str(own.get("LastUpdatedTime", own["CreationTime"]))}


def test_a_second_start_restarts_deploys_applies_and_seeds_nothing(stack: Stack) -> None:
    token = stack.description()["directus"]["admin_token"]
    # The installer and the seed write as the administrator, and Directus keeps a row of every write.
    administrator = answer(stack, "/users/me?fields=id", token=token).json()["data"]["id"]
    activity = f"/activity?aggregate[count]=*&filter[user][_eq]={administrator}"
    before = {name: pid_of(stack, name) for name in NAMES}
    description, functions = stack.description(), deployed(stack)
    written = answer(stack, activity, token=token).json()
    stack.up()
    assert {name: pid_of(stack, name) for name in NAMES} == before
    assert stack.description() == description
    assert deployed(stack) == functions
    assert answer(stack, activity, token=token).json() == written


def test_a_killed_program_is_brought_back_by_the_next_start(stack: Stack) -> None:
    before = pid_of(stack, "stripe_simulator")
    os.kill(before, signal.SIGKILL)
    stack.up()
    assert pid_of(stack, "stripe_simulator") != before
    assert set(stack.running()) == NAMES


def test_directus_stopped_and_started_keeps_address_and_data(stack: Stack) -> None:
    token = stack.description()["directus"]["admin_token"]
    count = "/items/invoices?aggregate[count]=*"
    before = answer(stack, count, token=token).json()
    pid = pid_of(stack, "directus")
    stack.stop_process("directus")
    assert identify(pid) is None
    stack.start_process("directus")
    assert answer(stack, count, token=token).json() == before


def test_the_emulator_keeps_its_state_over_a_restart(stack: Stack) -> None:
    bucket = stack.description()["aws"]["documents_bucket"]
    key = f"{uuid.uuid4()}.pdf"
    stack.emulator().client("s3").put_object(Bucket=bucket, Key=key, Body=b"%PDF-")
    stack.stop_process("ministack")
    stack.start_process("ministack")

    assert stack.emulator().client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"%PDF-"
    functions = stack.emulator().client("lambda").list_functions()["Functions"]
    assert len(functions) == len(stack.description()["functions"]["names"])


def test_functions_see_what_lambda_would_show_them(stack: Stack) -> None:
    """The runtime client is AWS's own, so an unknown payload comes back as its error with Lambda's paths."""
    name = stack.description()["functions"]["names"]["stripe_webhook_worker"]
    client = stack.emulator().client("lambda")
    read = client.invoke(FunctionName=name, Payload=b'{"Records": 1}')
    payload = json.loads(read["Payload"].read())
    assert read["FunctionError"]
    assert any("/opt/python/" in line or "/var/task/" in line for line in payload["stackTrace"]) or (
        available_mode() is Mode.PROCESS
    )


def test_stopping_leaves_no_process_and_the_next_start_keeps_the_data(stack: Stack, tmp_path: Path) -> None:
    """A stack of its own, started and stopped by the command line, as a person does."""
    del stack  # only so that the machine is not asked for two cold starts at once
    directory = tmp_path / "stack"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_PORT")}

    def local(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments, "--directory", str(directory)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        started = local("up")
        assert started.returncode == 0, started.stderr
        first = Stack(directory).description()
        client = Stack(directory).emulator().client("lambda")
        client.invoke(FunctionName=first["functions"]["names"]["stripe_webhook"], Payload=b"{}")
        processes = marked(directory)
        assert len(processes) > len(NAMES)

        assert local("down").returncode == 0
        assert marked(directory) == []
        assert not (directory / "stack.json").exists()
        assert local("down").stdout == "Nothing was running.\n"

        assert local("up").returncode == 0
        assert Stack(directory).description() == first
    finally:
        local("down")
    assert marked(directory) == []


def marked(directory: Path) -> list[int]:
    """Processes of the stack in `directory`, zombies too: found by command line, environment or folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in text:
            found.append(int(folder.name))
    return found
