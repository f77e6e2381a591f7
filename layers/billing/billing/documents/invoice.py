"""What an invoice says on paper: decided here, once, before anything is rendered.

A `PrintedInvoice` holds every value that reaches the page and nothing else. It is built from plain facts, its
totals are proved against its line items, and its content hash names the document: the same content is the same
file, so a replayed message or a second worker meets its own work instead of doubling it.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid5

from billing.documents.text import DEFAULT_ACCENT, AccentColor
from billing.errors import Unprocessable
from billing.ledger.ledger import Invoice, LineItem, checked_totals, local_date
from billing.money import Money

#: Languages the labels exist in (`templates/labels/<language>.toml`); the first is the fallback.
LANGUAGES = ("en", "es", "fr", "de")

#: More line items than any real invoice; beyond it rendering would outlast the function.
MAX_LINES = 10_000

#: A firm's logo has a tenth of it; a larger one is not even downloaded.
MAX_LOGO_BYTES = 2_000_000

_LETTER_TERRITORIES = frozenset({"US", "CA", "MX", "CO", "CL", "PH"})
_LETTER_CURRENCIES = frozenset({"USD", "CAD", "MXN"})
_CITY_FIRST = frozenset({"US", "CA", "AU", "NZ", "GB", "IE", "IN", "SG", "HK", "ZA"})


class LineKind(StrEnum):
    """`line_items.kind`, in the order they are printed."""

    FEE = "fee"
    EXPENSE = "expense"
    DISCOUNT = "discount"


@dataclass(frozen=True)
class AddressParts:
    """The parts of an address by their names, as electronic invoices want them; any may be empty."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""


@dataclass(frozen=True)
class PostalAddress:
    """Lines as they stand on an envelope; `country` is an ISO 3166 code or a name, and may be empty.

    `parts` says the same as `lines` where the parts are known; None where only the lines are.
    """

    lines: tuple[str, ...] = ()
    country: str = ""
    parts: AddressParts | None = None


@dataclass(frozen=True)
class Logo:
    """The firm's logo: `media_type` is `image/png`, `image/jpeg` or `image/svg+xml`."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class Letterhead:
    """The firm, as its own paper shows it. `timezone` and `currency` decide dates and paper, and are not printed.

    `electronic_invoice` says that documents carry the invoice as data, too; only then `country_code` (ISO 3166, two
    capitals) is known here: it is not on the paper, and must not name another document where nothing holds it.
    """

    name: str
    currency: str
    timezone: str
    language: str
    legal_name: str = ""
    address: PostalAddress = PostalAddress()
    tax_id: str = ""
    email: str = ""
    phone: str = ""
    bank_details: str = ""
    footer: str = ""
    country_code: str = ""
    electronic_invoice: bool = False
    accent_color: AccentColor = DEFAULT_ACCENT


@dataclass(frozen=True)
class Addressee:
    """The client in the address block."""

    name: str
    address: PostalAddress = PostalAddress()
    tax_id: str = ""
    language: str = ""


@dataclass(frozen=True)
class PrintedLine:
    """One line item. `hours` and `rate` are absent on expenses and discounts; `amount` is what counts."""

    id: str
    kind: LineKind
    description: str
    amount: Money
    date: dt.date | None = None
    timekeeper: str = ""
    task_code: str = ""
    hours: Decimal | None = None
    rate: Money | None = None
    sort: int | None = None

    @property
    def is_by_the_hour(self) -> bool:
        """Whether time was recorded or charged: an expense with 0 hours has no time."""
        return bool(self.hours) or bool(self.rate and self.rate.minor)


@dataclass(frozen=True)
class PrintedPayment:
    """A payment already booked when the invoice was sent or last changed, net of what was refunded by then."""

    id: str
    date: dt.date | None
    method: str
    amount: Money


@dataclass(frozen=True)
class Correction:
    """The change after sending (a discount) that a version follows: `at` is its moment, `date` the firm's day of it.

    `replaces` is the version that its reader may have, which is no longer so.
    """

    at: dt.datetime
    date: dt.date
    replaces: int


@dataclass(frozen=True)
class InvoiceFacts:
    """The invoice row: what its ledger decides, and what is only printed. `language` is a BCP 47 tag or empty.

    `tax_category` is a choice of `invoices.tax_category` or empty; `tax_exemption_reason` is printed.
    """

    ledger: Invoice
    issue_date: dt.date | None = None
    matter_number: str = ""
    matter_name: str = ""
    language: str = ""
    client_message: str = ""
    tax_category: str = ""
    tax_exemption_reason: str = ""


@dataclass(frozen=True)
class LineGroup:
    """The lines of one kind, with their sum and (for fees) their hours."""

    kind: LineKind
    lines: tuple[PrintedLine, ...]
    subtotal: Money
    hours: Decimal

    @property
    def has_dates(self) -> bool:
        """Whether the date column has anything to show."""
        return any(line.date for line in self.lines)

    @property
    def has_timekeepers(self) -> bool:
        """Whether anybody is named."""
        return any(line.timekeeper for line in self.lines)

    @property
    def has_hours(self) -> bool:
        """Whether any line was charged by the hour."""
        return any(line.is_by_the_hour for line in self.lines)


@dataclass(frozen=True)
class PrintedInvoice:
    """Everything in the document. `balance_due` is what was open at sending or at its correction; negative is a credit.

    `tax_category` is empty unless the document carries the invoice as data: nothing else shows it.
    """

    id: str
    number: str
    firm: Letterhead
    client: Addressee
    language: str
    paper: str
    issue_date: dt.date
    due_date: dt.date | None
    matter_number: str
    matter_name: str
    groups: tuple[LineGroup, ...]
    subtotal: Money
    tax_rate: Decimal
    tax: Money
    tax_category: str
    tax_exemption_reason: str
    total: Money
    payments: tuple[PrintedPayment, ...]
    balance_due: Money
    client_message: str
    portal_url: str
    sent_at: dt.datetime
    logo_sha256: str | None
    correction: Correction | None = None

    @property
    def dated(self) -> dt.datetime:
        """The document's own moment, which no clock tells: of its correction, else of sending."""
        return self.correction.at if self.correction else self.sent_at

    @property
    def can_be_paid_online(self) -> bool:
        """Whether there is a portal, and anything to pay in it."""
        return bool(self.portal_url) and self.balance_due.minor > 0

    @property
    def portal_link(self) -> str:
        """Where the client pays; only meaningful while there is a portal (`portal_url` is not empty)."""
        return f"{self.portal_url.rstrip('/')}/invoices/{self.id}"


