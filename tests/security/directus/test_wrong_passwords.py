"""Guessing is slow and locks no one out, at every endpoint of a real Directus that checks a password or a code."""

import base64
import hashlib
import hmac
import json
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from directus.probe import EXTENSION
from local.setup.paths import node_environment
from local.waiting import wait_for
from tests.integration.directus.server import code_of
from tests.security.directus.strangers import PASSWORD, Answer, Strangers, new_address
from tests.security.directus.strangers import strangers as strangers_on
from tests.security.directus.world import World

FREE = 5
FREE_OF_AN_ADDRESS = 30


@pytest.fixture(autouse=True)
def nobody_is_suspended(strangers: Strangers) -> None:
    """As `make apply` leaves it where the guard slows guessing."""
    strangers.server.admin.call("PATCH", "/settings", {"auth_login_attempts": None})


def _statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def _wrong(strangers: Strangers, email: str, address: str, times: int) -> list[int]:
    return _statuses([strangers.log_in(email, address=address) for _ in range(times)])


def _is_refused(answer: Answer) -> bool:
    return (
        answer.status == 429
        and code_of(answer.data) == "REQUESTS_EXCEEDED"
        and answer.retry_after is not None
    )


def test_a_stranger_with_26_wrong_passwords_locks_nobody_out(strangers: Strangers) -> None:
    email, stranger = strangers.account(), new_address()
    answers = [strangers.log_in(email, address=stranger) for _ in range(26)]
    assert _statuses(answers[:FREE]) == [401] * FREE
    assert any(_is_refused(answer) for answer in answers)
    assert sum(answer.status == 401 for answer in answers) <= FREE + 2
    assert strangers.log_in(email, PASSWORD).status == 200
    [user] = strangers.server.admin.rows("/users", filter={"email": {"_eq": email}}, fields="status")
    assert user == {"status": "active"}


def test_a_stranger_with_many_addresses_slows_the_owner_and_never_locks_them_out(
    strangers: Strangers,
) -> None:
    email = strangers.account()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: strangers.log_in(email), range(40)))
    assert set(_statuses(answers)) == {401}
    began = time.monotonic()
    answer = strangers.log_in(email, PASSWORD)
    assert answer.status == 200
    assert time.monotonic() - began >= 2


def test_the_wait_is_said_doubles_and_is_over_when_it_said(strangers: Strangers) -> None:
    email, address = strangers.account(), new_address()
    _wrong(strangers, email, address, FREE)
    first = strangers.log_in(email, address=address)
    assert _is_refused(first)
    assert first.retry_after is not None
    assert 1 <= first.retry_after <= 5
    began = time.monotonic()
    wait_for(
        "the wait to be over", lambda: strangers.log_in(email, address=address).status == 401, seconds=30
    )
    assert time.monotonic() - began <= first.retry_after + 5
    second = strangers.log_in(email, address=address)
    assert _is_refused(second)
    assert second.retry_after is not None
    assert first.retry_after < second.retry_after <= 10


def test_the_right_password_waits_too_and_resets_nothing(strangers: Strangers) -> None:
    email, address = strangers.account(), new_address()
    _wrong(strangers, email, address, FREE)
    assert _is_refused(strangers.log_in(email, PASSWORD, address=address))
    assert strangers.log_in(email, PASSWORD).status == 200
    assert _is_refused(strangers.log_in(email, PASSWORD, address=address))


def test_the_right_password_clears_the_address_it_came_from(strangers: Strangers) -> None:
    email, own, other = strangers.account(), new_address(), new_address()
    _wrong(strangers, email, own, FREE - 1)
    _wrong(strangers, email, other, FREE - 1)
    assert strangers.log_in(email, PASSWORD, address=own).status == 200
    assert _wrong(strangers, email, own, FREE - 1) == [401] * (FREE - 1)
    assert _wrong(strangers, email, other, 2) == [401, 429]


def test_of_fifty_at_once_no_more_get_through_than_one_after_the_other(strangers: Strangers) -> None:
    email, address = strangers.account(), new_address()
    answers = strangers.at_once(50, email, address)
    assert _statuses(answers).count(401) in {
        FREE,
        FREE + 1,
    }  # one more if fifty take this machine five seconds
    assert all(_is_refused(answer) for answer in answers if answer.status != 401)


def test_one_address_is_refused_after_thirty_failures_over_all_accounts(strangers: Strangers) -> None:
    address, email = new_address(), strangers.account()
    for guess in range(FREE_OF_AN_ADDRESS):
        # A success of one's own account in between changes nothing.
        if guess % 10 == 0:
            assert strangers.log_in(email, PASSWORD, address=address).status == 200
        assert strangers.log_in(f"{guess}-{uuid.uuid4().hex}@example.com", address=address).status == 401
    assert _is_refused(strangers.log_in(email, PASSWORD, address=address))
    assert strangers.log_in(email, PASSWORD).status == 200


