"""Queues that keep what they were sent."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from billing.messages import InvoiceWork, Recompute, Reminder, Rendering, to_json
from tests.fakes.steps import Steps


@dataclass
class FakeInvoiceQueue:
    """The FIFO queue of invoice work; `sent` holds (message as on the wire, group, deduplication id)."""

    steps: Steps = field(default_factory=Steps)
    sent: list[tuple[dict[str, Any], str, str | None]] = field(default_factory=list)
    error: Exception | None = None

    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        number = self.steps.begin("queue")
        if self.error:
            raise self.error
        self.sent.append((json.loads(to_json(message)), message.group, deduplication_id))
        self.steps.end(number)

    def recompute(
        self,
        invoices: Iterable[str],
        *,
        as_of: datetime | None = None,
        payments: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        for invoice in invoices:
            self.send(Recompute(invoice, as_of, tuple(payments.get(invoice, ()))))

    def messages(self) -> list[dict[str, Any]]:
        return [message for message, _, _ in self.sent]


@dataclass
class FakeWorkQueue:
    """A standard queue."""

    steps: Steps = field(default_factory=Steps)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def send_many(self, messages: Iterable[Rendering | Reminder]) -> None:
        number = self.steps.begin("queue rendering")
        self.messages.extend(json.loads(to_json(message)) for message in messages)
        self.steps.end(number)
