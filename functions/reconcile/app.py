"""Reconcile: hourly, nightly over everything, or invoked with `{"since"?: iso8601, "dry_run"?: bool}`.

The answer is `{"checked", "repaired": [...], "differences": [...]}`, with at most 1,000 entries of each and then
`repaired_total` and `differences_total`; `report` is the stored report, `continued` says that another invocation goes
on where this one had no time left, `widened` that another run looks for deleted rows from that moment on. Without
`since`, Stripe's lists of the last three days are compared, and the rows that were made or changed since; invoices, open
attempts, events, notices and queues always whole. An event that cannot be read ends the invocation with `BadRequest`
and its sentence (`FunctionError`, `errorType`, `errorMessage`).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing import composition
from billing.aws.deadline import TimeLimit
from billing.aws.observability import count, logger, metrics
from billing.reconcile.differences import QUIET_KINDS
from billing.reconcile.reconcile import KEPT_IN_ANSWER, Reconcile, ReconcileRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


#: The end of the invocation under way: what is built once asks it how much time is left.
time_limit = TimeLimit()


@cache
def build(function_name: str) -> Reconcile:
    """What the handler calls."""
    return composition.reconcile(os.environ, function_name, time_limit, failed)


def failed(sentence: str, error: Exception) -> None:
    """Tell the log of a failure without a name of ours."""
    logger.error(sentence, exc_info=error)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare once, or go on with a run that had no time left."""
    request = ReconcileRequest.from_event(event)
    time_limit.begins(context.get_remaining_time_in_millis() / 1000)
    report = build(context.function_name)(request, remaining_seconds=time_limit.remaining)
    if not request.dry_run:  # a dry run raises no alarm
        count("ReconcileDifferences", report.urgent_total)
        count("ReconcileRepaired", report.repaired_total)
        count("ReconcileMoneyRepaired", report.money_repaired)
    for entry in report.repaired[:KEPT_IN_ANSWER]:
        logger.info("Repaired.", extra=entry)
    for difference in report.differences[:KEPT_IN_ANSWER]:
        tell = logger.info if difference.kind in QUIET_KINDS else logger.warning
        tell(difference.detail, extra={"kind": difference.kind, **difference.ids})
    logger.info(
        "Reconciled.",
        extra={
            "checked": report.checked,
            "repaired": report.repaired_total,
            "differences": report.differences_total,
            "continued": report.continued,
            "widened": report.widened.isoformat() if report.widened is not None else None,
        },
    )
    return report.as_json()
