"""Whatever Stripe's document lets be null or absent is read, or refused by name."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.stripe_simulator.openapi import StripeDocument
from tests.fakes.stripe_samples import NEEDED_OF_OURS, READ, SESSION, refusal_of


@pytest.fixture
def schemas(document: StripeDocument) -> Mapping[str, Any]:
    return document.schemas


def is_nullable(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def resolved(schemas: Mapping[str, Any], schema: Mapping[str, Any], value: object) -> Mapping[str, Any]:
    """The schema of an object inside: of several, the one for that kind of object."""
    if "$ref" in schema:
        return resolved(schemas, schemas[schema["$ref"].rpartition("/")[2]], value)
    for one in schema.get("anyOf", ()):
        found = resolved(schemas, one, value)
        tag = found.get("properties", {}).get("object", {}).get("enum")
        if "properties" in found and (
            tag is None or (isinstance(value, dict) and value.get("object") in tag)
        ):
            return found
    return schema


def places(schemas: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, ...]]:
    """Every place in the value that may be null or absent, at every depth."""
    found = resolved(schemas, schema, value)
    required = set(found.get("required", ()))
    for name, below in value.items():
        described = found.get("properties", {}).get(name)
        if described is None:
            continue
        if is_nullable(described) or name not in required:
            yield (name,)
        if isinstance(below, dict) and name != "metadata":
            yield from ((name, *path) for path in places(schemas, described, below))
    if value.get("object") == "event":
        about = value["data"]["object"]
        kind = schemas[about["object"]]
        yield from (("data", "object", *path) for path in places(schemas, kind, about))


def changed(value: Mapping[str, Any], path: tuple[str, ...], *, absent: bool) -> dict[str, Any]:
    copied = copy.deepcopy(dict(value))
    inside = copied
    for name in path[:-1]:
        inside = inside[name]
    if absent:
        del inside[path[-1]]
    else:
        inside[path[-1]] = None
    return copied


@pytest.mark.parametrize("what", READ)
@pytest.mark.parametrize("how", ["null", "absent"])
def test_every_null_and_every_absence_is_read_or_refused_by_name(
    what: str, how: str, schemas: Mapping[str, Any]
) -> None:
    kind, whole, parse = READ[what]
    parse(whole)
    tried = list(places(schemas, schemas[kind], whole))
    assert len(tried) >= len(
        [name for name in whole if is_nullable(schemas[kind]["properties"].get(name, {}))]
    )
    for path in tried:
        assert path[-1] in refusal_of(parse, changed(whole, path, absent=how == "absent"), path[-1])


def test_the_places_are_those_that_matter(schemas: Mapping[str, Any]) -> None:
    found = set(places(schemas, schemas["checkout.session"], SESSION))
    assert found >= {
        ("status",), ("amount_total",), ("currency",), ("payment_intent",), ("url",), ("metadata",),
        ("payment_intent", "latest_charge"), ("payment_intent", "last_payment_error"),
        ("payment_intent", "latest_charge", "balance_transaction"),
        ("payment_intent", "latest_charge", "payment_method_details"),
        ("payment_intent", "latest_charge", "payment_method_details", "card", "brand"),
    }  # fmt: skip
    assert ("expires_at",) not in found


@pytest.mark.parametrize("what", READ)
def test_every_null_of_the_document_but_three_is_read(what: str, schemas: Mapping[str, Any]) -> None:
    """A required field of an expanded object may be absent from the document's list, but Stripe never leaves it out."""
    kind, whole, parse = READ[what]
    for name in whole:
        described = schemas[kind]["properties"].get(name, {})
        if is_nullable(described) and not (kind == "checkout.session" and name in NEEDED_OF_OURS):
            parse(changed(whole, (name,), absent=False))
