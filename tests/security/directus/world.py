"""Rows of two clients, of every kind a door could open on, beside the seed data.

`maria` is client 1's (staff: sofia), `juergen` client 2's (staff: james), `zoe` a Client without a client, `ingrid` a partner.
Each side has a draft, a sent and a void invoice, a line, a payment, a refund, a chargeback, a visible and a hidden document with
files, an objection, a notice and an access request.
"""

import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

from directus.rest import Directus
from local.seed import seed_id
from tests.integration.directus.server import RunningDirectus, code_of, running

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@dataclass(frozen=True)
class Side:
    """One client's rows, by what they are."""

    client: str
    draft: str
    sent: str
    void: str
    draft_line: str
    line: str
    payment: str
    card_payment: str
    refund: str
    payment_dispute: str
    visible: str
    hidden: str
    report: str
    visible_file: str
    hidden_file: str
    report_file: str
    receipt_file: str
    logo_file: str
    dispute: str
    notice: str
    portal_access: str


@dataclass(frozen=True)
class World:
    """The two sides on one database."""

    directus: RunningDirectus
    one: Side
    two: Side

    def as_(self, person: str) -> Directus:
        return self.directus.as_(person)

    @property
    def admin(self) -> Directus:
        return self.directus.admin


@cache
def world(database: str) -> World:
    directus = running(database)
    return World(directus, _side(directus, "velazquez", "maria"), _side(directus, "mueller", "juergen"))


def new(directus: RunningDirectus, path: str, row: dict[str, Any]) -> str:
    """Create a row as the administrator; its id."""
    return str(directus.admin.call("POST", f"{path}?fields=id", row)["id"])


def upload(person: Directus, name: str = "a.pdf", **fields: str) -> tuple[int, Any]:
    """Upload a PDF as that person; status and answer."""
    return person.form("POST", "/files", (name, PDF, "application/pdf"), **fields)


def invoice(client: str, **fields: Any) -> dict[str, Any]:
    """A new invoice's row."""
    return {"invoice_number": f"S-{uuid.uuid4().hex[:12]}", "client": client, "currency": "USD", **fields}


def sent_invoice(client: str, **fields: Any) -> dict[str, Any]:
    """A row of an invoice that was sent."""
    amounts = {"subtotal": "100.00", "tax": "0.00", "total": "100.00", "balance_due": "100.00"}
    return invoice(client, status="sent", sent_at="2026-01-05T10:00:00Z", **amounts, **fields)


def _file(directus: RunningDirectus, title: str) -> str:
    status, answer = upload(directus.admin, title=title)
    assert status == 200, answer
    return str(answer["data"]["id"])


def _side(directus: RunningDirectus, key: str, person: str) -> Side:
    client = seed_id("client", key)
    draft = new(directus, "/items/invoices", invoice(client, internal_notes="hidden"))
    sent = new(directus, "/items/invoices", sent_invoice(client, internal_notes="hidden", pdf_error="hidden"))
    void = new(directus, "/items/invoices", sent_invoice(client) | {"status": "void"})
    line = {"description": "Advice", "amount": "100.00", "cost_price": "10.00"}
    money = {"client": client, "amount": "60.00", "currency": "USD", "status": "succeeded"}
    payment = new(directus, "/items/payments", money | {"invoice": sent, "method": "check", "note": "hidden"})
    stripe = f"pi_{uuid.uuid4().hex}"
    card = new(
        directus, "/items/payments", money | {"invoice": sent, "method": "card", "transaction_id": stripe}
    )
    files = {
        name: _file(directus, f"{key} {name}") for name in ("visible", "hidden", "report", "receipt", "logo")
    }
    directus.admin.call("PATCH", f"/items/clients/{client}", {"logo": files["logo"]})
    directus.admin.call("PATCH", f"/items/payments/{card}", {"receipt": files["receipt"]})
    document = {"client": client, "invoice": sent, "type": "invoice", "title": key}
    charge = {"payment": card, "amount": "60.00", "currency": "USD", "status": "needs_response"}
    notice = {"kind": "reminder", "recipient": "x@example.com", "client": client, "invoice": sent}
    return Side(
        client=client,
        draft=draft,
        sent=sent,
        void=void,
        draft_line=new(directus, "/items/line_items", line | {"invoice": draft}),
        line=new(directus, "/items/line_items", line | {"invoice": sent}),
        payment=payment,
        card_payment=card,
        refund=new(
            directus,
            "/items/refunds",
            {"payment": payment, "amount": "1.00", "currency": "USD", "status": "succeeded"},
        ),
        payment_dispute=new(directus, "/items/payment_disputes", charge),
        visible=new(
            directus, "/items/documents", document | {"file": files["visible"], "visible_to_client": True}
        ),
        hidden=new(
            directus, "/items/documents", document | {"file": files["hidden"], "visible_to_client": False}
        ),
        report=new(
            directus,
            "/items/documents",
            {
                "type": "report",
                "title": "Report",
                "file": files["report"],
                "visible_to_client": True,
                "client": client,
            },
        ),
        visible_file=files["visible"],
        hidden_file=files["hidden"],
        report_file=files["report"],
        receipt_file=files["receipt"],
        logo_file=files["logo"],
        dispute=new(
            directus,
            "/items/disputes",
            {"invoice": sent, "reason": "hidden", "opened_by": seed_id("user", person)},
        ),
        notice=new(directus, "/items/notices", notice),
        portal_access=new(
            directus, "/items/portal_access", {"client": client, "email": f"{uuid.uuid4().hex}@example.com"}
        ),
    )


def refused(answer: tuple[int, Any], status: int, code: str) -> None:
    """Assert that Directus refused so."""
    assert (answer[0], code_of(answer[1])) == (status, code), answer
