from typing import Any

import pytest
from jsonschema import Draft202012Validator

from local.stripe_simulator.quick_check import QuickChecks

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 1.0, 1.5, "", "ab", "abc", [], ["ab"], [1], {}, {"a": "ab"}, {"a": 1}, {"b": 1},
)  # fmt: skip
STRING: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        STRING,
        STRING | {"maxLength": 2},
        STRING | {"enum": ["ab", None]},
        STRING | {"pattern": "^a"},
        STRING | {"format": "unix-time"},
        {"type": "integer"},
        {"type": "integer", "enum": [1]},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": STRING},
        {"type": "array"},
        {"type": "object"},
        {"type": "object", "properties": {"a": STRING}, "required": ["a"]},
        {"type": "object", "properties": {"a": STRING}, "additionalProperties": False},
        {"type": "object", "additionalProperties": STRING},
        {"type": "object", "properties": {"a": STRING}, "anyOf": [{"required": ["b"]}, STRING]},
        {"properties": {"a": STRING}},
        {"required": ["a"]},
        {"enum": ["ab", 1]},
        {"anyOf": [STRING, {"type": "null"}]},
        {"anyOf": []},
        {"anyOf": [STRING], "maxLength": 2},
        {"not": STRING},
        {"type": ["string", "null"]},
        {"type": "string", "minLength": 3},
    ],
    ids=str,
)
def test_it_never_says_yes_where_the_general_validator_says_no(schema: dict[str, Any]) -> None:
    check = QuickChecks({}).check(schema)
    for value in VALUES:
        assert not check(value) or Draft202012Validator(schema).is_valid(value), value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (STRING | {"maxLength": 2}, "ab"),
        ({"type": "array", "items": STRING}, ["ab"]),
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, {"a": "ab", "b": 1}),
        ({"anyOf": [STRING, {"type": "null"}]}, None),
        ({"type": "integer"}, 1),
    ],
)
def test_it_says_yes_to_what_stripes_document_says(schema: dict[str, Any], value: Any) -> None:
    assert QuickChecks({}).check(schema)(value)


def test_schemas_may_refer_to_each_other_in_circles() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/components/schemas/node"}, {"type": "null"}]}},
    }
    check = QuickChecks({"node": node}).check({"$ref": "#/components/schemas/node"})
    assert check({"next": {"next": None}})
    assert not check({"next": {"next": 1}})
