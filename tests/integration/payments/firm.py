"""A firm whose money path is real: Directus on a real database, the SDK, Stripe's simulator; only SQS is in process.

Every caller and every worker gets clients of its own, as every Lambda environment has.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx

from billing.aws.http_api import respond
from billing.aws.observability import metrics
from billing.aws.queue_worker import INVOICE_WORK, process_batch
from billing.composition import BillingChanged, Checkout, InvoiceWorker
from billing.directus.client import DirectusClient, http_client
from billing.errors import BillingError
from billing.messages import InvoiceWork
from billing.payments.apply_event import ApplyStripeEvent
from billing.payments.checkout import CheckoutTerms
from billing.payments.find_invoices import FindInvoices
from billing.payments.start_checkout import StartCheckout
from billing.payments.store import BillingStore
from billing.payments.write_invoice import InvoiceWriter
from billing.reconcile.reconcile import Reconcile, ReconcileRequest, Report
from billing.reconcile.store import ReconcileRows
from billing.stripe.account import StripeAccount
from billing.stripe.gateway import StripeGateway
from directus.access import role_id
from functions.billing_changed import app as billing_changed
from functions.checkout import app as checkout
from functions.stripe_webhook import app as webhook
from functions.stripe_webhook import worker
from local.seed import seed_id
from local.stripe_simulator.webhooks import signature
from tests.fakes.directus import FixedToken
from tests.fakes.queues import FakeWorkQueue
from tests.fakes.steps import Happening, Steps
from tests.integration.connections import POOL
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus
from tests.integration.payments.directus_rows import OnlyOurs
from tests.integration.payments.fifo_queue import FifoQueue, Worker
from tests.integration.stripe_simulator.support import SECRET_KEY, WEBHOOK_SECRET, RunningSimulator
from tests.unit.reconcile.support import FakeContinuation, FakeNotes, FakeReports

FLOW_SECRET = "flow-secret"
ORIGIN = "https://portal.example"
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Accepted:
    """A secret with one value."""

    value: str

    def accepted(self) -> Iterator[str]:
        yield self.value


@dataclass(frozen=True)
class SteppedTransport(httpx.BaseTransport):
    """Every request to Directus is a step."""

    steps: Steps

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        collection = request.url.path.split("/items/")[-1].split("/")[0]
        number = self.steps.begin(f"{request.method} {collection}")
        answer = POOL.handle_request(request)
        self.steps.end(number)
        return answer


@dataclass(frozen=True)
class SteppedGateway:
    """Every question to Stripe is a step; `answered` is told its name once Stripe has acted."""

    inner: StripeGateway
    steps: Steps
    answered: Callable[[str], None]

    @property
    def livemode(self) -> bool | None:
        """No question to Stripe: the key tells."""
        return self.inner.livemode

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, name)

        def asked(*arguments: Any, **named: Any) -> Any:
            number = self.steps.begin(name)
            answer = method(*arguments, **named)
            if isinstance(answer, Iterator):
                answer = iter(list(answer))  # asked now, and not when somebody looks
            self.answered(name)
            self.steps.end(number)
            return answer

        return asked


@dataclass
class Moments(Steps):
    """Steps of which some are awaited by their name: what is ordered happens around the next one of that name."""

    before_next: dict[str, Happening] = field(default_factory=dict)
    after_next: dict[str, Happening] = field(default_factory=dict)

    def begin(self, name: str) -> int:
        if happening := self.before_next.pop(name, None):
            happening()
        return super().begin(name)

    def end(self, number: int) -> None:
        name = self.names[number] if number < len(self.names) else ""  # a test may have begun to count anew
        if happening := self.after_next.pop(name, None):
            happening()
        super().end(number)


@dataclass(frozen=True)
class Household:
    """A client of the firm and the person who pays for it; `sofia` is the client's staff.

    `file` is what every document of the client has: what is in it is not tested here.
    """

    directus: RunningDirectus
    client: str
    user: str
    file: str


def a_household(directus: RunningDirectus) -> Household:
    """A client of Sofia's with one person, beside the seed data."""
    name = uuid.uuid4().hex[:12]
    client = directus.admin.call(
        "POST",
        "/items/clients",
        {
            "name": "Proof Ltd",
            "email": f"{name}@client.example",
            "assigned_staff": seed_id("user", "sofia"),
        },
    )["id"]
    user = directus.admin.call(
        "POST",
        "/users",
        {
            "email": f"{name}@example.com",
            "role": role_id("Client"),
            "status": "active",
            "client": client,
        },
    )["id"]
    row = {"storage": "local", "title": "Invoice", "type": "application/pdf", "filename_download": "i.pdf"}
    return Household(directus, client, user, directus.admin.call("POST", "/files", row)["id"])


