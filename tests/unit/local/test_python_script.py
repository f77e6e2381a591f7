"""`python.sh` with programs in the place of Python and pip, in a checkout and a cache of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.setup.paths import ROOT
from local.setup.python_environments import uv_version

IS_313 = f"""case "$1 $2" in
"-m pip") echo 'No module named pip' >&2; exit 1 ;;
*_base_executable*) echo "$0" ;;
*) exec {sys.executable} "$@" ;;
esac"""
"""As Debian's python3.13: it runs and has no pip."""

HAS_PIP = """case "$1 $2 $3" in
"-m pip --version") exit 0 ;;
"-m pip install") [ -z "${NO_NETWORK:-}" ] || { echo 'ERROR: no network' >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" = --target ] && target="$2"; shift; done
mkdir -p "$target/bin" && printf '#!/bin/sh\\necho "uv $*" >> "%s"; [ "$2" != find ] || echo "%s"\\n' "$CALLS" "$INSTALLED" > "$target/bin/uv"
chmod +x "$target/bin/uv"; echo pip >> "$CALLS" ;;
*) exit 1 ;;
esac"""
"""An older Python with pip."""


class Checkout:
    """What `python.sh` reads, and programs of its own on PATH."""

    def __init__(self, directory: Path) -> None:
        self.cache = directory / "cache"
        self.calls = directory / "calls"
        self.programs = directory / "bin"
        self._root = directory / "checkout"
        (self._root / "local/setup").mkdir(parents=True)
        (self._root / "requirements").mkdir()
        self.programs.mkdir()
        self.calls.touch()
        shutil.copy(ROOT / "local/setup/python.sh", self._root / "local/setup/python.sh")
        for name in ("uv.in", "uv.txt"):
            shutil.copy(ROOT / "requirements" / name, self._root / "requirements" / name)
        for name in ("cat", "chmod", "dirname", "mkdir", "mv", "printf", "rm", "sed", "sh", "tail"):
            (self.programs / name).symlink_to(
                next(p for p in (Path("/usr/bin", name), Path("/bin", name)) if p.exists())
            )

    @property
    def uv(self) -> Path:
        return self.cache / f"uv-{uv_version()}/bin/uv"

    def program(self, name: str, lines: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "CALLS": str(self.calls),
            "DIRECTUS_LEGAL_BILLING_CACHE": str(self.cache),
            "HOME": str(self._root),
            "PATH": str(self.programs),
            **variables,
        }
        return subprocess.run(
            ["sh", self._root / "local/setup/python.sh"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_python_without_pip_gets_uv_from_another_python(checkout: Checkout) -> None:
    checkout.program("python3.13", IS_313)
    checkout.program("python3.11", HAS_PIP)
    first, second = checkout.run(), checkout.run()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.strip() == str(checkout.programs / "python3.13")
    assert second.stdout == first.stdout
    assert checkout.uv.exists()
    assert checkout.calls.read_text() == "pip\n"


def test_without_python_313_uv_brings_one(checkout: Checkout) -> None:
    checkout.program("python3.11", HAS_PIP)
    checkout.program("brought", IS_313)
    outcome = checkout.run(INSTALLED=str(checkout.programs / "brought"))
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == str(checkout.programs / "brought")
    assert checkout.calls.read_text().splitlines() == ["pip", "uv python install 3.13", "uv python find 3.13"]


def test_without_any_pip_it_says_what_to_install(checkout: Checkout) -> None:
    checkout.program("python3.13", IS_313)
    outcome = checkout.run()
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "install pip (Debian: python3-pip)" in outcome.stderr


def test_a_pip_that_fails_shows_why_and_leaves_nothing_that_counts(checkout: Checkout) -> None:
    checkout.program("python3.13", IS_313)
    checkout.program("python3.11", HAS_PIP)
    outcome = checkout.run(NO_NETWORK="1")
    assert outcome.returncode == 1
    assert "ERROR: no network" in outcome.stderr
    assert not list(checkout.cache.glob("uv-*"))
