"""The tables in docs/ match the data."""

import re

import pytest

from billing.money import MINIMUM_CHARGE
from directus import access, model
from directus.documentation import DOCS, generated, part_of
from directus.probe import EXTENSION


@pytest.mark.parametrize("name", sorted(generated()))
def test_a_document_equals_the_data(name: str) -> None:
    expected = generated()[name]
    assert part_of((DOCS / name).read_text("utf-8")) == expected, "run: python -m directus docs"


def test_the_currencies_are_those_of_the_core() -> None:
    assert model.currencies() == sorted(MINIMUM_CHARGE)


def test_the_guard_knows_the_service_role_and_its_own_version() -> None:
    source = (EXTENSION / "dist/index.js").read_text("utf-8")
    assert f"SERVICE_ROLE = '{access.role_id('Billing functions')}'" in source
    version = re.search(r"VERSION = '([^']+)'", source)
    assert version is not None
    assert f'"version": "{version.group(1)}"' in (EXTENSION / "package.json").read_text("utf-8")


def test_at_most_25_collections() -> None:
    assert len([collection for collection in model.collections() if not collection.extends]) == 12


def test_every_permission_names_fields_that_exist() -> None:
    known = {
        collection.name: {"id", *(field.name for field in collection.fields)}
        for collection in model.collections()
    }
    for role in access.roles():
        for permission in role.permissions:
            if not permission.collection.startswith("directus_"):
                assert set(permission.fields) - {"*"} <= known[permission.collection], permission


def test_no_filter_uses_what_directus_drops_or_leaks() -> None:
    for role in access.roles():
        for permission in role.permissions:
            text = str(permission.rows)
            assert "_some" not in text
            assert "_none" not in text
            assert "CURRENT_USER." not in text


def test_the_security_fields_are_in_nobodys_write_list() -> None:
    closed = ("client", "role", "policies", "status", "token", "email", "provider", "external_identifier")
    security = {("clients", "portal_users")} | {("directus_users", field) for field in closed}
    for role in access.roles():
        for permission in role.permissions:
            if permission.action in {"create", "update"}:
                assert "*" not in permission.fields, (role.name, permission)
                written = {(permission.collection, field) for field in permission.fields}
                assert not written & security
                assert (permission.collection, permission.action) != ("directus_users", "create")


def test_only_lines_are_ever_deleted() -> None:
    deletes = {
        (role.name, permission.collection)
        for role in access.roles()
        for permission in role.permissions
        if permission.action == "delete"
    }
    assert deletes == {("Staff", "line_items"), ("Partner", "line_items")}
