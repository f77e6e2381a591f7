"""A firm with many payments, and Stripe that counts its requests as they go over the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

from billing.reconcile.reconcile import RESERVE_SECONDS
from tests.fakes.world import CLIENT, INVOICE
from tests.unit.reconcile.house import House

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from billing.errors import UnreadableRow
    from billing.reconcile.reconcile import Report
    from billing.stripe.objects import (
        BalanceTransaction,
        CheckoutSession,
        StripeDispute,
        StripeRefund,
        UndeliveredEvent,
    )
    from tests.fakes.stripe import FakeStripe

#: Objects in one answer of Stripe's.
LIST_PAGE = 100
#: What Lambda gives.
INVOCATION_SECONDS = 900.0


@dataclass
class CountedStripe:
    """`StripeRecords` on a `FakeStripe`: a list is one request for each hundred, a session by its payment is two."""

    requests: int = 0
    account: FakeStripe = field(init=False)

    def _paged[Listed](self, listed: Iterable[Listed]) -> Iterator[Listed]:
        self.requests += 1
        for number, some in enumerate(batched(listed, LIST_PAGE, strict=False)):
            self.requests += number > 0
            yield from some

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[CheckoutSession]:
        return self._paged(self.account.sessions_created_since(since, after=after))

    def retrieve_session(self, session: str) -> CheckoutSession:
        self.requests += 1
        return self.account.retrieve_session(session)

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        found = self.account.session_of_payment_intent(payment_intent)
        self.requests += 1 if found is None else 2
        return found

    def refunds_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeRefund]:
        return self._paged(self.account.refunds_created_since(since, after=after))

    def retrieve_refund(self, refund: str) -> StripeRefund | None:
        self.requests += 1
        return self.account.retrieve_refund(refund)

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeDispute]:
        return self._paged(self.account.disputes_created_since(since, after=after))

    def retrieve_dispute(self, dispute: str) -> StripeDispute | None:
        self.requests += 1
        return self.account.retrieve_dispute(dispute)

    def balance_transactions_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[BalanceTransaction]:
        return self._paged(self.account.balance_transactions_since(since, after=after))

    def undelivered_events_since(self, since: datetime) -> Iterator[UndeliveredEvent]:
        return self._paged(self.account.undelivered_events_since(since))

    def unreadable(self) -> list[UnreadableRow]:
        return self.account.unreadable()


@dataclass
class Firm:
    """A house with its counted Stripe, and time that passes with every request."""

    house: House
    stripe: CountedStripe
    stripe_seconds: float = 0.25
    directus_seconds: float = 0.05
    #: How much time was left at each look at the clock.
    looks: list[float] = field(default_factory=list)

    def seconds(self) -> float:
        """How long all requests so far have taken."""
        asked = len(self.house.directus.requests)
        return self.stripe.requests * self.stripe_seconds + asked * self.directus_seconds

    def clock(self, available: float = INVOCATION_SECONDS) -> Callable[[], float]:
        """The remaining seconds of an invocation that begins now."""
        end = self.seconds() + available

        def remaining() -> float:
            self.looks.append(end - self.seconds())
            return self.looks[-1]

        return remaining

    def parts(self, available: float = INVOCATION_SECONDS, **event: Any) -> list[Report]:
        """The invocations of one run, each with so many seconds before its reserve."""
        reports = [self.house.run(remaining_seconds=self.clock(available + RESERVE_SECONDS), **event)]
        while reports[-1].continued:
            assert len(reports) < 200, "a run that never ends"
            (handed_over,) = self.house.continuation.taken()
            clock = self.clock(available + RESERVE_SECONDS)
            reports.append(self.house.run(remaining_seconds=clock, **handed_over))
        assert all("resume" not in event for event in self.house.continuation.taken())
        return reports


def firm(payments: int, *, booked: bool = True, fee: int = 320) -> Firm:
    """One invoice with so many payments of 100.00 through Stripe, and every webhook handled, or lost."""
    stripe = CountedStripe()
    house = House(records=stripe)
    stripe.account = house.stripe
    total = f"{payments * 100}.00"
    paid = {"amount_paid": total, "balance_due": "0.00", "status": "paid"} if booked else {}
    house.invoice(total, **paid)
    for number in range(payments):
        key = f"b1000000-0000-4000-8000-{number:012}"
        session = house.stripe.makes_session(
            10000, "USD", {"deployment": "test", "directus_invoice": INVOICE, "directus_payment": key}
        )
        intent = house.stripe.pays(session)
        house.stripe.learns_fee(session, fee)
        columns: dict[str, Any] = {"status": "pending", "checkout_session": session}
        if booked:
            columns |= {"status": "succeeded", "transaction_id": intent, "fee": f"{fee / 100:.2f}"}
        house.payment("100.00", id=key, method="card", client=CLIENT, **columns)
    house.drop_webhooks()
    return Firm(house, stripe)
