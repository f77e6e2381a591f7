"""The demo's steps as assertions, and the same life with things going wrong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from local.demo import steps
from local.demo.people import pay_on_the_page
from local.waiting import wait_for
from tests.e2e.support import write_behind_the_flows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.demo.steps import Firm
    from local.stack import Stack


def money(value: object) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def draft(firm: Firm, amount: str = "1000.00", **columns: object) -> str:
    lines = [steps.fee("Advice on the lease", "2.00", "500.00", amount)]
    row = steps.draft_invoice(firm, firm.staff[0], firm.client_of(0), lines, **{"tax_rate": "0", **columns})
    return str(row["id"])


def sent(firm: Firm, amount: str = "1000.00", **columns: object) -> str:
    invoice = draft(firm, amount, **columns)
    steps.send_invoice(firm, firm.staff[0], invoice)
    return invoice


def pressed_pay(firm: Firm, invoice: str, amount: str | None = None) -> dict[str, Any]:
    answer = firm.clients[0].pay(firm.flow("pay_invoice"), invoice, amount)
    assert answer.status == 200, answer.body
    started: dict[str, Any] = answer.json
    return started


@pytest.fixture
def duplicated(firm: Firm) -> Iterator[None]:
    firm.simulator("POST", "/_test/deliveries", {"duplicate": 1})
    yield
    firm.simulator("POST", "/_test/deliveries", {"duplicate": 0})


def test_a_sent_invoice_gets_its_totals_and_a_pdf_that_only_its_client_may_read(firm: Firm) -> None:
    invoice = draft(firm, "1234.56", tax_rate="8.25")
    row = steps.send_invoice(firm, firm.staff[0], invoice)
    assert (money(row["subtotal"]), money(row["tax"]), money(row["total"])) == (
        Decimal("1234.56"),
        Decimal("101.85"),
        Decimal("1336.41"),
    )
    assert (row["status"], row["pdf_status"], money(row["balance_due"])) == (
        "sent",
        "ready",
        money(row["total"]),
    )
    (document,) = steps.documents_of(firm.clients[0], invoice)
    asset = f"/assets/{document['file']['id']}"
    pdf = firm.clients[0].ask("GET", asset)
    assert (pdf.status, pdf.headers["content-type"], pdf.body[:5]) == (200, "application/pdf", b"%PDF-")
    stored = firm.aws("s3").list_objects_v2(
        Bucket=firm.description["aws"]["documents_bucket"], Prefix=document["file"]["id"]
    )
    assert [entry["Key"] for entry in stored["Contents"]] == [f"{document['file']['id']}.pdf"]
    strangers = [
        person for number, person in enumerate(firm.clients) if firm.client_of(number) != firm.client_of(0)
    ]
    assert strangers
    for person in (*strangers, firm.staff[1], firm.anonymous):
        assert person.ask("GET", asset).status == 403
        assert person.ask("GET", f"/items/invoices/{invoice}").status == 403


@pytest.mark.usefixtures("duplicated")
def test_a_payment_whose_webhooks_arrive_twice_is_booked_once(firm: Firm) -> None:
    invoice = sent(firm)
    started = pressed_pay(firm, invoice)
    assert pay_on_the_page(started["url"], steps.GOOD_CARD).status == 303
    wait_for(
        "two deliveries",
        lambda: (
            len(
                [
                    delivery
                    for delivery in steps.deliveries_of(firm, started["checkout_session"])
                    if delivery["type"] == "checkout.session.completed" and delivery["status"] == 200
                ]
            )
            >= 2
        ),
    )
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
    assert (money(row["amount_paid"]), money(row["balance_due"])) == (Decimal("1000.00"), Decimal("0.00"))
    (payment,) = steps.payments_of(firm, invoice)
    assert (payment["status"], money(payment["amount"]), payment["currency"]) == (
        "succeeded",
        Decimal("1000.00"),
        "USD",
    )
    assert (payment["method"], payment["brand"], payment["last4"]) == ("card", "visa", "4242")
    assert payment["open_claim"] is None
    assert payment["transaction_id"].startswith("pi_")
    events = wait_for(
        "every event of the payment to be done",
        lambda: _finished_events(firm, started["checkout_session"]),
    )
    assert {event["status"] for event in events} == {"done"}
    again = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert (again.status, again.error_code) == (409, "ALREADY_PAID")


def _finished_events(firm: Firm, checkout_session: str) -> list[dict[str, Any]] | None:
    rows = firm.administrator.list("stripe_events", {"object_id": {"_eq": checkout_session}})
    return rows if rows and all(row["processed_at"] for row in rows) else None


def test_the_fee_is_filled_in_when_stripe_knows_it(firm: Firm) -> None:
    invoice = sent(firm)
    pay_on_the_page(pressed_pay(firm, invoice)["url"], steps.GOOD_CARD)
    (payment,) = wait_for(
        "the fee", lambda: [row for row in steps.payments_of(firm, invoice) if row["fee"] is not None]
    )
    assert Decimal(0) < money(payment["fee"]) < Decimal(50)


def test_a_declined_card_leaves_everything_open_and_the_next_card_pays(firm: Firm) -> None:
    invoice = sent(firm)
    started = pressed_pay(firm, invoice)
    assert pay_on_the_page(started["url"], steps.DECLINED_CARD).status == 402
    (attempt,) = steps.payments_of(firm, invoice)
    assert (attempt["status"], attempt["open_claim"]) == ("pending", invoice)
    assert pressed_pay(firm, invoice)["checkout_session"] == started["checkout_session"]
    assert pay_on_the_page(started["url"], steps.GOOD_CARD).status == 303
    steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
    assert len(steps.payments_of(firm, invoice)) == 1


def test_partial_payments_add_up(firm: Firm) -> None:
    invoice = sent(firm)
    pay_on_the_page(pressed_pay(firm, invoice, "400.00")["url"], steps.GOOD_CARD)
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "partially_paid")
    assert (money(row["amount_paid"]), money(row["balance_due"])) == (Decimal("400.00"), Decimal("600.00"))
    rest = pressed_pay(firm, invoice)
    assert money(rest["amount"]) == Decimal("600.00")
    pay_on_the_page(rest["url"], steps.GOOD_CARD)
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
    assert money(row["balance_due"]) == Decimal("0.00")
    assert len(steps.payments_of(firm, invoice, status="succeeded")) == 2


def test_everybody_who_presses_pay_at_once_meets_one_session(firm: Firm) -> None:
    invoice = sent(firm)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: firm.clients[0].pay(firm.flow("pay_invoice"), invoice), range(6)))
    # Whoever loses the race for the claim five times is told to try again in a moment.
    assert {answer.status for answer in answers} <= {200, 503}
    sessions = {answer.json["checkout_session"] for answer in answers if answer.status == 200}
    assert sessions == {pressed_pay(firm, invoice)["checkout_session"]}
    assert len(steps.payments_of(firm, invoice)) == 1


def test_another_amount_replaces_the_open_session(firm: Firm) -> None:
    invoice = sent(firm)
    first = pressed_pay(firm, invoice)
    second = pressed_pay(firm, invoice, "250.00")
    assert second["checkout_session"] != first["checkout_session"]
    old = firm.simulator("GET", f"/_test/objects/{first['checkout_session']}").json
    assert old["status"] == "expired"
    assert pay_on_the_page_is_gone(first["url"])


def pay_on_the_page_is_gone(url: str) -> bool:
    from local.demo.people import send

    return send("GET", url).status == 410


def test_voiding_an_invoice_expires_its_open_session(firm: Firm) -> None:
    invoice = sent(firm)
    started = pressed_pay(firm, invoice)
    firm.staff[0].update("invoices", invoice, {"status": "void"})
    wait_for("the session to expire", lambda: pay_on_the_page_is_gone(started["url"]))
    (attempt,) = wait_for(
        "the attempt to end",
        lambda: [row for row in steps.payments_of(firm, invoice) if row["open_claim"] is None],
    )
    assert attempt["status"] == "canceled"
    answer = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert (answer.status, answer.error_code) == (409, "NOT_PAYABLE")


def test_staff_cancel_an_open_attempt_and_its_session_expires(firm: Firm) -> None:
    """The guard writes the cancellation; the Billing changed flow still tells the invoice writer, who asks Stripe."""
    invoice = sent(firm)
    started = pressed_pay(firm, invoice)
    (attempt,) = steps.payments_of(firm, invoice)
    firm.staff[0].update("payments", attempt["id"], {"status": "canceled"})
    wait_for("the session to expire", lambda: pay_on_the_page_is_gone(started["url"]))
    (ended,) = wait_for(
        "the attempt to end",
        lambda: [row for row in steps.payments_of(firm, invoice) if row["open_claim"] is None],
    )
    assert ended["status"] == "canceled"
    again = pressed_pay(firm, invoice)
    assert again["checkout_session"] != started["checkout_session"]


def test_staff_records_a_check_and_the_invoice_follows(firm: Firm) -> None:
    invoice = sent(firm)
    firm.staff[0].create(
        "payments",
        {
            "invoice": invoice,
            "client": firm.client_of(0),
            "amount": "250.00",
            "currency": "USD",
            "method": "check",
            "reference": "1042",
            "status": "succeeded",
        },
    )
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "partially_paid")
    assert money(row["balance_due"]) == Decimal("750.00")


def test_a_discount_after_a_check_makes_a_version_that_says_what_is_left_and_what_it_replaces(
    firm: Firm,
) -> None:
    invoice = sent(firm)
    check = {"amount": "600.00", "currency": "USD", "method": "check", "status": "succeeded"}
    firm.staff[0].create("payments", {"invoice": invoice, "client": firm.client_of(0), **check})
    steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "partially_paid")
    firm.staff[0].create(
        "line_items",
        {"invoice": invoice, "kind": "discount", "description": "Courtesy", "amount": "-100.00"},
    )
    row = steps.wait_for_invoice(firm, invoice, lambda found: money(found["total"]) == Decimal("900.00"))
    assert money(row["balance_due"]) == Decimal("300.00")

    def titles() -> dict[int, str]:
        documents = steps.documents_of(firm.clients[0], invoice)
        return {each["version"]: each["title"] for each in documents if each["type"] == "invoice"}

    number = row["invoice_number"]
    wanted = {1: f"Invoice {number} (version 1, replaced)", 2: f"Invoice {number} (version 2)"}
    wait_for("the second version, and the first one titled as replaced", lambda: titles() == wanted)


def test_rendering_again_never_makes_a_second_document(firm: Firm) -> None:
    invoice = sent(firm)
    before = steps.documents_of(firm.clients[0], invoice)
    for force in (False, True):
        accepted = firm.function("/invoices/pdf", {"invoices": invoice, "force": force})
        assert (accepted.status, accepted.json) == (202, {"accepted": 1})
        steps.wait_for_invoice(firm, invoice, lambda row: row["pdf_status"] == "ready")
    assert steps.documents_of(firm.clients[0], invoice) == before


def test_totals_that_do_not_add_up_are_refused_with_both_numbers(firm: Firm) -> None:
    invoice = draft(firm, "1000.00", total="999.00")
    firm.staff[0].update("invoices", invoice, {"status": "sent"})
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["pdf_status"] == "failed")
    assert "999.00" in row["pdf_error"]
    assert "1000.00" in row["pdf_error"]
    answer = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    assert (answer.status, answer.error_code) == (422, "TOTALS_DO_NOT_ADD_UP")


def test_an_overdue_invoice_is_marked_and_reminded_of_once_per_step(firm: Firm) -> None:
    today = datetime.now(UTC).date()
    invoice = sent(firm, issue_date=str(today - timedelta(days=40)), due_date=str(today - timedelta(days=10)))
    row = firm.administrator.read("invoices", invoice)
    assert row["status"] == "overdue"
    for _ in range(2):
        answer = firm.invoke("reminders", {"as_of": today.isoformat()})
        assert set(answer) >= {"overdue_marked", "planned", "queued", "skipped"}
    (notice,) = wait_for(
        "the notice",
        lambda: firm.administrator.list(
            "notices", {"_and": [{"invoice": {"_eq": invoice}}, {"status": {"_eq": "sent"}}]}
        ),
    )
    assert notice["dedupe_key"] == f"reminder:{notice['step']}:{invoice}:email"
    wait_for("both runs' messages to be worked off", lambda: steps.is_empty(firm, "reminders"))
    mails = [mail for mail in firm.messages() if row["invoice_number"] in mail["subject"] + mail["text"]]
    assert len(mails) == 1
    assert "1,000.00" in mails[0]["text"]
    assert len(firm.administrator.list("notices", {"invoice": {"_eq": invoice}})) == 1


def test_a_webhook_that_arrives_while_directus_is_away_is_applied_when_it_is_back(
    firm: Firm, stack: Stack
) -> None:
    invoice = sent(firm)
    started = pressed_pay(firm, invoice)
    stack.stop_process("directus")
    try:
        assert pay_on_the_page(started["url"], steps.GOOD_CARD).status == 303
        wait_for(
            "the webhook to be accepted",
            lambda: any(
                delivery["type"] == "checkout.session.completed" and delivery["status"] == 200
                for delivery in steps.deliveries_of(firm, started["checkout_session"])
            ),
        )
    finally:
        stack.start_process("directus")
    row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid", seconds=120)
    assert money(row["amount_paid"]) == Decimal("1000.00")
    assert len(steps.payments_of(firm, invoice)) == 1


def test_a_checkout_while_stripe_is_away_can_be_completed_later(firm: Firm, stack: Stack) -> None:
    invoice = sent(firm)
    user = firm.description["directus"]["clients"][0]["user"]
    before = {
        name: value
        for name, value in firm.administrator.read("invoices", invoice).items()
        if name != "payments"
    }
    stack.stop_process("stripe_simulator")
    try:
        refused = firm.function("/checkout", {"invoice": invoice, "user": user})
        through_the_flow = firm.clients[0].pay(firm.flow("pay_invoice"), invoice)
    finally:
        stack.start_process("stripe_simulator")
    assert (refused.status, refused.json["code"]) == (503, "stripe_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert through_the_flow.status == 503
    assert "undefined" not in through_the_flow.body.decode()
    assert firm.description["functions"]["flow_secret"] not in through_the_flow.body.decode()
    after = firm.administrator.read("invoices", invoice)
    assert {name: value for name, value in after.items() if name != "payments"} == before
    (attempt,) = steps.payments_of(firm, invoice)
    assert (attempt["status"], attempt["open_claim"], attempt["checkout_session"]) == (
        "pending",
        invoice,
        None,
    )
    started = pressed_pay(firm, invoice)
    (completed,) = steps.payments_of(firm, invoice)
    assert (completed["id"], completed["checkout_session"]) == (attempt["id"], started["checkout_session"])


def test_reconcile_has_what_is_derived_derived_again_and_only_looks_in_a_dry_run(firm: Firm) -> None:
    invoice = sent(firm)
    # An administrator may write what nobody else may; recompute would mend it, so the flows are not told.
    broken = write_behind_the_flows(firm, "invoices", invoice, {"amount_paid": "77.00"})
    assert money(broken["amount_paid"]) == Decimal("77.00")
    looked = firm.invoke("reconcile", {"dry_run": True})
    assert looked["repaired"] == []
    assert all({"kind", "detail"} <= difference.keys() for difference in looked["differences"])
    (found,) = [entry for entry in looked["differences"] if entry.get("invoice") == invoice]
    assert found["kind"] == "invoice_differs"
    assert "77.00" in found["detail"]
    assert money(firm.administrator.read("invoices", invoice)["amount_paid"]) == Decimal("77.00")
    repaired = firm.invoke("reconcile", {})["repaired"]
    (mended,) = [entry for entry in repaired if entry.get("invoice") == invoice]
    assert (mended["kind"], mended["repair"]) == ("invoice_differs", "recompute")
    steps.wait_for_invoice(firm, invoice, lambda found: money(found["amount_paid"]) == Decimal("0.00"))


def test_yen_and_euro_invoices_are_paid_exactly(firm: Firm) -> None:
    for currency, amount, minor in (("JPY", "120000.00", 120000), ("EUR", "250.50", 25050)):
        invoice = sent(firm, amount, currency=currency)
        started = pressed_pay(firm, invoice)
        session = firm.simulator("GET", f"/_test/objects/{started['checkout_session']}").json
        assert (session["amount_total"], session["currency"]) == (minor, currency.lower())
        pay_on_the_page(started["url"], steps.GOOD_CARD)
        row = steps.wait_for_invoice(firm, invoice, lambda found: found["status"] == "paid")
        assert money(row["amount_paid"]) == Decimal(amount)


def test_no_matter_and_no_line_of_a_bill_reaches_stripe(firm: Firm) -> None:
    invoice = sent(firm, matter_name="People v. Doe", matter_number="M-77")
    started = pressed_pay(firm, invoice)
    stored = json.dumps(firm.simulator("GET", f"/_test/objects/{started['checkout_session']}").json)
    assert "Doe" not in stored
    assert "M-77" not in stored
    assert "lease" not in stored
