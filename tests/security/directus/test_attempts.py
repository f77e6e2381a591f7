"""How the guard counts wrong passwords: the module that decides, with a fake clock."""

import json
import random
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from directus.probe import EXTENSION
from local.setup.paths import node_environment

SECOND = 1.0
MINUTE = 60.0
#: Reads steps, one JSON array a line: `begin account address time`, `end number outcome time`, `rows`.
PLAYER = """
const { Attempts } = await import(%s);
const steps = JSON.parse(await new Response(process.stdin).text());
const [attempts, begun, said] = [new Attempts(...steps.rows), [], []];
for (const [step, ...values] of steps.steps) {
    if (step === 'begin') { begun.push(attempts.begin(...values)); said.push(begun.at(-1)); }
    if (step === 'end') begun[values[0]].end(values[1], values[2]);
    if (step === 'rows') said.push(attempts.rows);
}
console.log(JSON.stringify(said));
"""


@dataclass
class Play:
    """Steps to play; `said` has the results of each `begin` and `rows`, in seconds."""

    rows: int | None = None
    now: float = 0.0
    steps: list[list[Any]] = field(default_factory=list)
    begun: int = 0

    def begin(self, account: str = "a", address: str = "1") -> int:
        self.steps.append(["begin", account, address, self.now * 1000])
        self.begun += 1
        return self.begun - 1

    def end(self, number: int, outcome: str = "failed") -> None:
        self.steps.append(["end", number, outcome, self.now * 1000])

    def tried(self, account: str = "a", address: str = "1", outcome: str = "failed") -> None:
        """One try that Directus has answered; only where it does not have to wait."""
        self.end(self.begin(account, address), outcome)

    def count_rows(self) -> None:
        self.steps.append(["rows"])

    def said(self) -> list[Any]:
        program = PLAYER % json.dumps((EXTENSION / "dist/attempts.js").as_uri())
        command = ["node", "--input-type=module", "--eval", program]
        given = json.dumps({"rows": [self.rows] if self.rows else [], "steps": self.steps})
        done = subprocess.run(
            command, env=node_environment(), input=given, capture_output=True, check=True, text=True
        )
        return [
            {name: value / 1000 for name, value in line.items()} if isinstance(line, dict) else line
            for line in json.loads(done.stdout)
        ]

    def waits(self) -> list[float]:
        return [line["wait"] for line in self.said()]


def test_five_failures_are_free_and_the_sixth_waits() -> None:
    play = Play()
    for _ in range(5):
        play.tried()
    play.begin()
    assert play.waits() == [0, 0, 0, 0, 0, 5]


def test_each_further_failure_doubles_the_wait_up_to_a_minute() -> None:
    play, expected = Play(), [5, 10, 20, 40, 60, 60, 60]
    for _ in range(5):
        play.tried()
    for wait in expected:
        play.begin()
        play.now += wait
        play.tried()
    assert [wait for wait in play.waits() if wait] == expected


def test_a_refused_try_lengthens_nothing() -> None:
    play = Play()
    for _ in range(5):
        play.tried()
    for _ in range(100):
        play.begin()
    play.now += 4.9
    play.begin()
    play.now += 0.1
    play.begin()
    assert play.waits()[-2:] == [pytest.approx(0.1), 0]


def test_the_account_is_not_refused_from_elsewhere_and_the_address_not_for_others() -> None:
    play = Play()
    for _ in range(5):
        play.tried("a", "1")
    play.begin("a", "2")
    play.begin("b", "1")
    assert play.waits()[-2:] == [0, 0]


def test_failures_lapse_after_a_quarter_of_an_hour() -> None:
    play = Play()
    for _ in range(5):
        play.tried()
    for _ in range(4):
        play.now += MINUTE
        play.tried()
    play.begin()
    play.now = 15 * MINUTE  # of nine the first five are gone: four are left, as after four failures
    play.tried()
    play.begin()
    assert play.waits()[-3:] == [60, 0, 5]


