"""What every test of this project shares: the environment that Powertools reads on import, and fixed seeds."""

import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Tests")

hypothesis.settings.register_profile("test", derandomize=True, deadline=None, max_examples=100)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


_TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes (`--dist loadgroup`), a file stays in one of them, and the one deployed stack as well."""
    for item in items:
        path = item.path.relative_to(_TESTS)
        group = path.parts[0] if path.parts[0] in {"e2e", "soak"} else str(path)
        item.add_marker(pytest.mark.xdist_group(group))
