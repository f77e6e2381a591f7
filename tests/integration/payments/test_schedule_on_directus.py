"""The state machine's happenings on a real Directus: seeded schedules of everything that can happen, then the audit.

Stripe and the clock are the fakes of the unit tests, so that time can pass and any call be disturbed; the stores, the
client, the transport, permissions, transactions and unique columns are real.
"""

import os
import uuid
from datetime import UTC, datetime

import pytest

from billing.directus.client import DirectusClient, http_client
from tests.fakes.directus import FixedToken
from tests.fakes.steps import Steps
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus
from tests.integration.payments.directus_rows import DirectusRows, OnlyOurs, ours
from tests.integration.payments.firm import SteppedTransport
from tests.unit.payments.office import Office
from tests.unit.payments.play import EVERYTHING, Play, Schedule, add_bills, keys

#: Seeds of the schedules on each database; in the first everything that can happen finds something to do.
SEEDS = (EVERYTHING, *range(20)) if os.environ.get("BILLING_SOAK") == "1" else (EVERYTHING,)


def office_on(directus: RunningDirectus) -> Office:
    """A firm of its own on that Directus, with two clients and three invoices."""
    account = uuid.uuid4().hex[:12]
    people = [client_and_user(directus, f"{account}{number}") for number in (1, 2)]
    mine = ours(account, [client for client, _ in people])
    steps = Steps()
    transport = http_client(read_timeout=60, transport=SteppedTransport(steps))
    client, reader = (
        kind(directus.url, FixedToken(SERVICE_TOKEN), transport, sleep=lambda _: None)
        for kind in (DirectusClient, OnlyOurs)
    )
    assert isinstance(reader, OnlyOurs)
    reader.mine = mine
    office = Office(
        DirectusRows(directus.admin, mine),
        client,
        steps,
        new_id=keys(account),
        file=a_file(directus),
        account=account,
        time=datetime(2026, 11, 20, 15, 0, tzinfo=UTC),
        reader=reader,
    )
    for number, (owner, user) in enumerate(people, start=1):
        add_bills(office, number, owner, user)
    return office


def client_and_user(directus: RunningDirectus, name: str) -> tuple[str, str]:
    client = directus.admin.call(
        "POST",
        "/items/clients",
        {"name": name, "email": f"{name}@client.example", "timezone": "America/New_York"},
    )["id"]
    user = directus.admin.call(
        "POST", "/users", {"email": f"{name}@example.com", "status": "active", "client": client}
    )["id"]
    return client, user


def a_file(directus: RunningDirectus) -> str:
    """A row of `directus_files` for documents to point at; nobody reads it."""
    row = {"storage": "local", "title": "Invoice", "type": "application/pdf", "filename_download": "i.pdf"}
    return str(directus.admin.call("POST", "/files", row)["id"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_of_everything_that_can_happen_ends_in_true_books(
    directus: RunningDirectus, seed: int
) -> None:
    # With the rest of Stripe's events gone, reconcile alone must find what is missing.
    schedule = Schedule(Play(office_on(directus), "gone"), seed, look_every=5)
    try:
        schedule.run(schedule.everything(1))
    except BaseException as error:
        error.add_note("\n".join(schedule.happened))
        raise
    assert seed != EVERYTHING or schedule.idle() == set()
