"""Use case of `POST /checkout`: one open Stripe Checkout session per invoice, whoever asks, however often.

The order is what makes it safe: claim the invoice with a unique column, store everything that will be sent,
look at the invoice a last time, call Stripe under a key derived from the row, store the session. Whoever meets
a claim without a session completes the same attempt with the same key, so all callers get one URL. After any
crash the invoice is unchanged, at most one pending attempt remains, and the next call completes it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from billing.errors import (
    BillingError,
    Conflict,
    CreationRefused,
    RecordNotUnique,
    SessionNotOpen,
    StripeRejected,
    UpstreamUnavailable,
)
from billing.ledger.ledger import PaymentStatus
from billing.messages import SyncSession
from billing.payments.booking import is_ours
from billing.payments.checkout import (
    SESSION_LIFETIME,
    AttemptVerdict,
    CheckoutTerms,
    amount_to_charge,
    ended,
    judge_attempt,
    limit_new_attempts,
    must_end,
    new_attempt,
    not_visible,
    require_visible,
    return_urls,
    time_is_over,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from billing.aws.queues import InvoiceQueue
    from billing.ledger.ledger import Ledger, Payment
    from billing.money import Money
    from billing.payments.store import BillingStore
    from billing.stripe.objects import CheckoutSession


#: Rounds of "look, then act" before giving up: each ends an old attempt or meets another caller's claim.
_ROUNDS = 5
#: Clocks differ; a session of this attempt cannot be older than the attempt by more than this.
_CLOCK_SKEW = timedelta(minutes=10)


class CheckoutSessions(Protocol):
    """What checkout asks of Stripe."""

    def create_session(self, parameters: Mapping[str, Any], idempotency_key: str) -> CheckoutSession:
        """Create, or get the one created under the same key."""
        ...

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session as it is now."""
        ...

    def expire_session(self, session: str) -> CheckoutSession:
        """Expire it, `SessionNotOpen` if that is too late."""
        ...

    def sessions_created_since(self, since: datetime) -> Iterator[CheckoutSession]:
        """Every session created since."""
        ...


@dataclass(frozen=True)
class CheckoutRequest:
    """Who wants to pay which invoice; `amount` and `return_url` as the caller wrote them, None if absent."""

    invoice: str
    user: str
    amount: object | None = None
    return_url: object | None = None


@dataclass(frozen=True)
class StartedCheckout:
    """Where the client pays. `reused` says that the session was open already."""

    url: str
    checkout_session: str
    amount: Money
    expires_at: datetime
    reused: bool


