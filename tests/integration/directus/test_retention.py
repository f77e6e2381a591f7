"""Old finished rows of `stripe_events` go, everything else stays, on both databases and with several Directus at work."""

import json
import os
import re
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from directus.probe import EXTENSION
from local.postgresql_server import postgresql_programs
from local.setup.paths import node_environment
from local.waiting import wait_for
from tests.integration.directus.server import RunningDirectus, another

DAYS = "BILLING_STRIPE_EVENTS_RETENTION_DAYS"
CRON = "BILLING_STRIPE_EVENTS_RETENTION_CRON"
FEWEST = timedelta(days=35)
MINUTE = timedelta(minutes=1)
MOST_PER_RUN = 5000
FAILED = "could not be deleted"


@pytest.fixture(scope="module")
def keeper(directus: RunningDirectus) -> Iterator[RunningDirectus]:
    """A Directus that deletes every second and is set to keep events for only a week."""
    with another(directus, {CRON: "* * * * * *", DAYS: "7"}) as server:
        yield server


def _event(status: str, age: timedelta | None) -> dict[str, Any]:
    received = None if age is None else (datetime.now(UTC) - age).isoformat()
    return {
        "id": f"evt_{uuid.uuid4().hex}",
        "type": "refund.created",
        "status": status,
        "received_at": received,
    }


def _known(directus: RunningDirectus, prefix: str = "evt_") -> set[str]:
    rows = directus.admin.rows("/items/stripe_events", fields="id", filter={"id": {"_starts_with": prefix}})
    return {row["id"] for row in rows}


def _wait_until_gone(directus: RunningDirectus, ids: set[str]) -> None:
    wait_for("old events to be deleted", lambda: not (_known(directus) & ids), seconds=30)


def _one_more_run(directus: RunningDirectus) -> None:
    """A run that began after this call has ended: it has deleted an event that is newer than the call."""
    last = _event("done", FEWEST + MINUTE)
    directus.service.call("POST", "/items/stripe_events?fields=id", last)
    _wait_until_gone(directus, {last["id"]})


def _said(server: RunningDirectus, pattern: str) -> list[str]:
    lines = (server.directory / "log").read_text("utf-8").splitlines()
    messages = [json.loads(line)["msg"] for line in lines if line.startswith("{") and '"msg"' in line]
    return [message for message in messages if re.search(pattern, message)]


