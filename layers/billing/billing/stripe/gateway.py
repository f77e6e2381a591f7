"""Stripe through its own SDK: sessions, intents, charges; every error of the SDK mapped once.

The API version is set here and equals the SDK's pin, so that an upgrade is a visible change. One call takes at most 26 s
(three tries of 2 s to connect and 6 s between bytes, two pauses), nearly all the time that a function behind the API has.
A caller with several calls passes in the time that is left: each call then makes as many tries as fit, and one without
time for a single try raises `UpstreamUnavailable` instead of being killed half way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import stripe

from billing.errors import (
    BillingError,
    CreationRefused,
    SessionNotOpen,
    StripeRejected,
    StripeReplayed,
    StripeUnreadable,
    UpstreamUnavailable,
)
from billing.stripe.objects import (
    CheckoutSession,
    PaymentBehind,
    Reversals,
    StripeDispute,
    StripeRefund,
    id_of,
)
from billing.stripe.parsing import each_readable, read
from billing.stripe.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from stripe._v1_services import V1Services


STRIPE_VERSION = "2026-10-28.endive"
_TIMEOUT_SECONDS = (2, 6)
#: Maximum seconds of a call with no, one and two retries; the SDK pauses for up to 0.5 s and 1 s before them.
_SECONDS_BY_RETRIES = (8.0, 16.5, 25.5)
#: Seconds reserved for processing the answer.
_RESERVE_SECONDS = 1.5
_STRIPE = "https://api.stripe.com"
_EXPAND_SESSION = ["payment_intent.latest_charge.balance_transaction"]
#: Four levels, Stripe's maximum, so that a listed session includes its fee.
_EXPAND_LISTED_SESSIONS = ["data.payment_intent.latest_charge.balance_transaction"]
_EXPAND_PAYMENT = ["charge", "payment_intent"]
_SERVER_ERROR, _NOT_IMPLEMENTED = 500, 501


class ApiKey(Protocol):
    """Stripe's API key; `refresh` reads it again after Stripe refused it (it may have been rotated)."""

    def current(self) -> str:
        """The key to use."""
        ...

    def refresh(self) -> str:
        """Read the key again, bypassing every cache."""
        ...


