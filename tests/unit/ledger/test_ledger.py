"""The truth table, a sentence of the contract a test."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import Unprocessable
from billing.ledger.ledger import (
    Dispute,
    InvoiceState,
    InvoiceStatus,
    Ledger,
    LineItem,
    Payment,
    PaymentDispute,
    PaymentStatus,
    Refund,
    amount_paid,
    checked_totals,
    local_date,
    payable,
    state_of,
)
from billing.money import Money
from billing.payments.store import changes
from tests.builders import sent_invoice, usd

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SENT_AT = datetime(2026, 11, 1, tzinfo=UTC)


def ledger(*lines: int, paid: tuple[int, ...] = (), **given: Any) -> Ledger:
    """Lines and succeeded payments in cents; the rest are columns of the invoice or of the ledger."""
    of_ledger = {
        name: given.pop(name) for name in list(given) if name in Ledger.__dataclass_fields__ and name != "invoice"
    }  # fmt: skip
    invoice = sent_invoice(**{"sent_at": SENT_AT, **given})
    payments = [payment(f"p{number}", minor) for number, minor in enumerate(paid)]
    return Ledger(
        **{
            "invoice": invoice,
            "line_items": [LineItem(f"l{number}", usd(minor)) for number, minor in enumerate(lines)],
            "payments": payments,
            **of_ledger,
        }
    )


def payment(key: str, minor: int, status: str = "succeeded", currency: str = "USD") -> Payment:
    return Payment(key, Money(minor, currency), PaymentStatus(status), "wire", invoice="i1")


def shown(of: Ledger, now: datetime = NOW) -> InvoiceState:
    state = state_of(of, now)
    assert state is not None
    return state


def written(of: Ledger) -> dict[str, object]:
    """The invoice's columns that a recompute writes."""
    return changes(of.invoice, shown(of).on(of.invoice))


# ---- totals ---------------------------------------------------------------------------------------------


def test_null_totals_are_filled_in_when_the_invoice_is_sent() -> None:
    state = shown(ledger(10000, -1000, tax_rate=Decimal("8.875"), sent_at=None))
    assert (state.subtotal, state.tax, state.total) == (usd(9000), usd(799), usd(9799))
    assert state.sent_at == NOW


@pytest.mark.parametrize("name", ["subtotal", "tax", "total"])
def test_a_given_but_different_total_is_an_error_that_names_both_numbers(name: str) -> None:
    wrong = ledger(10000, tax_rate=Decimal(10), sent_at=None, **{name: usd(1)})  # type: ignore[arg-type]  # a column of the invoice, by its name
    with pytest.raises(Unprocessable) as refused:
        state_of(wrong, NOW)
    assert refused.value.code == "totals_do_not_add_up"
    right = {"subtotal": "100.00 USD", "tax": "10.00 USD", "total": "110.00 USD"}[name]
    assert "0.01 USD" in refused.value.detail
    assert right in refused.value.detail
    assert name in refused.value.detail


def test_tax_is_rounded_once_over_the_subtotal_not_per_line() -> None:
    assert checked_totals(
        ledger(5, 5, 5, tax_rate=Decimal(10)).invoice, ledger(5, 5, 5).line_items
    ).tax == usd(2)


# ---- dates ----------------------------------------------------------------------------------------------

TODAY = date(2026, 11, 20)
GIVEN = date(2026, 10, 1)


def dates(**given: Any) -> tuple[date | None, date | None]:
    state = shown(ledger(10000, **{"sent_at": None, "firm_timezone": "America/New_York", **given}))
    return state.issue_date, state.due_date


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"payment_terms_days": 30}, (TODAY, date(2026, 12, 20))),
        ({"payment_terms_days": 0}, (TODAY, TODAY)),
        ({"payment_terms_days": 30, "issue_date": GIVEN}, (GIVEN, date(2026, 10, 31))),
        ({"payment_terms_days": 30, "issue_date": date(2027, 1, 31)}, (date(2027, 1, 31), date(2027, 3, 2))),
        ({"payment_terms_days": 30, "due_date": GIVEN}, (TODAY, GIVEN)),
        ({"payment_terms_days": 30, "issue_date": GIVEN, "due_date": GIVEN}, (GIVEN, GIVEN)),
        ({"payment_terms_days": None}, (TODAY, None)),
        ({"payment_terms_days": None, "issue_date": GIVEN}, (GIVEN, None)),
        ({"payment_terms_days": 30, "issue_date": date(2999, 12, 2)}, (date(2999, 12, 2), None)),
        ({"payment_terms_days": 29, "issue_date": date(2999, 12, 2)}, (date(2999, 12, 2), date(2999, 12, 31))),
    ],
)  # fmt: skip
def test_empty_dates_are_filled_in_when_the_invoice_is_sent(
    given: dict[str, Any], expected: tuple[date | None, date | None]
) -> None:
    assert dates(**given) == expected


