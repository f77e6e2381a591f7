"""Stripe's books through the unmodified SDK against the simulator."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import stripe

from billing.errors import StripeRejected, UpstreamUnavailable
from billing.payments.events import subject_of
from billing.stripe.account import APPLIED_TYPES, StripeAccount
from billing.stripe.gateway import StripeGateway
from billing.stripe.subjects import Subject
from tests.fakes.directus import FixedToken
from tests.integration.stripe_simulator.support import SECRET_KEY, Receiver, RunningSimulator, parameters

DAY = 24 * 3600


def now() -> datetime:
    return datetime.now(UTC)


def ago(**span: float) -> datetime:
    return now() - timedelta(**span)


@pytest.fixture
def account(simulator: RunningSimulator) -> StripeAccount:
    return StripeAccount(StripeGateway(simulator.url, FixedToken(SECRET_KEY)), now)


class Shop:
    """What clients and staff do at Stripe."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.simulator = simulator
        self.v1 = simulator.client().v1

    def opened(self, **changes: Any) -> str:
        return self.v1.checkout.sessions.create(parameters(**changes)).id

    def paid(self, **changes: Any) -> tuple[str, str, str]:
        """Session, payment intent, charge."""
        session = self.opened(**changes)
        intent = self.simulator.control(f"checkout/sessions/{session}/pay", method="card")["payment_intent"]
        return session, intent, self.v1.charges.list({"payment_intent": intent}).data[0].id

    def disputed(self, charge: str, **how: Any) -> str:
        return str(
            self.simulator.control(f"charges/{charge}/dispute", **{"outcome": "open", **how})["dispute"]
        )


@pytest.fixture
def shop(simulator: RunningSimulator) -> Shop:
    return Shop(simulator)


def test_listed_sessions_tell_their_payment_its_charge_and_its_fee(
    shop: Shop, account: StripeAccount
) -> None:
    paid, intent, charge = shop.paid(amount=10000)
    waiting = shop.opened()
    newest, oldest = account.sessions_created_since(ago(minutes=1))
    assert (newest.id, newest.status, newest.payment_intent) == (waiting, "open", None)
    assert oldest == account.retrieve_session(paid) == account.session_of_payment_intent(intent)
    assert oldest.payment_intent is not None
    found = oldest.payment_intent.latest_charge
    assert found is not None
    assert (found.id, found.fee, found.fee_currency, found.last4) == (charge, 320, "USD", "4242")


def test_a_list_begins_with_the_moment_that_was_asked_for(shop: Shop, account: StripeAccount) -> None:
    _, _, charge = shop.paid(amount=10000)
    old_refund = shop.v1.refunds.create({"charge": charge, "amount": 100}).id
    shop.simulator.control("advance", seconds=4 * DAY)
    _, _, other = shop.paid(amount=20000)
    new_dispute = shop.disputed(other)
    since = ago(days=1)
    assert [found.amount_total for found in account.sessions_created_since(since)] == [20000]
    assert list(account.refunds_created_since(since)) == []
    assert [found.id for found in account.disputes_created_since(since)] == [new_dispute]
    assert {found.amount for found in account.balance_transactions_since(since)} == {20000, -20000}
    assert [found.id for found in account.refunds_created_since(ago(days=5))] == [old_refund]
    assert len(list(account.sessions_created_since(ago(days=5)))) == 2


def test_a_refund_is_listed_and_found_by_its_id(shop: Shop, account: StripeAccount) -> None:
    _, intent, charge = shop.paid(amount=10000)
    name = shop.v1.refunds.create({"charge": charge, "amount": 2500, "reason": "duplicate"}).id
    (listed,) = account.refunds_created_since(ago(minutes=1))
    assert listed == account.retrieve_refund(name)
    assert (listed.id, listed.status, listed.amount, listed.currency, listed.reason) == (
        name, "succeeded", 2500, "USD", "duplicate",
    )  # fmt: skip
    assert (listed.payment_intent, listed.charge) == (intent, charge)


def test_a_dispute_is_listed_and_found_by_its_id(shop: Shop, account: StripeAccount) -> None:
    _, intent, charge = shop.paid(amount=10000)
    name = shop.disputed(charge, amount=4000)
    (listed,) = account.disputes_created_since(ago(minutes=1))
    assert listed == account.retrieve_dispute(name)
    assert (listed.id, listed.status, listed.amount, listed.payment_intent, listed.charge) == (
        name, "needs_response", 4000, intent, charge,
    )  # fmt: skip
    shop.simulator.control(f"disputes/{name}/close", outcome="lost")
    closed = account.retrieve_dispute(name)
    assert closed is not None
    assert closed.status == "lost"


def test_what_stripe_does_not_know_is_none_and_a_session_is_an_error(account: StripeAccount) -> None:
    assert account.retrieve_refund("re_unknown") is None
    assert account.retrieve_dispute("du_unknown") is None
    assert account.session_of_payment_intent("pi_unknown") is None
    with pytest.raises(StripeRejected) as refused:
        account.retrieve_session("cs_unknown")
    assert refused.value.stripe_code == "resource_missing"


@pytest.mark.parametrize("operation", ["GET /v1/refunds/{refund}", "GET /v1/disputes/{dispute}"])
def test_a_stripe_that_fails_is_not_taken_for_one_that_knows_nothing(
    shop: Shop, account: StripeAccount, operation: str
) -> None:
    shop.simulator.control("fail_next", fault="status", retry=False, operation=operation)
    ask = account.retrieve_refund if "refund" in operation else account.retrieve_dispute
    with pytest.raises(UpstreamUnavailable):
        ask("re_unknown")


