"""From a printed document to HTML: Jinja2 with autoescape, amounts and dates as the reader's language writes them.

The templates, the style and the labels are files under `templates/`; their bytes are the template's version.
No user text is ever marked safe, and none reaches the style sheet. A QR code is one path of SVG, made of digits and
letters of our own.
"""

import hashlib
import math
import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket

from billing.documents.invoice import LANGUAGES, LineGroup, PrintedInvoice, PrintedLine
from billing.documents.receipt import PrintedReceipt
from billing.documents.versions import VersionWords
from billing.formats import formats_of, locale_of
from billing.money import Money

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


#: In minor units: amounts from here on (ten million dollars) need the wider number columns.
_WIDE = 1_000_000_000
#: Letters that surely fit on a line of the page's foot.
_FOOT_COLUMNS = 90

#: Unicode's kinds of letters that have a direction: left to right, right to left, and Arabic.
_STRONG = ("L", "R", "AL")
#: Average width of a letter in a table of lines, and that of the style sheet's columns, all in millimetres. The page is
#: A4, the narrower one; the description has what the others leave.
_LETTER_WIDTH = 1.6
_PAGE_WIDTH, _CELL_PADDING, _DATE_WIDTH, _TIMEKEEPER_WIDTH = 172.0, 3.0, 23.5, 26.0
#: Of hours, rate and amount: as usual, and where amounts are wide.
_NUMBER_WIDTHS, _WIDE_NUMBER_WIDTHS = (13.0, 18.0, 26.0), (18.0, 27.0, 32.0)
#: What a row takes besides its text, in printed lines.
_ROW_PADDING = 0.5
#: Up to this many printed lines a group stays on one page: a quarter of it is the most that may be left white.
_SHORT_GROUP = 10
#: From here on, a third of a page, a row may be broken, and bank details get a place of their own.
_TALL_ROW, _LONG_BANK_DETAILS = 18, 12
#: So much of a tall last row stays with the totals.
_LAST_PART = 8
#: Where a long text is best cut: between lines, sentences, words.
_SEAMS = tuple(map(re.compile, (r"\n", r"(?<=[.;!?])\s+|(?<=[。；！？])", r"\s+")))  # noqa: RUF001  # Chinese
#: Marks that belong to the letter before them.
_MARKS = ("Mn", "Mc", "Me", "Cf")
#: Letters that surely fit on a line of bank details between two other ways to pay.
_BANK_COLUMNS = 34
#: Lines that the style sheet has a foot for.
_FOOT_ROOMS = (2, 5, 8)

TEMPLATES = Path(__file__).parent.parent / "templates"


