"""Stripe's HTTP API: authentication, versions, idempotency, and the check of every request and every answer."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from local.stripe_simulator import faults, operations
from local.stripe_simulator.connections import cut_connection
from local.stripe_simulator.errors import (
    AnswerLost,
    DishonestAnswer,
    NotSimulated,
    StripeError,
    refuse_parameter,
)
from local.stripe_simulator.form_encoding import FormError
from local.stripe_simulator.jobs import run_due_jobs
from local.stripe_simulator.openapi import Operation
from local.stripe_simulator.store import KeptAnswer
from local.stripe_simulator.world import ApiRequest, World

logger = logging.getLogger(__name__)

MAXIMUM_BODY = 1024 * 1024
#: Stripe may forget a key after a day; from then on the same request is a new one.
KEY_LIFETIME = 24 * 60 * 60
_LONGEST_KEY = 255
_API_ROOTS = ("/v1/", "/v2/")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class _Call:
    """One request, read and found good."""

    operation: Operation
    path: str
    parameters: dict[str, Any]
    cause: ApiRequest
    fingerprint: str


@dataclass(frozen=True)
class _Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Api:
    """The endpoint of everything that is not the hosted page or a test route."""

    def __init__(self, world: World, secret_key: str) -> None:
        """`secret_key` is the only key that is accepted."""
        self._world = world
        self._secret_key = secret_key.encode()
        self._keys_in_use: set[str] = set()

    async def __call__(self, request: Request) -> Response:
        """Answers as Stripe would, or reports that it cannot."""
        cause = ApiRequest(self._world.new_id("req_", 14), self._idempotency_key(request))
        try:
            answer = await self._answer(request, cause)
        except AnswerLost:
            await cut_connection(request)
            return Response(status_code=500)
        except StripeError as error:
            answer = self._refusal(error)
        except DishonestAnswer as error:
            logger.exception("%s %s", request.method, request.url.path)
            answer = self._refusal(StripeError(500, str(error), kind="api_error", retry=False))
        headers = {"Request-Id": cause.id or "", "Stripe-Version": self._world.document.api_version}
        return JSONResponse(answer.body, answer.status, headers | answer.headers)

    @staticmethod
    def _idempotency_key(request: Request) -> str | None:
        return request.headers.get("idempotency-key") if request.method == "POST" else None

    def _refusal(self, error: StripeError) -> _Answer:
        body = error.body()
        violations = self._world.document.violations_of_object("error", body)
        assert not violations, violations
        headers = {} if error.retry is None else {"Stripe-Should-Retry": str(error.retry).lower()}
        return _Answer(error.status, body, headers)

    async def _answer(self, request: Request, cause: ApiRequest) -> _Answer:
        unrecognized = StripeError(
            404, f"Unrecognized request URL ({request.method}: {request.url.path[:200]})."
        )
        if not request.url.path.startswith(_API_ROOTS):
            raise unrecognized
        self._authenticate(request)
        self._check_version(request)
        operation = self._world.document.find(request.method, request.url.path)
        if operation is None:
            raise unrecognized
        operations.must_be_simulated(operation)
        call = self._read(operation, request.url.path, await self._text(request), cause)
        run_due_jobs(self._world)
        fault = faults.take(self._world.store, operation)
        if fault is None:
            return self._once(call)
        return await self._with_fault(call, fault)

    def _authenticate(self, request: Request) -> None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        key = credentials.encode("latin-1", "replace")
        if scheme.lower() == "basic":
            try:
                key = base64.b64decode(key, validate=True).partition(b":")[0]
            except ValueError:
                key = b""
        if not key:
            message = (
                "You did not provide an API key. Set the Authorization header to 'Bearer YOUR_SECRET_KEY'."
            )
            raise StripeError(401, message)
        if not hmac.compare_digest(key, self._secret_key):
            raise StripeError(401, "Invalid API Key provided.")

    def _check_version(self, request: Request) -> None:
        wanted = request.headers.get("stripe-version", self._world.document.api_version)
        if wanted != self._world.document.api_version:
            raise NotSimulated(f"The API version {wanted[:40]!r}")

    @staticmethod
    async def _text(request: Request) -> str:
        if request.method != "POST":
            return request.url.query
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAXIMUM_BODY:
                    raise StripeError(413, "The request body is too large.")
        except ClientDisconnect as error:
            raise StripeError(400, "The request ended before its body did.") from error
        if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise StripeError(400, f"Invalid request: the content type of the body must be {_FORM}.")
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StripeError(400, "Invalid request: the body is not UTF-8.") from error

    def _read(self, operation: Operation, path: str, text: str, cause: ApiRequest) -> _Call:
        try:
            request = self._world.document.read_request(operation, text)
        except FormError as error:
            raise StripeError(400, str(error)) from error
        if request.violations:
            raise refuse_parameter(request.violations[0])
        if cause.idempotency_key is not None and len(cause.idempotency_key) > _LONGEST_KEY:
            raise StripeError(400, f"Idempotency keys have at most {_LONGEST_KEY} characters.")
        sent = json.dumps([operation.method, path, request.values], sort_keys=True)
        return _Call(operation, path, request.values, cause, hashlib.sha256(sent.encode()).hexdigest())

    async def _with_fault(self, call: _Call, fault: faults.Fault) -> _Answer:
        match fault.fault:
            case "lose_request":
                raise AnswerLost
            case "lose_answer":
                with contextlib.suppress(StripeError):  # a refusal is lost like any other answer
                    self._once(call)
                raise AnswerLost
            case "status":
                refusal = StripeError(
                    fault.status,
                    "This failure was ordered by a test.",
                    kind="api_error",
                    code=fault.code,
                    replayed=fault.replay,
                    retry=fault.retry,
                )
                if fault.replay:
                    self._keep(call, self._refusal(refusal))
                raise refusal
            case "delay":
                return await self._slowly(call, fault.seconds)

    async def _slowly(self, call: _Call, seconds: float) -> _Answer:
        key = call.cause.idempotency_key
        if key is None:
            await asyncio.sleep(seconds)
        elif key not in self._keys_in_use:
            self._keys_in_use.add(key)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._keys_in_use.discard(key)
        return self._once(call)

    def _once(self, call: _Call) -> _Answer:
        """The answer; for a known idempotency key the one given the first time, and nothing happens again."""
        key = call.cause.idempotency_key
        if key is None:
            return self._perform(call)
        if key in self._keys_in_use:
            message = "There is currently another in-progress request using this Idempotent Key."
            raise StripeError(409, message, kind="idempotency_error", code="idempotency_key_in_use")
        kept = self._world.store.kept_answer(key, newer_than=time.time() - KEY_LIFETIME)
        if kept is None:
            return self._perform(call)
        if kept.fingerprint != call.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
                f" Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise StripeError(400, message, kind="idempotency_error")
        return _Answer(
            kept.status, kept.body, {"Idempotent-Replayed": "true", "Original-Request": kept.request}
        )

    def _perform(self, call: _Call) -> _Answer:
        try:
            # The answer is checked and remembered in the same transaction: a dishonest one undoes its effects.
            with self._world.change():
                body = operations.perform(
                    self._world, call.operation, call.path, dict(call.parameters), call.cause
                )
                violations = self._world.document.violations_of_answer(call.operation, 200, body)
                if violations:
                    raise DishonestAnswer(f"The answer to {call.operation}", violations)
                answer = _Answer(200, body, {})
                self._keep(call, answer)
        except StripeError as error:
            if error.replayed:
                self._keep(call, self._refusal(error))
            raise
        return answer

    def _keep(self, call: _Call, answer: _Answer) -> None:
        key = call.cause.idempotency_key
        if key is not None:
            kept = KeptAnswer(key, call.fingerprint, call.cause.id or "", answer.status, answer.body)
            self._world.store.keep_answer(kept)
