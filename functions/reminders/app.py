"""The planner of reminders: hourly, or invoked with `{"as_of"?: day or instant, "dry_run"?: bool}`.

The answer is `{"overdue_marked", "planned", "queued", "skipped": {reason: n}, "plan"?: [...]}`. An event that
cannot be read ends the invocation with `BadRequest` and its sentence (`FunctionError`, `errorType`,
`errorMessage`), before anything is queued.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from billing import composition
from billing.aws.observability import count, logger, metrics
from billing.reminders.plan import PlanReminders, PlanRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@cache
def build() -> PlanReminders:
    """What the handler calls."""
    return composition.reminders(os.environ)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda's signature
    """Plan one run."""
    request = PlanRequest.from_event(event)
    plan = build()(request)
    count("OverdueMarked", plan.overdue_marked)
    count("RemindersQueued", plan.queued)
    answer = plan.as_json(dry_run=request.dry_run)
    logger.info("Reminders were planned.", extra={key: answer[key] for key in answer if key != "plan"})
    return answer
