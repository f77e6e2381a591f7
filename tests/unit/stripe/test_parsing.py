"""An object of Stripe's is read or refused by name; nothing else ever comes of it.

What Stripe's own document lets be null: `tests/integration/stripe_simulator/test_every_null.py`.
"""

from datetime import UTC, datetime

import pytest

from billing.errors import StripeUnreadable
from billing.payments.booking import is_ours
from billing.stripe.objects import CheckoutSession, StripeDispute, StripeRefund, UndeliveredEvent, id_of
from billing.stripe.parsing import each_readable, read
from tests.fakes.stripe_samples import DISPUTE, EVENT, NEEDED_OF_OURS, OURS, READ, REFUND, SESSION, refusal_of


@pytest.mark.parametrize("name", sorted(NEEDED_OF_OURS))
def test_a_session_that_may_be_ours_needs_status_amount_and_currency(name: str) -> None:
    with pytest.raises(StripeUnreadable) as refusal:
        read(CheckoutSession, {**SESSION, name: None})
    assert refusal.value.ids == {"object": "cs_test_1"}
    assert name in refusal.value.detail


@pytest.mark.parametrize("mode", ["setup", "subscription", "one of tomorrow"])
@pytest.mark.parametrize("metadata", [OURS, {}, None])
def test_a_session_that_takes_no_payment_is_never_ours(mode: str, metadata: dict[str, str] | None) -> None:
    bare = {
        **SESSION, "mode": mode, "payment_status": "no_payment_required", "payment_intent": None,
        "amount_total": None, "currency": None, "status": None, "metadata": metadata,
    }  # fmt: skip
    found = read(CheckoutSession, bare)
    assert not is_ours(found.metadata, "test")
    assert (found.invoice, found.attempt, found.is_open) == (None, None, False)


def test_another_applications_payment_is_read_whatever_is_missing() -> None:
    found = read(
        CheckoutSession, {**SESSION, "metadata": {"order": "7"}, "amount_total": None, "currency": None}
    )
    assert (found.id, found.metadata) == ("cs_test_1", {"order": "7"})


@pytest.mark.parametrize(
    ("named", "elsewhere"),
    [({}, False), ({"account": None, "context": ""}, False), ({"account": "acct_1"}, True), ({"context": "acct_1"}, True)],
)  # fmt: skip
def test_an_undelivered_event_says_whether_it_is_of_another_account(
    named: dict[str, str | None], *, elsewhere: bool
) -> None:
    assert read(UndeliveredEvent, {**EVENT, **named}).of_another_account is elsewhere


def test_a_dispute_that_takes_no_evidence_has_no_last_day() -> None:
    """Stripe writes 0 where the bank takes no answer."""
    assert read(StripeDispute, {**DISPUTE, "evidence_details": {"due_by": 0}}).evidence_due_by is None
    assert read(StripeDispute, DISPUTE).evidence_due_by == datetime.fromtimestamp(1795944224, UTC)


@pytest.mark.parametrize("what", READ)
@pytest.mark.parametrize("nonsense", [None, [], {}, "text", 1.5, True, -1, 10**40])
def test_no_json_in_any_field_gets_anything_but_a_value_or_one_error(what: str, nonsense: object) -> None:
    _, whole, parse = READ[what]
    for name in whole:
        assert refusal_of(parse, {**whole, name: nonsense}, name)


@pytest.mark.parametrize("what", READ)
def test_nothing_at_all_is_one_error(what: str) -> None:
    with pytest.raises(StripeUnreadable):
        READ[what][2]({})


def test_an_id_is_found_in_what_is_expanded_and_what_is_not() -> None:
    assert [id_of(value) for value in ("pi_1", {"id": "pi_1"}, {}, None, 7)] == [
        "pi_1",
        "pi_1",
        None,
        None,
        None,
    ]


# ---- lists ----------------------------------------------------------------------------------------------

BROKEN = {**REFUND, "id": "re_broken", "amount": None}


def test_one_object_that_cannot_be_read_does_not_stop_the_list() -> None:
    told: list[StripeUnreadable] = []
    listed = [REFUND, BROKEN, {**REFUND, "id": "re_2"}]
    found = list(each_readable(listed, StripeRefund, told.append))
    assert [refund.id for refund in found] == ["re_1", "re_2"]
    assert [error.ids for error in told] == [{"object": "re_broken"}]


def test_whoever_asks_for_everything_learns_at_the_end_that_something_was_passed_over() -> None:
    listed = each_readable([BROKEN, REFUND], StripeRefund)
    assert next(listed).id == "re_1"
    with pytest.raises(StripeUnreadable, match="re_broken"):
        next(listed)
