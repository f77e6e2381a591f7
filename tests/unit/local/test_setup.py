"""The set-up with programs in the place of npm and node, in a cache of its own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from local.setup.__main__ import wanted_packages
from local.setup.paths import CACHE, ROOT, directus_tree, node_tree
from local.setup.python_environments import uv_program

MACHINE = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NODE = f"node_modules/node-linux-{MACHINE}/bin/node"
INSTALLS_NODE = f"""mkdir -p node_modules/node-linux-{MACHINE}/bin
printf '#!/bin/sh\\nexit 0\\n' > {NODE} && chmod +x {NODE}
echo called >> "$CALLS"
"""


class Machine:
    """A directory with its own cache and its own programs."""

    def __init__(self, directory: Path) -> None:
        self.cache = directory / "cache"
        self.programs = directory / "bin"
        self.calls = directory / "calls"
        self.programs.mkdir()

    def program(self, name: str, lines: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    def run(self, step: str) -> subprocess.CompletedProcess[str]:
        """Run one step of the set-up; its problem, if any, is the standard error."""
        return self.evaluate(f"{step}(Progress())")

    def evaluate(self, expression: str) -> subprocess.CompletedProcess[str]:
        """Evaluate an expression of the set-up's names; its problem, if any, is the standard error."""
        code = (
            "import sys\nfrom local.problem import Problem\nfrom local.setup.node import install_directus, install_node\n"
            "from local.setup.__main__ import AFTER_PACKAGES, install_side_by_side\n"
            "from local.setup.python_environments import install_environment\n"
            "from local.setup.system_packages import SystemPackage, install_system_packages\n"
            f"from local.setup.progress import Progress\ntry:\n    {expression}\n"
            "except Problem as problem:\n    sys.exit(str(problem))\n"
        )
        environment = {
            "CALLS": str(self.calls),
            "DIRECTUS_LEGAL_BILLING_CACHE": str(self.cache),
            "PATH": f"{self.programs}:{self.tools()}",
        }
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def tools(self) -> str:
        """The few programs that the stand-ins use, and nothing else of this machine."""
        folder = self.programs.parent / "tools"
        if not folder.exists():
            folder.mkdir()
            for name in ("mkdir", "chmod", "printf", "sh", "touch", "sleep", "grep", "seq", "ln"):
                real = next(path for path in (Path("/usr/bin", name), Path("/bin", name)) if path.exists())
                (folder / name).symlink_to(real)
        return str(folder)

    def of(self, tree: Path) -> Path:
        """The same tree in this machine's cache."""
        return self.cache / tree.name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_npm_the_set_up_says_what_to_install(machine: Machine) -> None:
    outcome = machine.run("install_node")
    assert outcome.returncode == 1
    assert "npm is needed" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_node_is_installed_once(machine: Machine) -> None:
    machine.program("npm", INSTALLS_NODE)
    assert machine.run("install_node").returncode == 0
    assert machine.run("install_node").returncode == 0
    assert machine.calls.read_text() == "called\n"
    assert os.access(machine.of(node_tree()) / NODE, os.X_OK)


def test_a_failing_npm_shows_its_last_lines_and_leaves_nothing_that_counts(machine: Machine) -> None:
    machine.program("npm", "echo 'npm error ENOSPC: no space left on device'; exit 228")
    outcome = machine.run("install_node")
    assert outcome.returncode == 1
    assert "npm could not install node. It ended with exit code 228" in outcome.stderr
    assert "no space left on device" in outcome.stderr
    assert not machine.of(node_tree()).exists()


def test_what_an_interrupted_install_left_is_thrown_away(machine: Machine) -> None:
    left = machine.cache / f"{node_tree().name}.building"
    left.mkdir(parents=True)
    (left / "half-a-file").write_text("")
    machine.program("npm", INSTALLS_NODE)
    assert machine.run("install_node").returncode == 0
    assert not (machine.of(node_tree()) / "half-a-file").exists()
    assert not left.exists()


def test_native_modules_that_do_not_load_do_not_count(machine: Machine) -> None:
    machine.program("npm", "mkdir node_modules")
    machine.program("node", "echo 'Error: was compiled against a different Node.js version' >&2; exit 1")
    outcome = machine.run("install_directus")
    assert outcome.returncode == 1
    assert "its native modules do not load under Node 22" in outcome.stderr
    assert "different Node.js version" in outcome.stderr
    assert not machine.of(directus_tree()).exists()


