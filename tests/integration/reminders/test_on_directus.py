"""Reminders and reconciliation as the service user of a real Directus, on both databases."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from billing.directus.client import DirectusClient
from billing.errors import MailPostponed, UpstreamUnavailable
from billing.reconcile.reconcile import Reconcile, ReconcileRequest
from billing.reconcile.store import ReconcileRows
from billing.reminders.plan import PlanReminders, PlanRequest, message_of
from billing.reminders.policy import Remind, ReminderCase, decide
from billing.reminders.send import SendReminder
from billing.reminders.store import DirectusNotices, DirectusReminderCases, read_policy
from billing.reminders.texts import ReminderTexts
from tests.fakes.queues import FakeInvoiceQueue, FakeWorkQueue
from tests.fakes.stripe import FakeStripe
from tests.integration.connections import http
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus
from tests.unit.reconcile.support import FakeContinuation, FakeDeadLetters, FakeNotes, FakeReports
from tests.unit.reminders.support import Outbox, Queues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.messages import Reminder

NOW = datetime(2026, 3, 3, 17, tzinfo=UTC)


class Token:
    """The service user's token, which is never rotated here."""

    def current(self) -> str:
        return SERVICE_TOKEN

    refresh = current


class House:
    """A client of the firm with invoices of their own, and our programs around them."""

    def __init__(self, directus: RunningDirectus) -> None:
        self.admin = directus.admin
        client = DirectusClient(directus.url, Token(), http(read_timeout=60))
        self.cases, self.notices = DirectusReminderCases(client), DirectusNotices(client)
        self.rows = ReconcileRows(client)
        self.outbox = Outbox()
        self.client = self.create(
            "clients",
            {
                "name": "Zoë Núñez",
                "email": "zoe@client.example",
                "language": "de-AT",
                "timezone": "Europe/Vienna",
                "preferred_communication": "email",
            },
        )

    def create(self, collection: str, row: Mapping[str, Any]) -> str:
        return str(self.admin.call("POST", f"/items/{collection}", dict(row))["id"])

    def invoice(self, *amounts: str, **columns: Any) -> str:
        return self.create(
            "invoices",
            {
                "invoice_number": f"R-{uuid.uuid4().hex[:12]}",
                "client": self.client,
                "currency": "EUR",
                "status": "sent",
                "sent_at": "2026-02-01T12:00:00Z",
                "due_date": "2026-03-02",
                "line_items": [{"description": "Advice", "amount": amount} for amount in amounts],
                **columns,
            },
        )

    def case(self, invoice: str) -> ReminderCase:
        (found,) = [case for cases in self.cases.read([invoice], self.cases.firm()) for case in cases]
        assert isinstance(found, ReminderCase)
        return found

    def message(self, invoice: str, when: datetime = NOW) -> Reminder:
        decision = decide(self.case(invoice), read_policy(), when)
        assert isinstance(decision, Remind), decision
        return message_of(decision, when)

    def sender(self, outbox: Outbox | None = None) -> SendReminder:
        return SendReminder(
            cases=self.cases,
            notices=self.notices,
            notifier=outbox or self.outbox,
            texts=ReminderTexts(),
            policy=read_policy(),
            clock=lambda: datetime.now(UTC),
        )

    def notices_of(self, invoice: str) -> list[dict[str, Any]]:
        filters = {"filter[invoice][_eq]": invoice, "sort": "date_created"}
        return self.admin.rows("/items/notices", **filters)


@pytest.fixture
def house(directus: RunningDirectus) -> House:
    return House(directus)


def test_a_reminder_asks_for_what_the_rows_say_and_is_written_down(house: House) -> None:
    invoice = house.invoice("1000.00", "234.50", tax_rate="10")
    payment = house.create(
        "payments",
        {
            "invoice": invoice,
            "client": house.client,
            "amount": "300.00",
            "currency": "EUR",
            "status": "succeeded",
            "method": "wire",
        },
    )
    house.create(
        "refunds", {"payment": payment, "amount": "100.00", "currency": "EUR", "status": "succeeded"}
    )
    assert house.sender()(house.message(invoice)).status == "sent"
    (mail,) = house.outbox.mails
    assert "€\xa01.157,95" in mail.text  # 1,234.50 + 10 % - (300.00 - 100.00), as Austria writes it
    assert "2. März 2026" in mail.text
    (row,) = house.notices_of(invoice)
    wanted = {
        "status": "sent",
        "step": "overdue_1",
        "recipient": "zoe@client.example",
        "message_id": "message-1",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert datetime.fromisoformat(row["scheduled_for"]) == NOW


def test_every_line_of_a_long_invoice_counts(house: House) -> None:
    invoice = house.invoice(*["1.00"] * 150)
    decision = decide(house.case(invoice), read_policy(), NOW)
    assert isinstance(decision, Remind)
    assert str(decision.balance_due) == "150.00 EUR"


def test_of_many_senders_at_once_one_sends(house: House) -> None:
    invoice = house.invoice("100.00")
    message = house.message(invoice)

    def attempt(_: int) -> str:
        try:
            return house.sender()(message).status
        except UpstreamUnavailable as error:  # it lost the race and will look again
            return error.code

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(attempt, range(12)))
    assert results.count("sent") == 1
    assert set(results) <= {"sent", "dropped", "claimed_by_another"}
    assert len(house.outbox.mails) == 1
    assert len(house.notices_of(invoice)) == 1


