"""Refunds, disputes and warnings through the unmodified SDK and the simulator: from Stripe's event to the rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing.errors import BillingError, StripeRejected
from billing.stripe.subjects import Subject
from tests.integration.payments.cashier import Cashier
from tests.integration.stripe_simulator.support import RunningSimulator


class Till(Cashier):
    """A cashier with one payment of 1250.00, booked."""

    charge: str
    payment_intent: str
    session: str

    def has_paid(self, **how: Any) -> None:
        """A client has paid, and the events are delivered."""
        self.session = self.pay().checkout_session
        paid = self.client_pays(self.session, **how)
        self.payment_intent = paid["payment_intent"]
        self.stripe_delivers(*paid["events"])
        found = self.simulator.api("GET", f"/v1/payment_intents/{self.payment_intent}").json()
        self.charge = found["latest_charge"]

    def happens(self, path: str, **body: Any) -> Any:
        """Something happens at Stripe, and its events are delivered."""
        answer = self.simulator.control(path, **body)
        self.stripe_delivers(*answer["events"])
        return answer

    def books(self) -> tuple[str, str, str]:
        row = self.stored()
        return row["status"], row["amount_paid"], row["balance_due"]

    def below(self, collection: str) -> list[dict[str, Any]]:
        return list(self.directus.table(collection).values())


@pytest.fixture
def till(simulator: RunningSimulator) -> Till:
    till = Till(simulator)
    till.invoice("1250.00")
    till.has_paid()
    assert till.books() == ("paid", "1250.00", "0.00")
    return till


# ---- refunds --------------------------------------------------------------------------------------------


def test_partial_refunds_made_in_the_dashboard_add_up_once(till: Till) -> None:
    first = till.happens(f"charges/{till.charge}/refund", amount=25000, reason="duplicate")
    assert till.books() == ("partially_paid", "1000.00", "250.00")
    till.happens(f"charges/{till.charge}/refund", amount=5000)
    assert till.books() == ("partially_paid", "950.00", "300.00")
    rows = {row["stripe_refund"]: row for row in till.below("refunds")}
    row = rows.pop(first["refund"])
    assert (row["amount"], row["currency"], row["status"], row["reason"]) == ("250.00", "USD", "succeeded", "duplicate")  # fmt: skip
    assert row["payment"] == till.payments()[0]["id"]
    assert abs(datetime.fromisoformat(row["refunded_at"]) - datetime.now(UTC)).total_seconds() < 60
    assert len(rows) == 1
    assert till.payments()[0]["amount_refunded"] == "300.00"


def test_a_refund_made_through_the_api_is_booked_from_its_events(till: Till) -> None:
    body = f"payment_intent={till.payment_intent}&amount=125000&metadata[deployment]=another".encode()
    refund = till.simulator.api("POST", "/v1/refunds", body=body).json()
    events = till.simulator.api("GET", "/v1/events?limit=100").json()["data"]
    about = [
        event["id"]
        for event in events
        if event["type"] in {"refund.created", "charge.refunded"}
        and (event["data"]["object"]["id"] in {refund["id"], till.charge})
    ]
    assert len(about) == 2
    till.stripe_delivers(*about, *reversed(about))
    assert till.books() == ("sent", "0.00", "1250.00")
    assert [row["stripe_refund"] for row in till.below("refunds")] == [refund["id"]]


@pytest.mark.parametrize(
    ("outcome", "status", "books"),
    [
        ("succeed", "succeeded", ("partially_paid", "1000.00", "250.00")),
        ("fail", "failed", ("paid", "1250.00", "0.00")),
        ("cancel", "canceled", ("paid", "1250.00", "0.00")),
    ],
)
def test_a_pending_refund_of_a_bank_debit_ends_as_the_bank_says(
    simulator: RunningSimulator, outcome: str, status: str, books: tuple[str, str, str]
) -> None:
    till = Till(simulator)
    till.invoice("1250.00")
    till.has_paid(method="us_bank_account")
    till.happens(f"payment_intents/{till.payment_intent}/settle", outcome="succeed")
    refund = till.happens(f"charges/{till.charge}/refund", amount=25000)
    assert [row["status"] for row in till.below("refunds")] == ["pending"]
    assert till.books() == ("partially_paid", "1000.00", "250.00")
    till.happens(f"refunds/{refund['refund']}/settle", outcome=outcome)
    assert [row["status"] for row in till.below("refunds")] == [status]
    assert till.books() == books


def test_a_refund_that_fails_after_it_succeeded_gives_the_money_back(till: Till) -> None:
    refund = till.happens(f"charges/{till.charge}/refund", amount=25000)
    till.happens(f"refunds/{refund['refund']}/settle", outcome="fail")
    assert [row["status"] for row in till.below("refunds")] == ["failed"]
    assert till.books() == ("paid", "1250.00", "0.00")


def test_a_refund_told_of_before_its_payment_books_both(simulator: RunningSimulator) -> None:
    till = Till(simulator)
    till.invoice("1250.00")
    paid = till.client_pays(till.pay().checkout_session)
    intent = simulator.api("GET", f"/v1/payment_intents/{paid['payment_intent']}").json()
    refunded = simulator.control(f"charges/{intent['latest_charge']}/refund", amount=25000)
    till.stripe_delivers(*refunded["events"])
    assert till.books() == ("partially_paid", "1000.00", "250.00")
    till.stripe_delivers(*paid["events"])
    assert till.books() == ("partially_paid", "1000.00", "250.00")
    assert len(till.payments()) == len(till.below("refunds")) == 1


def test_many_refunds_are_read_page_by_page(till: Till) -> None:
    events: list[str] = []
    for _ in range(101):
        events += till.simulator.control(f"charges/{till.charge}/refund", amount=100)["events"]
    till.stripe_delivers(events[-1])
    assert len(till.below("refunds")) == 101
    assert till.books() == ("partially_paid", "1149.00", "101.00")


# ---- disputes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "status", "books"),
    [
        ("won", "won", ("paid", "1250.00", "0.00")),
        ("lost", "lost", ("sent", "0.00", "1250.00")),
    ],
)
def test_a_dispute_takes_the_payment_only_when_it_is_lost(
    till: Till, outcome: str, status: str, books: tuple[str, str, str]
) -> None:
    dispute = till.happens(f"charges/{till.charge}/dispute", outcome="open")
    (row,) = till.below("payment_disputes")
    assert (row["stripe_dispute"], row["amount"], row["status"], row["reason"]) == (dispute["dispute"], "1250.00", "needs_response", "fraudulent")  # fmt: skip
    assert row["evidence_due_by"] > datetime.now(UTC).isoformat()
    assert row["closed_at"] is None
    assert till.books() == ("paid", "1250.00", "0.00")
    till.happens(f"disputes/{dispute['dispute']}/close", outcome=outcome)
    (row,) = till.below("payment_disputes")
    assert row["status"] == status
    assert row["closed_at"] is not None
    assert till.books() == books


def test_a_part_of_a_payment_can_be_lost(till: Till) -> None:
    till.happens(f"charges/{till.charge}/dispute", outcome="lost", amount=50000)
    assert till.payments()[0]["amount_disputed_lost"] == "500.00"
    assert till.books() == ("partially_paid", "750.00", "500.00")


def test_an_inquiry_takes_nothing(till: Till) -> None:
    dispute = till.happens(f"charges/{till.charge}/dispute", outcome="open", inquiry=True)
    assert [row["status"] for row in till.below("payment_disputes")] == ["warning_needs_response"]
    till.happens(f"disputes/{dispute['dispute']}/close", outcome="warning_closed")
    assert [row["status"] for row in till.below("payment_disputes")] == ["warning_closed"]
    assert till.books() == ("paid", "1250.00", "0.00")


def test_what_was_refunded_and_the_rest_disputed_leaves_nothing_and_no_less(till: Till) -> None:
    till.happens(f"charges/{till.charge}/refund", amount=25000)
    till.happens(f"charges/{till.charge}/dispute", outcome="lost", amount=125000)
    (row,) = till.payments()
    assert (row["amount_refunded"], row["amount_disputed_lost"]) == ("250.00", "1250.00")
    assert till.books() == ("sent", "0.00", "1250.00")


# ---- everything lost, then asked for --------------------------------------------------------------------


def test_without_a_single_event_one_look_at_the_session_books_everything(simulator: RunningSimulator) -> None:
    till = Till(simulator)
    till.invoice("1250.00")
    session = till.pay().checkout_session
    paid = till.client_pays(session)
    charge = simulator.api("GET", f"/v1/payment_intents/{paid['payment_intent']}").json()["latest_charge"]
    simulator.control(f"charges/{charge}/refund", amount=25000)
    simulator.control(f"charges/{charge}/dispute", outcome="lost", amount=50000)
    for _ in range(2):
        assert till.invoice_writer.sync_session(session)
    assert till.books() == ("partially_paid", "500.00", "750.00")
    assert (len(till.below("refunds")), len(till.below("payment_disputes"))) == (1, 1)


# ---- warnings, and what an object hangs on ----------------------------------------------------------------


def test_an_early_fraud_warning_is_written_on_its_payment_once(till: Till) -> None:
    warning = till.happens(f"charges/{till.charge}/early_fraud_warning")
    till.stripe_delivers(*warning["events"])
    note = till.payments()[0]["note"]
    assert note.count(warning["early_fraud_warning"]) == 1
    assert till.books() == ("paid", "1250.00", "0.00")


def test_every_object_leads_to_its_payment_and_to_whose_it_is(till: Till) -> None:
    warning = till.simulator.control(f"charges/{till.charge}/early_fraud_warning")["early_fraud_warning"]
    refund = till.simulator.control(f"charges/{till.charge}/refund", amount=100)["refund"]
    dispute = till.simulator.control(f"charges/{till.charge}/dispute", outcome="open", amount=100)["dispute"]
    for subject, name in [
        (Subject.REFUND, refund),
        (Subject.DISPUTE, dispute),
        (Subject.EARLY_FRAUD_WARNING, warning),
        (Subject.CHARGE, till.charge),
        (Subject.PAYMENT_INTENT, till.payment_intent),
    ]:
        behind = till.gateway.payment_behind(subject, name)
        assert behind.payment_intent == till.payment_intent
        assert behind.metadata["deployment"] == "test"
    with pytest.raises(StripeRejected):
        till.gateway.payment_behind(Subject.REFUND, "re_unknown")


# ---- what Stripe answers while it is busy -----------------------------------------------------------------


def test_a_key_that_is_in_use_for_good_is_a_503_and_the_next_call_completes_the_attempt(
    simulator: RunningSimulator,
) -> None:
    cashier = Cashier(simulator)
    cashier.invoice("1250.00")
    cashier.fail_next(fault="status", status=409, code="idempotency_key_in_use", count=3)
    with pytest.raises(BillingError) as refused:
        cashier.pay()
    assert (refused.value.code, refused.value.status, refused.value.retryable) == ("stripe_unavailable", 503, True)  # fmt: skip
    (row,) = cashier.payments()
    assert (row["status"], row["checkout_session"]) == ("pending", None)
    cashier.pay()
    assert len(cashier.sessions()) == len(cashier.payments()) == 1


def test_a_key_that_is_in_use_for_a_moment_is_asked_again_by_the_sdk(simulator: RunningSimulator) -> None:
    cashier = Cashier(simulator)
    cashier.invoice("1250.00")
    cashier.fail_next(fault="status", status=409, code="idempotency_key_in_use")
    cashier.pay()
    assert len(cashier.sessions()) == len(cashier.payments()) == 1
