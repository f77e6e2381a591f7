from __future__ import annotations

import pytest

from tests.integration.directus.server import RunningDirectus, running


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def directus(request: pytest.FixtureRequest) -> RunningDirectus:
    return running(request.param)
