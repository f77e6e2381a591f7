"""What every engine of the comparison does, and what is the same for those that draw in their own process."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, Protocol


class Engine(Protocol):
    """Draws invoices; `bench.documents.worker` asks it and holds the watch."""

    def load(self) -> None:
        """Import the library: the cold import."""
        ...

    def prepare(self) -> None:
        """Whatever else must be there before the first document."""
        ...

    def read(self, document: Path) -> Any:
        """Read the invoice in the form that this engine draws; `document` has no ending yet."""
        ...

    def watch(self, *, wanted: bool) -> None:
        """A document begins; `wanted`: its memory will be asked for."""
        ...

    def draw(self, document: Any) -> bytes:
        """Return the PDF."""
        ...

    def finish(self) -> None:
        """Clear away what the document left, its costs having been read."""
        ...

    def processor_seconds(self) -> float:
        """What has been used so far by all that belongs to the engine."""
        ...

    def peak_bytes(self) -> int:
        """The most memory so far."""
        ...

    def close(self) -> None:
        """Nothing more will be asked."""
        ...


class InThisProcess:
    """What holds for every engine that draws where it is called."""

    def watch(self, *, wanted: bool) -> None:
        """The kernel keeps the peak."""

    def finish(self) -> None:
        """Nothing is left."""

    def processor_seconds(self) -> float:
        """Of this process and of children that have ended."""
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def peak_bytes(self) -> int:
        """The kernel's high-water mark of resident memory (VmHWM)."""
        status = Path("/proc/self/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024

    def close(self) -> None:
        """Nothing is open."""
