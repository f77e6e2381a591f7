"""A deployed stack for each database, one after the other; gone afterwards.

`make soak` names the directory (`BILLING_TEST_DIRECTORY`) so that it can stop the stacks whatever happens to pytest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import DATABASES, Stack


@pytest.fixture(params=DATABASES)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    given = os.environ.get("BILLING_TEST_DIRECTORY")
    parent = Path(given) if given else tmp_path_factory.mktemp("soak")
    created = Stack(parent / f"stack-{request.param}", say=print, database=request.param)
    try:
        created.up(fresh=True)
        yield created
    finally:
        created.discard()
