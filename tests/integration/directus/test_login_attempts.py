"""`auth_login_attempts` is emptied only where the guard of the target slows guessing, and the doctor names the rest."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from directus import settings
from directus.doctor import Deployment, Finding, examine
from directus.installer import apply, plan
from directus.probe import EXTENSION
from tests.integration.directus.server import ADMIN_TOKEN, RunningDirectus, another, running

#: A guard of some version that refuses changes by query, reports its version, and does nothing else.
GUARD = """
import { closeByQuery } from './by_query.js';
export default ({ init }) => init('middlewares.after', ({ app }) => closeByQuery(app, '%s'));
"""


@pytest.fixture(scope="module", params=["sqlite"])
def directus(request: pytest.FixtureRequest) -> RunningDirectus:
    """On one database: nothing here depends on it, and each guard needs its own Directus."""
    return running(request.param)


@contextmanager
def _guarded_by(version: str, directus: RunningDirectus, directory: Path) -> Iterator[RunningDirectus]:
    copy = directory / "extensions" / "billing-guard"
    shutil.copytree(EXTENSION, copy)
    (copy / "dist/index.js").write_text(GUARD % version)
    with another(directus, {"EXTENSIONS_PATH": str(copy.parent)}) as target:
        yield target


@pytest.fixture(autouse=True)
def attempts_as_before(directus: RunningDirectus) -> Iterator[None]:
    before = directus.admin.call("GET", "/settings?fields=auth_login_attempts")
    yield
    directus.admin.call("PATCH", "/settings", before)


def _attempts(target: RunningDirectus) -> int | None:
    value: int | None = target.admin.call("GET", "/settings?fields=auth_login_attempts")[
        "auth_login_attempts"
    ]
    return value


def _wrong(target: RunningDirectus) -> list[str]:
    return [found.what for found in examine(Deployment(target.url, ADMIN_TOKEN)) if found.state == "wrong"]


def test_a_guard_that_slows_guessing_has_it_emptied_once(directus: RunningDirectus, tmp_path: Path) -> None:
    with _guarded_by("1.5.0", directus, tmp_path) as target:
        target.admin.call("PATCH", "/settings", {"auth_login_attempts": 25})
        emptied = "empty setting auth_login_attempts (25 wrong passwords of a stranger lock a user out)"
        assert [change.summary for change in plan(target.url, ADMIN_TOKEN)] == [emptied]
        assert any(emptied in wrong and "make apply" in wrong for wrong in _wrong(target))
        assert [change.summary for change in apply(target.url, ADMIN_TOKEN, service_token=None)] == [emptied]
        assert _attempts(target) is None
        assert apply(target.url, ADMIN_TOKEN, service_token=None) == []
        assert not any("auth_login_attempts" in wrong for wrong in _wrong(target))


def test_an_older_guard_leaves_it_and_the_doctor_names_what_that_means(
    directus: RunningDirectus, tmp_path: Path
) -> None:
    with _guarded_by("1.4.3", directus, tmp_path) as target:
        target.admin.call("PATCH", "/settings", {"auth_login_attempts": 25})
        assert plan(target.url, ADMIN_TOKEN) == []
        assert apply(target.url, ADMIN_TOKEN, service_token=None) == []
        assert _attempts(target) == 25
        locking = _wrong(target)
        assert any("25 wrong passwords of a stranger lock a user out" in wrong for wrong in locking)
        assert any("POST /users/invite reveals" in wrong for wrong in locking)
        target.admin.call("PATCH", "/settings", {"auth_login_attempts": None})
        assert plan(target.url, ADMIN_TOKEN) == []
        assert any("passwords can be guessed without limit" in wrong for wrong in _wrong(target))


def test_a_closed_door_of_invitations_is_said(directus: RunningDirectus) -> None:
    found = examine(Deployment(directus.url, ADMIN_TOKEN))
    assert Finding("ok", "invitations do not reveal who has an account") in found


@pytest.mark.parametrize(
    ("guard", "slows"),
    [("1.5.0", True), ("1.5.1", True), ("1.10.0", True), ("2.0.0", True), ("1.4.3", False), ("1.4.99", False),
     ("0.9.0", False), ("", False), ("1.5", False), ("next", False)],
)  # fmt: skip
def test_versions_are_compared_as_numbers(guard: str, slows: bool) -> None:  # noqa: FBT001  a row of the table
    assert settings.slows_guessing(guard) is slows
    assert bool(settings.compare({"auth_login_attempts": 25}, guard)) is slows
    assert settings.compare({"auth_login_attempts": None}, guard) == []
