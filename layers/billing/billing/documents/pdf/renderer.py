"""From a printed document to the bytes of a PDF/A-3b that is PDF/UA-1, too, by WeasyPrint, with no way out of here.

WeasyPrint is imported by the constructor's first caller, not by this module: only the worker pays for it.
The same document gives the same bytes: nothing here reads a clock.
"""

import contextlib
import gc
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from billing.documents.factur_x.invoice import ElectronicInvoice, electronic_invoice
from billing.documents.factur_x.xml import electronic_invoice_xml
from billing.documents.invoice import Logo, PrintedInvoice
from billing.documents.pdf.logo import checked_logo
from billing.documents.pdf.metadata import FACTUR_X_FILE, claim
from billing.documents.pdf.start import import_weasyprint, well_formed_html
from billing.documents.receipt import PrintedReceipt
from billing.documents.rendered import MAX_DOCUMENT_BYTES, RenderedPdf
from billing.documents.template import DocumentTemplate
from billing.documents.text import with_breakable_words
from billing.documents.versions import VersionWords
from billing.errors import BillingError, RenderFailed, Unprocessable

#: Of what WeasyPrint says; enough for a person, and it fits on the invoice.
_QUOTED_CHARACTERS = 200
#: Where the layer says which libraries, wheels and fonts it is made of.
LAYER_VERSION = Path("/opt/etc/layer-version")
#: Counts what this project's own code has changed in the bytes of the same document.
_REVISION = 3
_OPTIONS = {"pdf_variant": "pdf/a-3b", "pdf_tags": True}
_PLACES = 5


class RendererCrashed(Exception):
    """A defect of ours. Names a type and places, never a document's words: it is logged."""


