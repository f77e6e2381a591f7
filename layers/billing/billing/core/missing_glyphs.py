"""Characters that no font has: the PDF prints boxes and says so within itself, staff are told on the invoice.

The bytes alone say it, so that it is still known when a document is met again and not drawn.
"""

import re
from collections.abc import Iterable

_NAMED = 5
_HEAD = '<rdf:Description rdf:about="" xmlns:missing="urn:directus-legal-billing:missing-glyphs:1"><missing:characters>'
_END = "</missing:characters></rdf:Description>"
#: A document has few of them; more than these are counted no further.
_MOST = 1000
_NOTED = re.compile(re.escape(_HEAD.encode()) + rb"((?:U\+[0-9A-F]{4,6} ?)+)" + re.escape(_END.encode()))


def noted(code_points: Iterable[int]) -> str:
    """An element for the PDF's XMP metadata; empty if there are none."""
    names = [f"U+{code_point:04X}" for code_point in sorted(set(code_points))[:_MOST]]
    return f"{_HEAD}{' '.join(names)}{_END}" if names else ""


def missing_characters(content: bytes) -> tuple[str, ...]:
    """The characters that a PDF of ours says it prints as boxes (`U+0E01`), sorted."""
    found = _NOTED.search(content)
    return tuple(found.group(1).decode("ascii").split()) if found else ()


def remark_on_boxes(characters: tuple[str, ...], *, lacks_electronic_invoice: bool) -> str | None:
    """What staff must be told of them; nothing if there are none.

    `lacks_electronic_invoice`: they are the reason why the document carries none, although the data suffice.
    """
    if not characters:
        return None
    named = ", ".join(characters[:_NAMED]) + (" and others" if len(characters) > _NAMED else "")
    if len(characters) == 1:
        boxes = f"The PDF prints a character as a box, because no font has it: {named}."
    else:
        boxes = f"The PDF prints {len(characters)} characters as boxes, because no font has them: {named}."
    electronic = " It carries no electronic invoice, which is for documents that show every character."
    return boxes + (electronic if lacks_electronic_invoice else "")
