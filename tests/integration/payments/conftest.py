import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from directus.access import role_id
from local.seed import seed_id
from local.stripe_simulator.specification import obtain
from tests.integration.directus.server import RunningDirectus, running
from tests.integration.payments.cashier import Cashier
from tests.integration.payments.firm import Firm, Household
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
    """A client of Sofia's with one person, beside the seed data."""
    name = uuid.uuid4().hex[:12]
    client = directus.admin.call(
        "POST",
        "/items/clients",
        {
            "name": "Proof Ltd",
            "email": f"{name}@client.example",
            "assigned_staff": seed_id("user", "sofia"),
        },
    )["id"]
    user = directus.admin.call(
        "POST",
        "/users",
        {
            "email": f"{name}@example.com",
            "role": role_id("Client"),
            "status": "active",
            "client": client,
        },
    )["id"]
    return Household(directus, client, user)


@pytest.fixture
def stripe(specification: Path, tmp_path: Path) -> Iterator[RunningSimulator]:
    """A Stripe account without an endpoint: the tests decide which event is delivered when."""
    running = RunningSimulator(specification, tmp_path / "account.sqlite", None)
    yield running
    running.close()


@pytest.fixture
def firm(house: Household, stripe: RunningSimulator) -> Firm:
    return Firm(house, stripe)
