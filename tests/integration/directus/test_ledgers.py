"""A ledger is whole or refused, on the real Directus: half a ledger is a wrong balance."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from billing.directus.client import DirectusClient
from billing.errors import UpstreamUnavailable
from billing.ledger.ledger import Ledger
from billing.payments.store import BillingStore
from directus.doctor import Deployment, examine
from directus.rest import Directus
from local.seed import seed_id
from tests.fakes.directus import FixedToken
from tests.integration.connections import http
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, RunningDirectus, another, running

#: More rows than a Directus with this limit sends of a list unless it is asked for all. The limit lets our flows
#: load: Directus reads their operations with it, too.
LIMIT, MANY = 25, 27


def ledger(directus: RunningDirectus, invoice: str) -> Ledger | None:
    """As the functions read it."""
    client = DirectusClient(directus.url, FixedToken(SERVICE_TOKEN), http())
    return BillingStore(client).ledger(invoice)


@contextmanager
def long_invoice(admin: Directus) -> Iterator[str]:
    """A draft with many line items, payments, objections, and refunds and disputes of its last payment."""
    invoice = admin.call(
        "POST",
        "/items/invoices",
        {
            "invoice_number": "LONG-1",
            "client": seed_id("client", "velazquez"),
            "currency": "USD",
            "status": "draft",
            "line_items": [
                {"kind": "fee", "description": f"Advice {n}", "amount": "1.00"} for n in range(MANY)
            ],
        },
    )["id"]
    money = {"amount": "1.00", "currency": "USD"}
    payment = {**money, "client": seed_id("client", "velazquez"), "method": "wire", "status": "pending"}
    reversals = {
        "refunds": [{**money, "status": "pending"} for _ in range(MANY)],
        "payment_disputes": [{**money, "status": "needs_response"} for _ in range(MANY)],
    }
    try:
        admin.call(
            "PATCH",
            f"/items/invoices/{invoice}",
            {
                "payments": {
                    "create": [payment] * (MANY - 1) + [payment | reversals],
                    "update": [],
                    "delete": [],
                },
                "disputes": {
                    "create": [{"reason": "Too much.", "status": "withdrawn"}] * MANY,
                    "update": [],
                    "delete": [],
                },
            },
        )
        yield invoice
    finally:
        for collection in ("refunds", "payment_disputes"):
            rows = admin.rows(f"/items/{collection}", **{"filter[payment][invoice][_eq]": invoice})
            admin.call("DELETE", f"/items/{collection}", [row["id"] for row in rows])
        for collection in ("payments", "disputes", "line_items"):
            rows = admin.rows(f"/items/{collection}", **{"filter[invoice][_eq]": invoice})
            admin.call("DELETE", f"/items/{collection}", [row["id"] for row in rows])
        admin.call("DELETE", f"/items/invoices/{invoice}")


def test_a_ledger_of_long_lists_is_whole_and_never_cut() -> None:
    """The limits are Directus's own, above its database: SQLite will do."""
    directus = running("sqlite")
    with long_invoice(directus.admin) as invoice:
        with another(directus, {"QUERY_LIMIT_DEFAULT": str(LIMIT)}) as unless_asked:
            read = ledger(unless_asked, invoice)
            assert read is not None
            lists = (read.line_items, read.payments, read.refunds, read.payment_disputes, read.disputes)
            assert [len(rows) for rows in lists] == [MANY] * 5
            assert sum(line.amount.minor for line in read.line_items) == 100 * MANY
        with another(directus, {"QUERY_LIMIT_MAX": str(LIMIT)}) as limited:
            with pytest.raises(UpstreamUnavailable) as refusal:
                ledger(limited, invoice)
            assert (refusal.value.code, refusal.value.ids) == ("rows_cut", {"invoice": invoice})
            findings = examine(Deployment(limited.url, ADMIN_TOKEN))
            wrong = [found.what for found in findings if found.state == "wrong"]
            assert any(f"QUERY_LIMIT_MAX={LIMIT}" in what for what in wrong)
