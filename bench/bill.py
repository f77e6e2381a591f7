"""Prints what 1,000 payments of the burst would cost at AWS, and what costs every month whatever is paid."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import cost
from bench.cost import FunctionUse, Line, Prices, per_thousand
from bench.tables import heading, remark, row
from tests.unit.template.sam_template import read_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.demo.steps import Firm

ROOT: Final = Path(__file__).parents[1]
HOURS_A_MONTH: Final = 730
#: Lambda asks a queue from five places, each waiting up to 20 s for an answer.
EMPTY_ASKS_A_MONTH: Final = 5 * 3 * 60 * HOURS_A_MONTH
#: Secrets that one invocation of each function reads if nothing is cached.
SECRETS_READ: Final = {"checkout": 3, "stripe_webhook": 1, "stripe_webhook_worker": 2}
MEASURED: Final = ("checkout", "stripe_webhook", "stripe_webhook_worker")
PDF: Final = ("render_pdf", "render_pdf_worker")
EXAMPLE_AMOUNT: Final = Decimal(2500)


def main(firm: Firm, payments: int, *, since: float, until: float) -> None:
    """Read the functions' logs of that time (Unix seconds) and print the bill."""
    prices = cost.read_prices()
    uses = {name: use_of(firm, name, since, until) for name in MEASURED}
    pdf = {name: use_of(firm, name, 0, until) for name in PDF}
    heading("Measured of the functions, for each payment", "invocations", "ms billed each", "MB", "log kB")
    for name, use in (uses | pdf).items():
        count = len(use.billed)
        if count == 0:
            continue
        shown = "1.00 (a PDF)" if name in PDF else f"{count / payments:.2f}"
        milliseconds = sum(one.milliseconds for one in use.billed) / count
        row(
            name,
            shown,
            f"{milliseconds:.0f}",
            f"{use.billed[0].megabytes}",
            f"{use.log_bytes / count / 1000:.1f}",
        )
    _print_bill(
        f"AWS for {cost.PAYMENTS:,} payments, each with a PDF",
        cost.bill(quantities(uses, pdf, payments), prices),
    )
    _print_bill("AWS every month, whatever is paid", cost.bill(monthly(firm), prices))
    _print_stripe(prices)
    remark(
        f"Prices: bench/prices.yaml, written {prices.written}; checked: {prices.checked}. No free tier is taken off;",
        "most of a small firm's use lies inside it. The billed milliseconds hold the waits for Directus and Stripe on",
        "this machine, where all of them share the processors; start-up of environments is not in them. Secrets are",
        "counted as if none were ever cached, traces as if every request were traced: both are upper bounds.",
    )


def use_of(firm: Firm, function: str, since: float, until: float) -> FunctionUse:
    """What a function's log group says of that time."""
    group = f"/aws/lambda/{firm.description['functions']['names'][function]}"
    pages = (
        firm.aws("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(since * 1000), endTime=int(until * 1000))
    )
    return cost.use_of([entry["message"] for page in pages for entry in page["events"]])


def quantities(
    uses: Mapping[str, FunctionUse], pdf: Mapping[str, FunctionUse], payments: int
) -> dict[str, tuple[str, Decimal]]:
    """What 1,000 payments use, with one PDF each."""

    def thousand(number: Decimal | int) -> Decimal:
        return per_thousand(number, payments)

    calls = {name: len(use.billed) for name, use in uses.items()}
    of_pdf = {name: _average(use) for name, use in pdf.items()}
    invocations = thousand(sum(calls.values())) + cost.PAYMENTS * len(PDF)
    gigabyte_seconds = sum(one.gigabyte_seconds for use in uses.values() for one in use.billed)
    log_bytes = thousand(sum(use.log_bytes for use in uses.values()))
    log_bytes += cost.PAYMENTS * sum(size for _, size in of_pdf.values())
    secrets = sum(times * calls[name] for name, times in SECRETS_READ.items())
    return {
        "Lambda, computing": (
            "lambda_gb_second",
            thousand(Decimal(gigabyte_seconds)) + cost.PAYMENTS * sum(gb for gb, _ in of_pdf.values()),
        ),
        "Lambda, invocations": ("lambda_request", invocations),
        "API Gateway": (
            "http_api_request",
            thousand(calls["checkout"] + calls["stripe_webhook"]) + cost.PAYMENTS,
        ),
        # Send, receive, delete; what a checkout or a worker sends to the invoice itself is in the worker's count.
        "SQS, invoice work": ("sqs_fifo_request", thousand(3 * calls["stripe_webhook_worker"])),
        "SQS, PDFs": ("sqs_request", Decimal(3 * cost.PAYMENTS)),
        "Secrets Manager, calls": ("secrets_manager_call", thousand(secrets) + 3 * cost.PAYMENTS),
        "CloudWatch Logs": ("log_gigabyte", log_bytes / 10**9),
        "X-Ray": ("trace", invocations),
        "S3, storing PDFs": ("s3_put", Decimal(cost.PAYMENTS)),
    }


def _average(use: FunctionUse) -> tuple[Decimal, Decimal]:
    """Gigabyte-seconds and log bytes of one invocation; nothing if there was none."""
    if not use.billed:
        return Decimal(0), Decimal(0)
    count = len(use.billed)
    return sum((one.gigabyte_seconds for one in use.billed), Decimal(0)) / count, Decimal(
        use.log_bytes
    ) / count


def monthly(firm: Firm) -> dict[str, tuple[str, Decimal]]:
    """What a month costs in which nobody pays."""
    resources = [resource["Type"] for resource in read_template()["Resources"].values()]
    hourly, _ = _average(use_of(firm, "reconcile", 0, time.time()))
    queues = sum(1 for _ in re.findall(r"(?m)^          Type: SQS$", (ROOT / "template.yaml").read_text()))
    return {
        "secrets": ("secret_month", Decimal(resources.count("AWS::SecretsManager::Secret"))),
        "alarms": ("alarm_month", Decimal(resources.count("AWS::CloudWatch::Alarm"))),
        "metrics of our own, if all occur": ("metric_month", Decimal(len(metric_names()))),
        "asking empty queues": ("sqs_request", Decimal(queues * EMPTY_ASKS_A_MONTH)),
        "schedules, two an hour": ("schedule_invocation", Decimal(2 * HOURS_A_MONTH)),
        "reconcile every hour, as measured": ("lambda_gb_second", hourly * HOURS_A_MONTH),
    }


def metric_names() -> set[str]:
    """The names under which the functions count something."""
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/billing").rglob("*.py")]
    return {name for path in sources for name in re.findall(r'\bcount\("(\w+)"', path.read_text())}


def _print_bill(title: str, lines: list[Line]) -> None:
    heading(title, "quantity", "US dollars")
    for line in lines:
        quantity = f"{line.quantity:,.3f}".rstrip("0").rstrip(".")
        row(f"{line.what} ({line.price.unit})", quantity, f"{line.usd:.4f}")
    row("in all", "", f"{cost.total(lines):.2f}")


def _print_stripe(prices: Prices) -> None:
    heading(
        f"Stripe for {cost.PAYMENTS:,} payments of {EXAMPLE_AMOUNT:,} dollars, for scale",
        "",
        "",
        "US dollars",
    )
    for name, fee in prices.stripe.items():
        row(name.replace("_", " "), "", f"{fee.of(EXAMPLE_AMOUNT) * cost.PAYMENTS:,.2f}")
