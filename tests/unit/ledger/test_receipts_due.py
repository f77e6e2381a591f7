"""Which receipt a payment has: one decision, for the renderer and for whoever asks whether to send it a message."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from billing.ledger.ledger import Payment, PaymentStatus
from billing.ledger.receipts_due import (
    Place,
    Receipt,
    Statement,
    decide,
    is_due,
    named_by,
    receipt_fingerprint,
    wants_renderer,
)
from billing.money import Money

HERE, ELSEWHERE = ("i1", "c1"), ("i2", "c1")
AMOUNT, DAY = Money(8000, "USD"), date(2026, 10, 5)
SAYS = Statement(AMOUNT, "check", DAY)
TRUE = Receipt(HERE, SAYS, "file 1", 1, "document 1", is_shown=True)
OLD = Receipt(HERE, replace(SAYS, amount=Money(8, "USD")), "file 0", 0, "document 0", is_shown=True)
LEFT = Receipt(ELSEWHERE, SAYS, "file 2", 2, "document 2", is_shown=True)
WITHDRAWN = replace(LEFT, is_shown=False, is_withdrawn=True)

PAID = Payment(
    "p1",
    AMOUNT,
    PaymentStatus.SUCCEEDED,
    "check",
    invoice="i1",
    client="c1",
    receipt="file 1",
    payment_date=DAY,
)
CANCELED = replace(PAID, status=PaymentStatus.CANCELED)
UNAPPLIED = replace(PAID, invoice=None, client=None)
NONE = replace(PAID, receipt=None)


@pytest.mark.parametrize(
    ("payment", "receipts", "is_sent", "step", "true", "keeps"),
    [
        pytest.param(PAID, [TRUE], True, "nothing", TRUE, True, id="it is there and named"),
        pytest.param(PAID, [OLD, TRUE], True, "nothing", TRUE, True, id="the older one stays"),
        pytest.param(NONE, [], True, "render", None, False, id="there is none"),
        pytest.param(NONE, [OLD], True, "render", None, False, id="there is an untrue one"),
        pytest.param(NONE, [TRUE], True, "show", TRUE, False, id="it is there and not named"),
        pytest.param(PAID, [TRUE, WITHDRAWN], True, "show", TRUE, True, id="a newer one is elsewhere"),
        pytest.param(
            PAID, [replace(TRUE, is_shown=False, is_withdrawn=True)], True, "show",
            replace(TRUE, is_shown=False, is_withdrawn=True), True, id="it was withdrawn and comes back",
        ),
        pytest.param(
            PAID, [replace(TRUE, is_shown=False)], True, "nothing", replace(TRUE, is_shown=False), True,
            id="staff have hidden it",
        ),
        pytest.param(PAID, [replace(TRUE, version=3), LEFT], True, "withdraw", replace(TRUE, version=3), True,
                     id="another is seen elsewhere"),
        pytest.param(PAID, [LEFT], True, "render", None, False, id="moved here"),
        pytest.param(PAID, [TRUE], False, "nothing", None, True, id="on a draft with a true one"),
        pytest.param(PAID, [OLD], False, "withdraw", None, False, id="on a draft with an untrue one named"),
        pytest.param(NONE, [OLD], False, "nothing", None, False, id="on a draft, none named"),
        pytest.param(UNAPPLIED, [TRUE], False, "withdraw", None, False, id="taken off its invoice"),
        pytest.param(replace(UNAPPLIED, receipt=None), [TRUE], False, "withdraw", None, False,
                     id="taken off, naming none"),
        pytest.param(replace(UNAPPLIED, receipt=None), [WITHDRAWN], False, "nothing", None, False,
                     id="withdrawn before"),
        pytest.param(CANCELED, [TRUE], True, "nothing", None, True, id="canceled"),
        pytest.param(replace(CANCELED, amount=Money(1, "USD")), [TRUE], True, "nothing", None, True,
                     id="canceled and mended"),
        pytest.param(CANCELED, [replace(TRUE, place=ELSEWHERE)], True, "withdraw", None, False,
                     id="canceled and moved"),
        pytest.param(replace(CANCELED, receipt=None), [], True, "nothing", None, False, id="canceled, without one"),
    ],
)  # fmt: skip
def test_one_decision(
    payment: Payment,
    receipts: list[Receipt],
    step: str,
    true: Receipt | None,
    *,
    is_sent: bool,
    keeps: bool,
) -> None:
    decision = decide(payment, receipts, is_sent=is_sent)
    assert (decision.is_settled, decision.true, decision.keeps) == (step == "nothing", true, keeps)
    due = is_due(payment, is_sent=is_sent)
    assert (step == "render") is (due and decision.true is None)
    assert step != "show" or decision.true is not None
    assert step != "withdraw" or decision.untrue or payment.receipt
    place = payment.invoice, payment.client
    assert decision.untrue == tuple(one for one in receipts if one.is_shown and one.place != place)


@pytest.mark.parametrize(
    ("change", "is_wanted"),
    [
        ({}, False),
        ({"receipt": None, "receipt_says": None}, True),
        ({"amount": Money(8, "USD")}, True),
        ({"amount": Money(8000, "EUR")}, True),
        ({"method": "wire"}, True),
        ({"payment_date": date(2026, 10, 4)}, True),
        ({"payment_date": None}, False),  # the day that it prints stays
        ({"invoice": "i2"}, True),
        ({"invoice": None, "client": None}, True),
        ({"receipt_says": None}, True),  # from before it was kept
        ({"receipt_says": "something else"}, True),
        ({"status": PaymentStatus.CANCELED}, False),
        ({"status": PaymentStatus.CANCELED, "invoice": "i2"}, True),
        ({"status": PaymentStatus.CANCELED, "receipt_says": None}, False),
        ({"status": PaymentStatus.PROCESSING, "receipt": None, "receipt_says": None}, False),
    ],
)
def test_what_the_payments_own_row_tells_is_enough_to_ask(change: dict[str, Any], *, is_wanted: bool) -> None:
    row = replace(PAID, receipt_says=fingerprint(HERE, DAY))
    assert wants_renderer(replace(row, **change), is_sent=True) is is_wanted


@pytest.mark.parametrize("place", [HERE, (None, None), ("i1", None)])
@pytest.mark.parametrize("day", [DAY, None])
def test_what_is_kept_of_a_receipt_is_read_back(place: Place, day: date | None) -> None:
    payment = replace(PAID, receipt_says=fingerprint(place, day))
    assert named_by(payment) == [Receipt(place, replace(SAYS, day=day), "file 1")]


@pytest.mark.parametrize("said", [None, "", "a b c", "i1 c1 x USD check -", "i1 c1 1.00 USD check monday"])
def test_of_what_we_have_not_written_nothing_is_known(said: str | None) -> None:
    assert named_by(replace(PAID, receipt_says=said)) == [Receipt(file="file 1")]


def fingerprint(place: Place, day: date | None) -> str:
    return receipt_fingerprint(invoice=place[0], client=place[1], amount=AMOUNT, method="check", day=day)
