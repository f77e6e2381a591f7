"""What receiver and worker cost by themselves: processor milliseconds, upstream waits left out.

In process, with everything real but the services: secrets and queues are clients in memory, Directus and Stripe answer
from the memory of another process, through our own HTTP client and Stripe's package. Each figure stands beside a
floor that nobody can undercut: the same bytes through `json.loads` and one HMAC, and a Python that imports nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from bench.tables import heading, remark, row
from tests.unit.template.sam_template import read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from billing.aws.queue_worker import MessageControl
    from billing.aws.queues import InvoiceQueue

ROOT: Final = Path(__file__).parents[1]
IMPORT_ROUNDS: Final = 5
ROUNDS: Final = 60
WARM_UP: Final = 5
LIMIT_MILLISECONDS: Final = 300
WEBHOOK_SECRET: Final = "whsec_bench"  # noqa: S105  # signs what this benchmark sends itself
DEPLOYMENT: Final = "bench"

_TIMED_IMPORT: Final = """
import time
started = time.process_time()
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
imported = time.process_time()
if hasattr(module, "build"):
    module.build(*["stand-in"] * module.build.__wrapped__.__code__.co_argcount)
built = time.process_time()
print(json.dumps([started * 1000, (imported - started) * 1000, (built - imported) * 1000]))
"""


@dataclass(frozen=True)
class Times:
    """Processor milliseconds of many runs, and the requests to Directus of one of them."""

    milliseconds: list[float]
    requests: int = 0

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        """Nineteen of twenty are below."""
        return statistics.quantiles(self.milliseconds, n=20, method="inclusive")[-1]


def main() -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore", "No application metrics to publish")  # of an uneventful invocation
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "bench")
    os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Bench")
    for path in (ROOT, ROOT / "layers/billing"):
        sys.path.insert(0, str(path))
    cold_imports()
    receiver_and_worker()


# ---- cold ---------------------------------------------------------------------------------------------------


def cold_imports() -> None:
    """Import every function's module, and build what it works with, in fresh processes."""
    heading(
        f"Cold: processor ms in a fresh process, median of {IMPORT_ROUNDS}",
        "import",
        "build()",
        "in all",
        "ratio",
    )
    started, _, _ = in_fresh_processes("json", {}, ROOT)
    row("Python importing nothing (the floor)", "", "", f"{started:.0f} ms", "1")
    template = read_template()
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        variables = {
            **template["Globals"]["Function"]["Environment"]["Variables"],
            **properties.get("Environment", {}).get("Variables", {}),
        }
        module = properties["Handler"].removesuffix(".handler")
        python, imported, built = in_fresh_processes(
            module, {variable: _stand_in(variable) for variable in variables}, ROOT / properties["CodeUri"]
        )
        row(
            f"{name.removesuffix('Function')} ({properties.get('MemorySize', 512)} MB)",
            f"{imported:.0f} ms",
            f"{built:.0f} ms",
            f"{python + imported + built:.0f} ms",
            f"{(python + imported + built) / started:.0f}",
        )
    remark(
        "On this machine's processor. Lambda gives one whole processor at 1,769 MB, but starts with more power;",
        "its own start of the environment and the reading of the layers come on top.",
    )


def in_fresh_processes(module: str, variables: dict[str, str], folder: Path) -> tuple[float, float, float]:
    """Median processor milliseconds of starting Python, of importing a module, and of its `build()`."""
    environment = {
        **variables,
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": f"{folder}:{ROOT / 'layers/billing'}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }
    # The first one writes the byte code, as the layer's build does.
    runs = [_one_import(module, environment) for _ in range(IMPORT_ROUNDS + 1)][1:]
    started, imported, built = (statistics.median(part) for part in zip(*runs, strict=True))
    return started, imported, built


def _one_import(module: str, environment: dict[str, str]) -> list[float]:
    command = [sys.executable, "-W", "ignore", "-c", _TIMED_IMPORT, module]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"{module} cannot be imported: {run.stderr.strip()}")
    times: list[float] = json.loads(run.stdout)
    return times