def test_a_success_clears_the_account_from_that_address_only() -> None:
    play = Play()
    for address in ("1", "2"):
        for _ in range(4):
            play.tried("a", address)
    play.tried("a", "1", "succeeded")
    for address in ("1", "2"):
        play.tried("a", address)
        play.begin("a", address)
    assert play.waits()[-4:] == [0, 0, 0, 5]


def test_successes_do_not_clear_the_address() -> None:
    play = Play()
    for guess in range(30):
        play.tried("own", "1", "succeeded")
        play.tried(f"other{guess}", "1")
    play.begin("own", "1")
    play.begin("own", "2")
    assert play.waits()[-2:] == [5, 0]


def test_thirty_failures_of_one_address_in_ten_minutes_are_free_whoever_they_are_for() -> None:
    play = Play()
    for guess in range(30):
        play.now += 10 * SECOND
        play.tried(f"account{guess}", "1")
    play.begin("somebody", "1")
    play.now = 10 * SECOND + 10 * MINUTE
    play.begin("somebody", "1")
    waits = play.waits()
    assert waits[:30] == [0] * 30
    assert waits[30:] == [5, 0]


def test_of_fifty_at_once_five_are_let_in() -> None:
    play = Play()
    begun = [play.begin() for _ in range(50)]
    for number in begun[:5]:
        play.end(number)
    play.begin()
    waits = play.waits()
    assert waits[:5] == [0] * 5
    assert waits[5:50] == [1] * 45
    assert waits[50] == 5


def test_after_the_free_ones_they_are_let_in_one_by_one() -> None:
    play = Play()
    for _ in range(5):
        play.tried()
    play.now += 5 * SECOND
    for _ in range(3):
        play.begin()
    assert play.waits()[5:] == [0, 1, 1]


def test_of_a_hundred_accounts_at_once_thirty_are_let_in_from_one_address() -> None:
    play = Play()
    for account in range(100):
        play.begin(str(account))
    assert play.waits() == [0] * 30 + [1] * 70


def test_an_undecided_try_counts_for_nothing() -> None:
    play = Play()
    for _ in range(20):
        play.tried(outcome="undecided")
    for _ in range(5):
        play.tried()
    play.begin()
    assert play.waits() == [0] * 25 + [5]


def test_one_account_is_slowed_from_all_addresses_by_two_seconds_at_most_and_never_refused() -> None:
    play = Play()
    for address in range(40):
        play.tried("a", str(address))
    said = play.said()
    assert [line["wait"] for line in said] == [0] * 40
    assert [line["delay"] for line in said[:14]] == [0] * 5 + [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2]
    assert max(line["delay"] for line in said) == 2


def test_tries_at_once_slow_each_other_from_all_addresses() -> None:
    play = Play()
    for address in range(20):
        play.begin("a", str(address))
    assert [line["delay"] for line in play.said()][-1] == 2


def test_a_success_does_not_end_the_slowness_of_an_attacked_account() -> None:
    play = Play()
    for address in range(20):
        play.tried("a", str(address))
    play.tried("a", "owner", "succeeded")
    play.begin("a", "another")
    play.now += 15 * MINUTE
    play.begin("a", "another")
    assert [line["delay"] for line in play.said()[-2:]] == [2, 0]


# -- bounded memory ----------------------------------------------------------------------------------------------------


def test_there_are_never_more_rows_than_the_bound() -> None:
    play = Play(rows=50)
    for number in range(1000):
        play.tried(f"account{number}", f"address{number}")
        play.count_rows()
    rows = [line for line in play.said() if isinstance(line, int)]
    assert max(rows) == 150


def test_thousands_of_invented_addresses_push_out_no_counter_that_refuses() -> None:
    play = Play(rows=50)
    for _ in range(6):
        play.tried()
        play.now += 5 * SECOND
    for number in range(2000):
        play.tried(f"account{number % 7}", f"address{number}")
    play.begin()
    play.count_rows()
    said = play.said()
    assert said[-1] <= 150
    assert said[-2] == {"wait": 5}


