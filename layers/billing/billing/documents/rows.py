"""Rows that are printed, parsed once at the edge into values.

Text is cleaned here: control characters have no place on paper and would break the PDF's metadata. Of those that mean
a new line one remains, the line feed; what is one line (`Line`: names, numbers) has none.
What cannot be read is refused as in `directus/rows.py`.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from billing.directus.rows import Json, Key, Row, RowModel, Timestamp, parse, unreadable
from billing.documents.invoice import (
    Addressee,
    InvoiceFacts,
    Letterhead,
    LineKind,
    PostalAddress,
    PrintedLine,
    envelope_lines,
)
from billing.documents.receipt import ReceivedPayment
from billing.documents.text import accent_color
from billing.documents.versions import BookedPayment, DocumentRow, GivenBack, printed_form
from billing.ledger.ledger import LOST_DISPUTE, NOT_GIVEN_BACK, PaymentStatus
from billing.ledger.receipts_due import printed_method
from billing.ledger.store import invoice_from_row, payment_dispute_from_row, refund_from_row
from billing.ledger.store import payment_from_row as ledger_payment_from_row
from billing.money import Money, accepted_currency

#: C0 and C1 controls but tab and line feed, lone surrogates, and the marks that reverse the direction of text.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
#: Everything that ends a line, as text comes from word processors (VT), old Macs (CR), printers (FF) and mainframes (NEL).
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
#: Blanks that may be joined: a no-break space is no such blank.
_BLANKS = re.compile("[ \t\n]+")


def _clean(value: Any) -> Any:
    if value is None:
        return ""
    return _UNPRINTABLE.sub("", _LINE_END.sub("\n", value)).strip() if isinstance(value, str) else value


def _clean_line(value: Any) -> Any:
    cleaned = _clean(value)
    return _BLANKS.sub(" ", cleaned) if isinstance(cleaned, str) else cleaned


type Text = Annotated[str, BeforeValidator(_clean)]
type Line = Annotated[str, BeforeValidator(_clean_line)]


class _FactsRow(RowModel):
    issue_date: dt.date | None = None
    matter_number: Line = ""
    matter_name: Line = ""
    language: Line = ""
    client_message: Text = ""
    tax_category: Line = ""
    tax_exemption_reason: Text = ""


class _AddressParts(RowModel):
    line1: Line = ""
    line2: Line = ""
    city: Line = ""
    state: Line = ""
    postal_code: Line = ""
    country: Line = ""


class _ClientRow(RowModel):
    name: Line
    address: Json = None
    tax_id: Line = ""
    language: Line = ""


class _FirmRow(RowModel):
    name: str
    legal_name: Line = ""
    address: Json = None
    tax_id: Line = ""
    email: Line = ""
    phone: Line = ""
    logo: Key | None = None
    bank_details: Text = ""
    timezone: str
    currency: str
    language: str
    footer: Text = ""
    country: Line = ""
    electronic_invoice: Line = ""
    accent_color: Line = ""


class _LineRow(RowModel):
    id: str
    sort: int | None = None
    kind: LineKind
    date: dt.date | None = None
    timekeeper: Line = ""
    task_code: Line = ""
    description: Text
    hours: Decimal | None = None
    rate: Decimal | None = None
    amount: Decimal


class _LineDateRow(RowModel):
    date_created: Timestamp | None = None


class _PaymentDatesRow(RowModel):
    payment_date: dt.date | None = None
    date_created: Timestamp


class _ReversalDatesRow(RowModel):
    closed_at: Timestamp | None = None
    date_created: Timestamp | None = None


class _ReceivedRow(_PaymentDatesRow):
    brand: Line = ""
    bank_name: Line = ""
    last4: Line = ""
    receipt_error: Text = ""


class _DocumentRow(RowModel):
    id: str
    version: int | None = None
    file: Key | None = None
    sha256: str | None = None
    content_hash: str | None = None
    printed_payments: Json = None
    invoice: Key | None = None
    client: Key | None = None
    payment: Key | None = None
    visible_to_client: bool | None = None
    withdrawn_at: Timestamp | None = None
    title: str | None = None
    printed_as_of: Timestamp | None = None
    replaces: int | None = None
    date_created: Timestamp | None = None
    version_key: str | None = None


def facts_from_row(row: Row) -> InvoiceFacts:
    """Parse an `invoices` row read with the ledger's fields and the printed ones."""
    ledger = invoice_from_row(row)
    ledger = replace(ledger, invoice_number=_clean_line(ledger.invoice_number))
    parsed = parse(_FactsRow, row, "invoices")
    return InvoiceFacts(ledger=ledger, **{name: getattr(parsed, name) for name in _FactsRow.model_fields})


def client_from_row(row: Row) -> Addressee:
    """Parse a `clients` row."""
    parsed = parse(_ClientRow, row, "clients")
    return Addressee(parsed.name, _address(parsed.address, "clients"), parsed.tax_id, parsed.language)


