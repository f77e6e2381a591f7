"""The only way WeasyPrint reaches anything: a table of assets, and a log of what it asked for besides.

Imports WeasyPrint, so only the renderer imports this, and late.
"""

import base64
import io
from urllib.parse import unquote
from urllib.request import OpenerDirector

from PIL import Image, ImageChops
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from billing.documents.invoice import Logo
from billing.documents.pdf.logo import MAX_PIXELS

_CARRIED = {"data:image/png;base64": "image/png", "data:image/jpeg;base64": "image/jpeg"}
#: Of 65,536 shades become 256, evenly: 65,535 is 255.
_SHADES_IN_ONE = 257


class SealedFetcher(URLFetcher):  # type: ignore[misc]  # WeasyPrint ships no types
    """Answers `app:` names from a table; refuses and records every other address: no network, no files.

    Pictures that an SVG logo carries within itself (`data:`, PNG or JPEG) reach nothing and are let through.
    WeasyPrint swallows the refusal inside an SVG image, so the renderer looks at `refused` afterwards as well.
    """

    def __init__(self) -> None:
        # Not URLFetcher's own start: it installs handlers for http, ftp and files and builds a TLS context.
        OpenerDirector.__init__(self)
        self._assets: dict[str, Logo] = {}
        self.refused: list[str] = []
        self._fail_on_errors = True

    def open_for(self, assets: dict[str, Logo]) -> None:
        """Start one document: its assets by name, and an empty log."""
        self._assets = assets
        self.refused = []

    def fetch(self, url: str, headers: object = None) -> URLFetcherResponse:  # noqa: ARG002  # WeasyPrint's signature
        """Serve an asset of the table; anything else ends the rendering."""
        asset = self._assets.get(url.removeprefix("app:")) if url.startswith("app:") else _carried(url)
        if asset is None:
            self.refused.append(url)
            message = "A document may not refer to anything outside itself."
            raise FatalURLFetchingError(message)
        asset = _in_rgb(asset)
        return URLFetcherResponse(url, asset.content, {"Content-Type": asset.media_type})


def _carried(url: str) -> Logo | None:
    head, _, data = url.partition(",")
    media_type = _CARRIED.get(head)
    try:
        return Logo(base64.b64decode(unquote(data)), media_type) if media_type else None
    except ValueError:
        return None


def _in_rgb(asset: Logo) -> Logo:
    """The picture in a kind of colour that WeasyPrint writes as it is, and that PDF/A allows here."""
    converted = None
    try:
        with Image.open(io.BytesIO(asset.content), formats=("JPEG", "PNG")) as image:
            if image.width * image.height <= MAX_PIXELS:
                converted = _converted(image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return asset  # a picture that cannot be read is WeasyPrint's to report
    return asset if converted is None else Logo(converted, "image/png")


def _converted(image: Image.Image) -> bytes | None:
    """As PNG where the colours are not to be kept, else None.

    PDF/A allows one kind of colour, and the output intent is sRGB: not those of a printing press. Of a grey of 16 bits
    WeasyPrint declares thrice as much as it writes, or cuts off everything that is brighter than almost black.
    """
    if image.mode == "CMYK":
        image = image.convert("RGB")
    elif image.mode.startswith("I"):
        image = _in_8_bits(image)
    else:
        return None
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _in_8_bits(image: Image.Image) -> Image.Image:
    """A grey of 16 bits, white staying white; the one shade that a PNG may name as transparent stays so, too."""
    grey = image.convert("I")
    converted = grey.point(lambda shade: shade / _SHADES_IN_ONE + 0.5).convert("L")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        below, above = (
            grey.point(lambda shade, sign=sign: shade * sign - transparent * sign) for sign in (1, -1)
        )
        # As a grey of 8 bits everything below 0 is 0, so that only the shade itself is 0 in both.
        distance = ImageChops.lighter(below.convert("L"), above.convert("L"))
        converted.putalpha(distance.point(lambda away: 255 if away else 0))
    return converted
