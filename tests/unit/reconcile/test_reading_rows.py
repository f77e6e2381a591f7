"""The pieces by which many rows are read, here and for reminders."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from billing.directus.rows import instant
from billing.ids import CHUNK, chunks


@pytest.mark.parametrize("number", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_chunks_hold_every_key_once_and_in_order(number: int) -> None:
    found = list(chunks(range(number)))
    assert [key for chunk in found for key in chunk] == list(range(number))
    assert all(len(chunk) == CHUNK for chunk in found[:-1])
    assert all(1 <= len(chunk) <= CHUNK for chunk in found)


@pytest.mark.parametrize("value", [None, 5, datetime(2026, 3, 3, 12, tzinfo=UTC)])
def test_what_is_not_text_is_no_instant(value: object) -> None:
    assert instant(value) is None


def test_an_instant_without_a_zone_is_utc() -> None:
    assert instant("2026-03-03T12:00:00") == datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert instant("2026-03-03T12:00:00.000Z") == datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert instant("2026-03-03T12:00:00+02:00") == datetime(
        2026, 3, 3, 12, tzinfo=timezone(timedelta(hours=2))
    )
