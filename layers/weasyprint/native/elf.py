"""What shared objects need, as `readelf` prints it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .commands import run
from .refusal import Refusal

GLIBC: Final = frozenset(
    {
        "ld-linux-aarch64.so.1",
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "libdl.so.2",
        "libm.so.6",
        "libpthread.so.0",
        "libresolv.so.2",
        "librt.so.1",
        "libutil.so.1",
    }
)
"""What every Lambda has. Nothing else is relied on."""

MACHINES: Final[Mapping[str, str]] = {"x86_64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
"""Lambda's names of the architectures -> readelf's."""


@dataclass(frozen=True)
class SharedObject:
    """`needed` are sonames; `glibc` is the newest GLIBC version it is bound to, None for none."""

    machine: str
    needed: tuple[str, ...]
    glibc: tuple[int, ...] | None


def shared_object(text: str) -> SharedObject:
    """Read the output of `readelf --file-header --dynamic --version-info --wide`."""
    machine = re.search(r"^\s*Machine:\s*(.+?)\s*$", text, re.MULTILINE)
    # Only the section of needs: a library that defines versions, as libc does, lists those as well.
    _, _, needs = text.partition("Version needs section")
    versions = [
        tuple(int(part) for part in found.split(".")) for found in re.findall(r"GLIBC_([\d.]+)", needs)
    ]
    return SharedObject(
        machine=machine.group(1) if machine else "unknown",
        needed=tuple(re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", text)),
        glibc=max(versions, default=None),
    )


def read(path: Path) -> SharedObject:
    """Read a file with readelf."""
    return shared_object(
        run(
            ["readelf", "--file-header", "--dynamic", "--version-info", "--wide", path],
            environment={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )
    )


def closure(roots: Iterable[str], needs: Callable[[str], Iterable[str] | None]) -> frozenset[str]:
    """Return the sonames that the roots need, themselves included, without those of GLIBC.

    `needs` returns what a library needs, or None when nobody brings it. Raises `Refusal` for such a one.
    """
    found: set[str] = set()
    waiting = [(name, "WeasyPrint") for name in roots]
    while waiting:
        name, wanted_by = waiting.pop()
        if name in found or name in GLIBC:
            continue
        needed = needs(name)
        if needed is None:
            raise Refusal(f"no locked package brings {name}, which {wanted_by} needs")
        found.add(name)
        waiting.extend((other, name) for other in needed)
    return frozenset(found)
