"""The set-up with programs in the place of npm and node, in a cache of its own."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from local.setup.paths import ROOT, directus_tree, node_tree

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
        code = (
            "import sys\nfrom local.problem import Problem\nfrom local.setup.node import install_directus, install_node\n"
            f"from local.setup.progress import Progress\ntry:\n    {step}(Progress())\n"
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
            for name in ("mkdir", "chmod", "printf", "sh", "touch", "sleep"):
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