def test_a_claim_given_back_frees_its_key_for_the_retry(house: House) -> None:
    invoice = house.invoice("100.00")
    message = house.message(invoice)
    slow = house.sender(Outbox(MailPostponed("SES does not accept mail at the moment.")))
    with pytest.raises(MailPostponed):
        slow(message)
    assert house.sender()(message).status == "sent"
    rows = [(row["status"], row["dedupe_key"]) for row in house.notices_of(invoice)]
    assert rows == [("skipped", None), ("sent", message.dedupe_key)]


def test_the_one_per_day_rule_survives_the_round_trip_through_the_database(house: House) -> None:
    invoice = house.invoice("100.00")
    house.sender()(house.message(invoice))
    house.admin.call("PATCH", f"/items/invoices/{invoice}", {"due_date": "2026-02-20"})
    later = decide(house.case(invoice), read_policy(), NOW + timedelta(minutes=30))
    assert later == decide(house.case(invoice), read_policy(), NOW)
    assert getattr(later, "reason", None) == "one_per_day"


def test_a_dry_run_over_the_whole_firm_names_the_invoice_and_writes_nothing(house: House) -> None:
    invoice = house.invoice("100.00")
    queues = Queues()
    planner = PlanReminders(
        cases=house.cases, invoices=queues, messages=queues, policy=read_policy(), clock=lambda: NOW
    )
    plan = planner(PlanRequest(dry_run=True))
    assert invoice in {entry["invoice"] for entry in plan.plan}
    assert (queues.messages, queues.recomputed, house.notices_of(invoice)) == ([], [], [])


def test_reconcile_names_what_differs_in_real_rows(house: House) -> None:
    wrong = house.invoice("100.00", balance_due="1.00", pdf_status="none")
    unapplied = house.create(
        "payments", {"amount": "5.00", "currency": "CHF", "status": "succeeded", "method": "card"}
    )
    event = f"evt_{uuid.uuid4().hex}"
    house.create("stripe_events", {"id": event, "type": "charge.refunded", "status": "parked"})
    attempt = house.create(
        "payments",
        {
            "invoice": wrong,
            "client": house.client,
            "amount": "100.00",
            "currency": "EUR",
            "status": "pending",
            "method": "card",
            "open_claim": wrong,
            "attempt": {"amount": 10000},
        },
    )
    stripe = FakeStripe(lambda: datetime.now(UTC))
    metadata = {"deployment": "main", "directus_payment": attempt, "directus_invoice": wrong}
    paid = stripe.makes_session(10000, "EUR", metadata)
    stripe.pays(paid)
    reconcile = Reconcile(
        rows=house.rows,
        stripe=stripe,
        dead_letters=FakeDeadLetters(),
        invoice_queue=FakeInvoiceQueue(),
        render_queue=FakeWorkQueue(),
        reports=FakeReports(),
        continuation=FakeContinuation(),
        notes=FakeNotes(),
        deployment="main",
        failed=lambda *_: None,
        clock=lambda: datetime.now(UTC) + timedelta(hours=1),
    )
    report = reconcile(ReconcileRequest(dry_run=True)).as_json()
    found = {(one["kind"], value) for one in report["differences"] for value in one.values()}
    assert {
        ("invoice_differs", wrong),
        ("pdf_missing", wrong),
        ("payment_unapplied", unapplied),
        ("event_parked", event),
        ("attempt_without_session", attempt),
        ("payment_missing", paid),
    } <= found
    assert "Zoë" not in str(report)
    assert "client.example" not in str(report)


def test_no_invoice_is_missed_because_the_server_is_not_on_utc(house: House) -> None:
    """On SQLite a server on New York's time stores 2 March as 05:00 UTC, after the midnight a filter means."""
    invoice = house.invoice("100.00", due_date="2026-03-02")
    assert house.case(invoice).ledger.invoice.due_date == date(2026, 3, 2)
    assert invoice in house.cases.open_invoices(date(2026, 3, 2))
    assert invoice not in house.cases.open_invoices(date(2026, 2, 28))


@pytest.mark.parametrize("status", ["draft", "void", "paid"])
def test_what_is_no_open_invoice_is_not_looked_at(house: House, status: str) -> None:
    assert house.invoice("100.00", status=status) not in house.cases.open_invoices(date(2026, 12, 31))
