"""Builders and recording fakes for the tests of reminders."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from billing.errors import RecordNotUnique
from billing.ledger.ledger import Dispute, InvoiceStatus, Ledger, LineItem, Payment, PaymentStatus
from billing.messages import InvoiceWork, Reminder, Rendering, to_json
from billing.reminders.policy import (
    Contact,
    Firm,
    Notice,
    NoticeStatus,
    Policy,
    ReminderCase,
    Step,
    UnreadableCase,
)
from tests.builders import sent_invoice, usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from billing.reminders.mail import Mail

POLICY = Policy(
    steps=(Step("overdue_1", 1), Step("overdue_2", 7), Step("overdue_3", 21)),
    send_from=time(8),
    send_until=time(20),
)
FIRM = Firm(
    name="Ávila & Partners",
    email="billing@firm.example",
    phone="+12125550100",
    bank_details="First Bank\nIBAN US00 0000",
    language="en",
    timezone="America/New_York",
)
DUE = date(2026, 3, 2)
INVOICE = "0b1c2d3e-0000-4000-8000-000000000001"


def at(text: str) -> datetime:
    """An instant in UTC unless the text says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def payment(amount: str, status: PaymentStatus = PaymentStatus.SUCCEEDED) -> Payment:
    return Payment(id="pay-1", amount=usd(amount), status=status, method="card", invoice=INVOICE)


def notice(step: str, status: NoticeStatus, when: str, *, key: bool = True, invoice: str = INVOICE) -> Notice:
    return Notice(
        id=f"notice-{step}",
        step=step,
        status=status,
        dedupe_key=f"reminder:{step}:{invoice}:email" if key else None,
        scheduled_for=at(when),
        claimed_at=at(when),
    )


def case(
    *,
    invoice: str = INVOICE,
    due: date | None = DUE,
    total: str = "100.00",
    status: InvoiceStatus = InvoiceStatus.SENT,
    payments: Sequence[Payment] = (),
    disputes: Sequence[Dispute] = (),
    notices: Sequence[Notice] = (),
    timezone: str | None = "America/New_York",
    firm_timezone: str | None = "America/New_York",
    prefers: str | None = "email",
    email: str = "client@client.example",
    language: str = "en",
) -> ReminderCase:
    return ReminderCase(
        ledger=Ledger(
            invoice=sent_invoice(invoice, status=status, due_date=due),
            line_items=[LineItem("line-1", usd(total))],
            payments=payments,
            disputes=disputes,
            client_timezone=timezone,
            firm_timezone=firm_timezone,
        ),
        contact=Contact("client-1", "Zoë Núñez", email, prefers, language),
        notices=notices,
    )


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime = field(default_factory=lambda: at("2026-03-03T17:00"))

    def __call__(self) -> datetime:
        return self.now


class Directus:
    """`ReminderCases` and `NoticeBook` in memory; the unique key of a notice is enforced as Directus does."""

    def __init__(self, clock: Clock, *cases: ReminderCase | UnreadableCase) -> None:
        self.cases = {
            one.invoice if isinstance(one, UnreadableCase) else one.ledger.invoice.id: one for one in cases
        }
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked_latest_due_date: date | None = None
        self.refuse_to_record = False
        self._clock = clock
        self._ids = (f"notice-{number}" for number in itertools.count(1))

    def firm(self) -> Firm:
        return FIRM

    def open_invoices(self, latest_due_date: date) -> list[str]:
        self.asked_latest_due_date = latest_due_date
        return sorted(self.cases)

    def read(self, invoices: Sequence[str], firm: Firm) -> Iterator[list[ReminderCase | UnreadableCase]]:
        assert firm == FIRM
        for key in invoices:
            found = self.cases.get(key)
            if found is not None:
                yield [
                    found
                    if isinstance(found, UnreadableCase)
                    else replace(found, notices=self.notices(found))
                ]

    def notices(self, found: ReminderCase) -> list[Notice]:
        key = found.ledger.invoice.id
        stored = [_notice(i, row) for i, row in self.rows.items() if row["invoice"] == key]
        return [*found.notices, *stored]

    def claim(self, row: Mapping[str, object]) -> str:
        if any(stored["dedupe_key"] == row["dedupe_key"] for stored in self.rows.values()):
            message = "taken"
            raise RecordNotUnique(message, collection="notices", field="dedupe_key")
        key = next(self._ids)
        self.rows[key] = {**row, "date_created": self._clock()}
        return key

    def find(self, dedupe_key: str) -> Notice | None:
        return next((_notice(i, r) for i, r in self.rows.items() if r["dedupe_key"] == dedupe_key), None)

    def record(self, notice: str, changes: Mapping[str, object]) -> None:
        if self.refuse_to_record:
            raise Crash
        self.rows[notice] |= changes


class Crash(Exception):
    """The function is killed at this point."""


class Outbox:
    """A `Notifier` that records, or fails as it is told, once for each entry."""

    def __init__(self, *failures: Exception | None) -> None:
        self.mails: list[Mail] = []
        self._failures = list(failures)

    def send(self, mail: Mail) -> str:
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        self.mails.append(mail)
        return f"message-{len(self.mails)}"


class Queues:
    """The invoice queue and the message queue."""

    def __init__(self) -> None:
        self.recomputed: list[str] = []
        self.seen_at: datetime | None = None
        self.messages: list[dict[str, Any]] = []

    def send(self, message: InvoiceWork, *, deduplication_id: str | None = None) -> None:
        raise NotImplementedError

    def recompute(
        self, invoices: Iterable[str], *, as_of: datetime | None = None, payments: Any = ()
    ) -> None:
        assert not payments, "reminders change no payment"
        self.recomputed += invoices
        self.seen_at = as_of

    def send_many(self, messages: Iterable[Rendering | Reminder]) -> None:
        self.messages += [json.loads(to_json(message)) for message in messages]


def _notice(key: str, row: Mapping[str, Any]) -> Notice:
    return Notice(
        id=key,
        step=row["step"],
        status=NoticeStatus(row["status"]),
        dedupe_key=row["dedupe_key"],
        scheduled_for=at(row["scheduled_for"]),
        claimed_at=row["date_created"],
    )
