"""What people do with an invoice, one function a step; each returns what it saw and raises if it is not so.

The demo prints these; the end-to-end tests assert on them. Nothing here knows the functions' code: everything goes
through Directus, Stripe's page and the deployed functions, as in a firm.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config

from local.demo.people import Answer, Person, send
from local.waiting import wait_for

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"


@dataclass(frozen=True)
class Firm:
    """A running stack as its users see it, from `stack.json`."""

    description: dict[str, Any]

    @property
    def directus_url(self) -> str:
        """Where Directus is."""
        return str(self.description["directus"]["url"])

    @cached_property
    def administrator(self) -> Person:
        """Sees every row; used only to look."""
        return Person(self.directus_url, self.description["directus"]["admin_token"])

    @property
    def anonymous(self) -> Person:
        """Without a login."""
        return Person(self.directus_url)

    @cached_property
    def staff(self) -> list[Person]:
        """Staff, logged in, in the order of `stack.json`."""
        return [self._logged_in(login) for login in self.description["directus"]["staff"]]

    @cached_property
    def clients(self) -> list[Person]:
        """Clients' people, logged in, in the order of `stack.json`."""
        return [self._logged_in(login) for login in self.description["directus"]["clients"]]

    def _logged_in(self, login: dict[str, Any]) -> Person:
        return Person.log_in(self.directus_url, login["email"], login["password"])

    def client_of(self, number: int) -> str:
        """The id of the client that portal user `number` belongs to."""
        return str(self.description["directus"]["clients"][number]["client"])

    def flow(self, name: str) -> str:
        """The id of a flow."""
        return str(self.description["directus"]["flows"][name])

    def function(
        self, path: str, body: Any, *, secret: str | None = None, raw: bytes | None = None
    ) -> Answer:
        """Call a route of the functions with the flow secret (or another one)."""
        functions = self.description["functions"]
        given = functions["flow_secret"] if secret is None else secret
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        return send("POST", f"{functions['api_url']}{path}", body=body, headers=headers, raw=raw)

    def aws(self, service: str) -> Any:
        """A boto3 client of the emulated account."""
        aws = self.description["aws"]
        return boto3.client(  # type: ignore[call-overload]  # the service is a variable
            service,
            endpoint_url=aws["endpoint_url"],
            region_name=aws["region"],
            aws_access_key_id=aws["access_key_id"],
            aws_secret_access_key=aws["secret_access_key"],
            config=Config(retries={"max_attempts": 1}, read_timeout=120),
        )

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function manually, as a person would with the AWS command line, and return its answer."""
        name = self.description["functions"]["names"][function]
        answer = self.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        document = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, f"{function} failed: {document}"
        return document

    def simulator(self, method: str, path: str, body: Any = None) -> Answer:
        """Call the simulator's interface for programs."""
        return send(method, f"{self.description['stripe']['api_base']}{path}", body=body)

    def messages(self) -> list[dict[str, Any]]:
        """Every e-mail that was caught, oldest first."""
        found: list[dict[str, Any]] = send("GET", f"{self.description['mail']['url']}/messages").json
        return found


def new_number(firm: Firm) -> str:
    """An unused invoice number."""
    year = datetime.now(UTC).year
    taken = {
        row["invoice_number"]
        for row in firm.administrator.list(
            "invoices", {"invoice_number": {"_starts_with": f"{year}-D"}}, "invoice_number"
        )
    }
    return next(number for count in range(1, 10_000) if (number := f"{year}-D{count:03d}") not in taken)


def draft_invoice(
    firm: Firm,
    staff: Person,
    client: str,
    lines: list[dict[str, Any]],
    today: date | None = None,
    /,
    **columns: object,
) -> dict[str, Any]:
    """Staff writes a draft with line items, in one request as the Data Studio does.

    Its lines are of `today` (UTC's day by default), it is issued then and by default due 30 days later.
    """
    today = today or datetime.now(UTC).date()
    dated = [{"date": today.isoformat(), **line} for line in lines]
    return staff.create(
        "invoices",
        {
            "invoice_number": new_number(firm),
            "client": client,
            "currency": "USD",
            "tax_rate": "8.25",
            "issue_date": today.isoformat(),
            "due_date": (today + timedelta(days=30)).isoformat(),
            "status": "draft",
            "line_items": {"create": dated, "update": [], "delete": []},
            **columns,
        },
    )