@pytest.mark.parametrize(
    ("timezone", "day"),
    [("America/New_York", 19), ("Asia/Tokyo", 20), ("Mars/Olympus", 20), (None, 20)],
)
def test_the_day_of_sending_is_the_firms_not_the_clients(timezone: str | None, day: int) -> None:
    given = ledger(10000, sent_at=None, firm_timezone=timezone, client_timezone="America/Los_Angeles")
    assert shown(given, datetime(2026, 11, 20, 3, 0, tzinfo=UTC)).issue_date == date(2026, 11, day)


def test_an_invoice_that_was_seen_as_sent_never_gets_a_date_later() -> None:
    state = shown(ledger(10000, payment_terms_days=30))
    assert (state.issue_date, state.due_date, state.status) == (None, None, InvoiceStatus.SENT)
    assert not {"issue_date", "due_date"} & written(ledger(10000, payment_terms_days=30)).keys()


def test_a_draft_that_is_voided_gets_no_date() -> None:
    state = shown(ledger(10000, sent_at=None, status=InvoiceStatus.VOID, payment_terms_days=30))
    assert (state.issue_date, state.due_date) == (None, None)


def test_what_is_filled_in_is_written_as_days_and_what_was_given_is_not_written_again() -> None:
    given = ledger(10000, sent_at=None, payment_terms_days=30, firm_timezone="UTC")
    columns = written(given)
    assert (columns["issue_date"], columns["due_date"]) == ("2026-11-20", "2026-12-20")
    given = ledger(10000, sent_at=None, payment_terms_days=30, issue_date=GIVEN, due_date=GIVEN)
    assert not {"issue_date", "due_date"} & written(given).keys()


@pytest.mark.parametrize(("issued", "status"), [(TODAY, InvoiceStatus.SENT), (GIVEN, InvoiceStatus.OVERDUE)])
def test_the_due_date_that_is_filled_in_decides_at_once(issued: date, status: InvoiceStatus) -> None:
    assert shown(ledger(10000, sent_at=None, payment_terms_days=30, issue_date=issued)).status is status


def test_a_discount_after_sending_refills_the_totals() -> None:
    given = ledger(10000, -2500, subtotal=usd(10000), tax=usd(0), total=usd(10000))
    state = shown(given)
    assert (state.subtotal, state.total, state.balance_due) == (usd(7500), usd(7500), usd(7500))
    assert written(given)["total"] == "75.00"


def test_lines_that_are_all_gone_do_not_make_a_sent_invoice_free() -> None:
    with pytest.raises(Unprocessable):
        state_of(ledger(subtotal=usd(10000), tax=usd(0), total=usd(10000)), NOW)


# ---- states ---------------------------------------------------------------------------------------------


def test_a_draft_is_touched_by_no_recompute() -> None:
    assert state_of(ledger(10000, paid=(10000,), status=InvoiceStatus.DRAFT, sent_at=None), NOW) is None


def test_a_void_invoice_owes_its_client_what_was_paid() -> None:
    state = shown(ledger(10000, paid=(4000,), status=InvoiceStatus.VOID, total=usd(10000)))
    assert (state.status, state.amount_paid, state.balance_due) == (InvoiceStatus.VOID, usd(4000), usd(-4000))
    assert state.total == usd(10000)


def test_a_void_invoice_stays_void_whatever_its_lines_say() -> None:
    given = ledger(10000, status=InvoiceStatus.VOID, total=usd(1), due_date=date(2020, 1, 1))
    assert shown(given).status is InvoiceStatus.VOID


