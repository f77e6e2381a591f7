from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stripe_simulator.openapi import StripeDocument
from local.stripe_simulator.specification import obtain
from tests.integration.stripe_simulator.support import Receiver, RunningSimulator, Start


@pytest.fixture(scope="session")
def specification() -> Path:
    return obtain()


@pytest.fixture(scope="session")
def document(specification: Path) -> StripeDocument:
    return StripeDocument.load(specification)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()
    assert running.rejected == []


@pytest.fixture
def start(specification: Path, tmp_path: Path, receiver: Receiver) -> Iterator[Start]:
    """Starts simulators on one state file; they are stopped at the end."""
    started: list[RunningSimulator] = []

    def starter(**options: Any) -> RunningSimulator:
        webhook_url = options.pop("webhook_url", receiver.url)
        started.append(RunningSimulator(specification, tmp_path / "state.sqlite", webhook_url, **options))
        return started[-1]

    yield starter
    for simulator in started:
        simulator.close()


@pytest.fixture
def simulator(start: Start) -> RunningSimulator:
    return start()
