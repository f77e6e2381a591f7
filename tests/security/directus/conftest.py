import pytest

from tests.security.directus.world import World
from tests.security.directus.world import world as world_on


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> World:
    return world_on(request.param)