@pytest.mark.parametrize("status", list(InvoiceStatus))
@pytest.mark.parametrize("sent_at", [None, SENT_AT])
def test_what_was_voided_is_void_whatever_its_status_says(
    status: InvoiceStatus, sent_at: datetime | None
) -> None:
    given = ledger(10000, paid=(4000,), status=status, voided_at=NOW, total=usd(10000), sent_at=sent_at)
    state = shown(given)
    assert (state.status, state.balance_due, state.sent_at) == (InvoiceStatus.VOID, usd(-4000), sent_at)
    assert written(given).get("status") == (None if status == "void" else "void")
    assert given.invoice.is_void
    assert not given.invoice.is_draft


@pytest.mark.parametrize(
    ("paid", "due", "status"),
    [
        ((), None, "sent"),
        ((), date(2026, 11, 20), "sent"),
        ((), date(2026, 11, 19), "overdue"),
        ((1,), date(2026, 11, 20), "partially_paid"),
        ((1,), None, "partially_paid"),
        ((9999,), date(2026, 11, 19), "overdue"),
        ((10000,), date(2026, 11, 19), "paid"),
        ((4000, 6000), None, "paid"),
        ((10001,), date(2020, 1, 1), "paid"),
    ],
)
@pytest.mark.parametrize("stored", ["sent", "partially_paid", "paid", "overdue"])
def test_the_status_follows_from_balance_due_date_and_payments(
    paid: tuple[int, ...], due: date | None, status: str, stored: str
) -> None:
    given = ledger(10000, paid=paid, due_date=due, status=InvoiceStatus(stored))
    assert shown(given).status.value == status


def test_sent_written_where_it_was_sent_before_changes_nothing_else() -> None:
    given = ledger(10000, paid=(10000,), amount_paid=usd(10000), balance_due=usd(0), total=usd(10000))
    state = shown(given)
    assert state.sent_at == SENT_AT
    assert written(given)["status"] == "paid"
    assert "sent_at" not in written(given)


def test_no_due_date_is_never_overdue() -> None:
    assert shown(ledger(10000), datetime(2099, 1, 1, tzinfo=UTC)).status is InvoiceStatus.SENT


def test_a_surplus_is_credit() -> None:
    state = shown(ledger(10000, paid=(10000, 10000)))
    assert (state.balance_due, state.status) == (usd(-10000), InvoiceStatus.PAID)


@pytest.mark.parametrize("lines", [(0,), (100, -100), (100, -300)])
def test_a_total_of_nothing_or_less_is_paid(lines: tuple[int, ...]) -> None:
    assert shown(ledger(*lines)).status is InvoiceStatus.PAID


# ---- overdue, wherever the client lives -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "overdue"),
    [
        ("America/New_York", datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC), False),
        ("America/New_York", datetime(2026, 11, 21, 5, 0, tzinfo=UTC), True),
        ("Pacific/Kiritimati", datetime(2026, 11, 20, 9, 59, tzinfo=UTC), False),
        ("Pacific/Kiritimati", datetime(2026, 11, 20, 10, 0, tzinfo=UTC), True),
        ("Pacific/Pago_Pago", datetime(2026, 11, 21, 10, 59, tzinfo=UTC), False),
        ("Pacific/Pago_Pago", datetime(2026, 11, 21, 11, 0, tzinfo=UTC), True),
        ("Asia/Kathmandu", datetime(2026, 11, 20, 18, 14, tzinfo=UTC), False),
        ("Asia/Kathmandu", datetime(2026, 11, 20, 18, 15, tzinfo=UTC), True),
    ],
)
def test_overdue_begins_at_the_clients_midnight(zone: str, now: datetime, *, overdue: bool) -> None:
    given = ledger(10000, due_date=date(2026, 11, 20), client_timezone=zone, firm_timezone="UTC")
    assert (shown(given, now).status is InvoiceStatus.OVERDUE) is overdue


