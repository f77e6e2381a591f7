from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from billing.aws.secrets import FRESH_LOOKS_A_MINUTE, Secret
from billing.errors import SecretUnavailable
from tests.fakes.aws import Clock, Watched, failing, refusal

if TYPE_CHECKING:
    from tests.fakes.aws_account import Account


@dataclass
class Stored:
    """A secret in Secrets Manager; it is created empty, as our template does, and rotated with each value."""

    aws: Account
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.manager = Watched(self.aws.client("secretsmanager"))
        self.arn: str = self.manager.create_secret(Name="StripeSecret")["ARN"]
        self.found = Secret(self.manager, self.arn, clock=self.clock)  # type: ignore[arg-type]  # a client and who watches it

    def becomes(self, *values: str) -> Stored:
        for value in values:
            self.manager.put_secret_value(SecretId=self.arn, SecretString=value)
        self.manager.calls.clear()
        return self

    def reads(self) -> list[str]:
        return [given["VersionStage"] for _, given in self.manager.calls]


@pytest.fixture
def secret(aws: Account) -> Stored:
    return Stored(aws)


@pytest.fixture
def rotated(secret: Stored) -> Stored:
    return secret.becomes("old", "new")


def test_nothing_is_read_before_it_is_needed_and_then_kept(rotated: Stored) -> None:
    assert rotated.reads() == []
    assert [rotated.found.current(), rotated.found.current()] == ["new", "new"]
    assert rotated.reads() == ["AWSCURRENT"]


def test_current_comes_first_then_previous_then_a_fresh_look(rotated: Stored) -> None:
    values = rotated.found.accepted()
    assert next(values) == "new"
    assert rotated.reads() == ["AWSCURRENT"]
    assert next(values) == "old"
    rotated.becomes("newest")
    assert list(values) == ["newest", "new"]


def test_a_flood_of_wrong_secrets_is_not_a_flood_of_reads(rotated: Stored) -> None:
    for _ in range(1000):
        assert list(rotated.found.accepted())[:2] == ["new", "old"]
    assert len(rotated.reads()) <= 2 + 2 * FRESH_LOOKS_A_MINUTE
    rotated.clock.seconds += 60
    rotated.becomes("newest")
    assert "newest" in list(rotated.found.accepted())


def test_a_rotation_is_seen_at_once_although_somebody_sends_wrong_secrets(rotated: Stored) -> None:
    for _ in range(5):
        list(rotated.found.accepted())
    rotated.becomes("newest")
    assert "newest" in list(rotated.found.accepted())


def test_before_the_first_rotation_there_is_no_previous(secret: Stored) -> None:
    assert set(secret.becomes("new").found.accepted()) == {"new"}


def test_a_line_end_pasted_along_is_no_part_of_a_secret(secret: Stored) -> None:
    secret.becomes("\n", " whsec_1\r\n")
    assert secret.found.current() == "whsec_1"
    assert set(secret.found.accepted()) == {"whsec_1"}


@pytest.mark.parametrize("values", [[], [" "], ["\n"]])
def test_an_empty_secret_opens_nothing_and_says_which_one_to_fill_in(
    secret: Stored, values: list[str]
) -> None:
    """On AWS a secret that was created empty has no version at all."""
    found = secret.becomes(*values).found
    for read in (found.current, found.refresh, lambda: list(found.accepted())):
        with pytest.raises(SecretUnavailable, match="has no value yet") as failure:
            read()
        assert f"({secret.arn})" in str(failure.value)
        assert (failure.value.code, failure.value.status) == ("secret_unavailable", 503)
        assert failure.value.retryable
        assert "arn" not in failure.value.detail, "which is what a client of the API is told"


def test_a_secret_that_is_filled_in_is_used_from_the_next_call_on(secret: Stored) -> None:
    with pytest.raises(SecretUnavailable):
        secret.found.current()
    assert secret.becomes("whsec_1").found.current() == "whsec_1"


def test_an_unreadable_secret_is_unavailable_not_a_mismatch() -> None:
    denied = failing(get_secret_value=refusal("GetSecretValue", "AccessDeniedException"))
    with pytest.raises(SecretUnavailable, match="cannot be read") as failure:
        Secret(denied, "arn:aws:secretsmanager:x").current()
    assert failure.value.code == "secret_unavailable"
    assert "arn" not in failure.value.detail


def test_after_a_refusal_the_value_is_read_past_the_cache(rotated: Stored) -> None:
    found = rotated.found
    assert found.current() == "new"
    rotated.becomes("newest")
    assert (found.current(), found.refresh(), found.current()) == ("new", "newest", "newest")
