"""What the invoice writer does when rows change: totals, states, sessions that no longer fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from billing.errors import DirectusRejected, NotFound, UpstreamUnavailable
from billing.ledger.ledger import InvoiceStatus
from tests.fakes.steps import Crash, crash
from tests.fakes.world import INVOICE, OTHER_CLIENT, World, opened

# ---- requests of staff, siblings, surplus ---------------------------------------------------------------


def test_a_request_of_staff_to_cancel_expires_the_session() -> None:
    world, session = opened()
    world.payments()[0]["status"] = "canceled"
    world.recompute()
    assert world.stripe.sessions[session].status == "expired"
    assert world.payments()[0]["open_claim"] is None


def test_if_the_client_paid_meanwhile_stripe_wins() -> None:
    world, session = opened()
    world.payments()[0]["status"] = "canceled"
    world.stripe.pays(session)
    world.recompute()
    assert world.payments()[0]["status"] == "succeeded"
    assert world.stored()["status"] == "paid"


@pytest.mark.parametrize("status", ["void", "draft"])
def test_a_session_of_an_invoice_that_is_no_longer_open_is_expired(status: str) -> None:
    world, session = opened()
    world.stored()["status"] = status
    world.recompute()
    assert world.stripe.sessions[session].status == "expired"
    assert world.stored()["status"] == status


def test_a_discount_or_a_wire_expires_a_session_that_asks_for_too_much() -> None:
    for discount in (True, False):
        world, session = opened()
        world.line("-1.00", kind="discount") if discount else world.payment("0.01")
        world.recompute()
        assert world.stripe.sessions[session].status == "expired"


def test_a_session_that_still_fits_stays_open() -> None:
    world, session = opened("40.00")
    world.payment("60.00")
    world.recompute()
    assert world.stripe.sessions[session].is_open
    assert world.stored()["status"] == "partially_paid"


def test_a_bank_debit_cannot_be_called_back() -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    world.stored()["status"] = "void"
    world.recompute()
    assert world.payments()[0]["status"] == "processing"
    world.stripe.settles(session, succeeds=True)
    world.deliver()
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("void", "-100.00")


def _staff_void(world: World) -> None:
    """As Directus writes it: the guard adds the moment to the same change."""
    row = world.stored()
    world.directus.table("invoices")[INVOICE] = {**row, "status": "void", "voided_at": "2026-11-20T15:00:00Z"}


def test_a_void_between_look_and_write_is_restored_by_the_recompute_that_it_asks_for() -> None:
    world, session = opened()
    world.stripe.pays(session)
    overwritten: list[str] = []
    world.steps.before_next["PATCH invoices"] = lambda: _staff_void(world)
    world.steps.after_next["PATCH invoices"] = lambda: overwritten.append(world.stored()["status"])
    world.deliver()
    world.recompute()
    assert overwritten == ["paid"]  # written from what the writer had read
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("void", "-100.00")
    assert world.stored()["voided_at"] == "2026-11-20T15:00:00Z"


def test_an_overwritten_void_expires_the_session_and_orders_no_document() -> None:
    world, session = opened()
    world.stored().update(status="sent", voided_at="2026-11-20T15:00:00Z", pdf_status="none")
    world.rendering.messages.clear()
    world.recompute()
    assert world.stripe.sessions[session].status == "expired"
    assert (world.stored()["status"], world.rendering.messages) == ("void", [])


def test_the_writer_makes_no_invoice_void_that_nobody_voided() -> None:
    world = World()
    world.invoice("100.00")
    ledger = world.ledger()
    void = replace(ledger, invoice=replace(ledger.invoice, status=InvoiceStatus.VOID))
    with pytest.raises(DirectusRejected) as refusal:
        world.store.write(ledger, void)
    assert "INVOICE_NOT_VOIDED" in str(refusal.value.detail)
    assert world.stored()["status"] == "sent"


def test_a_payment_through_an_older_session_expires_the_open_one() -> None:
    world, first = opened()
    row = world.payments()[0]
    row.update(open_claim=None, status="canceled")  # lost by hand: nothing of ours does this
    second = world.pay().checkout_session
    world.drain()
    assert second != first
    world.stripe.pays(first)
    world.deliver([found for found in world.stripe.events if found.object == first])
    assert world.stripe.sessions[second].status == "expired"
    assert world.stored()["balance_due"] == "0.00"


def test_a_surplus_that_arrives_anyway_is_credit() -> None:
    world, first = opened()
    world.payments()[0].update(open_claim=None, status="canceled")
    second = world.pay().checkout_session
    world.stripe.pays(first)
    world.stripe.pays(second)
    world.deliver()
    assert len(world.payments(status="succeeded")) == 2
    assert (world.stored()["status"], world.stored()["amount_paid"], world.stored()["balance_due"]) == ("paid", "200.00", "-100.00")  # fmt: skip


# ---- recompute ------------------------------------------------------------------------------------------


def test_first_sight_of_sent_fills_in_totals_and_asks_for_a_document() -> None:
    world = World()
    world.invoice("100.00", sent=False, subtotal=None, tax=None, total=None, tax_rate="10")
    world.recompute()
    row = world.stored()
    assert (row["subtotal"], row["tax"], row["total"], row["balance_due"]) == (
        "100.00",
        "10.00",
        "110.00",
        "110.00",
    )
    assert row["sent_at"] == "2026-11-20T15:00:00+00:00"
    assert world.rendering.messages == [{"type": "invoice", "invoice": INVOICE, "force": False}]


def test_first_sight_of_sent_fills_in_the_dates_by_the_firms_terms_and_orders_one_document() -> None:
    world = World(time=datetime(2026, 11, 20, 3, 0, tzinfo=UTC))  # still the day before in New York
    world.directus.firm["payment_terms_days"] = 30
    world.invoice("100.00", sent=False)
    world.recompute()
    row = world.stored()
    assert (row["issue_date"], row["due_date"]) == ("2026-11-19", "2026-12-19")
    assert world.rendering.messages == [{"type": "invoice", "invoice": INVOICE, "force": False}]
    row["pdf_status"] = "ready"
    world.recompute()
    assert len(world.rendering.messages) == 1
    written = [path for method, path, *_ in world.directus.requests if method == "PATCH"]
    assert len(written) == 1, "one transaction, with everything else that is filled in"


def test_the_terms_are_those_of_the_moment_of_sending() -> None:
    """A worker that has just read the firm for another invoice does not date this one by what it read."""
    world = World()
    world.invoice("100.00", id="another", due_date="2026-12-01")
    world.recompute("another")
    for terms, due in ((14, "2026-12-04"), (0, "2026-11-20"), (None, None)):
        world.directus.firm["payment_terms_days"] = terms
        invoice = world.invoice("100.00", id=f"{terms}-days", sent=False)["id"]
        world.recompute(invoice)
        assert world.stored(invoice)["due_date"] == due


@pytest.mark.parametrize("column", ["due_date", "issue_date"])
def test_a_date_that_staff_empty_after_sending_stays_empty(column: str) -> None:
    world = World()
    world.directus.firm["payment_terms_days"] = 30
    world.invoice("100.00", sent=False)
    world.recompute()
    world.stored()[column] = None
    world.recompute()
    assert world.stored()[column] is None


def test_an_invoice_that_is_imported_as_sent_is_never_overdue_unless_it_says_when() -> None:
    world = World()
    world.directus.firm["payment_terms_days"] = 30
    world.invoice("100.00", sent_at="2026-01-01T10:00:00+00:00")
    world.recompute()
    row = world.stored()
    assert (row["issue_date"], row["due_date"], row["status"]) == (None, None, "sent")


def test_a_draft_and_a_draft_that_is_voided_get_no_date() -> None:
    world = World()
    world.directus.firm["payment_terms_days"] = 30
    for status in ("draft", "void"):
        world.invoice("100.00", status=status, sent=False)
        world.recompute()
        assert (world.stored()["issue_date"], world.stored()["due_date"]) == (None, None)


def test_totals_that_do_not_add_up_on_first_sight_are_refused_and_say_why() -> None:
    world = World()
    world.invoice("100.00", sent=False, total="99.00")
    world.payment("10.00")
    world.recompute()
    row = world.stored()
    assert row["sent_at"] is None
    assert row["pdf_status"] == "failed"
    assert "99.00 USD" in row["pdf_error"]
    assert "100.00 USD" in row["pdf_error"]
    assert world.flags[0][1]["code"] == "totals_do_not_add_up"
    assert world.rendering.messages == []


def test_a_second_recompute_writes_nothing() -> None:
    world = World()
    world.invoice("100.00", sent=False, subtotal=None, tax=None, total=None)
    world.payment("40.00")
    world.recompute()
    before = world.directus.snapshot()
    world.directus.requests.clear()
    world.recompute()
    assert world.directus.snapshot() == before
    assert {method for method, *_ in world.directus.requests} <= {"SEARCH", "GET"}


@pytest.mark.parametrize("money_as_numbers", [True, False])
def test_both_databases_give_the_same_books(*, money_as_numbers: bool) -> None:
    world, session = opened()
    world.directus.money_as_numbers = money_as_numbers
    world.stripe.pays(session)
    world.deliver()
    world.directus.requests.clear()
    world.recompute()
    assert {method for method, *_ in world.directus.requests} <= {"SEARCH", "GET"}
    assert world.stored()["balance_due"] == "0.00"


def test_refunds_and_lost_chargebacks_are_carried_to_the_payment_row() -> None:
    world = World()
    world.invoice("100.00")
    row = world.payment("100.00")
    world.directus.put("refunds", payment=row["id"], amount="30.00", status="succeeded")
    world.directus.put("payment_disputes", payment=row["id"], amount="20.00", status="lost")
    world.recompute()
    after = world.payments()[0]
    assert (after["amount_refunded"], after["amount_disputed_lost"]) == ("30.00", "20.00")
    assert (world.stored()["amount_paid"], world.stored()["balance_due"]) == ("50.00", "50.00")


def test_a_draft_keeps_its_money_for_the_day_it_is_sent() -> None:
    world = World()
    world.invoice("100.00", status="draft", sent=False)
    world.payment("100.00")
    world.recompute()
    assert world.stored()["status"] == "draft"
    world.stored()["status"] = "sent"
    world.recompute()
    assert world.stored()["status"] == "paid"


def test_there_is_nothing_to_recompute_where_there_is_no_invoice() -> None:
    with pytest.raises(NotFound):
        World().recompute()


def test_the_books_do_not_wait_for_stripe() -> None:
    def away() -> None:
        message = "Stripe cannot be reached."
        raise UpstreamUnavailable(message)

    world, session = opened()
    world.payment("100.00")
    world.steps.before_next["expire session"] = away
    with pytest.raises(UpstreamUnavailable):
        world.recompute()
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("paid", "0.00")
    assert world.stripe.sessions[session].is_open
    world.recompute()
    assert world.stripe.sessions[session].status == "expired"


def test_money_is_booked_though_the_totals_do_not_add_up() -> None:
    world, session = opened()
    world.stored().update(sent_at=None, total="99.00")
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["amount"], row["open_claim"]) == ("succeeded", "100.00", None)
    assert "99.00 USD" in world.stored()["pdf_error"]


def test_a_bank_debit_is_not_even_asked_to_expire() -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    world.stored()["status"] = "void"
    world.steps.reset()
    world.recompute()
    assert "expire session" not in world.steps.names


def test_a_session_in_a_currency_the_invoice_left_is_expired() -> None:
    world, session = opened()
    world.stored()["currency"] = "EUR"
    world.recompute()
    assert world.stripe.sessions[session].status == "expired"


def test_a_success_clears_the_reason_of_an_earlier_failure() -> None:
    world, session = opened()
    world.payments()[0].update(status="failed", failure_reason="No account.", open_claim=None)
    world.stripe.pays(session)
    world.deliver()
    assert (world.payments()[0]["status"], world.payments()[0]["failure_reason"]) == ("succeeded", None)


def _booked_meanwhile(amount: str) -> World:
    """Another worker books the same unapplied payment between the look and the write."""
    world, session = opened()
    world.directus.table("payments").clear()
    world.directus.table("invoices").clear()
    intent = world.stripe.pays(session)
    world.steps.before_next["POST payments"] = lambda: world.payment(
        amount, invoice=None, client=None, transaction_id=intent, method="card"
    )
    world.deliver(world.stripe.events[:1])
    assert len(world.payments()) == 1
    return world


def test_an_unapplied_payment_that_was_booked_meanwhile_is_done_if_it_says_the_same() -> None:
    (event,) = _booked_meanwhile("100.00").directus.table("stripe_events").values()
    assert event["status"] == "done"


def test_an_unapplied_payment_that_was_booked_meanwhile_with_another_amount_is_parked() -> None:
    (event,) = _booked_meanwhile("90.00").directus.table("stripe_events").values()
    assert event["status"] == "parked"


# ---- rows that cannot be read, sessions that name two invoices ----------------------------------------------


@pytest.mark.parametrize(
    ("collection", "row"),
    [
        ("disputes", {"invoice": INVOICE, "status": "open", "amount": "ten", "reason": "x"}),
        ("line_items", {"invoice": INVOICE, "kind": "discount", "amount": "NaN", "description": "x"}),
        (
            "payments",
            {"invoice": INVOICE, "amount": "ten", "currency": "USD", "method": "wire", "status": "succeeded"},
        ),
    ],
)
def test_money_is_booked_though_another_row_cannot_be_read(collection: str, row: dict[str, str]) -> None:
    world, session = opened()
    world.directus.put(collection, **row)
    world.stripe.pays(session)
    world.deliver()
    (booked,) = [found for found in world.payments() if found["transaction_id"]]
    assert (booked["status"], booked["amount"], booked["open_claim"]) == ("succeeded", "100.00", None)
    # The totals wait until the row is mended, and somebody is told.
    assert world.stored()["status"] == "sent"
    assert world.flags
    world.directus.table(collection).popitem()
    world.recompute()
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("paid", "0.00")


def test_what_a_closed_objection_says_stops_nothing() -> None:
    world, session = opened()
    world.directus.put("disputes", invoice=INVOICE, status="withdrawn", amount="10.505", reason="x")
    world.stripe.pays(session)
    world.deliver()
    assert world.stored()["status"] == "paid"


def test_a_session_that_names_another_clients_attempt_is_booked_where_its_metadata_says() -> None:
    world, session = opened()
    other = "a2000000-0000-4000-8000-000000000002"
    world.invoice("300.00", id=other, invoice_number="2026-other", client=OTHER_CLIENT)
    world.stripe.sessions[session] = replace(
        world.stripe.sessions[session],
        metadata={**world.stripe.sessions[session].metadata, "directus_invoice": other},
    )
    attempt = world.payments()[0]
    attempt["checkout_session"] = None  # so that only the attempt's id leads to it
    world.stripe.pays(session)
    world.deliver()
    assert attempt["status"] == "pending"
    assert world.stored()["status"] == "sent"
    (booked,) = world.payments(invoice=other)
    assert (booked["amount"], booked["client"]) == ("100.00", OTHER_CLIENT)
    assert "does not belong" in booked["note"]


@pytest.mark.parametrize(
    ("currency", "minor", "amount"),
    [("INR", 12340, "123.40"), ("KWD", 12340, "12.34"), ("VND", 500, "500.00")],
)
def test_a_payment_in_a_currency_no_invoice_has_is_booked_unapplied(
    currency: str, minor: int, amount: str
) -> None:
    world, session = opened()
    world.stripe.pays(session, minor=minor, currency=currency)
    for _ in range(2):
        world.deliver()
    (booked,) = world.payments(invoice=None)
    assert (booked["amount"], booked["currency"], booked["status"]) == (amount, currency, "succeeded")
    assert world.stored()["status"] == "sent"


def test_as_of_marks_an_invoice_overdue_ahead_of_the_clock_and_never_behind_it() -> None:
    world = World()
    world.invoice("100.00", due_date="2026-11-25")
    world.invoice_writer.recompute(INVOICE, world.now() - timedelta(days=30))
    assert world.stored()["status"] == "sent"
    world.invoice_writer.recompute(INVOICE, world.now() + timedelta(days=30))
    assert world.stored()["status"] == "overdue"
    world.recompute()
    assert world.stored()["status"] == "sent"


def test_a_claim_whose_session_was_never_opened_is_freed_once_stripe_would_not_open_it_any_more() -> None:
    world, _ = opened()
    attempt = world.payments()[0]
    attempt["checkout_session"] = None
    world.stored()["status"] = "void"
    world.recompute()
    assert attempt["open_claim"] == INVOICE
    world.passes(hours=24)
    world.steps.reset()
    world.recompute()
    (freed,) = world.payments()
    assert (freed["status"], freed["open_claim"]) == ("canceled", None)
    assert "expire session" not in world.steps.names


@pytest.mark.parametrize("written", ["", "2026-0042", "a1000000", "'; drop table", "x" * 400])
def test_metadata_that_names_no_possible_row_books_the_money_unapplied(written: str) -> None:
    world, session = opened()
    found = world.stripe.sessions[session]
    metadata = {**found.metadata, "directus_invoice": written, "directus_payment": written}
    world.directus.table("payments").clear()
    world.stripe.sessions[session] = replace(found, metadata=metadata)
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["invoice"], row["client"], row["amount"], row["status"]) == (
        None,
        None,
        "100.00",
        "succeeded",
    )


def test_a_discount_is_drawn_though_the_writer_dies_before_it_asks_the_renderer() -> None:
    world = World()
    world.invoice("100.00")
    world.line("-30.00", kind="discount")
    assert "queue rendering" in recomputed(world)
    world.steps.before_next["queue rendering"] = crash
    with pytest.raises(Crash):
        world.recompute()
    assert (world.stored()["total"], world.stored()["pdf_status"]) == ("70.00", "pending")
    assert world.rendering.messages == []
    world.recompute()
    assert world.rendering.messages == [{"type": "invoice", "invoice": INVOICE, "force": False}]


def recomputed(world: World) -> list[str]:
    """The calls that a recompute makes; nothing of it stays."""
    before, messages = world.directus.snapshot(), list(world.rendering.messages)
    world.recompute()
    names = list(world.steps.names)
    world.directus.tables, world.rendering.messages = before, messages
    world.steps.reset()
    return names


@pytest.mark.parametrize("status", ["succeeded", "pending", "canceled"])
def test_a_session_that_names_a_payment_entered_by_hand_gets_a_row_of_its_own(status: str) -> None:
    world, session = opened("50.00")
    (attempt,) = world.payments()
    wire = world.payment("30.00", status=status)
    found = world.stripe.sessions[session]
    world.stripe.sessions[session] = replace(
        found, metadata={**found.metadata, "directus_payment": str(wire["id"])}
    )
    del world.directus.table("payments")[attempt["id"]]
    before = dict(wire)
    world.stripe.pays(session)
    world.deliver()
    world.deliver()
    assert world.directus.table("payments")[wire["id"]] == before
    (booked,) = world.payments(method="card")
    assert (booked["amount"], booked["status"], booked["checkout_session"]) == ("50.00", "succeeded", session)
    assert "does not belong to an open attempt" in booked["note"]
    assert world.stored()["amount_paid"] == ("80.00" if status == "succeeded" else "50.00")


@pytest.mark.parametrize("settled", [None, True, False])
def test_an_attempt_that_somebody_made_a_received_wire_of_stays_one(settled: bool | None) -> None:  # noqa: FBT001  # a test's parameter
    world, session = opened()
    (wire,) = world.payments()
    wire |= {"method": "wire", "status": "succeeded", "amount": "20.00", "open_claim": None}
    before = dict(wire)
    if settled is None:
        world.stripe.pays(session)
    else:
        world.stripe.debits(session)
        world.deliver()
        (under_way,) = world.payments(method="us_bank_account")
        assert (under_way["status"], under_way["open_claim"]) == ("processing", INVOICE)
        world.stripe.settles(session, succeeds=settled)
    world.deliver()
    world.deliver()
    assert world.directus.table("payments")[wire["id"]] == before
    (booked,) = [row for row in world.payments() if row["id"] != wire["id"]]
    assert (booked["status"], booked["open_claim"]) == ("failed" if settled is False else "succeeded", None)
    assert world.stored()["amount_paid"] == ("20.00" if settled is False else "120.00")


def test_a_booked_amount_without_its_transaction_is_not_written_over_with_another() -> None:
    world, session = opened()
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    row |= {"transaction_id": None, "amount": "60.00"}
    assert not world.invoice_writer.sync_session(session)
    assert (world.payments()[0]["amount"], world.flags[-1][1]["code"]) == ("60.00", "payment_flagged")


def test_a_fee_that_two_decimals_cannot_hold_is_left_out_and_its_payment_booked() -> None:
    world, session = opened()
    world.stripe.pays(session, minor=25000, currency="KWD")
    world.stripe.learns_fee(session, 755, "KWD")
    world.deliver()
    (row,) = [row for row in world.payments() if row["transaction_id"]]
    assert (row["amount"], row["currency"], row["fee"], row["invoice"]) == ("25.00", "KWD", None, None)


def test_a_void_that_was_written_over_is_restored_even_where_a_row_cannot_be_read() -> None:
    world = World()
    world.invoice("100.00", status="paid", voided_at="2026-11-19T10:00:00+00:00")
    world.line("NaN", kind="discount")
    world.recompute()
    assert world.stored()["status"] == "void"
    assert world.flags != []


def test_a_document_finished_meanwhile_does_not_hide_that_the_next_one_is_still_to_be_ordered() -> None:
    world = World()
    world.invoice("100.00", pdf_status="pending")
    world.line("-10.00", kind="discount")
    world.steps.before_next["PATCH invoices"] = lambda: world.stored().update(pdf_status="ready")
    world.steps.before_next["queue rendering"] = crash
    with pytest.raises(Crash):
        world.recompute()
    assert world.stored()["pdf_status"] == "pending", "what is ready is the document without the discount"
    world.recompute()
    assert world.rendering.messages == [{"invoice": INVOICE, "force": False, "type": "invoice"}]
