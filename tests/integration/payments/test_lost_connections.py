"""The connection to Directus breaks while something is written: whether it was written or not, it is so exactly once."""

import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.integration.payments.books import audit
from tests.integration.payments.cutting_proxy import CuttingProxy, Moment, cutting_proxy
from tests.integration.payments.firm import Firm, Household, only
from tests.integration.payments.sizes import SIZES
from tests.integration.stripe_simulator.support import RunningSimulator, parameters

MOMENTS: list[Moment] = [
    "before it is forwarded",
    "in the middle of it",
    "before its answer",
    "in the middle of its answer",
    "answered too late",
]
#: Those of which the function cannot know whether it was written, and one of which it can.
FEW: list[Moment] = MOMENTS if SIZES.exhaustive else ["before it is forwarded", "before its answer"]
#: The writes of a checkout, and of a payment's booking.
OPENING = [("POST", "/items/payments"), ("PATCH", "/items/payments")]
BOOKING = [("POST", "/items/stripe_events"), ("PATCH", "/items/invoices"), ("PATCH", "/items/stripe_events")]


@pytest.fixture
def proxy(house: Household) -> Iterator[CuttingProxy]:
    with cutting_proxy(house.directus.url) as running:
        yield running


@pytest.fixture
def firm(house: Household, stripe: RunningSimulator, proxy: CuttingProxy) -> Firm:
    """A firm whose functions reach Directus through the proxy and do not wait long."""
    return Firm(house, stripe, directus_url=proxy.url, answer_seconds=1.0)


def pressed_until_open(firm: Firm, invoice: str, presses: int) -> str:
    """The session, after at most that many presses; before it nothing but "try again"."""
    for _ in range(presses):
        status, body = firm.checkout(invoice)
        if status == 200:
            return str(body["checkout_session"])
        assert status == 503, body
    message = f"{presses} presses opened no session: {body}"
    raise AssertionError(message)


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_write_of_a_payment_is_cut_once_and_happens_once(
    firm: Firm, proxy: CuttingProxy, moment: Moment
) -> None:
    invoice = firm.invoice("500.00")
    for method, path in OPENING:
        proxy.cut(method, path, moment)
    session = pressed_until_open(firm, invoice, presses=len(OPENING) + 2)
    assert proxy.left == []
    assert [session] == firm.open_sessions(invoice)
    assert only(firm.rows("payments", invoice))["checkout_session"] == session
    firm.drain()
    for method, path in BOOKING:
        proxy.cut(method, path, moment)
    event = firm.client_pays(session)["events"][-1]
    firm.stripe_delivers(event)
    firm.drain()
    assert proxy.left == []
    assert firm.failures, "the worker noticed"
    audit(firm, invoice)
    assert only(firm.rows("payments", invoice))["status"] == "succeeded"
    assert firm.admin.call("GET", f"/items/stripe_events/{event}")["status"] == "done"


@pytest.mark.parametrize("moment", FEW)
@pytest.mark.parametrize("known", [True, False])
def test_money_without_an_attempt_is_booked_once_however_the_write_is_cut(
    firm: Firm, proxy: CuttingProxy, moment: Moment, *, known: bool
) -> None:
    """A row is created: below its invoice, or below none if the invoice is unknown."""
    invoice = firm.invoice("500.00")
    ours = {"directus_invoice": invoice if known else str(uuid.uuid4()), "deployment": firm.deployment}
    session = firm.simulator.client().v1.checkout.sessions.create(
        parameters(amount=50000, metadata=ours, payment_intent_data={"metadata": ours})
    )
    paid = firm.client_pays(session.id)
    proxy.cut(*(("PATCH", "/items/invoices") if known else ("POST", "/items/payments")), moment)
    firm.stripe_delivers(paid["events"][-1])
    firm.drain()
    assert proxy.left == []
    audit(firm, invoice)
    filters = {"filter[transaction_id][_eq]": paid["payment_intent"]}
    row = only(firm.admin.rows("/items/payments", **filters))
    assert (row["invoice"], row["status"]) == (invoice if known else None, "succeeded")
    assert Decimal(str(row["amount"])) == Decimal(500)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_read_that_is_cut_is_asked_again_and_nobody_notices(
    firm: Firm, proxy: CuttingProxy, moment: Moment
) -> None:
    invoice = firm.invoice("500.00")
    proxy.cut("GET", "/items/firm", moment)
    if moment != "answered too late":  # each of which takes as long as one waits
        proxy.cut("SEARCH", "/users", moment)
        proxy.cut("SEARCH", "/items/invoices", moment)
    assert firm.checkout(invoice)[0] == 200
    assert proxy.left == []
