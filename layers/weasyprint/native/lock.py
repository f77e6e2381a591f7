"""What the layer is made of (`packages.toml`), and the lock: exact versions and hashes, one file per architecture."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from .refusal import Refusal

DEBIAN_NAMES: Final[Mapping[str, str]] = MappingProxyType({"x86_64": "amd64", "arm64": "arm64"})
"""Lambda's names of the architectures -> Debian's."""

HEADER: Final = (
    "# Written by `make layer-lock` from packages.toml: package, version, SHA-256 of the .deb file.\n"
)
_FIELDS: Final = 3


@dataclass(frozen=True)
class Choice:
    """What `packages.toml` says."""

    opened: tuple[str, ...]
    packages: tuple[str, ...]
    second_suite: tuple[str, ...]
    dnf: tuple[str, ...]
    fonts: tuple[str, ...]

    @property
    def all_packages(self) -> tuple[str, ...]:
        """Of both suites."""
        return (*self.packages, *self.second_suite)


@dataclass(frozen=True, order=True)
class Locked:
    """One package of the lock; `version` is Debian's, with its epoch; `sha256` is of the .deb file."""

    package: str
    version: str
    sha256: str

    def file_names(self, debian_architecture: str) -> tuple[str, str]:
        """What apt calls the file, for this architecture or for all: `fonts-x_1%3a2-1_all.deb`."""
        stem = f"{self.package}_{self.version.replace(':', '%3a')}"
        return f"{stem}_{debian_architecture}.deb", f"{stem}_all.deb"


def choice(text: str) -> Choice:
    """Read `packages.toml`."""
    read = tomllib.loads(text)
    names = ("opened", "packages", "second_suite", "dnf", "fonts")
    return Choice(**{name: tuple(str(entry) for entry in read[name]) for name in names})


def locked_packages(text: str, wanted: Iterable[str]) -> tuple[Locked, ...]:
    """Read a lock; raise `Refusal` when a line is not one, or when it does not hold exactly what is wanted."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != _FIELDS or not re.fullmatch("[0-9a-f]{64}", fields[2]) or fields[0] in found:
            raise Refusal(f"line {number} of the lock is not a package with its version and hash")
        found[fields[0]] = Locked(*fields)
    if missing := sorted(set(wanted) - set(found)):
        raise Refusal(f"the lock lacks {', '.join(missing)} (make layer-lock writes it anew)")
    if surplus := sorted(set(found) - set(wanted)):
        raise Refusal(f"the lock names {', '.join(surplus)}, which packages.toml does not")
    return tuple(sorted(found.values()))


def lock_text(packages: Iterable[Locked]) -> str:
    """Write a lock."""
    lines = (f"{entry.package} {entry.version} {entry.sha256}\n" for entry in sorted(packages))
    return HEADER + "".join(lines)


def refuse_other_bytes(content: bytes, entry: Locked) -> None:
    """Raise `Refusal` unless these are the locked bytes."""
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise Refusal(f"{entry.package} {entry.version} has another hash than the lock says")


def present(entry: Locked, folders: Iterable[Path], debian_architecture: str) -> Path | None:
    """Return the package's file in the first of the folders that has it.

    Raises `Refusal` when its bytes are not the locked ones: a folder that holds something else is not to be trusted.
    """
    for folder in folders:
        for name in entry.file_names(debian_architecture):
            path = folder / name
            if path.is_file():
                refuse_other_bytes(path.read_bytes(), entry)
                return path
    return None
