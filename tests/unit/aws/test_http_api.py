import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from billing.aws.http_api import (
    answer,
    header,
    json_object,
    problem,
    raw_body,
    require_flow_secret,
    required_uuid,
    respond,
    uuids,
)
from billing.errors import (
    BadRequest,
    BillingError,
    Conflict,
    NotFound,
    PayloadTooLarge,
    TooManyAttempts,
    Unauthenticated,
    UpstreamFailed,
    UpstreamUnavailable,
)
from tests.fakes.aws import AcceptedSecrets
from tests.fakes.http_events import event

ID = "a1000000-0000-4000-8000-000000000001"


# ---- bodies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{}", "Żółć 🦊", "\ufeff{}", "a\r\nb\x00"])
def test_the_body_is_exactly_what_was_sent(text: str) -> None:
    raw = text.encode()
    assert raw_body(event(text)) == raw
    assert raw_body(event(base64.b64encode(raw).decode(), encoded=True)) == raw


def test_no_body_is_no_bytes() -> None:
    assert raw_body(event(None)) == b""
    assert raw_body({}) == b""


@pytest.mark.parametrize("text", ["é", "a", "%%%%", "YQ==\n", "Y Q="])
def test_broken_base64_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        raw_body(event(text, encoded=True))


def test_a_body_may_be_exactly_as_large_as_allowed_in_bytes() -> None:
    assert len(raw_body(event("é" * 5), maximum_bytes=10)) == 10
    for too_large in (event("é" * 6), event(base64.b64encode(b"x" * 11).decode(), encoded=True)):
        with pytest.raises(PayloadTooLarge):
            raw_body(too_large, maximum_bytes=10)


