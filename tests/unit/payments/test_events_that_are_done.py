"""What a delivery of an event does that was applied before: nothing, or it ends what a worker left behind."""

from __future__ import annotations

import pytest

from tests.fakes.world import World, opened


def paid() -> World:
    """An invoice paid by card, its events applied."""
    world, session = opened()
    world.stripe.pays(session)
    world.deliver()
    return world


def test_an_event_that_is_done_is_neither_asked_about_nor_written_again() -> None:
    world = paid()
    before = world.directus.snapshot()
    world.steps.names.clear()
    world.deliver()
    done = {name for name in world.steps.names if not name.startswith(("GET ", "SEARCH "))}
    assert done == {"POST stripe_events"}, "which Directus refuses: the row is there"
    assert world.directus.snapshot() == before


@pytest.mark.parametrize("status", ["received", "failed"])
def test_one_whose_worker_died_after_the_payment_is_ended_and_the_payment_stays_as_it_is(status: str) -> None:
    world = paid()
    events = world.directus.table("stripe_events")
    before = world.directus.snapshot()
    for key in events:
        events[key] = {**events[key], "status": status, "processed_at": None}
    world.passes(hours=1)
    world.deliver()
    after = world.directus.snapshot()
    assert {event["status"] for event in after["stripe_events"].values()} == {"done"}
    assert {name: after[name] for name in ("payments", "invoices")} == {
        name: before[name] for name in ("payments", "invoices")
    }
