"""The unmodified stripe package against the running simulator."""

import pytest
import stripe

from local.waiting import wait_for
from tests.integration.stripe_simulator.support import (
    Receiver,
    RunningSimulator,
    Start,
    parameters,
)


def test_a_session_is_created_as_the_product_asks_for_it(simulator: RunningSimulator) -> None:
    session = simulator.client().v1.checkout.sessions.create(parameters())
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency) == (125000, "usd")
    assert session.url == f"{simulator.url}/c/pay/{session.id}"
    assert session.expires_at == session.created + 24 * 60 * 60
    assert session.metadata is not None
    assert session.metadata.to_dict() == {"directus_invoice": "42", "deployment": "test"}


def test_a_card_pays_by_the_form_of_the_hosted_page(simulator: RunningSimulator, receiver: Receiver) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    assert session.url is not None
    answer = simulator.post_form(session.url, number="4242 4242 4242 4242", name="Żółć", method="card")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"https://portal.example/paid?sid={session.id}"
    simulator.settled()
    wait_for("the fee to be announced", lambda: "charge.updated" in receiver.types())
    paid = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.line_items is not None
    assert paid.line_items.data[0].description == "Invoice 2026-0042"
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received) == ("succeeded", 125000)
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4242"
    assert charge.billing_details.name == "Żółć"
    transaction = charge.balance_transaction
    assert isinstance(transaction, stripe.BalanceTransaction)
    assert (transaction.amount, transaction.fee, transaction.net) == (125000, 3655, 121345)
    assert sorted(receiver.types()) == [
        "charge.succeeded",
        "charge.updated",
        "checkout.session.completed",
        "payment_intent.created",
        "payment_intent.succeeded",
    ]


def test_metadata_goes_where_stripe_lets_it_go(simulator: RunningSimulator) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    paid = simulator.control(f"checkout/sessions/{session.id}/pay", method="card")
    intent = client.v1.payment_intents.retrieve(paid["payment_intent"], {"expand": ["latest_charge"]})
    of_the_intent = {"directus_invoice": "42", "directus_payment": "7"}  # not the session's `deployment`
    assert intent.metadata.to_dict() == of_the_intent
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.metadata.to_dict() == of_the_intent


def test_the_fee_is_unknown_until_it_is_announced(start: Start, receiver: Receiver) -> None:
    simulator = start(fee_delay=3600.0)
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    paid = simulator.control(f"checkout/sessions/{session.id}/pay", method="card")
    intent = client.v1.payment_intents.retrieve(paid["payment_intent"], {"expand": ["latest_charge"]})
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.balance_transaction is None
    simulator.control("advance", seconds=3600)
    wait_for("the fee to be announced", lambda: "charge.updated" in receiver.types())
    assert client.v1.charges.retrieve(intent.latest_charge.id).balance_transaction is not None


