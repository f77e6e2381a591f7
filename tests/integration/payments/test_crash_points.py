"""A function dies around a call to the outside; the message is delivered again, or Pay is pressed again: same rows.

Every moment between two calls leaves the world as it was after the last call that changed something, so the small
run dies after those only, after the first of every other kind on each database; the large one around every call on both.
"""

import functools
import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from local.waiting import wait_for
from tests.fakes.steps import Crash, crash
from tests.integration.payments.books import audit, never_half_written
from tests.integration.payments.firm import Firm
from tests.integration.payments.sizes import SIZES
from tests.integration.stripe_simulator.support import parameters

#: Calls that only look begin so; every other one changes something.
_LOOKS = ("SEARCH", "GET", "retrieve", "session_of", "sessions_created", "payment_")


@dataclass(frozen=True)
class Scene:
    """What a story is about; `transaction` is a payment intent that no invoice may know."""

    invoice: str
    events: tuple[str, ...] = ()
    transaction: str | None = None


@dataclass(frozen=True)
class Story:
    """`act` dies once and is repeated; before it `prepare`, after it `finish` happen undisturbed."""

    prepare: Callable[[Firm], Scene]
    act: Callable[[Firm, Scene], None]
    finish: Callable[[Firm, Scene], None] = lambda _, __: None


# ---- the worker's stories -------------------------------------------------------------------------------


def opened(firm: Firm, amount: str | None = None) -> tuple[str, str]:
    invoice = firm.invoice("100.00")
    status, body = firm.checkout(invoice, amount)
    assert status == 200, body
    firm.queue.forget()
    return invoice, body["checkout_session"]


def paid(firm: Firm, invoice: str, session: str) -> Scene:
    """The client pays, and Stripe knows its fee."""
    told = firm.client_pays(session)
    intent = firm.intent(told["payment_intent"])
    wait_for("the fee", lambda: firm.charge(intent["latest_charge"])["balance_transaction"])
    return Scene(invoice, (told["events"][-1],), intent["id"])


def a_card_paid(firm: Firm) -> Scene:
    return paid(firm, *opened(firm))


def a_card_paid_in_a_session_nobody_knows(firm: Firm) -> Scene:
    return paid_without_attempt(firm, firm.invoice("100.00"))


def a_card_paid_for_an_invoice_nobody_knows(firm: Firm) -> Scene:
    return paid_without_attempt(firm, str(uuid.uuid4()))


def paid_without_attempt(firm: Firm, invoice: str) -> Scene:
    ours = {"directus_invoice": invoice, "deployment": firm.deployment}
    session = firm.simulator.client().v1.checkout.sessions.create(
        parameters(amount=10000, metadata=ours, payment_intent_data={"metadata": ours})
    )
    return paid(firm, invoice, session.id)


def events_arrive(firm: Firm, scene: Scene) -> None:
    repeated(lambda: firm.stripe_delivers(*scene.events))
    firm.drain()


def a_refund_of_a_paid_invoice(firm: Firm) -> Scene:
    scene = a_card_paid(firm)
    events_arrive(firm, scene)
    return refunded(firm, scene, ())


def a_refund_told_of_before_its_payment(firm: Firm) -> Scene:
    scene = a_card_paid(firm)
    return refunded(firm, scene, scene.events)


def refunded(firm: Firm, scene: Scene, then: tuple[str, ...]) -> Scene:
    """A part of the payment is refunded; of what tells of it, one event arrives, and `then` others."""
    assert scene.transaction is not None
    told = firm.refunded(scene.transaction, 2500)["events"]
    kinds = [json.loads(raw)["type"] for raw in firm.raw_events(*told)]
    return Scene(scene.invoice, (told[kinds.index("refund.created")], *then), scene.transaction)


def a_session_that_a_discount_ends(firm: Firm) -> Scene:
    invoice, _ = opened(firm)
    firm.staff_gives_discount(invoice, "30.00")
    return Scene(invoice)


def an_invoice_just_sent(firm: Firm) -> Scene:
    nothing = dict.fromkeys(("sent_at", "subtotal", "tax", "total", "amount_paid", "balance_due"))
    invoice = firm.invoice("60.00", "40.00", **nothing, pdf_status="none")
    firm.changed(invoices=[invoice])
    return Scene(invoice)


def the_worker_works(firm: Firm, _: Scene) -> None:
    firm.drain()


# ---- the stories of checkout ----------------------------------------------------------------------------


def nobody_has_asked(firm: Firm) -> Scene:
    return Scene(firm.invoice("100.00"))


def a_session_for_another_amount(firm: Firm) -> Scene:
    return Scene(opened(firm, "40.00")[0])


def a_session_that_has_expired(firm: Firm) -> Scene:
    invoice, session = opened(firm)
    firm.simulator.api("POST", f"/v1/checkout/sessions/{session}/expire")
    return Scene(invoice)


def pay_is_pressed(firm: Firm, scene: Scene) -> None:
    status, body = repeated(lambda: firm.checkout(scene.invoice))
    assert status == 200, body
    assert firm.open_sessions(scene.invoice) == [body["checkout_session"]]


