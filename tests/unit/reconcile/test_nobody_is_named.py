"""What a run answers, logs and prints names records and figures: no person, no address, no card, no matter."""

from __future__ import annotations

import json

import pytest

from billing.reconcile.report import page_of
from tests.fakes.world import CLIENT, INVOICE
from tests.unit.reconcile.house import House, kinds
from tests.unit.reconcile.payments import opened

SECRETS = (
    "Ada",
    "Client One",
    "ada@example.com",
    "+1555",
    "4242",
    "visa",
    "Divorce",
    "Legal advice",
    "Elm Street",
)


def damaged() -> House:
    """A firm whose rows say who and what, and are wrong in many ways."""
    house, session = opened()
    house.directus.table("clients")[CLIENT] |= {"email": "ada@example.com", "phone": "+15550100"}
    house.stored().update(
        {"matter_name": "Divorce of Ada", "client_message": "Dear Ada", "internal_notes": "Elm Street 5"}
    )
    house.stripe.pays(session, minor=9000)
    house.stripe.learns_fee(session, 320)
    house.deliver()
    house.stripe.refunds_payment(session, 1000)
    house.stripe.disputes_payment(session, 1000)
    house.drop_webhooks()
    (payment,) = house.payments()
    payment["note"] = (
        f"Ada, see Asked for this, received that. {payment['note']} Ada called, received 5.00 USD."
    )
    house.payment("5.00", method="card", note="From Ada")
    house.payment("6.00", invoice=None, client=None, reference="Ada's cheque")
    house.payment("7.00", transaction_id="pi_unknown", last4="4242", brand="visa")
    house.directus.put("refunds", payment=payment["id"], amount="1.00", currency="USD", status="succeeded")
    house.directus.put(
        "stripe_events", id="evt_x", type="charge.updated", object_id="ch_1", status="parked", error="Ada"
    )
    house.directus.put(
        "notices",
        kind="reminder",
        status="failed",
        invoice=INVOICE,
        recipient="ada@example.com",
        reason="Ada",
    )
    house.directus.table("line_items").clear()
    house.line("1.00")["description"] = "Divorce"
    return house


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_run_names_records_and_figures_and_nobody(*, dry_run: bool) -> None:
    house = damaged()
    told = [house.run(dry_run=dry_run) for _ in range(2)]
    found = {*kinds(told[0].as_json()["differences"]), *kinds(told[0].as_json()["repaired"])}
    assert {"payment_flagged", "refund_missing", "dispute_missing", "event_parked", "notice_failed"} <= found
    assert {"payment_unapplied", "payment_without_transaction", "refund_entered_by_hand"} <= found
    said = json.dumps([report.as_json() for report in told])
    said += "".join(page_of(report, "https://directus.example") for report in house.reports.stored)
    assert house.payments()[0]["id"] in said
    assert "100.00 USD was asked for, 90.00 USD was received." in said
    for word in SECRETS:
        assert word not in said, word
