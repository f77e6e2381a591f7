"""From the locks to a finished layer: `python/`, `lib/`, `share/`, `etc/`, as Lambda shows them below /opt."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import dnf, gates, python_part
from .apt import Apt, Suites, mirror_of
from .commands import run
from .deb import unpack
from .elf import SharedObject, closure, read
from .lock import DEBIAN_NAMES, Choice, Locked, choice, lock_text, locked_packages, present
from .refusal import Refusal
from .tree import compile_python, settle, size_of, tree_hash

SOURCES: Final = Path(__file__).resolve().parents[1]
"""The folder of the layer's sources; SAM builds in a copy of it."""

BUILT_FROM: Final = ("requirements.txt", "packages.toml", "fonts.conf", "native")
KEPT_LAYERS: Final = 4
_PYTHON: Final = (3, 13)


@dataclass(frozen=True)
class Settings:
    """What the Makefile says."""

    architecture: str
    cache: Path
    packages: Path
    wheels: Path
    suites: Suites
    native: bool
    variables: Mapping[str, str]

    @classmethod
    def of(cls, architecture: str, variables: Mapping[str, str]) -> "Settings":
        """Read the variables that the Makefile exports; raise `Refusal` for an unknown architecture."""
        if architecture not in DEBIAN_NAMES:
            raise Refusal(f"{architecture!r} is no architecture of Lambda: x86_64 and arm64 are")
        return cls(
            architecture=architecture,
            cache=Path(variables["LAYER_CACHE"]),
            packages=Path(variables["LAYER_PACKAGES"]),
            wheels=Path(variables["LAYER_WHEELS"]),
            suites=Suites(variables["LAYER_SUITE"], variables["LAYER_SECOND_SUITE"]),
            native=variables.get("LAYER_NATIVE") != "no",
            variables=variables,
        )

    @property
    def debian(self) -> str:
        """Debian's name of the architecture."""
        return DEBIAN_NAMES[self.architecture]

    @property
    def kept_packages(self) -> Path:
        """Where downloaded packages stay."""
        return self.cache / "packages"

    def apt(self) -> Apt:
        """The isolated apt of this architecture."""
        return Apt(self.cache / f"apt-{self.debian}", self.debian, mirror_of(self.variables), self.suites)


def chosen() -> Choice:
    """Read `packages.toml`."""
    return choice((SOURCES / "packages.toml").read_text())


def lock_file(architecture: str) -> Path:
    """Return where the lock of an architecture is."""
    return SOURCES / architecture / "packages.lock"


def write_lock(settings: Settings) -> Path:
    """Ask the mirror for the newest versions and write the lock; return its path."""
    wanted = chosen()
    apt = settings.apt()
    apt.read_lists()
    lock = lock_file(settings.architecture)
    lock.write_text(lock_text(apt.newest(wanted.packages, wanted.second_suite)))
    return lock


def inputs_digest(architecture: str) -> str:
    """Return 16 hexadecimal digits over everything a layer's bytes follow from, this Python included."""
    total = hashlib.sha256(f"{architecture} {sys.version}".encode())
    for name in (*BUILT_FROM, f"{architecture}/packages.lock"):
        path = SOURCES / name
        for file in [path] if path.is_file() else sorted(path.glob("*.py")):
            total.update(f"{file.relative_to(SOURCES)}\0".encode() + file.read_bytes())
    return total.hexdigest()[:16]


def content_version(architecture: str) -> str:
    """Return 16 hexadecimal digits over what draws: libraries, fonts, Python packages; not over how it is built."""
    names = ("requirements.txt", "fonts.conf", f"{architecture}/packages.lock")
    return hashlib.sha256(b"\0".join((SOURCES / name).read_bytes() for name in names)).hexdigest()[:16]


def finished(settings: Settings) -> Path:
    """Return the finished layer in the cache, building it when it is not there yet.

    Raises `Refusal` with the one reason why it cannot be built.
    """
    name = f"{settings.architecture}-{inputs_digest(settings.architecture)}{'' if settings.native else '-python-only'}"
    layers = settings.cache / "finished"
    final = layers / name
    if not final.exists():
        layers.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=layers) as folder:
            built = Path(folder) / "layer"
            build(settings, built)
            try:
                built.rename(final)
            except OSError:
                if not final.exists():  # otherwise another build was first; its layer is the same
                    raise
    os.utime(final)
    _prune(layers)
    return final


def _prune(layers: Path) -> None:
    """Keep the last used; what another build is at work on has a dot in its name."""
    found = [path for path in layers.iterdir() if path.is_dir() and "." not in path.name]
    for path in sorted(found, key=lambda layer: -layer.stat().st_mtime)[KEPT_LAYERS:]:
        shutil.rmtree(path, ignore_errors=True)


def copy_into(layer: Path, target: Path) -> None:
    """Copy a finished layer with its modes and times."""
    shutil.copytree(layer, target, dirs_exist_ok=True)


