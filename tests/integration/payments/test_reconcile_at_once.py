"""Reconcile beside everybody else: webhooks, itself, staff, clients, a connection that breaks; and all alone.

After each the books are true, and a further run finds nothing to repair.
"""

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from billing.aws.queue_worker import INVOICE_WORK, read
from billing.reconcile.reconcile import Report
from tests.fakes.steps import Crash, crash
from tests.integration.directus.server import RunningDirectus
from tests.integration.payments.at_once import at_once, shuffled
from tests.integration.payments.books import audit
from tests.integration.payments.cutting_proxy import Moment, cutting_proxy
from tests.integration.payments.edits import EDITS, Edit
from tests.integration.payments.fifo_queue import FifoQueue
from tests.integration.payments.firm import Firm, Household, a_household, only
from tests.integration.payments.happenings import (
    EVERYTHING,
    Happening,
    a_booked_payment_is_refunded_and_disputed,
    a_checkout_dies_before_its_session_is_stored,
    a_part_is_paid,
    a_payment_is_refunded_and_disputed,
    a_session_expires,
    delivered,
    happened,
    money_comes_for_no_invoice,
    telling,
)
from tests.integration.payments.sizes import SIZES
from tests.integration.stripe_simulator.support import RunningSimulator

MUCH: tuple[Happening, ...] = (
    EVERYTHING
    if SIZES.exhaustive
    else (a_booked_payment_is_refunded_and_disputed, money_comes_for_no_invoice)
)
MOMENTS: tuple[Moment, ...] = ("before it is forwarded", "in the middle of it", "before its answer", "in the middle of its answer")  # fmt: skip
#: What people must look at after `EVERYTHING`, whoever brought it: money that belongs to no invoice.
_FOR_PEOPLE = {"payment_unapplied"}


@pytest.fixture
def house(directus: RunningDirectus) -> Household:
    """A client of each test's own: reconcile looks at every invoice there is."""
    return a_household(directus)


def look_and_work(firm: Firm) -> Report:
    report = firm.reconcile()
    firm.drain(workers=2)
    return report


def all_is_well(firm: Firm, invoices: Iterable[str]) -> None:
    """The books are true, and reconcile has nothing to repair."""
    firm.render()
    audit(firm, *invoices)
    further = firm.reconcile()
    assert further.repaired == []
    assert kinds(further) <= _FOR_PEOPLE, further.differences
    assert firm.queue.waiting() == []


def kinds(report: Report) -> set[str]:
    return {difference.kind for difference in report.differences}


def rows(firm: Firm, invoices: Iterable[str]) -> list[dict[str, Any]]:
    """Every row of these invoices and of their unapplied money as it is, but for who touched it when."""
    intents = [
        session["payment_intent"]["id"]
        for invoice in invoices
        for session in firm.sessions(invoice)
        if session["payment_intent"] is not None
    ]
    below = "refunds.*,payment_disputes.*"
    stored = firm.admin.rows(
        "/items/invoices", **{"filter[id][_in]": ",".join(invoices), "sort": "id"},
        fields=f"*,line_items.*,payments.*,{','.join(f'payments.{name}' for name in below.split(','))}",
    )  # fmt: skip
    unapplied = firm.admin.rows(
        "/items/payments", **{"filter[transaction_id][_in]": ",".join(intents), "sort": "id"},
        fields=f"*,{below}",
    )  # fmt: skip
    return [_without_touches(row) for row in (*stored, *unapplied)]


def _without_touches(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_touches(one) for name, one in value.items() if not name.endswith("_updated")}
    return [_without_touches(one) for one in value] if isinstance(value, list) else value


# ---- alone ----------------------------------------------------------------------------------------------


def test_with_every_webhook_lost_reconcile_alone_reaches_the_rows_that_they_would_have(firm: Firm) -> None:
    invoices = happened(firm, EVERYTHING)
    firm.reconcile()
    firm.drain()
    all_is_well(firm, invoices)
    reached = rows(firm, invoices)
    delivered(firm)  # late: nothing is left for them to change
    assert rows(firm, invoices) == reached
    audit(firm, *invoices)


# ---- beside webhooks and itself -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directus", "protected"),
    [("sqlite", True), ("postgresql", False), ("sqlite", False), ("postgresql", True)][
        : 4 if SIZES.exhaustive else 2
    ],
    indirect=["directus"],
    scope="session",
)
def test_webhooks_and_two_runs_over_the_same_payments(firm: Firm, *, protected: bool) -> None:
    firm.queue = FifoQueue(firm.steps, protected=protected)
    for number in range(SIZES.rounds):
        invoices = happened(firm, MUCH)
        raws = shuffled(telling(firm), seed=number)

        def deliver(raws: list[bytes] = raws) -> None:
            for raw in raws:
                assert firm.receive(raw) == 200
            firm.drain(workers=2)

        look: Callable[[], object] = functools.partial(look_and_work, firm)
        at_once([deliver, look, look])
        firm.drain(workers=4)
        all_is_well(firm, invoices)


# ---- beside people --------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", EDITS if SIZES.exhaustive else EDITS[2:3])
def test_reconcile_while_staff_edit(firm: Firm, edit: Edit) -> None:
    for _ in range(SIZES.rounds):
        invoices = happened(firm, [a_booked_payment_is_refunded_and_disputed])
        look: Callable[[], object] = functools.partial(look_and_work, firm)
        change: Callable[[], object] = functools.partial(edit, firm, only(invoices))
        at_once([look, change, look])
        firm.drain()
        all_is_well(firm, invoices)


