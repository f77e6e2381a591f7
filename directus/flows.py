"""The flows of `flows/*.yaml`, and what differs on a target."""

import json
import re
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from directus.access import role_id
from directus.changes import Change

FLOWS = Path(__file__).parent / "flows"
FILES = ("pay_invoice", "invoice_sent", "render_again", "billing_changed")
_ROLE = re.compile(r"<role:([^>]+)>")
_COLUMN, _ROW = 18, 18

type Row = dict[str, Any]


@dataclass(frozen=True)
class Flow:
    """One flow: its row, and its operations in the order of the file."""

    row: Row
    operations: tuple[Row, ...]

    @property
    def id(self) -> str:
        """The fixed UUID."""
        return str(self.row["id"])

    @property
    def name(self) -> str:
        """The name shown in the Data Studio."""
        return str(self.row["name"])


def flow_ids() -> dict[str, str | None]:
    """The UUID of every flow by the name of its file; `guard` is part of the hook extension, not a flow."""
    return {name: flow.id for name, flow in zip(FILES, flows(), strict=True)} | {"guard": None}


@cache
def flows() -> tuple[Flow, ...]:
    """All flows, from the files."""
    return tuple(_read(name) for name in FILES)


def _read(name: str) -> Flow:
    text = _ROLE.sub(lambda match: role_id(match.group(1)), (FLOWS / f"{name}.yaml").read_text("utf-8"))
    document = cast("Row", yaml.safe_load(text))
    flow = document["flow"]
    lines = document["operations"]
    depths = _depths(lines)
    operations = tuple(
        {
            "id": _operation_id(flow["id"], line["key"]),
            "flow": flow["id"],
            "key": line["key"],
            "name": line["name"],
            "type": line["type"],
            "position_x": 1 + _COLUMN * depths[line["key"]][0],
            "position_y": 1 + _ROW * depths[line["key"]][1],
            "options": line["options"],
            "resolve": _operation_id(flow["id"], line.get("then")),
            "reject": _operation_id(flow["id"], line.get("otherwise")),
        }
        for line in lines
    )
    return Flow(flow, operations)


def _operation_id(flow: str, key: str | None) -> str | None:
    return None if key is None else str(uuid.uuid5(uuid.UUID(flow), key))


def _depths(lines: list[Row]) -> dict[str, tuple[int, int]]:
    """The place of each operation on the canvas: success goes right, failure down and right."""
    places = {lines[0]["key"]: (1, 0)}
    for line in lines:
        column, row = places.setdefault(line["key"], (1, 0))
        if line.get("then"):
            places[line["then"]] = (column + 1, row)
        if line.get("otherwise"):
            places[line["otherwise"]] = (column + 1, row + 1)
    return places


def compare(flow_rows: list[Row], operation_rows: list[Row]) -> list[Change]:
    """What differs, given the target's `/flows` and `/operations` rows."""
    changes: list[Change] = []
    there = {row["id"]: row for row in flow_rows}
    operations = {row["id"]: row for row in operation_rows}
    new_flows: list[Change] = []
    new_operations: list[Change] = []
    first: list[Change] = []
    for flow in flows():
        if flow.id not in there:
            body = flow.row | {"status": "active"}
            new_flows.append(Change(f"create flow {flow.name}", "POST", "/flows", body))
        else:
            changes += _changes(
                f"flow {flow.name}", f"/flows/{flow.id}", flow.row | {"status": "active"}, there[flow.id]
            )
        # Last to first: an operation can only point to one that exists.
        for operation in _last_to_first(flow):
            name = f"operation {flow.name}: {operation['name']}"
            if operation["id"] not in operations:
                new_operations.append(Change(f"create {name}", "POST", "/operations", operation))
            else:
                path = f"/operations/{operation['id']}"
                changes += _changes(name, path, operation, operations[operation["id"]])
        start = flow.operations[0]["id"]
        if there.get(flow.id, {}).get("operation") != start:
            first.append(
                Change(f"start flow {flow.name}", "PATCH", f"/flows/{flow.id}", {"operation": start})
            )
    return [*new_flows, *new_operations, *changes, *first]


def inactive(flow_rows: list[Row]) -> list[str]:
    """The names of our flows that exist but are switched off."""
    ours = {flow.id for flow in flows()}
    return [str(row["name"]) for row in flow_rows if row["id"] in ours and row.get("status") != "active"]


def _last_to_first(flow: Flow) -> list[Row]:
    ordered: list[Row] = []
    by_id = {operation["id"]: operation for operation in flow.operations}

    def visit(operation: Row) -> None:
        if operation in ordered:
            return
        for exit_name in ("resolve", "reject"):
            if operation[exit_name] is not None:
                visit(by_id[operation[exit_name]])
        ordered.append(operation)

    for operation in flow.operations:
        visit(operation)
    return ordered


#: Positions on the canvas and names belong to the firm after creation.
_COSMETIC = frozenset({"id", "icon", "description", "name", "position_x", "position_y", "flow"})


def _changes(name: str, path: str, wanted: Row, actual: Row) -> list[Change]:
    differing = {
        part: value
        for part, value in wanted.items()
        if part not in _COSMETIC
        and json.dumps(value, sort_keys=True) != json.dumps(actual.get(part), sort_keys=True)
    }
    if not differing:
        return []
    return [Change(f"change {name} ({', '.join(differing)})", "PATCH", path, differing)]
