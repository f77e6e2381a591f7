"""What staff leave empty in the form of a payment or refund, the guard fills in: it has arrived, today, at the firm.

The Data Studio sends what was typed and nothing else; a status or a date that was not touched is not in the request.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from directus.probe import EXTENSION
from local.seed import seed_id
from local.setup.paths import node_environment
from tests.integration.directus.server import RunningDirectus, code_of

#: Of the firm of the seed data.
ZONE = "America/New_York"
MANUAL = ("wire", "check", "cash", "other")


def _invoice(directus: RunningDirectus, client: str = "velazquez", currency: str = "USD") -> str:
    amounts = {"subtotal": "100.00", "tax": "0.00", "total": "100.00", "balance_due": "100.00"}
    row = {
        "client": seed_id("client", client),
        "currency": currency,
        "status": "sent",
        "invoice_number": f"E-{uuid.uuid4().hex[:12]}",
        "sent_at": "2026-01-05T10:00:00Z",
    }
    return str(directus.admin.call("POST", "/items/invoices?fields=id", row | amounts)["id"])


def _check(invoice: str, **fields: Any) -> dict[str, Any]:
    """What a check in the form's defaults is: nothing but what was typed."""
    return {
        "invoice": invoice,
        "amount": "10.00",
        "currency": "USD",
        "method": "check",
        "reference": "1042",
    } | fields


def _enter(directus: RunningDirectus, row: dict[str, Any], person: str = "sofia") -> str:
    return str(directus.as_(person).call("POST", "/items/payments?fields=id", row)["id"])


def _stored(directus: RunningDirectus, key: str, collection: str = "payments") -> dict[str, Any]:
    row: dict[str, Any] = directus.admin.call("GET", f"/items/{collection}/{key}")
    return row


def _status_and_date(directus: RunningDirectus, key: str) -> tuple[str, str | None]:
    row = _stored(directus, key)
    return row["status"], row["payment_date"]


@contextmanager
def _today(zone: str = ZONE) -> Iterator[set[str]]:
    """The day in the zone at the beginning and, once the block has ended, at its end."""
    days = {_day(zone)}
    yield days
    days.add(_day(zone))


def _day(zone: str) -> str:
    return datetime.now(ZoneInfo(zone)).date().isoformat()


@contextmanager
def _firm_in(directus: RunningDirectus, zone: str) -> Iterator[None]:
    directus.admin.call("PATCH", "/items/firm", {"timezone": zone})
    try:
        yield
    finally:
        directus.admin.call("PATCH", "/items/firm", {"timezone": ZONE})


@pytest.mark.parametrize("person", ["sofia", "ingrid"])
@pytest.mark.parametrize("method", MANUAL)
def test_a_payment_in_the_forms_defaults_has_arrived_today(
    directus: RunningDirectus, person: str, method: str
) -> None:
    with _today() as today:
        key = _enter(directus, _check(_invoice(directus), method=method), person)
    row = _stored(directus, key)
    assert row["payment_date"] in today
    assert (row["status"], row["client"], row["currency"]) == (
        "succeeded",
        seed_id("client", "velazquez"),
        "USD",
    )


@pytest.mark.parametrize(
    "left", [{}, {"status": None}, {"payment_date": None}, {"status": None, "payment_date": None}]
)
def test_null_is_as_empty_as_absent_and_client_and_currency_come_from_the_invoice(
    directus: RunningDirectus, left: dict[str, None]
) -> None:
    row = _check(_invoice(directus), **left)
    del row["currency"]
    with _today() as today:
        stored = _stored(directus, _enter(directus, row))
    assert stored["payment_date"] in today
    assert (stored["status"], stored["currency"]) == ("succeeded", "USD")


@pytest.mark.parametrize("date", [None, "2026-01-09"])
def test_a_check_that_is_said_to_be_pending_is(directus: RunningDirectus, date: str | None) -> None:
    given = {} if date is None else {"payment_date": date}
    key = _enter(directus, _check(_invoice(directus), status="pending", **given))
    assert _status_and_date(directus, key) == ("pending", date)


def test_a_date_that_is_given_stays(directus: RunningDirectus) -> None:
    key = _enter(directus, _check(_invoice(directus), payment_date="2026-01-09"))
    assert _status_and_date(directus, key) == ("succeeded", "2026-01-09")


def test_payments_entered_together_are_each_completed(directus: RunningDirectus) -> None:
    invoice = _invoice(directus)
    rows = [
        _check(invoice, reference="1"),
        _check(invoice, reference="2", status="pending"),
        _check(invoice, reference="3", payment_date="2026-01-09"),
    ]
    with _today() as today:
        created = directus.as_("sofia").call("POST", "/items/payments", rows)
    dates = {row["reference"]: (row["status"], row["payment_date"]) for row in created}
    assert dates["1"] in {("succeeded", day) for day in today}
    assert (dates["2"], dates["3"]) == (("pending", None), ("succeeded", "2026-01-09"))


