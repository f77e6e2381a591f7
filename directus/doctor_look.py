"""Whether the firm's color can be used: the same rule as in the documents (`billing.documents.text`).

The installer runs without our package, so the rule is repeated here; a test compares the two.
"""

import re

_HEXADECIMAL = re.compile(r"#[0-9A-Fa-f]{6}")
#: WCAG 2's minimum for normal text on white.
LEAST_CONTRAST = 4.5


def contrast_with_white(color: str) -> float:
    """WCAG 2's contrast ratio of a color (`#RRGGBB`) against white, from 1 to 21. Raises `ValueError` for anything else."""
    if not _HEXADECIMAL.fullmatch(color):
        raise ValueError(color)
    red, green, blue = (_linear(part / 255) for part in bytes.fromhex(color[1:]))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def remark_on_color(color: str) -> str | None:
    """Why documents are not rendered in `firm.accent_color`, and what to do; None if they are or it is empty."""
    if not color:
        return None
    try:
        contrast = contrast_with_white(color)
    except ValueError:
        return (
            f"firm.accent_color is {color!r}, which is not a color, so documents use our dark blue: enter six hexadecimal "
            "digits after a #, such as #1d3a5f, or empty the field."
        )
    if contrast >= LEAST_CONTRAST:
        return None
    ratio = int(contrast * 100) / 100  # never rounded up to what would be enough
    return (
        f"firm.accent_color {color} is too light to be read on white ({ratio:.2f}:1, {LEAST_CONTRAST}:1 is needed), so "
        "documents use our dark blue: choose a darker shade, or empty the field."
    )


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  # sRGB's own threshold
