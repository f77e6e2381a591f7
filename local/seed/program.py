"""Write the seed data into a Directus whose model was applied.

The flows "Invoice sent" and "Billing changed" would call the functions once for nearly every row written here, with an
administrator's rights or any other, and a fresh stack has nothing to answer with yet. So the flows are switched off
while the rows are written, and what was on is switched on again whatever happens. The amounts that the invoice writer
would have filled in (`sent_at`, totals, `amount_paid`, `balance_due`) are therefore written here, by the same arithmetic.

Every row has a fixed UUID (`seed_id`). Running it again writes only what is missing and new passwords.
"""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from directus.access import role_id
from directus.flows import flow_ids
from directus.rest import Directus, InstallerError
from local.seed.amounts import Totals, day, lines_of
from local.waiting import NeverHappened, wait_for

DATA: Final = Path(__file__).parent / "data"
NAMESPACE: Final = uuid.UUID("5a1c0de0-0000-4000-8000-00000000feed")
BATCH: Final = 200
_SECONDS: Final = 20.0

type Row = dict[str, Any]


def seed_id(kind: str, key: str) -> str:
    """The fixed UUID of a seed row: `seed_id("client", "mueller")`, `seed_id("invoice", "HNO-0087")`.

    Kinds are `user`, `client`, `invoice`, `line_item` and `payment` (`"HNO-0087/<n>"`, from 1), `file`.
    """
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{key}"))


def seed(url: str, admin_token: str) -> dict[str, list[Row]]:
    """Write what is missing and return who can log in.

    `{"staff": [{"email", "password", "id"}], "clients": [{"email", "password", "user", "client"}],
    "partners": [as staff], "unlinked": [a Client without a client: {"email", "password", "user"}]}`.
    Clients stand in the contract's order: client 1, client 2, ..., last the second person of client 1.
    """
    people = _document("firm.yaml")
    today = datetime.now(UTC).date()
    passwords = {person["key"]: secrets.token_urlsafe(15) for person in people["people"]}
    with Directus(url, admin_token) as directus, _without_flows(directus):
        directus.call("PATCH", "/settings", people["settings"])
        _write_people(directus, people, passwords)
        _write_firm(directus, people["firm"])
        _write_invoices(directus, today)
    return _logins(people, passwords)


def _document(name: str) -> Row:
    document: Row = yaml.safe_load((DATA / name).read_text("utf-8"))
    return document


# -- flows ------------------------------------------------------------------------------------------------------------


@contextmanager
def _without_flows(directus: Directus) -> Iterator[None]:
    """Switch our flows off for the duration; those that were on are on again afterwards."""
    ours = [flow for flow in flow_ids().values() if flow is not None]
    rows = directus.rows(
        "/flows", filter={"_and": [{"id": {"_in": ours}}, {"status": {"_eq": "active"}}]}, fields="id"
    )
    active = [row["id"] for row in rows]
    if not active:
        yield
        return
    _switch(directus, active, on=False)
    try:
        yield
    finally:
        _switch(directus, active, on=True)


def _switch(directus: Directus, keys: list[str], *, on: bool) -> None:
    directus.call("PATCH", "/flows", {"keys": keys, "data": {"status": "active" if on else "inactive"}})
    _await_reload(directus.url, on=on)


def _await_reload(url: str, *, on: bool) -> None:
    """Directus reloads all flows a moment after a change. "Pay invoice" shows when: it refuses with its own message.

    Directus refuses an inactive flow with its own message. A call without a login gets no further than the first step.
    """
    pay_invoice = flow_ids()["pay_invoice"]
    with Directus(url) as nobody:

        def loaded() -> bool:
            _, answer = nobody.answer("POST", f"/flows/trigger/{pay_invoice}", {})
            errors = answer.get("errors", []) if isinstance(answer, dict) else []
            return any("Log in" in error.get("message", "") for error in errors) is on

        try:
            wait_for("the flows", loaded, seconds=_SECONDS)
        except NeverHappened:
            state = "on" if on else "off"
            message = f"The flows of {url} were switched {state} but Directus did not load them again."
            raise InstallerError(message) from None


# -- people, firm, clients --------------------------------------------------------------------------------------------


def _write_people(directus: Directus, document: Row, passwords: dict[str, str]) -> None:
    """Staff first (clients point to them), then clients, then their people (who point to clients)."""
    staff = [person for person in document["people"] if person["role"] != "Client"]
    portal = [person for person in document["people"] if person["role"] == "Client"]
    _write_users(directus, staff, passwords)
    _create_missing(directus, "/items/clients", [_client(client) for client in document["clients"]])
    _write_users(directus, portal, passwords)


def _client(client: Row) -> Row:
    row = {name: value for name, value in client.items() if name != "key"}
    return row | {
        "id": seed_id("client", client["key"]),
        "assigned_staff": seed_id("user", client["assigned_staff"]),
    }


def _write_users(directus: Directus, people: list[Row], passwords: dict[str, str]) -> None:
    rows = []
    for person in people:
        client = person.get("client")
        rows.append(
            {
                "id": seed_id("user", person["key"]),
                "email": person["email"],
                "password": passwords[person["key"]],
                "first_name": person["first_name"],
                "last_name": person["last_name"],
                "role": role_id(person["role"]),
                "status": "active",
                "email_notifications": False,
                "client": seed_id("client", client) if client else None,
            }
        )
    created = _create_missing(directus, "/users", rows)
    for row in rows:
        if row["id"] not in created:
            directus.call("PATCH", f"/users/{row['id']}", {"password": row["password"]})


