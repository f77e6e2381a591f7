"""Another application on the same account takes no payment in its sessions: none of ours is touched, nobody is told."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe

from billing.errors import SessionNotOpen, StripeRejected, UpstreamUnavailable
from billing.stripe.account import StripeAccount
from billing.stripe.gateway import StripeGateway
from tests.fakes.directus import FixedToken
from tests.fakes.world import INVOICE
from tests.integration.payments.cashier import Cashier
from tests.integration.stripe_simulator.support import SECRET_KEY, Receiver, RunningSimulator

OURS = {"deployment": "test", "directus_invoice": INVOICE, "directus_payment": INVOICE}
METADATA = [{}, {"order": "7"}, OURS]


@pytest.fixture
def gateway(simulator: RunningSimulator) -> StripeGateway:
    return StripeGateway(simulator.url, FixedToken(SECRET_KEY))


def setup_session(
    simulator: RunningSimulator, metadata: dict[str, str] | None = None
) -> stripe.checkout.Session:
    return simulator.client().v1.checkout.sessions.create(
        {"mode": "setup", "success_url": "https://other.example/done", "metadata": metadata or {}}
    )


def test_a_session_in_setup_mode_has_no_amount(simulator: RunningSimulator, receiver: Receiver) -> None:
    session = setup_session(simulator)
    assert (session.mode, session.amount_total, session.currency, session.payment_intent) == (
        "setup", None, None, None,
    )  # fmt: skip
    assert session.payment_status == "no_payment_required"
    done = simulator.control(f"checkout/sessions/{session.id}/set_up")
    simulator.settled()
    assert receiver.types() == ["checkout.session.completed"]
    assert receiver.events[0]["data"]["object"]["setup_intent"] == done["setup_intent"]
    with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
        simulator.client().v1.checkout.sessions.expire(session.id)


def test_nothing_can_be_paid_in_it(simulator: RunningSimulator) -> None:
    session = setup_session(simulator)
    given = {"method": "card"}
    assert simulator.call("POST", f"/_test/checkout/sessions/{session.id}/pay", json=given).status_code == 400
    assert session.url is not None
    assert simulator.call("GET", session.url.removeprefix(simulator.url)).status_code == 501
    assert simulator.call("GET", "/_test/health").status_code == 200


def test_what_only_a_payment_has_is_refused(simulator: RunningSimulator) -> None:
    asked = {"mode": "setup", "success_url": "https://other.example", "submit_type": "pay"}
    with pytest.raises(stripe.APIError, match="submit_type"):
        simulator.client(max_network_retries=0).v1.checkout.sessions.create(asked)  # type: ignore[arg-type]  # a plain dict
    paying = {"mode": "payment", "success_url": "https://other.example", "currency": "usd"}
    with pytest.raises(stripe.APIError, match="currency"):
        simulator.client(max_network_retries=0).v1.checkout.sessions.create(paying)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("metadata", METADATA)
def test_the_worker_ignores_it_in_silence(simulator: RunningSimulator, metadata: dict[str, str]) -> None:
    cashier = Cashier(simulator)
    cashier.invoice("100.00")
    session = setup_session(simulator, metadata)
    events = simulator.control(f"checkout/sessions/{session.id}/set_up")["events"]
    cashier.stripe_delivers(*events)
    (row,) = cashier.directus.table("stripe_events").values()
    assert row["status"] == "ignored"
    assert (cashier.parked, cashier.flags, cashier.payments()) == ([], [], [])


@pytest.mark.parametrize("metadata", METADATA)
def test_lists_go_on_past_it(
    simulator: RunningSimulator, gateway: StripeGateway, metadata: dict[str, str]
) -> None:
    cashier = Cashier(simulator)
    cashier.invoice("100.00")
    ours = cashier.pay().checkout_session
    theirs = setup_session(simulator, metadata).id
    account = StripeAccount(gateway, lambda: datetime.now(UTC))
    listed = list(account.sessions_created_since(datetime.now(UTC) - timedelta(minutes=1)))
    assert [found.id for found in listed] == [theirs, ours]
    assert listed[0].attempt is None
    assert account.unreadable() == []


def test_checkout_finds_its_own_session_among_them(simulator: RunningSimulator) -> None:
    """Stripe keeps a failure under the key; the session it made all the same is found in the list."""
    cashier = Cashier(simulator)
    cashier.invoice("100.00")
    cashier.fail_next(fault="lose_answer", count=3)
    with pytest.raises(UpstreamUnavailable):
        cashier.pay()
    setup_session(simulator)
    (attempt,) = cashier.payments()
    attempt["attempt"] = {
        **attempt["attempt"],
        "parameters": {**attempt["attempt"]["parameters"], "locale": "de"},
    }
    started = cashier.pay()
    assert started.checkout_session == cashier.payments()[0]["checkout_session"]
    assert len(cashier.payments()) == 1


def test_a_session_that_is_not_open_is_told_from_every_other_refusal(
    simulator: RunningSimulator, gateway: StripeGateway
) -> None:
    session = setup_session(simulator).id
    assert gateway.expire_session(session).status == "expired"
    with pytest.raises(SessionNotOpen):
        gateway.expire_session(session)
    with pytest.raises(StripeRejected) as unknown:
        gateway.expire_session("cs_test_unknown")
    assert unknown.value.stripe_code == "resource_missing"
