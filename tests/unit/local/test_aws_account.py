"""What the local stack sets up in the emulated account."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from local.aws_account import fill_secrets
from tests.fakes.aws import refusal


@dataclass
class Secrets:
    """An emulated account with its Secrets Manager; None is a secret that was created empty, as on AWS."""

    values: dict[str, str | None]
    stored: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        assert service == "secretsmanager"
        return self

    def get_secret_value(self, **given: str) -> dict[str, str]:
        value = self.values[given["SecretId"]]
        if value is None:
            raise refusal("GetSecretValue", "ResourceNotFoundException")
        return {"SecretString": value}

    def put_secret_value(self, **given: str) -> None:
        self.stored.append(given["SecretId"])
        self.values[given["SecretId"]] = given["SecretString"]


def test_empty_and_different_secrets_are_filled_in_and_the_others_are_left_alone() -> None:
    account = Secrets({"none": None, "empty": "", "generated": "random", "right": "right"})
    wanted = {"none": "a", "empty": "b", "generated": "c", "right": "right"}
    fill_secrets(cast("Any", account), wanted)
    assert account.values == wanted
    assert account.stored == ["none", "empty", "generated"], "or the same value would end a rotated one"
