"""What every test of this project shares: the environment that Powertools reads on import, and fixed seeds."""

import os

import hypothesis
import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]  # xdist ships no types

from tests.distribution import ByNeed

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Tests")

hypothesis.settings.register_profile("test", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByNeed | None:
    """Hand tests out so where `--dist loadfile` asks for files; xdist's own groups are lost on the pinned pytest."""
    return ByNeed(config, log) if config.getvalue("dist") == "loadfile" else None
