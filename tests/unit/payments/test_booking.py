"""What a session means for an attempt that knows better, or of which Stripe says something strange."""

from datetime import UTC, datetime

import pytest

from billing.errors import Parked
from billing.ledger.ledger import Payment, PaymentStatus
from billing.money import Money
from billing.payments.booking import Booking, book
from billing.stripe.objects import CheckoutSession, PaymentIntent

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def session(
    status: str, payment_status: str = "unpaid", intent: PaymentIntent | None = None
) -> CheckoutSession:
    return CheckoutSession("cs_1", status, payment_status, 100, "USD", NOW, payment_intent=intent)


def attempt(status: str = "pending") -> Payment:
    return Payment("p1", Money(100, "USD"), PaymentStatus(status), "card", "i1", checkout_session="cs_1")


@pytest.mark.parametrize(
    "late",
    [
        session("expired"),
        session("complete", intent=PaymentIntent("pi_1", "processing", 0, "USD")),
        session("complete", intent=PaymentIntent("pi_1", "requires_payment_method", 0, "USD")),
        session("open"),
    ],
)
def test_nothing_makes_a_succeeded_payment_less(late: CheckoutSession) -> None:
    assert book(late, None, attempt("succeeded")) == Booking()


def test_a_paid_session_that_received_nothing_is_looked_at() -> None:
    with pytest.raises(Parked):
        book(session("complete", "paid", PaymentIntent("pi_1", "succeeded", 0, "USD")), None, attempt())


def test_a_paid_session_without_a_payment_intent_is_looked_at() -> None:
    with pytest.raises(Parked):
        book(session("complete", "no_payment_required"), None, attempt())


def test_a_bank_debit_without_a_row_is_looked_at() -> None:
    with pytest.raises(Parked):
        book(session("complete", intent=PaymentIntent("pi_1", "processing", 0, "USD")), None, None)
