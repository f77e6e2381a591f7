"""The invoices that every engine draws, written to a folder once, in each form that an engine takes.

`<lines>-<round>.pickle` for our renderer, `.html` (with `invoice.css` beside it) for stock WeasyPrint and Chromium,
`.json` for engines with a template of their own: texts as our template prints them, amounts and dates included.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from billing.documents.template import DocumentTemplate, paragraphs
from billing.formats import address, formats_of, locale_of
from tests.integration.render_pdf.sample_invoices import long

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from billing.documents.invoice import LineGroup, PrintedInvoice


def write(folder: Path, lines: int, rounds: int) -> None:
    """Write the invoice, and `rounds` others as long."""
    template = DocumentTemplate()
    (folder / "invoice.css").write_text(template.style)
    for number in range(rounds + 1):
        printed = invoice(lines, number)
        stem = path(folder, lines, number)
        stem.with_suffix(".html").write_text(template.invoice_html(printed))
        stem.with_suffix(".pickle").write_bytes(pickle.dumps(printed))
        stem.with_suffix(".json").write_text(json.dumps(texts(printed, template)))


def path(folder: Path, lines: int, number: int) -> Path:
    """Where an invoice is, without its ending."""
    return folder / f"{lines}-{number}"


def invoice(lines: int, number: int) -> PrintedInvoice:
    """The sample of that many lines; every line of each `number` has words of its own.

    Typst remembers what it has laid out, and so may others: the same invoice twice would measure their memory.
    """
    printed = long(lines)
    if number == 0:
        return printed
    return replace(
        printed,
        number=f"{printed.number}-{number}",
        groups=tuple(
            replace(
                group,
                lines=tuple(
                    replace(line, description=f"{line.description}, part {number}") for line in group.lines
                ),
            )
            for group in printed.groups
        ),
    )


def texts(printed: PrintedInvoice, template: DocumentTemplate) -> dict[str, Any]:
    """What `invoice.html` prints of it, as plain texts."""
    locale = locale_of(printed.language)
    label, formats = template.invoice_labels(locale.language), formats_of(locale)
    money, long_date = formats["money"], formats["long_date"]
    due = [(label["due_date"], long_date(printed.due_date))] if printed.due_date else []
    country = [formats["country"](name) for name in [printed.client.address.country] if name]
    return {
        "title": template.title(printed),
        "language": locale.language,
        "sent_at": printed.sent_at.isoformat(),
        "firm": printed.firm.name,
        "letterhead": [
            printed.firm.legal_name,
            *printed.firm.address.lines,
            printed.firm.phone,
            printed.firm.email,
            f"{label['tax_id']}: {printed.firm.tax_id}",
        ],
        "heading": label["invoice"],
        "invoice_to": label["invoice_to"],
        "client": [printed.client.name, *printed.client.address.lines, *country],
        "facts": [
            (label["invoice_number"], printed.number),
            (label["issue_date"], long_date(printed.issue_date)),
            *due,
            (label["matter"], f"{printed.matter_name} {printed.matter_number}"),
        ],
        "groups": [_group(group, label, formats, printed.total.currency) for group in printed.groups],
        "totals": [
            (label["subtotal"], money(printed.subtotal)),
            (f"{label['tax']} ({formats['percent'](printed.tax_rate)})", money(printed.tax)),
            (label["total"], money(printed.total)),
            (label["balance_due"], money(printed.balance_due)),
        ],
        "how_to_pay": label["how_to_pay"],
        "bank": [label["bank_transfer"], *printed.firm.bank_details.splitlines()],
        "reference": [label["reference"], printed.number, address(printed.portal_url)],
        "message": [label["message"], *paragraphs(printed.client_message)],
        "footer": printed.firm.footer,
        "page": label["page"],
        "of": label["of"],
    }


def _group(
    group: LineGroup, label: Mapping[str, Any], formats: Mapping[str, Any], currency: str
) -> dict[str, Any]:
    """Seven texts per row: date, timekeeper, code, description, hours, rate, amount."""
    heads = ("date", "timekeeper", "description", "hours", "rate")
    plain_money, hours = formats["plain_money"], formats["hours"]
    return {
        "name": label["groups"][group.kind],
        "heads": [*(label[head] for head in heads), f"{label['amount']} ({currency})"],
        "rows": [
            (
                formats["short_date"](line.date) if line.date else "",
                line.timekeeper,
                line.task_code,
                line.description,
                hours(line.hours) if line.hours is not None else "",
                plain_money(line.rate) if line.rate else "",
                plain_money(line.amount),
            )
            for line in group.lines
        ],
        "subtotal": (
            label["group_totals"][group.kind],
            hours(group.hours) if group.has_hours else "",
            plain_money(group.subtotal),
        ),
    }
