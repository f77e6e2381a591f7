"""After a discount an invoice's next version prints what is owed then, says what it replaces, and is called so.

The story: 1,000.00 sent on October 1, a check of 600.00 on the 5th, a discount of 100.00 on the 10th, in New York.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from billing.documents.invoice import Correction, PrintedInvoice
from billing.errors import DirectusRejected
from tests.fakes.documents import Crash
from tests.fakes.firm_rows import INVOICE, line, payment
from tests.unit.documents.office import Office, office

CHECKED, DISCOUNTED = "2026-10-05T15:00:00Z", "2026-10-10T02:30:00.250Z"
#: Late in the evening of the firm's day before.
CORRECTION = Correction(dt.datetime(2026, 10, 10, 2, 30, 0, 250_000, tzinfo=dt.UTC), dt.date(2026, 10, 9), 1)
FIRST = ("Invoice 2026-0147 (version 1, replaced)", "2026-0147.pdf")
SECOND = ("Invoice 2026-0147 (version 2)", "2026-0147-version-2.pdf")


def sent() -> Office:
    """An invoice of one line and no payment that was just sent and drawn."""
    firm = office(tax_rate="0.0000", subtotal="1000.00", tax="0.00", total="1000.00")
    firm.portal_url = "https://portal.example"
    firm.directus.collections["line_items"] = {
        "a": line("a", amount="1000.00", date_created="2026-09-30T12:00:00Z")
    }
    firm.directus.collections["payments"] = {}
    firm.render.render_invoice(INVOICE)
    return firm


def pay(firm: Office, key: str = "check", amount: str = "600.00", at: str = CHECKED, **columns: Any) -> None:
    row = payment(
        key, amount=amount, date_created=at, **({"method": "check", "payment_date": at[:10]} | columns)
    )
    firm.directus.collections["payments"][key] = row


def refund(firm: Office, amount: str, at: str, key: str = "check") -> None:
    row = {
        "id": f"r{at}",
        "payment": key,
        "amount": amount,
        "currency": "USD",
        "status": "succeeded",
        "date_created": at,
    }
    firm.directus.collections.setdefault("refunds", {})[row["id"]] = row


def discount(firm: Office, key: str = "d", amount: str = "-100.00", at: str = DISCOUNTED) -> None:
    """The line, and the totals as the invoice writer sets them."""
    lines = firm.directus.collections["line_items"]
    lines[key] = line(key, kind="discount", description="Courtesy", amount=amount, date_created=at)
    total = str(sum(Decimal(row["amount"]) for row in lines.values()))
    firm.invoice.update(subtotal=total, total=total)


def drawn(firm: Office, *, force: bool = False) -> PrintedInvoice:
    """What the document that is current after this message prints."""
    firm.render.render_invoice(INVOICE, force=force)
    assert (firm.invoice["pdf_status"], firm.invoice["pdf_error"]) == ("ready", None)
    return firm.renderer.drawn[-1]


def paid(printed: PrintedInvoice) -> list[tuple[str, int]]:
    return [(each.id, each.amount.minor) for each in printed.payments]


def called(firm: Office) -> list[tuple[str, str]]:
    """Title and file name of every version, in the order of their numbers; document and file say the same."""
    files = firm.directus.collections["directus_files"]
    documents = sorted(firm.documents, key=lambda row: row["version"])
    assert [row["title"] for row in documents] == [files[row["file"]]["title"] for row in documents]
    return [(row["title"], files[row["file"]]["filename_download"]) for row in documents]


def corrected() -> Office:
    firm = sent()
    pay(firm)
    discount(firm)
    drawn(firm)
    return firm


def test_the_version_after_a_discount_prints_what_is_owed_then_and_what_it_replaces() -> None:
    firm = corrected()
    first, second = firm.renderer.drawn
    assert (paid(first), first.balance_due.minor, first.correction) == ([], 100_000, None)
    assert (paid(second), second.balance_due.minor) == ([("check", 60_000)], 30_000)
    assert (second.correction, second.dated) == (CORRECTION, CORRECTION.at)
    assert first.dated == first.sent_at


def test_titles_and_file_names_say_which_version_counts_and_the_replaced_one_stays_readable() -> None:
    firm = sent()
    assert called(firm) == [("Invoice 2026-0147", "2026-0147.pdf")]
    pay(firm)
    discount(firm)
    drawn(firm)
    assert called(firm) == [FIRST, SECOND]
    assert [(row["visible_to_client"], row.get("withdrawn_at")) for row in firm.documents] == [
        (True, None)
    ] * 2
    assert [row["replaces"] for row in firm.documents] == [None, 1]


def test_what_happens_after_the_correction_changes_nothing_of_it() -> None:
    firm = corrected()
    before, second = firm.state(), firm.renderer.drawn[-1]
    pay(firm, "later", "50.00", "2026-10-11T00:00:00Z")
    refund(firm, "600.00", "2026-10-12T00:00:00Z")
    assert drawn(firm, force=True) == second
    firm.directus.collections["payments"]["check"]["status"] = "canceled"
    assert drawn(firm, force=True) == second
    assert firm.state() == before


def test_a_payment_alone_makes_no_version() -> None:
    firm = sent()
    pay(firm)
    assert drawn(firm, force=True) == firm.renderer.drawn[0]
    assert len(firm.documents) == 1


@pytest.mark.parametrize(
    ("columns", "is_printed"),
    [
        pytest.param({"method": "card", "transaction_id": "pi_1"}, True, id="by card in between"),
        pytest.param({"at": DISCOUNTED}, True, id="in the very moment"),
        pytest.param({"at": "2026-10-10T02:30:00.251Z"}, False, id="while the order to render waits"),
        pytest.param(
            {"at": "2026-10-11T00:00:00Z", "payment_date": "2026-10-05"}, False, id="entered too late"
        ),
        pytest.param({"payment_date": "2026-11-30"}, True, id="dated ahead"),
        pytest.param({"status": "pending"}, False, id="not received yet"),
        pytest.param({"status": "canceled"}, False, id="bounced"),
        pytest.param({"currency": "EUR"}, False, id="in another currency"),
    ],
)
def test_payments_count_by_when_they_were_booked(columns: dict[str, Any], *, is_printed: bool) -> None:
    firm = sent()
    discount(firm)
    pay(firm, **columns)
    printed = drawn(firm)
    assert bool(printed.payments) is is_printed
    assert printed.balance_due.minor == (30_000 if is_printed else 90_000)


@pytest.mark.parametrize(
    ("at", "amount", "balance"),
    [("2026-10-06T00:00:00Z", "200.00", 50_000), ("2026-10-06T00:00:00Z", "600.00", 90_000),
     ("2026-10-11T00:00:00Z", "200.00", 30_000)],
)  # fmt: skip
def test_what_was_refunded_by_the_correction_is_not_printed_as_received(
    at: str, amount: str, balance: int
) -> None:
    firm = sent()
    pay(firm)
    discount(firm)
    refund(firm, amount, at)
    assert drawn(firm).balance_due.minor == balance


@pytest.mark.parametrize(("amount", "balance"), [("-400.00", 0), ("-450.00", -5_000)])
def test_a_discount_may_leave_nothing_to_pay_or_a_credit(amount: str, balance: int) -> None:
    firm = sent()
    pay(firm)
    discount(firm, amount=amount)
    printed = drawn(firm)
    assert (printed.balance_due.minor, printed.can_be_paid_online) == (balance, False)


def test_each_of_two_discounts_has_its_own_version_with_the_payments_of_its_own_moment() -> None:
    firm = corrected()
    pay(firm, "card", "100.00", "2026-10-12T00:00:00Z", method="card")
    discount(firm, "e", "-50.00", "2026-10-15T12:00:00Z")
    third = drawn(firm)
    assert (paid(third), third.balance_due.minor) == ([("check", 60_000), ("card", 10_000)], 15_000)
    assert third.correction is not None
    assert (third.correction.replaces, third.correction.date) == (2, dt.date(2026, 10, 15))
    assert called(firm) == [
        FIRST, ("Invoice 2026-0147 (version 2, replaced)", "2026-0147-version-2.pdf"),
        ("Invoice 2026-0147 (version 3)", "2026-0147-version-3.pdf"),
    ]  # fmt: skip
    assert drawn(firm, force=True) == third
    assert len(firm.documents) == 3


def test_two_discounts_before_the_first_is_drawn_make_one_version() -> None:
    firm = sent()
    discount(firm)
    discount(firm, "e", "-50.00", "2026-10-15T12:00:00Z")
    printed = drawn(firm)
    assert printed.correction is not None
    assert (printed.correction.replaces, printed.correction.date) == (1, dt.date(2026, 10, 15))


def test_a_first_version_that_is_drawn_after_a_discount_replaces_none_and_prints_what_is_owed_then() -> None:
    """Its drawing failed until then; forced again it is the same."""
    firm = sent()
    firm.directus.collections["documents"].clear()
    pay(firm)
    discount(firm)
    for force in (False, True):
        printed = drawn(firm, force=force)
        assert (printed.correction, printed.balance_due.minor) == (None, 30_000)
    assert [row["version"] for row in firm.documents] == [1]


def test_a_discount_is_found_by_one_clock_alone() -> None:
    """Directus's clock is an hour behind that of the function which dates the sending."""
    firm = sent()
    pay(firm, at="2026-10-01T13:35:00Z")
    discount(firm, at="2026-10-01T13:40:00Z")
    printed = drawn(firm)
    assert (printed.balance_due.minor, printed.correction is not None) == (30_000, True)


