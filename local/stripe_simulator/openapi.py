"""Checks requests, answers and objects against Stripe's OpenAPI document.

    document = StripeDocument.load(path)
    request = document.read_request("POST", "/v1/checkout/sessions", "mode=payment&…")
    request.values, request.violations
    document.violations_of_answer(operation, 200, body)
    document.violations_of_object("charge", charge)

Two things go beyond plain JSON Schema, because Stripe does them although its document does not mention them: unknown
parameters are refused at every depth, and an object of ours may carry no field that is not in the document.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from local.stripe_simulator import form_encoding
from local.stripe_simulator.quick_check import Check, QuickChecks

OVERLAY = Path(__file__).with_name("dahlia_to_endive.json")
_DOCUMENT_URN = "urn:stripe:document"
_REFERENCE = "#/components/schemas/"


@dataclass(frozen=True)
class Operation:
    """One of Stripe's operations: `GET /v1/charges/{charge}`; `schemas_known` is False if only its name was kept."""

    method: str
    path: str
    name: str
    schemas_known: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.name})"


@dataclass(frozen=True)
class Violation:
    """One place where a value does not follow the document.

    `parameter` is written as Stripe writes it (`line_items[0][price_data]`); `kind` is a JSON Schema keyword or
    `unknown`.
    """

    parameter: str
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.parameter or 'the value'}: {self.message}"


@dataclass(frozen=True)
class ParsedRequest:
    """A request's parameters with their types, and everything that is wrong with them."""

    values: dict[str, Any]
    violations: list[Violation]


@dataclass(frozen=True)
class _Compiled:
    """A schema, ready to check values."""

    schema: dict[str, Any]
    validator: Draft202012Validator
    surely_valid: Check

    def violations(self, value: Any) -> list[Violation]:
        if self.surely_valid(value):
            return []
        return [_violation(_deepest(error)) for error in self.validator.iter_errors(value)]


