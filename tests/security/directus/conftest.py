from collections.abc import Iterator

import pytest

from tests.security.directus.strangers import Strangers
from tests.security.directus.strangers import strangers as strangers_on
from tests.security.directus.world import World
from tests.security.directus.world import world as world_on


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> World:
    return world_on(request.param)


@pytest.fixture(scope="session")
def strangers(world: World) -> Iterator[Strangers]:
    with strangers_on(world) as running:
        yield running