def _write_firm(directus: Directus, firm: Row) -> None:
    logo = seed_id("file", "logo.svg")
    if not directus.rows("/files", filter={"id": {"_eq": logo}}, fields="id"):
        _upload(directus, logo, DATA / "logo.svg", "image/svg+xml", title="The firm's logo")
    directus.call("PATCH", "/items/firm", firm | {"logo": logo})


def _upload(directus: Directus, key: str, path: Path, media_type: str, *, title: str) -> None:
    file = (path.name, path.read_bytes(), media_type)
    directus.upload("/files", file, id=key, title=title, type=media_type)


# -- invoices ---------------------------------------------------------------------------------------------------------


def _write_invoices(directus: Directus, today: date) -> None:
    document = _document("invoices.yaml")
    clients = {client["key"]: client for client in _document("firm.yaml")["clients"]}
    invoices, line_items, payments = [], [], []
    for invoice in document["invoices"]:
        lines = lines_of(invoice, document["generated"])
        totals = Totals.of(invoice, lines)
        invoices.append(_invoice(invoice, totals, clients[invoice["client"]], today))
        line_items += [
            {
                "id": seed_id("line_item", f"{invoice['number']}/{number}"),
                "invoice": seed_id("invoice", invoice["number"]),
                "sort": number,
                "kind": line.kind,
                "date": day(today, invoice["issued"] - 1 - (len(lines) - number) % 20),
                "timekeeper": line.timekeeper,
                "task_code": line.task_code,
                "description": line.description,
                "hours": line.hours,
                "rate": line.rate,
                "amount": line.amount.to_directus(),
            }
            for number, line in enumerate(lines, start=1)
        ]
        payments += _payments(invoice, today)
    _create_missing(directus, "/items/invoices", invoices)
    _create_missing(directus, "/items/line_items", line_items)
    _create_missing(directus, "/items/payments", payments)


def _invoice(invoice: Row, totals: Totals, client: Row, today: date) -> Row:
    """A draft has no totals yet: they are filled in when it is sent."""
    row = {
        "id": seed_id("invoice", invoice["number"]),
        "invoice_number": invoice_number(invoice["number"], today + timedelta(days=invoice["issued"])),
        "client": seed_id("client", invoice["client"]),
        "matter_number": invoice["matter"][0],
        "matter_name": invoice["matter"][1],
        "issue_date": day(today, invoice["issued"]),
        "due_date": day(today, invoice["due"]),
        "currency": invoice["currency"],
        "tax_rate": invoice.get("tax_rate", "0"),
        "status": invoice["status"],
        "language": client["language"],
        "client_message": invoice.get("message"),
    }
    if invoice["status"] == "draft":
        return row
    return row | {
        "subtotal": totals.subtotal.to_directus(),
        "tax": totals.tax.to_directus(),
        "total": totals.total.to_directus(),
        "amount_paid": totals.paid.to_directus(),
        "balance_due": totals.balance(invoice["status"]).to_directus(),
        "sent_at": f"{day(today, invoice['issued'])}T15:00:00Z",
    }


def invoice_number(number: str, issued: date) -> str:
    """Return the number that is printed: `HNO-0087` of the file, issued in 2026, is `HNO-2026-0087`."""
    prefix, _, count = number.partition("-")
    return f"{prefix}-{issued.year}-{count}"


def _payments(invoice: Row, today: date) -> list[Row]:
    return [
        {
            "id": seed_id("payment", f"{invoice['number']}/{number}"),
            "invoice": seed_id("invoice", invoice["number"]),
            "client": seed_id("client", invoice["client"]),
            "amount": payment["amount"],
            "currency": invoice["currency"],
            "status": "succeeded",
            "method": payment["method"],
            "payment_date": day(today, payment["day"]),
            "reference": payment["reference"].format(day=today + timedelta(days=payment["day"])),
        }
        for number, payment in enumerate(invoice.get("payments", []), start=1)
    ]


def _create_missing(directus: Directus, path: str, rows: list[Row]) -> set[str]:
    """Create the rows whose UUID is not there yet; return the UUIDs created."""
    there: set[str] = set()
    keys = [row["id"] for row in rows]
    for start in range(0, len(keys), BATCH):
        found = directus.rows(path, filter={"id": {"_in": keys[start : start + BATCH]}}, fields="id")
        there |= {row["id"] for row in found}
    missing = [row for row in rows if row["id"] not in there]
    for start in range(0, len(missing), BATCH):
        directus.call("POST", f"{path}?fields=id", missing[start : start + BATCH])
    return {row["id"] for row in missing}


def _logins(document: Row, passwords: dict[str, str]) -> dict[str, list[Row]]:
    logins: dict[str, list[Row]] = {"staff": [], "clients": [], "partners": [], "unlinked": []}
    for person in document["people"]:
        login = {"email": person["email"], "password": passwords[person["key"]]}
        user = seed_id("user", person["key"])
        if person["role"] == "Staff":
            logins["staff"].append(login | {"id": user})
        elif person["role"] == "Partner":
            logins["partners"].append(login | {"id": user})
        elif "client" in person:
            logins["clients"].append(login | {"user": user, "client": seed_id("client", person["client"])})
        else:
            logins["unlinked"].append(login | {"user": user})
    return logins
