"""The WeasyPrint that is measured: of the built layers where they can be built here, else of the virtual environment."""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from local.adapter.build import built
from local.setup.paths import DEVELOPMENT, ROOT
from tests.clean_room.room import merged

LAYERS = ("BillingLayer", "DependenciesLayer", "WeasyPrintLayer")
SYSTEM_FONTS = Path("/usr/share/fonts")


@dataclass(frozen=True)
class Software:
    """Folders for PYTHONPATH: `packages` holds WeasyPrint with its byte code, `others` what only ours needs besides.

    `templates` are those that ours draws with: the HTML for the others must come of the same files, though somebody
    may be changing the sources. `variables` are the environment that native libraries and fonts are found by.
    """

    description: str
    packages: Path
    others: tuple[Path, ...]
    without_byte_code: Path
    templates: Path
    fonts: Path
    variables: dict[str, str]


def software(folder: Path) -> Software:
    """Lay it out in a new folder."""
    refusals: list[str] = []
    build = built(ROOT, refusals.append)
    # Compilers are not on Lambda either: what looks for libraries with them must find none, and lose no time by it.
    (folder / "no-programs").mkdir(parents=True)
    variables = {"PATH": str(folder / "no-programs")}
    if refusals:
        return _of_the_environment(folder, variables, refusals[0].strip())
    return _of_the_layers(folder, variables, [build / name for name in LAYERS])


def _of_the_layers(folder: Path, variables: dict[str, str], layers: list[Path]) -> Software:
    opt = merged(layers, folder / "opt")
    bare = _without_byte_code(layers[-1] / "python", folder / "without-byte-code")
    version = (opt / "etc/layer-version").read_text().strip()
    return Software(
        description=f"WeasyPrint, native libraries and fonts of the built layer {version}",
        packages=opt / "python",
        others=(),
        without_byte_code=bare,
        templates=opt / "python/billing/templates",
        fonts=opt / "share/fonts",
        variables={
            **variables,
            "FONTCONFIG_FILE": str(opt / "etc/fonts/fonts.conf"),
            "LD_LIBRARY_PATH": str(opt / "lib"),
        },
    )


def _of_the_environment(folder: Path, variables: dict[str, str], reason: str) -> Software:
    packages = folder / "packages"
    for found in with_requirements("weasyprint"):
        for file in found.files or []:
            source, target = Path(str(found.locate_file(file))), packages / file
            if ".." not in file.parts and "__pycache__" not in file.parts and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    bare = _without_byte_code(packages, folder / "without-byte-code")
    compileall.compile_dir(packages, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return Software(
        description=f"WeasyPrint of the virtual environment, this machine's native libraries and fonts ({reason})",
        packages=packages,
        others=(ROOT / "layers/billing", DEVELOPMENT / "lib/python3.13/site-packages"),
        without_byte_code=bare,
        templates=ROOT / "layers/billing/billing/templates",
        fonts=SYSTEM_FONTS,
        variables=variables,
    )


def _without_byte_code(packages: Path, target: Path) -> Path:
    return shutil.copytree(packages, target, ignore=shutil.ignore_patterns("__pycache__"))


def with_requirements(name: str) -> list[Distribution]:
    """An installed distribution and all that it requires, each once."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        one = distribution(waiting.pop())
        if one.name not in found:
            found[one.name] = one
            waiting += [required_name(line) for line in one.requires or [] if "extra ==" not in line]
    return list(found.values())


def required_name(requirement: str) -> str:
    """The name in a line such as `fonttools[woff]>=4.59.2; python_version > "3"`."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return match[0]
