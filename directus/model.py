"""Translates `model/*.yaml` into Directus's collections, fields and relations, and compares them with a target.

What is compared on a field that exists: its type, nullability, uniqueness, index, length, and the parts of its
`meta` that decide behaviour (`special`, `required`, `validation`). Icons, notes, order, widths are set when
a field is created and are the firm's afterwards. Nothing is ever dropped or narrowed.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from directus.changes import Change
from directus.rest import InstallerError

MODEL = Path(__file__).parent / "model"

PATTERNS = {
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "phone": r"^\+[1-9][0-9]{6,14}$",
    "color": r"^#[0-9A-Fa-f]{6}$",
    "language": r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
    "timezone": r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$",
}
_STRINGS = {
    "string": 255,
    "email": 255,
    "phone": 20,
    "color": 7,
    "language": 35,
    "timezone": 64,
    "choice": 40,
    "currency": 3,
}
_DECIMALS = {"money": (14, 2), "percent": (7, 4), "hours": (8, 2)}
_PLAIN = ("text", "json", "date", "timestamp", "boolean", "integer")
_INTERFACES = {
    "text": "input-multiline", "json": "input-code", "date": "datetime", "timestamp": "datetime",
    "boolean": "boolean", "choice": "select-dropdown", "currency": "select-dropdown",
    "color": "select-color", "link": "select-dropdown-m2o", "file": "file", "many": "list-o2m",
}  # fmt: skip
_SPECIALS = {
    "link": ["m2o"],
    "file": ["file"],
    "many": ["o2m"],
    "json": ["cast-json"],
    "boolean": ["cast-boolean"],
}
#: Types that Directus reports for ours: SQLite has no decimals and no uuid foreign keys.
_SAME_TYPE = {"decimal": {"decimal", "float"}, "uuid": {"uuid", "string", "char"}}

type Row = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One field, from its YAML line."""

    name: str
    collection: str
    sort: int
    line: Row

    @property
    def kind(self) -> str:
        """The kind, as in `model/README.md`."""
        return str(self.line["kind"])

    @property
    def target(self) -> str | None:
        """The collection a link points to, `None` for other kinds."""
        if self.kind == "file":
            return "directus_files"
        return str(self.line["to"]) if self.kind == "link" else None

    @property
    def type(self) -> str:
        """Directus's type."""
        if self.kind in _PLAIN:
            return self.kind
        if self.kind in _DECIMALS:
            return "decimal"
        if self.kind == "many":
            return "alias"
        return "uuid" if self.target else "string"

    def schema(self) -> Row | None:
        """The column; `None` for an alias."""
        if self.kind == "many":
            return None
        schema: Row = {
            "is_nullable": not self.line.get("required", False),
            "is_unique": bool(self.line.get("unique", False)),
            "is_indexed": bool(self.target) or bool(self.line.get("indexed", False)),
        }
        if self.type == "string":
            schema["max_length"] = self.line.get("length", _STRINGS[self.kind])
        if self.kind in _DECIMALS:
            schema["numeric_precision"], schema["numeric_scale"] = _DECIMALS[self.kind]
        if "default" in self.line:
            schema["default_value"] = self.line["default"]
        return schema

    def choices(self) -> list[str]:
        """The values of a choice or a currency."""
        return currencies() if self.kind == "currency" else [str(choice) for choice in self.line["choices"]]

    def rules(self) -> list[Row]:
        """The validation rules on the value, without the allowance for null."""
        rules: list[Row] = []
        if self.kind in {"choice", "currency"}:
            rules.append({"_in": self.choices()})
        pattern = self.line.get("pattern", PATTERNS.get(self.kind))
        if pattern:
            rules.append({"_regex": pattern})
        if "above" in self.line:
            rules.append({"_gt": self.line["above"]})
        if "minimum" in self.line:
            rules.append({"_gte": self.line["minimum"]})
        if "maximum" in self.line:
            rules.append({"_lte": self.line["maximum"]})
        return rules

    def validation(self) -> Row | None:
        """Directus's validation filter, enforced over REST for everyone, including the administrator."""
        rules = [{self.name: rule} for rule in self.rules()]
        if not rules:
            return None
        if self.line.get("required"):
            return {"_and": rules}
        return {"_or": [{self.name: {"_null": True}}, {"_and": rules}]}

    def special(self) -> list[str] | None:
        """Directus's `special` flags."""
        if "system" in self.line:
            return [str(self.line["system"])]
        return _SPECIALS.get(self.kind)

    def options(self) -> Row | None:
        """The options of the interface."""
        if self.kind in {"choice", "currency"}:
            return {"choices": [{"text": _words(value), "value": value} for value in self.choices()]}
        if self.kind == "json":
            return {"language": "JSON"}
        template = self.line.get("display")
        if self.kind == "many":
            return {"template": template, "enableSelect": False, "layout": "list"}
        return {"template": template} if template else None

    def display(self) -> tuple[str | None, Row | None]:
        """The display and its options."""
        colors = self.line.get("colors")
        if colors:
            choices = [
                {"text": _words(value), "value": value, "foreground": "#FFFFFF", "background": color}
                for value, color in colors.items()
            ]
            return "labels", {"choices": choices}
        if self.kind in {"link", "many"} and self.line.get("display"):
            return "related-values", {"template": self.line["display"]}
        if self.kind in {"date", "timestamp"}:
            return "datetime", {"relative": False}
        return ("image", None) if self.kind == "file" and "logo" in self.name else (None, None)

    def payload(self) -> Row:
        """The body that creates the field."""
        display, display_options = self.display()
        meta: Row = {
            "interface": _INTERFACES.get(self.kind, "input"),
            "options": self.options(),
            "display": display,
            "display_options": display_options,
            "special": self.special(),
            "required": bool(self.line.get("required", False)) and not {"default", "filled"} & set(self.line),
            "readonly": bool(self.line.get("readonly", False)) or "system" in self.line,
            "hidden": bool(self.line.get("hidden", False)) or "system" in self.line,
            "width": self.line.get("width", "full"),
            "note": self.line.get("note"),
            "sort": self.sort,
            "validation": self.validation(),
        }
        body: Row = {"field": self.name, "type": self.type, "meta": meta}
        schema = self.schema()
        return body if schema is None else body | {"schema": schema}


