"""Directus killed and started again in the middle of 500 payments, on SQLite and PostgreSQL.

`make test` runs the same with one payment of each kind: tests/e2e/test_programs_killed.py.
"""

import os

from local.stack import Stack
from tests.soak.outages import assert_every_payment_is_there_once, payments_while_programs_die, report

PAYMENTS = int(os.environ.get("BILLING_SOAK_PAYMENTS", "500"))
KILLS_OF_DIRECTUS = 8
SEED = 20261123


def test_every_payment_is_there_once_after_programs_were_killed(stack: Stack) -> None:
    outcome = payments_while_programs_die(stack, PAYMENTS, seed=SEED, directus=KILLS_OF_DIRECTUS)
    report(outcome, stack.database)
    assert_every_payment_is_there_once(outcome, blows_wanted=KILLS_OF_DIRECTUS + 2)
