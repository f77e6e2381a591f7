"""Rows as Directus sends them: one sent invoice of 1,000.00 plus 10 % tax, with a payment made before it was sent."""

from typing import Any

from tests.fakes.documents import Effects, FakeDirectus

INVOICE = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
LOGO = "33333333-3333-4333-8333-333333333333"

FIRM: dict[str, Any] = {
    "name": "Harrow & Delacroix",
    "legal_name": None,
    "address": "350 Fifth Avenue\nNew York, NY 10118",
    "tax_id": None,
    "email": "billing@example.com",
    "phone": None,
    "logo": None,
    "bank_details": "IBAN DE02",
    "timezone": "America/New_York",
    "currency": "USD",
    "language": "en-US",
    "footer": None,
}


def directus(**invoice: Any) -> FakeDirectus:
    """Directus with the firm, its client and the invoice; keywords change columns of the invoice."""
    row = {
        "id": INVOICE, "invoice_number": "2026-0147", "client": CLIENT, "currency": "USD", "status": "sent",
        "tax_rate": "10.0000", "subtotal": "1000.00", "tax": "100.00", "total": "1100.00", "amount_paid": "300.00",
        "balance_due": "800.00", "due_date": "2026-10-31", "sent_at": "2026-10-01T14:30:00.000Z",
        "pdf_status": "pending", "pdf_error": None, "issue_date": "2026-10-01", "matter_number": None,
        "matter_name": None, "language": None, "client_message": None,
    }  # fmt: skip
    lines = [
        line("a", amount="700.00", hours="2.00", rate="350.00"),
        line("b", kind="expense", amount="350.00", description="Filing fee"),
        line("c", kind="discount", amount="-50.00", description="Courtesy"),
    ]
    return FakeDirectus(
        collections={
            "invoices": {INVOICE: row | invoice},
            "clients": {CLIENT: {"id": CLIENT, "name": "Zoë Müller", "address": None, "tax_id": None, "language": None}},
            "line_items": {found["id"]: found for found in lines},
            "payments": {"p1": payment("p1", amount="300.00", date_created="2026-09-20T09:00:00Z")},
            "documents": {},
            "directus_files": {},
        },
        firm=dict(FIRM),
        effects=Effects(),
    )  # fmt: skip


def line(key: str, **columns: Any) -> dict[str, Any]:
    """A `line_items` row."""
    return {
        "id": key, "invoice": INVOICE, "sort": None, "kind": "fee", "date": "2026-09-02", "timekeeper": "A. Harrow",
        "task_code": None, "description": "Advice", "hours": None, "rate": None,
    } | columns  # fmt: skip


def payment(key: str, **columns: Any) -> dict[str, Any]:
    """A `payments` row."""
    return {
        "id": key, "invoice": INVOICE, "currency": "USD", "status": "succeeded", "method": "wire",
        "payment_date": "2026-09-19", "client": CLIENT, "receipt": None, "receipt_error": None,
    } | columns  # fmt: skip
