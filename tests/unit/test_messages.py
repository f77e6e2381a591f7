"""Messages as they lie in the queues: what is written, what is read, also from before an upgrade, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from billing.aws.queue_worker import INVOICE_WORK, REMINDERS, RENDERING, read
from billing.errors import BadRequest
from billing.messages import (
    Message,
    Recompute,
    Reminder,
    RenderInvoicePdf,
    RenderReceiptPdf,
    StripeEvent,
    SyncSession,
    to_json,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

NINE = datetime(2026, 3, 3, 9, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "type": "stripe_event", "event": "evt_1", "event_type": "charge.refunded", "object": "ch_1", "object_type": "charge",
    "livemode": None, "invoice": None, "deployment": None, "of_another_account": False,
}  # fmt: skip
REMINDER = {
    "kind": "reminder",
    "step": "s",
    "invoice": "i1",
    "dedupe_key": "k",
    "as_of": "2026-03-03T09:00:00+00:00",
}
EVERY: list[tuple[TypeAdapter[Any], Message, dict[str, Any]]] = [
    (INVOICE_WORK, StripeEvent("evt_1", "charge.refunded", "ch_1", "charge", None), EVENT),
    (INVOICE_WORK, SyncSession("cs_1"), {"type": "sync_session", "invoice": None, "checkout_session": "cs_1"}),
    (INVOICE_WORK, Recompute("i1"), {"type": "recompute", "invoice": "i1"}),
    (INVOICE_WORK, Recompute("i1", NINE, ("p1",)),
     {"type": "recompute", "invoice": "i1", "as_of": "2026-03-03T09:00:00+00:00", "payments": ["p1"]}),
    (RENDERING, RenderInvoicePdf("i1", force=True), {"type": "invoice", "invoice": "i1", "force": True}),
    (RENDERING, RenderReceiptPdf("p1"), {"type": "receipt", "payment": "p1", "force": False}),
    (REMINDERS, Reminder("reminder", "s", "i1", "k", NINE), REMINDER),
]  # fmt: skip


@pytest.mark.parametrize(("queue", "message", "body"), EVERY)
def test_a_message_is_on_the_wire_as_docs_architecture_names_it_and_is_read_back(
    queue: TypeAdapter[Any], message: Message, body: dict[str, Any]
) -> None:
    assert json.loads(to_json(message)) == body
    assert read(queue, to_json(message)) == message


def test_an_event_queued_before_accounts_were_told_apart_is_still_read() -> None:
    before = {key: value for key, value in EVENT.items() if key != "of_another_account"}
    assert read(INVOICE_WORK, json.dumps(before)) == StripeEvent(
        "evt_1", "charge.refunded", "ch_1", "charge", None
    )


@pytest.mark.parametrize(
    ("queue", "body", "code"),
    [
        (INVOICE_WORK, {"type": "secret"}, "unknown_message"),
        (INVOICE_WORK, {"invoice": "secret"}, "unknown_message"),
        (INVOICE_WORK, {"type": "invoice", "invoice": "secret", "force": False}, "unknown_message"),
        (INVOICE_WORK, {"type": "recompute"}, "malformed_message"),
        (INVOICE_WORK, {"type": "recompute", "invoice": {"secret": 1}}, "malformed_message"),
        (INVOICE_WORK, {"type": "recompute", "invoice": "i1", "as_off": "secret"}, "malformed_message"),
        (INVOICE_WORK, {"type": "recompute", "invoice": "i1", "as_of": "secret"}, "malformed_message"),
        (INVOICE_WORK, {"type": "recompute", "invoice": "i1", "payments": "secret"}, "malformed_message"),
        (INVOICE_WORK, {**EVENT, "livemode": "secret"}, "malformed_message"),
        (INVOICE_WORK, ["secret"], "malformed_message"),
        (RENDERING, {"type": "statement", "invoice": "secret"}, "unknown_message"),
        (RENDERING, {"type": "invoice", "invoice": "i1", "force": "secret"}, "malformed_message"),
        (REMINDERS, {}, "malformed_message"),
        (REMINDERS, {**REMINDER, "kind": "secret"}, "malformed_message"),
        (REMINDERS, {**REMINDER, "as_of": None}, "malformed_message"),
        (REMINDERS, {key: REMINDER[key] for key in REMINDER if key != "kind"}, "malformed_message"),
    ],
)  # fmt: skip
def test_what_this_queue_does_not_carry_is_refused_for_good_and_not_repeated_in_the_log(
    queue: TypeAdapter[Any], body: object, code: str
) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(queue, json.dumps(body))
    assert (refusal.value.code, refusal.value.retryable) == (code, False)
    assert "secret" not in refusal.value.detail
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
