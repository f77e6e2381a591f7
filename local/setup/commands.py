"""Running the installers' programs, their output kept in a file."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from local.problem import Problem
from local.setup.paths import LOGS

TAIL_LINES: Final = 12

_running: set[subprocess.Popen[bytes]] = set()
"""Programs at work in any thread, so that one failure need not wait for the others."""


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
            program = subprocess.Popen(
                [str(part) for part in arguments],
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Problem(f"{sentence} ({error})") from error
        _running.add(program)
        try:
            code = program.wait()
        except BaseException:
            stop(program)
            raise
        finally:
            _running.discard(program)
    if code:
        raise Problem(
            f"{sentence} It ended with exit code {code}; its last lines, from {path}:\n{tail(path)}"
        )


def stop(program: subprocess.Popen[bytes]) -> None:
    """End a program and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)


def stop_all() -> None:
    """End every program at work; what it was building does not count."""
    for program in tuple(_running):
        stop(program)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a text file, indented; empty when there is no such file."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
