"""Looks at a logo before it is drawn: WeasyPrint would leave out a broken one without a word."""

import io
from xml.etree import ElementTree as ET

from billing.core.printed_invoice import MAX_LOGO_BYTES, Logo
from billing.errors import Unprocessable

MAX_PIXELS = 25_000_000
_RASTER = {"image/png": "PNG", "image/jpeg": "JPEG"}


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


def _check_raster(content: bytes, kind: str) -> None:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  # Pillow comes with WeasyPrint, in the worker only

    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _bad(f"it is {image.width} by {image.height} pixels")
            image.verify()  # finds a file that ends too early
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise _bad(f"it is not a readable {kind} file") from error


def _bad(reason: str) -> Unprocessable:
    return Unprocessable(f"The firm's logo cannot be printed: {reason}.", code="bad_logo")
