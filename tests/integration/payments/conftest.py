from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stripe_simulator.specification import obtain
from tests.integration.payments.cashier import Cashier
from tests.integration.stripe_simulator.support import Receiver, RunningSimulator


@pytest.fixture(scope="session")
def specification() -> Path:
    return obtain()


@pytest.fixture
def simulator(specification: Path, tmp_path: Path) -> Iterator[RunningSimulator]:
    receiver = Receiver()
    running = RunningSimulator(specification, tmp_path / "state.sqlite", receiver.url)
    yield running
    running.close()
    receiver.close()
    assert receiver.rejected == []


@pytest.fixture
def cashier(simulator: RunningSimulator) -> Cashier:
    return Cashier(simulator)
