"""One logger and one metrics sink per function, as AWS Lambda Powertools makes them.

Log lines are JSON, carry the service's name and the request id, and hold ids only: no secret, no card
number, no name or address of a client. Names and namespaces come from `POWERTOOLS_SERVICE_NAME` and
`POWERTOOLS_METRICS_NAMESPACE` (template.yaml).
"""

import logging

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from billing.errors import BillingError, SecretUnavailable

# Lambda gives the level of this function's log to the root logger, and so to every library. With DEBUG botocore would
# write what Secrets Manager answers: Stripe's key.
logging.getLogger().setLevel(logging.WARNING)

logger = Logger(level=None, utc=True)
metrics = Metrics()


def count(name: str, value: int = 1) -> None:
    """Add to a counter of this invocation; it becomes a CloudWatch metric through the log (EMF)."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def log_refusal(error: BillingError) -> None:
    """Log a failure that has a name: its code, its sentence and the ids concerned, without a stack trace."""
    which = {"secret": error.secret} if isinstance(error, SecretUnavailable) else {}
    logger.warning(
        error.detail, extra={"code": error.code, "retryable": error.retryable, **error.ids, **which}
    )
