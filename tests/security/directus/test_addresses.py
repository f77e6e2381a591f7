"""Endpoints that take an e-mail address reveal nothing about it: account, invitation and unknown look the same."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.directus.server import SERVICE_TOKEN, code_of
from tests.security.directus.strangers import CLIENT_ROLE, PASSWORD, RESET_URL, Answer, Strangers

PEOPLE = ("nobody", "maria", "zoe", "sofia", "ingrid")
INVITE = ("/users/invite", "/users/invite/", "/users//invite", "/Users/INVITE", "/users/invite?x=1", "/USERS//Invite/?",
          "http://elsewhere/users/invite")  # fmt: skip
NOT_THE_DOOR = ("/users/%69nvite", "/%75sers/invite", "//users/invite", "/users/./invite", "/users/invite%2F")


def _token(strangers: Strangers, person: str) -> str | None:
    return None if person == "nobody" else strangers.server.tokens[person]


type Body = Callable[[str], Any]
"""What is sent for an address."""


def _alike(strangers: Strangers, method: str, path: str, body: Body, **how: Any) -> Answer:
    """The one answer that an address of every kind gets."""
    answers = {
        kind: strangers.ask(method, path, body(email), **how) for kind, email in strangers.kinds.items()
    }
    assert len(set(answers.values())) == 1, answers
    return answers["unknown"]


def _document(text: str, **variables: str) -> Body:
    """A GraphQL document with the variable `email`, and others."""
    return lambda email: {"query": text, "variables": {"email": email, **variables}}


def _invitation(email: str) -> dict[str, Any]:
    return {"email": email, "role": CLIENT_ROLE}


def _registration(password: str) -> Body:
    return lambda email: {"email": email, "password": password}


def _is_unknown_still(strangers: Strangers) -> bool:
    rule = {"email": {"_eq": strangers.kinds["unknown"]}}
    return strangers.server.admin.rows("/users", filter=rule) == []


@pytest.mark.parametrize("person", PEOPLE)
def test_an_invitation_is_refused_the_same_way_for_every_address(strangers: Strangers, person: str) -> None:
    before, token = strangers.letters, _token(strangers, person)
    for path in INVITE:
        answer = _alike(strangers, "POST", path, _invitation, token=token)
        assert (answer.status, code_of(answer.data)) == (403, "FORBIDDEN"), path
    assert strangers.mailed_since(before) == []
    assert _is_unknown_still(strangers)


@pytest.mark.parametrize(
    "body", [[], [{}], {}, {"email": ["a@example.com"], "role": CLIENT_ROLE}, {"email": 7}, "x"]
)
def test_whatever_is_sent_to_the_invitation_door_is_refused_alike(strangers: Strangers, body: Any) -> None:
    answer = strangers.ask("POST", "/users/invite", body)
    assert answer.status == (400 if body == "x" else 403)  # a text alone is not read as JSON at all


def test_no_other_method_and_no_other_spelling_invites(strangers: Strangers) -> None:
    before = strangers.letters
    tried = [(method, "/users/invite?_method=POST") for method in ("PUT", "SEARCH", "PATCH", "GET", "DELETE")]
    for method, path in [*tried, *(("POST", path) for path in NOT_THE_DOOR)]:
        answer = _alike(strangers, method, path, _invitation, headers={"X-HTTP-Method-Override": "POST"})
        assert answer.status in {403, 404}, (method, path)
    assert strangers.mailed_since(before) == []


def test_administrators_and_the_functions_get_through(strangers: Strangers) -> None:
    before, accounts = strangers.letters, strangers.new_kinds()
    invitation = _invitation(accounts["invited"])
    assert strangers.server.admin.answer("POST", "/users/invite", invitation)[0] == 204
    assert strangers.ask("POST", "/users/invite", invitation, token=SERVICE_TOKEN).status == 204
    document = f'mutation {{ users_invite(email: "{accounts["invited"]}", role: "{CLIENT_ROLE}") }}'
    status, answer = strangers.server.admin.answer("POST", "/graphql/system", {"query": document})
    assert (status, answer) == (200, {"data": {"users_invite": True}})
    assert strangers.mailed_since(before) == [accounts["invited"]] * 3


def test_a_right_to_make_users_does_not_open_the_invitation(strangers: Strangers) -> None:
    before, admin, token = strangers.letters, strangers.server.admin, strangers.server.tokens["sofia"]
    staff = "5a1c0de0-0000-4000-8000-000000000202"
    right = {"policy": staff, "collection": "directus_users", "action": "create", "fields": ["*"]}
    key = admin.call("POST", "/permissions", right)["id"]
    try:
        rest = _alike(strangers, "POST", "/users/invite", _invitation, token=token)
        document = "mutation ($email: String!, $role: String!) { users_invite(email: $email, role: $role) }"
        body = _document(document, role=CLIENT_ROLE)
        graphql = _alike(strangers, "POST", "/graphql/system", body, token=token)
    finally:
        admin.call("DELETE", f"/permissions/{key}")
    assert (rest.status, graphql.status) == (403, 403)
    assert strangers.mailed_since(before) == []


@pytest.mark.parametrize("switched_on", [False, True])
def test_nobody_registers_themselves(strangers: Strangers, switched_on: bool) -> None:  # noqa: FBT001  a row of the table
    before, admin = strangers.letters, strangers.server.admin
    admin.call(
        "PATCH", "/settings", {"public_registration": switched_on, "auth_password_policy": "/^.{12,}$/"}
    )
    document = "mutation ($email: String!, $password: String!) { users_register(email: $email, password: $password) }"
    try:
        for password in ("short", "long-enough-for-it"):
            rest = _alike(strangers, "POST", "/users/register", _registration(password))
            graphql = _alike(strangers, "POST", "/graphql/system", _document(document, password=password))
            assert (rest.status, graphql.status) == (403, 403)
    finally:
        admin.call("PATCH", "/settings", {"public_registration": False, "auth_password_policy": None})
    assert strangers.mailed_since(before) == []
    assert _is_unknown_still(strangers)


# -- GraphQL -----------------------------------------------------------------------------------------------------------

LOGIN = f'auth_login(email: "%s", password: "{PASSWORD}") {{ access_token }}'
DOCUMENTS = {
    "plain": f"mutation {{ {LOGIN} }}",
    "alias": f"mutation {{ a: {LOGIN} b: {LOGIN} }}",
    "fragment": f"mutation {{ ...F }} fragment F on Mutation {{ {LOGIN} }}",
    "inline fragment": f"mutation {{ ... on Mutation {{ x: {LOGIN} }} }}",
    "second operation": f"query A {{ server_ping }} mutation B {{ {LOGIN} }}",
    "commas, comments and no spaces": f"mutation{{,,{LOGIN}#\n}}",
}
OTHERS = (
    "auth_password_request(email: $email)",
    'users_register(email: $email, password: "Long-enough-1")',
    "users_me_tfa_generate(password: $email) { secret }",
    "users_me_tfa_disable(otp: $email)",
)


@pytest.mark.parametrize("path", ["/graphql/system", "/GraphQL//System/", "/graphql"])
@pytest.mark.parametrize("form", DOCUMENTS)
def test_graphql_takes_no_password(strangers: Strangers, form: str, path: str) -> None:
    document = DOCUMENTS[form].replace("%s", strangers.kinds["active"])
    asked = {"query": document, "operationName": "B" if form == "second operation" else None}
    answers = [
        strangers.ask("POST", path, asked),
        strangers.ask("GET", f"{path}?operationName=B&query={quote(document)}"),
        strangers.ask("POST", f"{path}?query={quote(document)}", {}),
    ]
    assert [(answer.status, code_of(answer.data)) for answer in answers] == [(403, "FORBIDDEN")] * 3
    batch = strangers.ask("POST", path, [asked])
    assert (batch.status, "access_token" in batch.body) == (400, False)


@pytest.mark.parametrize("person", PEOPLE)
def test_graphql_takes_no_address_and_no_code(strangers: Strangers, person: str) -> None:
    before, token = strangers.letters, _token(strangers, person)
    for field in OTHERS:
        body = _document(f"mutation ($email: String!) {{ x: {field} }}")
        answer = _alike(strangers, "POST", "/graphql/system", body, token=token)
        assert (answer.status, code_of(answer.data)) == (403, "FORBIDDEN"), field
    assert strangers.mailed_since(before) == []


def test_other_graphql_works(strangers: Strangers) -> None:
    token = strangers.server.tokens["sofia"]
    answer = strangers.ask("POST", "/graphql", {"query": "{ invoices(limit: 1) { id } }"}, token=token)
    assert len(answer.data["data"]["invoices"]) == 1
    me = strangers.ask("POST", "/graphql/system", {"query": "{ users_me { email } }"}, token=token)
    assert me.data["data"]["users_me"]["email"]


# -- what stays open treats every address alike --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 204),
        ({"reset_url": RESET_URL}, 204),
        ({"reset_url": "https://evil.example.com"}, 400),
        ({"reset_url": {"a": 1}}, 400),
    ],
)
def test_a_forgotten_password_is_answered_alike_and_mailed_to_active_accounts_only(
    strangers: Strangers, more: dict[str, Any], status: int
) -> None:
    before = strangers.letters
    answer = _alike(strangers, "POST", "/auth/password/request", lambda email: {"email": email, **more})
    assert answer.status == status
    mailed = [strangers.kinds["active"], strangers.kinds["without a password"]] if status == 204 else []
    assert sorted(strangers.mailed_since(before)) == sorted(mailed)


@pytest.mark.parametrize(
    ("method", "path", "body", "people"),
    [
        ("POST", "/users", lambda email: {"email": email}, PEOPLE),
        ("POST", "/users", lambda email: [{"email": email}], PEOPLE),
        ("PATCH", "/users/me", lambda email: {"email": email}, PEOPLE),
        ("POST", "/shares/invite", lambda email: {"share": CLIENT_ROLE, "emails": [email]}, PEOPLE),
        ("POST", "/users/invite/accept", lambda email: {"token": email, "password": "Long-enough-1"}, PEOPLE),
        ("POST", "/auth/password/reset", lambda email: {"token": email, "password": "Long-enough-1"}, PEOPLE),
        # A partner sees every address, by the model.
        ("SEARCH", "/users", lambda email: {"query": {"filter": {"email": {"_eq": email}}}}, PEOPLE[:-1]),
    ],
)
def test_the_other_doors_tell_nothing_about_an_address(
    strangers: Strangers, method: str, path: str, body: Body, people: tuple[str, ...]
) -> None:
    before = strangers.letters
    for person in people:
        answer = _alike(strangers, method, path, body, token=_token(strangers, person))
        assert answer.status in {200, 401, 403}, person
    assert strangers.mailed_since(before) == []


#: Directus would compare it for seconds; PostgreSQL has no such text.
NO_ADDRESSES = {"too long": "a" + "\u0301\u0316" * 25_000 + "@example.com", "with a NUL": "a\0b@example.com"}


@pytest.mark.parametrize("kind", NO_ADDRESSES)
def test_what_is_no_address_is_refused_before_anything_compares_it(strangers: Strangers, kind: str) -> None:
    email = NO_ADDRESSES[kind]
    token = strangers.log_in(strangers.account(), PASSWORD).data["data"]["access_token"]
    for method, path, body in (
        ("POST", "/auth/login", {"email": email, "password": "x"}),
        ("POST", "/auth//LOGIN/", {"email": email, "password": "x"}),
        ("POST", "/auth/login/ldap", {"identifier": email, "password": "x"}),
        ("POST", "/auth/password/request", {"email": email}),
        ("POST", "/users", {"email": email}),
        ("POST", "/users", [{"email": "a@example.com"}, {"email": email}]),
        ("POST", "/users/invite", {"email": ["a@example.com", email], "role": None}),
        ("PATCH", "/users/me", {"email": email}),
        ("PATCH", "/users", {"keys": [], "data": {"email": email}}),
    ):
        answer = strangers.ask(method, path, body, token=token)
        assert (answer.status, code_of(answer.data)) == (400, "INVALID_PAYLOAD"), (method, path)
        assert "must be a valid email" in answer.body
