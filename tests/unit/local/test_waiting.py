import pytest

from local.waiting import NeverHappened, wait_for


def test_what_is_found_at_last_is_returned() -> None:
    looks = iter((None, "", "found"))
    assert wait_for("it", lambda: next(looks), seconds=10, pause=0) == "found"


def test_it_looks_at_least_once_and_names_what_never_came() -> None:
    seen: list[int] = []
    with pytest.raises(NeverHappened, match="Waited 0 s in vain for the mail"):
        wait_for("the mail", lambda: seen.append(1), seconds=0, pause=0)
    assert seen