def test_a_header_is_found_whatever_its_case() -> None:
    for name in ("stripe-signature", "Stripe-Signature", "STRIPE-SIGNATURE"):
        assert header(event(headers={name: "x"}), "Stripe-signature") == "x"
    assert header({}, "x") is None
    assert header({"headers": None}, "x") is None


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "1", "null", '"x"', "{} {}", "[" * 100_000, "\x00", "{'a':1}", "1" * 5000]
)
def test_what_is_no_json_object_is_a_bad_request(body: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        json_object(event(body))
    assert refusal.value.code == "malformed_json"


def test_null_and_undefined_mean_absent() -> None:
    body = json.dumps(
        {"invoice": ID, "amount": None, "return_url": "undefined", "x": "null", "y": "", "z": 0}
    )
    assert json_object(event(body)) == {"invoice": ID, "x": "null", "y": "", "z": 0}


# ---- ids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "1", ID + "0", ID[:-1], "x" * 36, "undefined", [ID], f" {ID} x", "../" + ID])  # fmt: skip
def test_what_is_no_id_is_a_bad_request(value: object) -> None:
    with pytest.raises(BadRequest) as refusal:
        required_uuid({"invoice": value}, "invoice")
    assert refusal.value.code == "invalid_id"


@pytest.mark.parametrize("written", [ID, ID.upper(), "{" + ID + "}", ID.replace("-", ""), f"urn:uuid:{ID}"])
def test_an_id_is_used_in_its_one_form_however_it_was_written(written: str) -> None:
    """Two spellings would be two FIFO groups and two claims."""
    assert required_uuid({"invoice": written}, "invoice") == ID


def test_lists_of_ids_lose_repetitions_and_have_a_limit() -> None:
    assert uuids({"invoices": [ID, ID.upper()]}, "invoices") == [ID]
    assert uuids({"invoices": ID}, "invoices") == [ID]
    assert uuids({}, "invoices") == []
    with pytest.raises(BadRequest):
        uuids({"invoices": [ID] * 1001}, "invoices")
    with pytest.raises(BadRequest):
        uuids({"invoices": [ID, 7]}, "invoices")


def test_what_directus_renders_for_an_absent_template_is_absent_in_a_list_too() -> None:
    assert uuids({"invoices": [ID, None, "undefined"]}, "invoices") == [ID]


# ---- the flow secret ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["Bearer flow-secret", "bearer flow-secret", "Bearer previous-flow-secret", "BEARER  flow-secret "])  # fmt: skip
def test_current_and_previous_flow_secret_are_accepted(given: str) -> None:
    require_flow_secret(event(headers={"authorization": given}), AcceptedSecrets())


@pytest.mark.parametrize(
    "given",
    [
        None, "", "Bearer", "Bearer ", "flow-secret", "Basic flow-secret", "Bearer flow-secre", "Bearer flow-secret2", "Bearer FLOW-SECRET",
        "Bearer undefined", "Bearer null", "Bearer flow-secret, Bearer x", "Bearer \u0131", "Bearer \ud800", "Bearer flow-secret\x00", "Bearer ''",
    ],
)  # fmt: skip
def test_any_other_flow_secret_is_refused_without_naming_the_right_one(given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    with pytest.raises(Unauthenticated) as refusal:
        require_flow_secret(event(headers=headers), AcceptedSecrets())
    assert "previous-flow-secret" not in refusal.value.detail


def test_no_accepted_secret_opens_nothing() -> None:
    with pytest.raises(Unauthenticated):
        require_flow_secret(event(headers={"authorization": "Bearer x"}), AcceptedSecrets(()))


# ---- answers --------------------------------------------------------------------------------------------


def failing(error: Exception) -> Callable[[], Any]:
    def handle() -> Any:
        raise error

    return handle


def test_a_problem_has_the_shape_of_rfc_9457_and_the_flows_code() -> None:
    error = Conflict("This invoice is paid.", code="already_paid", invoice=ID)
    given = respond(event(), failing(error))
    assert given["statusCode"] == 409
    assert given["headers"]["Content-Type"] == "application/problem+json"
    assert "Retry-After" not in given["headers"]
    assert json.loads(given["body"]) == {
        "type": "urn:legal-billing:already-paid", "title": "Conflict", "status": 409, "detail": "This invoice is paid.",
        "instance": "urn:request:r-1", "code": "already_paid", "flow_code": "ALREADY_PAID", "invoice": ID,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(UpstreamUnavailable("x", retry_after=7), "7"), (UpstreamFailed("x"), "60")],
)
def test_where_repeating_may_help_the_answer_says_when(error: BillingError, seconds: str) -> None:
    assert respond(event(), failing(error))["headers"]["Retry-After"] == seconds


def test_a_failure_without_a_name_is_a_500_without_details(log: io.StringIO) -> None:
    given = respond({}, failing(RuntimeError("the token is sk_live_secret")))
    assert given["statusCode"] == 500
    assert "sk_live" not in given["body"]
    assert "RuntimeError" not in given["body"]
    assert json.loads(given["body"])["code"] == "internal_error"
    assert "RuntimeError" in log.getvalue()


def every_error(root: type[BillingError] = BillingError) -> list[type[BillingError]]:
    return [root, *(found for below in root.__subclasses__() for found in every_error(below))]


def test_every_error_of_the_tree_makes_a_problem() -> None:
    for kind in every_error():
        error = kind.__new__(kind)
        BillingError.__init__(error, "A sentence.", invoice=ID)
        if isinstance(error, UpstreamUnavailable | TooManyAttempts):
            error.retry_after = 7
        given = problem(error, "urn:request:x")
        assert (given["headers"].get("Retry-After") == "7") == hasattr(error, "retry_after")
        assert given["statusCode"] == kind.status
        assert json.loads(given["body"])["code"] == kind.default_code


def test_not_found_says_nothing_but_the_id_that_was_sent() -> None:
    body = json.loads(respond(event(), failing(NotFound("There is no such invoice.", invoice=ID)))["body"])
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "flow_code", "invoice"}


def test_no_cache_keeps_an_answer() -> None:
    assert answer(200, {})["headers"]["Cache-Control"] == "no-store"
    assert answer(200, {"n": "ż"})["body"] == '{"n": "\\u017c"}'
