"""Any schedule of payments, faults, losses and repairs ends in books that say what happened."""

from hypothesis import settings

from tests.unit.payments.machine import PaymentsMachine

TestPayments = PaymentsMachine.TestCase
TestPayments.settings = settings(stateful_step_count=50)
