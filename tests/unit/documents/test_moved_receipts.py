"""A payment that is no longer where its receipt says, or is no longer what it says: no untrue receipt stays the current one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing.documents.render_receipt import RenderReceipt
from billing.errors import RenderFailed, UpstreamUnavailable
from billing.ledger.receipts_due import wants_renderer
from billing.ledger.store import payment_from_row
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import CLIENT, INVOICE
from tests.unit.documents.office import Office
from tests.unit.documents.receipts import PAYMENT, paid, row

SECOND = "22222222-2222-4222-8222-222222222222"
OTHER_CLIENT = "99999999-9999-4999-8999-999999999999"
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
UNAPPLIED = {"invoice": None, "client": None}
#: What `documents` had no columns for.
BEFORE_THE_LINK = {"payment": None, "version_key": None}


def receipted(**columns: Any) -> Office:
    """An office with two invoices of one client and one of another; a payment on the first has its receipt."""
    firm = paid(**columns)
    invoices = firm.directus.collections["invoices"]
    invoices[SECOND] = dict(firm.invoice, id=SECOND, invoice_number="2026-0200")
    clients = firm.directus.collections["clients"]
    clients[OTHER_CLIENT] = dict(clients[CLIENT], id=OTHER_CLIENT, name="Another")
    render(firm)
    return firm


def render(firm: Office, *, force: bool = False) -> None:
    receipts = RenderReceipt(firm.receipts.records, firm.delivery, firm.renderer, firm.files, now=lambda: NOW)
    receipts.render_receipt(PAYMENT, force=force)


def shown(firm: Office) -> list[tuple[str, str]]:
    """Invoice and client of the receipts that clients see."""
    return [(found["invoice"], found["client"]) for found in firm.documents if found["visible_to_client"]]


def current(firm: Office) -> dict[str, Any]:
    """The document that the payment names, which is the newest."""
    (document,) = [found for found in firm.documents if found.get("file") == row(firm)["receipt"]]
    assert document["version"] == max(found.get("version") or 0 for found in firm.documents)
    assert document["version_key"] == f"receipt:{PAYMENT}:{document['version']}"
    return document


def test_a_payment_on_another_invoice_has_a_receipt_for_that_and_the_first_is_withdrawn() -> None:
    firm = receipted()
    row(firm)["invoice"] = SECOND
    render(firm)
    first, second = firm.documents
    assert (first["visible_to_client"], first["withdrawn_at"]) == (False, "2026-11-02T09:00:00+00:00")
    assert current(firm) == second
    assert (second["invoice"], second["payment"], second["version"]) == (SECOND, PAYMENT, 2)
    assert shown(firm) == [(SECOND, CLIENT)]
    assert len(firm.store.objects) == len(firm.pdf_files) == 2, "nothing is deleted"


def test_moved_back_it_has_its_first_receipt_again_which_is_shown_and_the_newest() -> None:
    firm = receipted()
    for invoice in (SECOND, INVOICE):
        row(firm)["invoice"] = invoice
        render(firm)
    assert shown(firm) == [(INVOICE, CLIENT)]
    assert (current(firm)["invoice"], current(firm)["withdrawn_at"], current(firm)["version"]) == (
        INVOICE,
        None,
        3,
    )
    assert len(firm.documents) == 2


@pytest.mark.parametrize("lost", ["object", "nothing"])
def test_moved_back_with_force_or_a_lost_file_it_is_shown_again_as_well(lost: str) -> None:
    firm = receipted()
    row(firm)["invoice"] = SECOND
    render(firm)
    row(firm)["invoice"] = INVOICE
    if lost == "object":
        firm.store.objects.clear()
    render(firm, force=lost == "nothing")
    assert shown(firm) == [(INVOICE, CLIENT)]
    assert current(firm)["invoice"] == INVOICE
    assert len(firm.documents) == 2


def test_what_staff_have_hidden_stays_hidden_and_what_they_show_again_stays_shown() -> None:
    firm = receipted()
    firm.documents[0]["visible_to_client"] = False
    for invoice in (SECOND, INVOICE):
        row(firm)["invoice"] = invoice
        render(firm)
    assert shown(firm) == [(SECOND, CLIENT)][:0]
    firm = receipted()
    row(firm)["invoice"] = SECOND
    render(firm)
    firm.documents[0]["visible_to_client"] = True
    render(firm)
    assert shown(firm) == [(INVOICE, CLIENT), (SECOND, CLIENT)]


def test_taken_off_its_invoice_it_names_none_until_it_is_assigned() -> None:
    firm = receipted()
    row(firm).update(UNAPPLIED)
    render(firm)
    assert (row(firm)["receipt"], row(firm)["receipt_says"], shown(firm)) == (None, None, [])
    assert len(firm.documents) == 1
    row(firm).update(invoice=INVOICE, client=CLIENT)
    render(firm)
    assert shown(firm) == [(INVOICE, CLIENT)]
    assert len(firm.documents) == 1


def test_on_a_draft_it_waits_without_one() -> None:
    firm = receipted()
    firm.directus.collections["invoices"][SECOND].update(status="draft", sent_at=None)
    row(firm)["invoice"] = SECOND
    render(firm)
    assert (row(firm)["receipt"], shown(firm)) == (None, [])
    firm.directus.collections["invoices"][SECOND].update(status="sent", sent_at="2026-10-06T00:00:00Z")
    render(firm)
    assert shown(firm) == [(SECOND, CLIENT)]


def test_of_another_client_it_is_neither_shown_to_the_first_nor_drawn_for_the_second() -> None:
    """An administrator who has moved it forgot its client: it is said on the payment, and the first one is withdrawn."""
    firm = receipted()
    firm.directus.collections["invoices"][SECOND]["client"] = OTHER_CLIENT
    row(firm)["invoice"] = SECOND
    render(firm)
    assert (row(firm)["receipt"], shown(firm)) == (None, [])
    assert "client" in row(firm)["receipt_error"]
    row(firm)["client"] = OTHER_CLIENT
    render(firm)
    assert (row(firm)["receipt_error"], shown(firm)) == (None, [(SECOND, OTHER_CLIENT)])


@pytest.mark.parametrize("status", ["canceled", "failed"])
def test_a_payment_that_was_canceled_keeps_its_receipt_on_its_invoice_and_nowhere_else(status: str) -> None:
    firm = receipted(method="check", brand=None, last4=None, transaction_id=None)
    row(firm)["status"] = status
    before = dict(row(firm))
    render(firm)
    assert (row(firm), shown(firm)) == (before, [(INVOICE, CLIENT)])
    row(firm)["invoice"] = SECOND
    render(firm)
    assert (row(firm)["receipt"], shown(firm)) == (None, [])


@pytest.mark.parametrize("mended", [{"amount": "80.00"}, {"payment_date": "2026-10-04"}])
def test_an_untrue_receipt_is_not_named_while_another_cannot_be_drawn(mended: dict[str, str]) -> None:
    firm = receipted()
    row(firm).update(mended)
    firm.renderer.error = RenderFailed("The document could not be rendered.", quote="Zoë", invoice=INVOICE)
    render(firm)
    assert (row(firm)["receipt"], row(firm)["receipt_says"]) == (None, None)
    assert row(firm)["receipt_error"]
    firm.renderer.error = None
    render(firm)
    assert current(firm)["printed_payments"][0]["amount"] == row(firm)["amount"]


def test_a_true_one_is_named_though_force_cannot_draw_it_again() -> None:
    firm = receipted()
    before = row(firm)["receipt"]
    firm.renderer.error = RenderFailed("The document could not be rendered.", quote="Zoë", invoice=INVOICE)
    render(firm, force=True)
    assert (row(firm)["receipt"], bool(row(firm)["receipt_error"])) == (before, True)


def test_an_amount_that_was_mended_back_has_its_first_receipt_as_the_newest() -> None:
    firm = receipted()
    for amount in ("80.00", "800.00"):
        row(firm)["amount"] = amount
        render(firm)
        assert current(firm)["printed_payments"][0]["amount"] == amount
    assert [found["version"] for found in firm.documents] == [3, 2]


@pytest.mark.parametrize("force", [False, True])
def test_force_never_makes_a_second_document_of_the_same_content(*, force: bool) -> None:
    firm = receipted()
    before = (firm.documents, firm.pdf_files, row(firm))
    for _ in range(3):
        render(firm, force=force)
    assert (firm.documents, firm.pdf_files, row(firm)) == before
    assert len(firm.renderer.receipts) == 1 + 3 * force


#: The old one is withdrawn, then the next one made.
STEPS_OF_A_MOVE = [
    "update documents", "create documents", "put object", "create directus_files", "update documents",
    "update payments",
]  # fmt: skip


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS_OF_A_MOVE)))
def test_a_crash_at_any_step_of_a_move_is_continued(step: int, moment: str) -> None:
    undisturbed = receipted()
    row(undisturbed)["invoice"] = SECOND
    undisturbed.directus.effects.done.clear()
    render(undisturbed)
    assert undisturbed.directus.effects.done == STEPS_OF_A_MOVE
    firm = receipted()
    row(firm)["invoice"] = SECOND
    effects = firm.directus.effects
    effects.done.clear()

    def die(_: str) -> None:
        if len(effects.done) == step + (moment == "after"):
            raise Crash(STEPS_OF_A_MOVE[step])

    effects.before = die
    if (step, moment) == (len(STEPS_OF_A_MOVE) - 1, "after"):
        effects.die_after = "update payments"
    with pytest.raises(Crash):
        render(firm)
    assert (INVOICE, CLIENT) not in shown(firm) or step == 0
    effects.die_after, effects.before = None, str
    render(firm)
    assert (firm.state(), row(firm)) == (undisturbed.state(), row(undisturbed))


def test_a_receipt_begun_for_the_first_invoice_is_never_shown_once_its_payment_is_on_the_next() -> None:
    firm = paid()
    firm.directus.collections["invoices"][SECOND] = dict(firm.invoice, id=SECOND, invoice_number="2026-0200")
    firm.directus.effects.die_after = "put object"
    with pytest.raises(Crash):
        render(firm)
    firm.directus.effects.die_after = None
    row(firm)["invoice"] = SECOND
    render(firm)
    assert shown(firm) == [(SECOND, CLIENT)]
    assert (current(firm)["invoice"], current(firm)["version"]) == (SECOND, 1)


@pytest.mark.parametrize("step", ["create documents", "update documents", "update payments"])
@pytest.mark.parametrize("change", [{"invoice": SECOND}, {"amount": "80.00"}, UNAPPLIED])
def test_whoever_drew_what_was_so_before_does_not_have_the_last_word(
    step: str, change: dict[str, Any]
) -> None:
    """The payment changes, and another worker does everything, right before one effect of the first."""
    firm = paid()
    firm.directus.collections["invoices"][SECOND] = dict(firm.invoice, id=SECOND, invoice_number="2026-0200")
    running: list[str] = []

    def changed(about_to: str) -> None:
        if about_to == step and not running:
            running.append(about_to)
            row(firm).update(change)
            render(firm)

    firm.directus.effects.before = changed
    render(firm)
    assert running
    if row(firm)["invoice"] is None:
        assert (row(firm)["receipt"], shown(firm)) == (None, [])
    else:
        assert (current(firm)["invoice"], current(firm)["printed_payments"][0]["amount"]) == (
            row(firm)["invoice"],
            row(firm)["amount"],
        )
        if "invoice" in change:
            assert shown(firm) == [(SECOND, CLIENT)]


def test_a_receipt_that_is_shown_again_while_its_payment_moves_is_withdrawn_again() -> None:
    """The row need not change for that: it names the receipt that a worker who died later had withdrawn."""
    firm = receipted()
    firm.documents[0].update(visible_to_client=False, withdrawn_at="2026-11-01T09:00:00Z")
    running: list[str] = []

    def moved(about_to: str) -> None:
        if about_to == "update documents" and not running:
            running.append(about_to)
            row(firm)["invoice"] = SECOND
            render(firm)

    firm.directus.effects.before = moved
    render(firm)
    assert running
    assert shown(firm) == [(SECOND, CLIENT)]
    assert current(firm)["invoice"] == SECOND


def test_a_payment_that_never_stands_still_is_left_to_the_next_delivery() -> None:
    firm = paid()
    amounts = iter(range(1, 100))

    def changes(about_to: str) -> None:
        if about_to == "update payments":
            row(firm)["amount"] = f"{next(amounts)}.00"

    firm.directus.effects.before = changes
    with pytest.raises(UpstreamUnavailable, match="change while they are rendered"):
        render(firm)


@pytest.mark.parametrize("method", ["sepa_debit", "", None, "check"])
def test_a_receipt_with_any_method_says_what_its_row_says(method: str | None) -> None:
    """Nobody can enter another method than ours, but what somebody has written must not be asked for every hour."""
    firm = receipted(method=method)
    assert not wants_renderer(payment_from_row(row(firm)), is_sent=True)
    row(firm)["method"] = "cash"
    assert wants_renderer(payment_from_row(row(firm)), is_sent=True)


def test_a_receipt_from_before_the_link_is_found_by_what_it_prints() -> None:
    firm = receipted()
    firm.documents[0].update(BEFORE_THE_LINK)
    row(firm)["receipt_says"] = None
    render(firm)
    assert len(firm.documents) == 1
    assert row(firm)["receipt_says"] is not None
    assert firm.documents[0]["payment"] == PAYMENT, "so that it is found wherever the payment goes"


@pytest.mark.parametrize("change", [{"invoice": SECOND}, UNAPPLIED])
def test_receipts_from_before_the_link_are_withdrawn_from_the_invoice_that_the_payment_has_left(
    change: dict[str, Any],
) -> None:
    firm = receipted()
    row(firm)["amount"] = "80.00"
    render(firm)
    neighbour = dict(firm.documents[0], id="of another payment", payment=None, version_key=None)
    neighbour["printed_payments"] = [firm.documents[0]["printed_payments"][0] | {"id": "p2"}]
    firm.directus.collections["documents"][neighbour["id"]] = neighbour
    for document in firm.documents[:2]:
        document.update(BEFORE_THE_LINK)
    row(firm).update(change)
    render(firm)
    old = firm.documents[:2]
    assert [(found["visible_to_client"], found["payment"]) for found in old] == [(False, PAYMENT)] * 2
    assert (neighbour["visible_to_client"], neighbour["payment"]) == (True, None)
    assert len(firm.documents) == 3 + (row(firm)["invoice"] is not None)


def test_a_receipt_begun_for_the_next_invoice_comes_after_one_from_before_the_link() -> None:
    firm = receipted()
    firm.documents[0].update(BEFORE_THE_LINK)
    row(firm)["invoice"] = SECOND
    firm.directus.effects.die_after = "put object"
    with pytest.raises(Crash):
        render(firm)
    firm.directus.effects.die_after = None
    firm.documents[0]["payment"] = None
    render(firm)
    assert (current(firm)["invoice"], current(firm)["version"]) == (SECOND, 2)
    assert shown(firm) == [(SECOND, CLIENT)]
