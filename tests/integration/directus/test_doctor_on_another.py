"""Findings about a Directus with another configuration; none depends on the database."""

import pytest

from directus.doctor import Deployment, examine
from directus.installer import apply
from directus.rest import InstallerError
from tests.integration.directus.server import ADMIN_TOKEN, SERVICE_TOKEN, RunningDirectus, another, running


@pytest.fixture(scope="module", params=["sqlite"])
def directus(request: pytest.FixtureRequest) -> RunningDirectus:
    return running(request.param)


def test_questions_of_any_depth_are_a_warning(directus: RunningDirectus) -> None:
    with another(directus, {"MAX_RELATIONAL_DEPTH": "5"}) as lenient:
        findings = examine(Deployment(lenient.url, ADMIN_TOKEN, SERVICE_TOKEN))
    assert "MAX_RELATIONAL_DEPTH=4" in "".join(one.what for one in findings if one.state == "warning")


def test_a_missing_guard_comes_first_and_alone_and_nothing_is_applied(directus: RunningDirectus) -> None:
    staff = directus.admin.rows("/roles", filter={"name": {"_eq": "Staff"}})[0]
    directus.admin.call("PATCH", f"/roles/{staff['id']}", {"description": "Changed by a firm."})
    try:
        with another(directus, {"EXTENSIONS_PATH": str(directus.directory / "no-extensions")}) as unguarded:
            [finding] = examine(Deployment(unguarded.url, ADMIN_TOKEN))
            with pytest.raises(InstallerError, match="billing-guard"):
                apply(unguarded.url, ADMIN_TOKEN, service_token=None)
        after = directus.admin.call("GET", f"/roles/{staff['id']}")["description"]
    finally:
        directus.admin.call("PATCH", f"/roles/{staff['id']}", {"description": staff["description"]})
    assert (finding.state, "billing-guard" in finding.what) == ("wrong", True)
    assert after == "Changed by a firm."
