"""Every property the template declares is read back from the deployed stack through the services' own APIs.

The emulator's CloudFormation reports success while dropping properties, so a green deployment proves little.
What it cannot show is listed with its reason; a listed gap that starts to work fails too, so the list stays true.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import pytest

from local.stack import Stack
from tests.e2e.read_back.declared import declared
from tests.e2e.read_back.readers import READERS

GAPS: Final[Mapping[tuple[str, str], str]] = {
    ("AWS::ApiGatewayV2::Stage", "DefaultRouteSettings.DetailedMetricsEnabled"): "the emulator drops it",
    (
        "AWS::ApiGatewayV2::Stage",
        "DefaultRouteSettings.ThrottlingBurstLimit",
    ): "the emulator does not throttle",
    (
        "AWS::ApiGatewayV2::Stage",
        "DefaultRouteSettings.ThrottlingRateLimit",
    ): "the emulator does not throttle",
    (
        "AWS::Lambda::Function",
        "Code",
    ): "no API returns it; the adapter uploads a bootstrap that mounts the code",
    ("AWS::Lambda::Function", "Runtime"): "the adapter runs Python 3.13 through the custom runtime interface",
    (
        "AWS::Lambda::LayerVersion",
        "Content.S3Bucket",
    ): "no API returns it; the sandbox mounts the built layer",
    ("AWS::Lambda::LayerVersion", "Content.S3Key"): "no API returns it; the sandbox mounts the built layer",
    ("AWS::S3::BucketPolicy", ""): "left out: the emulator speaks http (local/adapter/emulator_gaps.py)",
    (
        "AWS::SecretsManager::Secret",
        "GenerateSecretString",
    ): "no API returns it; the start stores known values",
}

type Differences = dict[tuple[str, str], list[str]]


def differences(expected: Any, actual: Any, path: str = "") -> list[tuple[str, str]]:
    """Paths at which `actual` lacks what is declared, each with a sentence; more than declared is fine."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        found = []
        for key, value in expected.items():
            inner = f"{path}.{key}" if path else key
            found += differences(value, actual.get(key), inner)
        return found
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = zip(_ordered(expected), _ordered(actual), strict=True)
        return [item for first, second in pairs for item in differences(first, second, path)]
    return [] if expected == actual else [(path, f"declared {expected!r}, read {actual!r}")]


def _ordered(items: list[Any]) -> list[Any]:
    """Sets of names (policies, response types) come back in any order; statements and rules keep theirs."""
    return sorted(items) if all(isinstance(item, str) for item in items) else items


@pytest.fixture(scope="module")
def read_back(stack: Stack) -> Differences:
    found: Differences = defaultdict(list)
    for resource in declared(stack):
        assert resource.type in READERS, f"{resource.type} is new in the template: write its reader"
        if not resource.physical_id:
            found[resource.type, ""].append(f"{resource.logical_id}: not deployed")
            continue
        actual = READERS[resource.type](stack.emulator(), resource)
        for path, sentence in differences(resource.properties, actual):
            found[resource.type, path].append(f"{resource.logical_id}: {sentence}")
    return found


def test_every_declared_property_is_deployed(read_back: Differences) -> None:
    unexpected = {key: sentences for key, sentences in read_back.items() if key not in GAPS}
    lines = [f"{kind} {path}: {sentences}" for (kind, path), sentences in sorted(unexpected.items())]
    assert not unexpected, "declared, but not so on the deployed stack:\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("kind", "path"), sorted(GAPS), ids=lambda part: part.removeprefix("AWS::") or "whole"
)
def test_a_listed_gap_is_still_one(read_back: Differences, kind: str, path: str) -> None:
    assert (kind, path) in read_back, f"{kind} {path} works now; take it out of the list: {GAPS[kind, path]}"
