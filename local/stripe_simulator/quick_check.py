"""A quick yes: whether a value surely follows a schema.

The simulator checks everything it sends, and with a general validator that is most of its work. Nearly always the
answer is yes, and for the handful of keywords Stripe's document uses a yes is found some ten times sooner by
functions made for the schema. Anything but a sure yes is left to the general validator, which also knows why.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

#: Says yes (True) or "ask the general validator" (False).
type Check = Callable[[Any], bool]

_KEYWORDS = frozenset(
    {
        "$ref",
        "additionalProperties",
        "anyOf",
        "enum",
        "format",
        "items",
        "maxLength",
        "pattern",
        "properties",
        "required",
        "type",
    }
)
_REFERENCE = "#/components/schemas/"


class QuickChecks:
    """Makes checks for schemas that refer to `schemas` by `$ref`."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        """`schemas`: JSON Schema 2020-12 by name."""
        self._schemas = schemas
        self._named: dict[str, Check] = {}

    def check(self, schema: Mapping[str, Any]) -> Check:
        """The check for a schema; it never accepts a schema with a keyword it does not know."""
        if not schema:
            return lambda _: True
        if set(schema) - _KEYWORDS:
            return lambda _: False
        if "type" in schema:
            return self._typed(schema)
        return _every([*self._applied(schema), *self._untyped(schema)])

    def _typed(self, schema: Mapping[str, Any]) -> Check:
        match schema["type"]:
            case "string":
                checks = _string(schema)
            case "integer":
                checks = [lambda value: type(value) is int]
            case "boolean":
                checks = [lambda value: type(value) is bool]
            case "null":
                checks = [lambda value: value is None]
            case "array":
                item = self.check(schema.get("items", {}))
                checks = [lambda value: type(value) is list and all(map(item, value))]
            case "object":
                checks = [self._object(schema)]
            case _:
                return lambda _: False
        if "enum" in schema and schema["type"] != "string":
            return lambda _: False
        return _every([*checks, *self._applied(schema)])

    def _untyped(self, schema: Mapping[str, Any]) -> list[Check]:
        """Without a type, keywords about strings, arrays and objects hold for these only: rare, so not known here."""
        asks = set(schema) - {"$ref", "anyOf", "format"}
        if asks in ({"properties"}, {"properties", "required"}):
            return [self._object(schema)]
        return [] if not asks else [lambda _: False]

    def _applied(self, schema: Mapping[str, Any]) -> list[Check]:
        checks: list[Check] = []
        if "$ref" in schema:
            checks.append(self._reference(schema["$ref"]))
        if "anyOf" in schema:
            checks.append(_any([self.check(branch) for branch in schema["anyOf"]]))
        return checks

    def _reference(self, reference: str) -> Check:
        name = reference.removeprefix(_REFERENCE)

        def check(value: Any) -> bool:  # made when first needed: schemas refer to each other in circles
            if name not in self._named:
                self._named[name] = self.check(self._schemas[name])
            return self._named[name](value)

        return check

    def _object(self, schema: Mapping[str, Any]) -> Check:
        known = {name: self.check(below) for name, below in schema.get("properties", {}).items()}
        required = frozenset(schema.get("required", ()))
        others = schema.get("additionalProperties", True)
        other = self.check(others) if isinstance(others, dict) else lambda _: bool(others)

        def check(value: Any) -> bool:
            return (
                type(value) is dict
                and required <= value.keys()
                and all(known.get(name, other)(item) for name, item in value.items())
            )

        return check


def _string(schema: Mapping[str, Any]) -> list[Check]:
    checks: list[Check] = [lambda value: type(value) is str]
    if "maxLength" in schema:
        longest = schema["maxLength"]
        checks.append(lambda value: len(value) <= longest)
    if "enum" in schema:
        allowed = frozenset(value for value in schema["enum"] if isinstance(value, str))
        checks.append(lambda value: value in allowed)
    if "pattern" in schema:
        pattern = re.compile(schema["pattern"])
        checks.append(lambda value: pattern.search(value) is not None)
    return checks


def _every(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    return lambda value: all(check(value) for check in checks)


def _any(checks: list[Check]) -> Check:
    return lambda value: any(check(value) for check in checks)
