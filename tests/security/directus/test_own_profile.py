"""Staff and partners change their own profile fields, nothing else of their user and nothing of other users."""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from directus.access import role_id
from directus.rest import Directus
from local.seed import seed_id
from local.waiting import wait_for
from tests.integration.directus.server import code_of
from tests.security.directus.world import World, refused

PEOPLE = ("sofia", "ingrid")
OPEN: dict[str, Any] = {
    "first_name": "Changed",
    "last_name": "Changed",
    "language": "de-DE",
    "appearance": "dark",
    "theme_light": "Directus Minimal",
    "theme_dark": "Directus Default",
    "location": "Changed",
    "title": "Changed",
    "description": "Changed",
    "tags": ["changed"],
}
CLOSED: dict[str, Any] = {
    "role": role_id("Partner"),
    "status": "suspended",
    "token": "a-token-of-ones-own",
    "policies": [{"policy": "5a1c0de0-0000-4000-8000-000000000203"}],
    "client": seed_id("client", "velazquez"),
    "email": "another@example.com",
    "provider": "okta",
    "external_identifier": "x",
    "auth_data": {"x": 1},
    "avatar": None,
    "id": "5a1c0de0-0000-4000-8000-00000000abcd",
    "last_access": "2026-01-01T00:00:00Z",
    "last_page": "/x",
}
#: What is looked at to see that nothing has changed.
SEEN = (
    "id,email,role,status,client,provider,external_identifier,avatar,tfa_secret,token,policies,"
    + ",".join(OPEN)
)

type Answer = tuple[int, Any]


def _by_me(person: Directus, _key: str, change: dict[str, Any]) -> Answer:
    return person.answer("PATCH", "/users/me", change)


def _by_key(person: Directus, key: str, change: dict[str, Any]) -> Answer:
    return person.answer("PATCH", f"/users/{key}", change)


def _by_keys(person: Directus, key: str, change: dict[str, Any]) -> Answer:
    return person.answer("PATCH", "/users", {"keys": [key], "data": change})


def _in_a_batch(person: Directus, key: str, change: dict[str, Any]) -> Answer:
    return person.answer("PATCH", "/users", [{"id": key} | change])


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_literal(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(part) for part in value) + "]"
    return json.dumps(value)


def _by_graphql(person: Directus, _key: str, change: dict[str, Any]) -> Answer:
    mutation = f"mutation {{ update_users_me(data: {_literal(change)}) {{ id }} }}"
    return person.answer("POST", "/graphql/system", {"query": mutation})


def _by_graphql_key(person: Directus, key: str, change: dict[str, Any]) -> Answer:
    mutation = f'mutation {{ update_users_item(id: "{key}", data: {_literal(change)}) {{ id }} }}'
    return person.answer("POST", "/graphql/system", {"query": mutation})


DOORS: dict[str, Callable[[Directus, str, dict[str, Any]], Answer]] = {
    "me": _by_me,
    "key": _by_key,
    "keys": _by_keys,
    "batch": _in_a_batch,
    "graphql": _by_graphql,
    "graphql key": _by_graphql_key,
}
OF_ONE_ROW = ("key", "keys", "batch", "graphql key")


def _row(world: World, key: str) -> dict[str, Any]:
    row: dict[str, Any] = world.admin.call("GET", f"/users/{key}?fields={SEEN}")
    return row


@contextmanager
def _as_before(world: World, key: str) -> Iterator[dict[str, Any]]:
    """Put the user back as they were."""
    before = _row(world, key)
    try:
        yield before
    finally:
        world.admin.call("PATCH", f"/users/{key}", {name: before[name] for name in OPEN})


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("person", PEOPLE)
def test_their_own_profile_is_theirs(world: World, person: str, door: str) -> None:
    key = seed_id("user", person)
    with _as_before(world, key):
        for field, value in OPEN.items():
            status, answer = DOORS[door](world.as_(person), key, {field: value})
            assert (status, code_of(answer)) == (200, None), (field, answer)
            assert _row(world, key)[field] == value


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("person", PEOPLE)
def test_what_decides_who_they_are_stays_closed(world: World, person: str, door: str) -> None:
    key = seed_id("user", person)
    before = _row(world, key)
    for field, value in CLOSED.items():
        for change in ({field: value}, {"title": "Smuggled", field: value}):
            if door == "batch" and field == "id":
                continue  # there it names the row
            status, answer = DOORS[door](world.as_(person), key, change)
            assert status in {400, 403} or code_of(answer) is not None, (field, answer)
            assert _row(world, key) == before, field


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [None, "JBSWY3DPEHPK3PXP"])
def test_the_secret_of_two_factor_login_is_not_written(world: World, door: str, value: str | None) -> None:
    key = seed_id("user", "sofia")
    for change in ({"tfa_secret": value}, {"title": "Smuggled", "tfa_secret": value}):
        status, answer = DOORS[door](world.as_("sofia"), key, change)
        assert status in {400, 403} or code_of(answer) is not None, answer
        assert _row(world, key)["tfa_secret"] is None
        assert _row(world, key)["title"] != "Smuggled"


