"""A payment's receipt on the deployed stack: drawn by the worker, read by the client, by nobody else."""

import io

import pypdf

from local.demo import steps
from local.demo.steps import Firm
from local.waiting import wait_for


def test_a_check_entered_by_staff_is_acknowledged_and_a_mended_amount_again(firm: Firm) -> None:
    lines = [steps.fee("Advice", "1.00", "400.00", "400.00")]
    invoice = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, tax_rate="0")["id"]
    steps.send_invoice(firm, firm.staff[0], invoice)
    payment = firm.staff[0].create(
        "payments",
        {
            "invoice": invoice,
            "amount": "150.00",
            "method": "check",
            "status": "succeeded",
            "reference": "No. 1",
        },
    )["id"]
    first = receipt_of(firm, payment)
    assert "150.00" in text_of(firm, first)
    assert "No. 1" not in text_of(firm, first)

    firm.staff[0].update("payments", payment, {"amount": "155.00"})
    second = wait_for(
        "the receipt of the mended amount",
        lambda: found if (found := receipt_of(firm, payment)) != first else None,
        seconds=90,
    )
    assert "155.00" in text_of(firm, second)
    receipts = {"invoice": {"_eq": invoice}, "type": {"_eq": "receipt"}}
    seen = firm.clients[0].list("documents", receipts, "file,version")
    assert {row["version"]: row["file"] for row in seen} == {1: first, 2: second}

    stranger = next(
        person for number, person in enumerate(firm.clients) if firm.client_of(number) != firm.client_of(0)
    )
    for path in (f"/assets/{second}", f"/files/{second}", f"/items/payments/{payment}"):
        assert stranger.ask("GET", path).status == 403
        assert firm.anonymous.ask("GET", path).status in {401, 403}
    assert stranger.list("documents", receipts) == []


def receipt_of(firm: Firm, payment: str) -> str:
    """The file, as the client sees it on the payment."""
    return str(
        wait_for(
            "the receipt",
            lambda: firm.clients[0].read("payments", payment, "receipt")["receipt"],
            seconds=90,
        )
    )


def text_of(firm: Firm, file: str) -> str:
    """What the client reads."""
    answer = firm.clients[0].ask("GET", f"/assets/{file}")
    assert answer.status == 200, answer.body[:200]
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(answer.body)).pages)