def test_overdue_begins_at_midnight_on_the_days_when_clocks_change() -> None:
    spring = ledger(1, due_date=date(2026, 3, 7), client_timezone="America/New_York")
    assert shown(spring, datetime(2026, 3, 8, 4, 59, tzinfo=UTC)).status is InvoiceStatus.SENT
    assert shown(spring, datetime(2026, 3, 8, 5, 0, tzinfo=UTC)).status is InvoiceStatus.OVERDUE
    autumn = ledger(1, due_date=date(2026, 11, 1), client_timezone="America/New_York")
    assert shown(autumn, datetime(2026, 11, 2, 4, 59, tzinfo=UTC)).status is InvoiceStatus.SENT
    assert shown(autumn, datetime(2026, 11, 2, 5, 0, tzinfo=UTC)).status is InvoiceStatus.OVERDUE


@pytest.mark.parametrize(
    "zone", [None, "", "Mars/Olympus", "America", "Europe/", "../UTC", "x" * 300, "a\0b", "."]
)
def test_a_time_zone_that_does_not_exist_is_the_firms(zone: str | None) -> None:
    now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    assert local_date(now, zone, "America/New_York") == date(2026, 11, 20)
    assert local_date(now, zone, zone) == date(2026, 11, 21)


# ---- paid -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "canceled"])
def test_only_succeeded_payments_count(status: str) -> None:
    assert amount_paid(ledger(10000, payments=[payment("p", 10000, status)])) == usd(0)


def test_payments_in_another_currency_do_not_count() -> None:
    given = ledger(10000, payments=[payment("p", 10000, currency="EUR"), payment("q", 1)])
    assert amount_paid(given) == usd(1)


@pytest.mark.parametrize(
    ("status", "left"), [("succeeded", 7000), ("pending", 7000), ("failed", 10000), ("canceled", 10000)]
)
def test_refunds_count_unless_they_failed_or_were_canceled(status: str, left: int) -> None:
    given = ledger(10000, paid=(10000,), refunds=[Refund("p0", usd(3000), status)])
    assert amount_paid(given) == usd(left)


@pytest.mark.parametrize(
    ("status", "left"), [("lost", 0), ("won", 10000), ("needs_response", 10000), ("under_review", 10000)]
)
def test_a_chargeback_counts_only_when_it_is_lost(status: str, left: int) -> None:
    given = ledger(10000, paid=(10000,), payment_disputes=[PaymentDispute("p0", usd(10000), status)])
    assert amount_paid(given) == usd(left)


def test_one_payment_never_counts_less_than_nothing() -> None:
    given = ledger(
        10000,
        paid=(10000, 500),
        refunds=[Refund("p0", usd(10000), "succeeded")],
        payment_disputes=[PaymentDispute("p0", usd(10000), "lost")],
    )
    assert amount_paid(given) == usd(500)


def test_a_refund_without_a_discount_reopens_the_invoice() -> None:
    given = ledger(10000, paid=(10000,), refunds=[Refund("p0", usd(2500), "succeeded")])
    state = shown(given)
    assert (state.status, state.balance_due) == (InvoiceStatus.PARTIALLY_PAID, usd(2500))


# ---- payable --------------------------------------------------------------------------------------------


def held(
    *disputes: Dispute, lines: tuple[int, ...] = (10000, 5000), rate: str = "10", balance: int = 16500
) -> int:
    given = ledger(*lines, tax_rate=Decimal(rate), disputes=disputes)
    return balance - payable(given, usd(balance)).minor


def test_a_dispute_of_a_line_holds_back_the_line_with_its_tax() -> None:
    assert held(Dispute("d", "open", "l0")) == 11000


def test_a_line_is_held_back_once_and_at_most_whole_however_many_disputes_name_it() -> None:
    assert (
        held(Dispute("d", "open", "l0"), Dispute("e", "open", "l0"), Dispute("f", "open", "l0", usd(1)))
        == 11000
    )
    assert held(Dispute("d", "open", "l0", usd(99999))) == 11000
    assert held(Dispute("d", "open", "l0", usd(1000)), Dispute("e", "open", "l0", usd(500))) == 1500


def test_a_dispute_of_the_whole_invoice_holds_back_everything_or_its_amount() -> None:
    assert held(Dispute("d", "open")) == 16500
    assert held(Dispute("d", "open", None, usd(2000))) == 2000
    assert held(Dispute("d", "open", None, usd(2000)), Dispute("e", "open", "l1")) == 7500


@pytest.mark.parametrize("status", ["answered", "accepted", "rejected", "withdrawn"])
def test_only_open_disputes_hold_anything_back(status: str) -> None:
    assert held(Dispute("d", status)) == 0


