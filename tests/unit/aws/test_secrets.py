from typing import Any, cast

import pytest

from billing.aws.secrets import FRESH_LOOKS_A_MINUTE, Secret
from billing.errors import SecretUnavailable
from tests.fakes.aws import Clock, FakeSecretsManager


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


@pytest.mark.parametrize("versions", [{}, {"AWSCURRENT": ""}, {"AWSCURRENT": " "}, {"AWSCURRENT": "\n"}])
def test_an_empty_secret_opens_nothing_and_says_which_one_to_fill_in(versions: dict[str, str]) -> None:
    """On AWS a secret that was created empty has no version at all."""
    found = Secret(cast("Any", FakeSecretsManager(versions)), "arn:aws:secretsmanager:x", clock=Clock())
    for read in (found.current, found.refresh, lambda: list(found.accepted())):
        with pytest.raises(
            SecretUnavailable, match=r"has no value yet.*\(arn:aws:secretsmanager:x\)"
        ) as failure:
            read()
        assert (failure.value.code, failure.value.status) == ("secret_unavailable", 503)
        assert failure.value.retryable
        assert "arn" not in failure.value.detail, "which is what a client of the API is told"


def test_a_secret_that_is_filled_in_is_used_from_the_next_call_on() -> None:
    manager = FakeSecretsManager({})
    found = Secret(cast("Any", manager), "arn:aws:secretsmanager:x", clock=Clock())
    with pytest.raises(SecretUnavailable):
        found.current()
    manager.versions["AWSCURRENT"] = "whsec_1"
    assert found.current() == "whsec_1"


def test_an_unreadable_secret_is_unavailable_not_a_mismatch() -> None:
    found, manager, _ = secret()
    manager.broken = True
    with pytest.raises(SecretUnavailable, match="cannot be read") as failure:
        found.current()
    assert failure.value.code == "secret_unavailable"
    assert "arn" not in failure.value.detail


def test_after_a_refusal_the_value_is_read_past_the_cache() -> None:
    found, manager, _ = secret()
    assert found.current() == "new"
    manager.versions["AWSCURRENT"] = "newest"
    assert (found.current(), found.refresh(), found.current()) == ("new", "newest", "newest")