@dataclass(frozen=True)
class DocumentIdentity:
    """Where a document of this content lives, in S3 and in Directus, whoever renders it and however often.

    `file_id` is the key of the `directus_files` row and names the object; `document_id` is the `documents` row's.
    """

    content_hash: str
    file_id: str
    document_id: str

    @property
    def object_key(self) -> str:
        """Flat on purpose: Directus deletes objects by the prefix of the file name."""
        return f"{self.file_id}.pdf"


def print_invoice(
    *,
    invoice: InvoiceFacts,
    sent_at: dt.datetime,
    firm: Letterhead,
    client: Addressee,
    lines: Sequence[PrintedLine],
    payments: Sequence[PrintedPayment],
    logo: Logo | None = None,
    portal_url: str = "",
    correction: Correction | None = None,
) -> PrintedInvoice:
    """Decide what is printed; `payments` are those booked by `sent_at`, or by the moment of the correction.

    Raises `Unprocessable` `totals_do_not_add_up` when stored totals are not those of the line items, naming both
    numbers, and `too_many_lines` beyond `MAX_LINES`.
    """
    ledger = invoice.ledger
    if len(lines) > MAX_LINES:
        message = f"{len(lines)} line items are more than the {MAX_LINES} an invoice may have."
        raise Unprocessable(message, code="too_many_lines", invoice=ledger.id)
    totals = checked_totals(ledger, [LineItem(line.id, line.amount) for line in lines])
    paid = sum((payment.amount for payment in payments), Money.zero(ledger.currency))
    return PrintedInvoice(
        id=ledger.id,
        number=ledger.invoice_number,
        firm=firm,
        client=client,
        language=language_of(invoice.language, client.language, firm.language),
        paper=paper_of(firm),
        issue_date=invoice.issue_date or local_date(sent_at, firm.timezone),
        due_date=ledger.due_date,
        matter_number=invoice.matter_number,
        matter_name=invoice.matter_name,
        groups=_grouped(lines, ledger.currency),
        subtotal=totals.subtotal,
        tax_rate=ledger.tax_rate,
        tax=totals.tax,
        tax_category=invoice.tax_category if firm.electronic_invoice else "",
        tax_exemption_reason=invoice.tax_exemption_reason,
        total=totals.total,
        payments=tuple(payments),
        balance_due=totals.total - paid,
        client_message=invoice.client_message,
        portal_url=portal_url,
        sent_at=sent_at,
        logo_sha256=hashlib.sha256(logo.content).hexdigest() if logo else None,
        correction=correction,
    )


