import json
from collections.abc import Iterator
from typing import Any

import pytest

from billing.aws.http_api import respond
from billing.composition import RenderAcceptor
from billing.documents.request import RenderRequest, render_request, request_rendering
from billing.errors import BadRequest, BillingError, Conflict, NotFound
from functions.render_pdf.app import accept
from tests.fakes.documents import Effects, FakeDirectus, FakeQueue
from tests.fakes.firm_rows import INVOICE

OTHER = "55555555-5555-4555-8555-555555555555"
DRAFT = "66666666-6666-4666-8666-666666666666"
UNKNOWN = "77777777-7777-4777-8777-777777777777"
PAID = "88888888-8888-4888-8888-000000000001"
UNPAID = "88888888-8888-4888-8888-000000000002"
UNAPPLIED = "88888888-8888-4888-8888-000000000003"
NOBODYS = "88888888-8888-4888-8888-000000000004"
ON_DRAFT = "88888888-8888-4888-8888-000000000005"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"invoices": INVOICE}, RenderRequest((INVOICE,), force=False)),
        ({"invoices": [INVOICE, OTHER], "force": True}, RenderRequest((INVOICE, OTHER), force=True)),
        ({"invoices": [INVOICE, INVOICE.upper(), None, "undefined"]}, RenderRequest((INVOICE,), force=False)),
        ({"payments": PAID, "force": True}, RenderRequest((), force=True, payments=(PAID,))),
        (
            {"invoices": INVOICE, "payments": [PAID, UNPAID]},
            RenderRequest((INVOICE,), force=False, payments=(PAID, UNPAID)),
        ),
    ],
)
def test_one_id_or_many_are_read(body: dict[str, Any], expected: RenderRequest) -> None:
    assert render_request(body) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_to_do"),
        ({"invoices": []}, "nothing_to_do"),
        ({"invoices": [None, "undefined"]}, "nothing_to_do"),
        ({"invoices": "2026-0147"}, "invalid_id"),
        ({"invoices": [7]}, "invalid_id"),
        ({"invoices": {"id": INVOICE}}, "invalid_id"),
        ({"invoices": [f"{n:08}-1111-4111-8111-111111111111" for n in range(1001)]}, "too_many_ids"),
        ({"invoices": INVOICE, "force": "true"}, "invalid_force"),
        ({"payments": []}, "nothing_to_do"),
        ({"payments": "pi_1"}, "invalid_id"),
        ({"invoices": INVOICE, "payments": {"id": PAID}}, "invalid_id"),
        ({"payments": [f"{n:08}-1111-4111-8111-111111111111" for n in range(1001)]}, "too_many_ids"),
    ],
)
def test_anything_else_is_refused(body: dict[str, Any], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        render_request(body)
    assert caught.value.code == code


def test_a_thousand_invoices_are_accepted() -> None:
    ids = [f"{n:08}-1111-4111-8111-111111111111" for n in range(1000)]
    assert len(render_request({"invoices": ids}).invoices) == 1000


def rows() -> FakeDirectus:
    statuses = {INVOICE: "sent", OTHER: "overdue", DRAFT: "draft"}
    invoices: dict[str, dict[str, Any]] = {
        key: {"id": key, "status": status, "pdf_status": "none"} for key, status in statuses.items()
    }
    for row in invoices.values():
        row["sent_at"] = None if row["status"] == "draft" else "2026-10-01T12:00:00Z"
    payments: dict[str, dict[str, Any]] = {
        PAID: {"status": "succeeded", "invoice": INVOICE, "client": "c"},
        UNPAID: {"status": "canceled", "invoice": INVOICE, "client": "c"},
        UNAPPLIED: {"status": "succeeded", "invoice": None, "client": None},
        NOBODYS: {"status": "succeeded", "invoice": INVOICE, "client": None},
        ON_DRAFT: {"status": "succeeded", "invoice": DRAFT, "client": "c"},
    }
    for key, payment in payments.items():
        payment["id"] = key
    return FakeDirectus({"invoices": invoices, "payments": payments}, {}, Effects())


def test_invoices_are_marked_before_they_are_queued() -> None:
    directus = rows()
    queue = FakeQueue(directus.effects)
    assert request_rendering(RenderRequest((INVOICE, OTHER), force=True), directus, queue) == 2
    assert directus.effects.done == ["update invoices", "queue"]
    assert queue.messages == [
        {"type": "invoice", "invoice": INVOICE, "force": True},
        {"type": "invoice", "invoice": OTHER, "force": True},
    ]
    assert [row["pdf_status"] for row in directus.collections["invoices"].values()] == [
        "pending",
        "pending",
        "none",
    ]


@pytest.mark.parametrize(
    ("invoices", "refusal"),
    [((INVOICE, UNKNOWN), NotFound), ((INVOICE, DRAFT), Conflict), ((DRAFT, UNKNOWN), NotFound)],
)
def test_one_bad_invoice_refuses_the_whole_request(
    invoices: tuple[str, ...], refusal: type[Exception]
) -> None:
    directus = rows()
    queue = FakeQueue(directus.effects)
    with pytest.raises(refusal):
        request_rendering(RenderRequest(invoices, force=False), directus, queue)
    assert directus.effects.done == []


@pytest.mark.parametrize("force", [False, True])
def test_payments_are_queued_for_their_receipts_and_no_invoice_is_marked(*, force: bool) -> None:
    directus = rows()
    queue = FakeQueue(directus.effects)
    assert request_rendering(RenderRequest((), force=force, payments=(PAID,)), directus, queue) == 1
    assert directus.effects.done == ["queue"]
    assert queue.messages == [{"type": "receipt", "payment": PAID, "force": force}]


def test_invoices_and_payments_may_come_together() -> None:
    directus = rows()
    queue = FakeQueue(directus.effects)
    assert request_rendering(RenderRequest((INVOICE,), force=True, payments=(PAID,)), directus, queue) == 2
    assert [message["type"] for message in queue.messages] == ["invoice", "receipt"]


@pytest.mark.parametrize(
    ("payments", "code"),
    [
        ((PAID, UNKNOWN), "not_found"),
        ((PAID, UNPAID), "no_receipt_due"),
        ((UNAPPLIED,), "no_receipt_due"),
        ((NOBODYS,), "no_receipt_due"),
        ((ON_DRAFT, PAID), "no_receipt_due"),
    ],
)
def test_one_payment_without_a_receipt_refuses_the_whole_request(
    payments: tuple[str, ...], code: str
) -> None:
    directus = rows()
    queue = FakeQueue(directus.effects)
    with pytest.raises(BillingError) as caught:
        request_rendering(RenderRequest((INVOICE,), force=True, payments=payments), directus, queue)
    assert (caught.value.code, directus.effects.done) == (code, [])


class FlowSecret:
    """Two values are accepted."""

    def accepted(self) -> Iterator[str]:
        yield "current"
        yield "previous"


def call(body: str, secret: str | None) -> tuple[int, dict[str, Any], FakeQueue]:
    directus = rows()
    queue = FakeQueue(directus.effects)
    function = RenderAcceptor(flow_secret=FlowSecret(), rows=directus, queue=queue)
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    event = {"body": body, "headers": headers}
    answer = respond(event, lambda: accept(event, function))
    return answer["statusCode"], json.loads(answer["body"]), queue


@pytest.mark.parametrize("secret", ["current", "previous"])
def test_the_route_answers_202_with_the_number(secret: str) -> None:
    status, body, queue = call(json.dumps({"invoices": [INVOICE, OTHER], "force": None}), secret)
    assert (status, body, len(queue.messages)) == (202, {"accepted": 2}, 2)


@pytest.mark.parametrize(
    ("body", "secret", "status", "code"),
    [
        (json.dumps({"invoices": INVOICE}), None, 401, "unauthenticated"),
        (json.dumps({"invoices": INVOICE}), "wrong", 401, "unauthenticated"),
        ("{", "current", 400, "malformed_json"),
        (json.dumps({"invoices": "undefined"}), "current", 400, "nothing_to_do"),
        (json.dumps({"invoices": UNKNOWN}), "current", 404, "not_found"),
        (json.dumps({"invoices": DRAFT}), "current", 409, "invoice_is_draft"),
        (json.dumps({"payments": UNKNOWN}), "current", 404, "not_found"),
        (json.dumps({"payments": UNPAID}), "current", 409, "no_receipt_due"),
    ],
)
def test_the_route_refuses_with_a_problem(body: str, secret: str | None, status: int, code: str) -> None:
    answered, problem, queue = call(body, secret)
    assert (answered, problem["status"], problem["code"], queue.messages) == (status, status, code, [])