def test_of_a_hundred_accounts_at_once_thirty_are_tried_from_one_address(strangers: Strangers) -> None:
    address = new_address()
    with ThreadPoolExecutor(100) as pool:
        answers = list(
            pool.map(lambda number: strangers.log_in(f"{number}@example.com", address=address), range(100))
        )
    assert _statuses(answers).count(401) <= FREE_OF_AN_ADDRESS + 1
    assert all(_is_refused(answer) for answer in answers if answer.status != 401)


def test_what_a_stranger_sees_is_the_same_for_every_kind_of_address(strangers: Strangers) -> None:
    seen: dict[str, list[tuple[int, str | None]]] = {}
    for kind, email in strangers.new_kinds().items():
        address = new_address()
        answers = [strangers.log_in(email, address=address) for _ in range(FREE)]
        seen[kind] = [*((answer.status, answer.body) for answer in answers)]
        refused = strangers.log_in(email, address=address)
        seen[kind].append((refused.status, code_of(refused.data)))
    assert all(kind == seen["unknown"] for kind in seen.values()), seen
    assert [status for status, _ in seen["unknown"]] == [401] * FREE + [429]


def test_an_account_is_one_however_its_address_is_written(strangers: Strangers) -> None:
    email, address = strangers.account(), new_address()
    spellings = [
        email,
        email.upper(),
        email.title(),
        f"{email[0].upper()}{email[1:]}",
        email.swapcase(),
        email,
    ]
    statuses = [strangers.log_in(spelling, address=address).status for spelling in spellings]
    assert statuses == [401] * FREE + [429]
    assert strangers.log_in(f" {email} ", PASSWORD, address=address).status in {400, 429}


def test_a_network_of_ipv6_is_one_address(strangers: Strangers) -> None:
    email, network = (
        strangers.account(),
        "2001:db8:" + ":".join(f"{value:x}" for value in uuid.uuid4().bytes[:2]),
    )
    addresses = [
        f"{network}::1",
        f"{network}:ffff:1:2:3",
        f"{network.upper()}:0:0:0:9",
        f"{network}:a::",
        f"{network}::1",
    ]
    assert [strangers.log_in(email, address=address).status for address in addresses] == [401] * FREE
    assert _is_refused(strangers.log_in(email, address=f"{network}:dead:beef:0:1"))
    other = network.rpartition(":")[0] + ":fff0"
    assert strangers.log_in(email, address=f"{other}::1").status == 401


@pytest.mark.parametrize(
    "path",
    ["/auth/login/", "/auth//login", "/AUTH/LoGiN//", "/auth/login?x=1", "http://elsewhere/auth/login"],
)
def test_no_way_of_writing_the_path_gets_around_the_count(strangers: Strangers, path: str) -> None:
    email, address = strangers.account(), new_address()
    _wrong(strangers, email, address, FREE - 1)
    body = {"email": email, "password": "wrong"}
    assert strangers.ask("POST", path, body, address=address).status == 401
    assert _is_refused(strangers.log_in(email, PASSWORD, address=address))
    assert _is_refused(strangers.ask("POST", path, {"email": email, "password": PASSWORD}, address=address))


def test_what_is_no_login_is_not_one(strangers: Strangers) -> None:
    email = strangers.account()
    body = {"email": email, "password": PASSWORD}
    for method, path in [("PUT", "/auth/login"), ("SEARCH", "/auth/login"), ("PATCH", "/auth/login"),
                         ("POST", "//auth/login"), ("POST", "/auth/%6cogin"), ("POST", "/auth/login/default")]:  # fmt: skip
        answer = strangers.ask(method, path, body, headers={"X-HTTP-Method-Override": "POST"})
        assert (answer.status, "access_token" in answer.body) == (404, False), (method, path)
    assert strangers.ask("POST", "/auth/login", [body]).status == 400
    assert strangers.ask("POST", "/auth/login", body, headers={"Content-Type": "text/plain"}).status == 400


def test_every_way_to_log_in_still_works(strangers: Strangers) -> None:
    email, address = strangers.account(), new_address()
    for _ in range(4):
        for mode in ("json", "cookie", "session"):
            assert strangers.log_in(email, PASSWORD, address=address, mode=mode).status == 200


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow(world: World) -> Iterator[Strangers]:
    """Checking a password takes longer here than all the rest of a request, and Directus does not wait to hide that."""
    with strangers_on(world, HASH_MEMORY_COST="16384", HASH_TIME_COST="8") as running:
        yield running


