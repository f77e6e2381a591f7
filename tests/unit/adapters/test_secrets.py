from typing import Any, cast

import pytest

from billing.adapters.secrets import FRESH_LOOKS_A_MINUTE, Secret
from billing.errors import UpstreamUnavailable
from tests.unit.fakes.aws import Clock, FakeSecretsManager


def secret(*, current: str = "new", previous: str | None = "old") -> tuple[Secret, FakeSecretsManager, Clock]:
    versions = {"AWSCURRENT": current} | ({"AWSPREVIOUS": previous} if previous is not None else {})
    manager, clock = FakeSecretsManager(versions), Clock()
    return Secret(cast("Any", manager), "arn:aws:secretsmanager:x", clock=clock), manager, clock


def test_nothing_is_read_before_it_is_needed_and_then_kept() -> None:
    found, manager, _ = secret()
    assert manager.reads == []
    assert [found.current(), found.current()] == ["new", "new"]
    assert manager.reads == ["AWSCURRENT"]


def test_current_comes_first_then_previous_then_a_fresh_look() -> None:
    found, manager, _ = secret()
    values = found.accepted()
    assert next(values) == "new"
    assert manager.reads == ["AWSCURRENT"]
    assert next(values) == "old"
    manager.versions["AWSCURRENT"] = "newest"
    assert list(values) == ["newest", "old"]


def test_a_flood_of_wrong_secrets_is_not_a_flood_of_reads() -> None:
    found, manager, clock = secret()
    for _ in range(1000):
        assert list(found.accepted())[:2] == ["new", "old"]
    assert len(manager.reads) <= 2 + 2 * FRESH_LOOKS_A_MINUTE
    clock.seconds += 60
    manager.versions["AWSCURRENT"] = "newest"
    assert "newest" in list(found.accepted())


def test_a_rotation_is_seen_at_once_although_somebody_sends_wrong_secrets() -> None:
    found, manager, _ = secret()
    for _ in range(5):
        list(found.accepted())
    manager.versions |= {"AWSCURRENT": "newest", "AWSPREVIOUS": "new"}
    assert "newest" in list(found.accepted())


def test_before_the_first_rotation_there_is_no_previous() -> None:
    found, _, _ = secret(previous=None)
    assert set(found.accepted()) == {"new"}


def test_a_line_end_pasted_along_is_no_part_of_a_secret() -> None:
    found, _, _ = secret(current=" whsec_1\r\n", previous="\n")
    assert found.current() == "whsec_1"
    assert set(found.accepted()) == {"whsec_1"}


@pytest.mark.parametrize("current", ["", " ", "\n"])
def test_an_empty_secret_opens_nothing(current: str) -> None:
    found, _, _ = secret(current=current)
    with pytest.raises(UpstreamUnavailable):
        list(found.accepted())


def test_an_unreadable_secret_is_unavailable_not_a_mismatch() -> None:
    found, manager, _ = secret()
    manager.broken = True
    with pytest.raises(UpstreamUnavailable) as failure:
        found.current()
    assert failure.value.code == "secret_unavailable"
    assert "arn" not in failure.value.detail


def test_after_a_refusal_the_value_is_read_past_the_cache() -> None:
    found, manager, _ = secret()
    assert found.current() == "new"
    manager.versions["AWSCURRENT"] = "newest"
    assert (found.current(), found.refresh(), found.current()) == ("new", "newest", "newest")
