"""Roles, policies, permissions and the service user of `access/*.yaml`, and what differs on a target.

Identified by fixed UUIDs. Permissions that were added to our policies are reported, never deleted.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from directus.changes import Change

ACCESS = Path(__file__).parent / "access"
FILES = ("client.yaml", "staff.yaml", "partner.yaml", "billing_functions.yaml")

type Row = dict[str, Any]


@dataclass(frozen=True)
class Permission:
    """One line of a policy: an action on rows and fields."""

    collection: str
    action: str
    rows: Row
    fields: tuple[str, ...]
    validation: Row | None
    presets: Row | None

    def payload(self, policy: str) -> Row:
        """Directus's permission row."""
        return {
            "policy": policy,
            "collection": self.collection,
            "action": self.action,
            "permissions": self.rows,
            "fields": list(self.fields),
            "validation": self.validation,
            "presets": self.presets,
        }


@dataclass(frozen=True)
class Access:
    """One role with its policy, its permissions and, for the functions, its user."""

    role: Row
    policy: Row
    link: str
    permissions: tuple[Permission, ...]
    user: Row | None

    @property
    def name(self) -> str:
        """The role's name."""
        return str(self.role["name"])


def _permission(line: Row, *, drop_scope: bool, extra_fields: list[str]) -> Permission:
    parts = [
        line[part] for part in ("scope", "rows") if line.get(part) and not (part == "scope" and drop_scope)
    ]
    rows = {"_and": parts} if len(parts) > 1 else (parts[0] if parts else {})
    fields = (*line.get("fields", ()), *extra_fields)
    return Permission(
        line["collection"], line["action"], rows, fields, line.get("validation"), line.get("presets")
    )


@cache
def roles() -> tuple[Access, ...]:
    """All four roles, from the files."""
    return tuple(_read(name) for name in FILES)


def _read(name: str) -> Access:
    document = cast("Row", yaml.safe_load((ACCESS / name).read_text("utf-8")))
    base = document
    if "extends" in document:
        base = cast("Row", yaml.safe_load((ACCESS / document["extends"]).read_text("utf-8")))
    adds = {(line["collection"], line["action"]): line["fields"] for line in document.get("adds", [])}
    permissions = tuple(
        _permission(
            line,
            drop_scope=bool(document.get("drop_scope", False)),
            extra_fields=adds.get((line["collection"], line["action"]), []),
        )
        for line in base["permissions"]
    )
    return Access(document["role"], document["policy"], document["access"], permissions, document.get("user"))


def role_id(name: str) -> str:
    """The fixed UUID of a role, by its name."""
    return next(str(access.role["id"]) for access in roles() if access.name == name)


def service_user() -> Row:
    """The service user of the functions."""
    return next(access.user for access in roles() if access.user is not None)


def compare(target: dict[str, list[Row]], *, service_token: str | None, token_is_set: bool) -> list[Change]:
    """What differs, given the target's `roles`, `policies`, `access`, `permissions` and `users` rows.

    `token_is_set` says whether the service user already logs in with `service_token` (Directus shows no tokens).
    """
    role_changes: list[Change] = []
    policy_changes: list[Change] = []
    link_changes: list[Change] = []
    permission_changes: list[Change] = []
    user_changes: list[Change] = []
    for access in roles():
        role_changes += _role_changes(access, target["roles"])
        policy_changes += _policy_changes(access, target["policies"])
        link_changes += _link_changes(access, target["access"])
        permission_changes += _permission_changes(access, target["permissions"])
        if access.user is not None:
            user_changes += _user_changes(access, target["users"], service_token, token_is_set=token_is_set)
    return [*policy_changes, *role_changes, *link_changes, *permission_changes, *user_changes]


def unknown_permissions(permissions: list[Row]) -> list[str]:
    """Sentences about permissions on our policies that are not ours: a role was widened manually."""
    found = []
    for access in roles():
        ours = {(permission.collection, permission.action) for permission in access.permissions}
        rows = [
            row
            for row in permissions
            if row.get("policy") == access.policy["id"] and row.get("id") is not None
        ]
        keys = [(row["collection"], row["action"]) for row in rows]
        found += [
            f"policy {access.policy['name']!r} has a permission that is not ours: {action} {collection}"
            for collection, action in sorted(set(keys) - ours)
        ]
        found += [
            f"policy {access.policy['name']!r} has {action} {collection} more than once"
            for collection, action in sorted({key for key in keys if keys.count(key) > 1})
        ]
    return found


def _role_changes(access: Access, rows: list[Row]) -> list[Change]:
    if any(row["id"] == access.role["id"] for row in rows):
        return []
    return [Change(f"create role {access.name}", "POST", "/roles", access.role)]


def _policy_changes(access: Access, rows: list[Row]) -> list[Change]:
    wanted = {"admin_access": False, "app_access": access.policy["app_access"]}
    actual = next((row for row in rows if row["id"] == access.policy["id"]), None)
    if actual is None:
        body = access.policy | wanted | {"description": access.role["description"]}
        return [Change(f"create policy {access.policy['name']}", "POST", "/policies", body)]
    differing = {name: value for name, value in wanted.items() if bool(actual.get(name)) != value}
    if not differing:
        return []
    summary = f"change policy {access.policy['name']} ({', '.join(differing)})"
    return [Change(summary, "PATCH", f"/policies/{access.policy['id']}", differing)]


def _link_changes(access: Access, rows: list[Row]) -> list[Change]:
    role, policy = access.role["id"], access.policy["id"]
    if any(row.get("role") == role and row.get("policy") == policy for row in rows):
        return []
    body = {"id": access.link, "role": role, "policy": policy, "sort": 1}
    return [Change(f"give role {access.name} its policy", "POST", "/access", body)]


def _permission_changes(access: Access, rows: list[Row]) -> list[Change]:
    changes = []
    policy = str(access.policy["id"])
    for permission in access.permissions:
        wanted = permission.payload(policy)
        name = f"{access.name}: {permission.action} {permission.collection}"
        actual = next(
            (
                row
                for row in rows
                if row.get("id") is not None
                and (row.get("policy"), row["collection"], row["action"])
                == (policy, permission.collection, permission.action)
            ),
            None,
        )
        if actual is None:
            changes.append(Change(f"create permission {name}", "POST", "/permissions", wanted))
            continue
        differing = {
            part: wanted[part]
            for part in ("permissions", "fields", "validation", "presets")
            if _comparable(part, wanted[part]) != _comparable(part, actual.get(part))
        }
        if differing:
            summary = f"change permission {name} ({', '.join(differing)})"
            changes.append(Change(summary, "PATCH", f"/permissions/{actual['id']}", differing))
    return changes


def _comparable(part: str, value: Any) -> Any:
    return sorted(value or []) if part == "fields" else (value or {})


def _user_changes(access: Access, rows: list[Row], token: str | None, *, token_is_set: bool) -> list[Change]:
    user = cast("Row", access.user)
    secret = {"token": token} if token is not None else {}
    actual = next((row for row in rows if row["id"] == user["id"]), None)
    if actual is None:
        body = user | {"role": access.role["id"], "status": "active"} | secret
        return [Change(f"create service user {user['email']}", "POST", "/users", body)]
    wanted = {"role": access.role["id"], "status": "active"}
    differing = {name: value for name, value in wanted.items() if actual.get(name) != value}
    if token is not None and not token_is_set:
        differing |= secret
    if not differing:
        return []
    summary = f"change service user {user['email']} ({', '.join(differing)})"
    return [Change(summary, "PATCH", f"/users/{user['id']}", differing)]
