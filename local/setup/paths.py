"""Where the set-up keeps what it made; `python -m local.setup.paths` says it to `run.sh` as lines of shell.

Standard library only: this runs before any environment exists.
"""

import hashlib
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout."""

CACHE: Final = Path(
    os.environ.get("DIRECTUS_LEGAL_BILLING_CACHE") or Path.home() / ".cache" / "directus-legal-billing"
)
"""Everything that is costly to make and the same for every checkout."""

LOGS: Final = CACHE / "logs"
NODE_ABI: Final = "127"
"""`process.versions.modules` of Node 22: native modules built for another number do not load."""

DEVELOPMENT: Final = ROOT / ".venv"


def digest(*files: Path, extra: str = "") -> str:
    """Return 16 hexadecimal digits over the files' bytes and `extra`; the key of a cached thing."""
    total = hashlib.sha256(extra.encode())
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def lock_file(name: str) -> Path:
    """Return the lock file of the Python environment `name`."""
    return ROOT / "requirements" / f"{name}.txt"


def python_environment(name: str) -> Path:
    """Return the directory of the Python environment `name` in the cache.

    Keyed by its lock, the machine and the interpreter it was made with, whose links it holds.
    """
    made_with = f"{platform.machine()} {os.path.realpath(sys.base_prefix)}"
    return CACHE / "environments" / f"{name}-{digest(lock_file(name), extra=made_with)}"


def uv_directory() -> Path:
    """Return the directory that holds the pinned uv's `bin/uv`, which makes every environment."""
    _, _, version = (ROOT / "requirements/uv.in").read_text().rpartition("uv==")
    return CACHE / f"uv-{version.strip()}"


def node_directory() -> Path:
    """Return the directory of Node 22: holds `bin/node` and `include/`."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return node_tree() / "node_modules" / f"node-linux-{machine}"


def node_tree() -> Path:
    """Return the npm tree that brings Node 22."""
    return CACHE / f"node-{digest(ROOT / 'local/node/package-lock.json')}"


def directus_tree() -> Path:
    """Return the built npm tree of Directus, keyed by its lock file and the Node ABI it was built for."""
    return CACHE / f"directus-{digest(ROOT / 'local/directus/package-lock.json')}-{NODE_ABI}"


def node_environment() -> dict[str, str]:
    """Return the variables with which Node 22 is found first and its headers are used.

    Native modules are compiled against the headers npm finds: with the machine's own they compile and fail when loaded.
    """
    node = node_directory()
    return {
        "PATH": f"{node / 'bin'}:{os.environ.get('PATH', '')}",
        "npm_config_nodedir": str(node),
        "npm_config_update_notifier": "false",
    }


if __name__ == "__main__":
    for _name, _value in {
        "logs": LOGS,
        "uv_directory": uv_directory(),
        **{name: python_environment(name) for name in ("sam", "ministack", "lambda_runtime")},
        "node_tree": node_tree(),
        "node_directory": node_directory(),
        "node_abi": NODE_ABI,
        "directus_tree": directus_tree(),
        "development": digest(lock_file("dev"), extra=f"{ROOT} {sys.base_prefix}"),
    }.items():
        print(f"{_name}={shlex.quote(str(_value))}")
