"""Stripe's Checkout in memory, at the level of our gateway: sessions, intents, idempotency, lost answers.

The simulator (`local/stripe_simulator`) knows Stripe better, but an answer of it takes 5 to 11 ms through the SDK, which
would more than double the state machine's time; it keeps the real time; and what it does not simulate it refuses, where
tests need it to happen. `tests/integration/stripe_simulator/test_fake.py` holds the two to the same answers.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.errors import CreationRefused, SessionNotOpen, StripeRejected, UnreadableRow, UpstreamUnavailable
from billing.messages import StripeEvent
from billing.stripe.objects import (
    BalanceTransaction,
    Charge,
    CheckoutSession,
    PaymentBehind,
    PaymentIntent,
    Reversals,
    StripeDispute,
    StripeRefund,
    UndeliveredEvent,
)
from billing.stripe.subjects import Subject
from tests.fakes.steps import Steps


@dataclass(frozen=True)
class Hanging:
    """A refund, dispute, warning or review; `metadata` is that of the payment behind it."""

    id: str
    metadata: Mapping[str, str]
    payment_intent: str | None = None


#: Stripe forgets a key after this long, and an event after that.
KEY_LIFETIME = timedelta(hours=24)
EVENT_LIFETIME = timedelta(days=30)
#: In minor units of every currency.
DISPUTE_FEE = 1500
#: The status of an intent's charge, by the intent's.
_CHARGE_OF = {"succeeded": "succeeded", "processing": "pending", "requires_payment_method": "failed"}


@dataclass
class FakeStripe:
    """Sessions by id. `events` are those Stripe would deliver, in the order they happened.

    `delivered` holds the ids of those that an endpoint has accepted. `account` goes into every id, so that several
    accounts may stand beside one database.
    """

    now: Callable[[], datetime]
    steps: Steps = field(default_factory=Steps)
    account: str = ""
    sessions: dict[str, CheckoutSession] = field(default_factory=dict)
    created: dict[str, datetime] = field(default_factory=dict)
    events: list[StripeEvent] = field(default_factory=list)
    keys: dict[str, tuple[Mapping[str, Any], CheckoutSession | None]] = field(default_factory=dict)
    #: What happens to the next creations: "refuse" (400, nothing kept), "fail" (500, kept under the key).
    creations: list[str] = field(default_factory=list)
    #: Payments without a Checkout session: other applications make such, or somebody in the dashboard.
    #: Whether the key is a live one; None: it does not say.
    livemode: bool | None = None
    foreign_intents: list[PaymentIntent] = field(default_factory=list)
    foreign_charges: list[Charge] = field(default_factory=list)
    #: What hangs on payments, with the metadata of the payment behind it.
    behind: dict[Subject, list[Hanging]] = field(default_factory=dict)
    refunds: dict[str, StripeRefund] = field(default_factory=dict)
    disputes: dict[str, StripeDispute] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    #: What the lists pass over, because it cannot be read.
    passed_over: list[UnreadableRow] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _first_used: dict[str, datetime] = field(default_factory=dict)
    _happened: dict[str, tuple[datetime, Mapping[str, str]]] = field(default_factory=dict)

    # ---- what the use cases ask -------------------------------------------------------------------------

    def create_session(self, parameters: Mapping[str, Any], idempotency_key: str) -> CheckoutSession:
        number = self.steps.begin("create session")
        answer = self._created(copy.deepcopy(parameters), idempotency_key)
        self.steps.end(number)
        return answer

    def retrieve_session(self, session: str) -> CheckoutSession:
        number = self.steps.begin("retrieve session")
        self._let_time_pass()
        if session not in self.sessions:
            message = "Stripe refused the request: resource_missing."
            raise StripeRejected(message, stripe_code="resource_missing")
        found = self.sessions[session]
        self.steps.end(number)
        return found

    def expire_session(self, session: str) -> CheckoutSession:
        number = self.steps.begin("expire session")
        self._let_time_pass()
        if session not in self.sessions:
            message = "Stripe refused the request: resource_missing."
            raise StripeRejected(message, stripe_code="resource_missing")
        if not self.sessions[session].is_open:
            message = "The Checkout session is no longer open."
            raise SessionNotOpen(message, checkout_session=session)
        self.expires(session)
        self.steps.end(number)
        return self.sessions[session]

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[CheckoutSession]:
        self.steps.end(self.steps.begin("list sessions"))
        listed = [self.sessions[name] for name, at in reversed(self.created.items()) if at >= since]
        return iter(_behind(listed, after))

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        self.steps.end(self.steps.begin("find session"))
        return next(
            (s for s in self.sessions.values() if s.payment_intent and s.payment_intent.id == payment_intent),
            None,
        )

    def payment_behind(self, subject: Subject, object_id: str) -> PaymentBehind:
        self.steps.end(self.steps.begin("find payment"))
        match subject:
            case Subject.PAYMENT_INTENT:
                intent = self._found(object_id, self._intents())
                return PaymentBehind(intent.id, intent.metadata)
            case Subject.CHARGE:
                charge = self._found(object_id, self._charges())
                return PaymentBehind(charge.payment_intent, charge.metadata)
            case Subject.REFUND if object_id in self.refunds:
                return self._behind_intent(self.refunds[object_id].payment_intent)
            case Subject.DISPUTE if object_id in self.disputes:
                return self._behind_intent(self.disputes[object_id].payment_intent)
            case _:
                hanging = self._found(object_id, self.behind.get(subject, ()))
                return PaymentBehind(hanging.payment_intent, hanging.metadata)

    def reversals_of(self, payment_intent: str) -> Reversals:
        self.steps.end(self.steps.begin("list reversals"))
        return Reversals(
            refunds=[r for r in reversed(self.refunds.values()) if r.payment_intent == payment_intent],
            disputes=[d for d in reversed(self.disputes.values()) if d.payment_intent == payment_intent],
        )

    # ---- what reconciliation asks besides (`reconcile_ports.StripeRecords`) -------------------------------

    def unreadable(self) -> list[UnreadableRow]:
        passed, self.passed_over = self.passed_over, []
        return passed

    def refunds_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeRefund]:
        self.steps.end(self.steps.begin("list refunds"))
        listed = [refund for refund in reversed(self.refunds.values()) if refund.created >= since]
        return iter(_behind(listed, after))

    def retrieve_refund(self, refund: str) -> StripeRefund | None:
        self.steps.end(self.steps.begin("retrieve refund"))
        return self.refunds.get(refund)

    def disputes_created_since(self, since: datetime, *, after: str | None = None) -> Iterator[StripeDispute]:
        self.steps.end(self.steps.begin("list disputes"))
        listed = [dispute for dispute in reversed(self.disputes.values()) if dispute.created >= since]
        return iter(_behind(listed, after))

    def retrieve_dispute(self, dispute: str) -> StripeDispute | None:
        self.steps.end(self.steps.begin("retrieve dispute"))
        return self.disputes.get(dispute)

    def balance_transactions_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[BalanceTransaction]:
        self.steps.end(self.steps.begin("list balance transactions"))
        found = [movement for movement in self._movements() if movement.created >= since]
        return iter(_behind(sorted(found, key=lambda movement: movement.created, reverse=True), after))

    def undelivered_events_since(self, since: datetime) -> Iterator[UndeliveredEvent]:
        self.steps.end(self.steps.begin("list events"))
        self._let_time_pass()
        since = max(since, self.now() - EVENT_LIFETIME)
        return iter(
            [
                UndeliveredEvent(
                    event.event,
                    event.event_type,
                    event.object,
                    event.object_type,
                    event.livemode is True,
                    metadata,
                )
                for event in reversed(self.events)
                for happened, metadata in [self._happened[event.event]]
                if event.event not in self.delivered and happened >= since
            ]
        )

    # ---- what happens at Stripe -------------------------------------------------------------------------

    def pays(self, session: str, *, minor: int | None = None, currency: str | None = None) -> str:
        """A card pays the open session; gives the payment intent's id."""
        found = self._open(session)
        intent = self._intent(
            found, "succeeded", minor or found.amount_total, currency or found.currency, "card"
        )
        self._completed(found, intent, "paid")
        self._tell("checkout.session.completed", session, "checkout.session", found.metadata)
        self._tell("payment_intent.succeeded", intent.id, "payment_intent", found.metadata)
        return intent.id

    def declines(self, session: str) -> str:
        """A card is declined: the session stays open, with an intent that waits for another card."""
        found = self._open(session)
        intent = self._intent(found, "requires_payment_method", 0, found.currency, "card")
        intent = replace(intent, failure_message="Your card was declined.")
        self.sessions[session] = replace(found, payment_intent=intent)
        self._tell("payment_intent.payment_failed", intent.id, "payment_intent", found.metadata)
        return intent.id

    def makes_session(self, minor: int, currency: str, metadata: Mapping[str, str]) -> str:
        """Somebody else with the account's key, or another application, opens a session with this metadata."""
        expires_at = self.now() + timedelta(hours=24)
        return self._opened(minor, currency, expires_at, metadata).id

    def debits(self, session: str) -> str:
        """A bank debit is begun: the session is complete and unpaid."""
        found = self._open(session)
        intent = self._intent(found, "processing", 0, found.currency, "us_bank_account")
        self._completed(found, intent, "unpaid")
        self._tell("checkout.session.completed", session, "checkout.session", found.metadata)
        self._tell("payment_intent.processing", intent.id, "payment_intent", found.metadata)
        return intent.id

    def settles(self, session: str, *, succeeds: bool) -> None:
        """The bank debit ends."""
        found = self.sessions[session]
        assert found.payment_intent is not None
        assert found.payment_intent.latest_charge is not None
        charge = replace(found.payment_intent.latest_charge, status="succeeded" if succeeds else "failed")
        if succeeds:
            intent = replace(
                found.payment_intent,
                status="succeeded",
                amount_received=found.amount_total,
                latest_charge=charge,
            )
            self._completed(found, intent, "paid")
            self._tell(
                "checkout.session.async_payment_succeeded", session, "checkout.session", found.metadata
            )
            self._tell("payment_intent.succeeded", intent.id, "payment_intent", found.metadata)
        else:
            intent = replace(
                found.payment_intent,
                status="requires_payment_method",
                failure_message="No account.",
                latest_charge=charge,
            )
            self._completed(found, intent, "unpaid")
            self._tell("checkout.session.async_payment_failed", session, "checkout.session", found.metadata)
            self._tell("payment_intent.payment_failed", intent.id, "payment_intent", found.metadata)

    def learns_fee(self, session: str, fee: int, currency: str = "USD") -> None:
        """The balance transaction appears and `charge.updated` announces it."""
        found = self.sessions[session]
        assert found.payment_intent is not None
        assert found.payment_intent.latest_charge is not None
        charge = replace(found.payment_intent.latest_charge, fee=fee, fee_currency=currency)
        self._completed(found, replace(found.payment_intent, latest_charge=charge), found.payment_status)
        self._tell("charge.updated", charge.id, "charge", found.metadata)

    def expires(self, session: str) -> None:
        """The session expires, by time or by request."""
        found = self._open(session)
        intent = found.payment_intent and replace(found.payment_intent, status="canceled")
        self.sessions[session] = replace(found, status="expired", url=None, payment_intent=intent)
        self._tell("checkout.session.expired", session, "checkout.session", found.metadata)

    def open_sessions(self) -> list[str]:
        """Sessions in which somebody could pay now."""
        self._let_time_pass()
        return [name for name, session in self.sessions.items() if session.is_open]

    def hangs(
        self, subject: Subject, object_id: str, metadata: Mapping[str, str], payment_intent: str | None = None
    ) -> None:
        """A refund, dispute, warning or review appears on a payment with this metadata."""
        self.behind.setdefault(subject, []).append(Hanging(object_id, metadata, payment_intent))

    def refunds_payment(
        self,
        session: str,
        minor: int | None = None,
        *,
        status: str = "succeeded",
        currency: str | None = None,
    ) -> str:
        """Somebody refunds (a part of) a succeeded payment; gives the refund's id."""
        intent = self._succeeded(session)
        name = f"re_{self.account}{next(self._numbers)}"
        amount = intent.amount_received if minor is None else minor
        self.refunds[name] = StripeRefund(
            name, status, amount, currency or intent.currency, self.now(), payment_intent=intent.id,
            charge=intent.latest_charge.id if intent.latest_charge else None, reason="requested_by_customer",
        )  # fmt: skip
        self._recount(session)
        self._tell_of_reversal("refund.created", name, "refund", session)
        self._tell_of_reversal("charge.refunded", self._charge_of(session).id, "charge", session)
        return name

    def refund_becomes(self, refund: str, status: str) -> None:
        """A refund settles, fails (even after it succeeded) or is canceled."""
        found = self.refunds[refund] = replace(self.refunds[refund], status=status)
        session = self._session_of(found.payment_intent)
        self._recount(session)
        self._tell_of_reversal(
            "refund.failed" if status == "failed" else "refund.updated", refund, "refund", session
        )
        self._tell_of_reversal("charge.refund.updated", refund, "refund", session)

    def disputes_payment(
        self,
        session: str,
        minor: int | None = None,
        *,
        status: str = "needs_response",
        currency: str | None = None,
    ) -> str:
        """The cardholder disputes (a part of) a payment; gives the dispute's id."""
        intent = self._succeeded(session)
        name = f"du_{self.account}{next(self._numbers)}"
        amount = intent.amount_received if minor is None else minor
        self.disputes[name] = StripeDispute(
            name, status, amount, currency or intent.currency, self.now(), payment_intent=intent.id,
            charge=self._charge_of(session).id, reason="fraudulent",
        )  # fmt: skip
        self._recount(session)
        self._tell_of_reversal("charge.dispute.created", name, "dispute", session)
        self._tell_of_reversal("charge.dispute.funds_withdrawn", name, "dispute", session)
        return name

    def dispute_becomes(self, dispute: str, status: str, *, minor: int | None = None) -> None:
        """A dispute moves on, or ends as won or lost."""
        found = self.disputes[dispute]
        found = self.disputes[dispute] = replace(
            found, status=status, amount=found.amount if minor is None else minor
        )
        kind = "closed" if status in {"won", "lost", "warning_closed"} else "updated"
        self._tell_of_reversal(
            f"charge.dispute.{kind}", dispute, "dispute", self._session_of(found.payment_intent)
        )

    # ---- inside -----------------------------------------------------------------------------------------

    def _succeeded(self, session: str) -> PaymentIntent:
        intent = self.sessions[session].payment_intent
        assert intent is not None
        assert intent.status == "succeeded", intent.status
        return intent

    def _charge_of(self, session: str) -> Charge:
        charge = self._succeeded(session).latest_charge
        assert charge is not None
        return charge

    def _session_of(self, payment_intent: str | None) -> str:
        return next(
            name
            for name, session in self.sessions.items()
            if session.payment_intent is not None and session.payment_intent.id == payment_intent
        )

    def _behind_intent(self, payment_intent: str | None) -> PaymentBehind:
        metadata = next((i.metadata for i in self._intents() if i.id == payment_intent), {})
        return PaymentBehind(payment_intent, metadata)

    def _recount(self, session: str) -> None:
        """The charge shows what went back on it, cumulatively, as Stripe's does."""
        intent, charge = self._succeeded(session), self._charge_of(session)
        refunded = sum(
            r.amount
            for r in self.refunds.values()
            if r.payment_intent == intent.id and r.status not in {"failed", "canceled"}
        )
        disputed = any(d.payment_intent == intent.id for d in self.disputes.values())
        charge = replace(charge, amount_refunded=refunded, disputed=disputed)
        self.sessions[session] = replace(
            self.sessions[session], payment_intent=replace(intent, latest_charge=charge)
        )

    def _tell_of_reversal(self, kind: str, object_id: str, object_type: str, session: str) -> None:
        """A refund and a dispute carry no metadata of ours; a charge does."""
        metadata = self.sessions[session].metadata if object_type == "charge" else {}
        self._tell(kind, object_id, object_type, metadata)

    def _intents(self) -> list[PaymentIntent]:
        return [s.payment_intent for s in self.sessions.values() if s.payment_intent] + self.foreign_intents

    def _charges(self) -> list[Charge]:
        charges = [intent.latest_charge for intent in self._intents() if intent.latest_charge]
        return charges + self.foreign_charges

    @staticmethod
    def _found[Known: (PaymentIntent, Charge, Hanging)](object_id: str, known: Iterable[Known]) -> Known:
        for found in known:
            if found.id == object_id:
                return found
        message = "Stripe refused the request: resource_missing."
        raise StripeRejected(message, stripe_code="resource_missing")

    def _movements(self) -> Iterator[BalanceTransaction]:
        """The account's balance: payments once their fee is known, what went back, and what came back of that."""
        at = {(event.object, event.event_type): self._happened[event.event][0] for event in self.events}
        for intent in {intent.id: intent for intent in self._intents()}.values():
            charge = intent.latest_charge
            if charge is None or charge.fee is None:
                continue
            fee, currency = charge.fee, charge.fee_currency or intent.currency
            if charge.method != "us_bank_account":
                if intent.status == "succeeded":
                    yield BalanceTransaction(
                        f"txn_{charge.id}", "charge", intent.amount_received, fee, currency, charge.created,
                        charge.id, intent.id, intent.metadata,
                    )  # fmt: skip
                continue
            # A debit is on the balance from its first day on, as pending; a second movement takes back one that failed.
            asked = self.sessions[self._session_of(intent.id)].amount_total
            yield BalanceTransaction(
                f"txn_{charge.id}", "payment", asked, fee, currency, charge.created,
                charge.id, intent.id, intent.metadata,
            )  # fmt: skip
            if (failed := at.get((intent.id, "payment_intent.payment_failed"))) is not None:
                yield BalanceTransaction(
                    f"txn_{charge.id}_back", "payment_failure_refund", -asked, 0, currency, failed,
                    charge.id.replace("ch_", "pyr_"), intent.id, intent.metadata,
                )  # fmt: skip
        for kind, reversals in (("refund", self.refunds), ("adjustment", self.disputes)):
            for found in reversals.values():  # which have no metadata of ours, nor has their movement
                charge = next(
                    (i.latest_charge for i in self._intents() if i.id == found.payment_intent), None
                )
                debit = kind == "refund" and charge is not None and charge.method == "us_bank_account"
                yield BalanceTransaction(
                    f"txn_{found.id}", "payment_refund" if debit else kind, -found.amount,
                    DISPUTE_FEE if kind == "adjustment" else 0, found.currency, found.created, found.id, found.payment_intent,
                )  # fmt: skip
                again, name = (
                    ("refund_failure", "refund.failed")
                    if kind == "refund"
                    else ("adjustment", "charge.dispute.closed")
                )
                came_back = at.get((found.id, name))
                if came_back is not None and found.status in {"failed", "won"}:
                    yield BalanceTransaction(
                        f"txn_{found.id}_back", again, found.amount, 0, found.currency,
                        came_back, found.id, found.payment_intent,
                    )  # fmt: skip

    def _created(self, parameters: Mapping[str, Any], key: str) -> CheckoutSession:
        if self.now() - self._first_used.setdefault(key, self.now()) >= KEY_LIFETIME:
            self.keys.pop(key, None)  # then it is a new request
            self._first_used[key] = self.now()
        if key in self.keys:
            stored, answer = self.keys[key]
            if stored != parameters:
                message = "Stripe refused the request: idempotency_error."
                raise CreationRefused(message, stripe_code="idempotency_error")
            if answer is None:
                message = "Stripe failed with status 500."
                raise CreationRefused(message, replayed=True)
            return answer
        expires_at = datetime.fromtimestamp(parameters["expires_at"], UTC)
        outcome = self.creations.pop(0) if self.creations else "create"
        if outcome == "refuse" or (expires_at - self.now()).total_seconds() < 30 * 60:
            message = "Stripe refused the request: parameter_invalid."
            raise CreationRefused(message, stripe_code="parameter_invalid")
        if outcome == "fail":
            self.keys[key] = (parameters, None)
            message = "Stripe failed with status 500."
            raise UpstreamUnavailable(message, code="stripe_unavailable")
        price = parameters["line_items"][0]["price_data"]
        session = self._opened(
            price["unit_amount"], price["currency"].upper(), expires_at, parameters["metadata"]
        )
        self.keys[key] = (parameters, session)
        return session

    def _opened(
        self, minor: int, currency: str, expires_at: datetime, metadata: Mapping[str, str]
    ) -> CheckoutSession:
        name = f"cs_test_{self.account}{next(self._numbers)}"
        session = CheckoutSession(
            id=name,
            status="open",
            payment_status="unpaid",
            amount_total=minor,
            currency=currency,
            expires_at=expires_at,
            url=f"https://checkout.stripe.test/{name}",
            metadata=metadata,
        )
        self.sessions[name], self.created[name] = session, self.now()
        return session

    def _let_time_pass(self) -> None:
        for name, session in list(self.sessions.items()):
            if session.is_open and session.expires_at <= self.now():
                self.expires(name)

    def _open(self, session: str) -> CheckoutSession:
        found = self.sessions[session]
        assert found.is_open
        return found

    def _intent(
        self, session: CheckoutSession, status: str, received: int, currency: str, method: str
    ) -> PaymentIntent:
        number = session.id.rpartition("_")[2]
        charge = Charge(
            id=f"ch_{number}",
            status=_CHARGE_OF[status],
            created=self.now(),
            currency=currency,
            payment_intent=f"pi_{number}",
            method=method,
            brand="visa" if method == "card" else None,
            bank_name="STRIPE TEST BANK" if method != "card" else None,
            account_type="checking" if method != "card" else None,
            last4=("0002" if status == "requires_payment_method" else "4242") if method == "card" else "6789",
            metadata=session.metadata,
        )
        return PaymentIntent(
            id=f"pi_{number}",
            status=status,
            amount_received=received,
            currency=currency,
            latest_charge=charge,
            metadata=session.metadata,
        )

    def _completed(self, session: CheckoutSession, intent: PaymentIntent, payment_status: str) -> None:
        self.sessions[session.id] = replace(
            session, status="complete", payment_status=payment_status, url=None, payment_intent=intent
        )

    def _tell(self, kind: str, object_id: str, object_type: str, metadata: Mapping[str, str]) -> None:
        name = f"evt_{self.account}{len(self._happened) + 1}"
        self._happened[name] = self.now(), metadata
        self.events.append(
            StripeEvent(
                event=name,
                event_type=kind,
                object=object_id,
                object_type=object_type,
                livemode=False,
                invoice=metadata.get("directus_invoice"),
                deployment=metadata.get("deployment"),
            )
        )


def _behind[Listed: (CheckoutSession, StripeRefund, StripeDispute, BalanceTransaction)](
    listed: list[Listed], after: str | None
) -> list[Listed]:
    """Stripe's `starting_after`."""
    if after is None:
        return listed
    return listed[[one.id for one in listed].index(after) + 1 :]
