from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING

import pytest

from billing.reminders.policy import Policy, Step
from billing.reminders.store import read_policy
from tests.unit.reminders.support import POLICY, at

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_policy_is_what_the_tests_speak_of() -> None:
    assert read_policy() == POLICY


def test_a_policy_of_the_firms_own_is_read_as_data(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[hours]\nfrom = 09:00:00\nuntil = 17:00:00\n[[steps]]\nname = "late"\ndays_after_due = 3\n'
    )
    assert read_policy(file) == Policy((Step("late", 3),), time(9), time(17))


@pytest.mark.parametrize(
    "steps",
    [(), (Step("a", 7), Step("b", 1)), (Step("a", 1), Step("b", 1)), (Step("a", 1), Step("a", 2))],
)
def test_a_policy_that_contradicts_itself_is_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ValueError, match="reminder policy"):
        Policy(steps, time(8), time(20))


def test_a_window_that_closes_before_it_opens_is_refused() -> None:
    with pytest.raises(ValueError, match="reminder policy"):
        Policy((Step("a", 1),), time(20), time(8))


def test_a_step_before_the_due_date_widens_what_is_looked_at() -> None:
    early = Policy((Step("due_soon", -3), Step("overdue_1", 1)), time(8), time(20))
    assert early.latest_due_date(at("2026-03-02T08:00")) == date(2026, 3, 5)
    assert POLICY.latest_due_date(at("2026-03-02T08:00")) == date(2026, 3, 1)
    assert POLICY.latest_due_date(at("2026-03-02T10:00")) == date(2026, 3, 2)
