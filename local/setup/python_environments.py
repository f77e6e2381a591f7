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

COMPILED: Final = frozenset({"lambda_runtime", "ministack", "sam"})
"""Environments whose modules are byte-compiled at once: mounted read-only in the functions' sandbox
(`lambda_runtime`), or started so often that a first slow start would be felt."""

MARK: Final = ".lock-digest"


def uv_version() -> str:
    """Return the pinned version of uv."""
    for line in (ROOT / "requirements/uv.in").read_text().splitlines():
        if line.startswith("uv=="):
            return line.removeprefix("uv==").strip()
    raise Problem("requirements/uv.in names no version of uv.")


def uv_program() -> Path:
    """Return the path of the pinned uv."""
    return CACHE / f"uv-{uv_version()}" / "bin" / "uv"


def install_uv(progress: Progress) -> None:
    """Bring the pinned uv with pip, unless it is there."""
    program = uv_program()
    if program.exists():
        return
    final = program.parents[1]
    building = final.with_name(f"{final.name}.building")
    with progress.step(f"uv {uv_version()}"):
        shutil.rmtree(building, ignore_errors=True)
        run(
            [
                *(sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"),
                *("--target", building, "-r", lock_file("uv")),
            ],
            log="uv",
            sentence="pip could not install uv.",
        )
        building.rename(final)


def install_environment(name: str, progress: Progress) -> None:
    """Make the environment `name` hold exactly what its lock says; does nothing when it already does."""
    if name == "dev":
        _synchronise_development(progress)
        return
    final = python_environment(name)
    if final.exists():
        return
    with progress.step(f"Python environment {name}"):
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


def _synchronise_development(progress: Progress) -> None:
    """`.venv` is changed in place: editors and running programs hold on to it."""
    mark = DEVELOPMENT / MARK
    wanted = digest(lock_file("dev"), extra=str(ROOT))
    if mark.exists() and mark.read_text() == wanted and os.access(DEVELOPMENT / "bin/python", os.X_OK):
        return
    with progress.step("Python environment .venv"):
        mark.unlink(missing_ok=True)
        if not os.access(DEVELOPMENT / "bin/python3.13", os.X_OK):
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