def test_another_look_is_a_version_that_corrects_nothing() -> None:
    firm = sent()
    pay(firm)
    firm.renderer.template_version = "template 2"
    printed = drawn(firm)
    assert (printed.correction, printed.balance_due.minor) == (None, 100_000)
    assert called(firm) == [FIRST, SECOND]
    discount(firm)
    printed = drawn(firm)
    assert printed.correction is not None
    assert (printed.correction.replaces, printed.balance_due.minor) == (2, 30_000)


def test_another_look_of_a_correction_is_the_same_correction() -> None:
    firm = corrected()
    pay(firm, "later", "50.00", "2026-10-11T00:00:00Z")
    firm.renderer.template_version = "template 2"
    assert drawn(firm) == firm.renderer.drawn[1]
    assert [row["replaces"] for row in firm.documents] == [None, 1, 1]
    assert called(firm)[1:] == [
        ("Invoice 2026-0147 (version 2, replaced)", "2026-0147-version-2.pdf"),
        ("Invoice 2026-0147 (version 3)", "2026-0147-version-3.pdf"),
    ]


def test_a_discount_that_an_administrator_removes_brings_the_replaced_version_back() -> None:
    firm = corrected()
    del firm.directus.collections["line_items"]["d"]
    firm.invoice.update(subtotal="1000.00", total="1000.00")
    drawn(firm)
    assert called(firm) == [
        ("Invoice 2026-0147 (version 2, replaced)", "2026-0147-version-2.pdf"),
        ("Invoice 2026-0147 (version 3)", "2026-0147-version-3.pdf"),
    ]
    assert [(row["version"], row["replaces"]) for row in firm.documents] == [(3, None), (2, 1)]


