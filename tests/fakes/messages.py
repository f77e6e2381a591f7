"""Messages of a queue as Lambda hands them over, and what a worker did with them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.aws.queue_worker import INVOICE_WORK, read
from billing.messages import Recompute, RenderInvoicePdf, StripeEvent, SyncSession, to_json
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.write_invoice import InvoiceWriter


def carry_out(message: Mapping[str, Any], writer: InvoiceWriter, apply_event: ApplyStripeEvent) -> None:
    """What the worker of invoice work does with a message as on the wire."""
    match read(INVOICE_WORK, json.dumps(message)):
        case StripeEvent() as event:
            apply_event(event)
        case SyncSession(session):
            writer.sync_session(session)
        case Recompute(invoice, as_of, payments):
            writer.recompute(invoice, as_of, payments=payments)


@dataclass
class Control:
    postponed: list[tuple[str, int]] = field(default_factory=list)
    dead: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        self.postponed.append((receipt_handle, seconds))

    def send_to_dead_letters(self, record: Any, reason: str) -> None:
        if self.error:
            raise self.error
        self.dead.append((record["messageId"], reason))


def record(name: str, body: str | None = None, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": name, "receiptHandle": f"receipt {name}", "body": to_json(RenderInvoicePdf(name)) if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(receives), "MessageGroupId": "i1"},
    }  # fmt: skip
