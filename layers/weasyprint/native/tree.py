"""Makes a folder the same bytes each time: byte code that trusts its source, fixed times and modes, one hash over all."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MODIFIED: Final = 1577836800
"""2020-01-01T00:00:00Z: a zip file cannot hold anything before 1980, in no time zone."""

FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755


def compile_python(python: Path, seen_at: str) -> None:
    """Compile every module; Lambda cannot keep what Python compiles. `seen_at` is what tracebacks name.

    A program of its own with fixed hashes, in one process and in sorted order: the same byte code each time.
    """
    subprocess.run(  # noqa: S603 - this interpreter
        [
            *(sys.executable, "-I", "-m", "compileall", "-q", "-j", "1", "-o", "0"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(python), "-p", seen_at, str(python)),
        ],
        stdout=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
        check=True,
    )


def members(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder, sorted by name."""
    yield from sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())


def settle(folder: Path) -> None:
    """Give every file and folder its fixed mode and time; symbolic links are not allowed."""
    # Children before their folder, whose own time they would change.
    for path in (*reversed(list(members(folder))), folder):
        if path.is_symlink():
            message = f"{path} is a symbolic link"
            raise AssertionError(message)
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        os.utime(path, (MODIFIED, MODIFIED))


def tree_hash(folder: Path) -> str:
    """Return the SHA-256 over names, kinds, modes, times and bytes of everything below the folder."""
    total = hashlib.sha256()
    for path in members(folder):
        facts = path.lstat()
        kind = "folder" if path.is_dir() else "file"
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\0{kind}\0{stat.S_IMODE(facts.st_mode):o}\0{int(facts.st_mtime)}\0".encode())
        if path.is_file():
            content = path.read_bytes()
            total.update(f"{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()


def size_of(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