def firm_from_row(row: Row) -> tuple[Letterhead, str | None]:
    """Parse the `firm` singleton; also the id of its logo's file, if it has one."""
    parsed = parse(_FirmRow, row, "firm")
    texts = {
        name: getattr(parsed, name)
        for name in ("legal_name", "tax_id", "email", "phone", "bank_details", "footer")
    }
    accepted_currency(parsed.currency)
    electronic = parsed.electronic_invoice == "factur-x"
    letterhead = Letterhead(
        name=_clean_line(parsed.name),
        currency=parsed.currency.upper(),
        timezone=parsed.timezone,
        language=parsed.language,
        address=_address(parsed.address, "firm"),
        country_code=parsed.country if electronic else "",
        electronic_invoice=electronic,
        accent_color=accent_color(parsed.accent_color),
        **texts,
    )
    return letterhead, parsed.logo


def line_from_row(row: Row, currency: str) -> PrintedLine:
    """Parse a `line_items` row; amounts are in the invoice's currency."""
    parsed = parse(_LineRow, row, "line_items")
    return PrintedLine(
        id=parsed.id,
        kind=parsed.kind,
        description=parsed.description,
        amount=Money.from_directus(parsed.amount, currency),
        date=parsed.date,
        timekeeper=parsed.timekeeper,
        task_code=parsed.task_code,
        hours=parsed.hours,
        rate=None if parsed.rate is None else Money.from_directus(parsed.rate, currency),
        sort=parsed.sort,
    )


def newest_line_at(rows: Sequence[Row]) -> dt.datetime | None:
    """When the last of these `line_items` rows was added; None where none of them says."""
    added = (parse(_LineDateRow, row, "line_items").date_created for row in rows)
    return max(filter(None, added), default=None)


def payment_from_row(row: Row, refunds: Sequence[Row], payment_disputes: Sequence[Row]) -> BookedPayment:
    """Parse a `payments` row, with the `refunds` and `payment_disputes` rows that are its own."""
    payment = ledger_payment_from_row(row)
    parsed = parse(_PaymentDatesRow, row, "payments")
    currency = payment.amount.currency
    given_back = [
        *(_refunded(each, currency) for each in refunds),
        *(_lost(each, currency) for each in payment_disputes),
    ]
    return BookedPayment(
        id=payment.id,
        amount=payment.amount,
        succeeded=payment.status is PaymentStatus.SUCCEEDED,
        method=printed_method(payment.method),
        date=parsed.payment_date,
        booked_at=parsed.date_created,
        given_back=tuple(filter(None, given_back)),
    )


def _refunded(row: Row, currency: str) -> GivenBack | None:
    refund = refund_from_row(row, currency)
    dates = parse(_ReversalDatesRow, row, "refunds")
    return None if refund.status in NOT_GIVEN_BACK else GivenBack(refund.amount, dates.date_created)


def _lost(row: Row, currency: str) -> GivenBack | None:
    dispute = payment_dispute_from_row(row, currency)
    dates = parse(_ReversalDatesRow, row, "payment_disputes")
    return (
        GivenBack(dispute.amount, dates.closed_at or dates.date_created)
        if dispute.status in LOST_DISPUTE
        else None
    )


def received_payment_from_row(row: Row) -> ReceivedPayment:
    """Parse a `payments` row read for its receipt."""
    parsed = parse(_ReceivedRow, row, "payments")
    printed = {
        "booked_at": parsed.date_created,
        "brand": parsed.brand,
        "bank_name": parsed.bank_name,
        "last4": parsed.last4,
        "receipt_error": parsed.receipt_error,
    }
    return ReceivedPayment(**{**vars(ledger_payment_from_row(row)), **printed})


def document_from_row(row: Row) -> DocumentRow:
    """Parse a `documents` row that the renderer made."""
    parsed = parse(_DocumentRow, row, "documents")
    try:
        printed = None if parsed.printed_payments is None else printed_form(parsed.printed_payments)
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable("documents", "printed_payments", parsed.id) from error
    return DocumentRow(
        id=parsed.id,
        version=parsed.version or 0,
        file=parsed.file,
        sha256=parsed.sha256 or "",
        content_hash=parsed.content_hash or "",
        printed_payments=printed,
        invoice=parsed.invoice,
        client=parsed.client,
        payment=parsed.payment,
        visible_to_client=bool(parsed.visible_to_client),
        is_withdrawn=parsed.withdrawn_at is not None,
        title=parsed.title or "",
        printed_as_of=parsed.printed_as_of,
        replaces=parsed.replaces,
        registered_at=parsed.date_created,
        version_key=parsed.version_key,
    )


def _address(value: Any, collection: str) -> PostalAddress:
    if value is None:
        return PostalAddress()
    if isinstance(value, str):
        return PostalAddress(tuple(line for part in _clean(value).split("\n") if (line := _clean_line(part))))
    if isinstance(value, dict):
        parts = parse(_AddressParts, value, collection)
        return envelope_lines(**{name: getattr(parts, name) for name in _AddressParts.model_fields})
    raise unreadable(collection, "address")
