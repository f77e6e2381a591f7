"""Programs killed in the middle of payments of every kind; at full size in tests/soak/test_directus_killed.py."""

from local.demo.steps import Firm
from local.stack import Stack
from tests.soak.outages import (
    EVERY_KIND,
    assert_every_payment_is_there_once,
    payments_while_programs_die,
    shorter_visibility,
)

KILLS_OF_DIRECTUS = 1
SEED = 8


def test_every_payment_is_there_once_after_programs_were_killed(stack: Stack, firm: Firm) -> None:
    with shorter_visibility(firm, 15):
        outcome = payments_while_programs_die(stack, len(EVERY_KIND), seed=SEED, directus=KILLS_OF_DIRECTUS)
    assert_every_payment_is_there_once(outcome, blows_wanted=KILLS_OF_DIRECTUS + 2)
