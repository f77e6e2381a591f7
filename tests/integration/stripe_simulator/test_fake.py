"""The Stripe of the unit tests says what the simulator says: the same stories, seen through the functions' questions.

`tests/fakes/stripe.py` says why the unit tests keep a Stripe of their own. What both can do they must not do differently.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.stripe.account import StripeAccount
from billing.stripe.gateway import StripeGateway
from billing.stripe.subjects import Subject
from tests.fakes.directus import FixedToken
from tests.fakes.stripe import FakeStripe
from tests.integration.stripe_simulator.support import SECRET_KEY, Receiver, RunningSimulator, parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Where both may differ: moments, links, sentences, and the names that each gives to its objects.
UNLIKE = {"created", "evidence_due_by", "expires_at", "failure_message", "id", "url"}
AMOUNT, CARD_FEE, DEBIT_FEE = 10000, 320, 80


def now() -> datetime:
    return datetime.now(UTC)


class Simulated:
    """The simulator's side of `FakeStripe`'s verbs; a payment's fee is known by itself."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self._control = simulator.control
        self.gateway = StripeGateway(simulator.url, FixedToken(SECRET_KEY))
        self.account = StripeAccount(self.gateway, now)
        self.create_session, self.expires = self.gateway.create_session, self.gateway.expire_session

    def pays(self, session: str) -> None:
        self._control(f"checkout/sessions/{session}/pay", method="card")

    def declines(self, session: str) -> None:
        self._control(f"checkout/sessions/{session}/pay", method="card", outcome="fail")

    def debits(self, session: str) -> None:
        self._control(f"checkout/sessions/{session}/pay", method="us_bank_account")

    def settles(self, session: str, *, succeeds: bool) -> None:
        path = f"payment_intents/{self._intent(session).id}/settle"
        self._control(path, outcome="succeed" if succeeds else "fail")

    def learns_fee(self, session: str, fee: int) -> None:
        assert self._intent(session).latest_charge.fee == fee

    def refunds_payment(self, session: str, minor: int, *, status: str = "succeeded") -> str:
        made_so = {"amount": minor, "reason": "requested_by_customer"}
        made = self._control(f"charges/{self._intent(session).latest_charge.id}/refund", **made_so)
        assert made["status"] == status
        return str(made["refund"])

    def refund_becomes(self, refund: str, status: str) -> None:
        self._control(f"refunds/{refund}/settle", outcome={"succeeded": "succeed", "failed": "fail"}[status])

    def disputes_payment(self, session: str, minor: int) -> str:
        charge = self._intent(session).latest_charge.id
        return str(self._control(f"charges/{charge}/dispute", amount=minor, outcome="open")["dispute"])

    def dispute_becomes(self, dispute: str, status: str) -> None:
        self._control(f"disputes/{dispute}/close", outcome=status)

    def _intent(self, session: str) -> Any:
        return self.gateway.retrieve_session(session).payment_intent


# ---- the stories -------------------------------------------------------------------------------------------


def nothing_happens(_: Any, __: str) -> None:
    pass


def a_card_pays(stripe: Any, session: str) -> None:
    stripe.pays(session)
    stripe.learns_fee(session, CARD_FEE)


def a_card_is_declined(stripe: Any, session: str) -> None:
    stripe.declines(session)


def the_session_expires(stripe: Any, session: str) -> None:
    stripe.expires(session)


def a_session_expires_after_a_decline(stripe: Any, session: str) -> None:
    stripe.declines(session)
    stripe.expires(session)


def a_debit_is_under_way(stripe: Any, session: str) -> None:
    stripe.debits(session)


def a_debit_succeeds(stripe: Any, session: str) -> None:
    stripe.debits(session)
    stripe.settles(session, succeeds=True)
    stripe.learns_fee(session, DEBIT_FEE)


def a_debit_fails(stripe: Any, session: str) -> None:
    stripe.debits(session)
    stripe.settles(session, succeeds=False)


def two_refunds(stripe: Any, session: str) -> None:
    a_card_pays(stripe, session)
    stripe.refunds_payment(session, 3000)
    stripe.refunds_payment(session, 7000)


def a_refund_fails_later(stripe: Any, session: str) -> None:
    a_card_pays(stripe, session)
    stripe.refund_becomes(stripe.refunds_payment(session, 3000), "failed")


def a_debit_is_refunded(stripe: Any, session: str) -> None:
    a_debit_succeeds(stripe, session)
    stripe.refund_becomes(stripe.refunds_payment(session, 3000, status="pending"), "succeeded")


