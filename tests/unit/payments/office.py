"""A firm with several invoices, everything that can happen to it, and every call to the outside a step that may fail.

Directus stands behind `Rows` (what people and the audit see of it) and a `DirectusClient` (what our functions use), so
that the same happenings run on the fake and on a real one. Stripe and the clock are ours in both.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from billing.aws.queue_worker import INVOICE_WORK, Retry, disposition, read
from billing.directus.client import DirectusClient
from billing.errors import BillingError, ConnectionFailed
from billing.messages import StripeEvent
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.checkout import CheckoutTerms
from billing.payments.start_checkout import CheckoutRequest, StartCheckout, StartedCheckout
from billing.payments.store import BillingStore
from billing.payments.write_invoice import InvoiceWriter
from billing.reconcile.differences import Redriven
from billing.reconcile.reconcile import Reconcile, ReconcileRequest, Report
from billing.reconcile.store import ReconcileRows
from tests.fakes.messages import carry_out
from tests.fakes.queues import FakeInvoiceQueue, FakeWorkQueue
from tests.fakes.receipts import receipt_columns
from tests.fakes.steps import Crash, Steps, crash
from tests.fakes.stripe import FakeStripe
from tests.unit.reconcile.support import FakeContinuation, FakeNotes, FakeReports

type Row = dict[str, Any]

DEPLOYMENT = "test"
TERMS = CheckoutTerms(DEPLOYMENT, "https://firm.example/paid", ("card", "us_bank_account"))
#: Reconcile runs every hour and reads Stripe's lists of three days: here it is late at most by this.
LONGEST_WITHOUT_RECONCILE = timedelta(hours=60)
#: A message that is not done after so many undisturbed deliveries never will be.
_MOST_RECEIVES = 6


class Choose(Protocol):
    """Decides what happens: Hypothesis, or a random number generator with a fixed seed."""

    def __call__[Option](self, options: Sequence[Option], what: str) -> Option:
        """One of the options, of which there is at least one."""
        ...


class Rows(Protocol):
    """Directus as an administrator sees it. Money is text with two decimals."""

    def put(self, collection: str, **row: Any) -> str:
        """Create a row; its key."""
        ...

    def change(self, collection: str, key: str, **columns: Any) -> None:
        """Write columns of a row."""
        ...

    def all(self, collection: str) -> Mapping[str, Row]:
        """The rows of this firm by key."""
        ...


@dataclass
class Bill:
    """What people know of an invoice: whose it is, and what it asks for, in minor units."""

    id: str
    client: str
    user: str
    currency: str
    tax_thousandths: int = 0
    due: date | None = None
    #: Drafted without dates: it gets them when it is sent.
    undated: bool = False
    state: str = "sent"
    lines: dict[str, int] = field(default_factory=dict)
    #: Objections by key: the line or None, the amount or None; only those that are open.
    objections: dict[str, tuple[str | None, int | None]] = field(default_factory=dict)


@dataclass
class Entered:
    """A payment that staff entered; `refunds` are the firm's own, by key: amount and status."""

    invoice: str
    minor: int
    status: str
    refunds: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What goes wrong around a call to the outside: `crash`, `outage` of some calls, or something `meanwhile`.

    `step` is the call's number, or the name of an effect, whose first call it then is.
    """

    kind: str
    step: int | str
    after: bool
    calls: int = 1


@dataclass
class Office:
    """`handed_out` are the sessions that callers were sent to, by invoice; `meanwhile` happens in the middle of calls.

    `received` are the events that the receiver took, `untold` the changes of invoices and of their payments
    whose flow is late.
    """

    rows: Rows
    client: DirectusClient
    steps: Steps
    new_id: Callable[[], str]
    #: The file that every document of this firm has: what is in it is not tested here.
    file: str = "file"
    account: str = ""
    #: The firm's payment terms in days.
    terms: int = 30
    time: datetime = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    #: What reconciliation reads with, if not with `client`.
    reader: DirectusClient | None = None
    meanwhile: Callable[[], object] = lambda: None
    bills: dict[str, Bill] = field(default_factory=dict)
    entered: dict[str, Entered] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    handed_out: dict[str, set[str]] = field(default_factory=dict)
    untold: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    dead: list[tuple[dict[str, Any], str, BillingError]] = field(default_factory=list)
    received: set[str] = field(default_factory=set)
    flags: list[str] = field(default_factory=list)
    parked: list[BillingError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stripe = FakeStripe(self.now, self.steps, self.account)
        self.queue = FakeInvoiceQueue(self.steps)
        self.rendering = FakeWorkQueue(self.steps)
        self._busy: set[str] = set()
        self._receives: dict[int, int] = {}
        store = BillingStore(self.client)
        self.start_checkout = StartCheckout(
            store, self.stripe, self.queue, TERMS, now=self.now, new_id=self.new_id
        )
        self.invoice_writer = InvoiceWriter(
            store,
            self.stripe,
            self.rendering,
            DEPLOYMENT,
            lambda sentence, _: self.flags.append(sentence),
            now=self.now,
        )
        self.apply_event = ApplyStripeEvent(
            store, self.stripe, self.invoice_writer, self.queue, DEPLOYMENT, self.parked.append, now=self.now
        )

        self.reports = FakeReports()
        self.continuation = FakeContinuation()
        self.reconciler = Reconcile(
            rows=ReconcileRows(self.reader or self.client),
            stripe=self.stripe,
            dead_letters=DeadLetters(self),
            invoice_queue=self.queue,
            render_queue=self.rendering,
            reports=self.reports,
            continuation=self.continuation,
            notes=FakeNotes(),
            deployment=DEPLOYMENT,
            failed=lambda *_: None,
            clock=self.now,
        )
        self.reconciled = self.time

    def now(self) -> datetime:
        return self.time

    def passes(self, **duration: float) -> None:
        self.time += timedelta(**duration)

    # ---- faults -----------------------------------------------------------------------------------------

    @contextmanager
    def disturbed(self, fault: Fault | None) -> Iterator[None]:
        """Let the fault happen in what is done inside."""
        self.steps.reset()
        if fault is not None:
            self._order(fault, fault.step)
        try:
            yield
        finally:
            self.steps.reset()

    def _order(self, fault: Fault, step: int | str) -> None:
        if isinstance(step, str):
            named = self.steps.after_next if fault.after else self.steps.before_next
            named[step] = self._happening(fault)
            return
        moments = self.steps.after if fault.after else self.steps.before
        for number in range(step, step + fault.calls):
            moments[number] = self._happening(fault)

    def _happening(self, fault: Fault) -> Callable[[], object]:
        def unreachable() -> None:
            message = "Nobody answers."
            raise ConnectionFailed(message, maybe_sent=fault.after)

        return {"crash": crash, "outage": unreachable, "meanwhile": self.meanwhile}[fault.kind]

    # ---- our functions ----------------------------------------------------------------------------------

    def checkout(
        self, bill: Bill, amount: str | None, *, user: str | None = None
    ) -> StartedCheckout | BillingError | None:
        """A client presses Pay: where to pay, why not, or no answer at all."""
        try:
            started = self.start_checkout(CheckoutRequest(bill.id, user or bill.user, amount))
        except BillingError as error:
            return error
        except Crash:
            return None
        self.handed_out.setdefault(bill.id, set()).add(started.checkout_session)
        return started

    def receive(self, event: StripeEvent) -> None:
        """Stripe delivers an event; an endpoint that does not take it is asked again later."""
        try:
            self.queue.send(event)
        except (BillingError, Crash):
            return
        self.received.add(event.event)
        self.stripe.delivered.add(event.event)

    def told(self, invoice: str, payments: Sequence[str] = ()) -> None:
        """The Billing changed flow arrives: of the invoice, or of these of its payments."""
        try:
            self.queue.recompute([invoice], payments={invoice: payments})
        except (BillingError, Crash):
            return  # Directus never retries a flow

    def reconcile(self) -> Report | None:
        """The hourly run; None if it died or could not be finished."""
        began = self.time
        try:
            report = self.reconciler(ReconcileRequest())
        except (BillingError, Crash):
            return None
        self.reconciled = began
        return report

    def groups(self) -> list[str]:
        """The groups with work that nobody is at."""
        return [group for group in dict.fromkeys(g for _, g, _ in self.queue.sent) if group not in self._busy]

    def work(self, group: str) -> None:
        """The worker takes the oldest message of a group; what it does not finish is delivered again."""
        entry = next(entry for entry in self.queue.sent if entry[1] == group)
        message = entry[0]
        self._busy.add(group)
        try:
            carry_out(message, self.invoice_writer, self.apply_event)
            number = self.steps.begin("delete message")
            self._delete(entry)
            self.steps.end(number)
        except Crash:
            pass
        except BillingError as error:
            receives = self._receives[id(entry)] = self._receives.get(id(entry), 0) + 1
            if not isinstance(disposition(error, receives), Retry):
                self.dead.append((message, group, error))
                self._delete(entry)
        finally:
            self._busy.discard(group)

    def _delete(self, entry: tuple[dict[str, Any], str, str | None]) -> None:
        self.queue.sent = [other for other in self.queue.sent if other is not entry]
        self._receives.pop(id(entry), None)

    def render(self) -> None:
        """The renderer draws what it was asked for, and registers it."""
        for message in self.rendering.messages:
            if message["type"] == "receipt":
                payment = self.rows.all("payments")[message["payment"]]
                says = receipt_columns(payment)["receipt_says"]
                self.rows.change("payments", message["payment"], receipt=self.file, receipt_says=says)
                continue
            invoice = message["invoice"]
            self.rows.change("invoices", invoice, pdf_status="ready", pdf_error=None)
            self.document(invoice)
        self.rendering.messages.clear()

    def document(self, invoice: str) -> None:
        """The invoice has a document, once."""
        if all(row["invoice"] != invoice for row in self.rows.all("documents").values()):
            bill = self.bills[invoice]
            self.rows.put(
                "documents", invoice=invoice, client=bill.client, type="invoice", version=1, file=self.file
            )

    def drain(self) -> None:
        """Everything that is queued is worked on, undisturbed."""
        self._receives.clear()
        while groups := self.groups():
            for group in groups:
                self.work(group)
            slowest = max(self._receives.values(), default=0)
            assert slowest < _MOST_RECEIVES, f"never succeeds: {self.queue.sent}"
        self.render()


@dataclass
class DeadLetters:
    """`DeadLetters` of reconciliation: what the office's worker gave up goes back to the queue."""

    office: Office

    def depths(self) -> Mapping[str, int]:
        return {"invoices": len(self.office.dead)}

    def redrive(self, name: str, *, at_most: int) -> Redriven:
        assert name == "invoices"
        back, self.office.dead = self.office.dead[:at_most], self.office.dead[at_most:]
        for message, _, _ in back:
            self.office.queue.send(read(INVOICE_WORK, json.dumps(message)))
        return Redriven(len(back), 0)
