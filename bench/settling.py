"""Waiting until everything under way has arrived, and reconciling until there is nothing left to repair."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from local.demo import steps
from local.waiting import wait_for

if TYPE_CHECKING:
    from local.demo.steps import Firm

_QUEUE: Final = "stripe_events"
_LONGEST_INVOCATION_SECONDS: Final = 900
MOST_ROUNDS: Final = 12


def drain(firm: Firm, *, seconds: float) -> float:
    """Wait until the queue of invoice work is empty and nothing of it is worked on; return the seconds it took."""
    began = time.perf_counter()
    wait_for("the queue to be empty", lambda: steps.is_empty(firm, _QUEUE), seconds=seconds, pause=0.2)
    return time.perf_counter() - began


def reconcile_until_quiet(firm: Firm, since: str, *, seconds: float) -> list[dict[str, Any]]:
    """Reconcile and drain until a round repairs nothing, or only what the round before did; return all answers.

    A stack that served others may hold what never can be repaired; were it ours, the auditor would find it.
    """
    answers: list[dict[str, Any]] = []
    for _ in range(MOST_ROUNDS):
        answers.append(invoke_patiently(firm, "reconcile", {"since": since}))
        drain(firm, seconds=seconds)
        # A run that had no time left goes on by itself; the next round looks at everything again.
        again = len(answers) > 1 and _kinds(answers[-1]) == _kinds(answers[-2])
        if not answers[-1].get("continued") and (again or not answers[-1]["repaired"]):
            return answers
    raise AssertionError(f"Reconcile still repairs after {MOST_ROUNDS} rounds: {answers[-1]['repaired'][:3]}")


def _kinds(answer: dict[str, Any]) -> set[tuple[tuple[str, str], ...]]:
    """What a round repaired, without the sentences."""
    return {
        tuple(sorted((name, str(value)) for name, value in entry.items() if name != "detail"))
        for entry in answer["repaired"]
    }


def repaired(answers: list[dict[str, Any]]) -> int:
    """How many repairs there were in all rounds."""
    return sum(int(answer.get("repaired_total", len(answer["repaired"]))) for answer in answers)


def invoke_patiently(firm: Firm, function: str, event: dict[str, Any]) -> Any:
    """Invoke a function that may work for as long as Lambda lets it."""
    aws = firm.description["aws"]
    client = boto3.client(
        "lambda",
        endpoint_url=aws["endpoint_url"],
        region_name=aws["region"],
        aws_access_key_id=aws["access_key_id"],
        aws_secret_access_key=aws["secret_access_key"],
        config=Config(retries={"max_attempts": 0}, read_timeout=_LONGEST_INVOCATION_SECONDS),
    )
    name = firm.description["functions"]["names"][function]
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    document = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, f"{function} failed: {document}"
    return document
