"""A QR code as what an SVG draws of it: one path, made of digits and letters of our own."""

from dataclasses import dataclass

#: A module of 0.42 mm can be read from paper by any telephone.
_MODULE_MM = 0.42
_SMALLEST_MM = 22.0
_QUIET_ZONE = 4  # modules, as ISO/IEC 18004 asks
#: 77 modules to a side, 412 bytes: a longer address makes a code nobody can read at this size.
_LARGEST_VERSION = 15


@dataclass(frozen=True)
class QrCode:
    """`side` counts modules with the quiet zone around them; `path` fills the dark ones; `millimetres` is its size."""

    side: int
    path: str
    millimetres: float


def qr_code(text: str) -> QrCode | None:
    """The code with error correction M; None for a text too long to be read from paper."""
    import segno  # noqa: PLC0415  # only the render worker's layer has it

    try:
        made = segno.make_qr(text, error="m", boost_error=False)
    except segno.DataOverflowError:
        return None
    if int(made.version) > _LARGEST_VERSION:
        return None
    rows = [list(row) for row in made.matrix_iter(border=_QUIET_ZONE)]
    path = "".join(_row(number, [bool(module) for module in row]) for number, row in enumerate(rows))
    return QrCode(len(rows), path, max(_SMALLEST_MM, round(len(rows) * _MODULE_MM, 2)))


def _row(number: int, modules: list[bool]) -> str:
    """The dark modules of a row, each run of them as one rectangle."""
    parts, start = [], None
    for place, dark in enumerate([*modules, False]):
        if dark and start is None:
            start = place
        elif not dark and start is not None:
            parts.append(f"M{start} {number}h{place - start}v1h-{place - start}z")
            start = None
    return "".join(parts)