def test_a_dispute_of_a_discount_holds_nothing_back() -> None:
    assert held(Dispute("d", "open", "l1"), lines=(10000, -5000), balance=5500) == 0


def test_payable_is_never_negative() -> None:
    assert payable(ledger(10000), usd(-1)) == usd(0)
    assert payable(ledger(10000, disputes=[Dispute("d", "open", "l0")]), usd(500)) == usd(0)


# ---- for all ledgers ------------------------------------------------------------------------------------

AMOUNTS = st.integers(min_value=-200_000, max_value=200_000)
REVERSALS = ["succeeded", "pending", "failed", "canceled", "lost", "won", "needs_response"]


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    lines = draw(st.lists(AMOUNTS, min_size=1, max_size=5))
    payments = [
        payment(f"p{number}", draw(st.integers(1, 200_000)), draw(st.sampled_from(list(PaymentStatus))).value,
                draw(st.sampled_from(["USD", "USD", "EUR"])))
        for number in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    reversed_payments = [p for p in payments if p.amount.currency == "USD"]
    refunds, lost = [], []
    for reversed_payment, status in itertools.product(reversed_payments, draw(st.lists(st.sampled_from(REVERSALS), max_size=2))):  # fmt: skip
        amount = usd(draw(st.integers(1, 200_000)))
        refunds.append(Refund(reversed_payment.id, amount, status))
        lost.append(PaymentDispute(reversed_payment.id, amount, status))
    disputes = [
        Dispute(f"d{number}", draw(st.sampled_from(["open", "open", "withdrawn"])),
                draw(st.sampled_from([None, "l0", "l1", "gone"])), draw(st.none() | AMOUNTS.map(usd)))
        for number in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    return ledger(
        *lines, payments=payments, refunds=refunds, payment_disputes=lost, disputes=disputes,
        tax_rate=draw(st.sampled_from(["0", "8.875", "19", "7.7"]).map(Decimal)),
        status=draw(st.sampled_from(list(InvoiceStatus))), sent_at=draw(st.sampled_from([None, SENT_AT])),
        voided_at=draw(st.sampled_from([None, None, NOW])),
        due_date=draw(st.none() | st.dates(date(2026, 11, 18), date(2026, 11, 22))),
        client_timezone=draw(st.sampled_from([None, "Pacific/Kiritimati", "Pacific/Pago_Pago", "nowhere"])),
    )  # fmt: skip


@given(ledgers())
def test_what_was_written_is_never_written_again(of: Ledger) -> None:
    state = state_of(of, NOW)
    if state is not None:
        assert written(replace(of, invoice=state.on(of.invoice))) == {}


@given(ledgers())
def test_the_balance_is_always_total_minus_paid(of: Ledger) -> None:
    state = state_of(of, NOW)
    if state is not None and state.status is not InvoiceStatus.VOID:
        assert state.total is not None
        assert state.balance_due == state.total - state.amount_paid
    elif state is not None:
        assert state.balance_due == -state.amount_paid


@given(ledgers(), AMOUNTS)
def test_payable_is_between_nothing_and_the_balance(of: Ledger, balance: int) -> None:
    assert 0 <= payable(of, usd(balance)).minor <= max(0, balance)


@given(ledgers(), st.randoms())
def test_the_order_of_rows_does_not_matter(of: Ledger, random: Any) -> None:
    def mixed(rows: Any) -> Any:
        rows = list(rows)
        random.shuffle(rows)
        return rows

    shuffled = replace(
        of, line_items=mixed(of.line_items), payments=mixed(of.payments), refunds=mixed(of.refunds),
        payment_disputes=mixed(of.payment_disputes), disputes=mixed(of.disputes),
    )  # fmt: skip
    assert state_of(shuffled, NOW) == state_of(of, NOW)
    assert payable(shuffled, usd(100_000)) == payable(of, usd(100_000))


@given(ledgers())
def test_nothing_returns_to_draft_and_only_staff_void(of: Ledger) -> None:
    state = state_of(of, NOW)
    if state is not None:
        assert state.status is not InvoiceStatus.DRAFT
        assert (state.status is InvoiceStatus.VOID) == of.invoice.is_void
