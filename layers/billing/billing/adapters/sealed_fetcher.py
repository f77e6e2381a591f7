"""The only way WeasyPrint reaches anything: a table of assets, and a log of what it asked for besides.

Imports WeasyPrint, so only the renderer imports this, and late.
"""

import base64
import io
from urllib.parse import unquote
from urllib.request import OpenerDirector

from PIL import Image
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from billing.adapters.logo_check import MAX_PIXELS
from billing.core.printed_invoice import Logo

_CARRIED = {"data:image/png;base64": "image/png", "data:image/jpeg;base64": "image/jpeg"}


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
    """The picture without the colours of a printing press: PDF/A allows one kind, and the output intent is sRGB."""
    if asset.media_type != "image/jpeg":
        return asset
    try:
        with Image.open(io.BytesIO(asset.content), formats=("JPEG",)) as image:
            if image.mode != "CMYK" or image.width * image.height > MAX_PIXELS:
                return asset
            converted = io.BytesIO()
            image.convert("RGB").save(converted, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        return asset  # a picture that cannot be read is WeasyPrint's to report
    return Logo(converted.getvalue(), "image/png")
