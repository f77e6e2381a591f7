"""Debian packages for what no wheel brings: a compiler, the sandbox, a browser, PDF programs, fonts, PostgreSQL."""

import glob
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.problem import Problem
from local.setup.commands import run
from local.setup.progress import Progress


def _command(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


def _file(*patterns: str) -> Callable[[], bool]:
    return lambda: any(glob.glob(pattern) for pattern in patterns)  # noqa: PTH207 - absolute patterns


def _library(name: str) -> Callable[[], bool]:
    folders = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib/*-linux-gnu", "/usr/lib/*-linux-gnu")
    return _file(*(f"{folder}/{name}*" for folder in folders))


@dataclass(frozen=True)
class SystemPackage:
    """A Debian package, how to see that what it brings is there, and what it is for."""

    name: str
    present: Callable[[], bool]
    purpose: str
    required: bool = True


STACK: Final = (
    SystemPackage("make", _command("make"), "sam build of the layer `billing`"),
    SystemPackage("binutils", _command("readelf"), "the PDF layer's gates", required=False),
    SystemPackage("util-linux", _command("setpriv"), "functions that end with the emulator"),
    SystemPackage("bubblewrap", _command("bwrap"), "the functions' sandbox", required=False),
    SystemPackage("libpango-1.0-0", _library("libpango-1.0.so"), "PDF rendering"),
    SystemPackage("libpangoft2-1.0-0", _library("libpangoft2-1.0.so"), "PDF rendering"),
    SystemPackage("libharfbuzz-subset0", _library("libharfbuzz-subset.so"), "PDF rendering"),
    SystemPackage("fontconfig", _command("fc-match"), "PDF rendering"),
    SystemPackage("fonts-inter", _file("/usr/share/fonts/*/inter/Inter-*"), "the invoice's typeface"),
    SystemPackage(
        "fonts-droid-fallback",
        _file("/usr/share/fonts/*/droid/DroidSansFallbackFull.ttf"),
        "names in Chinese and Japanese",
    ),
    SystemPackage("fonts-dejavu-core", _file("/usr/share/fonts/*/dejavu/DejaVuSans.ttf"), "PDF rendering"),
)
COMPILERS: Final = (
    SystemPackage("g++", _command("g++"), "Directus's native modules", required=False),
    SystemPackage("make", _command("make"), "Directus's native modules", required=False),
    SystemPackage("python3", _command("python3"), "node-gyp, which compiles them", required=False),
)
"""Wanted while Directus is not built yet: isolated-vm and sqlite3 are compiled where npm brings no built ones."""
CHROMIUM: Final = SystemPackage(
    "chromium", _command("chromium", "chromium-browser"), "the browser tests and the benchmark"
)
BENCH: Final = (CHROMIUM,)
TESTS: Final = (
    CHROMIUM,
    SystemPackage("poppler-utils", _command("pdftoppm"), "the PDF tests"),
    SystemPackage("qpdf", _command("qpdf"), "the PDF tests"),
    SystemPackage(
        "postgresql", lambda: postgresql_programs() is not None, "the tests of Directus on PostgreSQL"
    ),
)


def postgresql_programs() -> Path | None:
    """Return the directory of `initdb`, `postgres` and `pg_isready`, the newest version's; None where there is none."""
    # sorted by number: 9.6 is older than 15
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    for folder in (*reversed(versions), Path("/usr/local/pgsql/bin")):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready")):
            return folder
    return None


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdecimal())


def unprivileged_user() -> str | None:
    """Return who runs PostgreSQL, which refuses root: `postgres` if there is one, else `nobody`; None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def install_system_packages(wanted: Sequence[SystemPackage], progress: Progress) -> None:
    """Install what is missing with apt-get when this user may; otherwise say which packages are needed."""
    missing = [package for package in wanted if not package.present()]
    if not missing:
        return
    names = list(dict.fromkeys(package.name for package in missing))
    prefix = _privilege()
    if prefix is None or not shutil.which("apt-get"):
        _give_up(missing, progress)
        return
    with progress.step(f"Debian packages {' '.join(names)}"):
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        install = [*prefix, "apt-get", "install", "--yes", "--no-install-recommends", *names]
        if any(Path("/var/lib/apt/lists").glob("*_Packages*")):
            try:
                run(install, log="apt", sentence="apt-get could not install.", environment=environment)
            except Problem:
                progress.say("  apt-get: the package lists are old, reading them again")
            else:
                return
        run(
            [*prefix, "apt-get", "update"],
            log="apt",
            sentence="apt-get could not read the package lists.",
            environment=environment,
        )
        run(
            install,
            log="apt",
            sentence=f"apt-get could not install {' '.join(names)}.",
            environment=environment,
        )


def _privilege() -> list[str] | None:
    """Return what to put before a command that needs root: nothing as root, sudo where it asks nothing."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
        if allowed:
            return ["sudo", "-n"]
    return None


def _give_up(missing: Sequence[SystemPackage], progress: Progress) -> None:
    listed = "; ".join(f"{package.name} ({package.purpose})" for package in missing)
    sentence = f"These system packages are missing and only an administrator can install them: {listed}."
    if any(package.required for package in missing):
        raise Problem(sentence)
    progress.say(f"  {sentence} Going on without.")
