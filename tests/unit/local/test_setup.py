"""`run.sh` and `apt.sh` in a checkout and a cache of their own, with programs in the place of uv, npm and apt-get."""

import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from local.setup.paths import (
    CACHE,
    ROOT,
    directus_tree,
    node_directory,
    node_tree,
    python_environment,
    uv_directory,
)
from local.waiting import wait_for

TOOLS = (
    "cat", "chmod", "cp", "dirname", "env", "flock", "grep", "id", "mkdir", "mv", "rm", "sed", "sh", "sleep", "tail",
    "uname",
)  # fmt: skip
MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
INTERPRETER = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]  # as `run.sh` asks for it

UV = f"""for last in "$@"; do :; done
echo "uv $1 ${{last##*/}}" >> "$CALLS"
if [ "$1" = venv ]; then
    mkdir -p "$last/bin" "$last/lib/python3.13/site-packages"
    echo '#!/bin/sh\nexec {INTERPRETER} "$@"' > "$last/bin/python" && chmod +x "$last/bin/python"
fi
"""
NODE = f"node_modules/node-linux-{MACHINE}/bin"
NPM = f"""echo "npm in ${{PWD##*/}} headers ${{npm_config_nodedir:-none}}" >> "$CALLS"
mkdir -p {NODE} && echo '#!/bin/sh\nexit 0' > {NODE}/node && chmod +x {NODE}/node
"""
APT = 'echo "apt-get $1" >> "$CALLS"'
PYTHON = f"""case "$1 $2" in
"-m pip") exit 1 ;;
*_base_executable*) echo "$0" ;;
*) exec {INTERPRETER} "$@" ;;
esac"""
"""As Debian's python3.13: it runs and has no pip."""

HAS_PIP = """case "$1 $2 $3" in
"-m pip --version") exit 0 ;;
"-m pip install")
    while [ $# -gt 0 ]; do [ "$1" = --target ] && target="$2"; shift; done
    mkdir -p "$target/bin" && cp "$UV" "$target/bin/uv" && echo pip >> "$CALLS" ;;
*) exit 1 ;;
esac"""
"""An older Python with pip."""