@dataclass(frozen=True)
class StartCheckout:
    """The use case with what it needs; `now` and `new_id` are passed in so that tests decide them."""

    store: BillingStore
    stripe: CheckoutSessions
    queue: InvoiceQueue
    terms: CheckoutTerms
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())

    def __call__(self, request: CheckoutRequest) -> StartedCheckout:
        """Return the invoice's one open session, opened now if there is none.

        Raises `NotFound`, `Conflict`, `Unprocessable`, `TooManyAttempts` as `payments.checkout` decides,
        `UpstreamUnavailable` when Stripe or Directus cannot be reached (repeating completes the same attempt) and
        `CreationRefused` when Stripe will not create the session.
        """
        urls = return_urls(self.terms, request.return_url)
        user = self.store.portal_user(request.user)
        client = user.client if user is not None and user.active else None
        for _ in range(_ROUNDS):
            ledger = self._visible_ledger(request.invoice, client)
            amount = self._amount(ledger, request)
            attempt, fresh = ledger.open_attempt, False
            if attempt is None:
                attempt, fresh = self._claim(ledger, amount, urls), True
                if attempt is None:  # somebody else was first: look again
                    continue
                if (change := self._change_since(amount, request)) is not None:
                    self._withdraw(attempt)
                    raise change
            started = self._continue(ledger, attempt, amount, urls, fresh=fresh)
            if started is not None:
                return started
        message = "Someone else is paying this invoice right now. Please try again in a moment."
        raise UpstreamUnavailable(message, code="checkout_contended", retry_after=2, invoice=request.invoice)

    def _visible_ledger(self, invoice: str, client: str | None) -> Ledger:
        """The invoice's ledger; whose it is comes first, so that rows nobody can read tell a stranger nothing."""
        require_visible(self.store.ownership(invoice), client, invoice)
        ledger = self.store.ledger(invoice)
        if ledger is None:
            raise not_visible(invoice)  # deleted this moment
        return ledger

    def _amount(self, ledger: Ledger, request: CheckoutRequest) -> Money:
        try:
            return amount_to_charge(ledger, request.amount)
        except Conflict:
            if ledger.open_attempt is not None:
                # Nothing may be paid, yet a session is open: the flow that should have told the worker was lost.
                self.queue.recompute([ledger.invoice.id])
            raise

    def _claim(self, ledger: Ledger, amount: Money, urls: tuple[str, str]) -> Payment | None:
        now = self.now()
        limit_new_attempts(ledger, self.terms, now)
        attempt = new_attempt(ledger, amount, self.terms, payment=self.new_id(), urls=urls, now=now)
        try:
            self.store.create_payment(attempt)
        except RecordNotUnique as error:
            # `id`: our own row, created before its answer was lost.
            if error.field not in {"open_claim", "id"}:
                raise
            return None
        return attempt

    def _change_since(self, amount: Money, request: CheckoutRequest) -> BillingError | None:
        """The last look: what changed between the first look and the claim must not be charged."""
        ledger = self.store.ledger(request.invoice)
        try:
            if ledger is not None and amount_to_charge(ledger, request.amount) == amount:
                return None
        except BillingError as error:
            return error
        message = "This invoice has just changed. Please reload it and try again."
        return Conflict(message, code="not_payable", invoice=request.invoice)

    def _withdraw(self, attempt: Payment) -> None:
        """Give up a claim that was just made, with the session it may have by now.

        Another caller may have met the claim, completed the attempt and handed the session out: freeing the claim
        without looking would leave that session payable beside the next one. Only Stripe can end an attempt.
        """
        session = self._session_of(attempt, fresh=False)
        if session is None:
            return
        if session.status == "expired" or (session.is_open and self._expired(session)):
            self._end(attempt, PaymentStatus.CANCELED, "The invoice changed before the session was opened.")
        # Else somebody has paid in it: the claim stays until Stripe's event is booked.

    def _continue(
        self, ledger: Ledger, attempt: Payment, amount: Money, urls: tuple[str, str], *, fresh: bool
    ) -> StartedCheckout | None:
        """Bring the open attempt to an answer; None means that it is over and a new one may begin."""
        session = self._session_of(attempt, fresh=fresh)
        if session is None:
            return None
        match judge_attempt(attempt, session, amount, urls, self.now()):
            case AttemptVerdict.REUSE:
                assert session.url is not None  # an open session has one
                return StartedCheckout(session.url, session.id, amount, session.expires_at, reused=not fresh)
            case AttemptVerdict.END_CANCELED:
                self._end(attempt, PaymentStatus.CANCELED, "The session expired.")
            case AttemptVerdict.END_FAILED:
                self._end(attempt, PaymentStatus.FAILED, "The payment failed.")
            case AttemptVerdict.EXPIRE:
                if not must_end(ledger, attempt, self.now()):
                    # Only the client's wish has changed: the session stays where there will be no other one.
                    limit_new_attempts(ledger, self.terms, self.now(), giving_up=attempt)
                if self._expired(session):
                    self._end(attempt, PaymentStatus.CANCELED, "Replaced by a session that fits the invoice.")
                # Else it was paid or expired this moment: the next look tells which.
            case AttemptVerdict.WAIT:
                self._booking_is_under_way(ledger, session)
        return None

    def _session_of(self, attempt: Payment, *, fresh: bool) -> CheckoutSession | None:
        """The attempt's session: fetched, or created from what the attempt stored. None: Stripe never will."""
        if attempt.checkout_session is not None:
            return self._stored_session(attempt, attempt.checkout_session)
        sent: Mapping[str, Any] = attempt.attempt or {}
        try:
            session = self.stripe.create_session(sent["parameters"], sent["idempotency_key"])
        except CreationRefused as refusal:
            found = self._created_before(attempt)
            if found is None:
                self._end(
                    attempt, PaymentStatus.CANCELED, "Stripe refused to open a session for this attempt."
                )
                if fresh and refusal.replayed:
                    # A new attempt would have a new key, but Stripe is not well right now.
                    raise UpstreamUnavailable(refusal.detail, code="stripe_unavailable") from refusal
                if fresh:  # a new one would be refused for the same reason
                    raise
                return None
            session = found
        self.store.update_payment(attempt, replace(attempt, checkout_session=session.id))
        # The invoice may have changed since the last look: the invoice writer expires what no longer fits.
        self.queue.recompute([str(attempt.invoice)])
        # A replayed answer shows the session as it was created, not as it is.
        return session if fresh else self.stripe.retrieve_session(session.id)

    def _stored_session(self, attempt: Payment, checkout_session: str) -> CheckoutSession | None:
        try:
            return self.stripe.retrieve_session(checkout_session)
        except StripeRejected as error:
            if error.stripe_code != "resource_missing" or not time_is_over(attempt, self.now()):
                raise
            # Opened with another account's or mode's key (a firm's first day live): nobody can pay in it any more.
            self._end(attempt, PaymentStatus.CANCELED, "Stripe no longer knows this session.")
            return None

    def _created_before(self, attempt: Payment) -> CheckoutSession | None:
        """Look for a session that an earlier call created for this attempt without learning of it."""
        expires_at = attempt.expires_at or self.now()
        since = expires_at - SESSION_LIFETIME - _CLOCK_SKEW
        for session in self.stripe.sessions_created_since(since):
            ours = is_ours(session.metadata, self.terms.deployment)
            if ours and session.attempt == attempt.id:
                return session
        return None

    def _expired(self, session: CheckoutSession) -> bool:
        """Expire an open session; False if it is no longer open."""
        try:
            self.stripe.expire_session(session.id)
        except SessionNotOpen:
            return False
        return True

    def _booking_is_under_way(self, ledger: Ledger, session: CheckoutSession) -> None:
        """The session was completed: the invoice writer books it; nobody may pay a second time meanwhile."""
        self.queue.send(SyncSession(session.id, ledger.invoice.id))
        message = "A payment of this invoice was just received and is being booked."
        raise Conflict(message, code="payment_processing", invoice=ledger.invoice.id)

    def _end(self, attempt: Payment, status: PaymentStatus, reason: str) -> None:
        self.store.update_payment(attempt, ended(attempt, status, reason))
