"""Where words without end may be broken: laying out takes a time that grows with the square of a word's length.

What people paste (keys, encoded files) has such words; a few thousand of their letters would use up the worker's time.
"""

import re
import unicodedata
from dataclasses import fields, is_dataclass, replace
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
