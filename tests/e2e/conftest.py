"""The deployed stack of the e2e level: one for the whole session, on empty data, gone afterwards.

`make test` names the directory (`BILLING_TEST_DIRECTORY`) so that it can stop the stack whatever happens to
pytest; without it the stack lives in pytest's own temporary directory.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.demo.steps import Firm
from local.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield the running stack; `stack.description()` is `stack.json` of the contract."""
    given = os.environ.get("BILLING_TEST_DIRECTORY")
    directory = Path(given) / "stack" if given else tmp_path_factory.mktemp("stack")
    created = Stack(directory, say=print)
    try:
        created.up(fresh=True)
        yield created
    finally:
        created.down()


@pytest.fixture(scope="session")
def firm(stack: Stack) -> Firm:
    """Return the running stack as its users see it."""
    return Firm(stack.description())
