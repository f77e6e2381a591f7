"""What the doctor says of policies, passwords and two-factor login, from rows alone."""

from typing import Any

import pytest

from directus.access import roles, service_user
from directus.doctor import Finding, summary
from directus.doctor_access import (
    PUBLIC_POLICY,
    Holdings,
    children_of_staff,
    open_to_public,
    remark_on_passwords,
    remark_on_two_factors,
    too_much,
)

OURS = {role.name: role for role in roles()}
NAMES = tuple(OURS)
PUBLIC = {"id": PUBLIC_POLICY, "name": "Public", "admin_access": False, "app_access": False}
EXTRA = {"id": "extra", "name": "Extra", "admin_access": False, "app_access": False}


def _held(**more: list[dict[str, Any]]) -> Holdings:
    """A target as `make apply` leaves it, with more rows."""
    return Holdings(
        [role.role | {"parent": None} for role in roles()] + more.get("roles", []),
        [role.policy for role in roles()] + [PUBLIC, EXTRA] + more.get("policies", []),
        [{"role": role.role["id"], "user": None, "policy": role.policy["id"]} for role in roles()]
        + [{"role": None, "user": None, "policy": PUBLIC_POLICY}]
        + more.get("links", []),
        [{"id": service_user()["id"], "role": OURS["Billing functions"].role["id"]}, *more.get("users", [])],
    )


def test_of_a_target_as_applied_there_is_nothing_to_say() -> None:
    assert too_much(_held()) == []
    assert children_of_staff(_held()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_second_policy_of_a_role_of_ours_is_named(name: str) -> None:
    link = {"role": OURS[name].role["id"], "user": None, "policy": "extra"}
    [remark] = too_much(_held(links=[link]))
    assert f"role {name} " in remark
    assert "'Extra'" in remark


def test_not_even_one_of_ours_is_a_second_one() -> None:
    link = {"role": OURS["Client"].role["id"], "user": None, "policy": OURS["Partner"].policy["id"]}
    [remark] = too_much(_held(links=[link]))
    assert "role Client " in remark
    assert "'Partner'" in remark


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_a_users_own_is_named(name: str) -> None:
    link = {"role": None, "user": "somebody", "policy": "extra"}
    user = {"id": "somebody", "role": OURS[name].role["id"]}
    remarks = too_much(_held(links=[link], users=[user]))
    assert "'Extra'" in remarks[0]
    assert f"'{name}'" in remarks[0]
    # The role of the functions is for their own user alone.
    assert len(remarks) == (2 if name == "Billing functions" else 1)


def test_what_public_has_besides_its_own_is_named() -> None:
    [remark] = too_much(_held(links=[{"role": None, "user": None, "policy": "extra"}]))
    assert "without a login" in remark
    assert "'Extra'" in remark


@pytest.mark.parametrize("access", ["admin_access", "app_access"])
def test_a_public_policy_that_opens_the_data_studio_is_named(access: str) -> None:
    held = _held()
    held.policies[held.policies.index(PUBLIC)] = PUBLIC | {access: True}
    [remark] = too_much(held)
    assert "Public" in remark


@pytest.mark.parametrize("name", NAMES)
def test_what_a_role_inherits_is_named(name: str) -> None:
    other = {"id": "other", "name": "Other", "parent": None}
    held = _held(roles=[other])
    row = next(row for row in held.roles if row["id"] == OURS[name].role["id"])
    row["parent"] = "other"
    [remark] = too_much(held)
    assert f"role {name} has the parent 'Other'" in remark


@pytest.mark.parametrize("name", NAMES)
def test_a_role_below_one_of_ours_is_named(name: str) -> None:
    held = _held(roles=[{"id": "other", "name": "Other", "parent": OURS[name].role["id"]}])
    remarks = too_much(held) or children_of_staff(held)
    [remark] = remarks
    assert f"'Other' has the parent {name}" in remark
    assert (too_much(held) == []) is (name in {"Staff", "Partner"})


def test_a_role_of_the_firms_own_with_the_policy_of_the_functions_is_named() -> None:
    link = {"role": "other", "user": None, "policy": OURS["Billing functions"].policy["id"]}
    [remark] = too_much(_held(roles=[{"id": "other", "name": "Other", "parent": None}], links=[link]))
    assert "'Other'" in remark
    staff = {"role": "other", "user": None, "policy": OURS["Staff"].policy["id"]}
    own = {"role": "other", "user": None, "policy": "extra"}
    assert too_much(_held(roles=[{"id": "other", "name": "Other", "parent": None}], links=[staff, own])) == []


def test_what_anybody_may_do_is_for_certain_or_perhaps_too_much() -> None:
    def permission(collection: str, action: str = "read", **fields: Any) -> dict[str, Any]:
        return {"id": 1, "policy": PUBLIC_POLICY, "collection": collection, "action": action} | fields

    rows = [
        permission("invoices"),
        permission("directus_users", "create"),
        permission("directus_files", permissions={"folder": {"_eq": "website"}}),
        permission("directus_folders"),
        permission("blog"),
        permission("clients", policy="another"),
        permission("payments", id=None),
    ]
    certain, perhaps = open_to_public(rows, {"invoices", "clients", "payments"})
    assert certain == ["create directus_users", "read directus_folders", "read invoices"]
    assert perhaps == ["read directus_files"]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (None, "no password policy"),
        ("", "no password policy"),
        ("/^.{4,}$/", "fewer than 8"),
        ("/.*/", "fewer than 8"),
        ("^.{6,}$", "fewer than 8"),
        ("/^.{8,}$/", None),
        ("/^.{12,}$/", None),
        # Directus's own "strong".
        (r"/(?=^.{8,}$)(?=.*\d)(?=.*[!@#$%^&*()_+}{':;'?>.<,])(?!.*\s)(?=.*[A-Z])(?=.*[a-z]).*$/", None),
        ("/^[/", None),
    ],
)
def test_a_password_policy_must_refuse_what_is_short(policy: str | None, said: str | None) -> None:
    remark = remark_on_passwords(policy)
    assert (remark is None) if said is None else (said in str(remark))


def test_two_factor_login_is_asked_of_staff_partners_and_administrators() -> None:
    administrator = {"id": "admin", "name": "Administrator", "admin_access": True}
    policies = [role.policy for role in roles()] + [administrator, PUBLIC]
    assert "Administrator, Partner, Staff:" in str(remark_on_two_factors(policies))
    enforced = [row | {"enforce_tfa": row["name"] != "Partner"} for row in policies]
    assert " for Partner:" in str(remark_on_two_factors(enforced))
    assert remark_on_two_factors([row | {"enforce_tfa": True} for row in policies]) is None


def test_nothing_wrong_is_said_only_where_there_is_nothing_to_say() -> None:
    ok, warning, wrong = Finding("ok", "a"), Finding("warning", "b"), Finding("wrong", "c")
    assert summary([ok], "https://x") == "Nothing wrong found at https://x."
    assert summary([ok, warning], "https://x") == "Nothing to fix at https://x. 1 to consider."
    assert summary([wrong, warning], "https://x") == "1 to fix at https://x. 1 to consider."
    assert summary([wrong, wrong], "https://x") == "2 to fix at https://x."