def test_an_address_that_refuses_is_not_pushed_out_either() -> None:
    play = Play(rows=50)
    for number in range(30):
        play.tried(f"victim{number}", "1")
    for number in range(2000):
        play.tried(f"account{number}", f"address{number}")
    play.begin("next", "1")
    assert play.waits()[-1] == 5


def test_at_the_bound_guessing_is_no_faster_from_a_new_address() -> None:
    play = Play(rows=50)
    for number in range(500):
        play.tried(f"account{number}", f"address{number}")
    for _ in range(5):
        play.tried("a", "late")
    play.begin("a", "late")
    assert play.waits()[-1] == 5


def test_rows_that_have_lapsed_make_room_however_many_failures_they_had() -> None:
    play = Play(rows=10)
    for number in range(10):
        for _ in range(5):
            play.tried(f"account{number}", f"address{number}")
    play.now += 16 * MINUTE
    for number in range(10):
        for _ in range(5):
            play.tried(f"new{number}", f"newer{number}")
    for number in range(10):
        play.begin(f"new{number}", f"newer{number}")
    assert play.waits()[-10:] == [5] * 10


def test_a_try_that_was_pushed_out_while_directus_was_at_it_still_counts() -> None:
    play = Play(rows=5)
    slow = [play.begin("a", "1") for _ in range(5)]
    for number in range(50):
        play.tried(f"account{number}", f"address{number}")
    for number in slow:
        play.end(number)
    play.begin("a", "1")
    assert play.waits()[-1] == 5


# -- against a second telling of the same rules ------------------------------------------------------------------------


@dataclass
class Told:
    """The rules again in their simplest form: every failure is kept forever."""

    failures: list[tuple[str, str, float]] = field(default_factory=list)
    under_way: list[tuple[str, str]] = field(default_factory=list)
    cleared: dict[tuple[str, str], int] = field(default_factory=dict)

    def wait(self, account: str, address: str, now: float) -> float:
        since = self.cleared.get((account, address), 0)
        pair = [at for a, b, at in self.failures[since:] if (a, b) == (account, address)]
        others = [at for _, b, at in self.failures if b == address]
        pairs_open = self.under_way.count((account, address))
        address_open = sum(b == address for _, b in self.under_way)
        return max(
            self._wait(pair, pairs_open, 5, 15 * MINUTE, now),
            self._wait(others, address_open, 30, 10 * MINUTE, now),
        )

    @staticmethod
    def _wait(failures: list[float], opened: int, free: int, within: float, now: float) -> float:
        recent = [at for at in failures if at > now - within]
        if len(recent) + opened < free:
            return 0
        if len(recent) >= free:
            wait = recent[-1] + min(60.0, 5.0 * 2.0 ** min(10, len(recent) - free)) - now
            if wait > 0:
                return wait
        return 1 if opened else 0


@pytest.mark.parametrize("seed", range(6))
def test_every_answer_is_what_the_rules_say(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  fixed seeds, no secrets
    play, told, expected = Play(), Told(), []
    open_tries: list[tuple[int, str, str]] = []
    for _ in range(3000):
        # A whole number of milliseconds: both sides then calculate exactly.
        play.now = round(play.now + chance.choice([0, 0, 0.25, 1, 5, 30]), 3)
        account, address = chance.choice("abc"), chance.choice("12")
        wait = told.wait(account, address, play.now)
        expected.append(wait)
        number = play.begin(account, address)
        if wait == 0:
            told.under_way.append((account, address))
            open_tries.append((number, account, address))
        while open_tries and chance.random() < 0.8:
            number, account, address = open_tries.pop(chance.randrange(len(open_tries)))
            outcome = chance.choice(["failed"] * 12 + ["succeeded", "undecided"])
            play.end(number, outcome)
            told.under_way.remove((account, address))
            if outcome == "failed":
                told.failures.append((account, address, play.now))
            if outcome == "succeeded":
                told.cleared[account, address] = len(told.failures)
    assert play.waits() == pytest.approx(expected)
    assert sum(wait > 0 for wait in expected) > 300
    assert sum(wait == 60 for wait in expected) + sum(wait > 40 for wait in expected) > 10