def fee(description: str, hours: str, rate: str, amount: str, **columns: object) -> dict[str, Any]:
    """A line item for a lawyer's time; `draft_invoice` dates it."""
    line = {"kind": "fee", "description": description, "hours": hours, "rate": rate, "amount": amount}
    return {**line, "timekeeper": "M. Okafor", **columns}


def expense(description: str, amount: str) -> dict[str, Any]:
    """A line item for money laid out; `draft_invoice` dates it."""
    return {"kind": "expense", "description": description, "amount": amount}


def send_invoice(firm: Firm, staff: Person, invoice: str) -> dict[str, Any]:
    """Staff sets the status to sent; return the invoice once it is sent and its PDF is ready."""
    staff.update("invoices", invoice, {"status": "sent"})
    return wait_for_invoice(
        firm, invoice, lambda row: row["pdf_status"] in {"ready", "failed"} and row["sent_at"]
    )


def wait_for_invoice(firm: Firm, invoice: str, condition: Any, *, seconds: float = 90) -> dict[str, Any]:
    """The invoice's row once the condition holds."""
    return wait_for(
        f"invoice {invoice}",
        lambda: row if condition(row := firm.administrator.read("invoices", invoice)) else None,
        seconds=seconds,
    )


def documents_of(person: Person, invoice: str) -> list[dict[str, Any]]:
    """The documents of an invoice that this person sees."""
    return person.list(
        "documents", {"invoice": {"_eq": invoice}}, "id,type,title,version,file.id,file.filename_download"
    )


def payments_of(firm: Firm, invoice: str, *, status: str | None = None) -> list[dict[str, Any]]:
    """The payment rows of an invoice."""
    condition: dict[str, Any] = {"invoice": {"_eq": invoice}}
    if status:
        condition["status"] = {"_eq": status}
    return firm.administrator.list("payments", condition)


def deliveries_of(firm: Firm, checkout_session: str) -> list[dict[str, Any]]:
    """What the simulator delivered about a session: `checkout.session.completed`, attempts and answers."""
    found: list[dict[str, Any]] = firm.simulator("GET", "/_test/deliveries").json["data"]
    return [row for row in found if row["object"] == checkout_session]


def charge_of(firm: Firm, payment: dict[str, Any]) -> str:
    """The charge behind a payment row."""
    return str(firm.simulator("GET", f"/_test/objects/{payment['transaction_id']}").json["latest_charge"])


def refund(firm: Firm, payment: dict[str, Any], minor: int | None = None) -> dict[str, Any]:
    """The firm refunds a payment (or `minor` units of it) in Stripe's dashboard."""
    body = {} if minor is None else {"amount": minor}
    answer = firm.simulator("POST", f"/_test/charges/{charge_of(firm, payment)}/refund", body)
    assert answer.status == HTTPStatus.OK, answer.body
    made: dict[str, Any] = answer.json
    return made


def dispute(firm: Firm, payment: dict[str, Any], outcome: str, minor: int | None = None) -> dict[str, Any]:
    """The cardholder disputes a payment with the bank; `outcome` is won, lost or open."""
    body: dict[str, Any] = {"outcome": outcome, **({} if minor is None else {"amount": minor})}
    answer = firm.simulator("POST", f"/_test/charges/{charge_of(firm, payment)}/dispute", body)
    assert answer.status == HTTPStatus.OK, answer.body
    made: dict[str, Any] = answer.json
    return made


@contextmanager
def webhooks_lost(firm: Firm) -> Iterator[None]:
    """Whatever happens at Stripe meanwhile is never delivered, nor retried."""
    try:
        assert firm.simulator("POST", "/_test/deliveries", {"lose": 100_000}).status == HTTPStatus.OK
        yield
        # The fee is announced a little after its payment, and that is to be lost as well.
        wait_for("the last events", lambda: _nothing_to_come(firm))
    finally:
        firm.simulator("POST", "/_test/deliveries", {"lose": 0})


def _nothing_to_come(firm: Firm) -> bool:
    found = firm.simulator("GET", "/_test/deliveries").json
    return not found["waiting"] and found["data"][-1]["type"] in {"charge.updated", "charge.dispute.closed"}


def is_empty(firm: Firm, queue: str) -> bool:
    """Whether nothing waits in a queue and nothing of it is being worked on."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    ]
    url = firm.description["aws"]["queues"][queue]
    answer = firm.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return all(int(answer["Attributes"][name]) == 0 for name in names)


def unknown_id() -> str:
    """An id that no row has."""
    return str(uuid.uuid4())