def _stand_in(variable: str) -> str:
    """A value of the right form; nothing is called with it."""
    special = {
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "ALLOWED_PAYMENT_METHOD_TYPES": "card",
        "FIRM_TIMEZONE": "America/New_York",
        "PORTAL_URL": "",
        "PORTAL_ORIGINS": "",
        "SENDER_EMAIL": "billing@example.com",
    }
    address = "https://upstream.example" if variable.endswith(("URL", "BASE")) else "stand-in"
    return special.get(variable, address)


# ---- warm ---------------------------------------------------------------------------------------------------


def receiver_and_worker() -> None:
    """Time both, beside their floors."""
    with upstreams() as urls:
        office = Office(urls)
        bodies = [office.event_of_a_paid_session() for _ in range(ROUNDS + WARM_UP)]
        office.forget_queued()  # what checkout asked for
        heading(
            f"Warm: processor ms of one invocation, {ROUNDS} runs, upstream waits left out",
            "median", "p95", "to Directus", "floor", "ratio",
        )  # fmt: skip
        floor = timed(floor_of_receiving, bodies)
        beside("receiver: verify, parse, queue, answer", office.timed(office.receive, bodies), floor)
        messages = [office.queued() for _ in bodies]
        beside("worker: apply a paid session", office.timed(office.work, messages))
        again = [office.under_another_name(body) for body in messages]
        beside("worker: another event of it, nothing new", office.timed(office.work, again))
        beside("worker: the same event once more", office.timed(office.work, again))
        office.assert_all_are_paid()
        recomputes = [json.dumps({"type": "recompute", "invoice": invoice}) for invoice in office.invoices]
        beside("worker: recompute an invoice", office.timed(office.work, recomputes))
    remark(
        f"Stored and answered within {LIMIT_MILLISECONDS} ms of own time is the receiver's limit.",
        "Its floor: json.loads and one HMAC-SHA256 of the same bytes. The worker's time is that of its requests:",
        "our HTTP client, Stripe's package, pydantic and the decision; its waits are Directus's and Stripe's.",
    )


def beside(name: str, ours: Times, floor: Times | None = None) -> None:
    """Print ours and the floor."""
    cells = (f"{floor.median:.3f} ms", f"{ours.median / floor.median:.0f}") if floor else ("", "")
    row(name, f"{ours.median:.2f} ms", f"{ours.p95:.2f} ms", f"{ours.requests} requests", *cells)


def timed[Given](work: Callable[[Given], object], given: list[Given], *, warm_up: int = WARM_UP) -> Times:
    """Processor milliseconds of each run but the first ones; what is logged goes to nobody."""
    taken = []
    with _nobody_reading():
        for one in given:
            began = time.process_time()
            work(one)
            taken.append((time.process_time() - began) * 1000)
    return Times(taken[warm_up:])


@contextmanager
def _nobody_reading() -> Iterator[None]:
    """Send standard output away; the logger holds the file, so the descriptor is exchanged."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def floor_of_receiving(raw: bytes) -> None:
    """What nobody can do without."""
    hmac.new(WEBHOOK_SECRET.encode(), raw, hashlib.sha256).hexdigest()
    json.loads(raw)


@contextmanager
def upstreams() -> Iterator[dict[str, str]]:
    """Run `bench.upstreams` as long as the block lasts."""
    command = [sys.executable, "-m", "bench.upstreams"]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers/billing'}"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the server's own log; what goes wrong is in the answers
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            assert process.stdin is not None
            process.stdin.close()


class Counting(httpx.BaseTransport):
    """A transport that counts its requests."""

    def __init__(self) -> None:
        """None yet."""
        self.requests = 0
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it and count it."""
        self.requests += 1
        return self._inner.handle_request(request)