def test_directus_is_built_with_the_headers_of_node_22(machine: Machine) -> None:
    machine.program("npm", 'mkdir node_modules; echo "$npm_config_nodedir" > node_modules/nodedir')
    machine.program("node", "exit 0")
    assert machine.run("install_directus").returncode == 0
    tree = machine.of(directus_tree())
    assert (tree / "node_modules/nodedir").read_text().strip().endswith(f"node_modules/node-linux-{MACHINE}")
    assert (tree / "package-lock.json").exists()


APT_WAITS_FOR_NODE = """[ "$1" = update ] && exit 0
for _ in $(seq 200); do grep -q node "$CALLS" && break; sleep 0.05; done
# Half a second in which a Directus that does not wait would show itself.
for _ in $(seq 10); do grep -q directus "$CALLS" && break; sleep 0.05; done
echo "apt $*" >> "$CALLS"
"""
NPM_TELLS_WHAT_IT_INSTALLS = f"""case "$PWD" in
*directus-*) echo directus >> "$CALLS"; mkdir node_modules ;;
*) echo node >> "$CALLS"
mkdir -p node_modules/node-linux-{MACHINE}/bin
printf '#!/bin/sh\\nexit 0\\n' > {NODE} && chmod +x {NODE} ;;
esac
"""
DIRECTUS_NEEDS_A_COMPILER = (
    "install_side_by_side([install_node, AFTER_PACKAGES, install_directus],"
    " packages=lambda progress: install_system_packages("
    "[SystemPackage('g++', lambda: False, 'compiling')], progress), progress=Progress())"
)


def test_directus_is_installed_when_the_compiler_is_there_and_node_beside_it(machine: Machine) -> None:
    machine.calls.touch()
    machine.program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
    machine.program("apt-get", APT_WAITS_FOR_NODE)
    machine.program("npm", NPM_TELLS_WHAT_IT_INSTALLS)
    outcome = machine.evaluate(DIRECTUS_NEEDS_A_COMPILER)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    installs = "apt install --yes --no-install-recommends g++"
    assert machine.calls.read_text().splitlines() == ["node", installs, "directus"]


def test_directus_is_not_begun_when_the_compiler_cannot_be_had(machine: Machine) -> None:
    machine.calls.touch()
    machine.program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
    machine.program("apt-get", "echo 'E: Unable to locate package g++'; exit 100")
    machine.program("npm", NPM_TELLS_WHAT_IT_INSTALLS)
    outcome = machine.evaluate(DIRECTUS_NEEDS_A_COMPILER)
    assert outcome.returncode == 1
    assert "Unable to locate package g++" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "directus" not in machine.calls.read_text()


@pytest.mark.parametrize("purpose", ["stack", "tests"])
def test_a_compiler_is_wanted_until_directus_is_built(purpose: str) -> None:
    before = {package.name for package in wanted_packages(purpose, directus_is_built=False)}
    afterwards = {package.name for package in wanted_packages(purpose, directus_is_built=True)}
    assert before - afterwards == {"g++", "python3"}
    assert "make" in afterwards  # sam build


def test_the_checks_alone_want_no_package() -> None:
    assert wanted_packages("check", directus_is_built=False) == []


UV_MAKES_ENVIRONMENTS = f"""echo "uv $1" >> "$CALLS"
[ "$1" = venv ] || exit 0
for last in "$@"; do :; done
mkdir -p "$last/bin" && ln -s {sys.executable} "$last/bin/python"
"""


def test_an_environment_is_made_again_when_its_interpreter_is_gone(machine: Machine) -> None:
    uv = machine.cache / uv_program().relative_to(CACHE)
    uv.parent.mkdir(parents=True)
    uv.write_text(f"#!/bin/sh\n{UV_MAKES_ENVIRONMENTS}")
    uv.chmod(0o755)
    made = ["uv venv", "uv pip"]
    assert machine.evaluate("install_environment('sam', Progress())").returncode == 0
    assert machine.evaluate("install_environment('sam', Progress())").returncode == 0
    assert machine.calls.read_text().splitlines() == made

    (environment,) = (machine.cache / "environments").iterdir()
    (environment / "bin/python").unlink()
    (environment / "bin/python").symlink_to("/nonexistent/python3.13")
    assert machine.evaluate("install_environment('sam', Progress())").returncode == 0
    assert machine.calls.read_text().splitlines() == made * 2
    assert os.access(environment / "bin/python", os.X_OK)


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