# -- documents from before this was kept ------------------------------------------------------------------------------


def from_before(firm: Office, *registered_at: str) -> None:
    """As an earlier release has left the documents; the template that draws them next is another one."""
    for row, at in zip(firm.documents, registered_at, strict=True):
        row.update(printed_as_of=None, replaces=None, title="Invoice 2026-0147", date_created=at)
        firm.directus.collections["directus_files"][row["file"]].update(
            title="Invoice 2026-0147", filename_download="2026-0147.pdf"
        )
    firm.renderer.template_version = "template 2"


def test_a_discount_after_an_older_document_is_a_correction_of_it() -> None:
    firm = sent()
    from_before(firm, "2026-10-01T15:00:00Z")
    pay(firm)
    discount(firm)
    printed = drawn(firm)
    assert (printed.correction, printed.balance_due.minor) == (CORRECTION, 30_000)
    assert called(firm) == [FIRST, SECOND]


def test_an_older_document_that_is_drawn_again_prints_the_same_payments_and_corrects_nothing() -> None:
    """Even where the lines were imported long after the day of sending."""
    firm = sent()
    from_before(firm, "2026-10-20T12:00:01Z")
    firm.directus.collections["line_items"]["a"]["date_created"] = "2026-10-20T12:00:00Z"
    pay(firm)
    for force in (False, True):
        printed = drawn(firm, force=force)
        assert (printed.correction, paid(printed)) == (None, [])
    assert len(firm.documents) == 2


def test_a_correction_that_an_earlier_release_printed_with_the_old_balance_is_put_right_when_it_is_drawn_again() -> (
    None
):
    firm = sent()
    pay(firm)
    discount(firm)
    firm.directus.collections["payments"]["check"]["status"] = "pending"
    assert drawn(firm).balance_due.minor == 90_000
    firm.directus.collections["payments"]["check"]["status"] = "succeeded"
    from_before(firm, "2026-10-01T15:00:00Z", "2026-10-10T02:30:05Z")
    for force in (True, True):
        printed = drawn(firm, force=force)
        assert printed.correction is not None
        assert (printed.balance_due.minor, printed.correction.replaces) == (30_000, 2)
    assert len(firm.documents) == 3


