"""Everything that can have happened at Stripe while nobody listened, one invoice for each thing."""

import json
import uuid
from collections.abc import Callable, Iterable

from local.waiting import wait_for
from tests.fakes.steps import Crash, crash
from tests.integration.payments.firm import Firm
from tests.integration.payments.sizes import SIZES
from tests.integration.stripe_simulator.support import parameters

#: One event of each thing that can be told, and two of a dispute.
_TELLING = {
    "checkout.session.completed",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "refund.created",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
}

#: Something happens to an invoice of 100.00 USD of its own; its id.
type Happening = Callable[[Firm], str]


def session_of(firm: Firm, invoice: str, amount: str | None = None) -> str:
    """The client presses Pay."""
    status, body = firm.checkout(invoice, amount)
    assert status == 200, body
    return str(body["checkout_session"])


def session_without_checkout(firm: Firm, invoice: str, minor: int, **changes: str) -> str:
    """A session of our deployment for the invoice that checkout did not open; `changes` are of its metadata."""
    currency = changes.pop("currency", "usd")
    ours = {"directus_invoice": invoice, "deployment": firm.deployment, **changes}
    opened = firm.simulator.client().v1.checkout.sessions.create(
        parameters(amount=minor, currency=currency, metadata=ours, payment_intent_data={"metadata": ours})
    )
    return str(opened.id)


def paid(firm: Firm) -> tuple[str, str]:
    """An invoice and the payment intent that paid 60.00 of it."""
    invoice = firm.invoice("100.00")
    return invoice, str(firm.client_pays(session_of(firm, invoice, "60.00"))["payment_intent"])


def a_part_is_paid(firm: Firm) -> str:
    return paid(firm)[0]


def a_payment_is_refunded_and_disputed(firm: Firm) -> str:
    """Two refunds, one of which fails later, and a dispute that takes a part."""
    invoice, intent = paid(firm)
    firm.refunded(intent, 1000)
    failing = firm.refunded(intent, 500)
    firm.simulator.control(f"refunds/{failing['refund']}/settle", outcome="fail")
    firm.disputed(intent, "lost", amount=2000)
    return invoice


def a_booked_payment_is_refunded_and_disputed(firm: Firm) -> str:
    """Directus has the payment; of what went back later nobody told us."""
    invoice = firm.invoice("100.00")
    told = firm.client_pays(session_of(firm, invoice, "60.00"))
    firm.stripe_delivers(told["events"][-1])
    firm.drain()
    firm.refunded(told["payment_intent"], 1000)
    firm.disputed(told["payment_intent"], "lost", amount=2000)
    return invoice


def money_comes_for_no_invoice(firm: Firm) -> str:
    """It is refunded in part."""
    unknown = str(uuid.uuid4())
    told = firm.client_pays(session_without_checkout(firm, unknown, 10000))
    firm.refunded(told["payment_intent"], 2500)
    return unknown


def a_checkout_dies_before_its_session_is_stored(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    firm.steps.after_next["create_session"] = crash
    try:
        firm.checkout(invoice)
    except Crash:
        return invoice
    message = "It did not die."
    raise AssertionError(message)


def a_dispute_is_open(firm: Firm) -> str:
    invoice, intent = paid(firm)
    firm.disputed(intent, "open")
    return invoice


def a_session_that_nobody_knows_is_paid(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    firm.client_pays(session_without_checkout(firm, invoice, 10000))
    return invoice


def another_currency_is_paid(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    firm.client_pays(session_without_checkout(firm, invoice, 10000, currency="eur"))
    return invoice


def a_bank_debit_is_on_its_way(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    firm.client_pays(session_of(firm, invoice), method="us_bank_account")
    return invoice


def a_bank_debit_fails(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    begun = firm.client_pays(session_of(firm, invoice), method="us_bank_account")
    firm.simulator.control(f"payment_intents/{begun['payment_intent']}/settle", outcome="fail")
    return invoice


def a_session_expires(firm: Firm) -> str:
    invoice = firm.invoice("100.00")
    firm.simulator.api("POST", f"/v1/checkout/sessions/{session_of(firm, invoice)}/expire")
    return invoice


EVERYTHING: tuple[Happening, ...] = (
    a_booked_payment_is_refunded_and_disputed,
    a_payment_is_refunded_and_disputed,
    money_comes_for_no_invoice,
    a_checkout_dies_before_its_session_is_stored,
    a_dispute_is_open,
    a_session_that_nobody_knows_is_paid,
    another_currency_is_paid,
    a_bank_debit_is_on_its_way,
    a_bank_debit_fails,
    a_session_expires,
)


def happened(firm: Firm, what: Iterable[Happening]) -> list[str]:
    """It has all happened, Stripe knows its fees, and nothing of it is in a queue; the invoices."""
    invoices = [one(firm) for one in what]
    firm.queue.forget()
    wait_for("the fees", lambda: all(map(_has_fee, firm.listed("charges", **firm.since()))))
    return invoices


def telling(firm: Firm) -> list[bytes]:
    """The events that nobody delivered yet; in the small run those of `_TELLING`."""
    return [raw for raw in firm.raw_events() if SIZES.exhaustive or json.loads(raw)["type"] in _TELLING]


def delivered(firm: Firm) -> None:
    """The workers have done what `telling` tells."""
    for raw in telling(firm):
        assert firm.receive(raw) == 200
    firm.drain()


def _has_fee(charge: dict[str, object]) -> bool:
    return charge["status"] != "succeeded" or charge["balance_transaction"] is not None
