"""Stripe through its own SDK: sessions, intents, charges; every error of the SDK mapped once.

The API version is written here and equals the SDK's pin, so that an upgrade is a visible change. Two retries
by the SDK (timeouts, 409, 5xx) with a 6 s read timeout stay below the function's time limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import stripe

from billing.adapters.stripe_parsing import (
    dispute_from_stripe,
    id_of,
    refund_from_stripe,
    session_from_stripe,
)
from billing.core.event_types import Subject
from billing.core.stripe_objects import PaymentBehind, Reversals
from billing.errors import (
    BillingError,
    CreationRefused,
    SessionNotOpen,
    StripeRejected,
    StripeReplayed,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from stripe._v1_services import V1Services

    from billing.core.stripe_objects import CheckoutSession

STRIPE_VERSION = "2026-10-28.endive"
_TIMEOUT_SECONDS = (2, 6)
_NETWORK_RETRIES = 2
_EXPAND_SESSION = ["payment_intent.latest_charge.balance_transaction"]
#: Four levels, as deep as Stripe goes: a listed session tells its fee, too.
_EXPAND_LISTED_SESSIONS = ["data.payment_intent.latest_charge.balance_transaction"]
_EXPAND_PAYMENT = ["charge", "payment_intent"]
_SERVER_ERROR, _NOT_IMPLEMENTED = 500, 501


class ApiKey(Protocol):
    """Stripe's API key; `refresh` reads it again after Stripe refused it (it may have been rotated)."""

    def current(self) -> str:
        """The key to use."""
        ...

    def refresh(self) -> str:
        """Read the key again, past every cache."""
        ...


