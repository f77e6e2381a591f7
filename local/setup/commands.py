"""Running the installers' programs, their output kept in a file."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from local.problem import Problem
from local.setup.paths import LOGS

TAIL_LINES: Final = 12


def run(
    arguments: Sequence[str | Path],
    *,
    log: str,
    sentence: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end, both its outputs in `<cache>/logs/<log>.log`.

    Raises `Problem` with `sentence`, the last lines of the output and the log's path when it fails.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    with path.open("ab") as output:
        output.write(f"\n$ {' '.join(str(part) for part in arguments)}\n".encode())
        output.flush()
        try:
            code = subprocess.run(
                [str(part) for part in arguments],
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        except OSError as error:
            raise Problem(f"{sentence} ({error})") from error
    if code:
        raise Problem(
            f"{sentence} It ended with exit code {code}; its last lines, from {path}:\n{tail(path)}"
        )


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a text file, indented; empty when there is no such file."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