@contextlib.contextmanager
def _told_by_place() -> Iterator[None]:
    """Raise `RendererCrashed` instead of an exception without a name, whose text may quote the document."""
    try:
        yield
    except BillingError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a defect raises
        frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
        places = (f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
        message = f"{type(error).__name__} at {' < '.join(places)}"
        raise RendererCrashed(message) from None


class WeasyPrintRenderer:
    """Keeps what is costly between documents: the library, the fonts and the parsed style sheet."""

    def __init__(
        self,
        template: DocumentTemplate,
        layer_version: Path = LAYER_VERSION,
        *,
        maximum_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> None:
        """`layer_version` is the file in which the layer names what it is made of; elsewhere there is none.

        A document of more than `maximum_bytes` is refused.
        """
        self._template = template
        self._layer_version = layer_version
        self._maximum_bytes = maximum_bytes
        self._engine: _Engine | None = None

    @property
    def template_version(self) -> str:
        """The hash of the template files."""
        return self._template.version

    @property
    def layer_version(self) -> str:
        """WeasyPrint's version, what we make of its PDF, and the libraries and fonts of the layer, if it is one."""
        layer = self._layer_version.read_text("ascii").strip() if self._layer_version.exists() else ""
        return "-".join(filter(None, ("weasyprint", version("weasyprint"), str(_REVISION), layer)))

    def title(self, printed: PrintedInvoice) -> str:
        """What the document is called, in its own language."""
        return self._template.title(printed)

    def version_words(self, printed: PrintedInvoice) -> VersionWords:
        """How titles tell its versions apart, in its own language."""
        return self._template.version_words(printed)

    def warm_up(self) -> None:
        """Import WeasyPrint and read the fonts and the style now, so that the first document does not wait."""
        if self._engine is None:
            self._engine = _Engine(
                self._template.style, receipt=self._template.receipt_style, maximum_bytes=self._maximum_bytes
            )

    @_told_by_place()
    def render_invoice(self, printed: PrintedInvoice, logo: Logo | None) -> RenderedPdf:
        """Render an invoice. `logo` is what `printed.logo_sha256` is the hash of.

        It carries itself as data where the firm wants that and the data suffice (`documents.factur_x.invoice`). Raises
        `RenderFailed`, or `Unprocessable` `bad_logo` or `document_too_large`.
        """
        assets = {"logo": checked_logo(logo)} if logo else {}
        html = self._template.invoice_html(with_breakable_words(printed))
        self.warm_up()
        assert self._engine is not None
        return self._engine.render(
            html,
            assets,
            invoice=printed.id,
            well_formed=self._template.is_well_formed,
            attached=_attached(printed),
        )

    @property
    def receipt_version(self) -> str:
        """The hash of the receipts' template files."""
        return self._template.receipt_version

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """What the receipt is called, in its own language."""
        return self._template.receipt_title(printed)

    @_told_by_place()
    def render_receipt(self, printed: PrintedReceipt, logo: Logo | None) -> RenderedPdf:
        """Render a receipt, to the same standards as an invoice."""
        assets = {"logo": checked_logo(logo)} if logo else {}
        html = self._template.receipt_html(with_breakable_words(printed))
        self.warm_up()
        assert self._engine is not None
        return self._engine.render(
            html, assets, invoice=printed.invoice, well_formed=self._template.is_well_formed, receipt=True
        )


@dataclass(frozen=True)
class _AttachedInvoice:
    """The invoice as data; `written` is when, in UTC: `PrintedInvoice.dated`."""

    xml: str
    written: datetime


def _attached(printed: PrintedInvoice) -> _AttachedInvoice | None:
    electronic = electronic_invoice(printed) if printed.firm.electronic_invoice else None
    if not isinstance(electronic, ElectronicInvoice):
        return None
    return _AttachedInvoice(electronic_invoice_xml(electronic).decode(), printed.dated.astimezone(UTC))


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Rendering makes many objects and few cycles: looking for these takes a seventh of the time, and frees little."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _Complaints(logging.Handler):
    """What WeasyPrint reports: an error means that it left something out and went on, which an invoice must not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors: list[str] = []
        #: Code points that no font has: WeasyPrint says so of each as often as it is rendered.
        self.missing: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())
        elif str(record.msg).startswith(".notdef glyph"):
            _, code_point = record.args if isinstance(record.args, tuple) else ()
            self.missing.add(int(str(code_point)))


class _Engine:
    """WeasyPrint behind its seal."""

    def __init__(self, style: str, *, receipt: str, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._weasyprint: Any = import_weasyprint()
        from weasyprint.text.fonts import FontConfiguration  # noqa: PLC0415  # only the worker has WeasyPrint

        from billing.documents.pdf.fetcher import SealedFetcher  # noqa: PLC0415  # it imports WeasyPrint
        from billing.documents.pdf.standards import finish  # noqa: PLC0415  # it imports WeasyPrint's PDF library

        self._finish = finish
        self._fetcher = SealedFetcher()
        self._fonts = FontConfiguration()
        self._style, self._receipt_style = (
            self._weasyprint.CSS(string=text, url_fetcher=self._fetcher, font_config=self._fonts)
            for text in (style, receipt)
        )

    @_without_collection()  # around it all, so that the objects are gone when collection begins again
    def render(
        self,
        html: str,
        assets: dict[str, Logo],
        *,
        invoice: str,
        well_formed: bool,
        receipt: bool = False,
        attached: _AttachedInvoice | None = None,
    ) -> RenderedPdf:
        from weasyprint.urls import FatalURLFetchingError  # noqa: PLC0415  # only the worker has WeasyPrint

        self._fetcher.open_for(assets)
        style = self._receipt_style if receipt else self._style
        content, failure, quote = b"", "", ""
        with _complaints() as complaints:
            try:
                content = self._rendered(html, style, complaints, well_formed=well_formed, attached=attached)
            except (Exception, FatalURLFetchingError) as error:  # noqa: BLE001  # whatever a hostile document breaks inside WeasyPrint, its invoice alone fails, with the reason
                failure = f"The document could not be rendered ({type(error).__name__})."
        if self._fetcher.refused:
            failure, quote = "The document refers to something outside itself.", self._fetcher.refused[0]
        elif complaints.errors and not failure:
            failure, quote = "The document could not be rendered completely.", complaints.errors[0]
        if failure:
            raise RenderFailed(failure, quote=quote[:_QUOTED_CHARACTERS], invoice=invoice)
        if len(content) > self._maximum_bytes:
            message = (
                f"The document is too large: its file would have more than {self._maximum_bytes / 1e6:.3g} MB, the most that "
                "a document may have. A very large logo or very long texts are the usual cause; replace or shorten them, "
                "then choose Render again."
            )
            raise Unprocessable(message, code="document_too_large", invoice=invoice)
        return RenderedPdf(content, tuple(f"U+{code_point:04X}" for code_point in sorted(complaints.missing)))

    def _rendered(
        self,
        html: str,
        style: Any,
        complaints: _Complaints,
        *,
        well_formed: bool,
        attached: _AttachedInvoice | None,
    ) -> bytes:
        source = well_formed_html(html, self._fetcher) if well_formed else None
        source = source or self._weasyprint.HTML(string=html, url_fetcher=self._fetcher)
        document = source.render(stylesheets=[style], font_config=self._fonts, **_OPTIONS)
        claim(document.metadata, electronic=attached is not None, shows_all=lambda: not complaints.missing)
        attachments = self._attachments(attached, complaints)
        content: bytes = document.write_pdf(finisher=self._finish, attachments=attachments, **_OPTIONS)
        return content

    def _attachments(self, attached: _AttachedInvoice | None, complaints: _Complaints) -> Iterator[Any]:
        """WeasyPrint asks for them when it has rendered the pages: only then it is known what no font has."""
        if attached and not complaints.missing:
            yield self._weasyprint.Attachment(
                string=attached.xml,
                url_fetcher=self._fetcher,
                name=FACTUR_X_FILE,
                description="Factur-X (EN 16931)",
                created=attached.written,
                modified=attached.written,
                relationship="Alternative",
            )


@contextlib.contextmanager
def _complaints() -> Iterator[_Complaints]:
    """Hear WeasyPrint's reports instead of the log: they quote the document, and logs hold no client's detail."""
    complaints, source = _Complaints(), logging.getLogger("weasyprint")
    propagated = source.propagate
    source.addHandler(complaints)
    source.propagate = False
    try:
        yield complaints
    finally:
        source.propagate = propagated
        source.removeHandler(complaints)
