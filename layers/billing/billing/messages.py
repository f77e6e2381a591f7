"""What the queues carry: ids only, written by whoever asks for work and read by the worker that does it.

A field's name is its key on the wire. A message may wait longer than a deployment takes: a new field has a default,
and none is renamed. `aws.queue_worker` reads messages with pydantic, which the receiver of webhooks must not load.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class StripeEvent:
    """The ids of a verified event; no payload, no personal data.

    `invoice` is the invoice that our own metadata names, if any. `deployment` likewise; None where the object is not
    one that we name ourselves in: whoever makes a refund may write on it what they like. `livemode` is None where it
    is not known any more. `of_another_account`: it happened in an account that is not the one of the endpoint, a
    connected account or another one of the organization.
    """

    event: str
    event_type: str
    object: str
    object_type: str
    livemode: bool | None
    invoice: str | None = None
    deployment: str | None = None
    of_another_account: bool = False
    type: Literal["stripe_event"] = "stripe_event"

    @property
    def group(self) -> str:
        """The FIFO group: the invoice, else the object."""
        return self.invoice or self.object


@dataclass(frozen=True)
class SyncSession:
    """The invoice writer looks at the session again and books what it says; `invoice` if one is known."""

    checkout_session: str
    invoice: str | None = None
    type: Literal["sync_session"] = "sync_session"

    @property
    def group(self) -> str:
        """The FIFO group: the invoice, else the session."""
        return self.invoice or self.checkout_session


@dataclass(frozen=True)
class Recompute:
    """The invoice writer derives the invoice from its rows again, as they are to be seen at `as_of` if it is given.

    `payments` are those that people have entered or changed.
    """

    invoice: str
    as_of: datetime | None = None
    payments: tuple[str, ...] = ()
    type: Literal["recompute"] = "recompute"

    @property
    def group(self) -> str:
        """The FIFO group: the invoice."""
        return self.invoice


@dataclass(frozen=True)
class RenderInvoicePdf:
    """The renderer makes the invoice's document; `force`: renders it again and mends what is missing of it."""

    invoice: str
    force: bool = False
    type: Literal["invoice"] = "invoice"


@dataclass(frozen=True)
class RenderReceiptPdf:
    """The renderer looks at the receipt of a payment; `force` as for invoices."""

    payment: str
    force: bool = False
    type: Literal["receipt"] = "receipt"


@dataclass(frozen=True)
class Reminder:
    """The sender sends one step's reminder of an invoice, as planned for the aware moment `as_of`."""

    kind: Literal["reminder"]
    step: str
    invoice: str
    dedupe_key: str
    as_of: datetime


type InvoiceWork = StripeEvent | SyncSession | Recompute
type Rendering = RenderInvoicePdf | RenderReceiptPdf
type Message = InvoiceWork | Rendering | Reminder


def to_json(message: Message) -> str:
    """The message as a queue carries it; what a recompute has nothing to say of is left out."""
    members = {
        key: value for key, value in vars(message).items() if value or key not in {"as_of", "payments"}
    }
    return json.dumps(members, default=datetime.isoformat)
