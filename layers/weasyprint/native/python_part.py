"""The Python packages of the layer: from the hashed lock, as wheels for the target platform, trimmed."""

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from .commands import run
from .refusal import Refusal

PLATFORMS: Final[Mapping[str, str]] = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Lambda's names of the architectures -> those in wheels' names."""

MANYLINUX: Final = (
    "manylinux_2_28",
    "manylinux_2_26",
    "manylinux_2_24",
    "manylinux_2_17",
    "manylinux2014",
    "manylinux_2_12",
    "manylinux2010",
    "manylinux_2_5",
    "manylinux1",
)
"""Built for no newer GLIBC than Amazon Linux 2023 has; the first that a package offers is taken."""

HYPHENATED: Final = ("de", "en", "es", "fr")
"""Languages of the product: hyphenation patterns of others are left out."""

NEVER_LOADED: Final = (
    "bin",  # programs, with this machine's paths in them
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    # Web fonts only, which no document may load.
    "brotli.py",
    "_brotli*",
    "[bB]rotli-*.dist-info",
    "zopfli",
    "zopfli-*.dist-info",
    # Compiled doubles of modules that are not used while HarfBuzz subsets, and sources.
    "fontTools/**/*.so",
    "fontTools/**/*.c",
    "fontTools/**/*.py[xi]",
    "fontTools/**/*.pxd",
    # Formats that WeasyPrint does not take, text drawing and windows.
    "PIL/_avif*",
    "PIL/_webp*",
    "PIL/_imagingft*",
    "PIL/_imagingtk*",
)


def pip_options(architecture: str) -> list[str]:
    """Return what makes pip choose for Lambda instead of for this machine."""
    platforms = (f"{name}_{PLATFORMS[architecture]}" for name in MANYLINUX)
    return [
        *("--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", "3.13", "--abi", "cp313"),
        *(part for platform in platforms for part in ("--platform", platform)),
    ]


def wheels_folder(cache: Path, requirements: Path, architecture: str) -> Path:
    """Return where the wheels of a lock are kept."""
    return cache / f"wheels-{architecture}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"


def install(requirements: Path, architecture: str, target: Path, folders: Iterable[Path], kept: Path) -> None:
    """Install into `target` from one of the folders, offline; what they lack is brought into `kept` first.

    Raises `Refusal` when a wheel is gone, has another hash, or the network is not there.
    """
    for folder in (*folders, kept):
        if folder.is_dir() and _installed(requirements, architecture, target, folder):
            return
    bringing = kept.with_name(f"{kept.name}.building")
    shutil.rmtree(bringing, ignore_errors=True)
    _pip("download", *pip_options(architecture), "--dest", bringing, "--requirement", requirements)
    shutil.rmtree(kept, ignore_errors=True)
    bringing.rename(kept)
    if not _installed(requirements, architecture, target, kept):
        raise Refusal("pip cannot install the wheels it has just brought")


def _installed(requirements: Path, architecture: str, target: Path, folder: Path) -> bool:
    """Whether it went well; a folder that lacks a wheel is no failure, one with other bytes is asked for nothing."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        _pip(
            *("install", *pip_options(architecture), "--no-compile", "--no-index"),
            *("--find-links", str(folder), "--target", str(target), "--requirement", str(requirements)),
        )
    except Refusal:
        return False
    return True


def _pip(*arguments: str | Path) -> None:
    run([sys.executable, "-m", "pip", *arguments])


def trim(python: Path, needs: Callable[[Path], Iterable[str]]) -> None:
    """Remove what no document loads; `needs` returns the sonames that a shared object is linked to."""
    for pattern in NEVER_LOADED:
        for path in sorted(python.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for path in python.glob("pyphen/dictionaries/hyph_*.dic"):
        if not is_hyphenated(path.name):
            path.unlink()
    _remove_unused_libraries(python, needs)


def is_hyphenated(name: str) -> bool:
    """Whether `hyph_<language>.dic` is for a language of the product."""
    language = re.match(r"hyph_([a-z]+)", name)
    return language is not None and language.group(1) in HYPHENATED


def _remove_unused_libraries(python: Path, needs: Callable[[Path], Iterable[str]]) -> None:
    """Libraries that a wheel brings for its extension modules go with the last module that was linked to them."""
    brought = {path.name: path for folder in python.glob("*.libs") for path in folder.iterdir()}
    used: set[str] = set()
    waiting = [path for path in python.rglob("*.so") if path.name not in brought]
    while waiting:
        for name in needs(waiting.pop()):
            if name in brought and name not in used:
                used.add(name)
                waiting.append(brought[name])
    for name in sorted(set(brought) - used):
        brought[name].unlink()
