"""`sam build`, once per state of the sources; the result is shared by every stack on this machine."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from local.adapter.pdf_layer import PdfLayer, prepare
from local.problem import Problem
from local.setup.paths import CACHE, LOGS, digest, lock_file, python_environment
from local.supervisor import tail

SOURCES: Final = ("template.yaml", "functions", "layers")
KEPT_BUILDS: Final = 4
"""Older results are removed, unless a stack claims them."""


def source_files(root: Path) -> Iterator[Path]:
    """Yield every file that `sam build` reads, sorted, without what Python leaves beside sources."""
    for name in SOURCES:
        path = root / name
        if path.is_file():
            yield path
        else:
            yield from sorted(
                file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts
            )


def source_digest(root: Path) -> str:
    """Return the key of a build: names, contents and executable bits of the sources and the SAM lock."""
    total = hashlib.sha256(digest(lock_file("sam"), extra=sys.version).encode())
    for file in source_files(root):
        executable = os.access(file, os.X_OK)
        total.update(f"{file.relative_to(root)}\0{executable}\0{file.stat().st_size}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def built(root: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Return the directory that holds the built `template.yaml` and its artifacts, building when needed.

    `say` reports when the PDF layer cannot be built here; the functions then use this machine's Pango and fonts.
    Raises `Problem` with the last lines of SAM's output when the build fails.
    """
    builds = CACHE / "builds"
    builds.mkdir(parents=True, exist_ok=True)
    # One build at a time: SAM's own cache of layers is shared and not made for two.
    with (builds / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        layer = prepare(root)
        if layer.reason:
            say(f"  PDFs are rendered with this machine's Pango and fonts. {layer.reason}")
        final = builds / f"{source_digest(root)}-{layer.key}"
        if not final.exists():
            _build(root, final, layer)
        os.utime(final)
        prune(builds)
    return final / "build"


def sam_environment() -> dict[str, str]:
    """Return the variables `sam` runs with: no telemetry, no account, a real Python 3.13 first on PATH.

    SAM refuses pyenv's shims, so the directory of the interpreter itself is named.
    """
    python = Path(sys.base_prefix) / "bin"
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PATH": f"{python}:{python_environment('sam') / 'bin'}:{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
    }


def _build(root: Path, final: Path, layer: PdfLayer) -> None:
    building = final.with_name(f"{final.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    log = LOGS / "sam-build.log"
    LOGS.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        outcome = subprocess.run(
            [
                *(python_environment("sam") / "bin/sam", "build", "--cached", "--parallel"),
                *("--template-file", root / "template.yaml", "--base-dir", root),
                *("--build-dir", building / "build", "--cache-dir", CACHE / "sam" / layer.key),
                *("--parameter-overrides", f"Architecture={layer.architecture}"),
            ],
            cwd=building,
            env={**os.environ, **sam_environment(), **layer.variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if outcome.returncode:
        raise Problem(f"sam build failed; its last lines, from {log}:\n{tail(log)}")
    building.rename(final)


def claim(build: Path, facts: Path) -> None:
    """Keep a build for a stack: as long as the file `facts` of the stack names it, it is not removed."""
    key = hashlib.sha256(str(facts).encode()).hexdigest()[:16]
    (build.parent / f"claimed-{key}").write_text(str(facts))


def prune(builds: Path, keep: int = KEPT_BUILDS) -> None:
    """Remove all but the last used `keep` builds and those that a stack still claims."""
    found = [path for path in builds.iterdir() if path.is_dir()]
    for path in sorted(found, key=lambda build: -build.stat().st_mtime)[keep:]:
        if not _is_claimed(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_claimed(build: Path) -> bool:
    for note in build.glob("claimed-*"):
        facts = Path(note.read_text())
        if facts.exists() and str(build) in facts.read_text():
            return True
    return False
