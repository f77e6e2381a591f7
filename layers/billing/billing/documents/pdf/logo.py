"""Looks at a logo before it is rendered: WeasyPrint would leave out a broken one without a word."""

import base64
import io
import math
import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from billing.documents.invoice import MAX_LOGO_BYTES, Logo
from billing.errors import Unprocessable

MAX_PIXELS = 25_000_000
_RASTER = {"image/png": "PNG", "image/jpeg": "JPEG"}
_CARRIED = {f"data:{media_type};base64": kind for media_type, kind in _RASTER.items()}
_SMALLEST_MEASURE, _LARGEST_MEASURE = 0.001, 1_000_000.0
_NUMBER = re.compile(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", re.IGNORECASE | re.ASCII)


def checked_logo(logo: Logo) -> Logo:
    """The logo, if it is a readable PNG, JPEG or SVG of bearable size, else `Unprocessable` `bad_logo`."""
    if len(logo.content) > MAX_LOGO_BYTES:
        raise _bad(f"it has {len(logo.content)} bytes, more than {MAX_LOGO_BYTES}")
    if logo.media_type == "image/svg+xml":
        _check_svg(logo.content)
    elif logo.media_type in _RASTER:
        _check_raster(logo.content, _RASTER[logo.media_type])
    else:
        raise _bad(f"{logo.media_type!r} is neither PNG nor JPEG nor SVG")
    return logo


class _NoDoctype(ET.TreeBuilder):
    """Entities could unfold into gigabytes or name files; a logo needs neither them nor a document type."""

    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:  # noqa: ARG002  # ElementTree's signature
        raise _bad("an SVG with a document type is not accepted; save it as plain SVG")


def _check_svg(content: bytes) -> None:
    parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314  # document types, and with them entities, are refused
    try:
        parser.feed(content)
        root = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise _bad("it is not well-formed SVG") from error
    if root.tag.rpartition("}")[2] != "svg":
        raise _bad("its outermost element is not <svg>")
    _check_measures(root)
    for element in root.iter():
        for name in ("href", "{http://www.w3.org/1999/xlink}href"):
            _check_carried(element.get(name, ""))


def _check_measures(root: ET.Element) -> None:
    """What WeasyPrint cannot read it breaks over; what is empty, endless or not a number it leaves out."""
    view = root.get("viewBox")
    if view is not None:
        corner_and_size = [_measure(part) for part in re.split(r"[\s,]+", view.strip())]
        if len(corner_and_size) != 4 or min(corner_and_size[2:]) < _SMALLEST_MEASURE:  # noqa: PLR2004  # x, y, width, height
            raise _bad(f"its viewBox is {view[:40]!r}, not four numbers that span an area")
    for name in ("width", "height"):
        size = root.get(name, "").strip()
        if size and size != "auto":
            number = _NUMBER.match(size)
            if number is None or _measure(number.group()) < _SMALLEST_MEASURE:
                raise _bad(f"its {name} is {size[:40]!r}")


def _measure(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST_MEASURE:
        raise _bad(f"{text[:40]!r} is no measure")
    return number


def _check_carried(address: str) -> None:
    """A picture inside the SVG must be as readable and bearable as one of its own; other addresses are not fetched."""
    head, _, data = address.strip().partition(",")
    kind = _CARRIED.get(head)
    if kind is None:
        return
    try:
        content = base64.b64decode(unquote(data))
    except ValueError as error:
        raise _bad("a picture inside it cannot be read") from error
    _check_raster(content, kind)


def _check_raster(content: bytes, kind: str) -> None:
    from PIL import Image  # noqa: PLC0415  # Pillow comes with WeasyPrint, in the worker only

    def is_bearable() -> bool:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            if image.width * image.height > MAX_PIXELS:
                return False
            image.verify()  # finds a file that ends too early
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            image.load()
        return True

    try:
        bearable = is_bearable()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file breaks in them
        raise _bad(f"it is not a readable {kind} file") from error
    if not bearable:
        raise _bad(f"it has more than {MAX_PIXELS} pixels")


def _bad(reason: str) -> Unprocessable:
    return Unprocessable(f"The firm's logo cannot be printed: {reason}.", code="bad_logo")