def test_in_the_form_of_the_invoice_too(directus: RunningDirectus) -> None:
    row = {"amount": 60, "method": "check", "reference": "1042"}
    nested = {"payments": {"create": [row], "update": [], "delete": []}}
    new = {
        "invoice_number": f"E-{uuid.uuid4().hex[:12]}",
        "client": seed_id("client", "velazquez"),
        "currency": "USD",
    }
    sofia = directus.as_("sofia")
    with _today() as today:
        changed = sofia.call("PATCH", f"/items/invoices/{_invoice(directus)}?fields=payments", nested)
        created = sofia.call("POST", "/items/invoices?fields=payments", new | nested)
    for key in (*changed["payments"], *created["payments"]):
        status, date = _status_and_date(directus, key)
        assert status == "succeeded"
        assert date in today


def test_a_pending_check_that_clears_gets_the_day_unless_it_has_one(directus: RunningDirectus) -> None:
    sofia, invoice = directus.as_("sofia"), _invoice(directus)
    undated = _enter(directus, _check(invoice, status="pending"))
    told = _enter(directus, _check(invoice, status="pending"))
    dated = _enter(directus, _check(invoice, status="pending", payment_date="2026-01-09"))
    with _today() as today:
        sofia.call("PATCH", f"/items/payments/{undated}", {"status": "succeeded"})
    sofia.call("PATCH", f"/items/payments/{told}", {"status": "succeeded", "payment_date": "2026-01-12"})
    sofia.call("PATCH", f"/items/payments/{dated}", {"status": "succeeded"})
    assert _status_and_date(directus, undated)[1] in today
    assert _status_and_date(directus, told)[1] == "2026-01-12"
    assert _status_and_date(directus, dated) == ("succeeded", "2026-01-09")


def test_checks_that_clear_together_keep_the_dates_they_have(directus: RunningDirectus) -> None:
    sofia, invoice = directus.as_("sofia"), _invoice(directus)
    undated = [_enter(directus, _check(invoice, status="pending")) for _ in range(2)]
    dated = _enter(directus, _check(invoice, status="pending", payment_date="2026-01-09"))
    directus.stub.answer(202, {"accepted": 1})
    with _today() as today:
        sofia.call("PATCH", "/items/payments", {"keys": [*undated, dated], "data": {"status": "succeeded"}})
    told = [request.body for request in directus.stub.wait_for("/invoices/changed", 1)]
    assert {"payments": sorted([*undated, dated])} in [
        {name: sorted(keys) for name, keys in body.items()} for body in told
    ]
    assert _status_and_date(directus, dated) == ("succeeded", "2026-01-09")
    for key in undated:
        status, date = _status_and_date(directus, key)
        assert status == "succeeded"
        assert date in today


def test_the_date_of_money_received_is_not_emptied(directus: RunningDirectus) -> None:
    key = _enter(directus, _check(_invoice(directus), payment_date="2026-01-09"))
    with _today() as today:
        directus.as_("sofia").call("PATCH", f"/items/payments/{key}", {"payment_date": None})
    assert _status_and_date(directus, key)[1] in today
    pending = _enter(directus, _check(_invoice(directus), status="pending", payment_date="2026-01-09"))
    directus.as_("sofia").call("PATCH", f"/items/payments/{pending}", {"payment_date": None})
    assert _status_and_date(directus, pending) == ("pending", None)


def test_a_payment_without_a_date_from_earlier_is_not_dated_by_a_note(directus: RunningDirectus) -> None:
    facts = {"client": seed_id("client", "velazquez"), "status": "succeeded"}
    key = _enter(directus, _check(_invoice(directus), **facts), "administrator")
    for change in ({"note": "x"}, {"amount": "11.00"}, {"status": "succeeded"}):
        directus.as_("sofia").call("PATCH", f"/items/payments/{key}", change)
        assert _status_and_date(directus, key) == ("succeeded", None)


def test_what_administrators_and_the_functions_write_is_written_as_it_is(directus: RunningDirectus) -> None:
    row = _check(_invoice(directus), client=seed_id("client", "velazquez"))
    assert _status_and_date(directus, _enter(directus, row, "administrator")) == ("pending", None)
    del row["reference"]
    row["method"] = "card"
    assert _status_and_date(directus, _enter(directus, row, "service")) == ("pending", None)


