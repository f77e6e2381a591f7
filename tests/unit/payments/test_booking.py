"""What a session means for an attempt that knows better, or of which Stripe says something strange."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from billing.errors import Parked
from billing.ledger.ledger import Invoice, InvoiceStatus, Ledger, Payment, PaymentFlag, PaymentStatus
from billing.money import Money
from billing.payments.booking import Booking, book, with_surplus
from billing.stripe.objects import CheckoutSession, PaymentIntent

MODEL = Path(__file__).parents[3] / "directus" / "model"
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


# ---- what a person should look at -----------------------------------------------------------------------

PAID = session("complete", "paid", PaymentIntent("pi_1", "succeeded", 60, "USD"))


def open_attempt(minor: int = 60) -> Payment:
    return Payment(
        "p1",
        Money(minor, "USD"),
        PaymentStatus.PENDING,
        "card",
        "i1",
        checkout_session="cs_1",
        open_claim="i1",
    )


def of_invoice(currency: str = "USD") -> Ledger:
    return Ledger(Invoice("i1", "2026-1", "c1", currency, InvoiceStatus.SENT, Decimal(0), sent_at=NOW))


@pytest.mark.parametrize(
    ("ledger", "attempt", "flag"),
    [
        (of_invoice(), open_attempt(), None),
        (of_invoice(), open_attempt(61), PaymentFlag.AMOUNT_DIFFERS),
        (of_invoice(), None, PaymentFlag.UNEXPECTED_SESSION),
        (of_invoice("EUR"), open_attempt(), PaymentFlag.OTHER_CURRENCY),
        (None, None, PaymentFlag.UNKNOWN_INVOICE),
    ],
)
def test_a_payment_is_flagged_for_what_a_person_must_look_at(
    ledger: Ledger | None, attempt: Payment | None, flag: PaymentFlag | None
) -> None:
    booking = book(PAID, ledger, attempt)
    payment = booking.created or booking.updated
    assert payment is not None
    assert (payment.status, payment.flag, bool(payment.note)) == (
        PaymentStatus.SUCCEEDED,
        flag,
        flag is not None,
    )


def test_the_flags_are_those_of_the_column() -> None:
    fields = yaml.safe_load((MODEL / "payments.yaml").read_text("utf-8"))["fields"]
    assert fields["flag"]["choices"] == [flag.value for flag in PaymentFlag]


def test_more_than_was_due_is_the_flag_that_stays() -> None:
    booking = with_surplus(book(PAID, of_invoice(), open_attempt(40)), of_invoice(), Money(-20, "USD"))
    assert booking.updated is not None
    assert booking.updated.flag is PaymentFlag.SURPLUS
    assert booking.updated.note == "\n".join(booking.remarks), "the note has both sentences"


def test_an_attempt_of_money_that_no_invoice_can_take_is_over_and_the_money_has_a_row_of_its_own() -> None:
    booking = book(PAID, of_invoice("EUR"), open_attempt())
    assert booking.updated is not None
    assert booking.created is not None
    assert (booking.updated.status, booking.updated.open_claim) == (PaymentStatus.CANCELED, None)
    assert (booking.created.invoice, booking.created.client, booking.created.checkout_session) == (
        None,
        None,
        None,
    )
    assert (booking.created.transaction_id, booking.created.amount) == ("pi_1", Money(60, "USD"))
