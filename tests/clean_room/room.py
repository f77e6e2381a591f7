"""A room that has what Lambda has and nothing else: to prove that the layer lacks nothing.

The root is empty but for GLIBC, Python with the libraries that Python itself is linked to, and the layers merged at
`/opt` as Lambda merges them. No Pango, no fonts, no shell, no network; everything is read-only but `/tmp`; an
unprivileged user; Lambda's order of library folders. GLIBC is this machine's: that the layer asks for none newer than
Lambda's is a gate of its build.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from layers.weasyprint.native.elf import GLIBC
from local.setup.paths import ROOT, python_environment

GCC: Final = "libgcc_s.so.1"
"""In every manylinux wheel's list of what the system brings; in Amazon Linux's base. The PDF layer does without."""

TMP: Final = "/tmp"  # noqa: S108 - the room's
TMP_BYTES: Final = 512 * 1024 * 1024
LIBRARY_PATH: Final = (
    "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
)
PYTHON: Final = "/var/lang/bin/python3.13"
SECONDS: Final = 120
NOT_IN_LAMBDA: Final = ("_tkinter", "_curses", "readline", "_dbm", "_gdbm", "_test", "xx")
"""Beginnings of Python's own modules that pull in this machine's windows, terminals and, through them, fonts."""


@dataclass(frozen=True)
class Room:
    """`opt` is the merged layers; `hidden` are folders of the room that stay empty, to see what is missed."""

    opt: Path
    task: Path
    hidden: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, stage: str) -> dict[str, Any]:
        """Run one stage of `inside.py` in a fresh process; return what it tells.

        Raises `AssertionError` with its error output when it fails.
        """
        outcome = subprocess.run(
            [*self.command(), PYTHON, "/mnt/inside.py", stage],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={},
        )
        assert outcome.returncode == 0, outcome.stderr[-3000:]
        told: dict[str, Any] = json.loads(outcome.stdout.splitlines()[-1])
        return told

    def command(self) -> list[str]:
        """Return bubblewrap's command line, without the program to run."""
        runtime = python_environment("lambda_runtime") / "lib/python3.13/site-packages"
        mounts = [
            *machine_files(),
            (self.opt, "/opt"),
            (self.task, "/var/task"),
            (runtime, "/var/runtime"),
            (ROOT / "tests/clean_room/inside.py", "/mnt/inside.py"),
        ]
        variables = {
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "eu-west-1",
            "LANG": "en_US.UTF-8",
            "LD_LIBRARY_PATH": LIBRARY_PATH,
            "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            "PYTHONPATH": "/var/task:/opt/python:/var/runtime",
            "TZ": ":UTC",
            **self.variables,
        }
        return [
            *(_bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
            *("--uid", "993", "--gid", "990", "--cap-drop", "ALL"),
            *(part for source, target in mounts for part in ("--ro-bind", str(source), target)),
            *("--tmpfs", "/var/lang/lib/python3.13/site-packages"),
            *("--remount-ro", "/var/lang/lib/python3.13/site-packages"),
            *(part for folder in self.hidden for part in ("--tmpfs", folder, "--remount-ro", folder)),
            *("--proc", "/proc", "--dev", "/dev", "--size", str(TMP_BYTES), "--tmpfs", TMP),
            *("--remount-ro", "/", "--chdir", "/var/task"),
            *(part for name, value in variables.items() for part in ("--setenv", name, value)),
        ]


def machine_files() -> list[tuple[Path, str]]:
    """Return the files of this machine that are seen in the room, and where: GLIBC, Python, Python's libraries."""
    standard_library = Path(sysconfig.get_path("stdlib"))
    program = Path(sys.base_prefix) / "bin" / "python3.13"
    modules = [
        path
        for path in (standard_library / "lib-dynload").glob("*.so")
        if not path.name.startswith(NOT_IN_LAMBDA)
    ]
    files = [(standard_library, "/var/lang/lib/python3.13"), (program.resolve(), PYTHON)]
    linked = linked_libraries([program, *modules])
    # The whole of GLIBC, as every Lambda has it, not only what Python itself is linked to; wheels may ask for GCC's.
    for name in (*GLIBC, GCC):
        if (path := linked["libc.so.6"].with_name(name)).exists():
            linked.setdefault(name, path)
    for name, path in sorted(linked.items()):
        if name.startswith("/"):
            target = name
        else:
            target = f"/lib64/{name}" if name in (*GLIBC, GCC) else f"/var/lang/lib/{name}"
        files.append((path, target))
    return files


def linked_libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """Return what `ldd` finds for programs and modules; the loader itself is named by its full path."""
    found = {}
    outcome = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)
    for line in outcome.stdout.splitlines():
        if match := re.match(r"\s+(\S+) => (/\S+) ", line):
            found[match[1]] = Path(match[2]).resolve()
        elif match := re.match(r"\s+(/\S*ld-linux\S*) ", line):
            found[match[1]] = Path(match[1]).resolve()
    return found


def merged(layers: Sequence[Path], target: Path) -> Path:
    """Lay the layers one over the other in a new folder, as Lambda does: later ones win, nothing is compiled."""
    for layer in layers:
        shutil.copytree(layer, target, dirs_exist_ok=True)
    return target


def why_not() -> str | None:
    """Return why there can be no clean room on this machine; None where there can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    if platform.machine() not in ("x86_64", "aarch64"):
        return f"there is no layer for {platform.machine()}"
    files = machine_files()
    room = [
        *(_bubblewrap(), "--unshare-all", "--die-with-parent", "--clearenv", "--uid", "993", "--gid", "990"),
        *("--setenv", "LD_LIBRARY_PATH", LIBRARY_PATH),
        *(part for source, target in files for part in ("--ro-bind", str(source), target)),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", TMP, "--remount-ro", "/"),
    ]
    trial = subprocess.run([*room, PYTHON, "-c", ""], capture_output=True, text=True, check=False)
    return (
        None if trial.returncode == 0 else f"this kernel refuses namespaces ({trial.stderr.strip()[-200:]})"
    )


def _bubblewrap() -> str:
    return shutil.which("bwrap", path=os.environ.get("PATH", "/usr/bin:/bin")) or "bwrap"
