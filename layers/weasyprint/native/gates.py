"""What a finished layer must pass: each gate names, in one clause, what would fail in Lambda."""

from collections.abc import Iterable, Mapping
from typing import Final

from .elf import GLIBC, MACHINES, SharedObject
from .refusal import Refusal

NEWEST_GLIBC: Final = (2, 34)
"""What Amazon Linux 2023 has."""

SUBSET: Final = "libharfbuzz-subset.so.0"

MAXIMUM_BYTES: Final = 90_000_000
"""Unzipped; Lambda allows 250 MB for all layers and the function together."""


def refuse_too_new_glibc(objects: Mapping[str, SharedObject]) -> None:
    """Raise `Refusal` naming the first file that the loader of Amazon Linux 2023 would refuse."""
    for name, read in sorted(objects.items()):
        if read.glibc is not None and read.glibc > NEWEST_GLIBC:
            needed, there = (".".join(map(str, version)) for version in (read.glibc, NEWEST_GLIBC))
            raise Refusal(f"{name} needs GLIBC_{needed}, and Lambda has GLIBC_{there}")


def refuse_other_machine(objects: Mapping[str, SharedObject], architecture: str) -> None:
    """Raise `Refusal` naming the first file that was built for another processor."""
    for name, read in sorted(objects.items()):
        if read.machine != MACHINES[architecture]:
            raise Refusal(f"{name} is for {read.machine}, not for {architecture}")


def refuse_without_subset(names: Iterable[str]) -> None:
    """Raise `Refusal` without HarfBuzz's subsetter: everything would work, nine times slower."""
    if SUBSET not in names:
        raise Refusal(f"{SUBSET} is missing, without which every document is drawn nine times slower")


def refuse_unmet_needs(objects: Mapping[str, SharedObject], brought: Iterable[str]) -> None:
    """Raise `Refusal` for a library that neither the layer nor GLIBC brings."""
    known = {*brought, *GLIBC}
    for name, read in sorted(objects.items()):
        for needed in read.needed:
            if needed not in known:
                raise Refusal(f"{name} needs {needed}, which the layer does not bring")


def refuse_too_large(size: int) -> None:
    """Raise `Refusal` above our own limit; `size` is in bytes, unzipped."""
    if size > MAXIMUM_BYTES:
        raise Refusal(
            f"the layer has {size / 1e6:.1f} MB, more than the {MAXIMUM_BYTES / 1e6:.0f} MB we allow"
        )
