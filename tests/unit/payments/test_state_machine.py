"""Any schedule of payments, faults, losses and repairs ends in books that say what happened."""

import pytest
from hypothesis import settings

from tests.unit.payments.machine import PaymentsMachine
from tests.unit.payments.play import EVERYTHING, RESTS, Play, Schedule, office_in_memory

TestPayments = PaymentsMachine.TestCase
TestPayments.settings = settings(stateful_step_count=50)


@pytest.mark.parametrize("rest", RESTS)
def test_a_schedule_in_which_everything_that_can_happen_finds_something_to_do(rest: str) -> None:
    schedule = Schedule(Play(office_in_memory(), rest), EVERYTHING)
    schedule.run(schedule.everything(1))
    assert schedule.idle() == set()