#: A client's person whom Sofia may see, one whom she may not, a colleague, and the functions.
OTHERS = ("maria", "juergen", "james", "ingrid")


@pytest.mark.parametrize("door", OF_ONE_ROW)
@pytest.mark.parametrize("other", [*OTHERS, "service"])
@pytest.mark.parametrize("person", PEOPLE)
def test_of_anybody_else_nothing_is_changed(world: World, person: str, other: str, door: str) -> None:
    if other == person:
        other = "sofia"
    key = "5a1c0de0-0000-4000-8000-000000000401" if other == "service" else seed_id("user", other)
    before = _row(world, key)
    for change in (
        *({field: value} for field, value in OPEN.items()),
        {"password": "a-password-from-elsewhere"},
    ):
        status, answer = DOORS[door](world.as_(person), key, change)
        assert status == 403 or code_of(answer) is not None, answer
    own = seed_id("user", person)
    both = {"keys": [own, key], "data": {"title": "Both"}}
    assert world.as_(person).answer("PATCH", "/users", both)[0] == 403
    assert _row(world, key) == before
    assert _row(world, own)["title"] != "Both"


@pytest.mark.parametrize("person", PEOPLE)
def test_no_user_is_changed_through_a_row_that_points_to_one(world: World, person: str) -> None:
    somebody, maria, own = world.as_(person), seed_id("user", "maria"), seed_id("user", person)
    before = {key: _row(world, key) for key in (maria, own)}
    client = f"/items/clients/{world.one.client}"
    for key in (maria, own):
        for change in ({"title": "Nested"}, {"role": role_id("Partner")}, {"tfa_secret": None}):
            row = {"id": key} | change
            for path, body in (
                (client, {"portal_users": {"create": [], "update": [row], "delete": []}}),
                (client, {"portal_users": [row]}),
                (client, {"assigned_staff": row}),
                (
                    f"/items/invoices/{world.one.draft}",
                    {"client": {"id": world.one.client, "assigned_staff": row}},
                ),
                (f"/items/disputes/{world.one.dispute}", {"status": "answered", "opened_by": row}),
                (f"/files/{world.one.visible_file}", {"uploaded_by": row}),
                (f"/roles/{role_id('Staff')}", {"users": {"update": [row]}}),
            ):
                assert somebody.answer("PATCH", path, body)[0] in {400, 403}, (path, body)
    assert {key: _row(world, key) for key in (maria, own)} == before


def test_clients_change_nothing_of_theirs_in_directus(world: World) -> None:
    key = seed_id("user", "maria")
    before = _row(world, key)
    for change in (*({field: value} for field, value in OPEN.items()), {"password": "a-password-of-her-own"}):
        for door in DOORS.values():
            status, answer = door(world.as_("maria"), key, change)
            assert status == 403 or code_of(answer) is not None, answer
    code = {"secret": "JBSWY3DPEHPK3PXP", "otp": totp("JBSWY3DPEHPK3PXP")}
    assert world.as_("maria").answer("POST", "/users/me/tfa/enable", code)[0] == 403
    assert _row(world, key) == before


def test_what_they_see_of_themselves_and_of_others_is_as_before(world: World) -> None:
    sofia = world.as_("sofia")
    own = sofia.call("GET", "/users/me?fields=*")
    assert "token" not in own
    assert "auth_data" not in own
    assert own["tfa_secret"] is None
    assert seed_id("user", "james") not in world.directus.ids("sofia", "/users")
    for field in ("token", "password", "tfa_secret", "role", "language", "title"):
        assert sofia.answer("GET", f"/users/{seed_id('user', 'maria')}?fields={field}")[0] == 403


