"""An AWS account in this process: moto answers what boto3 asks, so that nothing leaves it."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs.models import Message, sqs_backends

REGION = "us-east-1"


@functools.cache
def _client(service: str) -> Any:
    """boto3's own client. All tests of a process share it: making one takes longer than most of them."""
    return boto3.session.Session("test", "test", region_name=REGION).client(service)  # type: ignore[call-overload]  # any service


@dataclass(frozen=True)
class Queue:
    """A queue as nobody sees it at AWS: with what is hidden, and hiding nothing."""

    url: str
    name: str

    @property
    def messages(self) -> list[Message]:
        return list(sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues[self.name]._messages)

    def bodies(self) -> list[str]:
        return [message.body for message in self.messages]

    def readable(self) -> list[str]:
        """What a person can read now."""
        return [message.body for message in self.messages if message.visible]

    def time_passes(self) -> None:
        """Until what was hidden is readable again."""
        for message in self.messages:
            message.visible_at = 0.0


class Account:
    """boto3's clients of it, and what is in it."""

    def client(self, service: str) -> Any:
        return _client(service)

    def queue(self, name: str) -> Queue:
        """A new queue; a FIFO queue if its name ends so."""
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        return Queue(_client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], name)

    def bucket(self, name: str = "documents") -> Any:
        """The client of S3, with a new bucket in it."""
        _client("s3").create_bucket(Bucket=name)
        return _client("s3")


@contextmanager
def account() -> Iterator[Account]:
    """Empty, and gone afterwards."""
    with mock_aws():
        yield Account()