def test_an_address_without_an_account_takes_as_long_as_one_with(slow: Strangers) -> None:
    accounts = slow.new_kinds()
    seconds: dict[str, list[float]] = {kind: [] for kind in accounts}
    for _ in range(FREE - 1):
        for kind, email in accounts.items():
            began = time.monotonic()
            assert slow.log_in(email).status == 401
            seconds[kind].append(time.monotonic() - began)
    # The quickest of each: what else this machine does makes some slower.
    quickest = {kind: min(measured) for kind, measured in seconds.items()}
    for kind, measured in quickest.items():
        assert 0.5 < measured / quickest["active"] < 2, (kind, quickest)


# -- the other doors that check a password or a code ---------------------------------------------------------------------


def _code(secret: str) -> str:
    """The code of the moment (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def _token_of(strangers: Strangers, email: str, **more: str) -> str:
    return str(strangers.log_in(email, PASSWORD, **more).data["data"]["access_token"])


@contextmanager
def _with_second_factor(strangers: Strangers) -> Iterator[tuple[str, str]]:
    """An administrator's address and secret: no other user here may turn the second factor on."""
    me = strangers.server.admin.call("GET", "/users/me?fields=role")
    email = strangers.account(role=me["role"])
    try:
        token = _token_of(strangers, email)
        made = strangers.ask("POST", "/users/me/tfa/generate", {"password": PASSWORD}, token=token)
        secret = str(made.data["data"]["secret"])
        assert _is_on(strangers, token, secret)
        yield email, secret
    finally:
        strangers.server.admin.call("DELETE", f"/users/{strangers.accounts[email]}")


def _is_on(strangers: Strangers, token: str, secret: str) -> bool:
    def switched() -> bool:
        body = {"secret": secret, "otp": _code(secret)}
        return strangers.ask("POST", "/users/me/tfa/enable", body, token=token).status == 204

    wait_for("the second factor", switched, seconds=30)
    return True


def test_wrong_codes_are_counted_and_a_code_that_is_still_to_come_is_not(strangers: Strangers) -> None:
    with _with_second_factor(strangers) as (email, secret):
        owner, thief = new_address(), new_address()
        # The Data Studio sends the password first, without a code.
        for _ in range(FREE + 2):
            answer = strangers.log_in(email, PASSWORD, address=owner)
            assert (answer.status, code_of(answer.data)) == (401, "INVALID_OTP")
        codes = [strangers.log_in(email, PASSWORD, address=thief, otp=f"{n:06d}") for n in range(FREE)]
        assert {code_of(answer.data) for answer in codes} == {"INVALID_OTP"}
        assert _is_refused(strangers.log_in(email, PASSWORD, address=thief, otp=_code(secret)))
        wait_for(
            "the owner's login",
            lambda: strangers.log_in(email, PASSWORD, address=owner, otp=_code(secret)).status == 200,
            seconds=30,
        )


def test_a_stolen_session_does_not_guess_the_password_at_the_second_factor(strangers: Strangers) -> None:
    token, thief = _token_of(strangers, strangers.account()), new_address()

    def generate(password: str, address: str, path: str = "/users/me/tfa/generate") -> Answer:
        return strangers.ask("POST", path, {"password": password}, address=address, token=token)

    paths = [
        "/users/me/tfa/generate",
        "/users/me/tfa/generate/",
        "/Users//me/TFA/generate",
        "/users/me/tfa/generate?x",
    ]
    assert [generate("wrong", thief, path).status for path in [*paths, paths[0]]] == [401] * FREE
    assert _is_refused(generate(PASSWORD, thief))
    assert generate(PASSWORD, new_address()).status == 200


def test_a_stolen_session_does_not_guess_the_code_that_turns_the_second_factor_off(
    strangers: Strangers,
) -> None:
    with _with_second_factor(strangers) as (email, secret):
        address = new_address()
        wait_for(
            "a login",
            lambda: strangers.log_in(email, PASSWORD, address=address, otp=_code(secret)).status == 200,
            seconds=30,
        )
        token = str(
            strangers.log_in(email, PASSWORD, address=address, otp=_code(secret)).data["data"]["access_token"]
        )
        thief = new_address()

        def disable(otp: str) -> Answer:
            return strangers.ask("POST", "/users/me/tfa/disable", {"otp": otp}, address=thief, token=token)

        assert _statuses([disable(f"{n:06d}") for n in range(FREE)]) == [400] * FREE
        assert _is_refused(disable(_code(secret)))


