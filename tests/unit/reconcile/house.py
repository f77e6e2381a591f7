"""The firm of the money path with reconciliation beside it, on the fakes: real stores, real use cases."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from billing.directus.client import DirectusClient
from billing.errors import BillingError
from billing.reconcile.reconcile import Reconcile, ReconcileRequest, Report
from billing.reconcile.store import ReconcileRows
from tests.fakes.directus import FixedToken
from tests.fakes.messages import carry_out
from tests.fakes.receipts import receipt_columns
from tests.fakes.world import INVOICE, World
from tests.unit.reconcile.support import FakeContinuation, FakeDeadLetters, FakeNotes, FakeReports

if TYPE_CHECKING:
    from collections.abc import Callable

    from billing.reconcile.ports import StripeRecords


type Json = dict[str, Any]


@dataclass
class House(World):
    """`drop_webhooks` is how the events so far are lost: nobody delivers them, and Stripe thinks that it did."""

    dead_letters: FakeDeadLetters = field(default_factory=FakeDeadLetters)
    reports: FakeReports = field(default_factory=FakeReports)
    continuation: FakeContinuation = field(default_factory=FakeContinuation)
    notes: FakeNotes = field(default_factory=FakeNotes)
    #: Stripe as reconciliation sees it, if that is another than the use cases'.
    records: StripeRecords | None = None
    #: Whether payments that a test puts there as received lack their receipts.
    without_receipts: bool = False
    #: What the log was told of failures without a name.
    unnamed: list[tuple[str, Exception]] = field(default_factory=list)
    #: Messages that the worker gave up.
    failed: list[tuple[Json, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.directus.now = self.now
        client = DirectusClient("http://directus", FixedToken(), self.directus.http, sleep=lambda _: None)
        self.reconcile = Reconcile(
            rows=ReconcileRows(client),
            stripe=self.records or self.stripe,
            dead_letters=self.dead_letters,
            invoice_queue=self.queue,
            render_queue=self.rendering,
            reports=self.reports,
            continuation=self.continuation,
            notes=self.notes,
            deployment="test",
            failed=lambda sentence, error: self.unnamed.append((sentence, error)),
            clock=self.now,
        )

    def invoice(self, *lines: str, **columns: Any) -> Json:
        """An invoice with its document."""
        row = super().invoice(*lines, **columns)
        self.document(row["id"])
        return row

    def document(self, invoice: str = INVOICE, *, version: int = 1, file: str | None = "file") -> Json:
        """A document of the invoice, as the renderer registers it."""
        return self.directus.put("documents", invoice=invoice, type="invoice", version=version, file=file)

    def drop_webhooks(self) -> None:
        """Every event so far is lost for good, and Stripe does not know it."""
        self.stripe.delivered |= {event.event for event in self.stripe.events}
        self.queue.sent.clear()

    def run(self, *, remaining_seconds: Callable[[], float] = lambda: 900.0, **event: Any) -> Report:
        """One run of the function; what the tests put there as paid has its receipt, unless `without_receipts`."""
        if not self.without_receipts:
            self.receipts_are_true()
        return self.reconcile(ReconcileRequest.from_event(event), remaining_seconds=remaining_seconds)

    def receipts_are_true(self) -> None:
        """Every payment has a receipt that says what the row says: they are no matter of the test."""
        for row in self.directus.table("payments").values():
            if row["status"] == "succeeded" and row["invoice"] is not None:
                has = {"receipt": row["receipt"]} if row.get("receipt") else {}
                row.update(receipt_columns(row) | has)

    def follow(self) -> list[Json]:
        """The runs that earlier ones have asked for, with the time that they need; gives what they repaired."""
        repaired: list[Json] = []
        for event in self.continuation.taken():
            repaired += self.run(**event).as_json()["repaired"]
            assert self.continuation.events == [], "a run asks for another one once"
            self.work_off()
        return repaired

    def work_off(self) -> None:
        """The workers empty their queues; what they give up is in `failed`."""
        while self.queue.sent:
            message, group, _ = self.queue.sent.pop(0)
            try:
                self._work(message, group)
            except BillingError as error:
                self.failed.append((message, error.code))
        while self.rendering.messages:
            self._render(self.rendering.messages.pop(0))

    def _work(self, message: Json, group: str) -> None:
        match message["type"]:
            case "recompute":
                assert group == message["invoice"]
            case "sync_session":
                assert group == self._group_of(message["checkout_session"])
        carry_out(message, self.invoice_writer, self.apply_event)

    def _group_of(self, session: str) -> str:
        """Only the worker of its invoice's group may book a session."""
        return self.invoice_writer.row_of(self.stripe.sessions[session]).invoice or session

    def _render(self, message: Json) -> None:
        """The renderer: the newest document has a file, and there is one; a payment has its receipt."""
        if message["type"] == "receipt":
            payment = self.directus.table("payments")[message["payment"]]
            none = {"receipt": None, "receipt_says": None}
            sent = payment["invoice"] and self.stored(payment["invoice"])["sent_at"]
            payment |= receipt_columns(payment) if sent else none
            for document in self.directus.table("documents").values():
                if document["payment"] == payment["id"] and document["invoice"] != payment["invoice"]:
                    document.update(visible_to_client=False, withdrawn_at=self.now().isoformat())
            return
        invoice = message["invoice"]
        self.stored(invoice)["pdf_status"] = "ready"
        documents = [d for d in self.directus.table("documents").values() if d["invoice"] == invoice]
        if not documents:
            self.document(invoice)
        elif message["force"]:
            newest = max(documents, key=lambda document: document["version"])
            newest["file"] = str(uuid.uuid4())


def settled(house: House, **event: Any) -> tuple[list[Json], list[Json]]:
    """Reconcile once and work it off; a second run must repair nothing and report the same.

    Gives what the first has repaired and what the second one names. What the first named of its own repairs (they might
    not have held) is gone then; what a repair notes on a payment comes with it.
    """
    first = house.run(**event).as_json()
    before = len(house.stripe.events)
    house.work_off()
    for told in house.stripe.events[before:]:  # a repair may expire a session, and Stripe tells of that
        house.queue.send(told)
        house.stripe.delivered.add(told.event)
    house.work_off()
    followed = house.follow()
    second = house.run(**event).as_json()
    assert second["repaired"] == [], second["repaired"]
    assert _lasting(second) == _lasting(first)
    assert (house.queue.sent, house.failed) == ([], [])
    house.continuation.events.clear()
    return [*first["repaired"], *followed], second["differences"]


def _lasting(answer: Json) -> list[Json]:
    repaired = [
        {name: value for name, value in one.items() if name != "repair"} for one in answer["repaired"]
    ]
    return [one for one in answer["differences"] if one not in repaired and one["kind"] != "payment_flagged"]


def kinds(entries: list[Json]) -> list[str]:
    return [entry["kind"] for entry in entries]


def rows_of(house: House) -> dict[str, Any]:
    """Everything that is stored (a table comes into being by being read)."""
    return {name: rows for name, rows in house.directus.snapshot().items() if rows}