def lines_with_own_amount(lines: Sequence[PrintedLine]) -> list[str]:
    """Ids of lines whose `hours` times `rate` is not their `amount`: allowed (flat fees, courtesy), worth a log."""
    return [
        line.id
        for line in lines
        if line.hours is not None
        and line.rate is not None
        and line.rate.percent(line.hours * 100) != line.amount
    ]


def identity_of(printed: PrintedInvoice, *, template_version: str, layer_version: str) -> DocumentIdentity:
    """The ids that follow from the content, the template and the layer that renders it."""
    versions = {"template": template_version, "layer": layer_version}
    return content_identity("invoice", printed.id, {"printed": printed, **versions})


def content_identity(document_type: str, invoice: str, content: Mapping[str, object]) -> DocumentIdentity:
    """The ids of a document of an invoice; `content` is all that decides how it looks."""
    canonical = json.dumps(
        {name: _plain(value) for name, value in content.items()},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    content_hash = hashlib.sha256(canonical.encode()).hexdigest()
    file_id = uuid5(UUID(invoice), f"{document_type}:{content_hash}")
    return DocumentIdentity(
        content_hash=content_hash, file_id=str(file_id), document_id=str(uuid5(file_id, "documents"))
    )


def language_of(*wishes: str) -> str:
    """The first wish we have labels for, with its territory kept (`de-CH` prints German with Swiss numbers)."""
    for wish in wishes:
        tag = wish.strip().replace("_", "-")
        if tag.split("-")[0].lower() in LANGUAGES:
            return tag
    return LANGUAGES[0]


def paper_of(firm: Letterhead) -> str:
    """`Letter` where the firm's paper is letter sized, else `A4`.

    The territory of the firm's language tag decides (`en-US`); without one, the firm's currency.
    """
    territory = _territory(firm.language)
    letter = territory in _LETTER_TERRITORIES if territory else firm.currency in _LETTER_CURRENCIES
    return "Letter" if letter else "A4"


def envelope_lines(
    *,
    line1: str = "",
    line2: str = "",
    city: str = "",
    state: str = "",
    postal_code: str = "",
    country: str = "",
) -> PostalAddress:
    """Put the parts of an address in the order its country writes them (the postal code first on the Continent)."""
    if country.upper() in _CITY_FIRST:
        region = " ".join(part for part in (state, postal_code) if part)
        town = ", ".join(part for part in (city, region) if part)
        lines: tuple[str, ...] = (line1, line2, town)
    else:
        lines = (line1, line2, " ".join(part for part in (postal_code, city) if part), state)
    parts = AddressParts(line1, line2, city, state, postal_code)
    return PostalAddress(tuple(line for line in lines if line), country, parts)


def _grouped(lines: Sequence[PrintedLine], currency: str) -> tuple[LineGroup, ...]:
    in_order = sorted(lines, key=_reading_order)
    groups = []
    for kind in LineKind:
        members = tuple(line for line in in_order if line.kind is kind)
        if members:
            subtotal = sum((line.amount for line in members), Money.zero(currency))
            hours = sum((line.hours for line in members if line.hours is not None), Decimal(0))
            groups.append(LineGroup(kind, members, subtotal, hours))
    return tuple(groups)


def _reading_order(line: PrintedLine) -> tuple[bool, int, dt.date, str]:
    """Staff's own order first, then by date; the id makes it the same every time."""
    return (line.sort is None, line.sort or 0, line.date or dt.date.max, line.id)


def _territory(tag: str) -> str:
    parts = tag.replace("_", "-").split("-")[1:]
    return next((part.upper() for part in parts if len(part) == 2 and part.isalpha()), "")  # noqa: PLR2004  # ISO 3166 codes have two letters


def _plain(value: object) -> object:
    """JSON values only, one spelling each: `1.50` and `1.5` hours are the same content."""
    if isinstance(value, Money):
        return [value.minor, value.currency]
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
