"""Sixty payments of one invoice entered at once, on the real Directus: an order each, and the next client's turn."""

from billing.messages import RenderInvoicePdf
from tests.integration.payments.firm import Firm

MANY = 60


def test_sixty_checks_entered_at_once_are_sixty_orders_and_another_clients_pdf_is_the_next(
    firm: Firm,
) -> None:
    invoice = firm.invoice("100.00")
    check = {"invoice": invoice, "amount": "1.00", "method": "check", "status": "succeeded"}
    rows = firm.staff.call("POST", "/items/payments", [check] * MANY)
    entered = [row["id"] for row in rows]
    for payment in entered:  # Directus tells of each row of a batch by itself
        firm.changed(payments=[payment])
    firm.drain()
    firm.rendering.send_many([RenderInvoicePdf("another client's")])
    orders = [message.get("payment") or message["invoice"] for message in firm.rendering.messages]
    assert orders == [*entered, "another client's"]
    assert firm.stored(invoice)["status"] == "partially_paid"
    assert firm.failures == []
