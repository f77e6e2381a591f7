"""The container route: inside Amazon Linux 2023 the libraries are its own packages, fetched by dnf.

Never run by this project's tests, which have no container engine: see docs/layer.md.
"""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .commands import run
from .refusal import Refusal

RELEASE: Final = Path("/etc/os-release")
AMAZON_LINUX: Final = 'ID="amzn"'


def is_amazon_linux() -> bool:
    """Whether this is the container, where the libraries fit whatever Lambda has."""
    return RELEASE.exists() and AMAZON_LINUX in RELEASE.read_text()


def unpack_packages(names: Iterable[str], folder: Path, into: Path) -> None:
    """Download the newest of the named packages, for this machine's processor, and unpack them."""
    folder.mkdir(parents=True, exist_ok=True)
    run(["dnf", "download", "--destdir", folder, *names])
    for name in ("rpm2cpio", "cpio"):
        if shutil.which(name) is None:
            raise Refusal(f"the program {name} is missing (dnf install {name})")
    for package in sorted(folder.glob("*.rpm")):
        archive = subprocess.run(["rpm2cpio", package], capture_output=True, check=True).stdout  # noqa: S603, S607 - as above
        subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=into, check=True)  # noqa: S607 - as above