def _sql(directus: RunningDirectus, statements: str) -> None:
    """Run statements in the database itself, as its administrator would."""
    if directus.database == "sqlite":
        with closing(sqlite3.connect(directus.variables["DB_FILENAME"], timeout=30)) as database:
            database.executescript(statements)
        return
    programs = postgresql_programs()
    assert programs is not None
    address = [
        "-h",
        "127.0.0.1",
        "-p",
        directus.variables["DB_PORT"],
        "-U",
        "billing",
        "-d",
        directus.variables["DB_DATABASE"],
    ]
    command = [str(programs / "psql"), "-q", "-X", "-v", "ON_ERROR_STOP=1", *address, "-c", statements]
    password = directus.variables["DB_PASSWORD"].removeprefix("string:")
    environment = {"PGPASSWORD": password, "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=environment)


def test_only_old_finished_events_go(keeper: RunningDirectus, directus: RunningDirectus) -> None:
    staying = [
        *(_event(status, FEWEST * 10) for status in ("received", "parked", "failed")),
        *(_event(status, FEWEST - MINUTE) for status in ("done", "ignored")),
        *(_event(status, None) for status in ("done", "ignored")),
    ]
    going = [_event(status, age) for status in ("done", "ignored") for age in (FEWEST + MINUTE, FEWEST * 10)]
    for row in (*staying, *going):
        directus.service.call("POST", "/items/stripe_events?fields=id", row)
    _wait_until_gone(directus, {row["id"] for row in going})
    _one_more_run(directus)
    assert _known(directus) >= {row["id"] for row in staying}
    [warning] = _said(keeper, DAYS)
    assert warning.endswith(
        f"{DAYS} is 7, but Stripe sends events again for 30 days; they are kept for 35 days."
    )


def test_a_run_ends_after_some_thousands_and_the_next_goes_on(
    keeper: RunningDirectus, directus: RunningDirectus
) -> None:
    before = _deleted(keeper)
    prefix = _old_events(directus, MOST_PER_RUN + 200)
    wait_for("all of them to be deleted", lambda: not _known(directus, prefix), seconds=60)
    told = wait_for(
        "both counts", lambda: _deleted(keeper)[len(before) + 1 :] and _deleted(keeper), seconds=10
    )
    assert told == [*before, MOST_PER_RUN, 200]


def test_several_at_once_count_each_row_once(keeper: RunningDirectus, directus: RunningDirectus) -> None:
    # Directus makes a list of a variable with commas.
    with another(directus, {CRON: "0-29,30-59 * * * * *", DAYS: "35"}) as second:
        before = sum(_deleted(keeper)) + sum(_deleted(second))
        prefix = _old_events(directus, 3000)
        wait_for("all of them to be deleted", lambda: not _known(directus, prefix), seconds=60)

        def counted() -> int:
            return sum(_deleted(keeper)) + sum(_deleted(second)) - before

        wait_for("all of them to be counted", lambda: counted() >= 3000, seconds=10)
        assert counted() == 3000
        assert [_said(server, FAILED) for server in (keeper, second)] == [[], []]
        # And the second one does work: both meet what forbids it.
        with _deletion_forbidden(directus):
            directus.service.call("POST", "/items/stripe_events?fields=id", _event("done", FEWEST * 2))
            wait_for("one to fail", lambda: _said(keeper, FAILED), seconds=30)
            wait_for("the other to fail", lambda: _said(second, FAILED), seconds=30)


def _old_events(directus: RunningDirectus, count: int) -> str:
    """Write so many old events in one transaction, stored as Directus stores them; how their ids begin."""
    model = _event("received", FEWEST * 2)
    directus.service.call("POST", "/items/stripe_events?fields=id", model)
    prefix = f"evt_many_{uuid.uuid4().hex[:8]}_"
    statement = """
        INSERT INTO stripe_events (id, type, status, received_at)
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
        SELECT '%s' || n, type, 'done', received_at FROM stripe_events, numbers WHERE id = '%s';
    """
    _sql(directus, statement % (count, prefix, model["id"]))
    return prefix


def _deleted(server: RunningDirectus) -> list[int]:
    """The log line of every run that deleted something, in order."""
    told = _said(server, "Stripe events received before")
    return [int(re.findall(r"deleted (\d+) Stripe events", message)[0]) for message in told]


FORBID = {
    "sqlite": (
        "CREATE TRIGGER not_now BEFORE DELETE ON stripe_events BEGIN SELECT RAISE(ABORT, 'not now'); END;",
        "DROP TRIGGER not_now;",
    ),
    "postgresql": (
        """CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not now'; END$$;
        CREATE TRIGGER not_now BEFORE DELETE ON stripe_events EXECUTE FUNCTION not_now();""",
        "DROP TRIGGER not_now ON stripe_events; DROP FUNCTION not_now();",
    ),
}


@contextmanager
def _deletion_forbidden(directus: RunningDirectus) -> Iterator[None]:
    forbid, allow = FORBID[directus.database]
    _sql(directus, forbid)
    try:
        yield
    finally:
        _sql(directus, allow)


def test_a_failure_is_one_plain_line_and_the_next_run_tries_again(
    keeper: RunningDirectus, directus: RunningDirectus
) -> None:
    before = len(_said(keeper, FAILED))
    old = _event("ignored", FEWEST * 2)
    with _deletion_forbidden(directus):
        directus.service.call("POST", "/items/stripe_events?fields=id", old)
        [line, *_] = wait_for("a failure", lambda: _said(keeper, FAILED)[before:], seconds=30)
        assert keeper.nobody.answer("GET", "/server/ping")[0] == 200
    assert line.startswith(
        "billing-guard: old Stripe events could not be deleted; the next run tries again. "
    )
    assert "not now" in line
    assert "\n" not in line
    assert old["id"] not in line
    _wait_until_gone(directus, {old["id"]})


# -- without a Directus ------------------------------------------------------------------------------------------------


def _node(script: str) -> Any:
    """What a script that imports the extension's file prints as JSON."""
    program = (
        f"import * as retention from {json.dumps((EXTENSION / 'dist/retention.js').as_uri())};\n{script}"
    )
    command = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(command, env=node_environment(), capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("written", "days", "warned"),
    [("undefined", 90, False), ("''", 90, False), ("120", 120, False), ("'120'", 120, False), ("35", 35, False),
     ("34", 35, True), ("0", 35, True), ("-90", 35, True), ("'ninety'", 90, True), ("90.5", 90, True),
     ("false", 90, True), ("[90]", 90, True), ("1e21", 1e21, False)],
)  # fmt: skip
def test_days_are_a_whole_number_of_at_least_35(written: str, days: float, warned: bool) -> None:  # noqa: FBT001  a row of the table
    found = _node(
        f"const said = []; const days = retention.retentionDays({written}, (sentence) => said.push(sentence));"
        "console.log(JSON.stringify({ days, said }));"
    )
    assert found["days"] == days
    assert [DAYS in sentence for sentence in found["said"]] == ([True] if warned else [])


@pytest.mark.parametrize(
    ("written", "cron"),
    [("undefined", "7,27,47 3 * * *"), ("''", "7,27,47 3 * * *"), ("'0 4 * * *'", "0 4 * * *"),
     ("[7, '27 3 * * *']", "7,27 3 * * *")],
)  # fmt: skip
def test_the_times_are_those_of_the_variable(written: str, cron: str) -> None:
    assert _node(f"console.log(JSON.stringify(retention.retentionCron({written})));") == cron


def test_before_the_model_is_applied_and_for_ever_nothing_happens_and_nothing_is_said() -> None:
    said = _node(
        """
        const said = [];
        const logger = { info: (s) => said.push(s), warn: (s) => said.push(s), error: (s) => said.push(s) };
        const asked = [];
        class ItemsService {
            async readByQuery(query) { asked.push(query.filter._and[1].received_at._lt); return []; }
        }
        const run = async (collections, env) => {
            let job;
            const getSchema = async () => ({ collections });
            retention.scheduleRetention((cron, handler) => { job = handler; }, { env, logger, getSchema, services: { ItemsService } });
            await job();
        };
        await run({}, {});
        await run({ stripe_events: {} }, { BILLING_STRIPE_EVENTS_RETENTION_DAYS: 9007199254740991 });
        console.log(JSON.stringify({ said, asked }));
        """
    )
    assert said == {"said": [], "asked": ["1970-01-01T00:00:00.000Z"]}
