"""Runs the machine's own programs."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .refusal import Refusal


def run(
    arguments: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Return a program's standard output.

    Raises `Refusal` when the program is missing, or with the last line it wrote about an error when it fails.
    """
    words = [str(argument) for argument in arguments]
    if shutil.which(words[0]) is None:
        raise Refusal(f"the program {words[0]} is missing")
    outcome = subprocess.run(  # noqa: S603 - the builder's own command lines
        words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if outcome.returncode:
        raise Refusal(f"{Path(words[0]).name} failed ({complaint(outcome.stderr)})")
    return outcome.stdout


def complaint(text: str) -> str:
    """Return the most telling line of a program's error output: the first marked as an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("E:", "ERROR:", "Error:"))]
    return (marked or lines[-1:] or ["it said nothing"])[0].rstrip(".")[:300]