def the_client_pays(firm: Firm, scene: Scene) -> None:
    (session,) = firm.open_sessions(scene.invoice)
    firm.stripe_delivers(firm.client_pays(session)["events"][-1])
    firm.drain()


def repeated[Result](action: Callable[[], Result]) -> Result:
    """Whoever waits for an answer and gets none asks again."""
    try:
        return action()
    except Crash:
        return action()


STORIES = {
    "a card payment": Story(a_card_paid, events_arrive),
    "a payment in a session nobody knows": Story(a_card_paid_in_a_session_nobody_knows, events_arrive),
    "a payment of an invoice nobody knows": Story(a_card_paid_for_an_invoice_nobody_knows, events_arrive),
    "a refund of a paid invoice": Story(a_refund_of_a_paid_invoice, events_arrive),
    "a refund told of before its payment": Story(a_refund_told_of_before_its_payment, events_arrive),
    "a discount that ends a session": Story(a_session_that_a_discount_ends, the_worker_works),
    "an invoice just sent": Story(an_invoice_just_sent, the_worker_works),
    "checkout": Story(nobody_has_asked, pay_is_pressed, the_client_pays),
    "checkout beside a session for another amount": Story(
        a_session_for_another_amount, pay_is_pressed, the_client_pays
    ),
}
if SIZES.exhaustive:
    STORIES["checkout after a session that expired"] = Story(
        a_session_that_has_expired, pay_is_pressed, the_client_pays
    )


@pytest.mark.parametrize("name", STORIES)
def test_whoever_dies_wherever_the_rows_are_the_same_in_the_end(firm: Firm, name: str) -> None:
    story = STORIES[name]
    calls, expected = told_undisturbed(firm, story)
    for number, moment in dying(firm, calls):
        scene = story.prepare(firm)
        firm.steps.reset()
        moments = getattr(firm.steps, moment)
        moments[number] = functools.partial(look_and_die, firm, scene)
        story.act(firm, scene)
        assert moments == {}, "it died there"
        if SIZES.exhaustive:
            story.finish(firm, scene)
        assert summary(firm, scene) == expected, (moment, calls[number], "of", calls)


def look_and_die(firm: Firm, scene: Scene) -> None:
    never_half_written(firm, scene.invoice)
    crash()


def dying(firm: Firm, calls: list[str]) -> list[tuple[int, str]]:
    """The calls around which to die."""
    if SIZES.exhaustive:
        return [(number, moment) for number in range(len(calls)) for moment in ("before", "after")]
    first = {call: number for number, call in reversed(list(enumerate(calls)))}
    changing = [(number, "after") for call, number in first.items() if not call.startswith(_LOOKS)]
    assert changing
    return changing[firm.house.directus.database == "postgresql" :: 2]


@pytest.mark.parametrize(
    "name",
    [
        "an invoice just sent",
        "a discount that ends a session",
    ],
)
def test_new_amounts_are_drawn_though_the_worker_dies_when_it_has_written_them(firm: Firm, name: str) -> None:
    story = STORIES[name]
    calls, _ = told_undisturbed(firm, story)
    scene = story.prepare(firm)
    firm.steps.reset()
    firm.steps.after[calls.index("PATCH invoices")] = crash
    story.act(firm, scene)
    assert scene.invoice in {message.get("invoice") for message in firm.rendering.messages}


def told_undisturbed(firm: Firm, story: Story) -> tuple[list[str], dict[str, Any]]:
    scene = story.prepare(firm)
    firm.steps.reset()
    story.act(firm, scene)
    calls = list(firm.steps.names)
    if SIZES.exhaustive:
        story.finish(firm, scene)
    return calls, summary(firm, scene)


def summary(firm: Firm, scene: Scene) -> dict[str, Any]:
    """What must be the same: all but ids and moments, and the reason why an attempt ended."""
    firm.steps.reset()
    unknown = firm.admin.rows("/items/invoices", **{"filter[id][_eq]": scene.invoice}) == []
    audit(firm, scene.invoice)
    found: dict[str, Any] = {
        "events": [
            firm.admin.call("GET", f"/items/stripe_events/{event}")["status"] for event in scene.events
        ],
        "sessions": Counter(session["status"] for session in firm.sessions(scene.invoice)),
    }
    rows = firm.rows("payments", scene.invoice)
    if unknown:
        rows = firm.admin.rows("/items/payments", **{"filter[transaction_id][_eq]": scene.transaction})
    else:
        stored = firm.stored(scene.invoice)
        amounts = ("status", "amount_paid", "balance_due", "subtotal", "tax", "total", "pdf_status")
        found |= {name: str(stored[name]) for name in amounts} | {"sent": stored["sent_at"] is not None}
    said = ("amount", "currency", "status", "method", "note", "brand", "last4", "fee", "amount_refunded")
    linked = ("invoice", "client", "transaction_id", "checkout_session", "open_claim")
    found["payments"] = sorted(
        str([str(row[name]) for name in said] + [row[name] is not None for name in linked]) for row in rows
    )
    return found