def test_what_people_add_is_no_version_and_keeps_its_title() -> None:
    firm = sent()
    scan = {
        "id": "scan",
        "invoice": INVOICE,
        "type": "invoice",
        "title": "Scan",
        "date_created": "2026-10-01T00:00:00Z",
    }
    firm.directus.collections["documents"]["scan"] = dict(scan)
    pay(firm)
    discount(firm)
    printed = drawn(firm)
    assert printed.correction == CORRECTION
    assert firm.directus.collections["documents"].pop("scan") == scan
    assert called(firm) == [FIRST, SECOND]


# -- crashes, and two at once -----------------------------------------------------------------------------------------

EFFECTS = [
    "create documents", "put object", "create directus_files", "update documents", "update directus_files",
    "update documents", "update invoices",
]  # fmt: skip


def about_to_be_corrected() -> Office:
    firm = sent()
    pay(firm)
    discount(firm)
    firm.directus.effects.done.clear()
    return firm


def test_these_are_all_the_effects_of_a_correction() -> None:
    firm = about_to_be_corrected()
    drawn(firm)
    assert firm.directus.effects.done == EFFECTS
    firm.directus.effects.done.clear()
    drawn(firm)
    assert firm.directus.effects.done == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("effect", EFFECTS)
def test_who_dies_is_followed_by_a_retry_that_finishes_titles_and_all(effect: str, *, force: bool) -> None:
    undisturbed, firm = about_to_be_corrected(), about_to_be_corrected()
    drawn(undisturbed)
    firm.directus.effects.die_after = effect
    with pytest.raises(Crash):
        firm.render.render_invoice(INVOICE)
    firm.directus.effects.die_after = None
    drawn(firm, force=force)
    assert firm.state() == undisturbed.state()
    assert called(firm) == [FIRST, SECOND]


@pytest.mark.parametrize("effect", EFFECTS)
def test_two_workers_make_one_correction(effect: str) -> None:
    firm = about_to_be_corrected()
    running: list[str] = []

    def the_other_is_faster(about_to: str) -> None:
        if about_to == effect and not running:
            running.append(about_to)
            firm.render.render_invoice(INVOICE)

    firm.directus.effects.before = the_other_is_faster
    drawn(firm)
    assert running
    assert called(firm) == [FIRST, SECOND]


def test_two_workers_that_saw_different_payments_agree_for_good() -> None:
    """A checkout that was begun before the discount succeeds while both draw."""
    firm = about_to_be_corrected()
    pay(firm, "card", "100.00", "2026-10-09T00:00:00Z", status="processing", method="card")
    running: list[str] = []

    def succeeds(about_to: str) -> None:
        if about_to == "create documents" and not running:
            running.append(about_to)
            firm.directus.collections["payments"]["card"]["status"] = "succeeded"
            firm.render.render_invoice(INVOICE)

    firm.directus.effects.before = succeeds
    drawn(firm)
    firm.directus.effects.before = str
    agreed = max(firm.documents, key=lambda row: row["version"])["content_hash"]
    for _ in range(3):
        drawn(firm, force=True)
        assert max(firm.documents, key=lambda row: row["version"])["content_hash"] == agreed
    assert len(firm.documents) == 3
    assert [title for title, _ in called(firm)][
        -1
    ] == f"Invoice 2026-0147 (version {firm.documents[1]['version']})"


def test_a_version_that_another_worker_has_taken_gives_title_and_name_of_the_next() -> None:
    firm = about_to_be_corrected()
    taken = {"id": "other", "invoice": "elsewhere", "version_key": f"invoice:{INVOICE}:2"}
    firm.directus.collections["documents"]["other"] = taken
    drawn(firm)
    del firm.directus.collections["documents"]["other"]
    assert called(firm) == [FIRST, ("Invoice 2026-0147 (version 3)", "2026-0147-version-3.pdf")]


def test_a_file_that_is_not_the_functions_own_keeps_its_title_and_holds_nothing_up() -> None:
    firm = about_to_be_corrected()

    def refuses(about_to: str) -> None:
        if about_to == "update directus_files":
            message = "Directus answered 403 FORBIDDEN to PATCH /files."
            raise DirectusRejected(message, directus_code="FORBIDDEN")

    firm.directus.effects.before = refuses
    drawn(firm)
    assert sorted(row["title"] for row in firm.documents) == [FIRST[0], SECOND[0]]


def test_a_lost_file_row_of_the_current_version_comes_back_with_its_own_name() -> None:
    firm = corrected()
    second = firm.documents[1]
    del firm.directus.collections["directus_files"][second["file"]]
    drawn(firm)
    assert called(firm) == [FIRST, SECOND]
