"""An endpoint that listens to connected accounts as well: what happens there is not the firm's money."""

import json

import pytest

from tests.integration.payments.firm import Firm


@pytest.mark.parametrize("named", [{"account": "acct_connected"}, {"context": "org_1/acct_connected"}])
def test_the_events_of_a_connected_account_are_ignored_and_touch_no_invoice_of_ours(
    firm: Firm, named: dict[str, str]
) -> None:
    """Even where their objects have the ids and the metadata of ours."""
    invoice = firm.invoice("100.00")
    status, body = firm.checkout(invoice)
    assert status == 200, body
    firm.drain()
    told = firm.client_pays(body["checkout_session"])
    before = (firm.stored(invoice), firm.rows("payments", invoice))
    theirs = {}
    for raw in firm.raw_events(*told["events"]):
        event = json.loads(raw)
        theirs[f"{event['id']}_there"] = {**event, **named, "id": f"{event['id']}_there"}
    for event in theirs.values():
        assert firm.receive(json.dumps(event).encode()) == 200
    firm.drain()
    stored = firm.admin.rows("/items/stripe_events", **{"filter[id][_in]": ",".join(theirs)})
    assert {row["id"]: (row["status"], row["error"]) for row in stored} == dict.fromkeys(
        theirs, ("ignored", None)
    )
    assert (firm.stored(invoice), firm.rows("payments", invoice)) == before
    assert (firm.parked, firm.flags) == ([], [])
    assert [one for one in firm.reconcile(dry_run=True).differences if one.kind.startswith("event_")] == []
    firm.stripe_delivers(*told["events"])
    firm.drain()
    assert firm.stored(invoice)["status"] == "paid"
