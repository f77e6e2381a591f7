"""Stripe's request encoding: `a[b][0][c]=1` in a query or a form body, read into nested values.

Everything arrives as text. Whether `42` is a number and whether `{"0": …}` is a list depends on the schema of
that parameter (a metadata key may be called `0`), so reading is done in two steps: `parse`, then `coerce`.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

#: Far above any real request; a hostile one is refused instead of being worked on.
MAXIMUM_FIELDS = 2000
MAXIMUM_DEPTH = 8

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_INDEX = re.compile(r"\d{1,4}")


class FormError(ValueError):
    """Stripe would not read this form; the message is one sentence."""


def parse(text: str) -> dict[str, Any]:
    """Nested dictionaries of text; lists too are dictionaries here, keyed by their index. Raises `FormError`."""
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            max_num_fields=MAXIMUM_FIELDS,
            errors="strict",
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise FormError("The request is not well-formed application/x-www-form-urlencoded.") from error
    root: dict[str, Any] = {}
    for name, value in pairs:
        _insert(root, _parts(name), value, name)
    return root


def _parts(name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise FormError(f"Invalid parameter name: {name[:100]}")
    parts = [match[1], *_PART.findall(match[2])]
    if len(parts) > MAXIMUM_DEPTH:
        raise FormError(f"Parameter nested too deeply: {name[:100]}")
    return parts


def _insert(root: dict[str, Any], parts: list[str], value: str, name: str) -> None:
    node = root
    for position, written in enumerate(parts):
        part = written or str(len(node))  # `a[]=1` appends
        if position == len(parts) - 1:
            if part in node:
                raise FormError(f"Parameter given twice: {name[:100]}")
            node[part] = value
        else:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                raise FormError(f"Parameter given as a value and as an object: {name[:100]}")
            node = below


def coerce(value: Any, schema: dict[str, Any]) -> Any:
    """`value` with numbers, booleans and lists where the schema wants them; what does not fit stays text."""
    if "anyOf" in schema:
        return _coerce_to_any(value, schema["anyOf"])
    kind = schema.get("type")
    if isinstance(value, str):
        return _scalar(value, kind)
    if kind == "array" and all(_INDEX.fullmatch(key) for key in value):
        items = schema.get("items", {})
        return [coerce(value[key], items) for key in sorted(value, key=int)]
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    fallback = others if isinstance(others, dict) else {}
    return {key: coerce(item, properties.get(key, fallback)) for key, item in value.items()}


def _scalar(value: str, kind: str | None) -> Any:
    if kind == "integer" and _INTEGER.fullmatch(value):
        return int(value)
    if kind == "number" and _NUMBER.fullmatch(value):
        return float(value)  # no parameter of ours is a number that is not an integer; amounts are integers
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _coerce_to_any(value: Any, alternatives: list[dict[str, Any]]) -> Any:
    if isinstance(value, dict):
        for kind in ("array", "object"):
            for alternative in alternatives:
                if alternative.get("type") == kind:
                    coerced = coerce(value, alternative)
                    if kind == "object" or isinstance(coerced, list):
                        return coerced
        return value
    for alternative in alternatives:
        if value in alternative.get("enum", ()):
            return value
    for alternative in alternatives:
        coerced = coerce(value, alternative)
        if not isinstance(coerced, str):
            return coerced
    return value
