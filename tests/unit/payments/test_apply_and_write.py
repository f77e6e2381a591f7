"""The invoice writer: whatever Stripe delivers, in whatever order, however often, the rows say the same."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.errors import BillingError, UpstreamUnavailable
from billing.messages import StripeEvent
from billing.payments.events import subject_of
from billing.stripe.objects import Charge, PaymentIntent
from tests.fakes.steps import Crash, crash
from tests.fakes.world import CLIENT, INVOICE, World, opened

SECOND = "a2000000-0000-4000-8000-000000000002"


def summary(world: World) -> dict[str, Any]:
    """What must not depend on order, repetition or crashes: everything but ids and times of processing."""
    ours = ("transaction_id", "checkout_session", "amount", "currency", "status", "open_claim", "invoice", "client", "fee",
            "method", "last4", "bank_name", "note", "failure_reason")  # fmt: skip
    invoice = world.stored()
    return {
        "invoice": {
            name: invoice[name] for name in ("status", "amount_paid", "balance_due", "total", "sent_at")
        },
        "payments": sorted(str({name: row[name] for name in ours}) for row in world.payments()),
        "events": {key: row["status"] for key, row in world.directus.table("stripe_events").items()},
    }


# ---- stories: what happens at Stripe --------------------------------------------------------------------


def a_card_pays(world: World, session: str) -> None:
    world.stripe.pays(session)
    world.stripe.learns_fee(session, 320)


def a_bank_debit_succeeds(world: World, session: str) -> None:
    world.stripe.debits(session)
    world.stripe.settles(session, succeeds=True)
    world.stripe.learns_fee(session, 80)


def a_bank_debit_fails(world: World, session: str) -> None:
    world.stripe.debits(session)
    world.stripe.settles(session, succeeds=False)


def nobody_pays(world: World, session: str) -> None:
    world.stripe.expires(session)


def less_is_paid(world: World, session: str) -> None:
    world.stripe.pays(session, minor=4000)


def another_currency_is_paid(world: World, session: str) -> None:
    world.stripe.pays(session, minor=9000, currency="EUR")


def the_invoice_is_deleted_before_it_is_paid(world: World, session: str) -> None:
    world.stripe.pays(session)
    for row in world.payments(invoice=INVOICE):
        row["invoice"] = None


STORIES: list[Callable[[World, str], None]] = [
    a_card_pays, a_bank_debit_succeeds, a_bank_debit_fails, nobody_pays, less_is_paid, another_currency_is_paid,
]  # fmt: skip


def told(story: Callable[[World, str], None]) -> World:
    world, session = opened()
    world.stripe.events.clear()
    story(world, session)
    return world


@pytest.mark.parametrize("story", STORIES)
def test_every_order_and_any_repetition_of_the_events_gives_the_same_rows(story: Any) -> None:
    expected: dict[str, Any] | None = None
    for order in itertools.permutations(range(len(told(story).stripe.events))):
        world = told(story)
        events = [world.stripe.events[number] for number in order]
        world.deliver([*events, *events[::-1]])
        found = summary(world)
        expected = expected or found
        assert found == expected


@pytest.mark.parametrize("story", [*STORIES, the_invoice_is_deleted_before_it_is_paid])
def test_a_crash_around_any_step_and_a_redelivery_give_the_same_rows(story: Any) -> None:
    calm = told(story)
    calm.deliver()
    expected = summary(calm)
    for when, number in itertools.product(("before", "after"), range(60)):
        world = told(story)
        world.steps.reset()
        moments = world.steps.before if when == "before" else world.steps.after
        moments[number] = crash
        try:
            world.deliver()
        except Crash:
            world.deliver()
            assert summary(world) == expected, (when, world.steps.names)
        assert len(world.payments(status="succeeded")) <= 1


def unreachable() -> None:
    message = "Directus or Stripe cannot be reached."
    raise UpstreamUnavailable(message)


@pytest.mark.parametrize("story", STORIES)
def test_directus_unreachable_at_any_step_leaves_the_event_to_be_delivered_again(story: Any) -> None:
    calm = told(story)
    calm.deliver()
    expected = summary(calm)

    for number in range(60):
        world = told(story)
        world.steps.reset()
        world.steps.before[number] = unreachable
        try:
            world.deliver()
        except UpstreamUnavailable:
            world.steps.reset()
            world.deliver()
        assert summary(world) == expected


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_looking_while_it_happens_gives_the_same_rows_as_looking_afterwards(looks: Sequence[int]) -> None:
    """Events are applied between the steps of the story, when Stripe shows another state than later."""
    world, session = opened()
    world.stripe.events.clear()
    story: list[Callable[[], object]] = [lambda: world.stripe.debits(session), lambda: world.stripe.settles(session, succeeds=True),
             lambda: world.stripe.learns_fee(session, 80)]  # fmt: skip
    for look in looks:
        if look == 3 and story:
            story.pop(0)()
        elif world.stripe.events:
            world.deliver([world.stripe.events[look % len(world.stripe.events)]])
    for step in story:
        step()
    world.deliver()
    calm = told(a_bank_debit_succeeds)
    calm.deliver()
    assert {**summary(world), "events": None} == {**summary(calm), "events": None}


# ---- what each story ends with --------------------------------------------------------------------------


def test_a_card_payment_is_booked_on_its_attempt() -> None:
    world = told(a_card_pays)
    world.deliver()
    (row,) = world.payments()
    assert row["status"] == "succeeded"
    assert row["open_claim"] is None
    assert (row["amount"], row["currency"], row["fee"], row["last4"], row["brand"]) == ("100.00", "USD", "3.20", "4242", "visa")  # fmt: skip
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("paid", "0.00")
    assert set(summary(world)["events"].values()) == {"done"}


def test_a_bank_debit_under_way_holds_the_claim_and_pays_nothing() -> None:
    world, session = opened()
    world.stripe.debits(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"], row["bank_name"]) == ("processing", INVOICE, "STRIPE TEST BANK")
    assert (world.stored()["status"], world.stored()["amount_paid"]) == ("sent", "0.00")
    with pytest.raises(BillingError) as refusal:
        world.pay()
    assert refusal.value.code == "payment_processing"


def test_a_failed_bank_debit_frees_the_invoice_for_a_new_session() -> None:
    world = told(a_bank_debit_fails)
    world.deliver()
    (row,) = world.payments()
    assert (row["status"], row["open_claim"], row["failure_reason"]) == ("failed", None, "No account.")
    assert world.pay().checkout_session != row["checkout_session"]


def test_a_late_expiry_of_a_paid_session_changes_nothing() -> None:
    world = told(a_card_pays)
    world.deliver()
    before = summary(world)
    late = replace(world.stripe.events[0], event="evt_late", event_type="checkout.session.expired")
    world.deliver([late])
    assert {**summary(world), "events": None} == {**before, "events": None}


def test_another_amount_is_booked_as_received_and_flagged() -> None:
    world = told(less_is_paid)
    world.deliver()
    (row,) = world.payments()
    assert row["amount"] == "40.00"
    assert row["note"] == "100.00 USD was asked for, 40.00 USD was received."
    assert (world.stored()["status"], world.stored()["balance_due"]) == ("partially_paid", "60.00")
    assert world.flags


def test_another_currency_is_an_unapplied_row_and_the_attempt_is_canceled() -> None:
    world = told(another_currency_is_paid)
    world.deliver()
    (unapplied,) = world.payments(status="succeeded")
    assert (unapplied["invoice"], unapplied["client"], unapplied["amount"], unapplied["currency"]) == (None, None, "90.00", "EUR")  # fmt: skip
    (attempt,) = world.payments(status="canceled")
    assert attempt["open_claim"] is None
    assert world.stored()["amount_paid"] == "0.00"
    assert world.flags


def test_money_for_an_invoice_that_is_gone_stays_visible_as_unapplied() -> None:
    world = told(the_invoice_is_deleted_before_it_is_paid)
    for _ in range(2):
        world.deliver()
    (row,) = world.payments(status="succeeded")
    assert (row["invoice"], row["client"], row["amount"], row["open_claim"]) == (None, None, "100.00", None)
    assert "a partner must assign it" in row["note"]
    (attempt,) = world.payments(status="canceled")
    assert attempt["open_claim"] is None


def test_money_for_an_attempt_that_is_gone_stays_visible() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["invoice"], row["client"], row["amount"]) == (INVOICE, CLIENT, "100.00")
    assert row["note"]
    assert world.stored()["status"] == "paid"


def test_money_for_an_unknown_invoice_without_an_attempt_is_unapplied() -> None:
    world, session = opened()
    world.directus.table("payments").clear()
    world.directus.table("invoices").clear()
    world.stripe.pays(session)
    world.deliver()
    (row,) = world.payments()
    assert (row["invoice"], row["client"], row["amount"]) == (None, None, "100.00")


def test_a_fee_in_another_currency_is_not_stored_as_if_it_were_the_payments() -> None:
    for currency in ("EUR", "HUF"):
        world, session = opened()
        world.stripe.pays(session)
        world.stripe.learns_fee(session, 9000, currency)
        world.deliver()
        (row,) = world.payments()
        assert (row["status"], row["fee"]) == ("succeeded", None)


def test_a_payment_is_dated_by_the_firms_calendar() -> None:
    world = World(time=datetime(2027, 1, 1, 2, 0, tzinfo=UTC))
    world.invoice("100.00")
    world.stripe.pays(world.pay().checkout_session)
    world.deliver()
    assert world.payments()[0]["payment_date"] == "2026-12-31"


# ---- other people's events ------------------------------------------------------------------------------


@pytest.mark.parametrize("deployment", [None, "another"])
def test_another_applications_session_is_ignored(deployment: str | None) -> None:
    world, session = opened()
    metadata = {"directus_invoice": INVOICE} | ({"deployment": deployment} if deployment else {})
    world.stripe.sessions[session] = replace(world.stripe.sessions[session], metadata=metadata)
    world.stripe.pays(session)
    before = {key: dict(row) for key, row in world.directus.table("payments").items()}
    world.deliver()
    assert world.directus.table("payments") == before
    assert set(summary(world)["events"].values()) == {"ignored"}
    assert (world.flags, world.parked) == ([], [])


def event(kind: str, object_id: str, **given: Any) -> StripeEvent:
    return StripeEvent(f"evt_{kind}", kind, object_id, "x", False, **given)


MOVES_BACK = ["refund.created", "charge.refund.updated", "charge.dispute.created",
              "radar.early_fraud_warning.created", "review.opened"]  # fmt: skip


def ended(world: World) -> tuple[str, str | None]:
    """How the only event ended."""
    (row,) = world.directus.table("stripe_events").values()
    return row["status"], row["error"]


@pytest.mark.parametrize("kind", MOVES_BACK)
def test_money_that_moves_back_on_a_payment_without_a_session_is_parked_not_swallowed(kind: str) -> None:
    world, _ = opened()
    world.stripe.hangs(subject_of(kind), "x_1", {"deployment": "test", "directus_invoice": INVOICE})
    world.deliver([event(kind, "x_1")])
    status, error = ended(world)
    assert status == "parked"
    assert "no Checkout session" in str(error)
    world.deliver([event(kind, "x_1")])
    assert len(world.parked) == 1, "a redelivery looks again, and people are told once"


@pytest.mark.parametrize("metadata", [{}, {"deployment": "another"}, {"directus_invoice": INVOICE}])
@pytest.mark.parametrize("kind", MOVES_BACK)
def test_another_applications_money_that_moves_back_is_ignored_without_an_alarm(
    kind: str, metadata: dict[str, str]
) -> None:
    world, _ = opened()
    world.stripe.hangs(subject_of(kind), "x_1", metadata)
    world.deliver([event(kind, "x_1")])
    assert (ended(world), world.parked, world.flags) == (("ignored", None), [], [])


CONNECTED = [
    *MOVES_BACK,
    "checkout.session.completed",
    "payment_intent.succeeded",
    "charge.updated",
    "never.heard.of",
]


@pytest.mark.parametrize("kind", CONNECTED)
def test_an_event_of_a_connected_account_is_ignored_whatever_it_is_about(kind: str) -> None:
    """Even one whose object has the id of a session of ours that was paid, and its metadata."""
    world, session = opened()
    world.stripe.pays(session)
    before = (world.stored(), world.payments())
    world.steps.names.clear()
    ours = {"invoice": INVOICE, "deployment": "test"}
    told = event(kind, session, of_another_account=True, **ours)
    world.deliver([told, told])
    assert (ended(world), world.parked, world.flags) == (("ignored", None), [], [])
    assert (world.stored(), world.payments()) == before
    assert {name for name in world.steps.names if "stripe_events" not in name} == set()


def test_an_event_of_a_connected_account_that_was_parked_before_is_ignored_once_it_is_sent_again() -> None:
    world, _ = opened()
    told = event("refund.created", "x_1")
    world.deliver([told])
    assert ended(world)[0] == "parked"
    world.deliver([replace(told, of_another_account=True)])
    assert ended(world) == ("ignored", None)


@pytest.mark.parametrize("kind", MOVES_BACK)
def test_money_that_moves_back_and_cannot_be_looked_up_stays_visible(kind: str) -> None:
    world, _ = opened()
    world.deliver([event(kind, "x_1")])
    status, error = ended(world)
    assert (status, len(world.parked)) == ("parked", 1)
    assert "resource_missing" in str(error)


def test_money_that_moves_back_waits_while_stripe_is_away() -> None:
    world, _ = opened()
    world.steps.before_next["find payment"] = unreachable
    with pytest.raises(UpstreamUnavailable):
        world.deliver([event("refund.created", "x_1")])
    assert world.steps.names[-1] == "find payment"
    assert ended(world) == ("received", None)


@pytest.mark.parametrize(
    ("deployment", "status"), [("test", "parked"), ("another", "ignored"), (None, "ignored")]
)
def test_a_refunded_charge_is_parked_if_it_is_ours(deployment: str | None, status: str) -> None:
    world, _ = opened()
    world.stripe.foreign_charges.append(charge(deployment))
    world.deliver([event("charge.refunded", "ch_foreign")])
    assert ended(world)[0] == status


@pytest.mark.parametrize(
    ("deployment", "status"), [("test", "parked"), ("another", "ignored"), (None, "ignored")]
)
@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "charge.succeeded"])
def test_a_payment_without_a_session_is_parked_if_it_is_ours(
    kind: str, deployment: str | None, status: str
) -> None:
    """The event itself does not tell (a thin event carries no metadata): Stripe is asked."""
    world, _ = opened()
    world.stripe.foreign_charges.append(charge(deployment))
    world.stripe.foreign_intents.append(
        PaymentIntent("pi_foreign", "succeeded", 100, "USD", metadata=metadata_of(deployment))
    )
    world.deliver([event(kind, "pi_foreign" if kind.startswith("payment_intent") else "ch_foreign")])
    assert ended(world)[0] == status
    assert len(world.parked) == (status == "parked")


def metadata_of(deployment: str | None) -> dict[str, str]:
    return {} if deployment is None else {"deployment": deployment, "directus_invoice": INVOICE}


def charge(deployment: str | None) -> Charge:
    created = datetime(2026, 11, 20, tzinfo=UTC)
    return Charge("ch_foreign", "succeeded", created, "USD", metadata=metadata_of(deployment))


@pytest.mark.parametrize(
    "kind",
    ["customer.created", "balance.available", "payment_link.created", "v2.core.event_destination.ping"],
)
def test_an_event_about_something_else_is_ignored(kind: str) -> None:
    world, _ = opened()
    world.steps.reset()
    world.deliver([event(kind, "x_1")])
    assert set(summary(world)["events"].values()) == {"ignored"}
    assert world.parked == []
    assert world.steps.names == ["POST stripe_events", "PATCH stripe_events"], "Stripe is not asked"


@pytest.mark.parametrize("kind", ["payment_record.created", "checkout.basket.left", "unheard.of"])
def test_an_event_without_a_rule_is_parked_never_dropped(kind: str) -> None:
    world, _ = opened()
    world.deliver([event(kind, "x_1")])
    status, error = ended(world)
    assert (status, len(world.parked)) == ("parked", 1)
    assert kind in str(error)


def test_an_event_without_a_rule_that_names_another_deployment_is_ignored() -> None:
    world, _ = opened()
    world.deliver([event("unheard.of", "x_1", deployment="another")])
    assert ended(world) == ("ignored", None)


def test_an_event_whose_session_stripe_does_not_know_is_parked_visibly() -> None:
    world, _ = opened()
    world.deliver([event("checkout.session.completed", "cs_unknown", deployment="test", invoice=INVOICE)])
    (row,) = world.directus.table("stripe_events").values()
    assert row["status"] == "parked"


# ---- groups ---------------------------------------------------------------------------------------------


def test_an_event_without_the_invoice_is_handed_to_the_invoices_group() -> None:
    world, session = opened()
    world.stripe.pays(session)
    anonymous = replace(world.stripe.events[-1], invoice=None, deployment=None)
    writes = len(world.directus.requests)
    world.apply_event(anonymous)
    assert world.queue.sent == [({**vars(anonymous), "invoice": INVOICE}, INVOICE, None)]
    assert not any(method == "PATCH" for method, *_ in world.directus.requests[writes:])
    assert summary(world)["events"] == {anonymous.event: "received"}
    world.drain()
    assert summary(world)["events"] == {anonymous.event: "done"}
    assert world.stored()["status"] == "paid"


def test_a_payment_that_staff_assigned_to_another_invoice_is_written_by_that_invoices_group() -> None:
    world = told(another_currency_is_paid)
    world.deliver()
    world.invoice("90.00", id=SECOND, currency="EUR")
    (unapplied,) = world.payments(status="succeeded")
    unapplied.update(invoice=SECOND, client=CLIENT)
    world.recompute(SECOND)
    paid = world.stripe.events[0]
    world.stripe.learns_fee(paid.object, 300, "EUR")
    fee = world.stripe.events[-1]
    assert fee.invoice == INVOICE
    world.apply_event(fee)
    assert [group for _, group, _ in world.queue.sent] == [SECOND]
    world.drain()
    assert world.stored(SECOND)["status"] == "paid"
    assert unapplied["id"] in {row["id"] for row in world.payments(fee="3.00", invoice=SECOND)}