class SqsInMemory:
    """boto3's client as far as the functions use it: `sent` are the entries in their order."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message_batch(self, **given: Any) -> dict[str, Any]:
        """Keep them."""
        self.sent += given["Entries"]
        return {}


class Office:
    """The functions with real adapters, and what people do before them."""

    def __init__(self, urls: dict[str, str]) -> None:
        """`urls` as `bench.upstreams` prints them."""
        from billing.aws.queues import SqsInvoiceQueue  # noqa: PLC0415  # same
        from billing.directus.client import DirectusClient, http_client  # noqa: PLC0415  # same
        from billing.payments.checkout import CheckoutTerms  # noqa: PLC0415  # same
        from billing.payments.start_checkout import StartCheckout  # noqa: PLC0415  # same
        from billing.payments.store import BillingStore  # noqa: PLC0415  # after the cold imports
        from billing.stripe.gateway import StripeGateway  # noqa: PLC0415  # same
        from tests.fakes.directus import FixedToken  # noqa: PLC0415  # same

        self._urls = urls
        self.invoices: list[str] = []
        self._sqs = SqsInMemory()
        self._queue = SqsInvoiceQueue(cast("Any", self._sqs), "https://queue.example")
        self._transport = Counting()
        http = http_client(transport=self._transport)
        directus = DirectusClient(urls["directus"], FixedToken(), http)
        self._store = BillingStore(directus)
        self._stripe = StripeGateway(urls["stripe"], FixedToken(urls["secret_key"]))
        terms = CheckoutTerms(DEPLOYMENT, "https://firm.example/paid", ("card",), ())
        self._start = StartCheckout(self._store, self._stripe, self._queue, terms)
        self._client, self._user = str(uuid.uuid4()), str(uuid.uuid4())
        self._put("clients", {"id": self._client, "timezone": "America/New_York"})
        self._put("directus_users", {"id": self._user, "client": self._client, "status": "active"})
        self._receiver = self._received_by(self._queue)
        self._worker = self._worked_by()

    def timed[Given](self, work: Callable[[Given], object], given: list[Given]) -> Times:
        """Time each run, and count what the last one asks of Directus."""
        before = timed(work, given[:-1])
        asked = self._transport.requests
        work_last = timed(work, given[-1:], warm_up=0)
        return Times(before.milliseconds + work_last.milliseconds, self._transport.requests - asked)

    # ---- before the functions ---------------------------------------------------------------------------

    def event_of_a_paid_session(self) -> bytes:
        """A new invoice, paid by card: `checkout.session.completed` as Stripe sends it."""
        from billing.payments.start_checkout import CheckoutRequest  # noqa: PLC0415  # after the cold imports
        from local.demo.people import send  # noqa: PLC0415  # same

        invoice = self._invoice()
        session = self._start(CheckoutRequest(invoice, self._user)).checkout_session
        url = f"{self._urls['stripe']}/_test/checkout/sessions/{session}/pay"
        names = send("POST", url, body={"method": "card"}).json["events"]
        headers = {"Authorization": f"Bearer {self._urls['secret_key']}"}
        events = [
            send("GET", f"{self._urls['stripe']}/v1/events/{name}", headers=headers).body for name in names
        ]
        return next(raw for raw in events if json.loads(raw)["type"] == "checkout.session.completed")

    def _invoice(self) -> str:
        row = {
            "id": str(uuid.uuid4()), "invoice_number": f"B-{len(self.invoices):04d}", "client": self._client,
            "currency": "USD", "status": "sent", "sent_at": "2026-11-01T12:00:00Z", "subtotal": "1200.00",
            "tax_rate": "0", "tax": "0.00", "total": "1200.00", "amount_paid": "0.00", "balance_due": "1200.00",
            "pdf_status": "ready",
        }  # fmt: skip
        self._put("invoices", row)
        for number in range(5):
            line = {
                "invoice": row["id"],
                "kind": "fee",
                "description": f"Advice {number}",
                "amount": "240.00",
            }
            self._put("line_items", line)
        self.invoices.append(row["id"])
        return row["id"]

    def _put(self, collection: str, row: dict[str, Any]) -> None:
        from local.demo.people import send  # noqa: PLC0415  # after the cold imports

        answer = send("PUT", f"{self._urls['directus']}/{collection}", body=row)
        assert answer.status == 200, answer.body  # noqa: PLR2004  # OK

    # ---- the functions ----------------------------------------------------------------------------------

    def _received_by(self, queue: InvoiceQueue) -> Callable[[dict[str, Any], Any], Any]:
        from billing.aws.http_api import respond  # noqa: PLC0415  # same
        from billing.aws.observability import logger, metrics  # noqa: PLC0415  # same
        from billing.aws.secrets import Secret  # noqa: PLC0415  # after the cold imports
        from functions.stripe_webhook import app  # noqa: PLC0415  # same

        secrets: Any = SimpleNamespace(get_secret_value=lambda **_: {"SecretString": WEBHOOK_SECRET})
        secret = Secret(secrets, "arn:webhook")

        @logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
        @metrics.log_metrics
        def handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ARG001  # Lambda's signature
            return respond(event, lambda: app.receive(event, secret, queue, now=time.time()))

        return cast("Callable[[dict[str, Any], Any], Any]", handler)

    def _worked_by(self) -> Callable[[dict[str, Any], Any], Any]:
        from billing.aws.observability import logger, metrics  # noqa: PLC0415  # same
        from billing.aws.queue_worker import INVOICE_WORK, process_batch  # noqa: PLC0415  # same
        from billing.composition import InvoiceWorker  # noqa: PLC0415  # same
        from billing.payments.apply_event import ApplyStripeEvent  # noqa: PLC0415  # after the cold imports
        from billing.payments.write_invoice import InvoiceWriter  # noqa: PLC0415  # same
        from functions.stripe_webhook import worker  # noqa: PLC0415  # same
        from tests.fakes.queues import FakeWorkQueue  # noqa: PLC0415  # same

        keep = InvoiceWriter(self._store, self._stripe, FakeWorkQueue(), DEPLOYMENT, worker.flagged)
        apply = ApplyStripeEvent(self._store, self._stripe, keep, self._queue, DEPLOYMENT, worker.parked)
        # No message is postponed or given up here: a failure ends the benchmark.
        function = InvoiceWorker(keep, apply, cast("MessageControl", None))

        @logger.inject_lambda_context(clear_state=True)
        @metrics.log_metrics
        def handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ARG001  # Lambda's signature
            return process_batch(
                event, INVOICE_WORK, lambda message: worker.work(message, function), function.control
            )

        return cast("Callable[[dict[str, Any], Any], Any]", handler)

    def receive(self, raw: bytes) -> None:
        """One delivery; the signature is Stripe's work, but costs so little that it is counted as ours."""
        timestamp = str(int(time.time()))
        signed = hmac.new(
            WEBHOOK_SECRET.encode(), timestamp.encode() + b"." + raw, hashlib.sha256
        ).hexdigest()
        event = {
            "headers": {"stripe-signature": f"t={timestamp},v1={signed}"},
            "requestContext": {"requestId": "bench"},
            "body": raw.decode(),
            "isBase64Encoded": False,
        }
        answer = _called(self._receiver, event)
        assert answer["statusCode"] == 200, answer  # noqa: PLR2004  # OK

    def work(self, body: str) -> None:
        """One message through the worker."""
        message = json.loads(body)
        attributes = {"ApproximateReceiveCount": "1", "MessageGroupId": message["invoice"]}
        record = {"messageId": "bench", "receiptHandle": "bench", "body": body, "attributes": attributes}
        assert _called(self._worker, {"Records": [record]}) == {"batchItemFailures": []}

    def forget_queued(self) -> None:
        """Empty the queue."""
        self._sqs.sent.clear()

    def queued(self) -> str:
        """The oldest message that the receiver has queued."""
        return str(self._sqs.sent.pop(0)["MessageBody"])

    def assert_all_are_paid(self) -> None:
        """The worker has really booked what was timed."""
        for invoice in self.invoices:
            ledger = self._store.ledger(invoice)
            assert ledger is not None
            assert ledger.invoice.status == "paid", ledger.invoice

    @staticmethod
    def under_another_name(body: str) -> str:
        """The message of another event about the same session."""
        return json.dumps({**json.loads(body), "event": f"evt_{uuid.uuid4().hex}"})


def _called(handler: Callable[[dict[str, Any], Any], Any], event: dict[str, Any]) -> Any:
    """Call a handler as the runtime does."""
    context = SimpleNamespace(
        function_name="bench",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:bench",
        aws_request_id="bench",
    )
    return handler(event, context)