class StripeDocument:
    """Stripe's OpenAPI document, brought to the API version of the pinned SDK by the overlay."""

    def __init__(self, document: dict[str, Any], overlay: dict[str, Any]) -> None:
        """`document` as `specification.prune` leaves it; `overlay` as in `dahlia_to_endive.json`."""
        if document["info"]["version"] != overlay["from"]:
            raise ValueError(
                f"The overlay is for {overlay['from']}, the document is {document['info']['version']}."
            )
        apply_patch(document, overlay["patch"])
        self.api_version: str = overlay["to"]
        self._raw = document
        self.schemas: dict[str, Any] = _to_json_schema(document["components"]["schemas"])
        root = {"$id": _DOCUMENT_URN, "components": {"schemas": self.schemas}}
        self._registry: Registry[Any] = Registry().with_resource(
            _DOCUMENT_URN, DRAFT202012.create_resource(root)
        )
        self._quick = QuickChecks(self.schemas)
        # `/v1/checkout/sessions` before `/v1/checkout/{x}`: the path with fewer placeholders wins.
        paths = sorted(document["x-all-operations"], key=lambda path: (path.count("{"), path))
        self._routes = [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path in paths]

    @classmethod
    def load(cls, path: Path) -> Self:
        """The document at `path` with the project's overlay."""
        return cls(
            json.loads(path.read_text(encoding="utf-8")), json.loads(OVERLAY.read_text(encoding="utf-8"))
        )

    def find(self, method: str, path: str) -> Operation | None:
        """The operation behind a request line; None when Stripe has none."""
        for pattern, template in self._routes:
            if pattern.fullmatch(path):
                name = self._raw["x-all-operations"][template].get(method.lower())
                if name is not None:
                    known = method.lower() in self._raw["paths"].get(template, {})
                    return Operation(method, template, name, known)
        return None

    def read_request(self, operation: Operation, text: str) -> ParsedRequest:
        """The parameters in a query or form body; raises `FormError` if it is not a form."""
        compiled = self._compiled_request(operation)
        values = form_encoding.coerce(form_encoding.parse(text), compiled.schema)
        unknown = [
            Violation(path, "unknown", "unknown parameter")
            for path in self._unknown(values, compiled.schema, "")
        ]
        broken = [] if unknown else compiled.violations(values)
        return ParsedRequest(values, unknown + broken)

    def violations_of_answer(self, operation: Operation, status: int, body: Any) -> list[Violation]:
        """Where an answer of ours is not what the document promises for that operation and HTTP status."""
        return self._violations_of(body, self._compiled_answer(operation, status))

    def violations_of_object(self, name: str, body: Any) -> list[Violation]:
        """Where an object of ours (`charge`, `event`, `error`) violates the document."""
        return self._violations_of(body, self._compiled_object(name))

    def is_expandable(self, name: str, field: str) -> bool:
        """Whether `expand[]=field` is allowed on an object of that kind."""
        properties = self._raw["components"]["schemas"].get(name, {}).get("properties", {})
        return "x-expansionResources" in properties.get(field, {})

    def _violations_of(self, body: Any, compiled: "_Compiled") -> list[Violation]:
        unknown = [
            Violation(path, "unknown", "not in the document")
            for path in self._unknown(body, compiled.schema, "")
        ]
        return unknown + compiled.violations(body)

    @functools.cache  # noqa: B019 - the document lives as long as the process
    def _compiled_request(self, operation: Operation) -> "_Compiled":
        return self._compile(self._request_schema(operation))

    @functools.cache  # noqa: B019 - as above
    def _compiled_answer(self, operation: Operation, status: int) -> "_Compiled":
        responses = self._raw["paths"][operation.path][operation.method.lower()]["responses"]
        response = responses.get(str(status), responses["default"])
        return self._compile(_to_json_schema(response["content"]["application/json"]["schema"]))

    @functools.cache  # noqa: B019 - as above
    def _compiled_object(self, name: str) -> "_Compiled":
        return self._compile({"$ref": f"{_REFERENCE}{name}"})

    @functools.cache  # noqa: B019 - the document lives as long as the process
    def _request_schema(self, operation: Operation) -> dict[str, Any]:
        described = self._raw["paths"][operation.path][operation.method.lower()]
        if operation.method == "POST":
            content = described["requestBody"]["content"]
            schema: dict[str, Any] = _to_json_schema(next(iter(content.values()))["schema"])
            return schema
        query = [parameter for parameter in described["parameters"] if parameter["in"] == "query"]
        return {
            "type": "object",
            "properties": {parameter["name"]: _to_json_schema(parameter["schema"]) for parameter in query},
            "required": [parameter["name"] for parameter in query if parameter.get("required")],
            "additionalProperties": False,
        }

    def _compile(self, schema: dict[str, Any]) -> "_Compiled":
        absolute = json.loads(json.dumps(schema).replace(f'"{_REFERENCE}', f'"{_DOCUMENT_URN}{_REFERENCE}'))
        validator = Draft202012Validator(absolute, registry=self._registry)
        return _Compiled(schema, validator, self._quick.check(schema))

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _unknown(self, value: Any, schema: dict[str, Any], path: str) -> list[str]:
        """Paths of keys that no branch of the schema knows; the branch that knows most is the one meant."""
        if not isinstance(value, dict | list):
            return []
        found = [list(self._unknown_in(value, branch, path)) for branch in self._branches(schema, value)]
        return min(found, key=len, default=[])

    def _branches(
        self, schema: dict[str, Any], value: dict[str, Any] | list[Any]
    ) -> Iterator[dict[str, Any]]:
        schema = self._resolve(schema)
        if "anyOf" in schema:
            for alternative in schema["anyOf"]:
                yield from self._branches(alternative, value)
        elif schema.get("type", "object") == ("object" if isinstance(value, dict) else "array"):
            tag = schema.get("properties", {}).get("object", {}).get("enum")
            if tag is None or (isinstance(value, dict) and value.get("object") in tag):
                yield schema

    def _unknown_in(self, value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._unknown(item, schema.get("items", {}), f"{path}[{index}]")
            return
        properties = schema.get("properties")
        others = schema.get("additionalProperties")
        for key, item in value.items():
            below = f"{path}[{key}]" if path else key
            if properties and key in properties:
                yield from self._unknown(item, properties[key], below)
            elif isinstance(others, dict):
                yield from self._unknown(item, others, below)
            elif properties is not None and (properties or others is False):
                yield below


def apply_patch(document: dict[str, Any], patch: list[dict[str, Any]]) -> None:
    """Applies the `add` and `move` operations of a JSON Patch (RFC 6902) in place."""
    for change in patch:
        if change["op"] == "move":
            parent, key = _locate(document, change["from"])
            value = parent.pop(key)
        elif change["op"] == "add":
            value = change["value"]
        else:
            raise ValueError(f"Patch operation {change['op']!r} is not supported.")
        parent, key = _locate(document, change["path"])
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent[key] = value


def _locate(document: Any, pointer: str) -> tuple[Any, str]:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    node = document
    for part in parents:
        node = node[part]
    return node, last


def _to_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON Schema 2020-12: `nullable` becomes a type, generator hints go."""
    if isinstance(node, list):
        return [_to_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: _to_json_schema(value)
        for key, value in node.items()
        if key != "nullable"
        and not key.startswith("x-")
        and (key not in ("example", "discriminator") or isinstance(value, dict))
    }
    if node.get("nullable") is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def _deepest(error: ValidationError) -> ValidationError:
    """Of the branches of an `anyOf`, the complaint that got furthest is the one that helps the reader."""
    while error.context:
        error = max(error.context, key=lambda cause: len(cause.absolute_path))
    return error


def _violation(error: ValidationError) -> Violation:
    parts = [str(part) for part in error.absolute_path]
    if error.validator == "required" and isinstance(error.instance, dict):
        parts += [name for name in cast("list[str]", error.validator_value) if name not in error.instance][:1]
    parameter = "".join([*parts[:1], *(f"[{part}]" for part in parts[1:])])
    return Violation(parameter, str(error.validator), error.message[:200])
