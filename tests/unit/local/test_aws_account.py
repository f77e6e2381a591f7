"""What the local stack sets up in the emulated account."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from local.aws_account import fill_secrets

if TYPE_CHECKING:
    from local.adapter.deploy import Emulator
    from tests.fakes.aws_account import Account


def test_empty_and_different_secrets_are_filled_in_and_the_others_are_left_alone(aws: Account) -> None:
    manager, wanted = aws.client("secretsmanager"), {"none": "a", "generated": "b", "right": "right"}
    manager.create_secret(Name="none")
    for name, value in (("generated", "random"), ("right", "right")):
        manager.create_secret(Name=name, SecretString=value)
    fill_secrets(cast("Emulator", aws), wanted)
    assert {name: manager.get_secret_value(SecretId=name)["SecretString"] for name in wanted} == wanted
    versions = {name: manager.list_secret_version_ids(SecretId=name)["Versions"] for name in wanted}
    assert {name: len(found) for name, found in versions.items()} == {
        "none": 1,
        "generated": 2,
        "right": 1,
    }, "or the same value would end a rotated one"
