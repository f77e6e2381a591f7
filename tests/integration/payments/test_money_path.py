"""The gateway and the money path through the unmodified SDK against the simulator."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from billing.errors import BillingError, CreationRefused, SessionNotOpen, StripeRejected, UpstreamUnavailable
from billing.messages import StripeEvent
from billing.stripe.gateway import StripeGateway
from billing.stripe.subjects import Subject
from tests.fakes.directus import FixedToken
from tests.integration.payments.cashier import Cashier


@pytest.fixture
def invoiced(cashier: Cashier) -> Cashier:
    cashier.invoice("1250.00")
    return cashier


def refusal(cashier: Cashier, amount: str | None = None) -> BillingError:
    with pytest.raises(BillingError) as error:
        cashier.pay(amount)
    return error.value


def test_a_card_payment_from_the_first_click_to_the_paid_invoice(invoiced: Cashier) -> None:
    started = invoiced.pay("450.00")
    assert started.url == f"{invoiced.simulator.url}/c/pay/{started.checkout_session}"
    assert invoiced.pay("450.00").reused
    paid = invoiced.client_pays(started.checkout_session)
    invoiced.stripe_delivers(*paid["events"], *paid["events"])
    (row,) = invoiced.payments()
    assert (row["amount"], row["status"], row["brand"], row["last4"]) == (
        "450.00",
        "succeeded",
        "visa",
        "4242",
    )
    assert row["transaction_id"] == paid["payment_intent"]
    assert (invoiced.stored()["status"], invoiced.stored()["balance_due"]) == ("partially_paid", "800.00")


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("EUR", "1250.10", 125010), ("JPY", "1200.00", 1200)]
)
def test_every_currency_is_charged_in_its_own_minor_units(
    cashier: Cashier, currency: str, amount: str, minor: int
) -> None:
    cashier.invoice(amount, currency=currency)
    paid = cashier.client_pays(cashier.pay().checkout_session)
    (session,) = cashier.sessions()
    assert (session["amount_total"], session["currency"]) == (minor, currency.lower())
    cashier.stripe_delivers(*paid["events"])
    assert (cashier.stored()["amount_paid"], cashier.stored()["status"]) == (amount, "paid")


def test_a_declined_card_leaves_the_attempt_open(invoiced: Cashier) -> None:
    session = invoiced.pay().checkout_session
    declined = invoiced.client_pays(session, outcome="fail")
    invoiced.stripe_delivers(*declined["events"])
    assert invoiced.payments()[0]["status"] == "pending"
    assert invoiced.pay().checkout_session == session
    invoiced.stripe_delivers(*invoiced.client_pays(session)["events"])
    assert invoiced.stored()["status"] == "paid"
    assert len(invoiced.payments()) == 1


@pytest.mark.parametrize(("outcome", "status"), [("succeed", "paid"), ("fail", "sent")])
def test_a_bank_debit_is_paid_only_when_it_settles(invoiced: Cashier, outcome: str, status: str) -> None:
    begun = invoiced.client_pays(invoiced.pay().checkout_session, method="us_bank_account", outcome=outcome)
    invoiced.stripe_delivers(*begun["events"])
    assert invoiced.payments()[0]["status"] == "processing"
    assert refusal(invoiced).code == "payment_processing"
    settled = invoiced.simulator.control(f"payment_intents/{begun['payment_intent']}/settle", outcome=outcome)
    invoiced.stripe_delivers(*settled["events"], *begun["events"])
    assert invoiced.stored()["status"] == status
    assert invoiced.payments()[0]["open_claim"] is None


def test_a_lost_answer_is_found_again_by_the_sdks_own_retry(invoiced: Cashier) -> None:
    invoiced.fail_next(fault="lose_answer")
    started = invoiced.pay()
    assert [session["id"] for session in invoiced.sessions()] == [started.checkout_session]


def test_answers_lost_for_good_are_a_503_and_the_next_call_finds_the_session(invoiced: Cashier) -> None:
    before = dict(invoiced.stored())
    invoiced.fail_next(fault="lose_answer", count=3)
    error = refusal(invoiced)
    assert (error.status, error.code) == (503, "stripe_unavailable")
    assert invoiced.stored() == before
    started = invoiced.pay()
    assert [session["id"] for session in invoiced.sessions()] == [started.checkout_session]
    assert len(invoiced.payments()) == 1


def test_a_server_error_that_stripe_repeats_does_not_block_the_invoice(invoiced: Cashier) -> None:
    invoiced.fail_next(fault="status", status=500, replay=True)
    error = refusal(invoiced)
    assert (error.status, error.retryable) == (503, True)
    started = invoiced.pay()
    assert [session["id"] for session in invoiced.sessions()] == [started.checkout_session]
    assert [row["open_claim"] is None for row in invoiced.payments()] == [True, False]


def test_stripe_asking_to_slow_down_is_a_503(invoiced: Cashier) -> None:
    invoiced.fail_next(fault="status", status=429)
    assert refusal(invoiced).code == "stripe_unavailable"
    invoiced.pay()
    assert len(invoiced.sessions()) == len(invoiced.payments()) == 1


def test_two_callers_at_once_get_one_session(invoiced: Cashier) -> None:
    invoiced.fail_next(fault="delay", seconds=0.2)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: invoiced.pay(), range(2))
    assert first.url == second.url
    assert len(invoiced.sessions()) == len(invoiced.payments()) == 1


def test_an_old_attempt_that_stripe_accepts_no_more_is_replaced(invoiced: Cashier) -> None:
    invoiced.fail_next(fault="lose_request", count=3)
    refusal(invoiced)
    (row,) = invoiced.payments()
    row["attempt"]["parameters"]["expires_at"] -= 23 * 3600  # as if it were from yesterday
    started = invoiced.pay()
    assert [row["status"] for row in invoiced.payments()] == ["canceled", "pending"]
    assert [session["id"] for session in invoiced.sessions()] == [started.checkout_session]


def test_a_paid_session_cannot_be_expired_and_is_booked(invoiced: Cashier) -> None:
    session = invoiced.pay().checkout_session
    invoiced.drain()
    invoiced.client_pays(session)
    with pytest.raises(SessionNotOpen):
        invoiced.gateway.expire_session(session)
    assert refusal(invoiced, "40.00").code == "payment_processing"
    invoiced.drain()
    assert invoiced.stored()["status"] == "paid"


def test_a_canceled_attempt_is_expired_at_stripe(invoiced: Cashier) -> None:
    session = invoiced.pay().checkout_session
    invoiced.payments()[0]["status"] = "canceled"
    invoiced.recompute()
    assert invoiced.gateway.retrieve_session(session).status == "expired"
    assert invoiced.payments()[0]["open_claim"] is None


# ---- the gateway alone ----------------------------------------------------------------------------------


def test_the_fee_and_the_method_are_read_from_the_charge(invoiced: Cashier) -> None:
    session = invoiced.pay().checkout_session
    paid = invoiced.client_pays(session)
    found = invoiced.gateway.session_of_payment_intent(paid["payment_intent"])
    assert found is not None
    assert found.id == session
    assert found.payment_intent is not None
    charge = found.payment_intent.latest_charge
    assert charge is not None
    assert (charge.method, charge.currency, charge.last4) == ("card", "USD", "4242")
    assert invoiced.gateway.payment_behind(Subject.CHARGE, charge.id).payment_intent == paid["payment_intent"]
    assert invoiced.gateway.session_of_payment_intent("pi_unknown") is None


def test_whose_payment_it_is_stands_on_the_intent_and_on_the_charge(invoiced: Cashier) -> None:
    paid = invoiced.client_pays(invoiced.pay().checkout_session)
    found = invoiced.gateway.session_of_payment_intent(paid["payment_intent"])
    assert found is not None
    assert found.payment_intent is not None
    assert found.payment_intent.latest_charge is not None
    for subject, name in (
        (Subject.PAYMENT_INTENT, paid["payment_intent"]),
        (Subject.CHARGE, found.payment_intent.latest_charge.id),
    ):
        behind = invoiced.gateway.payment_behind(subject, name)
        assert (behind.payment_intent, behind.metadata["deployment"]) == (paid["payment_intent"], "test")
    with pytest.raises(StripeRejected):
        invoiced.gateway.payment_behind(Subject.PAYMENT_INTENT, "pi_unknown")


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (Subject.REFUND, "refund.created"),
        (Subject.DISPUTE, "charge.dispute.created"),
        (Subject.EARLY_FRAUD_WARNING, "radar.early_fraud_warning.created"),
        (Subject.REVIEW, "review.opened"),
    ],
)
def test_what_cannot_be_fetched_is_parked_at_once_and_not_tried_for_a_day(
    cashier: Cashier, subject: Subject, kind: str
) -> None:
    """Unknown to Stripe, or (a review) not simulated; the requests themselves are what Stripe's document allows."""
    with pytest.raises(StripeRejected):
        cashier.gateway.payment_behind(subject, "x_unknown")
    cashier.apply_event(StripeEvent("evt_1", kind, "x_unknown", "refund", livemode=False))
    assert cashier.directus.table("stripe_events")["evt_1"]["status"] == "parked"
    assert len(cashier.parked) == 1


