import io
import logging
from collections.abc import Iterator

import pytest

from billing.aws.observability import logger


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the functions log, as it would reach CloudWatch."""
    handler, stream = logger.registered_handler, io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
