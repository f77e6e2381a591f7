"""What Stripe's refunds and disputes of one payment mean for the rows below it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.ledger import (
    LOST_DISPUTE,
    Payment,
    PaymentDispute,
    PaymentStatus,
    Refund,
    net_amount,
    settled,
)
from billing.money import Money
from billing.payments.reversals import (
    DISPUTE_STATUSES,
    REFUND_STATUSES,
    UNSETTLED_DISPUTES,
    UNSETTLED_REFUNDS,
    BookedReversals,
    book_reversals,
)
from billing.payments.store import payment_changes
from billing.stripe.objects import Reversals, StripeDispute, StripeRefund
from tests.builders import usd

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
MODEL = Path(__file__).parents[3] / "directus" / "model"
SETTLED_DISPUTES = sorted(DISPUTE_STATUSES - UNSETTLED_DISPUTES)


PAYMENT = Payment("p1", usd(10000), PaymentStatus.SUCCEEDED, "card", "i1", "pi_1")


def refund(
    name: str = "re_1", minor: int = 3000, status: str = "succeeded", currency: str = "USD"
) -> StripeRefund:
    return StripeRefund(name, status, minor, currency, NOW, "pi_1", "ch_1", "duplicate")


def dispute(
    name: str = "du_1", minor: int = 10000, status: str = "needs_response", currency: str = "USD"
) -> StripeDispute:
    due = NOW + timedelta(days=7)
    return StripeDispute(name, status, minor, currency, NOW, "pi_1", "ch_1", "fraudulent", due)


def said(*reversals: StripeRefund | StripeDispute) -> Reversals:
    return Reversals(
        [found for found in reversals if isinstance(found, StripeRefund)],
        [found for found in reversals if isinstance(found, StripeDispute)],
    )


class Written:
    """What is booked below a payment, and the columns that are written for it."""

    def __init__(
        self, payment: Payment, said: Reversals, known: BookedReversals, taken: Collection[str] = ()
    ) -> None:
        self.below, self.flags = book_reversals(payment, said, known, NOW, taken=taken)
        after = settled(payment, self.below.refunds, self.below.disputes)
        self.columns = payment_changes(payment, after, known, self.below)

    def nested(self, name: str, action: str) -> list[dict[str, Any]]:
        lists: Any = self.columns.get(name, {})
        rows: list[dict[str, Any]] = lists.get(action, [])
        return rows


def rows_for(
    *reversals: StripeRefund | StripeDispute,
    refunds: Sequence[Refund] = (),
    disputes: Sequence[PaymentDispute] = (),
    payment: Payment = PAYMENT,
    taken: Collection[str] = (),
) -> Written:
    return Written(payment, said(*reversals), BookedReversals(refunds, disputes), taken)


KNOWN_REFUND = Refund("p1", usd(3000), "pending", "r1", "re_1", "duplicate", NOW)
KNOWN_DISPUTE = PaymentDispute(
    "p1", usd(10000), "needs_response", "d1", "du_1", NOW + timedelta(days=7), "fraudulent"
)


# ---- refunds --------------------------------------------------------------------------------------------


def test_nothing_went_back_and_nothing_is_written() -> None:
    rows = rows_for()
    assert (rows.below, rows.columns, rows.flags) == (BookedReversals([], []), {}, [])


def test_a_refund_that_is_not_known_gets_a_row() -> None:
    rows = rows_for(refund())
    created = [
        {
            "stripe_refund": "re_1", "amount": "30.00", "currency": "USD", "status": "succeeded",
            "reason": "duplicate", "refunded_at": "2026-11-20T15:00:00+00:00",
        }
    ]  # fmt: skip
    assert rows.columns == {
        "refunds": {"create": created, "update": [], "delete": []},
        "amount_refunded": "30.00",
    }


def test_a_refund_that_is_known_changes_nothing_but_its_status() -> None:
    shown = replace(PAYMENT, amount_refunded=usd(3000))
    assert rows_for(refund(status="pending"), refunds=[KNOWN_REFUND], payment=shown).columns == {}
    rows = rows_for(refund(), refunds=[KNOWN_REFUND], payment=shown)
    assert rows.columns == {
        "refunds": {"create": [], "update": [{"id": "r1", "status": "succeeded"}], "delete": []}
    }
    assert rows.below.refunds == [replace(KNOWN_REFUND, status="succeeded")]


@pytest.mark.parametrize("status", sorted(REFUND_STATUSES))
def test_a_refund_counts_unless_it_failed_or_was_canceled(status: str) -> None:
    columns = rows_for(refund(status=status)).columns
    assert columns.get("amount_refunded") == (None if status in {"failed", "canceled"} else "30.00")


def test_a_refund_that_fails_after_it_succeeded_gives_the_money_back_to_the_payment() -> None:
    payment = replace(PAYMENT, amount_refunded=usd(3000))
    known = replace(KNOWN_REFUND, status="succeeded")
    columns = rows_for(refund(status="failed"), refunds=[known], payment=payment).columns
    assert columns == {
        "refunds": {"create": [], "update": [{"id": "r1", "status": "failed"}], "delete": []},
        "amount_refunded": "0.00",
    }


def test_several_refunds_add_up_with_those_the_firm_entered_itself() -> None:
    by_hand = Refund("p1", usd(500), "succeeded", "r9")
    rows = rows_for(
        refund("re_1", 3000), refund("re_2", 1000), refund("re_3", 99, "failed"), refunds=[by_hand]
    )
    assert rows.columns["amount_refunded"] == "45.00"
    assert [row["stripe_refund"] for row in rows.nested("refunds", "create")] == ["re_1", "re_2", "re_3"]
    assert by_hand in rows.below.refunds


def test_a_refund_that_stripe_does_not_name_stays_and_counts() -> None:
    payment = replace(PAYMENT, amount_refunded=usd(3000))
    rows = rows_for(refunds=[KNOWN_REFUND], payment=payment)
    assert (rows.below.refunds, rows.columns) == ([KNOWN_REFUND], {})


def test_what_hangs_below_another_payment_is_neither_counted_nor_changed() -> None:
    other = replace(KNOWN_REFUND, payment="p2")
    theirs = replace(KNOWN_DISPUTE, payment="p2")
    rows = rows_for(refunds=[other], disputes=[theirs])
    assert (rows.below.refunds, rows.below.disputes, rows.columns) == ([], [], {})


# ---- disputes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(DISPUTE_STATUSES))
def test_a_dispute_counts_only_while_it_is_lost(status: str) -> None:
    columns = rows_for(dispute(status=status)).columns
    assert columns.get("amount_disputed_lost") == ("100.00" if status in LOST_DISPUTE else None)


@pytest.mark.parametrize("status", sorted(DISPUTE_STATUSES))
def test_a_dispute_is_closed_when_it_is_first_seen_settled(status: str) -> None:
    (row,) = rows_for(dispute(status=status)).nested("payment_disputes", "create")
    assert row.get("closed_at") == (NOW.isoformat() if status in SETTLED_DISPUTES else None)
    assert (row["stripe_dispute"], row["currency"], row["reason"]) == ("du_1", "USD", "fraudulent")
    assert row["evidence_due_by"] == "2026-11-27T15:00:00+00:00"


@pytest.mark.parametrize("status", SETTLED_DISPUTES)
def test_a_dispute_that_stays_settled_keeps_the_moment_it_was_closed(status: str) -> None:
    rows = rows_for(dispute(status=status), disputes=[replace(KNOWN_DISPUTE, status=status)])
    assert (rows.nested("payment_disputes", "create"), rows.nested("payment_disputes", "update")) == ([], [])


def test_a_dispute_that_moves_on_changes_its_row() -> None:
    rows = rows_for(dispute(minor=9000, status="lost"), disputes=[KNOWN_DISPUTE])
    (row,) = rows.nested("payment_disputes", "update")
    assert (row["id"], row["amount"], row["status"], row["closed_at"]) == ("d1", "90.00", "lost", NOW.isoformat())  # fmt: skip
    assert "stripe_dispute" not in row
    assert rows.columns["amount_disputed_lost"] == "90.00"


def test_a_dispute_whose_amount_alone_changes_follows() -> None:
    (row,) = rows_for(dispute(minor=4000), disputes=[KNOWN_DISPUTE]).nested("payment_disputes", "update")
    assert row == {"id": "d1", "amount": "40.00"}


def test_an_appeal_opens_a_lost_dispute_again_but_gives_nothing_back() -> None:
    payment = replace(PAYMENT, amount_disputed_lost=usd(10000))
    known = replace(KNOWN_DISPUTE, status="lost", closed_at=NOW)
    rows = rows_for(dispute(status="appeal_under_review"), disputes=[known], payment=payment)
    (row,) = rows.nested("payment_disputes", "update")
    assert (row["status"], row["closed_at"]) == ("appeal_under_review", None)
    assert "amount_disputed_lost" not in rows.columns


def test_a_won_appeal_restores_the_payment() -> None:
    payment = replace(PAYMENT, amount_disputed_lost=usd(10000))
    known = replace(KNOWN_DISPUTE, status="appeal_under_review")
    columns = rows_for(dispute(status="won"), disputes=[known], payment=payment).columns
    assert columns["amount_disputed_lost"] == "0.00"


# ---- what cannot be booked as it is ---------------------------------------------------------------------


@pytest.mark.parametrize("strange", [refund(currency="EUR"), dispute(currency="EUR")])
def test_another_currency_is_named_and_not_added_up(strange: StripeRefund | StripeDispute) -> None:
    rows = rows_for(strange)
    assert rows.columns == {}
    (flag,) = rows.flags
    assert strange.id in flag
    assert "EUR" in flag
    assert "USD" in flag


@pytest.mark.parametrize("strange", [refund(status="reversed"), dispute(status="escalated", minor=500)])
def test_an_unknown_status_is_named_and_not_guessed_at(strange: StripeRefund | StripeDispute) -> None:
    rows = rows_for(strange, refund("re_2", 100), refunds=[KNOWN_REFUND], disputes=[KNOWN_DISPUTE])
    assert rows.columns["amount_refunded"] == "31.00", "the others are booked, what is known stays"
    assert rows.below.disputes == [KNOWN_DISPUTE]
    (flag,) = rows.flags
    assert strange.id in flag
    assert strange.status in flag


@pytest.mark.parametrize("strange", [refund(), dispute()])
def test_what_has_a_row_elsewhere_is_named_and_not_booked_twice(
    strange: StripeRefund | StripeDispute,
) -> None:
    rows = rows_for(strange, taken={strange.id})
    assert rows.columns == {}
    (flag,) = rows.flags
    assert strange.id in flag


def test_what_has_its_row_here_is_not_elsewhere() -> None:
    here: dict[str, Any] = {"refunds": [KNOWN_REFUND], "disputes": [KNOWN_DISPUTE]}
    rows = rows_for(refund(), dispute(status="lost"), taken={"re_1", "du_1"}, **here)
    assert rows.flags == []
    assert (len(rows.nested("refunds", "update")), len(rows.nested("payment_disputes", "update"))) == (1, 1)


def test_the_states_are_those_of_the_columns() -> None:
    def choices(collection: str) -> set[str]:
        fields: dict[str, Any] = yaml.safe_load((MODEL / f"{collection}.yaml").read_text())["fields"]
        return set(fields["status"]["choices"])

    assert choices("refunds") == REFUND_STATUSES
    assert choices("payment_disputes") == DISPUTE_STATUSES
    assert UNSETTLED_REFUNDS < REFUND_STATUSES
    assert LOST_DISPUTE < DISPUTE_STATUSES


# ---- properties -----------------------------------------------------------------------------------------

_REFUNDS = st.builds(
    refund, st.sampled_from(["re_1", "re_2", "re_3"]), st.integers(1, 20000), st.sampled_from(sorted(REFUND_STATUSES))
)  # fmt: skip
_DISPUTES = st.builds(
    dispute, st.sampled_from(["du_1", "du_2"]), st.integers(0, 20000), st.sampled_from(sorted(DISPUTE_STATUSES))
)  # fmt: skip


def _stored(rows: BookedReversals) -> tuple[list[Refund], list[PaymentDispute]]:
    """The rows as Directus hands them out afterwards."""
    return (
        [replace(found, id=found.id or f"row of {found.stripe_refund}") for found in rows.refunds],
        [replace(found, id=found.id or f"row of {found.stripe_dispute}") for found in rows.disputes],
    )


@given(
    st.lists(_REFUNDS, unique_by=lambda found: found.id),
    st.lists(_DISPUTES, unique_by=lambda found: found.id),
    st.randoms(use_true_random=False),
)
def test_looking_again_writes_nothing_and_order_does_not_matter(
    refunds: list[StripeRefund], disputes: list[StripeDispute], order: Any
) -> None:
    first = rows_for(*refunds, *disputes)
    kept = net_amount(PAYMENT, first.below.refunds, first.below.disputes)
    assert usd(0) <= kept <= PAYMENT.amount
    columns = first.columns
    payment = replace(
        PAYMENT,
        amount_refunded=Money.from_directus(columns.get("amount_refunded", "0.00"), "USD"),
        amount_disputed_lost=Money.from_directus(columns.get("amount_disputed_lost", "0.00"), "USD"),
    )
    known_refunds, known_disputes = _stored(first.below)
    order.shuffle(refunds)
    order.shuffle(disputes)
    again = rows_for(*refunds, *disputes, refunds=known_refunds, disputes=known_disputes, payment=payment)
    assert again.columns == {}
    assert net_amount(payment, again.below.refunds, again.below.disputes) == kept


def test_a_new_date_for_evidence_follows_by_itself_and_ends_nothing() -> None:
    known = replace(KNOWN_DISPUTE, evidence_due_by=NOW)
    (changed,) = rows_for(dispute(), disputes=[known]).nested("payment_disputes", "update")
    assert changed["evidence_due_by"] == (NOW + timedelta(days=7)).isoformat()
    assert "closed_at" not in changed
    assert not rows_for(
        dispute(), disputes=[replace(known, evidence_due_by=dispute().evidence_due_by)]
    ).nested("payment_disputes", "update")