class StripeGateway:
    """Stripe's Checkout sessions and what hangs on them, as `core.stripe_objects`."""

    def __init__(self, api_base: str, key: ApiKey) -> None:
        """`api_base` is `https://api.stripe.com`; any other base is refused together with a live key."""
        self._api_base = api_base
        self._key = key
        self._client: stripe.StripeClient | None = None
        stripe.enable_telemetry = False

    def create_session(self, parameters: Mapping[str, Any], idempotency_key: str) -> CheckoutSession:
        """Create a Checkout session; the same key gives the same session.

        Raises `CreationRefused` when repeating cannot help and `UpstreamUnavailable` when it can.
        """
        try:
            return session_from_stripe(
                self._call(
                    lambda client: client.v1.checkout.sessions.create(
                        dict(parameters),  # type: ignore[arg-type]  # as stored on the attempt
                        {"idempotency_key": idempotency_key},
                    )
                )
            )
        except StripeReplayed as error:
            raise CreationRefused(error.detail, replayed=True) from error
        except StripeRejected as error:
            raise CreationRefused(error.detail, stripe_code=error.stripe_code) from error

    def retrieve_session(self, session: str) -> CheckoutSession:
        """Fetch a session with its payment intent, charge and fee."""
        return session_from_stripe(
            self._call(
                lambda client: client.v1.checkout.sessions.retrieve(session, {"expand": _EXPAND_SESSION})
            )
        )

    def expire_session(self, session: str) -> CheckoutSession:
        """Expire an open session; `SessionNotOpen` if it was paid or has expired meanwhile."""
        try:
            return session_from_stripe(self._call(lambda client: client.v1.checkout.sessions.expire(session)))
        except StripeRejected as error:
            if error.stripe_code == "resource_missing":
                raise
            message = "The Checkout session is no longer open."
            raise SessionNotOpen(message, checkout_session=session) from error

    def sessions_created_since(
        self, since: datetime, *, after: str | None = None
    ) -> Iterator[CheckoutSession]:
        """Every session created at or after `since`, newest first, page by page; those behind `after`, if given."""
        parameters = {**created_since(since, after), "expand": _EXPAND_LISTED_SESSIONS}
        for found in self.pages(lambda v1, asked: v1.checkout.sessions.list(asked), parameters):
            yield session_from_stripe(found)

    def session_of_payment_intent(self, payment_intent: str) -> CheckoutSession | None:
        """The session a payment intent belongs to, None if it belongs to none."""
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
        """Every refund and dispute of the payment intent as it is now."""
        of_it = {"payment_intent": payment_intent}
        return Reversals(
            refunds=[
                refund_from_stripe(found) for found in self.pages(lambda v1, p: v1.refunds.list(p), of_it)
            ],
            disputes=[
                dispute_from_stripe(found) for found in self.pages(lambda v1, p: v1.disputes.list(p), of_it)
            ],
        )

    def retrieve(self, ask: Callable[[V1Services], Any]) -> dict[str, Any] | None:
        """One object as `ask` fetches it, None if Stripe has none."""
        try:
            return self._call(lambda client: ask(client.v1))
        except StripeRejected as error:
            if error.stripe_code == "resource_missing":
                return None
            raise

    def pages(
        self, ask: Callable[[V1Services, Any], Any], parameters: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Every object of a list, newest first; a page is fetched when its first object is asked for."""
        asked: dict[str, Any] = {"limit": 100, **parameters}
        while True:
            page = self._call(lambda client: ask(client.v1, dict(asked)))
            yield from page["data"]
            if not page["has_more"]:
                return
            asked["starting_after"] = page["data"][-1]["id"]

    def _call(self, ask: Callable[[stripe.StripeClient], Any]) -> dict[str, Any]:
        try:
            return _plain(ask(self._connected()))
        except stripe.AuthenticationError:
            self._client = None  # the key may have been rotated: read it again, once
            try:
                return _plain(ask(self._connected(fresh_key=True)))
            except stripe.StripeError as error:
                raise _translated(error) from error
        except stripe.StripeError as error:
            raise _translated(error) from error

    def _connected(self, *, fresh_key: bool = False) -> stripe.StripeClient:
        if self._client is None:
            key = self._key.refresh() if fresh_key else self._key.current()
            if "_live_" in key[:8] and self._api_base != "https://api.stripe.com":
                message = "A live Stripe key is never sent anywhere but to Stripe: check StripeApiBase."
                raise BillingError(message, code="live_key_refused")
            self._client = stripe.StripeClient(
                key,
                stripe_version=STRIPE_VERSION,
                base_addresses={"api": self._api_base},
                max_network_retries=_NETWORK_RETRIES,
                http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
            )
        return self._client


def created_since(since: datetime, after: str | None = None) -> dict[str, object]:
    """The parameters of a list; Stripe counts in whole seconds: the one that `since` lies in is included."""
    window: dict[str, object] = {"created": {"gte": int(since.timestamp())}}
    return window if after is None else {**window, "starting_after": after}


def _translated(error: stripe.StripeError) -> BillingError:
    """Our error for one of the SDK's; Stripe's request id leads to its dashboard log."""
    status, code = error.http_status, _code_of(error)
    where = f" (Stripe request {error.request_id})" if error.request_id else ""
    if isinstance(error, stripe.APIConnectionError):
        message = "Stripe cannot be reached."
        return UpstreamUnavailable(message, code="stripe_unavailable")
    if isinstance(error, stripe.RateLimitError) or code == "idempotency_key_in_use":
        message = f"Stripe asks to slow down{where}."
        return UpstreamUnavailable(message, code="stripe_unavailable", retry_after=5)
    # 501 is not Stripe's but a simulator's: it will say so tomorrow as well.
    if status is None or (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED):
        message = f"Stripe failed with status {status}{where}."
        replayed = "true" in (error.headers or {}).get("Idempotent-Replayed", "")
        return (StripeReplayed if replayed else UpstreamUnavailable)(message, code="stripe_unavailable")
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # A matter for the administrator, but not the request's fault: paid sessions wait until the key is right.
        message = f"Stripe refused the API key in Secrets Manager{where}."
        return UpstreamUnavailable(message, code="stripe_key_refused", retry_after=300)
    message = f"Stripe refused the request: {code or type(error).__name__}{where}."
    return StripeRejected(message, stripe_code=code)


def _code_of(error: stripe.StripeError) -> str | None:
    """Stripe's code; for some errors the SDK keeps it only on the error object."""
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
    message = f"No payment stands behind {subject}."
    raise AssertionError(message)


def _metadata(found: Any) -> Mapping[str, str]:
    return (found.get("metadata") or {}) if isinstance(found, dict) else {}


def _plain(answer: Any) -> dict[str, Any]:
    document: dict[str, Any] = answer.to_dict()
    return document
