"""uv, and the Python environments it makes from the hashed locks."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from local.problem import Problem
from local.setup.commands import run
from local.setup.paths import CACHE, DEVELOPMENT, ROOT, digest, lock_file, python_environment
from local.setup.progress import Progress

COMPILED: Final = frozenset({"bench", "lambda_runtime", "ministack", "sam"})
"""Environments whose modules are byte-compiled at once: mounted read-only in the functions' sandbox
(`lambda_runtime`), started so often that a first slow start would be felt, or compared by its start (`bench`)."""

MARK: Final = ".lock-digest"


def uv_version() -> str:
    """Return the pinned version of uv."""
    for line in (ROOT / "requirements/uv.in").read_text().splitlines():
        if line.startswith("uv=="):
            return line.removeprefix("uv==").strip()
    raise Problem("requirements/uv.in names no version of uv.")


def uv_program() -> Path:
    """Return the path of the pinned uv; `python.sh` brings it before any of this runs."""
    return CACHE / f"uv-{uv_version()}" / "bin" / "uv"


def install_environment(name: str, progress: Progress) -> None:
    """Make the environment `name` hold exactly what its lock says; does nothing when it already does."""
    if name == "dev":
        _synchronise_development(progress)
        return
    final = python_environment(name)
    if _runs(final):
        return
    with progress.step(f"Python environment {name}"):
        shutil.rmtree(final, ignore_errors=True)  # of an interpreter that is gone
        building = final.with_name(f"{final.name}.building")
        shutil.rmtree(building, ignore_errors=True)
        building.parent.mkdir(parents=True, exist_ok=True)
        # Relocatable, so that the rename below is what makes it exist: an interrupted install never counts.
        _uv("venv", "--relocatable", "--python", sys.executable, building, log=name)
        compile_option = ["--compile-bytecode"] if name in COMPILED else []
        _uv(
            *("pip", "install", "--require-hashes", *compile_option),
            *("--python", building / "bin/python", "-r", lock_file(name)),
            log=name,
        )
        building.rename(final)


def _runs(environment: Path) -> bool:
    """Whether the environment is there and its interpreter still is: links dangle after an upgrade of Python."""
    return os.access(environment / "bin/python", os.X_OK)


def _made_with(environment: Path) -> str | None:
    """Return the prefix of the Python that an environment was made with, as its `pyvenv.cfg` says."""
    for line in (environment / "pyvenv.cfg").read_text().splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home":
            return os.path.realpath(Path(value.strip()).parent)
    return None


def _synchronise_development(progress: Progress) -> None:
    """`.venv` is changed in place: editors and running programs hold on to it.

    Only another interpreter makes it anew: the other environments are found by the interpreter `.venv` has.
    """
    mark = DEVELOPMENT / MARK
    wanted = digest(lock_file("dev"), extra=str(ROOT))
    usable = _runs(DEVELOPMENT) and _made_with(DEVELOPMENT) == os.path.realpath(sys.base_prefix)
    if usable and mark.exists() and mark.read_text() == wanted:
        return
    with progress.step("Python environment .venv"):
        mark.unlink(missing_ok=True)
        if not usable:
            shutil.rmtree(DEVELOPMENT, ignore_errors=True)
            _uv("venv", "--python", sys.executable, DEVELOPMENT, log="dev")
        _uv(
            *("pip", "sync", "--require-hashes"),
            *("--python", DEVELOPMENT / "bin/python", lock_file("dev")),
            log="dev",
        )
        # Our own package is imported from its sources; the layer holds a copy of the same folder.
        packages = DEVELOPMENT / "lib/python3.13/site-packages"
        (packages / "directus-legal-billing.pth").write_text(f"{ROOT / 'layers/billing'}\n")
        mark.write_text(wanted)


def _uv(*arguments: str | Path, log: str) -> None:
    run(
        [uv_program(), *arguments],
        log=log,
        sentence=f"uv could not make the Python environment {log}.",
        # A file lock of uv's own may be held by another checkout's set-up; hard links work inside one disk.
        environment={"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""},
    )