class Machine:
    """A checkout, a cache and programs; nothing else of this machine but a few tools and a Python without pip."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cache = directory / "cache"
        self.checkout = directory / "checkout"
        self.programs = directory / "bin"
        self.calls_file = directory / "calls"
        self.calls_file.touch()
        for name in ("local/setup", "local/node", "local/directus", "requirements"):
            shutil.copytree(ROOT / name, self.checkout / name)
        (self.checkout / "local/stripe_simulator").mkdir()
        (self.checkout / "local/stripe_simulator/specification.py").touch()
        self.programs.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.programs / name).symlink_to(found)
        self.program("python3.13", PYTHON)
        self.program("npm", NPM)
        self.program("apt-get", APT)
        self.program("uv", UV)
        shutil.copytree(self.programs, self.of(uv_directory()) / "bin", symlinks=True)

    def program(self, name: str, lines: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    def uv(self, lines: str) -> None:
        (self.of(uv_directory()) / "bin/uv").write_text(f"#!/bin/sh\n{lines}\n")

    def of(self, path: Path) -> Path:
        """The same thing in this machine's cache."""
        return self.cache / path.relative_to(CACHE)

    def command(self, *arguments: str) -> list[str]:
        return ["/bin/sh", str(self.checkout / "local/setup" / arguments[0]), *arguments[1:]]

    @property
    def variables(self) -> dict[str, str]:
        return {
            "CALLS": str(self.calls_file),
            "DIRECTUS_LEGAL_BILLING_CACHE": str(self.cache),
            "HOME": str(self.directory),
            "PATH": str(self.programs),
            "UV": str(self.programs / "uv"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.variables, capture_output=True, text=True, check=False
        )

    def fails(self, *arguments: str) -> str:
        """Run what must fail; return why it says so."""
        outcome = self.run(*arguments)
        assert outcome.returncode == 1, outcome
        assert "Traceback" not in outcome.stderr
        return outcome.stderr

    def calls(self) -> list[str]:
        """What was called since this was last asked."""
        text = self.calls_file.read_text()
        self.calls_file.write_text("")
        return text.splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_everything_is_made_once_and_found_where_the_programs_look(machine: Machine) -> None:
    first = machine.run("run.sh", "stack")
    assert (first.returncode, first.stderr) == (0, "")
    calls = machine.calls()
    assert [call for call in calls if call.startswith("uv")] == [
        *("uv venv .venv", "uv pip dev.txt"),
        *(line for name in ("sam", "ministack", "lambda_runtime") for line in _making(name)),
    ]
    assert [call for call in calls if call.startswith(("npm", "apt-get"))] == [
        "apt-get install",  # a compiler among others, before Directus is compiled
        f"npm in {node_tree().name}.building headers none",
        f"npm in {directus_tree().name}.building headers {machine.of(node_directory())}",
    ]
    for made in (python_environment("ministack"), node_tree(), directus_tree()):
        assert machine.of(made).is_dir()
    machine.program("apt-get", "exit 100")
    for name in ("g++", "python3", "make", "readelf", "setpriv", "bwrap", "fc-match"):
        machine.program(name, "exit 1")
    second = machine.run("run.sh", "stack")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert machine.calls() == []


def test_the_checks_need_neither_npm_nor_packages(machine: Machine) -> None:
    assert machine.run("run.sh", "check").returncode == 0
    assert machine.calls() == ["uv venv .venv", "uv pip dev.txt", *_making("sam")]


def _making(name: str) -> list[str]:
    return [f"uv venv {python_environment(name).name}.building", f"uv pip {name}.txt"]


@pytest.mark.parametrize("name", ["dev", "sam"])
def test_an_environment_whose_making_was_killed_is_made_again(machine: Machine, name: str) -> None:
    machine.uv(f'{UV}\n[ "${{last##*/}}" != {name}.txt ] || kill -9 $PPID')
    assert machine.run("run.sh", "check").returncode < 0
    machine.calls()
    machine.uv(UV)
    assert machine.run("run.sh", "check").returncode == 0
    again = ["uv venv .venv", "uv pip dev.txt"] if name == "dev" else []
    assert machine.calls() == [*again, *_making("sam")]


def test_an_environment_is_made_again_when_its_interpreter_is_gone(machine: Machine) -> None:
    machine.run("run.sh", "check")
    machine.calls()
    interpreter = machine.of(python_environment("sam")) / "bin/python"
    interpreter.unlink()
    interpreter.symlink_to("/nonexistent/python3.13")
    assert machine.run("run.sh", "check").returncode == 0
    assert machine.calls() == _making("sam")


def test_a_new_lock_makes_the_environment_of_the_checkout_anew(machine: Machine) -> None:
    machine.run("run.sh", "check")
    machine.calls()
    (machine.checkout / "requirements/dev.txt").write_text("pytest==1\n")
    assert machine.run("run.sh", "check").returncode == 0
    assert machine.calls() == ["uv venv .venv", "uv pip dev.txt"]


def test_the_environments_become_whole_while_directus_fails(machine: Machine) -> None:
    machine.program("npm", "exit 1")
    assert "npm could not install node" in machine.fails("run.sh", "stack")
    machine.calls()
    machine.program("npm", NPM)
    assert machine.run("run.sh", "stack").returncode == 0
    assert not [call for call in machine.calls() if call.startswith("uv")]


def test_the_interrupt_key_ends_what_runs_side_by_side(machine: Machine) -> None:
    works = 'echo $$ >> "$CALLS"; exec sleep 600'
    machine.uv(works)
    machine.program("npm", works)
    # A test run that a script started in the background hands down that the key is to be ignored.
    command = ["/usr/bin/env", "--default-signal=INT", *machine.command("run.sh", "stack")]
    with subprocess.Popen(command, env=machine.variables, start_new_session=True) as set_up:
        try:
            # `apt-get install` and both
            wait_for("uv and npm", lambda: len(machine.calls_file.read_text().splitlines()) == 3)
            os.killpg(set_up.pid, signal.SIGINT)
            assert set_up.wait(60) != 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(set_up.pid, signal.SIGKILL)
    processes = [int(call) for call in machine.calls() if call.isdecimal()]
    wait_for("their end", lambda: not any(Path(f"/proc/{process}/exe").exists() for process in processes))


def test_an_environment_that_fails_beside_directus_fails_the_set_up(machine: Machine) -> None:
    machine.uv(f"{UV}\n[ ${{last##*/}} != ministack.txt ]")
    assert "uv could not make the Python environment ministack" in machine.fails("run.sh", "stack")


def test_a_wheel_that_cannot_be_had_is_named_and_nothing_counts(machine: Machine) -> None:
    machine.uv(f"{UV}\n[ $1 = venv ] || {{ echo 'error: Failed to fetch the wheel of boto3'; exit 2; }}")
    reason = machine.fails("run.sh", "check")
    assert "Failed to fetch the wheel of boto3" in reason
    assert "Set-up: uv could not make .venv." in reason
    machine.uv(UV)
    assert machine.run("run.sh", "check").returncode == 0


def test_without_npm_it_says_what_to_install(machine: Machine) -> None:
    (machine.programs / "npm").unlink()
    assert "Set-up: npm is needed" in machine.fails("run.sh", "stack")


def test_a_failing_npm_shows_its_last_lines_and_what_it_left_is_thrown_away(machine: Machine) -> None:
    machine.program(
        "npm", "echo half > half-a-file; echo 'npm error ENOSPC: no space left on device'; exit 228"
    )
    reason = machine.fails("run.sh", "stack")
    assert "no space left on device" in reason
    assert "Set-up: npm could not install node." in reason
    machine.program("npm", NPM)
    assert machine.run("run.sh", "stack").returncode == 0
    assert not (machine.of(node_tree()) / "half-a-file").exists()


def test_native_modules_that_do_not_load_do_not_count(machine: Machine) -> None:
    broken = "#!/bin/sh\necho was compiled against a different Node.js version; exit 1"
    machine.program("npm", f"{NPM}\necho '{broken}' > {NODE}/node")
    reason = machine.fails("run.sh", "stack")
    assert "different Node.js version" in reason
    assert "its native modules do not load under Node 22" in reason
    assert not machine.of(directus_tree()).exists()


def test_a_python_of_another_version_is_not_taken(machine: Machine) -> None:
    for name in ("python3.13", "python3"):
        machine.program(name, "exit 1")
    assert "Set-up: Python 3.13 is needed and was not found" in machine.fails("run.sh", "check")


def test_a_python_without_pip_gets_uv_from_another_one(machine: Machine) -> None:
    shutil.rmtree(machine.of(uv_directory()))
    machine.program("python3.11", HAS_PIP)
    assert machine.run("run.sh", "check").returncode == 0
    assert machine.calls()[:2] == ["pip", "uv venv .venv"]


def test_without_any_pip_it_says_what_to_install(machine: Machine) -> None:
    shutil.rmtree(machine.of(uv_directory()))
    assert "install pip (Debian: python3-pip)" in machine.fails("run.sh", "check")


def test_a_pip_that_fails_shows_why_and_leaves_nothing_that_counts(machine: Machine) -> None:
    shutil.rmtree(machine.of(uv_directory()))
    machine.program("python3.11", '[ "$3" = --version ] || { echo "ERROR: no network"; exit 1; }')
    assert "ERROR: no network" in machine.fails("run.sh", "check")
    assert not machine.of(uv_directory()).exists()


def test_two_set_ups_take_turns(machine: Machine) -> None:
    machine.cache.mkdir(exist_ok=True)
    with (machine.cache / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            machine.command("run.sh", "check"), env=machine.variables, stdout=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stdout is not None
            assert "waiting for it" in waiting.stdout.readline()
            assert machine.calls() == []
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert waiting.wait(60) == 0


def test_a_server_that_a_package_starts_does_not_hold_the_lock(machine: Machine) -> None:
    machine.program("apt-get", '[ ! -e /proc/$$/fd/9 ] || echo "holds the lock" >> "$CALLS"')
    assert machine.run("run.sh", "stack").returncode == 0
    assert "holds the lock" not in machine.calls()


def test_old_package_lists_are_read_again(machine: Machine) -> None:
    machine.program("apt-get", f'{APT}\n[ "$1" != install ] || grep -q update "$CALLS"')
    assert machine.run("apt.sh", "stack").returncode == 0
    assert machine.calls() == ["apt-get install", "apt-get update", "apt-get install"]


def test_packages_that_cannot_be_installed_stop_it_before_directus(machine: Machine) -> None:
    machine.program("apt-get", "echo 'E: Unable to locate package g++'; exit 100")
    reason = machine.fails("run.sh", "stack")
    assert "Unable to locate package g++" in reason
    assert "Set-up: apt-get could not install" in reason
    assert not [call for call in machine.calls() if call.startswith("npm")]


def test_who_may_not_install_packages_is_told_which_and_what_for(machine: Machine) -> None:
    (machine.programs / "id").unlink()
    machine.program("id", "echo 1000")
    reason = machine.fails("apt.sh", "tests")
    assert "only an administrator can install them" in reason
    assert "qpdf (the PDF tests)" in reason
    for name in ("make", "setpriv", "fc-match", "chromium", "pdftoppm", "qpdf"):
        machine.program(name, "exit 1")
    optional = machine.run("apt.sh", "tests")
    assert optional.returncode == 0
    assert "bubblewrap (the functions' sandbox). Going on without." in " ".join(optional.stderr.split())


def test_environments_of_two_interpreters_do_not_meet(tmp_path: Path) -> None:
    other = "import sys; sys.base_prefix = '/opt/another'; from local.setup.paths import python_environment"
    names = {
        subprocess.run(
            [sys.executable, "-c", f"{code}; print(python_environment('sam').name)"],
            cwd=ROOT,
            env={"DIRECTUS_LEGAL_BILLING_CACHE": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for code in (other, "from local.setup.paths import python_environment")
    }
    assert len(names) == 2


@pytest.mark.parametrize("lock", ["local/node", "local/directus"])
def test_npm_locks_carry_hashes_but_no_addresses(lock: str) -> None:
    text = (ROOT / lock / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert text.count('"integrity"') >= 2


def test_python_locks_carry_hashes_but_no_addresses() -> None:
    locks = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("layers/*/requirements.txt")]
    assert len(locks) >= 6
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text, lock
        assert "--hash=sha256:" in text, lock
        assert "--index-url" not in text, lock
