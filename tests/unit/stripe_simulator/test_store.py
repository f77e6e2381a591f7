import sqlite3
from pathlib import Path
from typing import Any

import pytest

from local.stripe_simulator.store import Job, KeptAnswer, Store, StoreError, public


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
