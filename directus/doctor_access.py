"""Who may do more than `access/*.yaml` says, and how users log in: the doctor's remarks on a target's rows.

Pure: takes rows of Directus, returns sentences, each with what to do. Directus adds up every policy of a user (of the role,
its parents, the user and Public), so one policy too many opens what ours keep closed.
"""

import re
from dataclasses import dataclass
from typing import Any

from directus import access

#: Directus's own policy for everyone without a login.
PUBLIC_POLICY = "abf8a154-5b1c-4a46-ac9c-7300570f4f17"
#: All that Public may reasonably have of Directus's own collections: pictures of a website, by a filter.
_FOR_A_WEBSITE = frozenset({"read directus_files", "read directus_folders"})
#: The roles that use the Data Studio.
_STAFF = ("Staff", "Partner")
#: Digits, both cases and a sign, but too short to withstand guessing.
_TOO_SHORT = "Aa1!Aa1"

type Row = dict[str, Any]


@dataclass(frozen=True)
class Holdings:
    """The target's rows: `/roles`, `/policies`, `/access` whole, and the relevant `/users`.

    Those are the users with an attached policy and all who have the role of the functions.
    """

    roles: list[Row]
    policies: list[Row]
    links: list[Row]
    users: list[Row]

    def role(self, key: object) -> str:
        """A role's name on the target."""
        return next((repr(row["name"]) for row in self.roles if row["id"] == key), "no role")

    def policy(self, key: object) -> str:
        """A policy's name."""
        return next((repr(row["name"]) for row in self.policies if row["id"] == key), str(key))


def too_much(held: Holdings) -> list[str]:
    """What gives users more than the model does, or lets a user act as the functions."""
    return [*_roles_with_more(held), *_users_with_more(held), *_public_with_more(held), *_more_services(held)]


def _roles_with_more(held: Holdings) -> list[str]:
    ours = {str(role.role["id"]): role for role in access.roles()}
    found = []
    for link in held.links:
        role = ours.get(str(link.get("role")))
        if role is not None and link["policy"] != role.policy["id"]:
            found.append(
                f"The role {role.name} has the policy {held.policy(link['policy'])} besides its own, so its users may do "
                "more than docs/roles.md says: remove it, or give both policies to a role of your own."
            )
    for row in held.roles:
        if row.get("parent") is None:
            continue
        if row["id"] in ours:
            found.append(
                f"The role {ours[row['id']].name} has the parent {held.role(row['parent'])}, whose policies its users "
                "get as well: remove the parent."
            )
        elif row["parent"] in ours and ours[row["parent"]].name not in _STAFF:
            found.append(
                f"The role {row['name']!r} has the parent {ours[row['parent']].name} besides its own policies: remove the "
                "parent."
            )
    return found


def _users_with_more(held: Holdings) -> list[str]:
    roles = {row["id"]: row.get("role") for row in held.users}
    return [
        f"The user {link['user']} ({held.role(roles.get(link['user']))}) has the policy {held.policy(link['policy'])} besides "
        "those of their role: remove it under Users, or give them a role that has it."
        for link in held.links
        if link.get("user") is not None
    ]


def _public_with_more(held: Holdings) -> list[str]:
    found = [
        f"Everyone without a login has the policy {held.policy(link['policy'])}: remove it from Public."
        for link in held.links
        if link.get("user") is None and link.get("role") is None and link["policy"] != PUBLIC_POLICY
    ]
    found += [
        "The policy Public gives access as an administrator or to the Data Studio: switch that off."
        for row in held.policies
        if row["id"] == PUBLIC_POLICY and (row.get("admin_access") or row.get("app_access"))
    ]
    return found


def _more_services(held: Holdings) -> list[str]:
    service = next(role for role in access.roles() if role.user is not None)
    found = [
        f"The user {row['id']} has the role {service.name}, which is for the functions alone: give them another."
        for row in held.users
        if row.get("role") == service.role["id"] and row["id"] != access.service_user()["id"]
    ]
    found += [
        f"The role {held.role(link['role'])} has the policy {service.policy['name']!r}, which is for the functions alone: "
        "remove it."
        for link in held.links
        if link["policy"] == service.policy["id"] and link.get("role") not in {None, service.role["id"]}
    ]
    return found


def children_of_staff(held: Holdings) -> list[str]:
    """Roles below Staff or Partner: they may be intended, but our documents do not describe them."""
    parents = {role.role["id"]: role.name for role in access.roles() if role.name in _STAFF}
    return [
        f"The role {row['name']!r} has the parent {parents[row['parent']]}: its users may do all that {parents[row['parent']]} "
        "may and what its own policies allow. The flows treat them as neither."
        for row in held.roles
        if row.get("parent") in parents and row["id"] not in {role.role["id"] for role in access.roles()}
    ]


def open_to_public(permissions: list[Row], collections: set[str]) -> tuple[list[str], list[str]]:
    """What Public may do with our collections and Directus's own (`read invoices`, ...): certainly and perhaps too much.

    Perhaps: files that a filter selects, as a website needs them.
    """
    certain, perhaps = set(), set()
    for row in permissions:
        if row.get("policy") != PUBLIC_POLICY or row.get("id") is None:
            continue
        what = f"{row['action']} {row['collection']}"
        if what in _FOR_A_WEBSITE and row.get("permissions"):
            perhaps.add(what)
        elif row["collection"] in collections or str(row["collection"]).startswith("directus_"):
            certain.add(what)
    return sorted(certain), sorted(perhaps)


def remark_on_passwords(policy: str | None) -> str | None:
    """What is wrong with `auth_password_policy` of Directus's settings, a regular expression."""
    how = "choose one under Settings, Security (auth_password_policy), such as /^.{12,}$/."
    if not policy:
        return f"There is no password policy, so a single letter is accepted: {how}"
    wrapped = policy.startswith("/") and policy.endswith("/")
    try:
        too_short = re.search(policy[1:-1] if wrapped else policy, _TOO_SHORT)
    except re.error:
        return None  # JavaScript may read what Python does not
    return f"The password policy accepts passwords of fewer than 8 characters: {how}" if too_short else None


def remark_on_two_factors(policies: list[Row]) -> str | None:
    """Which policies with the Data Studio do not ask for two-factor login: Staff's, Partner's, and administrators'."""
    staff = {role.policy["id"] for role in access.roles() if role.name in _STAFF}
    lacking = sorted(
        str(row["name"])
        for row in policies
        if (row["id"] in staff or row.get("admin_access")) and not row.get("enforce_tfa")
    )
    if not lacking:
        return None
    return (
        f"Two-factor login is not enforced for {', '.join(lacking)}: switch it on in these policies (Settings, Access "
        "Policies, enforce_tfa), unless everyone logs in through an identity provider that asks for it."
    )
