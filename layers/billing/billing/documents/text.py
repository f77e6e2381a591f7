"""What the text of a document needs: places where long words may break, what staff are told of characters that no font has, a colour that can be read."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import groupby
from typing import Any

#: Longer words than this are broken; each part has so many letters, and as many more as belong to the last one. Parts
#: that are longer than a narrow column's line help little: 10,000 letters took 9 seconds with 100, 1.5 with 20.
LONGEST, PART = 200, 20
_BREAK = "\u200b"
_ZERO_WIDTH_JOINER = "\u200d"
#: Where a line may end anyway. A no-break space is none of them.
_LONG = re.compile(f"[^ \\t\\n{_BREAK}]{{{LONGEST + 1},}}")
#: Marks, joiners and the colours of skin belong to the letter before them.
_BELONGING = ("Mn", "Mc", "Me", "Cf", "Sk")
_MOST_BELONGING = 20
#: These are addresses that are followed, not text that is read.
_NOT_TEXT = {"portal_url"}


def breakable(text: str) -> str:
    """The text with a zero width space after each `PART` letters of every word of more than `LONGEST`.

    Letters that a line may end after anyway, such as Chinese ones, are no part of a word. Arabic letters are joined no
    more where such a word is broken.
    """
    return _LONG.sub(lambda found: _broken(found.group()), text)


def with_breakable_words[Printed](printed: Printed) -> Printed:
    """The same value with all its texts, those within its parts included, made `breakable`."""
    changed: Any = _changed(printed)
    return changed  # type: ignore[no-any-return]  # `_changed` keeps the type


def _changed(value: Any) -> Any:
    if isinstance(value, str):
        return breakable(value)
    if isinstance(value, tuple):
        return tuple(map(_changed, value))
    if is_dataclass(value) and not isinstance(value, type):
        old = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        new = {name: _changed(part) for name, part in old.items() if name not in _NOT_TEXT}
        changes = {name: part for name, part in new.items() if part != old[name]}
        return replace(value, **changes) if changes else value
    return value


def _broken(run: str) -> str:
    words = ("".join(letters) for _, letters in groupby(run, _is_wide))
    return "".join(
        _BREAK.join(_parts(word)) if len(word) > LONGEST and not _is_wide(word[0]) else word for word in words
    )


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def _parts(word: str) -> list[str]:
    parts, start = [], 0
    while len(word) - start > PART:
        end = start + PART
        limit = end + _MOST_BELONGING
        while end < min(limit, len(word)) and _belong_together(word[end - 1], word[end]):
            end += 1
        parts.append(word[start:end])
        start = end
    return [*parts, word[start:]] if start < len(word) else parts


def _belong_together(before: str, letter: str) -> bool:
    return before == _ZERO_WIDTH_JOINER or unicodedata.category(letter) in _BELONGING


_NAMED = 5


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


_HEXADECIMAL = re.compile(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})")
#: What WCAG 2 asks of text of ordinary size (success criterion 1.4.3, level AA).
LEAST_CONTRAST = 4.5
_TINT_PERCENT = 7


@dataclass(frozen=True)
class AccentColor:
    """A colour in sRGB, each part from 0 to 255."""

    red: int
    green: int
    blue: int

    @property
    def css(self) -> str:
        """As a style sheet writes it: `#1d3a5f`."""
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def tint(self) -> AccentColor:
        """A little of it on white, for areas behind text."""
        return AccentColor(*(255 - (255 - part) * _TINT_PERCENT // 100 for part in self._parts))

    @property
    def luminance(self) -> float:
        """Relative luminance as WCAG 2 defines it, from 0 (black) to 1 (white)."""
        red, green, blue = (_linear(part / 255) for part in self._parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(self, other: AccentColor) -> float:
        """WCAG's contrast ratio of the two, from 1 to 21."""
        lighter, darker = sorted((self.luminance, other.luminance), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)

    @property
    def _parts(self) -> tuple[int, int, int]:
        return self.red, self.green, self.blue


WHITE = AccentColor(255, 255, 255)
DEFAULT_ACCENT = AccentColor(0x1D, 0x3A, 0x5F)


def accent_color(text: str) -> AccentColor:
    """The colour that `firm.accent_color` says (`#RRGGBB`).

    `DEFAULT_ACCENT` where it says none, and where text in it would be hard to read on white.
    """
    found = _HEXADECIMAL.fullmatch(text)
    if found is None:
        return DEFAULT_ACCENT
    color = AccentColor(*(int(part, 16) for part in found.groups()))
    return color if color.contrast(WHITE) >= LEAST_CONTRAST else DEFAULT_ACCENT


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  # sRGB's own threshold
