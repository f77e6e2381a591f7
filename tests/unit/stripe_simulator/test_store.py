import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stripe_simulator.store import Condition, Job, KeptAnswer, Store, StoreError, public


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state")
    yield opened
    opened.close()


class Stopped(Exception):
    pass


def session(identifier: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "object": "checkout.session", "created": 1000, **fields}


def change_and_stop(store: Store) -> None:
    with store.transaction():
        store.put(session("cs_1"))
        store.schedule(Job("expire", "cs_1"), due=1.0)
        store.keep_answer(KeptAnswer("key", "print", "req", 200, {}))
        raise Stopped


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    with pytest.raises(Stopped):
        change_and_stop(store)
    assert store.get("cs_1") is None
    assert store.due_jobs(2.0) == []
    assert store.kept_answer("key", newer_than=0.0) is None
    store.close()


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.put(session("cs_1", metadata={"name": "Żółć"}))
    store.put(session("cs_2"))
    store.put(session("cs_1", metadata={"name": "Żółć"}, status="open"))
    store.close()
    again = Store(tmp_path / "state")
    assert [body["id"] for body in again.newest_first("checkout.session")] == [
        "cs_2",
        "cs_1",
    ]  # as created, not as changed
    found = again.get("cs_1")
    assert found is not None
    assert found["status"] == "open"
    assert again.count("checkout.session") == 2
    again.close()


def test_objects_are_values_and_change_only_by_putting(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    body = store.put(session("cs_1"))
    body["status"] = "changed"
    assert store.get("cs_1") == session("cs_1")
    store.close()


def test_ageing_moves_every_timestamp_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.put(
        session(
            "cs_1",
            expires_at=5000,
            amount=5000,
            metadata={"created": "5000"},
            nested=[{"available_on": 5000}],
        )
    )
    store.schedule(Job("expire", "cs_1"), due=5000.0)
    store.queue("cs_1", due=5000.0)
    store.age(1000)
    assert store.get("cs_1") == {
        "id": "cs_1",
        "object": "checkout.session",
        "created": 0,
        "expires_at": 4000,
        "amount": 5000,
        "metadata": {"created": "5000"},
        "nested": [{"available_on": 4000}],
    }
    assert store.next_job_due() == 4000.0
    assert [delivery.due for delivery in store.waiting()] == [4000.0]
    store.close()


def test_our_notes_stay_inside() -> None:
    assert public({"id": "cs_1", "_line_items": []}) == {"id": "cs_1"}


def test_a_state_file_of_another_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "state").close()
    database = sqlite3.connect(tmp_path / "state")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="another version"):
        Store(tmp_path / "state")


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [body["id"] for body in found]


def test_objects_are_found_by_what_they_say_now(store: Store) -> None:
    store.put(session("cs_1", status="open", payment_intent=None))
    store.put(session("cs_2", status="open", payment_intent="pi_2"))
    store.put({"id": "ch_1", "object": "charge", "created": 2000, "payment_intent": "pi_2"})
    is_open = Condition("status", "=", "open")
    assert ids(store.newest_first("checkout.session", [is_open])) == ["cs_2", "cs_1"]
    store.put(session("cs_1", status="expired", payment_intent=None))
    assert ids(store.newest_first("checkout.session", [is_open])) == ["cs_2"]
    of_the_intent = Condition("payment_intent", "=", "pi_2")
    assert ids(store.newest_first("checkout.session", [of_the_intent])) == ["cs_2"]
    assert ids(store.newest_first("charge", [of_the_intent, Condition("created", ">=", 2000)])) == ["ch_1"]
    assert store.newest_first("charge", [of_the_intent, Condition("created", ">", 2000)]) == []
    assert ids(store.newest_first("checkout.session", [Condition("status", "IN", ["open", "x"])])) == ["cs_2"]
    store.age(500)
    assert ids(store.newest_first("charge", [Condition("created", "=", 1500)])) == ["ch_1"]


def test_a_page_begins_before_or_after_an_object(store: Store) -> None:
    for number in range(1, 6):
        store.put(session(f"cs_{number}"))
    page = store.newest_first
    assert ids(page("checkout.session", limit=2)) == ["cs_5", "cs_4"]
    assert ids(page("checkout.session", limit=2, older_than="cs_4")) == ["cs_3", "cs_2"]
    assert ids(page("checkout.session", limit=2, newer_than="cs_2")) == ["cs_4", "cs_3"]
    assert page("checkout.session", older_than="cs_1") == []


def test_objects_are_looked_for_by_known_columns_only(store: Store) -> None:
    with pytest.raises(ValueError, match="body"):
        store.newest_first("charge", [Condition("body", "=", "x")])


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        (Condition("payment_intent", "=", "pi_1"), "objects_by_payment_intent"),
        (Condition("charge", "=", "ch_1"), "objects_by_charge"),
        (Condition("source", "=", "re_1"), "objects_by_source"),
        (Condition("pending_webhooks", ">", 0), "undelivered"),
    ],
)
def test_what_is_looked_for_often_is_found_without_looking_at_everything(
    store: Store, condition: Condition, index: str
) -> None:
    asked: list[str] = []
    store._database.set_trace_callback(asked.append)
    store.newest_first("charge", [condition, Condition("created", ">=", 5)], limit=11)
    store._database.set_trace_callback(None)
    plan = store._database.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
    assert index in " ".join(row[3] for row in plan)


def test_deliveries_are_taken_as_they_happened_and_only_when_due(store: Store) -> None:
    for number, due in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 90.0)):
        store.put(session(f"cs_{number}"))
        store.queue(f"cs_{number}", due=due)
    assert [one.event for one in store.due_deliveries(30.0, 2)] == ["cs_1", "cs_2"]
    assert [one.event for one in store.due_deliveries(20.0, 9)] == ["cs_2", "cs_3"]
    assert store.next_delivery_due(after=30.0) == 90.0
    assert store.next_delivery_due(after=90.0) is None
