"""The addresses of the deployed API."""

from tests.unit.template.sam_template import read_template


def test_no_address_of_ours_takes_a_session_or_says_paid_to_a_browser() -> None:
    """Whoever returns from Stripe, or guesses a session's id, moves nothing: only what Stripe says is booked."""
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for resource in read_template()["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    assert routes == {
        ("POST", "/checkout"),
        ("POST", "/stripe/webhook"),
        ("POST", "/invoices/changed"),
        ("POST", "/invoices/pdf"),
    }
