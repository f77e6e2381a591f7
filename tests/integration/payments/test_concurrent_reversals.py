"""Refunds and disputes of one payment are told many times at once: one row each, whatever order they come in."""

import functools

import pytest

from tests.integration.payments.at_once import at_once, shuffled
from tests.integration.payments.books import amount_paid, audit
from tests.integration.payments.fifo_queue import FifoQueue
from tests.integration.payments.firm import Firm, only
from tests.integration.payments.happenings import delivered, paid, telling
from tests.integration.payments.sizes import SIZES


@pytest.fixture
def payment(request: pytest.FixtureRequest, firm: Firm) -> tuple[str, str]:
    """An invoice of 100.00 and its payment of 60.00, of which Directus knows or not."""
    invoice, intent = paid(firm)
    firm.queue.forget()
    told = telling(firm)
    if request.param == "booked":
        assert {firm.receive(raw) for raw in told} == {200}
        firm.drain()
    assert bool(amount_paid(firm, invoice)) == (request.param == "booked")
    return invoice, intent


def delivered_at_once(firm: Firm, raws: list[bytes]) -> None:
    """So many deliveries of each event at the same moment, each in an order of its own."""

    def deliver(number: int) -> None:
        for raw in shuffled(raws, seed=number):
            assert firm.receive(raw) == 200

    at_once([functools.partial(deliver, number) for number in range(SIZES.at_once)])


@pytest.mark.parametrize(
    ("payment", "protected"),
    [("booked", True), ("not booked", False), ("booked", False), ("not booked", True)][
        : 4 if SIZES.exhaustive else 2
    ],
    indirect=["payment"],
)
def test_many_deliveries_of_refunds_and_a_dispute_are_one_row_each(
    firm: Firm, payment: tuple[str, str], *, protected: bool
) -> None:
    invoice, intent = payment
    firm.refunded(intent, 1000)
    firm.refunded(intent, 500)
    firm.disputed(intent, "lost", amount=2000)
    raws = telling(firm)
    firm.queue = FifoQueue(firm.steps, protected=protected)
    delivered_at_once(firm, raws)
    firm.drain(workers=4 if protected else SIZES.at_once)
    audit(firm, invoice)
    assert str(amount_paid(firm, invoice)) == "25.00"
    firm.queue.five_minutes_pass()  # now the queue takes them once more
    firm.steps.reset()
    delivered_at_once(firm, raws[:1])
    firm.drain()
    assert not [call for call in firm.steps.names if call.startswith("PATCH")]
    audit(firm, invoice)


def test_a_dispute_that_is_won_and_a_refund_that_fails_while_both_are_told(firm: Firm) -> None:
    """What is told grows out of date while it is being booked: in the end the rows say what became of it."""
    for _ in range(SIZES.rounds):
        invoice, intent = paid(firm)
        delivered(firm)
        refund = firm.refunded(intent, 1000)["refund"]
        dispute = firm.disputed(intent, "open", amount=2000)["dispute"]
        assert {firm.receive(raw) for raw in telling(firm)} == {200}

        def end(refund: str = refund, dispute: str = dispute) -> None:
            firm.simulator.control(f"refunds/{refund}/settle", outcome="fail")
            firm.simulator.control(f"disputes/{dispute}/close", outcome="won")
            delivered(firm)

        at_once([end, lambda: firm.drain(workers=2)])
        firm.drain()
        audit(firm, invoice)
        assert str(amount_paid(firm, invoice)) == "60.00"
        row = only(firm.rows("payments", invoice, status="succeeded"))
        assert (row["amount_refunded"], row["amount_disputed_lost"]) in {(0, 0), ("0.00", "0.00")}
