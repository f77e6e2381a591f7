"""Queues that keep what they were sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from billing.aws.queues import recompute_message
from tests.fakes.steps import Steps


@dataclass
class FakeInvoiceQueue:
    """The FIFO queue of invoice work; `sent` holds (message, group, deduplication id)."""

    steps: Steps = field(default_factory=Steps)
    sent: list[tuple[dict[str, Any], str, str | None]] = field(default_factory=list)
    error: Exception | None = None

    def send(self, message: Mapping[str, object], *, group: str, deduplication_id: str | None = None) -> None:
        number = self.steps.begin("queue")
        if self.error:
            raise self.error
        self.sent.append((dict(message), group, deduplication_id))
        self.steps.end(number)

    def recompute(
        self,
        invoices: Iterable[str],
        *,
        as_of: str | None = None,
        payments: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        for invoice in invoices:
            self.send(recompute_message(invoice, as_of, payments), group=invoice)

    def messages(self) -> list[dict[str, Any]]:
        return [message for message, _, _ in self.sent]


@dataclass
class FakeWorkQueue:
    """A standard queue."""

    steps: Steps = field(default_factory=Steps)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def send_many(self, messages: Iterable[Mapping[str, object]]) -> None:
        number = self.steps.begin("queue rendering")
        self.messages.extend(dict(message) for message in messages)
        self.steps.end(number)