class DocumentTemplate:
    """Renders documents as HTML. Compiled templates and labels are kept for the life of the process."""

    def __init__(self, directory: Path = TEMPLATES) -> None:
        """`directory` holds `invoice.html`, `invoice.css` and `labels/<language>.toml`, and the receipts' beside them."""
        self._directory = directory

    @property
    def version(self) -> str:
        """The hash of every file an invoice is rendered from."""
        return _version(self._directory, "invoice.*", "labels/*.toml")

    @property
    def is_well_formed(self) -> bool:
        """Whether `invoice_html` can be read as XML, which is faster, and means the same read so."""
        return True

    @property
    def style(self) -> str:
        """The text of the style sheet."""
        return (self._directory / "invoice.css").read_text(encoding="utf-8")

    def title(self, printed: PrintedInvoice) -> str:
        """What every version is called, in its own language: `Invoice 2026-0147`."""
        return f"{self._labels_of(printed)['invoice']} {printed.number}"

    def pdf_title(self, printed: PrintedInvoice) -> str:
        """The title inside the document; that of a correction tells it from what it replaces."""
        correction, title = printed.correction, self.title(printed)
        if correction is None:
            return title
        return f"{title} ({self._labels_of(printed)['replaces_version']} {correction.replaces})"

    def version_words(self, printed: PrintedInvoice) -> VersionWords:
        """How titles tell versions apart, in the document's language."""
        label = self._labels_of(printed)
        return VersionWords(version=label["version"], replaced=label["replaced"])

    def invoice_labels(self, language: str) -> Mapping[str, Any]:
        """What an invoice says in a language of `LANGUAGES`."""
        return _labels(self._directory, language)

    def invoice_template(self, locale: Locale) -> Template:
        """The compiled template with the filters of that locale."""
        return _environment(self._directory, locale).get_template("invoice.html")

    def invoice_html(self, printed: PrintedInvoice) -> str:
        """The invoice as one HTML document; the logo, if there is one, is referred to as `app:logo`."""
        locale = locale_of(printed.language)
        label = self.invoice_labels(locale.language)
        credit = printed.balance_due.minor < 0
        wide = _widest(printed) >= _WIDE
        return self.invoice_template(locale).render(
            invoice=printed,
            label=label,
            language=str(locale).replace("_", "-"),
            title=self.pdf_title(printed),
            wide=wide,
            short_groups={group.kind for group in printed.groups if is_short(group, wide=wide)},
            tall_lines={
                line.id for group in printed.groups for line in group.lines if is_tall(line, group, wide=wide)
            },
            last_parts={
                group.lines[-1].id: parts
                for group in printed.groups
                if (parts := last_part(group.lines[-1], group, wide=wide))
            },
            has_long_bank_details=has_long_bank_details(printed.firm.bank_details),
            has_logo=printed.logo_sha256 is not None,
            foot_lines=foot_lines(printed.firm.footer),
            balance_label=label["credit_balance" if credit else "balance_due"],
            qr=qr_code(printed.portal_link) if printed.can_be_paid_online else None,
            balance_shown=-printed.balance_due if credit else printed.balance_due,
        )

    @property
    def receipt_version(self) -> str:
        """The hash of every file a receipt is rendered from."""
        return _version(self._directory, "receipt.*", "receipt_labels/*.toml", "labels/*.toml")

    @property
    def receipt_style(self) -> str:
        """The text of the receipts' style sheet."""
        return (self._directory / "receipt.css").read_text(encoding="utf-8")

    def receipt_title(self, printed: PrintedReceipt) -> str:
        """The document's title, in its own language: `Receipt 2026-0147-1A2B3C4D`."""
        return f"{self._receipt_labels(printed)['receipt']} {printed.number}"

    def receipt_html(self, printed: PrintedReceipt) -> str:
        """The receipt as one HTML document; the logo, if there is one, is referred to as `app:logo`."""
        locale = locale_of(printed.language)
        return (
            _environment(self._directory, locale)
            .get_template("receipt.html")
            .render(
                receipt=printed,
                label=self._receipt_labels(printed),
                language=str(locale).replace("_", "-"),
                title=self.receipt_title(printed),
                has_logo=printed.logo_sha256 is not None,
                foot_lines=foot_lines(printed.firm.footer),
            )
        )

    def read_every_language(self) -> None:
        """Compile the templates and read all labels and locale data, so that no first document of a language waits."""
        for language in LANGUAGES:
            locale = Locale(language)
            for name in ("invoice.html", "receipt.html"):
                _environment(self._directory, locale).get_template(name)
            self.invoice_labels(language)
            _labels(self._directory, language, "receipt_labels")
            formats = formats_of(locale)
            formats["money"](Money(0, "USD"))
            formats["long_date"](date.min)

    def _labels_of(self, printed: PrintedInvoice) -> Mapping[str, Any]:
        return self.invoice_labels(locale_of(printed.language).language)

    def _receipt_labels(self, printed: PrintedReceipt) -> Mapping[str, Any]:
        language = locale_of(printed.language).language
        own = _labels(self._directory, language, "receipt_labels")
        return {**_labels(self._directory, language), **own}


def paragraphs(text: str) -> list[str]:
    """The parts that empty lines separate."""
    return [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text) if part.strip()]


def is_right_to_left(text: str) -> bool:
    """Whether its first letter is Arabic or Hebrew: in which direction a reader takes the whole (Unicode's rule P2)."""
    strong = (unicodedata.bidirectional(letter) for letter in text)
    return next((kind for kind in strong if kind in _STRONG), "L") != "L"


def foot_lines(footer: str) -> int:
    """For how many lines each page's foot must have room: 2, 5 or 8; 0 where it has none for so much text."""
    lines = printed_lines(footer, _FOOT_COLUMNS)
    return next((room for room in _FOOT_ROOMS if lines <= room), 0)


def has_long_bank_details(details: str) -> bool:
    """Whether they may not fit beside the other ways to pay, on one page with them."""
    return printed_lines(details, _BANK_COLUMNS) > _LONG_BANK_DETAILS