# -- logging in -------------------------------------------------------------------------------------------------------


def totp(secret: str) -> str:
    """The code of this half minute (RFC 6238), as an authenticator app shows it; some seconds of it are left."""
    wait_for("the next half minute", lambda: time.time() % 30 < 25, seconds=30)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


@pytest.fixture
def person_with_password(world: World, request: pytest.FixtureRequest) -> Iterator[tuple[Directus, str, str]]:
    """A user logged in with their own password: requests, address and password."""
    key, password = seed_id("user", request.param), secrets.token_urlsafe(15)
    email = world.admin.call("PATCH", f"/users/{key}?fields=email", {"password": password})["email"]
    status, answer = _log_in(world, email, password)
    assert status == 200, answer
    with Directus(world.directus.url, answer["data"]["access_token"]) as somebody:
        yield somebody, email, password
    world.admin.answer("POST", f"/users/{key}/tfa/disable")


def _log_in(world: World, email: str, password: str, otp: str | None = None) -> Answer:
    body = {"email": email, "password": password} | ({"otp": otp} if otp else {})
    return world.directus.nobody.answer("POST", "/auth/login", body)


@pytest.mark.parametrize("person_with_password", PEOPLE, indirect=True)
def test_two_factor_login_is_enabled_used_and_disabled(
    world: World, person_with_password: tuple[Directus, str, str]
) -> None:
    somebody, email, password = person_with_password
    refused(
        somebody.answer("POST", "/users/me/tfa/generate", {"password": "wrong"}), 401, "INVALID_CREDENTIALS"
    )
    secret = somebody.call("POST", "/users/me/tfa/generate", {"password": password})["secret"]
    wrong = somebody.answer("POST", "/users/me/tfa/enable", {"secret": secret, "otp": "000000x"})
    assert wrong[0] == 400
    assert _log_in(world, email, password)[0] == 200
    enabled = somebody.answer("POST", "/users/me/tfa/enable", {"secret": secret, "otp": totp(secret)})
    assert enabled[0] == 204, enabled
    refused(_log_in(world, email, password), 401, "INVALID_OTP")
    refused(_log_in(world, email, password, "000000x"), 401, "INVALID_OTP")
    assert _log_in(world, email, password, totp(secret))[0] == 200
    assert somebody.call("GET", "/users/me?fields=tfa_secret")["tfa_secret"] == "**********"
    # A session without the telephone cannot switch it off or replace it.
    assert somebody.answer("PATCH", "/users/me", {"tfa_secret": None})[0] == 400
    other = {"secret": "JBSWY3DPEHPK3PXP", "otp": totp("JBSWY3DPEHPK3PXP")}
    assert somebody.answer("POST", "/users/me/tfa/enable", other)[0] == 400
    assert somebody.answer("POST", "/users/me/tfa/disable", {"otp": "000000x"})[0] == 400
    refused(_log_in(world, email, password), 401, "INVALID_OTP")
    assert somebody.answer("POST", "/users/me/tfa/disable", {"otp": totp(secret)})[0] == 204
    assert _log_in(world, email, password)[0] == 200


@pytest.mark.parametrize("person_with_password", PEOPLE, indirect=True)
def test_a_password_is_changed_by_its_owner_and_must_meet_the_policy(
    world: World, person_with_password: tuple[Directus, str, str]
) -> None:
    somebody, email, password = person_with_password
    policy = world.admin.call("GET", "/settings?fields=auth_password_policy")["auth_password_policy"]
    world.admin.call("PATCH", "/settings", {"auth_password_policy": "/^.{12,}$/"})
    try:
        key = seed_id("user", "sofia" if email.startswith("sofia") else "ingrid")
        for door in DOORS.values():
            status, answer = door(somebody, key, {"password": "too short"})
            assert status == 400 or code_of(answer) is not None, answer
        assert _log_in(world, email, password)[0] == 200
        another = secrets.token_urlsafe(15)
        assert somebody.answer("PATCH", "/users/me", {"password": another})[0] == 200
        refused(_log_in(world, email, password), 401, "INVALID_CREDENTIALS")
        assert _log_in(world, email, another)[0] == 200
    finally:
        world.admin.call("PATCH", "/settings", {"auth_password_policy": policy})