def test_sessions_are_listed_from_a_moment_on(invoiced: Cashier) -> None:
    first, second = invoiced.pay().checkout_session, invoiced.pay("40.00").checkout_session
    listed = list(invoiced.gateway.sessions_created_since(invoiced.now() - timedelta(minutes=1)))
    assert {found.id for found in listed} == {first, second}
    assert {found.status for found in listed} == {"open", "expired"}
    assert all(found.metadata["deployment"] == "test" for found in listed)


def test_a_wrong_key_is_read_again_and_then_makes_work_wait(invoiced: Cashier) -> None:
    session = invoiced.pay().checkout_session
    key = FixedToken("sk_test_wrong")
    with pytest.raises(UpstreamUnavailable) as error:
        StripeGateway(invoiced.simulator.url, key).retrieve_session(session)
    assert error.value.code == "stripe_key_refused"
    assert "sk_test" not in error.value.detail
    assert key.refreshed == 1


def test_a_wrong_key_does_not_end_an_attempt(invoiced: Cashier) -> None:
    invoiced.key.value = "sk_test_wrong"
    assert refusal(invoiced).code == "stripe_key_refused"
    assert [row["status"] for row in invoiced.payments()] == ["pending"]


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_a_live_key_is_sent_to_stripe_only(invoiced: Cashier, key: str) -> None:
    with pytest.raises(BillingError) as error:
        StripeGateway(invoiced.simulator.url, FixedToken(key)).retrieve_session("cs_test_1")
    assert error.value.code == "live_key_refused"
    assert key not in error.value.detail


def test_an_unknown_session_and_refused_parameters_are_named(invoiced: Cashier) -> None:
    with pytest.raises(StripeRejected) as unknown:
        invoiced.gateway.retrieve_session("cs_test_unknown")
    assert unknown.value.stripe_code == "resource_missing"
    with pytest.raises(CreationRefused):
        invoiced.gateway.create_session({"mode": "payment"}, "key")


def test_stripe_away_is_a_503() -> None:
    with pytest.raises(UpstreamUnavailable) as error:
        StripeGateway("http://127.0.0.1:9", FixedToken("sk_test_1")).retrieve_session("cs_1")
    assert error.value.code == "stripe_unavailable"