def test_asking_to_cancel_a_payment_of_stripe_dates_nothing(directus: RunningDirectus) -> None:
    row = _check(_invoice(directus), client=seed_id("client", "velazquez"), method="card", reference=None)
    key = _enter(directus, row, "administrator")
    directus.as_("sofia").call("PATCH", f"/items/payments/{key}", {"status": "canceled"})
    assert _status_and_date(directus, key) == ("canceled", None)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_today_is_the_firms_and_not_the_servers(directus: RunningDirectus, zone: str) -> None:
    # These two never have the same day, so at least one differs from the server's.
    with _firm_in(directus, zone), _today(zone) as today:
        key = _enter(directus, _check(_invoice(directus)))
    assert _status_and_date(directus, key)[1] in today


def test_where_the_firms_zone_does_not_exist_it_is_the_day_in_utc(directus: RunningDirectus) -> None:
    with _firm_in(directus, "Atlantis/Capital"), _today("UTC") as today:
        key = _enter(directus, _check(_invoice(directus)))
    assert _status_and_date(directus, key)[1] in today


def test_the_day_turns_at_midnight_of_the_zone_in_summer_and_in_winter() -> None:
    cases = [
        ("America/New_York", "2026-01-10T04:59:59Z", "2026-01-09"),
        ("America/New_York", "2026-01-10T05:00:00Z", "2026-01-10"),
        ("America/New_York", "2026-07-10T03:59:59Z", "2026-07-09"),
        ("America/New_York", "2026-07-10T04:00:00Z", "2026-07-10"),
        # The nights in which the clocks change.
        ("Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28"),
        ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29"),
        ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30"),
        ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25"),
        ("Europe/Berlin", "2026-10-25T23:00:00Z", "2026-10-26"),
        ("Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01"),
        ("UTC", "2026-02-28T23:59:59Z", "2026-02-28"),
        # What the functions do not take for a zone, either.
        ("europe/berlin", "2026-07-10T23:30:00Z", "2026-07-10"),
        ("Atlantis/Capital", "2026-07-10T23:30:00Z", "2026-07-10"),
        ("", "2026-07-10T23:30:00Z", "2026-07-10"),
        (None, "2026-07-10T23:30:00Z", "2026-07-10"),
    ]
    script = (
        f"import {{ dayIn }} from {json.dumps((EXTENSION / 'dist/left_empty.js').as_uri())};"
        "const cases = JSON.parse(process.argv[1]);"
        "console.log(JSON.stringify(cases.map(([zone, moment]) => dayIn(zone, new Date(moment)))));"
    )
    command = ["node", "--input-type=module", "-e", script, json.dumps(cases)]
    done = subprocess.run(command, env=node_environment(), check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [day for _, _, day in cases]


# -- refunds ----------------------------------------------------------------------------------------------------------


def _moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["refunded_at"])


def test_a_refund_in_the_forms_defaults_has_been_given_now(directus: RunningDirectus) -> None:
    sofia, payment = directus.as_("sofia"), _enter(directus, _check(_invoice(directus)))
    for left in ({}, {"status": None}, {"refunded_at": None}):
        before = datetime.now(UTC) - timedelta(seconds=1)
        key = sofia.call("POST", "/items/refunds", {"payment": payment, "amount": "1.00"} | left)["id"]
        row = _stored(directus, key, "refunds")
        assert (row["status"], row["currency"]) == ("succeeded", "USD")
        assert before <= _moment(row) <= datetime.now(UTC) + timedelta(seconds=1)
    given = {"payment": payment, "amount": "1.00", "refunded_at": "2026-01-09T10:00:00Z"}
    key = sofia.call("POST", "/items/refunds", given)["id"]
    assert _moment(_stored(directus, key, "refunds")) == datetime(2026, 1, 9, 10, tzinfo=UTC)


def test_a_pending_refund_gets_its_moment_when_it_succeeds(directus: RunningDirectus) -> None:
    sofia, payment = directus.as_("sofia"), _enter(directus, _check(_invoice(directus)))
    row = {"payment": payment, "amount": "1.00", "status": "pending"}
    undated, dated = (
        sofia.call("POST", "/items/refunds", row | more)["id"]
        for more in ({}, {"refunded_at": "2026-01-09T10:00:00Z"})
    )
    assert _stored(directus, undated, "refunds")["refunded_at"] is None
    before = datetime.now(UTC) - timedelta(seconds=1)
    sofia.call("PATCH", "/items/refunds", {"keys": [undated, dated], "data": {"status": "succeeded"}})
    assert _moment(_stored(directus, undated, "refunds")) >= before
    assert _moment(_stored(directus, dated, "refunds")) == datetime(2026, 1, 9, 10, tzinfo=UTC)
    again = sofia.answer("PATCH", f"/items/refunds/{undated}", {"status": "pending"})
    assert (again[0], code_of(again[1])) == (403, "INVALID_STATUS")
