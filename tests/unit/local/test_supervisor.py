import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.problem import Problem
from local.supervisor import MARK, Program, Supervisor, identify
from local.waiting import wait_for

SLEEPER = "import time; print('awake', flush=True); time.sleep(600)"
WITH_CHILD = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "open('child', 'w').write(str(child.pid)); time.sleep(600)"
)
WITH_STRAY = (
    "import subprocess, sys, time;"
    "stray = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
    "open('child', 'w').write(str(stray.pid)); time.sleep(600)"
)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(600)"
)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    created = Supervisor(tmp_path)
    yield created
    for name in created.running():
        created.stop(name, 0.5)
    created.stop_strays()


def program(
    tmp_path: Path, code: str, *, ready: Callable[[], bool] = lambda: True, seconds: float = 10
) -> Program:
    return Program(
        name="sleeper",
        arguments=[sys.executable, "-c", code],
        environment={"PATH": os.environ["PATH"]},
        directory=tmp_path,
        ready=ready,
        ready_seconds=seconds,
    )


def pid_of(tmp_path: Path) -> int:
    return int(json.loads((tmp_path / "run/sleeper.json").read_text())["pid"])


def test_a_program_is_started_once_and_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(program(tmp_path, SLEEPER))
    first = pid_of(tmp_path)
    supervisor.start(program(tmp_path, SLEEPER))
    assert pid_of(tmp_path) == first
    assert supervisor.running() == ["sleeper"]

    supervisor.stop("sleeper")
    assert identify(first) is None
    assert supervisor.running() == []
    assert not (tmp_path / "run/sleeper.json").exists()


def test_a_later_run_stops_what_an_earlier_one_started(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(program(tmp_path, SLEEPER))
    pid = pid_of(tmp_path)
    later = Supervisor(tmp_path)
    assert later.is_running("sleeper")
    later.stop("sleeper")
    assert identify(pid) is None


def test_a_process_that_only_has_the_same_id_is_left_alone(supervisor: Supervisor, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL) as stranger:
        supervisor.start(program(tmp_path, SLEEPER))
        supervisor.stop("sleeper")
        remembered = {
            "pid": stranger.pid,
            "started": 1,
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text(),
        }
        (tmp_path / "run/sleeper.json").write_text(json.dumps(remembered))

        assert not supervisor.is_running("sleeper")
        supervisor.stop("sleeper")
        assert stranger.poll() is None
        stranger.kill()


def test_a_remembered_process_of_an_earlier_boot_is_left_alone(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL) as stranger:
        identity = identify(stranger.pid)
        assert identity is not None
        (tmp_path / "run").mkdir()
        remembered = {"pid": identity.pid, "started": identity.started, "boot": "another"}
        (tmp_path / "run/sleeper.json").write_text(json.dumps(remembered))

        supervisor.stop("sleeper")
        assert stranger.poll() is None
        stranger.kill()


def test_half_a_pid_file_is_no_program(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/sleeper.json").write_text('{"pid": 1')
    assert not supervisor.is_running("sleeper")


def test_children_end_with_their_parent(supervisor: Supervisor, tmp_path: Path) -> None:
    child = tmp_path / "child"
    supervisor.start(program(tmp_path, WITH_CHILD, ready=lambda: child.exists() and bool(child.read_text())))
    pid = int(child.read_text())
    assert identify(pid) is not None
    supervisor.stop("sleeper")
    wait_for("the child's end", lambda: identify(pid) is None, seconds=10)


def test_a_stray_in_a_session_of_its_own_is_found_by_its_mark(supervisor: Supervisor, tmp_path: Path) -> None:
    child = tmp_path / "child"
    supervisor.start(program(tmp_path, WITH_STRAY, ready=lambda: child.exists() and bool(child.read_text())))
    pid = int(child.read_text())
    supervisor.stop("sleeper")
    assert identify(pid) is not None
    assert supervisor.stop_strays() == 1
    wait_for("the child's end", lambda: identify(pid) is None, seconds=10)
    assert supervisor.stop_strays() == 0


def test_strays_of_another_stack_are_left_alone(supervisor: Supervisor, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], MARK: str(tmp_path / "another")}
    command = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as stranger:
        assert supervisor.stop_strays() == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_deaf_program_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(program(tmp_path, DEAF, ready=(tmp_path / "deaf").exists))
    pid = pid_of(tmp_path)
    supervisor.stop("sleeper", 0.2)
    assert identify(pid) is None


def test_a_program_that_dies_at_its_start_shows_its_last_lines(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with pytest.raises(Problem) as caught:
        supervisor.start(program(tmp_path, "raise SystemExit('the database is locked')", ready=lambda: False))
    assert "sleeper ended right after its start" in str(caught.value)
    assert "the database is locked" in str(caught.value)
    assert str(tmp_path / "logs/sleeper.log") in str(caught.value)
    assert supervisor.running() == []


def test_a_program_that_never_gets_ready_is_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="was not ready after 0 s"):
        supervisor.start(program(tmp_path, SLEEPER, ready=lambda: False, seconds=0.3))
    assert supervisor.running() == []


def test_a_killed_program_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(program(tmp_path, SLEEPER))
    first = pid_of(tmp_path)
    os.kill(first, signal.SIGKILL)
    wait_for("the end", lambda: not supervisor.is_running("sleeper"), seconds=10)
    supervisor.start(program(tmp_path, SLEEPER))
    assert pid_of(tmp_path) != first
    assert supervisor.running() == ["sleeper"]


def test_a_program_that_does_not_exist_is_one_sentence(supervisor: Supervisor, tmp_path: Path) -> None:
    missing = Program("sleeper", ["/no/such/program"], {}, tmp_path, lambda: True)
    with pytest.raises(Problem, match="sleeper cannot be started"):
        supervisor.start(missing)


def test_a_program_that_is_to_run_otherwise_is_started_anew(supervisor: Supervisor, tmp_path: Path) -> None:
    first = program(tmp_path, SLEEPER)
    supervisor.start(first)
    pid = pid_of(tmp_path)
    supervisor.start(replace(first, environment={"PATH": "/another"}))
    assert pid_of(tmp_path) == pid

    supervisor.start(replace(first, environment={**first.environment, "BILLING_FUNCTIONS_URL": "http://new"}))
    assert pid_of(tmp_path) != pid
    assert identify(pid) is None
