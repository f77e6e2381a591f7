"""`python -m local.stripe_simulator`: the simulator as a program; see its README for the options."""

import argparse
import os
import sys
from pathlib import Path

from local.stripe_simulator import SECRET_KEY_VARIABLE, WEBHOOK_SECRETS_VARIABLE
from local.stripe_simulator.application import Configuration, InvalidConfiguration, server
from local.stripe_simulator.specification import SpecificationError, obtain
from local.stripe_simulator.store import StoreError
from local.stripe_simulator.webhooks import AT_A_TIME, MOST_AT_A_TIME, RETRY_DELAYS


def _seconds(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.stripe_simulator",
        description=f"A simulator of Stripe. Reads {SECRET_KEY_VARIABLE} (sk_test_…, the only key accepted) and"
        f" {WEBHOOK_SECRETS_VARIABLE} (whsec_…; two by a comma while one is rolled) from the environment.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhook-url", help="where events go; without it there is no endpoint")
    parser.add_argument("--webhook-events", help="event types the endpoint wants, by commas; default all")
    parser.add_argument("--state-file", type=Path, required=True, help="holds everything; created if missing")
    parser.add_argument(
        "--spec", type=Path, help="the cut-down OpenAPI document; default: cached, else fetched"
    )
    parser.add_argument(
        "--retry-delays",
        type=_seconds,
        default=RETRY_DELAYS,
        help="seconds before each webhook retry, by commas",
    )
    parser.add_argument(
        "--fee-delay", type=float, default=1.0, help="seconds until the fee of a charge is known"
    )
    parser.add_argument(
        "--at-a-time",
        type=int,
        default=AT_A_TIME,
        help=f"deliveries that run at the same time; default {AT_A_TIME}, at most {MOST_AT_A_TIME}",
    )
    return parser.parse_args()


def main() -> int:
    """Run until stopped. Returns 1 and prints the reason if it cannot start."""
    given = _arguments()
    try:
        configuration = Configuration(
            host=given.host,
            port=given.port,
            secret_key=os.environ.get(SECRET_KEY_VARIABLE, ""),
            state_file=given.state_file,
            specification=given.spec or obtain(),
            webhook_secrets=tuple(filter(None, os.environ.get(WEBHOOK_SECRETS_VARIABLE, "").split(","))),
            webhook_url=given.webhook_url,
            webhook_events=frozenset(given.webhook_events.split(",")) if given.webhook_events else None,
            retry_delays=given.retry_delays,
            fee_delay=given.fee_delay,
            at_a_time=given.at_a_time,
        )
        program = server(configuration)
    except (InvalidConfiguration, SpecificationError, StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    program.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