def is_short(group: LineGroup, *, wide: bool) -> bool:
    """Whether its lines are few and low enough to be kept on one page; an estimate, for A4."""
    return sum(_row_height(line, group, wide=wide) for line in group.lines) <= _SHORT_GROUP


def is_tall(line: PrintedLine, group: LineGroup, *, wide: bool) -> bool:
    """Whether its row takes more than a third of a page, so that keeping it whole would leave much white; estimated."""
    return _row_height(line, group, wide=wide) > _TALL_ROW


def last_part(line: PrintedLine, group: LineGroup, *, wide: bool) -> tuple[str, str] | None:
    """A tall description as most of it and its last lines, or None if it is not tall.

    The last lines are a row of their own, which totals take with them to the next page: WeasyPrint goes back to the
    beginning of a row, never to a line within it, and where a row fills a page totals would stand alone.
    """
    text = line.description.strip()
    columns, _ = _text_columns(group, wide=wide)
    if printed_lines(text, columns) <= _TALL_ROW:
        return None
    start = len(text)
    while printed_lines(text[start:], columns) < _LAST_PART:
        start -= columns // 4
    seams = (seam.search(text, start, (start + len(text)) // 2) for seam in _SEAMS)
    found = next(filter(None, seams), None)
    if found:
        return text[: found.start()], text[found.end() :]
    start = next(
        (at for at in range(start, len(text)) if unicodedata.category(text[at]) not in _MARKS), start
    )
    return text[:start], text[start:]


def _row_height(line: PrintedLine, group: LineGroup, *, wide: bool) -> float:
    """In printed lines: those of the description or of the timekeeper, whichever are more."""
    description, timekeeper = _text_columns(group, wide=wide)
    texts = ((f"{line.task_code} {line.description}", description), (line.timekeeper, timekeeper))
    return _ROW_PADDING + max(printed_lines(text, columns) for text, columns in texts)


def _text_columns(group: LineGroup, *, wide: bool) -> tuple[int, int]:
    """How many letters stand on a line of a description, and of a timekeeper's name."""
    hours, rate, amount = _WIDE_NUMBER_WIDTHS if wide else _NUMBER_WIDTHS
    others = amount + group.has_hours * (hours + rate)
    others += group.has_dates * _DATE_WIDTH + group.has_timekeepers * _TIMEKEEPER_WIDTH
    description, timekeeper = (
        int((width - _CELL_PADDING) / _LETTER_WIDTH) for width in (_PAGE_WIDTH - others, _TIMEKEEPER_WIDTH)
    )
    return description, timekeeper


def printed_lines(text: str, columns: int) -> int:
    """How many lines a text takes where so many letters stand on one; an estimate."""
    return sum(max(1, math.ceil(_columns(line) / columns)) for line in text.splitlines())


def _columns(text: str) -> int:
    """Width in letters; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def filters_of(locale: Locale) -> dict[str, Callable[..., Any]]:
    """Every filter of ours that an invoice's template may use."""
    return {**formats_of(locale), "paragraphs": paragraphs, "is_right_to_left": is_right_to_left}


def _widest(printed: PrintedInvoice) -> int:
    amounts = [group.subtotal for group in printed.groups]
    amounts += [
        amount
        for group in printed.groups
        for line in group.lines
        for amount in (line.amount, line.rate)
        if amount
    ]
    return max((abs(amount.minor) for amount in amounts), default=0)


class _CompiledOnce(BytecodeCache):
    """Keeps compiled templates in memory: each locale has an environment of its own, and compiling takes 25 ms.

    What is compiled names filters and does not hold them; a key is of one file, its checksum of its content.
    """

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _CompiledOnce()


@lru_cache(maxsize=32)
def _environment(directory: Path, locale: Locale) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_COMPILED,
    )
    environment.filters.update(filters_of(locale))
    return environment


@cache
def _labels(directory: Path, language: str, folder: str = "labels") -> Mapping[str, Any]:
    return tomllib.loads((directory / folder / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def _version(directory: Path, *patterns: str) -> str:
    """Of what a document is rendered from: other templates beside it (reminders) must not change its hash."""
    digest = hashlib.sha256()
    parts = [path for pattern in patterns for path in directory.glob(pattern)]
    for path in sorted(parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