@pytest.mark.parametrize("edit", EDITS if SIZES.exhaustive else EDITS[:1])
def test_an_edit_nobody_tells_of_between_two_looks_of_reconcile(firm: Firm, edit: Edit) -> None:
    """Stripe is read, the rows are not yet; the edit's flow is lost."""
    invoices = happened(firm, [a_payment_is_refunded_and_disputed])

    def edit_unheard() -> None:
        waiting = firm.queue.waiting()
        edit(firm, only(invoices))
        firm.queue.forget()
        for message in waiting:
            firm.queue.send(read(INVOICE_WORK, json.dumps(message)))

    firm.steps.before_next["SEARCH invoices"] = edit_unheard
    look_and_work(firm)
    assert not firm.steps.before_next
    look_and_work(firm)
    all_is_well(firm, invoices)


@pytest.mark.parametrize("directus", SIZES.databases("sqlite"), indirect=True, scope="session")
def test_reconcile_while_clients_press_pay(firm: Firm) -> None:
    """One invoice has a session that nobody stored, the other was paid in part and nobody was told."""
    for _ in range(SIZES.rounds):
        started, part = happened(firm, [a_checkout_dies_before_its_session_is_stored, a_part_is_paid])
        answers: list[int] = []

        def press(invoice: str, answers: list[int] = answers) -> None:
            answers.append(firm.checkout(invoice)[0])

        presses: list[Callable[[], object]] = [functools.partial(press, one) for one in (started, part)]
        look: Callable[[], object] = functools.partial(look_and_work, firm)
        at_once([*presses * max(1, SIZES.at_once // 5), look, look])
        assert set(answers) <= {200, 409, 503}, answers
        firm.drain()
        all_is_well(firm, [started, part])
        firm.client_pays(only(firm.open_sessions(started)))
        delivered(firm)
        audit(firm, started, part)
        assert firm.stored(started)["status"] == "paid"


# ---- cut and killed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", MOMENTS if SIZES.exhaustive else MOMENTS[3:])
@pytest.mark.parametrize(
    "collection", ["payments", "refunds", "invoices"] if SIZES.exhaustive else ["payments"]
)
def test_a_run_whose_connection_is_cut_says_so_and_the_next_finds_the_rest(
    house: Household, stripe: RunningSimulator, moment: Moment, collection: str
) -> None:
    with cutting_proxy(house.directus.url) as proxy:
        firm = Firm(house, stripe, directus_url=proxy.url, answer_seconds=5.0)
        invoices = happened(firm, MUCH)
        for _ in range(3):  # a read is tried three times
            proxy.cut("SEARCH", f"/items/{collection}", moment)
        assert "not_compared" in kinds(firm.reconcile())
        assert proxy.left == []
        proxy.cut("PATCH", "/items/invoices", moment)
        firm.drain()
        look_and_work(firm)
        assert proxy.left == []
        all_is_well(firm, invoices)


def test_a_run_that_dies_wherever_has_written_nothing_and_the_next_does_it_all(firm: Firm) -> None:
    invoices = happened(firm, MUCH)
    before = rows(firm, invoices)
    firm.steps.reset()
    firm.reconcile()
    calls = list(firm.steps.names)
    for number in dying(calls):
        firm.queue.forget()
        firm.steps.reset()
        firm.steps.after[number] = crash
        with pytest.raises(Crash):
            firm.reconcile()
    firm.steps.reset()
    assert rows(firm, invoices) == before
    firm.drain()  # what the last of them still had queued
    look_and_work(firm)
    all_is_well(firm, invoices)


def dying(calls: list[str]) -> list[int]:
    """Every call; or after the first repair and between the two looks that follow."""
    if SIZES.exhaustive:
        return list(range(len(calls)))
    first = next(number for number, call in enumerate(calls) if call.startswith("queue"))
    return [first, first + 2]


@pytest.mark.parametrize("directus", SIZES.databases("postgresql"), indirect=True, scope="session")
def test_a_run_in_pieces_with_webhooks_between_them_of_which_one_never_begins(firm: Firm) -> None:
    """One page in each invocation; after the third nobody goes on, and the next run begins anew."""
    invoices = happened(firm, [*MUCH, a_session_expires])
    raws = shuffled(telling(firm), seed=4)
    assert in_pieces(firm, raws[::2], most=3) == 3
    assert in_pieces(firm, raws[1::2]) > 3
    firm.drain()
    all_is_well(firm, invoices)


def in_pieces(firm: Firm, raws: list[bytes], most: int = 100) -> int:
    """How many invocations it took; the events arrive between them, as many at a time as there are pieces."""
    left, event, number = list(raws), dict[str, Any](), 0
    while number < most:
        number += 1
        report = firm.reconcile(remaining_seconds=lambda: 0.0, **event)
        for raw in left[:2]:
            assert firm.receive(raw) == 200
        del left[:2]
        firm.drain()
        if not report.continued:
            break
        event = dict(firm.continuation.events.pop())
    for raw in left:
        assert firm.receive(raw) == 200
    return number
