"""WeasyPrint imported and used as fast as our documents allow: everything of it that we replace is in this file.

A test fails when other `VERSIONS` are installed, so that this is read again. No byte of a document changes, and each gives
a tenth of a cold start or of a usual invoice, but for the first (docs/decisions/0023-weasyprint-replacements.md):

- cffi asks `ctypes.util.find_library` for every native library, which starts programs (38 times `ldconfig` alone); without
  an answer it opens the plain file names, which is what a layer offers. Rendering starts no program: tests hold that;
- every `URLFetcher` builds a TLS context and reads the CA bundle, three times at import: not while it is imported;
- `fontTools` is imported whole, though HarfBuzz does the subsetting: imported when first called instead;
- our own markup is well-formed: Python's parser in C reads it in a tenth of the time. And WeasyPrint's own style sheet
  speaks of list markers and footnotes of every element, six styles for each cell of a long list: left out, because our
  documents have neither. A firm's own template or style may have them, so it is left to WeasyPrint's HTML parser.
"""

import contextlib
import copy
import ctypes.util
import http.client
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

#: What these replacements, and `standards`, were read in.
VERSIONS = {"weasyprint": "70.0", "pydyf": "0.13.0"}
_LAZY = {
    "fontTools.varLib.instancer": ("instantiateVariableFont",),
    "fontTools.subset": ("Options", "Subsetter", "load_font", "save_font"),
}


def import_weasyprint() -> ModuleType:
    """Import WeasyPrint the fast way, once; later calls return the module."""
    if "weasyprint" not in sys.modules:
        _use_the_layers_fonts()
        for name, attributes in _LAZY.items():
            if name not in sys.modules:
                sys.modules[name] = _lazy_module(name, attributes)
        with _no_search_and_no_tls():
            importlib.import_module("weasyprint")
    return sys.modules["weasyprint"]


def well_formed_html(html: str, url_fetcher: Any) -> Any | None:
    """WeasyPrint's `HTML` of a document without lists and notes; None if it cannot be read as XML."""
    try:
        root = ET.fromstring(html)  # noqa: S314  # our own markup, with no entities; what people write is escaped in it
    except (ET.ParseError, ValueError):  # the latter of a lone surrogate
        return None
    return _well_formed_kind()(root, url_fetcher)


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
def _no_search_and_no_tls() -> Iterator[None]:
    """What stands in for a TLS context is none: were it ever used, the connection would fail, not pass."""
    search, context = ctypes.util.find_library, http.client._create_https_context  # type: ignore[attr-defined]  # noqa: SLF001  # the one hook urllib has
    ctypes.util.find_library = lambda name: None  # noqa: ARG005  # the name of what it stands in for
    http.client._create_https_context = lambda _: object()  # type: ignore[attr-defined]  # noqa: SLF001  # the same hook
    try:
        yield
    finally:
        ctypes.util.find_library, http.client._create_https_context = search, context  # type: ignore[attr-defined]  # noqa: SLF001  # same


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


@cache
def _well_formed_kind() -> Any:
    import cssselect2  # type: ignore[import-untyped]  # noqa: PLC0415  # only the worker has what WeasyPrint brings
    import weasyprint  # noqa: PLC0415  # same

    class WellFormedHtml(weasyprint.HTML):  # type: ignore[misc]  # WeasyPrint ships no types
        def __init__(self, root: Any, url_fetcher: Any) -> None:  # what the original sets after parsing
            self.base_url = None
            self.url_fetcher = url_fetcher
            self.media_type = "print"
            self.wrapper_element = cssselect2.ElementWrapper.from_html_root(root, content_language=None)
            self.etree_element = root

        def _ua_stylesheets(self, forms: bool = False) -> list[Any]:  # noqa: FBT001, FBT002  # WeasyPrint's signature
            return [_without_notes(sheet) for sheet in super()._ua_stylesheets(forms)]

    return WellFormedHtml


def _without_notes(sheet: Any) -> Any:
    """A copy without the rules that hold for a pseudo-element of every element (`::marker`, `::footnote-call`, ...)."""
    lighter = copy.copy(sheet)
    lighter.matcher = copy.copy(sheet.matcher)
    lighter.matcher.other_selectors = [
        (test, specificity, order, pseudo_element, payload)
        for test, specificity, order, pseudo_element, payload in sheet.matcher.other_selectors
        if pseudo_element is None
    ]
    return lighter