@dataclass(frozen=True)
class Collection:
    """One file of `model/`."""

    name: str
    head: Row
    fields: tuple[Field, ...]

    @property
    def extends(self) -> bool:
        """Whether the collection is Directus's own and only some fields are ours."""
        return bool(self.head.get("extends", False))

    @property
    def key_type(self) -> str:
        """The type of the primary key `id`."""
        return str(self.head.get("primary_key", "uuid"))

    def payload(self) -> Row:
        """The body that creates the collection with all its fields."""
        key_meta = {
            "interface": "input",
            "readonly": self.key_type == "uuid",
            "hidden": self.key_type == "uuid",
        }
        key: Row = {
            "field": "id",
            "type": self.key_type,
            "schema": {"is_primary_key": True} | ({"max_length": 255} if self.key_type == "string" else {}),
            "meta": key_meta | {"special": ["uuid"] if self.key_type == "uuid" else None},
        }
        meta = {
            name: self.head[name]
            for name in ("icon", "note", "display_template", "sort", "singleton", "hidden", "sort_field")
            if name in self.head
        }
        return {
            "collection": self.name,
            "schema": {},
            "meta": meta | {"accountability": "all"},
            "fields": [key, *(field.payload() for field in self.fields)],
        }


def _words(value: str) -> str:
    return value if value.isupper() else value.replace("_", " ").capitalize()


@cache
def currencies() -> list[str]:
    """The accepted ISO 4217 codes."""
    return cast("list[str]", yaml.safe_load((MODEL / "currencies.yaml").read_text("utf-8")))


@cache
def collections() -> tuple[Collection, ...]:
    """All collections, in the order of the Data Studio, those of Directus last."""
    found = []
    for path in MODEL.glob("*.yaml"):
        head = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(head, dict):
            continue
        fields = tuple(
            Field(name, head["collection"], index, line)
            for index, (name, line) in enumerate(head["fields"].items(), start=1)
        )
        found.append(Collection(head["collection"], head, fields))
    return tuple(sorted(found, key=lambda collection: (collection.extends, collection.head.get("sort", 0))))


def relation_of(field: Field) -> Row:
    """The body that creates the relation of a `link` or `file` field.

    Deleting a row others point to is refused by the database (`NO ACTION`), except that a deleted user or file
    empties the links to it.
    """
    target = field.target
    reverse: Row = {"one_field": None, "one_deselect_action": "nullify", "sort_field": None}
    for other in collections():
        for alias in other.fields:
            if (alias.kind, alias.line.get("from"), alias.line.get("field")) == (
                "many",
                field.collection,
                field.name,
            ) and other.name == target:
                reverse = {
                    "one_field": alias.name,
                    "one_deselect_action": alias.line.get("deselect", "nullify"),
                    "sort_field": alias.line.get("sort_by"),
                }
    empties = str(target).startswith("directus_") and not field.line.get("required")
    return {
        "collection": field.collection,
        "field": field.name,
        "related_collection": target,
        "schema": {"on_delete": "SET NULL" if empties else "NO ACTION"},
        "meta": reverse,
    }


