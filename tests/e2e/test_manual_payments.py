"""Staff records a wire, a check or a refund in Directus, and the invoice follows within seconds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from local.demo import steps
from local.demo.people import send
from local.waiting import wait_for

if TYPE_CHECKING:
    from local.demo.steps import Firm

#: What "within seconds" means on a machine that renders PDFs meanwhile.
SECONDS = 20.0


def _money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def _sent(firm: Firm, amount: str = "1000.00") -> str:
    """An invoice without tax that was sent and has its totals."""
    lines = [steps.fee("Advice on the lease", "2.00", "500.00", amount)]
    row = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")
    invoice = str(row["id"])
    firm.staff[0].update("invoices", invoice, {"status": "sent"})
    _follows(firm, invoice, "sent", "0.00", amount)
    return invoice


def _enter(firm: Firm, invoice: str, amount: str, **fields: Any) -> str:
    """Staff enters a payment as the form of the Data Studio does: client and currency are filled in by Directus."""
    row = {"invoice": invoice, "amount": amount, "method": "wire", "status": "succeeded", **fields}
    return str(firm.staff[0].create("payments", row)["id"])


def _follows(firm: Firm, invoice: str, status: str, paid: str, balance: str) -> None:
    """Wait until the invoice says so."""

    def says_so(row: dict[str, Any]) -> bool:
        if row["sent_at"] is None or row["balance_due"] is None:
            return False
        stored = (row["status"], _money(row["amount_paid"]), _money(row["balance_due"]))
        return stored == (status, Decimal(paid), Decimal(balance))

    steps.wait_for_invoice(firm, invoice, says_so, seconds=SECONDS)


def test_one_wire_for_three_invoices_leaves_each_of_the_three_right(firm: Firm) -> None:
    invoices = [_sent(firm, amount) for amount in ("100.00", "200.50", "300.00")]
    wire = {"reference": "FT26009-447", "payment_date": "2026-01-09"}
    for invoice, part in zip(invoices, ("100.00", "200.50", "249.50"), strict=True):
        _enter(firm, invoice, part, **wire)
    _follows(firm, invoices[0], "paid", "100.00", "0.00")
    _follows(firm, invoices[1], "paid", "200.50", "0.00")
    _follows(firm, invoices[2], "partially_paid", "249.50", "50.50")
    rows = [row for invoice in invoices for row in steps.payments_of(firm, invoice)]
    assert [(row["reference"], row["transaction_id"], row["open_claim"]) for row in rows] == [
        ("FT26009-447", None, None)
    ] * 3


def test_a_check_in_the_forms_defaults_pays_the_invoice(firm: Firm) -> None:
    invoice = _sent(firm, "100.00")
    # What the Data Studio sends: what was typed, and no status and date that were not touched.
    row = {"invoice": invoice, "amount": "100.00", "currency": "USD", "method": "check", "reference": "1042"}
    payment = firm.staff[0].create("payments", row)
    assert payment["payment_date"] is not None
    _follows(firm, invoice, "paid", "100.00", "0.00")


def test_a_check_counts_when_it_has_cleared_and_no_longer_when_it_is_canceled(firm: Firm) -> None:
    invoice = _sent(firm)
    check = _enter(firm, invoice, "400.00", method="check", reference="1042", status="pending")
    # Another check of the same number is the mark that the first one was looked at: it counts and the first does not.
    _enter(firm, invoice, "50.00", method="check", reference="1042", note="another bank")
    _follows(firm, invoice, "partially_paid", "50.00", "950.00")
    staff = firm.staff[0]
    staff.update("payments", check, {"status": "succeeded", "payment_date": "2026-01-12"})
    _follows(firm, invoice, "partially_paid", "450.00", "550.00")
    staff.update("payments", check, {"amount": "450.00"})
    _follows(firm, invoice, "partially_paid", "500.00", "500.00")
    staff.update("payments", check, {"status": "canceled", "note": "bounced"})
    _follows(firm, invoice, "partially_paid", "50.00", "950.00")
    _enter(firm, invoice, "950.00", method="check", reference="1043")
    _follows(firm, invoice, "paid", "1000.00", "0.00")


def test_a_canceled_wire_opens_the_invoice_again(firm: Firm) -> None:
    invoice = _sent(firm)
    wire = _enter(firm, invoice, "1000.00")
    _follows(firm, invoice, "paid", "1000.00", "0.00")
    firm.staff[0].update("payments", wire, {"status": "canceled"})
    _follows(firm, invoice, "sent", "0.00", "1000.00")


def test_a_refund_by_hand_reopens_the_invoice_until_it_is_canceled(firm: Firm) -> None:
    invoice = _sent(firm)
    wire = _enter(firm, invoice, "1000.00")
    _follows(firm, invoice, "paid", "1000.00", "0.00")
    staff = firm.staff[0]
    refund = staff.create("refunds", {"payment": wire, "amount": "300.00", "status": "succeeded"})
    _follows(firm, invoice, "partially_paid", "700.00", "300.00")
    (payment,) = steps.payments_of(firm, invoice)
    assert (payment["status"], _money(payment["amount"]), _money(payment["amount_refunded"])) == (
        "succeeded",
        Decimal("1000.00"),
        Decimal("300.00"),
    )
    second = staff.create("refunds", {"payment": wire, "amount": "700.00", "status": "succeeded"})
    _follows(firm, invoice, "sent", "0.00", "1000.00")
    for row in (refund, second):
        staff.update("refunds", str(row["id"]), {"status": "canceled"})
    _follows(firm, invoice, "paid", "1000.00", "0.00")
    (payment,) = steps.payments_of(firm, invoice)
    assert _money(payment["amount_refunded"]) == Decimal("0.00")


def test_a_wire_that_is_too_large_shows_as_credit(firm: Firm) -> None:
    invoice = _sent(firm)
    _enter(firm, invoice, "1000.01")
    _follows(firm, invoice, "paid", "1000.01", "-0.01")


def test_a_wire_closes_the_page_on_which_the_client_was_about_to_pay(firm: Firm) -> None:
    invoice = _sent(firm)
    answer = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert answer.status == 200, answer.body
    _enter(firm, invoice, "0.01")
    _follows(firm, invoice, "partially_paid", "0.01", "999.99")
    wait_for("the page to close", lambda: send("GET", answer.json["url"]).status == 410, seconds=SECONDS)
    _enter(firm, invoice, "999.99")
    _follows(firm, invoice, "paid", "1000.00", "0.00")
    (attempt,) = [row for row in steps.payments_of(firm, invoice) if row["checkout_session"] is not None]
    assert (attempt["status"], attempt["open_claim"]) == ("canceled", None)
    refused = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert (refused.status, refused.error_code) == (409, "ALREADY_PAID")
