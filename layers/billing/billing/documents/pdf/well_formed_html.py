"""Reads a document of ours as the XML that it is, too: the parser that Python brings in C takes a tenth of the time.

Our templates close every element and name SVG's namespace, and what people write is escaped, so both ways of reading
give the same PDF (tests/integration/render_pdf/test_patches.py; a line break in an attribute becomes a blank). What is not well-formed for some reason, such as a
character that XML does not know, is left to WeasyPrint's HTML parser.

WeasyPrint's own style sheet speaks of list markers and footnotes of every element: six styles for each cell of a long
list, a third of its memory, for what our documents do not have. They are drawn without these rules; a firm's own
style may make lists and notes, so documents with one are left to the HTML parser and have them.
"""

import copy
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

#: Between whose children white space means nothing.
_PARTS_OF_TABLES = ("table", "colgroup", "thead", "tbody", "tr")


def well_formed_html(html: str, url_fetcher: Any) -> Any | None:
    """WeasyPrint's `HTML` of a document without lists and notes; None if it cannot be read so."""
    try:
        root = ET.fromstring(html)  # noqa: S314  # our own markup, with no entities; what people write is escaped in it
    except (ET.ParseError, ValueError):  # the latter of a lone surrogate
        return None
    _join_cells(root)
    return _well_formed_kind()(root, url_fetcher)


def _join_cells(root: ET.Element) -> None:
    """Take out the white space between the parts of tables: each would become a box, only to be thrown away."""
    for outer in _PARTS_OF_TABLES:
        for part in root.iter(outer):
            if not (part.text or "").strip():
                part.text = None
            for child in part:
                if not (child.tail or "").strip():
                    child.tail = None


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