def compare(existing: list[Row], fields: list[Row], relations: list[Row]) -> list[Change]:
    """What must be created or changed, given the target's `/collections`, `/fields` and `/relations`.

    Raises `InstallerError`, before anything was changed, where the target holds something else under our names.
    """
    there = {row["collection"]: row for row in existing}
    columns = {(row["collection"], row["field"]): row for row in fields}
    related = {(row["collection"], row["field"]): row for row in relations}
    conflicts: list[str] = []
    new_collections: list[Change] = []
    new_fields: list[Change] = []
    new_relations: list[Change] = []
    for collection in collections():
        if collection.name not in there:
            summary = f"create collection {collection.name} ({len(collection.fields) + 1} fields)"
            new_collections.append(Change(summary, "POST", "/collections", collection.payload()))
        else:
            conflicts += _foreign(collection, there[collection.name], columns)
            for field in collection.fields:
                column = columns.get((collection.name, field.name))
                if column is None:
                    summary = f"create field {collection.name}.{field.name}"
                    new_fields.append(Change(summary, "POST", f"/fields/{collection.name}", field.payload()))
                else:
                    conflicts += _conflicts(field, column)
                    new_fields += _field_changes(field, column)
        for field in collection.fields:
            if field.target:
                relation = related.get((collection.name, field.name))
                new_relations += _relation_changes(field, relation, conflicts)
    if conflicts:
        raise InstallerError("Nothing was changed. " + " ".join(conflicts))
    return [*new_collections, *new_fields, *new_relations]


def _foreign(collection: Collection, row: Row, columns: dict[tuple[str, str], Row]) -> list[str]:
    if collection.extends:
        return []
    conflicts = []
    key = columns.get((collection.name, "id"))
    if key is None or not (key.get("schema") or {}).get("is_primary_key"):
        conflicts.append(f"The target has a collection {collection.name!r} without a primary key `id`.")
    elif key["type"] not in _SAME_TYPE.get(collection.key_type, {collection.key_type}):
        conflicts.append(
            f"{collection.name}.id is {key['type']} on the target; {collection.key_type} is needed."
        )
    if bool((row.get("meta") or {}).get("singleton")) != bool(collection.head.get("singleton", False)):
        conflicts.append(
            f"{collection.name} must{'' if collection.head.get('singleton') else ' not'} be a singleton."
        )
    return conflicts


def _conflicts(field: Field, column: Row) -> list[str]:
    if column["type"] in _SAME_TYPE.get(field.type, {field.type}):
        return []
    name = f"{field.collection}.{field.name}"
    return [
        f"{name} is {column['type']} on the target; {field.type} is needed: rename or convert yours first."
    ]


def _field_changes(field: Field, column: Row) -> list[Change]:
    wanted = field.payload()
    actual_meta, actual_schema = column.get("meta") or {}, column.get("schema") or {}
    meta = {
        name: wanted["meta"][name]
        for name in ("required", "validation")
        if (wanted["meta"][name] or None) != (actual_meta.get(name) or None)
    }
    # On SQLite Directus adds its own flags (`cast-timestamp`); without them a timestamp turns into a dateTime.
    flags = actual_meta.get("special") or []
    missing = [flag for flag in wanted["meta"]["special"] or [] if flag not in flags]
    if missing:
        meta["special"] = [*flags, *missing]
    schema = {
        name: value
        for name, value in (wanted.get("schema") or {}).items()
        if name not in {"numeric_precision", "numeric_scale"}
        and not _same(name, value, actual_schema.get(name))
    }
    if not meta and not schema:
        return []
    what = ", ".join([*meta, *schema])
    body: Row = {"field": field.name, "type": column["type"]}
    if meta:
        body["meta"] = meta
    if schema:
        body["schema"] = schema
    path = f"/fields/{field.collection}/{field.name}"
    return [Change(f"change field {field.collection}.{field.name} ({what})", "PATCH", path, body)]


def _same(name: str, wanted: Any, actual: Any) -> bool:
    if name == "is_indexed":
        return bool(wanted) == bool(actual) or not wanted  # the firm may have its own index
    if name == "max_length":
        return actual is None or int(actual) >= int(
            wanted
        )  # longer is fine; SQLite forgets it on foreign keys
    if name == "default_value":
        return _plain(wanted) == _plain(actual)
    return bool(wanted) == bool(actual)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value in {"true", "false"}:
        return str(value).lower()
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value)


def _relation_changes(field: Field, relation: Row | None, conflicts: list[str]) -> list[Change]:
    wanted = relation_of(field)
    name = f"{field.collection}.{field.name}"
    if relation is None:
        return [Change(f"create relation {name} -> {field.target}", "POST", "/relations", wanted)]
    if relation.get("related_collection") != field.target:
        conflicts.append(
            f"{name} points to {relation.get('related_collection')} on the target, not {field.target}."
        )
        return []
    actual = relation.get("meta") or {}
    meta = {key: value for key, value in wanted["meta"].items() if value and actual.get(key) != value}
    if not meta:
        return []
    # Directus recreates the foreign key, so everything is sent; without `collection` and `field` in the body 11.17.4
    # dies of an uncaught TypeError.
    body = wanted | {"meta": actual | wanted["meta"]}
    path = f"/relations/{field.collection}/{field.name}"
    return [Change(f"change relation {name} ({', '.join(meta)})", "PATCH", path, body)]
