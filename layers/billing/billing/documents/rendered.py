"""A document as bytes, and what renders one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from billing.documents.invoice import Logo, PrintedInvoice
    from billing.documents.receipt import PrintedReceipt
    from billing.documents.versions import VersionWords


#: A longer document is not made, in both deliveries, so longer bytes in Directus are none of ours: they are not read, and
#: the document is rendered again and put in their place. Ten thousand lines have three million bytes.
MAX_DOCUMENT_BYTES = 64_000_000


@dataclass(frozen=True)
class RenderedPdf:
    """The finished file.

    `missing_characters` are those that no font has (`U+0E01`), sorted: they are printed as boxes, and the file does not
    claim to be PDF/A or PDF/UA, which want every glyph, nor carries an electronic invoice, which wants PDF/A.
    """

    content: bytes
    missing_characters: tuple[str, ...] = ()

    @property
    def missing_glyphs(self) -> int:
        """How many characters are printed as boxes."""
        return len(self.missing_characters)

    @property
    def sha256(self) -> str:
        """Of the bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class PdfRenderer(Protocol):
    """Renders documents; `template_version` and `layer_version` are part of a document's identity."""

    @property
    def template_version(self) -> str:
        """The hash of the template files."""
        ...

    @property
    def layer_version(self) -> str:
        """Names the software that renders."""
        ...

    def title(self, printed: PrintedInvoice) -> str:
        """What the document is called, in its own language."""
        ...

    def version_words(self, printed: PrintedInvoice) -> VersionWords:
        """How titles tell its versions apart, in its own language."""
        ...

    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        """Raise `RenderFailed`, or `Unprocessable` (`bad_logo`, `document_too_large`), with a reason a person can act on."""
        ...

    @property
    def receipt_version(self) -> str:
        """The hash of the receipts' template files."""
        ...

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """What the receipt is called, in its own language."""
        ...

    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        """As `render_invoice`."""
        ...
