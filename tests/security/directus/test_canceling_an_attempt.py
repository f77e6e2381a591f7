"""Staff cancel an attempt at the moment in which the functions book it: money that arrived stays booked."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from directus.rest import Directus
from local.postgresql_server import postgresql_programs
from local.setup.paths import ROOT
from local.waiting import wait_for
from tests.integration.directus.server import SERVICE_TOKEN, RunningDirectus, another, code_of
from tests.security.directus.world import World, new, refused, sent_invoice
from tests.security.directus.world import world as world_on

CANCELED = {"status": "canceled"}
ROUNDS = 8
IN_BETWEEN = "booked between the look and the write"
#: Books the rows that ask for it, after the guard has looked at them. On `items.update` it would come before.
BOOKING_HOOK = f"""
export default ({{ filter }}) => {{
	filter('payments.items.update', async (payload, {{ keys }}, {{ database }}) => {{
		if (database.isTransaction) return payload; // the functions are somebody else, and would wait
		await database('payments').whereIn('id', keys).where({{ note: '{IN_BETWEEN}' }}).update({{
			status: 'succeeded', transaction_id: 'pi_' + keys[0].replaceAll('-', ''), open_claim: null, note: null,
		}});
		return payload;
	}});
}};
"""


def an_attempt(world: World, **columns: Any) -> str:
    """An open attempt on its own invoice."""
    invoice = new(world.directus, "/items/invoices", sent_invoice(world.one.client))
    row = {
        "invoice": invoice,
        "client": world.one.client,
        "amount": "100.00",
        "currency": "USD",
        "status": "pending",
        "method": "card",
        "open_claim": invoice,
        "checkout_session": f"cs_test_{uuid.uuid4().hex}",
    }
    return new(world.directus, "/items/payments", row | columns)


def stored(world: World, key: str) -> dict[str, Any]:
    columns = "status,transaction_id,open_claim,invoice"
    row: dict[str, Any] = world.admin.call("GET", f"/items/payments/{key}?fields={columns}")
    return row


def by_graphql(person: Directus, key: str) -> tuple[int, Any]:
    mutation = f'mutation {{ update_payments_item(id: "{key}", data: {{status: "canceled"}}) {{ status }} }}'
    return person.answer("POST", "/graphql", {"query": mutation})


def through_the_invoice(person: Directus, key: str) -> tuple[int, Any]:
    invoice = person.call("GET", f"/items/payments/{key}?fields=invoice")["invoice"]
    payments = {"create": [], "update": [{"id": key, **CANCELED}], "delete": []}
    return person.answer("PATCH", f"/items/invoices/{invoice}", {"payments": payments})


WAYS: dict[str, Callable[[Directus, str], tuple[int, Any]]] = {
    "one": lambda person, key: person.answer("PATCH", f"/items/payments/{key}", CANCELED),
    "keys": lambda person, key: person.answer("PATCH", "/items/payments", {"keys": [key], "data": CANCELED}),
    "rows": lambda person, key: person.answer("PATCH", "/items/payments", [{"id": key, **CANCELED}]),
    "graphql": by_graphql,
    "invoice": through_the_invoice,
}
#: Where Directus calls the guard outside its transaction; in the others the guard is inside and holds the row itself.
OUTSIDE = ("one", "keys", "graphql")


@pytest.fixture(scope="session")
def booking_in_between(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDirectus]:
    """A Directus on the same database in which the functions book between the guard's look and Directus's write."""
    extensions = tmp_path_factory.mktemp("extensions")
    guard, hook = ROOT / "directus/extensions/billing-guard", extensions / "zz-booking-in-between"
    shutil.copytree(guard, extensions / "billing-guard")
    (hook / "dist").mkdir(parents=True)
    described = (guard / "package.json").read_text().replace('"billing-guard"', '"zz-booking-in-between"')
    (hook / "package.json").write_text(described)
    (hook / "dist/index.js").write_text(BOOKING_HOOK)
    with another(world.directus, {"EXTENSIONS_PATH": str(extensions)}) as directus:
        yield directus


@pytest.mark.parametrize("way", OUTSIDE)
@pytest.mark.parametrize("person", ["sofia", "ingrid"])
def test_a_payment_booked_between_the_look_and_the_write_stays_booked(
    world: World, booking_in_between: RunningDirectus, person: str, way: str
) -> None:
    key = an_attempt(world, note=IN_BETWEEN)
    status, answer = WAYS[way](booking_in_between.as_(person), key)
    assert (status, code_of(answer)) == (200, None), answer
    row = stored(world, key)
    assert row["transaction_id"] is not None, "it was not booked in between"
    assert (row["status"], row["open_claim"]) == ("succeeded", None)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_attempt_that_nobody_has_paid_is_canceled_and_the_functions_are_told(
    world: World, way: str
) -> None:
    key = an_attempt(world)
    world.directus.stub.answer(202, {"accepted": 1})
    status, answer = WAYS[way](world.as_("sofia"), key)
    assert (status, code_of(answer)) == (200, None)
    row = stored(world, key)
    # The claim stays: it is what makes this a request, which the invoice writer carries out at Stripe.
    assert (row["status"], row["open_claim"]) == ("canceled", row["invoice"])
    told = [request.body for request in world.directus.stub.wait_for("/invoices/changed")]
    assert {"payments": [key]} in told


def test_who_canceled_it_is_in_directuss_history(world: World) -> None:
    key = an_attempt(world)
    sofia = world.as_("sofia")
    sofia.call("PATCH", f"/items/payments/{key}", CANCELED)
    condition = {"collection": {"_eq": "payments"}, "item": {"_eq": key}}
    revisions = world.admin.rows("/revisions", filter=condition, fields="delta,activity.user")
    [canceling] = [row for row in revisions if row["delta"].get("status") == "canceled"]
    assert canceling["activity"]["user"] == sofia.call("GET", "/users/me?fields=id")["id"]


def test_canceling_twice_is_canceling(world: World) -> None:
    key = an_attempt(world)
    for _ in range(2):
        world.as_("sofia").call("PATCH", f"/items/payments/{key}", CANCELED)
    assert stored(world, key)["status"] == "canceled"


def test_several_are_canceled_together_or_not_at_all(world: World) -> None:
    first, second = an_attempt(world), an_attempt(world)
    booked = an_attempt(world, status="succeeded", open_claim=None, transaction_id=f"pi_{uuid.uuid4().hex}")
    check = {"method": "check", "open_claim": None, "checkout_session": None}
    by_hand = an_attempt(world, **check)
    sofia = world.as_("sofia")
    every = {"keys": [first, booked, second, by_hand], "data": CANCELED}
    refused(sofia.answer("PATCH", "/items/payments", every), 403, "STRIPE_PAYMENT")
    assert [stored(world, key)["status"] for key in (first, second, by_hand)] == ["pending"] * 3
    sofia.call("PATCH", "/items/payments", {"keys": [first, second, by_hand], "data": CANCELED})
    assert [stored(world, key)["status"] for key in (first, second, by_hand)] == ["canceled"] * 3


@pytest.mark.parametrize("person", ["james", "maria", "zoe", "nobody"])
@pytest.mark.parametrize("way", OUTSIDE)
def test_who_may_not_change_it_cancels_nothing(world: World, person: str, way: str) -> None:
    key = an_attempt(world)
    _, answer = WAYS[way](world.directus.nobody if person == "nobody" else world.as_(person), key)
    assert answer["errors"], answer
    assert stored(world, key)["status"] == "pending"


def test_at_the_same_moment_the_booking_wins(world: World) -> None:
    """The functions' own PATCH against staff's, concurrently: in either order booked money stays booked."""
    for number in range(ROUNDS):
        key = an_attempt(world)
        invoice = stored(world, key)["invoice"]
        update = {
            "id": key,
            "status": "succeeded",
            "open_claim": None,
            "transaction_id": f"pi_{uuid.uuid4().hex}",
        }
        booking = {
            "status": "paid",
            "amount_paid": "100.00",
            "balance_due": "0.00",
            "payments": {"create": [], "update": [update], "delete": []},
        }

        def book(invoice: str = invoice, booking: dict[str, Any] = booking) -> None:
            with Directus(world.directus.url, SERVICE_TOKEN) as service:
                service.call("PATCH", f"/items/invoices/{invoice}?fields=id", booking)

        def cancel(key: str = key, number: int = number) -> None:
            with Directus(world.directus.url, world.directus.tokens["sofia"]) as sofia:
                way = WAYS["one" if number % 2 else "rows"]
                assert way(sofia, key)[0] in {200, 403}

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(book), pool.submit(cancel)]:
                future.result()
        assert stored(world, key)["status"] == "succeeded"


# ---- PostgreSQL shows who waits for a row, so the moment can be held ---------------------------------------


@pytest.mark.parametrize("way", sorted(WAYS))
def test_staff_wait_for_a_booking_that_is_under_way_and_then_see_it(way: str) -> None:
    """Without waiting the guard would read `pending`, and the UPDATE behind the lock would overwrite the booking."""
    world = world_on("postgresql")
    key, transaction = an_attempt(world), f"pi_{uuid.uuid4().hex}"
    columns = f"status = 'succeeded', transaction_id = '{transaction}', open_claim = NULL"
    booking = f"UPDATE payments SET {columns} WHERE id = '{key}'"  # noqa: S608  # our own values
    with (
        ThreadPoolExecutor(1) as pool,
        Directus(world.directus.url, world.directus.tokens["sofia"]) as sofia,
    ):
        with held_open(world.directus, booking):
            canceling = pool.submit(WAYS[way], sofia, key)
            wait_for(
                "staff's change to wait for the row", lambda: waits_for_a_row(world.directus), seconds=20
            )
        _, answer = canceling.result()
    assert code_of(answer) == "STRIPE_PAYMENT", answer
    row = stored(world, key)
    assert (row["status"], row["transaction_id"]) == ("succeeded", transaction)


def waits_for_a_row(directus: RunningDirectus) -> bool:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    answer = subprocess.run(
        psql(directus, "-At", "-c", asked),
        env=connection(directus),
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip() != "0"


@contextmanager
def held_open(directus: RunningDirectus, statement: str) -> Iterator[None]:
    """A transaction that has done the statement and commits on leaving."""
    process = subprocess.Popen(
        psql(directus), env=connection(directus), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"BEGIN;\n{statement};\n\\echo held\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "held"
        yield
        process.stdin.write("COMMIT;\n")
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def psql(directus: RunningDirectus, *arguments: str) -> list[str]:
    programs, variables = postgresql_programs(), directus.variables
    assert programs is not None, "PostgreSQL is not installed; run the set-up (make test does)."
    where = ["-h", variables["DB_HOST"], "-p", variables["DB_PORT"], "-U", variables["DB_USER"]]
    return [str(programs / "psql"), "-qX", *where, "-d", variables["DB_DATABASE"], *arguments]


def connection(directus: RunningDirectus) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PGPASSWORD": directus.variables["DB_PASSWORD"].removeprefix("string:"),
    }
