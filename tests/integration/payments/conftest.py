from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stripe_simulator.specification import obtain
from tests.integration.directus.server import RunningDirectus, running
from tests.integration.payments.cashier import Cashier
from tests.integration.payments.firm import Firm, Household, a_household
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


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def directus(request: pytest.FixtureRequest) -> RunningDirectus:
    return running(request.param)


@pytest.fixture(scope="session")
def house(directus: RunningDirectus) -> Household:
    """A client that the tests share."""
    return a_household(directus)


@pytest.fixture(scope="session")
def stripe(specification: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """A Stripe account without an endpoint: the tests decide which event is delivered when.

    They share it, as deployments of different firms' could.
    """
    state = tmp_path_factory.mktemp("stripe") / "account.sqlite"
    running = RunningSimulator(specification, state, None)
    yield running
    running.close()


@pytest.fixture
def firm(house: Household, stripe: RunningSimulator) -> Firm:
    return Firm(house, stripe)
