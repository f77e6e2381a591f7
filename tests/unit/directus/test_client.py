"""The traps of Directus's REST, one by one."""

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from billing.aws.queue_worker import Retry, disposition
from billing.directus.client import DirectusClient, http_client
from billing.errors import DirectusRejected, RecordNotUnique, UpstreamUnavailable
from tests.fakes.directus import FixedToken
from tests.fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Script:
    """Answers in order; an exception is raised instead."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def data(value: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=json.dumps({"data": value}))


def error(status: int, **extensions: str) -> httpx.Response:
    body = {"errors": [{"message": 'Value "secret@example.com" is taken', "extensions": extensions}]}
    return httpx.Response(status, json=body)


def client(*answers: httpx.Response | Exception) -> tuple[DirectusClient, Script, FixedToken]:
    script, token = Script(list(answers)), FixedToken()
    http = http_client(transport=httpx.MockTransport(script.answer))
    return DirectusClient("http://directus/", token, http, sleep=lambda _: None), script, token


def refused() -> httpx.ConnectError:
    return httpx.ConnectError("No connection.")


def lost() -> httpx.ReadError:
    return httpx.ReadError("No answer.")


def test_numbers_are_decimals_not_floats() -> None:
    directus, _, _ = client(httpx.Response(200, content=b'{"data":[{"amount":1234.10}]}'))
    (row,) = directus.read_many("payments", filter={}, fields=("amount",))
    assert row["amount"] == Decimal("1234.10")


def test_every_list_is_asked_for_whole() -> None:
    directus, script, _ = client(data([]))
    directus.read_many("payments", filter={"invoice": {"_eq": "x"}}, fields=("id",))
    (request,) = script.requests
    assert (request.method, str(request.url)) == ("SEARCH", "http://directus/items/payments")
    assert request.headers["Authorization"] == "Bearer service-token"
    assert json.loads(request.content)["query"]["limit"] == -1


def test_a_missing_row_is_none() -> None:
    directus, _, _ = client(data([]))
    assert directus.read_one("invoices", "x", ("id",)) is None


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_read_is_repeated_while_directus_is_unavailable(status: int) -> None:
    directus, script, _ = client(httpx.Response(status), lost(), data([{"id": "x"}]))
    assert directus.read_one("invoices", "x", ("id",)) == {"id": "x"}
    assert len(script.requests) == 3


@pytest.mark.parametrize("answer", [httpx.Response(429), httpx.Response(503), refused()])
def test_a_write_is_repeated_when_it_surely_did_nothing(answer: Any) -> None:
    directus, script, _ = client(answer, data({"id": "x"}))
    directus.create("payments", {"id": "x"})
    assert len(script.requests) == 2


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(502), httpx.Response(504), lost()])
def test_a_write_whose_fate_is_unknown_is_not_repeated(answer: Any) -> None:
    directus, script, _ = client(answer)
    with pytest.raises(UpstreamUnavailable):
        directus.create("payments", {"id": "x"})
    assert len(script.requests) == 1


def test_in_the_end_it_says_unavailable_with_the_time_directus_asked_for() -> None:
    answer = httpx.Response(503, headers={"retry-after": "7"})
    directus, _, _ = client(answer, answer, answer)
    with pytest.raises(UpstreamUnavailable) as failure:
        directus.read_many("payments", filter={}, fields=("id",))
    assert failure.value.retry_after == 7


def test_a_rotated_token_is_read_again() -> None:
    directus, _, token = client(httpx.Response(401), data([]))
    directus.read_many("payments", filter={}, fields=("id",))
    assert token.refreshed == 1


def test_a_rotated_token_is_read_again_after_a_hiccup_too() -> None:
    directus, _, token = client(httpx.Response(503), httpx.Response(401), data([]))
    directus.read_many("payments", filter={}, fields=("id",))
    assert token.refreshed == 1


def test_a_wrong_token_makes_work_wait_instead_of_failing_it() -> None:
    directus, _, _ = client(httpx.Response(401), httpx.Response(401), httpx.Response(401))
    with pytest.raises(UpstreamUnavailable) as failure:
        directus.create("payments", {})
    assert failure.value.code == "directus_unauthenticated"
    assert failure.value.retryable


def test_a_taken_unique_value_names_its_column_and_not_the_value() -> None:
    directus, _, _ = client(error(400, code="RECORD_NOT_UNIQUE", collection="payments", field="open_claim"))
    with pytest.raises(RecordNotUnique) as failure:
        directus.create("payments", {})
    assert (failure.value.collection, failure.value.field) == ("payments", "open_claim")
    assert "secret" not in failure.value.detail


@pytest.mark.parametrize("status", [400, 403, 404, 413, 302])
def test_a_refusal_is_named_by_directuss_code(status: int) -> None:
    directus, _, _ = client(error(status, code="FORBIDDEN"))
    with pytest.raises(DirectusRejected) as failure:
        directus.update("invoices", "x", {"status": "paid"})
    assert failure.value.ids["directus_code"] == "FORBIDDEN"
    assert "secret" not in failure.value.detail


PROXY_PAGES = [
    (404, b"404 page not found\n"),
    (404, b"<html>nginx</html>"),
    (403, b"<html>Attention Required!</html>"),
    (400, b"<html>400 The plain HTTP request was sent to HTTPS port</html>"),
    (405, b'{"message":"Method Not Allowed"}'),
    (413, b"<html>413 Request Entity Too Large</html>"),
    (302, b""),
    (304, b""),
]
NO_ERRORS_OF_DIRECTUSS = [
    b"", b"[]", b"null", b'"x"', b"1", b"\xff", b'{"errors":[]}', b'{"errors":{}}', b'{"errors":"x"}',
    b'{"errors":["x"]}', b'{"errors":[{"message":"no"}]}', b'{"errors":[{"extensions":[]}]}',
    b'{"errors":[{"extensions":{"code":""}}]}', b'{"errors":[{"extensions":{"code":403}}]}',
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body"), [*PROXY_PAGES, *((400, body) for body in NO_ERRORS_OF_DIRECTUSS)]
)
def test_what_directus_did_not_refuse_is_tried_again(status: int, body: bytes) -> None:
    """Taken for a refusal it would put a payment into the dead-letter queue while Directus restarts."""
    asks: tuple[Callable[[DirectusClient], object], ...] = (
        lambda d: d.read_one("invoices", "x", ("id",)),
        lambda d: d.create("payments", {}),
        lambda d: d.update("invoices", "x", {}),
    )
    for ask in asks:
        directus, script, _ = client(httpx.Response(status, content=body, headers={"retry-after": "7"}))
        with pytest.raises(UpstreamUnavailable) as failure:
            ask(directus)
        assert isinstance(disposition(failure.value, 39), Retry)
        assert (failure.value.retry_after, len(script.requests)) == (7, 1)
        assert "not Directus" in failure.value.detail


@pytest.mark.parametrize(
    "body", [b"<html>We are back soon</html>", b"", b"[]", b"OK", b'{"status":"ok"}', b"\xff"]
)
def test_a_page_of_somebody_else_is_neither_a_row_nor_a_written_one(body: bytes) -> None:
    """Taken for an answer it would say "no such invoice" and then "booked"."""
    asks: tuple[Callable[[DirectusClient], object], ...] = (
        lambda d: d.read_one("invoices", "x", ("id",)),
        lambda d: d.create("payments", {}),
        lambda d: d.update("invoices", "x", {}),
        lambda d: d.read_singleton("firm", ("id",)),
    )
    for ask in asks:
        directus, _, _ = client(httpx.Response(200, content=body))
        with pytest.raises(UpstreamUnavailable):
            ask(directus)


def test_an_update_may_answer_without_a_body() -> None:
    directus, _, _ = client(httpx.Response(204))
    assert directus.update("payments", "x", {"note": "y"}) == {}


def test_a_read_never_answers_without_a_body() -> None:
    directus, _, _ = client(httpx.Response(204))
    with pytest.raises(UpstreamUnavailable):
        directus.read_many("payments", filter={}, fields=("id",))


def test_a_key_cannot_leave_its_place_in_the_path() -> None:
    directus, script, _ = client(data({"id": "x"}))
    directus.update("payments", "../invoices/1?x=", {})
    assert str(script.requests[0].url) == "http://directus/items/payments/..%2Finvoices%2F1%3Fx%3D?fields=id"


def test_an_update_of_no_rows_is_not_sent() -> None:
    directus, script, _ = client()
    directus.update_many("payments", [], {"status": "canceled"})
    assert script.requests == []


@pytest.mark.parametrize("column", ["invoice", "client"])
def test_the_fake_refuses_what_the_functions_user_may_not_write(column: str) -> None:
    world = World()
    world.invoice("100.00")
    world.payment("10.00")
    (payment,) = world.ledger().payments
    with pytest.raises(DirectusRejected):
        world.store.update_payment(
            payment, replace(payment, client="x") if column == "client" else replace(payment, invoice="x")
        )
    world.store.update_payment(payment, replace(payment, note="seen"))
    assert world.payments()[0]["note"] == "seen"
