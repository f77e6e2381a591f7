"""The policy of reminders, and Directus's rows that planning and sending read and write."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from billing.directus.rows import instant
from billing.ids import chunks
from billing.ledger.store import BulkLedgers, UnreadableInvoice
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from billing.directus.client import DirectusClient
    from billing.directus.rows import Row


POLICY = Path(__file__).with_name("policy.toml")


def read_policy(path: Path = POLICY) -> Policy:
    """The policy as data; a contradiction in the file fails here, not in the middle of a run."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return Policy(
        steps=tuple(Step(step["name"], step["days_after_due"]) for step in document["steps"]),
        send_from=document["hours"]["from"],
        send_until=document["hours"]["until"],
    )


_NOTICE_FIELDS = ("id", "invoice", "step", "status", "dedupe_key", "scheduled_for", "date_created")
_CONTACT_FIELDS = ("id", "name", "email", "preferred_communication", "language")
_FIRM_FIELDS = ("name", "email", "phone", "bank_details", "language", "timezone")
_OPEN_STATUSES = ("sent", "partially_paid", "overdue")


class DirectusReminderCases:
    """`plan.ReminderCases` on Directus."""

    def __init__(self, client: DirectusClient) -> None:
        """`client` acts as the functions' service user."""
        self._client = client
        self._ledgers = BulkLedgers(client)

    def firm(self) -> Firm:
        """The firm, as it signs and in its time zone."""
        row = self._client.read_singleton("firm", _FIRM_FIELDS)
        return Firm(
            name=row.get("name") or "",
            email=row.get("email") or "",
            phone=row.get("phone") or "",
            bank_details=row.get("bank_details") or "",
            language=row.get("language") or "en",
            timezone=row.get("timezone"),
        )

    def open_invoices(self, latest_due_date: date) -> list[str]:
        """The ids of sent, unpaid invoices due on or before that day, and perhaps of some due a day later.

        One answer holds all ids: pages by offset would miss rows while the invoice writer changes them. A day more
        is asked for because on SQLite a server that is not on UTC stores dates as its own midnight.
        """
        day_after = latest_due_date + timedelta(days=1)
        rows = self._client.read_many(
            "invoices",
            filter={
                "_and": [
                    {"status": {"_in": list(_OPEN_STATUSES)}},
                    {"due_date": {"_lte": day_after.isoformat()}},
                ]
            },
            fields=("id",),
            sort=("id",),
        )
        return [row["id"] for row in rows]

    def read(self, invoices: Sequence[str], firm: Firm) -> Iterator[list[ReminderCase | UnreadableCase]]:
        """The cases of those invoices, a chunk at a time."""
        for keys in chunks(invoices):
            ledgers = self._ledgers.ledgers(keys, firm.timezone)
            clients = {found.invoice.client for found in ledgers if not isinstance(found, UnreadableInvoice)}
            contacts = self._contacts(sorted(clients))
            notices = self._notices(keys)
            yield [
                UnreadableCase(found.invoice, found.error.code)
                if isinstance(found, UnreadableInvoice)
                else ReminderCase(
                    found, contacts[found.invoice.client], tuple(notices.get(found.invoice.id, ()))
                )
                for found in ledgers
            ]

    def _contacts(self, clients: Sequence[str]) -> dict[str, Contact]:
        rows = self._client.read_many(
            "clients", filter={"id": {"_in": list(clients)}}, fields=_CONTACT_FIELDS
        )
        return {row["id"]: _contact(row) for row in rows}

    def _notices(self, invoices: Sequence[str]) -> dict[str, list[Notice]]:
        rows = self._client.read_many(
            "notices",
            filter={"_and": [{"kind": {"_eq": "reminder"}}, {"invoice": {"_in": list(invoices)}}]},
            fields=_NOTICE_FIELDS,
            sort=("id",),
        )
        found: defaultdict[str, list[Notice]] = defaultdict(list)
        for row in rows:
            found[row["invoice"]].append(_notice(row))
        return found


class DirectusNotices:
    """`send.NoticeBook` on Directus."""

    def __init__(self, client: DirectusClient) -> None:
        """`client` acts as the functions' service user."""
        self._client = client

    def claim(self, row: Mapping[str, object]) -> str:
        """Create a notice and return its id."""
        return str(self._client.create("notices", row)["id"])

    def find(self, dedupe_key: str) -> Notice | None:
        """The notice that holds the key."""
        rows = self._client.read_many(
            "notices", filter={"dedupe_key": {"_eq": dedupe_key}}, fields=_NOTICE_FIELDS, limit=1
        )
        return _notice(rows[0]) if rows else None

    def record(self, notice: str, changes: Mapping[str, object]) -> None:
        """Write what became of a notice."""
        self._client.update("notices", notice, changes)


def _contact(row: Row) -> Contact:
    return Contact(
        client=row["id"],
        name=row.get("name") or "",
        email=(row.get("email") or "").strip(),
        preferred_communication=row.get("preferred_communication"),
        language=row.get("language") or "",
    )


def _notice(row: Row) -> Notice:
    return Notice(
        id=row["id"],
        step=row.get("step") or "",
        status=NoticeStatus(row["status"]),
        dedupe_key=row.get("dedupe_key"),
        scheduled_for=instant(row.get("scheduled_for")),
        claimed_at=instant(row.get("date_created")),
    )