def test_a_declined_card_leaves_the_session_open_for_another(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    assert session.url is not None
    declined = simulator.post_form(session.url, number="4000000000000002", method="card")
    assert declined.status_code == 402
    assert b"Your card was declined." in declined.content
    after = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (after.status, after.payment_status) == ("open", "unpaid")
    assert isinstance(after.payment_intent, stripe.PaymentIntent)
    assert after.payment_intent.last_payment_error is not None
    assert after.payment_intent.last_payment_error.decline_code == "generic_decline"
    assert simulator.post_form(session.url, number="4242424242424242", method="card").status_code == 303
    charges = client.v1.charges.list({"payment_intent": after.payment_intent.id})
    assert [charge.status for charge in charges.data] == ["succeeded", "failed"]
    simulator.settled()
    assert receiver.types().count("payment_intent.created") == 1
    assert receiver.types().count("payment_intent.payment_failed") == 1
    assert receiver.types().count("charge.failed") == 1
    assert receiver.types().count("checkout.session.completed") == 1


def test_a_paid_session_cannot_be_paid_or_expired_again(simulator: RunningSimulator) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    assert session.url is not None
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card")
    assert simulator.post_form(session.url, number="4242424242424242").status_code == 410
    assert (
        simulator.call(
            "POST", f"/_test/checkout/sessions/{session.id}/pay", json={"method": "card"}
        ).status_code
        == 400
    )
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        client.v1.checkout.sessions.expire(session.id)
    assert len(client.v1.payment_intents.list().data) == 1


def test_an_expired_session_takes_no_money_and_says_so(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    assert session.url is not None
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card", outcome="fail")
    expired = client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert isinstance(expired.payment_intent, str)
    assert client.v1.payment_intents.retrieve(expired.payment_intent).status == "canceled"
    assert simulator.post_form(session.url, number="4242424242424242").status_code == 410
    simulator.settled()
    assert receiver.types().count("checkout.session.expired") == 1


def test_ageing_expires_a_session_and_announces_it(simulator: RunningSimulator, receiver: Receiver) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    simulator.control("advance", seconds=24 * 60 * 60 - 60)
    younger = client.v1.checkout.sessions.retrieve(session.id)
    assert (younger.status, younger.created) == ("open", session.created - 24 * 60 * 60 + 60)
    simulator.control("advance", seconds=61)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    wait_for("the expiry to be announced", lambda: receiver.types() == ["checkout.session.expired"])
    new = client.v1.checkout.sessions.create(parameters())
    assert new.created > younger.created  # the clock itself did not move back


def test_a_bank_debit_succeeds_or_fails_days_later(simulator: RunningSimulator, receiver: Receiver) -> None:
    client = simulator.client()
    both = parameters(allowed_payment_method_types=["card", "us_bank_account"])
    for outcome, payment_status in (("succeed", "paid"), ("fail", "unpaid")):
        session = client.v1.checkout.sessions.create(both)
        started = simulator.control(f"checkout/sessions/{session.id}/pay", method="us_bank_account")
        unpaid = client.v1.checkout.sessions.retrieve(session.id)
        assert (unpaid.status, unpaid.payment_status) == ("complete", "unpaid")
        intent = started["payment_intent"]
        assert client.v1.payment_intents.retrieve(intent).status == "processing"
        settled = simulator.control(f"payment_intents/{intent}/settle", outcome=outcome)
        assert settled["session"] == session.id
        assert client.v1.checkout.sessions.retrieve(session.id).payment_status == payment_status
        assert (
            simulator.call(
                "POST", f"/_test/payment_intents/{intent}/settle", json={"outcome": outcome}
            ).status_code
            == 400
        )
    simulator.settled()
    assert {"checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"} < set(
        receiver.types()
    )


def test_lists_are_paged_filtered_and_newest_first(simulator: RunningSimulator) -> None:
    client = simulator.client()
    made = [client.v1.checkout.sessions.create(parameters()).id for _ in range(5)]
    client.v1.checkout.sessions.expire(made[2])
    paid = simulator.control(f"checkout/sessions/{made[1]}/pay", method="card")
    sessions = client.v1.checkout.sessions
    assert [session.id for session in sessions.list({"limit": 2}).auto_paging_iter()] == made[::-1]
    first = sessions.list({"limit": 2})
    assert first.has_more
    assert [one.id for one in sessions.list({"ending_before": made[0], "limit": 2}).data] == [
        made[2],
        made[1],
    ]
    assert [one.id for one in sessions.list({"status": "expired"}).data] == [made[2]]
    assert [one.id for one in sessions.list({"payment_intent": paid["payment_intent"]}).data] == [made[1]]
    now = first.data[0].created
    assert sessions.list({"created": {"gt": now + 60}}).data == []
    assert len(sessions.list({"created": {"gte": now - 60}, "limit": 100}).data) == 5
    expanded = sessions.list({"payment_intent": paid["payment_intent"], "expand": ["data.payment_intent"]})
    assert isinstance(expanded.data[0].payment_intent, stripe.PaymentIntent)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sessions.list({"starting_after": "cs_test_unknown"})
    assert refused.value.code == "resource_missing"


def test_events_are_listed_with_what_was_not_delivered(
    simulator: RunningSimulator, receiver: Receiver
) -> None:
    client = simulator.client()
    simulator.control("deliveries", lose=1)
    for _ in range(2):
        client.v1.checkout.sessions.expire(client.v1.checkout.sessions.create(parameters()).id)
    simulator.settled()
    undelivered = client.v1.events.list({"delivery_success": False, "type": "checkout.*"})
    assert len(undelivered.data) == 1
    assert undelivered.data[0].id not in {event["id"] for event in receiver.events}
    assert client.v1.events.retrieve(undelivered.data[0].id).api_version == stripe.api_version
    simulator.control("advance", seconds=31 * 24 * 60 * 60)
    assert client.v1.events.list().data == []


def test_events_are_listed_by_type(simulator: RunningSimulator) -> None:
    client = simulator.client()
    session = client.v1.checkout.sessions.create(parameters())
    simulator.control(f"checkout/sessions/{session.id}/pay", method="card", outcome="fail")
    client.v1.checkout.sessions.expire(session.id)
    events = client.v1.events
    assert [event.type for event in events.list({"type": "charge.*"}).data] == ["charge.failed"]
    assert [event.type for event in events.list({"type": "payment_intent.created"}).data] == [
        "payment_intent.created"
    ]
    both = events.list({"types": ["checkout.session.expired", "payment_intent.canceled"]})
    assert [event.type for event in both.data] == ["checkout.session.expired", "payment_intent.canceled"]


def test_a_yen_invoice_is_charged_in_whole_yen(simulator: RunningSimulator) -> None:
    session = simulator.client().v1.checkout.sessions.create(parameters(amount=1200, currency="jpy"))
    assert session.url is not None
    page = simulator.http.get(session.url)
    assert b"1,200 JPY" in page.content
