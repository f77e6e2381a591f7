from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from billing.aws.observability import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.aws_account import Account


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the functions log, as it would reach CloudWatch."""
    handler, stream = logger.registered_handler, io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)


@pytest.fixture
def aws() -> Iterator[Account]:
    """An AWS account without anything in it."""
    from tests.fakes.aws_account import account  # moto takes half a second to import

    with account() as empty:
        yield empty
