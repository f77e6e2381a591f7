"""The one colour of a firm's documents. A colour in which text could not be read is not used.

It is three numbers from here on, never text: so nothing that somebody typed can reach a style sheet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
