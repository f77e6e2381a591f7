"""Runs the static checks side by side: ruff, mypy, cfn-lint, sam validate --lint.

    python -m local.check

Prints one line per check, and the output of those that fail; exit code 1 if any does.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from local.adapter.build import sam_environment
from local.setup.paths import DEVELOPMENT, ROOT, python_environment


@dataclass(frozen=True)
class Check:
    """A command that must end with 0."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


def checks() -> list[Check]:
    """Return the checks, slowest first, so that two at a time end together."""
    tools = DEVELOPMENT / "bin"
    sam = python_environment("sam") / "bin"
    return [
        Check("mypy", [f"{tools}/mypy"], {}),
        Check("sam validate --lint", [f"{sam}/sam", "validate", "--lint"], sam_environment()),
        Check("cfn-lint", [f"{sam}/cfn-lint", "template.yaml"], sam_environment()),
        Check("ruff check", [f"{tools}/ruff", "check"], {}),
        Check("ruff format --check", [f"{tools}/ruff", "format", "--check"], {}),
    ]


PARALLEL: Final = 2


def run(check: Check) -> tuple[Check, subprocess.CompletedProcess[str], float]:
    """Run one check; return it with its outcome and its seconds."""
    began = time.monotonic()
    outcome = subprocess.run(
        check.arguments,
        cwd=ROOT,
        env={**os.environ, **check.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return check, outcome, time.monotonic() - began


def main() -> int:
    """Run all checks; return the exit code."""
    failed = []
    with ThreadPoolExecutor(max_workers=PARALLEL) as threads:
        for check, outcome, seconds in threads.map(run, checks()):
            print(
                f"  {check.name}: {'failed' if outcome.returncode else 'clean'} ({seconds:.1f} s)", flush=True
            )
            if outcome.returncode:
                failed.append(check.name)
                print(outcome.stdout, flush=True)
    if failed:
        sys.stderr.write(f"These checks failed: {', '.join(failed)}.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