@dataclass
class Firm:
    """`directus_url` is where our functions find Directus, if not at its own address.

    `stripe_answered` is told of every question that Stripe has answered, by its name.
    """

    house: Household
    simulator: RunningSimulator
    steps: Moments = field(default_factory=Moments)
    directus_url: str | None = None
    answer_seconds: float = _ANSWER_SECONDS
    stripe_answered: Callable[[str], None] = lambda _: None
    #: Each firm is a deployment of its own: several of them share a Stripe account.
    deployment: str = field(default_factory=lambda: f"proof-{uuid.uuid4().hex[:12]}")
    failures: list[Exception] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    parked: list[BillingError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admin = self.house.directus.admin
        self.staff = self.house.directus.as_("sofia")
        self.queue = FifoQueue(self.steps)
        self.rendering = FakeWorkQueue(self.steps)
        self.reports = FakeReports()
        self.continuation = FakeContinuation()
        self._created: dict[str, int] = {}
        self._began = int(time.time())  # Stripe counts in whole seconds
        #: Events that nobody need deliver any more, those of the firms before this one among them.
        self._delivered = {event["id"] for event in self.listed("events", **self.since())}

    # ---- our functions, each call as a Lambda environment of its own ------------------------------------

    def directus_client[Client: DirectusClient](self, kind: type[Client] = DirectusClient) -> Client:  # type: ignore[assignment]  # mypy knows no defaults of generics
        http = http_client(read_timeout=self.answer_seconds, transport=SteppedTransport(self.steps))
        url = self.directus_url or self.house.directus.url
        return kind(url, FixedToken(SERVICE_TOKEN), http, sleep=lambda _: None)

    def gateway(self) -> Any:
        gateway = StripeGateway(self.simulator.url, FixedToken(SECRET_KEY))
        return SteppedGateway(gateway, self.steps, self.stripe_answered)

    def worker_function(self) -> InvoiceWorker:
        store, stripe = BillingStore(self.directus_client()), self.gateway()
        keep = InvoiceWriter(
            store=store,
            stripe=stripe,
            render_queue=self.rendering,
            deployment=self.deployment,
            flagged=lambda sentence, _: self.flags.append(sentence),
        )
        apply_event = ApplyStripeEvent(
            store=store,
            stripe=stripe,
            invoice_writer=keep,
            queue=self.queue,
            deployment=self.deployment,
            parked=self.parked.append,
        )
        return InvoiceWorker(keep, apply_event, self.queue)

    def worker(self) -> Worker:
        """A worker's environment: what Lambda calls with one batch."""
        function = self.worker_function()

        def handle(message: InvoiceWork) -> None:
            try:
                worker.work(message, function)
            except Exception as error:
                self.failures.append(error)
                raise

        return lambda event: process_batch(event, INVOICE_WORK, handle, self.queue)

    def drain(self, workers: int = 1) -> None:
        """The workers empty the queue."""
        self.queue.drain(self.worker, workers)
        metrics.clear_metrics()

    def checkout(self, invoice: str, amount: str | None = None, **request: Any) -> tuple[int, dict[str, Any]]:
        """What the Pay invoice flow gets: status and body."""
        start = StartCheckout(
            store=BillingStore(self.directus_client()),
            stripe=self.gateway(),
            queue=self.queue,
            # Fifty callers at once replace more attempts than a person does in an hour.
            terms=CheckoutTerms(
                self.deployment,
                f"{ORIGIN}/paid",
                ("card", "us_bank_account"),
                (ORIGIN,),
                canceled_attempts=1000,
            ),
        )
        function = Checkout(Accepted(FLOW_SECRET), FixedToken(SECRET_KEY), start)
        event = _flow_event({"invoice": invoice, "user": self.house.user, "amount": amount, **request})
        return _answered(respond(event, lambda: checkout.checkout(event, function, seconds=28.0)))

    def reconcile(self, *, remaining_seconds: Callable[[], float] = lambda: 900.0, **event: Any) -> Report:
        """One invocation of reconcile, to which the rows of other tests do not exist."""
        client = self.directus_client(OnlyOurs)
        client.mine = self._mine()
        reconcile = Reconcile(
            rows=ReconcileRows(client),
            stripe=StripeAccount(self.gateway(), _now),
            dead_letters=self.queue,
            invoice_queue=self.queue,
            render_queue=self.rendering,
            reports=self.reports,
            continuation=self.continuation,
            notes=FakeNotes(),
            deployment=self.deployment,
            failed=lambda *_: None,
            clock=_now,
        )
        since = datetime.fromtimestamp(self._began, UTC).isoformat()
        request = ReconcileRequest.from_event({"since": since, **event})
        return reconcile(request, remaining_seconds=remaining_seconds)

    def _mine(self) -> Mapping[str, Mapping[str, Any]]:
        """What is this firm's in Directus: its client's, and what names a payment or an event of its deployment."""
        intents = [session["payment_intent"]["id"] for session in self._paid_sessions()]
        unapplied = {"_and": [{"client": {"_null": True}}, {"transaction_id": {"_in": intents}}]}
        client = {"client": {"_eq": self.house.client}}
        payments = {"_or": [client, unapplied]} if intents else client
        below = {"payment": payments}
        return {
            "invoices": client,
            "payments": payments,
            "refunds": below,
            "payment_disputes": below,
            "documents": client,
            "stripe_events": {"id": {"_in": ["none yet", *self._delivered]}},
            "notices": client,
        }

    def changed(self, **keys: Any) -> None:
        """What the Billing changed flow sends after somebody's edit."""
        function = BillingChanged(
            Accepted(FLOW_SECRET), FindInvoices(self.directus_client()), self.queue, self.rendering
        )
        event = _flow_event(keys)
        status, body = _answered(respond(event, lambda: billing_changed.changed(event, function)))
        assert status == 202, body

    def receive(self, raw: bytes) -> int:
        """One delivery of Stripe, signed now; the receiver's status."""
        event = {
            "headers": {"stripe-signature": signature(raw, [WEBHOOK_SECRET], int(time.time()))},
            "body": raw.decode(),
        }
        return _answered(
            respond(
                event,
                lambda: webhook.receive(event, Accepted(WEBHOOK_SECRET), self.queue, now=time.time()),
            )
        )[0]

    # ---- Stripe -----------------------------------------------------------------------------------------

    def refunded(self, payment_intent: str, amount: int, **how: Any) -> Any:
        """Somebody refunds so many minor units of a payment in Stripe's dashboard."""
        charge = self.intent(payment_intent)["latest_charge"]
        return self.simulator.control(f"charges/{charge}/refund", amount=amount, **how)

    def disputed(self, payment_intent: str, outcome: str, **how: Any) -> Any:
        """A cardholder demands the money back, and it ends so (or is `open`)."""
        charge = self.intent(payment_intent)["latest_charge"]
        return self.simulator.control(f"charges/{charge}/dispute", outcome=outcome, **how)

    def client_pays(self, session: str, **how: Any) -> Any:
        """A client pays on the hosted page."""
        return self.simulator.control(f"checkout/sessions/{session}/pay", **{"method": "card", **how})

    def try_to_pay(self, session: str) -> bool:
        """A client presses the page's button; False if the session is over."""
        answer = self.simulator.call(
            "POST", f"/_test/checkout/sessions/{session}/pay", json={"method": "card"}
        )
        assert answer.status_code in {200, 400}, answer.text
        return answer.status_code == 200

    def sessions(self, invoice: str) -> list[dict[str, Any]]:
        """The invoice's sessions at Stripe with their payment intents, newest first."""
        since = self._created.get(invoice, self._began)
        return [
            session
            for session in self._own_sessions(since)
            if session["metadata"].get("directus_invoice") == invoice
        ]

    def _own_sessions(self, since: int) -> list[dict[str, Any]]:
        """Those of this deployment; what was there before that moment is not looked through."""
        asked = {"created[gte]": str(since), "expand[]": "data.payment_intent"}
        return [
            session
            for session in self.listed("checkout/sessions", **asked)
            if session["metadata"].get("deployment") == self.deployment
        ]

    def _paid_sessions(self) -> list[dict[str, Any]]:
        return [session for session in self._own_sessions(self._began) if session["payment_intent"]]

    def since(self) -> dict[str, str]:
        """What to ask Stripe's lists for: since this firm began."""
        return {"created[gte]": str(self._began)}

    def open_sessions(self, invoice: str) -> list[str]:
        return [session["id"] for session in self.sessions(invoice) if session["status"] == "open"]

    def intent(self, payment_intent: str) -> dict[str, Any]:
        found: dict[str, Any] = self.simulator.api("GET", f"/v1/payment_intents/{payment_intent}").json()
        return found

    def charge(self, charge: str) -> dict[str, Any]:
        found: dict[str, Any] = self.simulator.api("GET", f"/v1/charges/{charge}").json()
        return found

    def raw_events(self, *wanted: str) -> list[bytes]:
        """The events with these ids, or those that nobody delivered yet, as Stripe would send them; oldest first."""
        if wanted:
            found = [self.simulator.api("GET", f"/v1/events/{event}").json() for event in wanted]
        else:
            listed = self.listed("events", **self.since())
            found = [event for event in listed if event["id"] not in self._delivered][::-1]
        self._delivered |= {event["id"] for event in found}
        return [json.dumps(event).encode() for event in found]

    def stripe_delivers(self, *wanted: str) -> None:
        """Stripe delivers these events, or all that are undelivered, and the receiver takes them."""
        for raw in self.raw_events(*wanted):
            assert self.receive(raw) == 200

    def settle(self, workers: int = 1) -> None:
        """Everything that is under way arrives: events are delivered and the queue is emptied."""
        self.stripe_delivers()
        self.drain(workers)
        self.stripe_delivers()  # a worker may have expired a session
        self.drain(workers)

    def listed(self, what: str, **query: str) -> list[dict[str, Any]]:
        """Every object of one of Stripe's lists, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.simulator.api("GET", f"/v1/{what}?{urlencode({'limit': '100', **query})}").json()
            found += page["data"]
            if not page["has_more"]:
                return found
            query["starting_after"] = page["data"][-1]["id"]

    # ---- rows -------------------------------------------------------------------------------------------

    def invoice(self, *amounts: str, **columns: Any) -> str:
        """A sent invoice of the client with these lines, as the invoice writer leaves it."""
        total = f"{sum(map(Decimal, amounts)):.2f}"
        row = {
            "invoice_number": f"P-{uuid.uuid4().hex[:12]}",
            "client": self.house.client,
            "currency": "USD",
            "status": "sent",
            "sent_at": "2026-02-01T12:00:00Z",
            "subtotal": total,
            "tax": "0.00",
            "total": total,
            "amount_paid": "0.00",
            "balance_due": total,
            "pdf_status": "ready",
            "line_items": [{"description": "Advice", "amount": amount} for amount in amounts],
            "documents": [
                {"type": "invoice", "client": self.house.client, "version": 1, "file": self.house.file}
            ],
            **columns,
        }
        began = int(time.time())
        key = self.create("invoices", row)
        self._created[key] = began
        return key

    def render(self) -> None:
        """The renderer draws what it was asked for."""
        wanted = {message["invoice"] for message in self.rendering.messages if message["type"] == "invoice"}
        self.rendering.messages.clear()
        for invoice in wanted:
            self.admin.call("PATCH", f"/items/invoices/{invoice}", {"pdf_status": "ready", "pdf_error": None})

    def create(self, collection: str, row: Mapping[str, Any]) -> str:
        return str(self.admin.call("POST", f"/items/{collection}", dict(row))["id"])

    def stored(self, invoice: str) -> dict[str, Any]:
        row: dict[str, Any] = self.admin.call("GET", f"/items/invoices/{invoice}")
        return row

    def rows(self, collection: str, invoice: str, **columns: Any) -> list[dict[str, Any]]:
        """The rows below an invoice, with these values."""
        found = self.admin.rows(f"/items/{collection}", **{"filter[invoice][_eq]": invoice, "sort": "id"})
        return [row for row in found if all(row[name] == value for name, value in columns.items())]

    # ---- staff ------------------------------------------------------------------------------------------

    def staff_enters_payment(self, invoice: str, amount: str, method: str = "wire") -> None:
        """Sofia records money that came by another way; the flow tells us."""
        row = {
            "invoice": invoice, "client": self.house.client, "amount": amount, "currency": "USD",
            "method": method, "status": "succeeded", "payment_date": "2026-03-01",
        }  # fmt: skip
        key = self.staff.call("POST", "/items/payments", row)["id"]
        self.changed(payments=[key])

    def staff_gives_discount(self, invoice: str, amount: str) -> None:
        row = {"invoice": invoice, "kind": "discount", "description": "Discount", "amount": f"-{amount}"}
        key = self.staff.call("POST", "/items/line_items", row)["id"]
        self.changed(line_items=[key])

    def staff_voids(self, invoice: str) -> None:
        self.staff.call("PATCH", f"/items/invoices/{invoice}", {"status": "void"})
        self.changed(invoices=[invoice])

    def client_objects(self, invoice: str, amount: str) -> None:
        row = {"invoice": invoice, "amount": amount, "reason": "Too much.", "status": "open"}
        self.changed(disputes=[self.create("disputes", row)])


def _now() -> datetime:
    return datetime.now(UTC)


def _flow_event(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"headers": {"authorization": f"Bearer {FLOW_SECRET}"}, "body": json.dumps(body)}


def _answered(answer: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    return answer["statusCode"], json.loads(answer["body"])


def only[Item](items: Sequence[Item]) -> Item:
    """The only item."""
    assert len(items) == 1, items
    return items[0]
