"""Who starts the payment of one invoice anew again and again is asked to wait, and the session that is open stays."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from billing.aws.http_api import respond
from billing.composition import Checkout
from billing.errors import TooManyAttempts, Unprocessable
from billing.payments.checkout import CheckoutTerms, must_end, time_is_over
from functions.checkout import app
from tests.fakes.aws import AcceptedSecrets
from tests.fakes.directus import FixedToken
from tests.fakes.world import INVOICE, TERMS, USER, World

AMOUNTS = ("40.00", "50.00")


@pytest.fixture
def world() -> World:
    made = World()
    made.invoice("100.00")
    return made


def click(world: World, times: int) -> None:
    """The client asks for one amount, then for the other, and so on."""
    for number in range(times):
        world.pay(AMOUNTS[number % 2])
        world.passes(seconds=10)


def test_ten_attempts_may_be_given_up_within_an_hour(world: World) -> None:
    click(world, 11)
    with pytest.raises(TooManyAttempts) as refusal:
        world.pay("50.00")
    assert (refusal.value.status, refusal.value.code, refusal.value.ids) == (
        429, "too_many_attempts", {"invoice": INVOICE},
    )  # fmt: skip
    assert refusal.value.retry_after == 3600 - 110
    assert "59 minutes" in refusal.value.detail


def test_however_often_somebody_clicks_rows_and_sessions_are_few(world: World) -> None:
    click(world, 11)
    for number in range(30):
        with pytest.raises(TooManyAttempts):
            world.pay(f"{60 + number}.00")
    assert len(world.payments()) == len(world.stripe.sessions) == 11


def test_the_open_session_stays_and_is_handed_out_to_who_asks_for_it(world: World) -> None:
    click(world, 11)
    (session,) = world.stripe.open_sessions()
    with pytest.raises(TooManyAttempts):
        world.pay("50.00")
    assert world.stripe.open_sessions() == [session]
    assert world.pay("40.00").checkout_session == session


def test_when_to_come_back_is_true(world: World) -> None:
    click(world, 11)
    with pytest.raises(TooManyAttempts) as refusal:
        world.pay("50.00")
    world.passes(seconds=refusal.value.retry_after - 1)
    with pytest.raises(TooManyAttempts) as again:
        world.pay("50.00")
    assert again.value.retry_after == 1
    assert "a minute" in again.value.detail
    world.passes(seconds=1)
    assert world.pay("50.00").amount.minor == 5000


def test_a_session_that_no_longer_fits_the_invoice_ends_all_the_same(world: World) -> None:
    click(world, 11)
    (session,) = world.stripe.open_sessions()
    world.payment("80.00")
    with pytest.raises(TooManyAttempts):
        world.pay()
    assert world.stripe.open_sessions() == []
    assert not world.stripe.sessions[session].is_open
    assert world.ledger().open_attempt is None


def test_older_and_other_payments_do_not_count(world: World) -> None:
    click(world, 10)
    world.passes(hours=1)
    for status in ("canceled", "failed", "succeeded"):
        world.payment("0.10", status=status)
    click(world, 11)
    with pytest.raises(TooManyAttempts):
        world.pay("50.00")


def test_without_a_limit_in_reach_nothing_changes(world: World) -> None:
    terms = replace(TERMS, canceled_attempts=1000)
    world.start_checkout = replace(world.start_checkout, terms=terms)
    click(world, 40)
    assert len(world.payments()) == 40
    assert len(world.stripe.open_sessions()) == 1


def test_the_answer_says_when_to_come_back(world: World) -> None:
    click(world, 11)
    event = {
        "headers": {"authorization": "Bearer secret"},
        "body": json.dumps({"invoice": INVOICE, "user": USER, "amount": "50.00"}),
        "requestContext": {"requestId": "r1"},
    }
    function = Checkout(AcceptedSecrets(("secret",)), FixedToken(), world.start_checkout)
    answer = respond(event, lambda: app.checkout(event, function, seconds=28.0))
    assert answer["statusCode"] == 429
    assert answer["headers"]["Retry-After"] == "3490"
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    body = json.loads(answer["body"])
    assert (body["code"], body["status"], body["invoice"], body["instance"]) == (
        "too_many_attempts", 429, INVOICE, "urn:request:r1",
    )  # fmt: skip


# ---- what cannot be paid by any method ------------------------------------------------------------------


def test_where_no_allowed_method_takes_the_currency_nothing_is_begun() -> None:
    world = World()
    world.invoice("100.00", currency="EUR")
    terms = CheckoutTerms("test", TERMS.return_url, ("us_bank_account",))
    world.start_checkout = replace(world.start_checkout, terms=terms)
    with pytest.raises(Unprocessable) as refusal:
        world.pay()
    assert (refusal.value.code, refusal.value.ids) == ("currency_not_supported", {"invoice": INVOICE})
    assert "EUR" in refusal.value.detail
    assert world.payments() == []
    assert world.stripe.sessions == {}


@pytest.mark.parametrize(("currency", "methods"), [("USD", ["us_bank_account"]), ("EUR", ["card"])])
def test_the_methods_that_take_the_currency_are_sent(currency: str, methods: list[str]) -> None:
    world = World()
    world.invoice("100.00", currency=currency)
    terms = CheckoutTerms("test", TERMS.return_url, (*methods, "us_bank_account"))
    world.start_checkout = replace(world.start_checkout, terms=terms)
    world.pay()
    sent = world.payments()[0]["attempt"]["parameters"]["allowed_payment_method_types"]
    assert set(sent) == set(methods)


# ---- the instant at which an attempt's time is over -----------------------------------------------------


def test_the_instant_of_its_expiry_is_over_for_everybody(world: World) -> None:
    """Else one of us frees the claim of a session that another still waits for."""
    world.pay()
    world.drain()
    attempt = world.ledger().open_attempt
    assert attempt is not None
    assert attempt.expires_at is not None
    without_session = replace(attempt, checkout_session=None)
    for moment, over in ((timedelta(microseconds=-1), False), (timedelta(0), True), (timedelta(1), True)):
        now = attempt.expires_at + moment
        assert time_is_over(attempt, now) is over
        assert must_end(world.ledger(), without_session, now) is over
    assert not time_is_over(replace(attempt, expires_at=None), attempt.expires_at)


def test_a_session_that_stripe_does_not_know_ends_at_that_instant(world: World) -> None:
    session = world.pay().checkout_session
    expires_at = world.stripe.sessions.pop(session).expires_at
    del world.stripe.created[session]
    world.time = expires_at
    assert world.pay().checkout_session != session
    assert [row["status"] for row in world.payments()] == ["canceled", "pending"]