def build(settings: Settings, layer: Path) -> None:
    """Build the layer into a new folder and hold it to every gate.

    Without its native part it is never deployed: it is neither trimmed nor held, so that it asks nothing of the machine.
    """
    if sys.version_info[:2] != _PYTHON:
        raise Refusal("the byte code needs Python 3.13 (PYTHON= names one)")
    layer.mkdir()
    python = layer / "python"
    if settings.native:
        with tempfile.TemporaryDirectory(dir=layer.parent) as folder:
            root = Path(folder)
            unpacked(settings, root)
            _add_libraries(root, layer)
            _add_fonts(root, layer)
            _add_licences(root, layer)
        (layer / "etc" / "layer-version").write_text(f"{content_version(settings.architecture)}\n")
    python_part.install(
        SOURCES / "requirements.txt",
        settings.architecture,
        python,
        [settings.wheels],
        python_part.wheels_folder(settings.cache, SOURCES / "requirements.txt", settings.architecture),
    )
    if settings.native:
        python_part.trim(python, lambda path: read(path).needed)
    compile_python(python, "/opt/python")
    if settings.native:
        hold_to_gates(layer, settings.architecture)
    settle(layer)


def unpacked(settings: Settings, root: Path) -> None:
    """Unpack every package into `root`: the locked ones, in the container Amazon's libraries and the locked fonts."""
    wanted = chosen()
    locked = locked_packages(lock_file(settings.architecture).read_text(), wanted.all_packages)
    if dnf.is_amazon_linux():
        # Fonts and licences are the same for every machine; they come from the vendored or cached packages.
        locked = tuple(entry for entry in locked if entry.package.startswith(("fonts-", "base-files")))
        with tempfile.TemporaryDirectory() as folder:
            dnf.unpack_packages(wanted.dnf, Path(folder), root)
    for path in local_packages(settings, locked):
        unpack(path, root)


def local_packages(settings: Settings, locked: tuple[Locked, ...]) -> list[Path]:
    """Return the files of the locked packages; what no folder has is downloaded first."""
    folders = (settings.packages, settings.kept_packages)
    missing = [entry for entry in locked if present(entry, folders, settings.debian) is None]
    if missing:
        apt = settings.apt()
        apt.read_lists()
        apt.download(missing, settings.kept_packages)
    found = {entry: present(entry, folders, settings.debian) for entry in locked}
    for entry, path in found.items():
        if path is None:
            raise Refusal(f"apt-get did not bring {entry.package} {entry.version}")
    return [path for path in found.values() if path is not None]


def _add_libraries(root: Path, layer: Path) -> None:
    """Copy what WeasyPrint opens and what that needs, each under the name it is asked for by."""
    here = {path.name: path for path in sorted(root.rglob("*.so*")) if path.is_file()}
    objects: dict[str, SharedObject] = {}

    def needs(name: str) -> tuple[str, ...] | None:
        if name not in here:
            return None
        objects[name] = read(here[name].resolve())
        return objects[name].needed

    folder = layer / "lib"
    folder.mkdir()
    gates.refuse_without_subset(here)
    for name in closure(chosen().opened, needs):
        shutil.copyfile(here[name], folder / name)


def _add_fonts(root: Path, layer: Path) -> None:
    for name in chosen().fonts:
        source = root / "usr/share/fonts" / name
        if not source.is_file():
            raise Refusal(f"no locked package brings the font {name}")
        target = layer / "share" / "fonts" / Path(name).relative_to(Path(name).parts[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (layer / "etc" / "fonts").mkdir(parents=True)
    shutil.copyfile(SOURCES / "fonts.conf", layer / "etc" / "fonts" / "fonts.conf")


def _add_licences(root: Path, layer: Path) -> None:
    """Each package's own file and the texts that these refer to; in the container the rpms' folders as well."""
    licences = layer / "share" / "licenses"
    for source in sorted(root.glob("usr/share/doc/*/copyright")):
        if source.is_file() and not source.parent.is_symlink():
            (licences / source.parent.name).mkdir(parents=True)
            shutil.copyfile(source, licences / source.parent.name / "copyright")
    for source in sorted(root.glob("usr/share/common-licenses/*")):
        if not source.is_symlink():
            (licences / "common-licenses").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, licences / "common-licenses" / source.name)
    for source in sorted(root.glob("usr/share/licenses/*/*")):
        if source.is_file() and not source.is_symlink():
            (licences / source.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, licences / source.parent.name / source.name)


def hold_to_gates(layer: Path, architecture: str) -> None:
    """Raise `Refusal` when the finished layer would fail in Lambda."""
    libraries = {path.name: read(path) for path in sorted((layer / "lib").glob("*"))}
    python = {
        path.relative_to(layer).as_posix(): read(path)
        for path in sorted((layer / "python").rglob("*"))
        if path.is_file() and (path.suffix == ".so" or ".so." in path.name)
    }
    everything = {**libraries, **python}
    gates.refuse_other_machine(everything, architecture)
    gates.refuse_too_new_glibc(everything)
    gates.refuse_unmet_needs(everything, [*libraries, *(Path(name).name for name in python)])
    gates.refuse_without_subset(libraries)
    gates.refuse_too_large(size_of(layer))


def vendor(settings: Settings, folder: Path) -> None:
    """Copy the locked packages and wheels into a folder, so that later builds need no network."""
    locked = locked_packages(lock_file(settings.architecture).read_text(), chosen().all_packages)
    for path in local_packages(settings, locked):
        (folder / "packages").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "packages" / path.name)
    requirements = SOURCES / "requirements.txt"
    run(
        [
            *(sys.executable, "-m", "pip", "download", *python_part.pip_options(settings.architecture)),
            *("--dest", folder / "wheels", "--requirement", requirements),
        ]
    )


def built_twice(settings: Settings) -> tuple[str, str]:
    """Build twice from the same packages and return both hashes."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        folders = [Path(first) / "layer", Path(second) / "layer"]
        for folder in folders:
            build(settings, folder)
        return tree_hash(folders[0]), tree_hash(folders[1])