def a_dispute_is_open(stripe: Any, session: str) -> None:
    a_card_pays(stripe, session)
    stripe.disputes_payment(session, 4000)


def a_dispute_is_lost(stripe: Any, session: str) -> None:
    a_card_pays(stripe, session)
    stripe.dispute_becomes(stripe.disputes_payment(session, AMOUNT), "lost")


def a_dispute_is_won(stripe: Any, session: str) -> None:
    a_card_pays(stripe, session)
    stripe.dispute_becomes(stripe.disputes_payment(session, AMOUNT), "won")


STORIES: list[Callable[[Any, str], None]] = [
    nothing_happens,
    a_card_pays,
    a_card_is_declined,
    the_session_expires,
    a_session_expires_after_a_decline,
    a_debit_is_under_way,
    a_debit_succeeds,
    a_debit_fails,
    two_refunds,
    a_refund_fails_later,
    a_debit_is_refunded,
    a_dispute_is_open,
    a_dispute_is_lost,
    a_dispute_is_won,
]


# ---- what the functions see of them ------------------------------------------------------------------------


def seen(gateway: Any, account: Any, session: str) -> dict[str, Any]:
    """Every answer about the session and what hangs on it, by the question."""
    since = now() - timedelta(hours=1)
    whole = gateway.retrieve_session(session)
    intent = whole.payment_intent
    told = {
        "sessions": list(account.sessions_created_since(since)),
        "refunds": list(account.refunds_created_since(since)),
        "disputes": list(account.disputes_created_since(since)),
        "movements": list(account.balance_transactions_since(since)),
    }
    assert told["sessions"] == [whole]
    assert [account.retrieve_refund(found.id) for found in told["refunds"]] == told["refunds"]
    assert [account.retrieve_dispute(found.id) for found in told["disputes"]] == told["disputes"]
    if intent is not None:
        assert gateway.session_of_payment_intent(intent.id) == whole
        reversals = gateway.reversals_of(intent.id)
        assert list(reversals.refunds) == told["refunds"]
        assert list(reversals.disputes) == told["disputes"]
        for subject, name in subjects(whole, told):
            behind = gateway.payment_behind(subject, name)
            assert (behind.payment_intent, behind.metadata) == (intent.id, whole.metadata)
    return {kind: alike(found) for kind, found in told.items()}


def subjects(session: Any, told: dict[str, Any]) -> Iterator[tuple[Subject, str]]:
    yield Subject.PAYMENT_INTENT, session.payment_intent.id
    if session.payment_intent.latest_charge is not None:
        yield Subject.CHARGE, session.payment_intent.latest_charge.id
    yield from ((Subject.REFUND, found.id) for found in told["refunds"])
    yield from ((Subject.DISPUTE, found.id) for found in told["disputes"])


def alike(found: Iterable[Any]) -> list[Any]:
    """Without what both may say differently, in an order of ours."""
    return sorted((_alike(dataclasses.asdict(one)) for one in found), key=repr)


def _alike(found: Any) -> Any:
    if not isinstance(found, dict):
        return found
    names = {"charge", "payment_intent", "source"}
    return {
        key: bool(value) if key in names and not isinstance(value, dict) else _alike(value)
        for key, value in found.items()
        if key not in UNLIKE
    }


def events(account: Any) -> Counter[tuple[str, str, bool]]:
    """What an endpoint is told, and whether it names what is ours."""
    told = account.undelivered_events_since(now() - timedelta(hours=1))
    return Counter((event.type, event.object_type, "directus_invoice" in event.metadata) for event in told)


@pytest.mark.parametrize("story", STORIES)
def test_the_fake_says_what_the_simulator_says(
    story: Callable[[Any, str], None], simulator: RunningSimulator, receiver: Receiver
) -> None:
    receiver.status = 503
    fake, simulated = FakeStripe(now), Simulated(simulator)
    sessions = []
    for stripe in (fake, simulated):
        asked = parameters(
            amount=AMOUNT,
            expires_at=int((now() + timedelta(hours=23)).timestamp()),
            allowed_payment_method_types=["card", "us_bank_account"],
        )
        asked["payment_intent_data"]["metadata"] = asked["metadata"]
        sessions.append(stripe.create_session(asked, "key").id)
        story(stripe, sessions[-1])
    assert seen(fake, fake, sessions[0]) == seen(simulated.gateway, simulated.account, sessions[1])
    assert events(fake) <= events(simulated.account), "it may tell less, and nothing else"