def test_the_password_of_a_share_is_not_guessed(strangers: Strangers, world: World) -> None:
    share = strangers.server.admin.call(
        "POST", "/shares", {"collection": "invoices", "item": world.one.sent, "password": PASSWORD}
    )["id"]
    unknown = str(uuid.uuid4())

    def open_share(key: str, password: str, address: str) -> Answer:
        return strangers.ask("POST", "/shares/auth", {"share": key, "password": password}, address=address)

    try:
        for key in (share, unknown):
            thief = new_address()
            assert _statuses([open_share(key, "wrong", thief) for _ in range(FREE)]) == [401] * FREE
            assert _is_refused(open_share(key, PASSWORD, thief))
        assert open_share(share, PASSWORD, new_address()).status == 200
        # PostgreSQL takes an id in all of these.
        thief = new_address()
        for spelling in (share, share.upper(), share.title(), share.replace("-", ""), f"{{{share}}}"):
            assert open_share(spelling, "wrong", thief).status in {400, 401}, spelling
        assert _is_refused(open_share(share, PASSWORD, thief))
    finally:
        strangers.server.admin.call("DELETE", f"/shares/{share}")


@pytest.fixture(scope="module")
def with_more_doors(world: World) -> Iterator[Strangers]:
    """A firm with WebSockets turned on and a second provider with its own passwords."""
    more = {"WEBSOCKETS_ENABLED": "true", "AUTH_PROVIDERS": "house", "AUTH_HOUSE_DRIVER": "local"}
    with strangers_on(world, **more) as running:
        yield running


def test_another_provider_with_passwords_is_counted_like_directuss_own(with_more_doors: Strangers) -> None:
    known = with_more_doors.account(provider="house")
    for email in (known, with_more_doors.account(), f"{uuid.uuid4().hex}@example.com"):
        address = new_address()

        def log_in(
            password: str, path: str = "/auth/login/house", email: str = email, address: str = address
        ) -> Answer:
            return with_more_doors.ask("POST", path, {"email": email, "password": password}, address=address)

        paths = [
            "/auth/login/house",
            "/auth//login/house/",
            "/AUTH/login/HOUSE",
            "/auth/login/house?x",
            "/auth/login/house",
        ]
        assert [log_in("wrong", path).status for path in paths] == [401] * FREE
        assert _is_refused(log_in(PASSWORD))
    answer = with_more_doors.ask("POST", "/auth/login/house", {"email": known, "password": PASSWORD})
    assert answer.status == 200


#: Opens a WebSocket and prints the answer to a message with a password, or with a token.
SOCKET = """
const socket = new WebSocket(process.argv[1]);
socket.onopen = () => socket.send(process.argv[2]);
socket.onmessage = ({ data }) => { console.log(data); process.exit(0); };
socket.onerror = () => process.exit(1);
"""


def _over_a_socket(strangers: Strangers, message: dict[str, Any]) -> Any:
    url = strangers.server.url.replace("http://", "ws://") + "/websocket"
    command = ["node", "--eval", SOCKET, "--", url, json.dumps({"type": "auth", **message})]
    done = subprocess.run(
        command, env=node_environment(), capture_output=True, check=True, text=True, timeout=60
    )
    return json.loads(done.stdout)


def test_a_websocket_takes_a_token_and_no_password(with_more_doors: Strangers) -> None:
    email = with_more_doors.account()
    for password in (PASSWORD, "wrong"):
        for address in (email, f"{uuid.uuid4().hex}@example.com"):
            answer = _over_a_socket(with_more_doors, {"email": address, "password": password})
            assert (answer["status"], answer["error"]["code"]) == ("error", "AUTH_FAILED")
    answer = _over_a_socket(with_more_doors, {"access_token": _token_of(with_more_doors, email)})
    assert answer["status"] == "ok"


def test_a_caller_who_does_not_wait_for_the_answer_is_counted(slow: Strangers) -> None:
    email, address = slow.account(), new_address()
    body = {"email": email, "password": "wrong"}
    for _ in range(FREE):
        with pytest.raises(TimeoutError):
            slow.ask("POST", "/auth/login", body, address=address, timeout=0.05)
    assert _is_refused(slow.log_in(email, PASSWORD, address=address))


#: Ten callers are gone before the guard sees them; then one comes who waits.
GONE = """
import { throttleLogins } from '%s';
let handler;
let passed = 0;
throttleLogins({ use: (given) => { handler = given; } }, { env: {} });
const request = { method: 'POST', path: '/shares/auth', body: { share: '0' }, ip: '10.0.0.1' };
const response = { once() {}, json() {}, set() { return this; }, status() { passed -= 1; return this; } };
for (let n = 0; n < 10; n += 1) handler(request, { ...response, destroyed: true }, () => { passed += 100; });
setTimeout(() => {
  handler(request, { ...response, destroyed: false }, () => { passed += 1; });
  setTimeout(() => console.log(passed), 50);
}, 50);
"""


def test_callers_that_were_gone_before_they_were_counted_keep_nobody_out() -> None:
    program = GONE % (EXTENSION / "dist/login.js").as_uri()
    command = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(
        command, env=node_environment(), capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "1"
