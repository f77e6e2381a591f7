"""Unpacks .deb files: with dpkg-deb, or with Python alone where that is missing (Amazon Linux, for the fonts)."""

import io
import shutil
import tarfile
from pathlib import Path
from typing import Final

from .commands import run
from .refusal import Refusal

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60


def unpack(package: Path, into: Path) -> None:
    """Unpack a package's files into a folder."""
    if shutil.which("dpkg-deb"):
        run(["dpkg-deb", "--extract", package, into])
        return
    with tarfile.open(fileobj=io.BytesIO(data_member(package.read_bytes()))) as archive:
        archive.extractall(into, filter="data")


def data_member(content: bytes) -> bytes:
    """Return the archive `data.tar.*` inside a .deb file, which is an `ar` archive.

    Raises `Refusal` when there is none.
    """
    position = len(_MAGIC)
    while content.startswith(_MAGIC) and position + _HEADER <= len(content):
        header = content[position : position + _HEADER]
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        position += _HEADER
        if name.startswith("data.tar"):
            return content[position : position + size]
        position += size + size % 2
    raise Refusal("a package is not a .deb file")
