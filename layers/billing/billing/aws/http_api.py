"""How our functions read and answer API Gateway's HTTP API events (payload format 2.0).

The only place where an exception becomes an HTTP answer: RFC 9457 problem+json with our stable `code`, the
same in capitals as `flow_code` (Directus's flows cannot change case), and the ids concerned. Values of a body are read
strictly: a clear 4xx instead of a surprise further in.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from billing.aws.observability import count, log_refusal, logger
from billing.errors import (
    BadRequest,
    BillingError,
    PayloadTooLarge,
    TooManyAttempts,
    Unauthenticated,
    UpstreamUnavailable,
)
from billing.ids import as_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


type HttpEvent = Mapping[str, Any]
type HttpAnswer = dict[str, Any]

MAXIMUM_BODY_BYTES = 256 * 1024


class SecretReader(Protocol):
    """The accepted values of a secret."""

    def accepted(self) -> Iterator[str]:
        """`AWSCURRENT`, then `AWSPREVIOUS` if there is one, then what a fresh look finds; each read when asked for."""
        ...


def raw_body(event: HttpEvent, *, maximum_bytes: int = MAXIMUM_BODY_BYTES) -> bytes:
    """The body's bytes exactly as they were sent; `PayloadTooLarge` above the limit."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            raw = base64.b64decode(body, validate=True)
        except ValueError as error:
            message = "The body is not valid base64."
            raise BadRequest(message) from error
    else:
        raw = body.encode("utf-8", errors="surrogatepass")
    if len(raw) > maximum_bytes:
        message = f"The body has {len(raw)} bytes; at most {maximum_bytes} are accepted."
        raise PayloadTooLarge(message)
    return raw


def header(event: HttpEvent, name: str) -> str | None:
    """A header's value; names are compared without regard to case."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def json_object(event: HttpEvent) -> dict[str, Any]:
    """The body as a JSON object without its absent members.

    Directus renders an absent template as `null` or as the string "undefined": both mean absent.
    """
    try:
        document = json.loads(raw_body(event))
    except (ValueError, RecursionError) as error:
        message = "The body is not valid JSON."
        raise BadRequest(message, code="malformed_json") from error
    if not isinstance(document, dict):
        message = "The body must be a JSON object."
        raise BadRequest(message, code="malformed_json")
    return {key: value for key, value in document.items() if value is not None and value != "undefined"}


def require_flow_secret(event: HttpEvent, secret: SecretReader) -> None:
    """Accept the current and the previous flow secret; a mismatch looks once more, past the cache."""
    scheme, _, presented = (header(event, "authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not presented:
        message = "Send the flow secret as `Authorization: Bearer <secret>`."
        raise Unauthenticated(message)
    given = presented.strip().encode(errors="surrogatepass")
    if not any(hmac.compare_digest(given, value.encode()) for value in secret.accepted()):
        message = "The flow secret is not the one in Secrets Manager (BILLING_FLOW_SECRET in Directus)."
        raise Unauthenticated(message)


def answer(status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """A JSON answer that no cache keeps."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})},
        "body": json.dumps(body),
    }


def problem(error: BillingError, instance: str) -> HttpAnswer:
    """The error as RFC 9457 problem+json; `Retry-After` where repeating can help."""
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, UpstreamUnavailable | TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    elif error.retryable or error.status == 502:  # noqa: PLR2004  # HTTP's own number
        headers["Retry-After"] = "60"
    body = {
        "type": f"urn:legal-billing:{error.code.replace('_', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "flow_code": error.code.upper(),
        **error.ids,
    }
    return answer(error.status, body, headers)


def respond(event: HttpEvent, handle: Callable[[], HttpAnswer]) -> HttpAnswer:
    """Run a handler and turn every failure into an answer; what has no name is a 500 without details."""
    instance = f"urn:request:{(event.get('requestContext') or {}).get('requestId', 'unknown')}"
    try:
        return handle()
    except BillingError as error:
        log_refusal(error)
        count("RequestRefused")
        return problem(error, instance)
    except Exception:  # noqa: BLE001  # a caller never sees a stack trace; the log does
        logger.exception("The request failed in a way this function does not know.")
        count("RequestFailed")
        message = "Something went wrong on our side; the log has the details under this request id."
        return problem(BillingError(message, code="internal_error"), instance)


#: A firm sends at most this many at once (a flow's event names every row of a batch).
MAXIMUM_IDS = 1000


def required_uuid(body: Mapping[str, Any], name: str) -> str:
    """An id that must be there."""
    return as_uuid(body.get(name), name)


def uuids(body: Mapping[str, Any], name: str) -> list[str]:
    """One id or a list of up to 1,000, without repetitions, in order; what is absent is left out.

    Directus renders an absent template as `null` or as the string "undefined", in a list too.
    """
    value = body.get(name)
    given = value if isinstance(value, list) else [value]
    values = [found for found in given if found not in (None, "undefined")]
    if len(values) > MAXIMUM_IDS:
        message = f"{name} has {len(values)} ids; at most {MAXIMUM_IDS} are accepted at once."
        raise BadRequest(message, code="too_many_ids")
    return list(dict.fromkeys(as_uuid(found, name) for found in values))


def flag(body: Mapping[str, Any], name: str) -> bool:
    """True or false; false if absent."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        message = f"{name} must be true or false."
        raise BadRequest(message, code=f"invalid_{name}")
    return value


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: Far from the ends of the calendar, where a time zone would lead out of it.
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def members_of(event: object) -> dict[str, Any]:
    """The members of an invocation's event without its absent ones; `BadRequest` if it is no JSON object."""
    if not isinstance(event, dict):
        message = "The event must be a JSON object, such as {}."
        raise BadRequest(message, code="malformed_event")
    return {key: value for key, value in event.items() if value is not None and value != "undefined"}


def parse_moment(value: object, name: str) -> dt.date | dt.datetime:
    """A calendar day or an ISO 8601 instant with an offset; anything else is a `BadRequest`."""
    message = f'{name} must be a day such as "2026-03-01" or an instant with an offset such as "2026-03-01T09:00:00Z".'
    if not isinstance(value, str):
        raise BadRequest(message, code=f"invalid_{name}")
    try:
        if _DAY.fullmatch(value):
            moment: dt.date | dt.datetime = dt.date.fromisoformat(value)
        else:
            moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise BadRequest(message, code=f"invalid_{name}") from None
    if isinstance(moment, dt.datetime) and moment.tzinfo is None:
        raise BadRequest(message, code=f"invalid_{name}")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise BadRequest(f"{name} is outside the years that an invoice can have.", code=f"invalid_{name}")
    return moment
