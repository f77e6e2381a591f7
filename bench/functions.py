"""Checkout, receiver and worker on the deployed local stack, timed from outside and by Lambda's own clock.

Each is measured in turns with a floor: a webhook without a signature, which the same emulator carries to the same
kind of sandbox and which is refused before anything is read. The ratio is what the work itself costs over that.
Outside time is a caller's; inside time is the duration in the function's REPORT line, upstream waits included.
"""

import hashlib
import hmac
import json
import re
import statistics
import time
import uuid
from collections.abc import Callable

from local.demo import steps
from local.demo.people import send
from local.demo.steps import Firm
from local.waiting import wait_for

ROUNDS = 20
_DURATION = re.compile(r"REPORT .*?Duration: ([0-9.]+) ms")


def main(firm: Firm) -> None:
    lines = [steps.fee("Advice", "1.00", "9000.00", "9000.00")]
    invoice = str(steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")["id"])
    steps.send_invoice(firm, firm.staff[0], invoice)
    user = firm.description["directus"]["clients"][0]["user"]
    amounts = iter(f"{100 + number}.00" for number in range(10 * ROUNDS))

    def refused() -> None:
        assert deliver(firm, b"{}", signed=False) == 400  # noqa: PLR2004

    def received() -> None:
        assert deliver(firm, event(), signed=True) == 200  # noqa: PLR2004

    def reused() -> None:
        assert firm.function("/checkout", {"invoice": invoice, "user": user}).json["reused"]

    def replaced() -> None:
        body = {"invoice": invoice, "user": user, "amount": next(amounts)}
        assert not firm.function("/checkout", body).json["reused"]

    print("Functions on the deployed stack, each beside a request that is refused at the door:", flush=True)
    print(f"{'':44}{'outside':>12}{'inside':>12}{'ratio':>8}", flush=True)
    beside(firm, "refused at the door (the floor)", "stripe_webhook", refused, refused)
    beside(firm, "receiver: verify, store, answer", "stripe_webhook", received, refused)
    firm.function("/checkout", {"invoice": invoice, "user": user})
    beside(firm, "checkout: the open session again", "checkout", reused, refused)
    beside(firm, "checkout: another amount, new session", "checkout", replaced, refused)
    beside(
        firm,
        "worker: recompute an invoice",
        "stripe_webhook_worker",
        recompute(firm, invoice),
        refused,
    )


def beside(
    firm: Firm,
    name: str,
    function: str,
    work: Callable[[], None],
    floor_work: Callable[[], None],
) -> None:
    """Run both in turns and print the medians and the ratio of the outside times."""
    work()
    before = durations(firm, function)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(timed(work))
        theirs.append(timed(floor_work))
    inside = wait_for("the log", lambda: durations(firm, function)[len(before) :] or None)
    median, beside_it = statistics.median(ours), statistics.median(theirs)
    inside_median = statistics.median(inside)
    print(f"{name:44}{median * 1000:>9.0f} ms{inside_median:>9.0f} ms{median / beside_it:>8.2f}", flush=True)


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def durations(firm: Firm, function: str) -> list[float]:
    """Every duration of a function so far, in milliseconds, by Lambda's own clock."""
    group = f"/aws/lambda/{firm.description['functions']['names'][function]}"
    pages = firm.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = [entry["message"] for page in pages for entry in page["events"]]
    return [float(match.group(1)) for message in messages if (match := _DURATION.search(message))]


def recompute(firm: Firm, invoice: str) -> Callable[[], None]:
    """One message through the worker, waited for by its log line."""
    name = firm.description["functions"]["names"]["stripe_webhook_worker"]
    body = json.dumps({"type": "recompute", "invoice": invoice})

    def work() -> None:
        record = {
            "messageId": str(uuid.uuid4()),
            "receiptHandle": "none",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": invoice},
        }
        answer = firm.aws("lambda").invoke(
            FunctionName=name, Payload=json.dumps({"Records": [record]}).encode()
        )
        assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}

    return work


def event() -> bytes:
    """An event that is no concern of ours: the receiver stores it like any other."""
    described = {"id": "cus_1", "object": "customer", "metadata": {}}
    document = {
        "id": f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": "customer.created",
        "livemode": False,
        "data": {"object": described},
    }
    return json.dumps(document).encode()


def deliver(firm: Firm, raw: bytes, *, signed: bool) -> int:
    headers = {}
    if signed:
        timestamp = str(int(time.time()))
        key = firm.description["stripe"]["webhook_secret"].encode()
        digest = hmac.new(key, timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={timestamp},v1={digest}"}
    return send(
        "POST", f"{firm.description['functions']['api_url']}/stripe/webhook", raw=raw, headers=headers
    ).status