def test_a_long_list_is_fetched_page_by_page_and_no_further_than_it_is_read(
    shop: Shop, account: StripeAccount
) -> None:
    _, _, charge = shop.paid(amount=10000)
    made = [shop.v1.refunds.create({"charge": charge, "amount": 1}).id for _ in range(101)]
    found = account.refunds_created_since(ago(minutes=1))
    first = [refund.id for refund in itertools.islice(found, 100)]
    assert first == made[:0:-1]
    late = shop.v1.refunds.create({"charge": charge, "amount": 1}).id
    assert [refund.id for refund in found] == made[:1], "the second page is asked for only now"
    assert next(iter(account.refunds_created_since(ago(minutes=1)))).id == late


def test_balance_transactions_name_what_they_stem_from(shop: Shop, account: StripeAccount) -> None:
    _, intent, charge = shop.paid(amount=10000)
    refund = shop.v1.refunds.create({"charge": charge, "amount": 2500, "metadata": {"by": "staff"}}).id
    _, other, disputed = shop.paid(amount=20000)
    dispute = shop.disputed(disputed)
    found = {one.source: one for one in account.balance_transactions_since(ago(minutes=1))}
    assert set(found) == {charge, refund, disputed, dispute}
    paid, gone = found[charge], found[refund]
    assert (paid.amount, paid.fee, paid.currency, paid.type) == (10000, 320, "USD", "charge")
    assert (paid.payment_intent, paid.metadata) == (
        intent, {"directus_invoice": "42", "directus_payment": "7"},
    )  # fmt: skip
    assert (gone.amount, gone.fee, gone.type, gone.payment_intent) == (-2500, 0, "refund", intent)
    assert gone.metadata == {"by": "staff"}
    taken = found[dispute]
    assert (taken.amount, taken.fee, taken.payment_intent) == (-20000, 1500, other)


def undelivered(account: StripeAccount, since: datetime) -> dict[str, str]:
    return {found.type: found.object_id for found in account.undelivered_events_since(since)}


@pytest.fixture
def endpoint(specification: Path, tmp_path: Path) -> Iterator[RunningSimulator]:
    """A simulator whose endpoint accepts nothing."""
    receiver = Receiver()
    receiver.status = 500
    running = RunningSimulator(specification, tmp_path / "refused.sqlite", receiver.url)
    yield running
    running.close()
    receiver.close()


def test_events_that_no_endpoint_accepted_are_found(endpoint: RunningSimulator) -> None:
    shop = Shop(endpoint)
    account = StripeAccount(StripeGateway(endpoint.url, FixedToken(SECRET_KEY)), now)
    session, intent, charge = shop.paid(amount=10000)
    refund = shop.v1.refunds.create({"charge": charge, "amount": 2500}).id
    endpoint.settled()
    found = undelivered(account, ago(minutes=1))
    assert found["checkout.session.completed"] == session
    assert found["payment_intent.succeeded"] == intent
    assert found["charge.succeeded"] == found["charge.refunded"] == charge
    assert found["refund.created"] == refund, "it is not among the first twenty types"
    one = next(e for e in account.undelivered_events_since(ago(minutes=1)) if e.object_id == session)
    assert (one.object_type, one.livemode) == ("checkout.session", False)
    assert one.metadata == {"directus_invoice": "42", "deployment": "test"}
    assert one.id.startswith("evt_")


def test_events_that_were_delivered_are_not_among_them(shop: Shop, account: StripeAccount) -> None:
    shop.paid()
    shop.simulator.settled()
    assert undelivered(account, ago(minutes=1)) == {}


def test_events_are_asked_for_no_further_back_than_stripe_keeps_them(endpoint: RunningSimulator) -> None:
    """The clock decides: this one is ten days fast."""
    shop = Shop(endpoint)
    gateway = StripeGateway(endpoint.url, FixedToken(SECRET_KEY))
    fast = StripeAccount(gateway, lambda: now() + timedelta(days=10))
    shop.paid()
    endpoint.settled()
    endpoint.control("advance", seconds=21 * DAY)
    assert undelivered(fast, ago(days=100)) == {}
    assert undelivered(StripeAccount(gateway, now), ago(days=100))


def test_every_type_that_leads_to_a_payment_is_asked_for() -> None:
    known = get_args(stripe.Event.__annotations__["type"])
    nothing = {Subject.NOTHING_OF_OURS, Subject.UNKNOWN}
    assert list(APPLIED_TYPES) == sorted(kind for kind in known if subject_of(kind) not in nothing)


def test_a_list_goes_on_behind_the_last_one_that_was_seen(shop: Shop, account: StripeAccount) -> None:
    since = ago(minutes=1)
    for number in range(3):
        _, _, charge = shop.paid(amount=10000)
        shop.v1.refunds.create({"charge": charge, "amount": 100 + number})
        shop.disputed(shop.paid(amount=20000 + number)[2])
    for listed in (
        account.sessions_created_since,
        account.refunds_created_since,
        account.disputes_created_since,
        account.balance_transactions_since,
    ):
        everything = [found.id for found in listed(since)]
        assert len(everything) >= 3
        for seen, last in enumerate(everything, start=1):
            assert [found.id for found in listed(since, after=last)] == everything[seen:]