class StripeGateway:
    """Stripe's Checkout sessions and their objects, as `stripe.objects`."""

    def __init__(
        self, api_base: str, key: ApiKey, *, remaining_seconds: Callable[[], float] = lambda: math.inf
    ) -> None:
        """`api_base` is `https://api.stripe.com`; any other base is refused together with a live key.

        `remaining_seconds`: how long the calls of this invocation may still take.
        """
        self._api_base = api_base
        self._key = key
        self._remaining_seconds = remaining_seconds
        self._http = stripe.RequestsClient(timeout=_TIMEOUT_SECONDS)
        self._clients: dict[int, stripe.StripeClient] = {}
        self._clients_key: str | None = None
        stripe.enable_telemetry = False

    @property
    def livemode(self) -> bool | None:
        """Whether the key is a live key; None if that is unknown."""
        return livemode_of(self._key.current())

    def create_session(self, parameters: Mapping[str, Any], idempotency_key: str) -> CheckoutSession:
        """Create a Checkout session; the same key returns the same session.

        Raises `CreationRefused` when repeating cannot help, `UpstreamUnavailable` when it can, and
        `StripeUnreadable` when Stripe has created one that cannot be read.
        """
        if not parameters.get("allowed_payment_method_types", True):
            # The SDK omits an empty list, and Stripe would offer every method of the account.
            message = "A session needs a payment method; Stripe was not called."
            raise CreationRefused(message)
        try:
            created = self._call(
                lambda client: client.v1.checkout.sessions.create(
                    dict(parameters),  # type: ignore[arg-type]  # as stored on the attempt
                    {"idempotency_key": idempotency_key},
                )
            )
        except StripeReplayed as error:
            raise CreationRefused(error.detail, replayed=True) from error
        except StripeRejected as error:
            raise CreationRefused(error.detail, stripe_code=error.stripe_code) from error
        return read(CheckoutSession, created)

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session with its payment intent, charge and fee."""
        return read(
            CheckoutSession,
            self._call(
                lambda client: client.v1.checkout.sessions.retrieve(session, {"expand": _EXPAND_SESSION})
            ),
        )

    def expire_session(self, session: str) -> CheckoutSession:
        """Expire an open session. Raises `SessionNotOpen` if it was paid or expired meanwhile."""
        try:
            expired = self._call(lambda client: client.v1.checkout.sessions.expire(session))
        except StripeRejected as error:
            # Stripe's 400 for a session that is not open has no code, only a sentence: check the session itself.
            if error.stripe_code == "resource_missing" or self.retrieve_session(session).is_open:
                raise
            message = "The Checkout session is no longer open."
            raise SessionNotOpen(message, checkout_session=session) from error
        return read(CheckoutSession, expired)

    def sessions_created_since(
        self,
        since: datetime,
        *,
        after: str | None = None,
        unreadable: Callable[[StripeUnreadable], None] | None = None,
    ) -> Iterator[CheckoutSession]:
        """Every session created at or after `since`, newest first, page by page; only those after `after`, if given.

        `unreadable` is called for sessions that cannot be read (`parsing.each_readable`).
        """
        parameters = {**created_since(since, after), "expand": _EXPAND_LISTED_SESSIONS}
        listed = self.pages(lambda v1, asked: v1.checkout.sessions.list(asked), parameters)
        return each_readable(listed, CheckoutSession, unreadable)

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session of a payment intent, or None."""
        page = self._call(
            lambda client: client.v1.checkout.sessions.list({"payment_intent": payment_intent, "limit": 1})
        )
        return self.retrieve_session(page["data"][0]["id"]) if page["data"] else None

    def payment_behind(self, subject: Subject, object_id: str) -> PaymentBehind:
        """The payment intent behind an object, and the metadata of that intent and its charge.

        The object's own metadata counts only where it is the payment: who refunds may write what they like.
        """
        found = self._call(lambda client: _retrieve(client.v1, subject, object_id))
        charge = found if subject is Subject.CHARGE else found.get("charge")
        intent = found if subject is Subject.PAYMENT_INTENT else found.get("payment_intent")
        of_charge = charge.get("payment_intent") if isinstance(charge, dict) else None
        return PaymentBehind(
            payment_intent=id_of(intent) or id_of(of_charge),
            metadata={**_metadata(charge), **_metadata(intent)},
        )

    def reversals_of(self, payment_intent: str) -> Reversals:
        """All refunds and disputes of the payment intent in their current state."""
        of_it = {"payment_intent": payment_intent}
        return Reversals(
            refunds=[
                read(StripeRefund, found) for found in self.pages(lambda v1, p: v1.refunds.list(p), of_it)
            ],
            disputes=[
                read(StripeDispute, found) for found in self.pages(lambda v1, p: v1.disputes.list(p), of_it)
            ],
        )

    def retrieve(self, ask: Callable[[V1Services], Any]) -> dict[str, Any] | None:
        """One object fetched by `ask`, or None if Stripe has none."""
        try:
            return self._call(lambda client: ask(client.v1))
        except StripeRejected as error:
            if error.stripe_code == "resource_missing":
                return None
            raise

    def pages(
        self, ask: Callable[[V1Services, Any], Any], parameters: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Every object of a list, newest first; a page is fetched when its first object is needed."""
        asked: dict[str, Any] = {"limit": 100, **parameters}
        while True:
            page = self._call(lambda client: ask(client.v1, dict(asked)))
            yield from page["data"]
            if not page["has_more"] or not page["data"]:
                return
            asked["starting_after"] = page["data"][-1]["id"]

    def _call(self, ask: Callable[[stripe.StripeClient], Any]) -> dict[str, Any]:
        try:
            return _plain(ask(self._connected(self._key.current())))
        except stripe.AuthenticationError:
            # The key may have been rotated since it was read: read it again, once.
            try:
                return _plain(ask(self._connected(self._key.refresh())))
            except stripe.StripeError as error:
                raise _translated(error) from error
        except stripe.StripeError as error:
            raise _translated(error) from error

    def _connected(self, key: str) -> stripe.StripeClient:
        """The SDK's client for this key, with as many retries as time allows."""
        retries = self._retries()
        if key != self._clients_key:
            if livemode_of(key) and self._api_base != _STRIPE:
                message = "A live Stripe key may only be sent to Stripe: check StripeApiBase."
                raise BillingError(message, code="live_key_refused")
            self._clients, self._clients_key = {}, key
        if retries not in self._clients:
            self._clients[retries] = stripe.StripeClient(
                key,
                stripe_version=STRIPE_VERSION,
                base_addresses={"api": self._api_base},
                max_network_retries=retries,
                http_client=self._http,
            )
        return self._clients[retries]

    def _retries(self) -> int:
        left = self._remaining_seconds() - _RESERVE_SECONDS
        fitting = [retries for retries, seconds in enumerate(_SECONDS_BY_RETRIES) if seconds <= left]
        if not fitting:
            message = "No time was left for the request to Stripe; try again."
            raise UpstreamUnavailable(message, code="out_of_time", retry_after=5)
        return fitting[-1]


def livemode_of(key: str) -> bool | None:
    """Whether an API key (`sk_`, `rk_`, `sk_org_`, ...) is a live key; None if that is unknown."""
    if "_live_" in key:
        return True
    return False if "_test_" in key else None


def created_since(since: datetime, after: str | None = None) -> dict[str, object]:
    """The parameters of a list. Stripe counts whole seconds; the second of `since` is included."""
    window: dict[str, object] = {"created": {"gte": int(since.timestamp())}}
    return window if after is None else {**window, "starting_after": after}


def _translated(error: stripe.StripeError) -> BillingError:
    """Our error for one of the SDK's; Stripe's request id finds it in the dashboard's log."""
    status, code = error.http_status, _code_of(error)
    where = f" (Stripe request {error.request_id})" if error.request_id else ""
    if isinstance(error, stripe.APIConnectionError):
        message = "Stripe cannot be reached."
        return UpstreamUnavailable(message, code="stripe_unavailable")
    if isinstance(error, stripe.RateLimitError) or code == "idempotency_key_in_use":
        message = f"Stripe asks to slow down{where}."
        return UpstreamUnavailable(message, code="stripe_unavailable", retry_after=5)
    # 501 comes from a simulator, not from Stripe, and is permanent.
    if status is None or (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED):
        message = f"Stripe failed with status {status}{where}."
        replayed = "true" in (error.headers or {}).get("Idempotent-Replayed", "")
        return (StripeReplayed if replayed else UpstreamUnavailable)(message, code="stripe_unavailable")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # Not the request's fault: paid sessions wait until an administrator fixes the key.
        message = f"Stripe refused the API key in Secrets Manager{where}."
        return UpstreamUnavailable(message, code="stripe_key_refused", retry_after=300)
    message = f"Stripe refused the request: {code or type(error).__name__}{where}."
    return StripeRejected(message, stripe_code=code)


def _code_of(error: stripe.StripeError) -> str | None:
    """Stripe's code; for some errors the SDK has it only on the error object."""
    if error.code:
        return str(error.code)
    inner = getattr(error, "error", None)
    code = getattr(inner, "code", None)
    return (
        str(code) if code else ("idempotency_error" if isinstance(error, stripe.IdempotencyError) else None)
    )


def _retrieve(stripe_v1: V1Services, subject: Subject, object_id: str) -> Any:
    match subject:
        case Subject.PAYMENT_INTENT:
            return stripe_v1.payment_intents.retrieve(object_id)
        case Subject.CHARGE:
            return stripe_v1.charges.retrieve(object_id, {"expand": ["payment_intent"]})
        case Subject.REFUND:
            return stripe_v1.refunds.retrieve(object_id, {"expand": _EXPAND_PAYMENT})
        case Subject.DISPUTE:
            return stripe_v1.disputes.retrieve(object_id, {"expand": _EXPAND_PAYMENT})
        case Subject.EARLY_FRAUD_WARNING:
            return stripe_v1.radar.early_fraud_warnings.retrieve(object_id, {"expand": _EXPAND_PAYMENT})
        case Subject.REVIEW:
            return stripe_v1.reviews.retrieve(object_id, {"expand": _EXPAND_PAYMENT})
    message = f"{subject} has no payment."
    raise AssertionError(message)


def _metadata(found: Any) -> Mapping[str, str]:
    return (found.get("metadata") or {}) if isinstance(found, dict) else {}


def _plain(answer: Any) -> dict[str, Any]:
    document: dict[str, Any] = answer.to_dict()
    return document
