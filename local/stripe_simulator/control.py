"""`/_test/…`: what programs may do with the simulator and people cannot do with Stripe."""

import json
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.stripe_simulator import (
    catalogue,
    checkout_sessions,
    disputes,
    early_fraud_warnings,
    faults,
    payments,
    refunds,
)
from local.stripe_simulator.errors import DishonestAnswer, StripeError
from local.stripe_simulator.jobs import run_due_jobs
from local.stripe_simulator.store import StripeObject, public
from local.stripe_simulator.world import World

_METHODS = ("card", "us_bank_account")
_LARGEST_SETTINGS = {"duplicate": 20, "reorder": 1, "drop": 1_000_000, "lose": 1_000_000}
_LONGEST_AGEING = 366 * 24 * 60 * 60


class Control:
    """The test routes over one world; each answers JSON, mistakes as Stripe-shaped errors."""

    def __init__(self, world: World, defects: Callable[[], list[str]]) -> None:
        """`defects` gives what went wrong inside the simulator itself so far."""
        self._world = world
        self._defects = defects

    def routes(self) -> list[Route]:
        """The routes, for the application."""
        table: list[tuple[str, str, Callable[[Request, Any], Any]]] = [
            ("GET", "/_test/health", self._health),
            ("POST", "/_test/checkout/sessions/{id}/pay", self._pay),
            ("POST", "/_test/checkout/sessions/{id}/set_up", self._set_up),
            ("POST", "/_test/payment_intents/{id}/settle", self._settle),
            ("POST", "/_test/charges/{id}/refund", self._refund),
            ("POST", "/_test/refunds/{id}/settle", self._settle_refund),
            ("POST", "/_test/charges/{id}/dispute", self._dispute),
            ("POST", "/_test/disputes/{id}/close", self._close_dispute),
            ("POST", "/_test/charges/{id}/early_fraud_warning", self._warn),
            ("POST", "/_test/advance", self._advance),
            ("GET", "/_test/deliveries", self._deliveries),
            ("GET", "/_test/deliveries/summary", self._summary),
            ("POST", "/_test/deliveries", self._disturb_deliveries),
            ("POST", "/_test/events/{id}/resend", self._resend),
            ("GET", "/_test/fail_next", self._faults),
            ("POST", "/_test/fail_next", self._fail_next),
            ("DELETE", "/_test/fail_next", self._fail_no_more),
            ("GET", "/_test/objects/{id}", self._object),
        ]
        return [Route(path, self._endpoint(action), methods=[method]) for method, path, action in table]

    @staticmethod
    def _endpoint(action: Callable[[Request, Any], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                given = await _json(request) if request.method == "POST" else {}
                return JSONResponse(action(request, given))
            except StripeError as error:
                return JSONResponse(error.body(), error.status)
            except DishonestAnswer as error:
                return JSONResponse(StripeError(500, str(error), kind="api_error").body(), 500)

        return endpoint

    def _health(self, _: Request, __: Any) -> dict[str, Any]:
        defects = self._defects()
        if defects:
            raise StripeError(500, "; ".join(defects[:5]), kind="api_error")
        return {
            "status": "ok",
            "api_version": self._world.document.api_version,
            "checkout_sessions": self._world.store.count("checkout.session"),
        }

    def _pay(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        method = _choice(given, "method", _METHODS)
        outcome = _choice(given, "outcome", ("succeed", "fail"), optional=True)
        number = _number(method, outcome, given.get("number"))
        run_due_jobs(self._world)
        with self._world.change() as events:
            session = self._world.find(request.path_params["id"], "checkout.session")
            payment = payments.pay(self._world, session, method=method, number=number, name="Test Payer")
        return {"session": payment.session, "payment_intent": payment.payment_intent, "events": events}

    def _set_up(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        """What another application's client does: leaves a way to pay, and pays nothing."""
        _only(given)
        run_due_jobs(self._world)
        with self._world.change() as events:
            session = self._world.find(request.path_params["id"], "checkout.session")
            checkout_sessions.set_up(self._world, session)
        return {"session": session["id"], "setup_intent": session["setup_intent"], "events": events}

    def _settle(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        outcome = _choice(given, "outcome", ("succeed", "fail"))
        with self._world.change() as events:
            intent = self._world.find(request.path_params["id"], "payment_intent")
            payment = payments.settle(self._world, intent, succeeds=outcome == "succeed")
        return {"session": payment.session, "payment_intent": payment.payment_intent, "events": events}

    def _refund(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        """A refund as made in the Dashboard: no API request is its cause."""
        _only(given, "amount", "reason")
        parameters: dict[str, Any] = {"charge": request.path_params["id"]}
        amount = _amount(given)
        if amount is not None:
            parameters["amount"] = amount
        reason = _choice(given, "reason", refunds.REASONS, optional=True)
        if reason is not None:
            parameters["reason"] = reason
        with self._world.change() as events:
            refund = refunds.create(self._world, parameters)
        return _of_the_charge("refund", refund, events)

    def _settle_refund(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        _only(given, "outcome")
        outcome = _choice(given, "outcome", ("succeed", "fail", "cancel"))
        with self._world.change() as events:
            refund = self._world.find(request.path_params["id"], "refund")
            refunds.settle(self._world, refund, outcome)
        return _of_the_charge("refund", refund, events)

    def _dispute(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        _only(given, "outcome", "amount", "inquiry", "reason")
        outcome = _choice(given, "outcome", disputes.OUTCOMES)
        reason = _choice(given, "reason", disputes.REASONS, optional=True) or "fraudulent"
        inquiry = given.get("inquiry", False)
        if not isinstance(inquiry, bool):
            raise StripeError(400, "inquiry is a boolean.", parameter="inquiry")
        with self._world.change() as events:
            charge = self._world.find(request.path_params["id"], "charge")
            dispute = disputes.create(
                self._world, charge, amount=_amount(given), inquiry=inquiry, reason=reason
            )
            if outcome != "open":
                disputes.close(self._world, dispute, outcome)
        return _of_the_charge("dispute", dispute, events)

    def _close_dispute(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        _only(given, "outcome")
        outcome = _choice(given, "outcome", disputes.ENDINGS)
        with self._world.change() as events:
            dispute = self._world.find(request.path_params["id"], "dispute")
            disputes.close(self._world, dispute, outcome)
        return _of_the_charge("dispute", dispute, events)

    def _warn(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        _only(given)
        with self._world.change() as events:
            charge = self._world.find(request.path_params["id"], "charge")
            warning = early_fraud_warnings.create(self._world, charge)
        return _of_the_charge("early_fraud_warning", warning, events)

    def _advance(self, _: Request, given: dict[str, Any]) -> dict[str, Any]:
        seconds = given.get("seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= _LONGEST_AGEING:
            raise StripeError(400, f"seconds is an integer from 0 to {_LONGEST_AGEING}.", parameter="seconds")
        with self._world.change():
            self._world.store.age(seconds)
        run_due_jobs(self._world)
        return {"aged": seconds}

    def _deliveries(self, _: Request, __: Any) -> dict[str, Any]:
        return {
            "data": self._world.store.attempts(),
            "waiting": [vars(delivery) for delivery in self._world.store.waiting()],
            "settings": self._world.delivery_settings(),
        }

    def _summary(self, _: Request, __: Any) -> dict[str, Any]:
        return self._world.store.summary()

    def _disturb_deliveries(self, _: Request, given: dict[str, Any]) -> dict[str, Any]:
        for name, value in given.items():
            if name not in _LARGEST_SETTINGS:
                raise StripeError(400, f"Unknown setting {name[:40]!r}.", parameter=name)
            wanted = bool if name == "reorder" else int
            if type(value) is not wanted or not 0 <= value <= _LARGEST_SETTINGS[name]:
                what = "a boolean" if wanted is bool else f"a number from 0 to {_LARGEST_SETTINGS[name]}"
                raise StripeError(400, f"{name} is {what}.", parameter=name)
        with self._world.change():
            settings = {**self._world.delivery_settings(), **given}
            self._world.store.store_setting("deliveries", settings)
        return settings

    def _resend(self, request: Request, _: Any) -> dict[str, Any]:
        with self._world.change():
            event = self._world.find(request.path_params["id"], "event")
            self._world.store.queue(event["id"], due=time.time())
        return {"event": event["id"]}

    def _faults(self, _: Request, __: Any) -> dict[str, Any]:
        return {"data": [vars(fault) for fault in faults.ordered(self._world.store)]}

    def _fail_next(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        try:
            faults.order(self._world.store, faults.Fault.read(given))
        except faults.InvalidFault as error:
            raise StripeError(400, str(error)) from error
        return self._faults(request, given)

    def _fail_no_more(self, request: Request, given: dict[str, Any]) -> dict[str, Any]:
        faults.clear(self._world.store)
        return self._faults(request, given)

    def _object(self, request: Request, _: Any) -> dict[str, Any]:
        body = self._world.store.get(request.path_params["id"])
        if body is None:
            raise StripeError(404, "There is no such object.", code="resource_missing", parameter="id")
        return public(body)


async def _json(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        given = json.loads(body or b"{}")
        json.dumps(
            given, ensure_ascii=False, allow_nan=False
        ).encode()  # what we could not repeat we do not take
    except (ValueError, RecursionError) as error:
        raise StripeError(400, "The body is not JSON.") from error
    if not isinstance(given, dict):
        raise StripeError(400, "The body must be a JSON object.")
    return given


def _of_the_charge(kind: str, body: StripeObject, events: list[str]) -> dict[str, Any]:
    names = ("charge", "payment_intent", "status")
    return {kind: body["id"], **{name: body[name] for name in names if name in body}, "events": events}


def _only(given: dict[str, Any], *names: str) -> None:
    for name in given:
        if name not in names:
            raise StripeError(400, f"Unknown field {name[:40]!r}.", parameter=name[:40])


def _amount(given: dict[str, Any]) -> int | None:
    amount = given.get("amount")
    if amount is None or (isinstance(amount, int) and not isinstance(amount, bool) and amount >= 1):
        return amount
    raise StripeError(400, "amount is a number of minor units, at least 1.", parameter="amount")


def _choice(given: dict[str, Any], name: str, choices: tuple[str, ...], *, optional: bool = False) -> Any:
    value = given.get(name)
    if (value is None and optional) or (isinstance(value, str) and value in choices):
        return value
    raise StripeError(400, f"{name} must be one of: {', '.join(choices)}.", parameter=name)


def _number(method: str, outcome: str | None, number: Any) -> str:
    """The test number to pay with; a bank debit's outcome is decided when it is settled, so `outcome` picks a number."""
    working, failing, known = {
        "card": (
            catalogue.WORKING_CARD,
            catalogue.DECLINED_CARD,
            {number: card.decline for number, card in catalogue.CARDS.items()},
        ),
        "us_bank_account": (
            catalogue.WORKING_BANK_ACCOUNT,
            catalogue.FAILING_BANK_ACCOUNT,
            catalogue.BANK_ACCOUNTS,
        ),
    }[method]
    if number is None:
        return failing if outcome == "fail" else working
    if not isinstance(number, str) or number not in known:
        raise StripeError(400, f"number must be one of: {', '.join(known)}.", parameter="number")
    if outcome is not None and (known[number] is None) != (outcome == "succeed"):
        raise StripeError(400, f"{number} does not {outcome}.", parameter="outcome")
    return number
