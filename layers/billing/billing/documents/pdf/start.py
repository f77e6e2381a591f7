"""Imports WeasyPrint without what makes its import slow on a cold Lambda (docs/benchmarks.md says by how much).

Four things cost without being needed here, and each is switched off only while the import runs:

- cffi asks `ctypes.util.find_library` for every native library, which starts `ldconfig` and compilers (72 processes);
  without an answer it opens the plain file names, which is what a layer offers;
- every `URLFetcher` builds a TLS context and reads the CA bundle, three times at import;
- cffi parses the C declarations of Pango, with a parser written in Python; `pango_declarations` has them parsed;
- `fontTools` is imported whole, though HarfBuzz does the subsetting; it is imported when first called instead.
"""

import contextlib
import ctypes.util
import hashlib
import http.client
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from billing.documents.pdf import weasyprint_patches

_LAZY = {
    "fontTools.varLib.instancer": ("instantiateVariableFont",),
    "fontTools.subset": ("Options", "Subsetter", "load_font", "save_font"),
}


def import_weasyprint(patch: Callable[[], object] = weasyprint_patches.apply) -> ModuleType:
    """Import WeasyPrint the fast way, once, and `patch` it; later calls return the module."""
    if "weasyprint" not in sys.modules:
        _use_the_layers_fonts()
        for name, attributes in _LAZY.items():
            if name not in sys.modules:
                sys.modules[name] = _lazy_module(name, attributes)
        with _no_library_search(), _no_tls_context(), _declarations_read_before():
            importlib.import_module("weasyprint")
        patch()
    return sys.modules["weasyprint"]


def _use_the_layers_fonts() -> None:
    """Point fontconfig to the layer that WeasyPrint lies in, if it brings fonts; the machine's are used otherwise.

    Here rather than in the template: the same then holds wherever the layer is mounted, and whoever built it.
    """
    found = importlib.util.find_spec("weasyprint")
    if found is None or found.origin is None:
        return
    configuration = Path(found.origin).parents[2] / "etc" / "fonts" / "fonts.conf"
    if configuration.is_file():
        os.environ.setdefault("FONTCONFIG_FILE", str(configuration))


@contextlib.contextmanager
def _no_library_search() -> Iterator[None]:
    original = ctypes.util.find_library

    def not_found(name: str) -> str | None:  # noqa: ARG001  # the signature of what it stands in for
        return None

    ctypes.util.find_library = not_found
    try:
        yield
    finally:
        ctypes.util.find_library = original


@contextlib.contextmanager
def _no_tls_context() -> Iterator[None]:
    """What stands in is no context: were it ever used, the connection would fail, not pass."""
    original = http.client._create_https_context  # type: ignore[attr-defined]  # noqa: SLF001  # the one hook urllib has

    def no_context(http_version: object) -> object:  # noqa: ARG001  # the signature of what it stands in for
        return object()

    http.client._create_https_context = no_context  # type: ignore[attr-defined]  # noqa: SLF001  # the same hook
    try:
        yield
    finally:
        http.client._create_https_context = original  # type: ignore[attr-defined]  # noqa: SLF001  # the same hook


class _Declarations:
    """Stands in for `cffi.FFI`: has its attributes as soon as it is told the declarations."""

    def cdef(self, source: str) -> None:
        """Take what was read before, if it was read from this text; otherwise have cffi read it."""
        from billing.documents.pdf import pango_declarations  # noqa: PLC0415  # it opens cffi's library

        read: Any = pango_declarations.ffi
        if hashlib.sha256(source.encode()).hexdigest() != pango_declarations.DECLARED:
            sys.modules.pop("cffi")
            read = importlib.import_module("cffi").FFI()
            read.cdef(source)
        for name in dir(read):
            if not name.startswith("_"):
                setattr(self, name, getattr(read, name))


@contextlib.contextmanager
def _declarations_read_before() -> Iterator[None]:
    if "cffi" in sys.modules:
        yield
        return
    stand_in = ModuleType("cffi")
    stand_in.FFI = _Declarations  # type: ignore[attr-defined]  # a module takes any attribute
    sys.modules["cffi"] = stand_in
    try:
        yield
    finally:
        if sys.modules.get("cffi") is stand_in:
            del sys.modules["cffi"]


def _lazy_module(name: str, attributes: tuple[str, ...]) -> ModuleType:
    """A stand-in that becomes the real module when one of `attributes` is first called."""
    stand_in = ModuleType(name)

    def calling(attribute: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
            return getattr(importlib.import_module(name), attribute)(*arguments, **named)

        return call

    for attribute in attributes:
        setattr(stand_in, attribute, calling(attribute))
    return stand_in
