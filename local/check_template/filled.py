"""What a filled-in template must have and must not do, seen in its HTML.

Escaping keeps text from becoming tags. It does not keep it from ending up where a browser or WeasyPrint reads something
else than text: in a style, in an address. That is looked for here, with invoices whose every text carries a mark.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from billing.documents.template_override import TemplateRefused
from billing.formats import formats_of, locale_of
from billing.money import Money
from local.check_template.samples import MARK

if TYPE_CHECKING:
    from billing.documents.invoice import PrintedInvoice


#: Attributes whose value is read as text, whatever it is.
_TEXT_ATTRIBUTES = frozenset({"alt", "title", "content", "aria-label", "summary"})


def check_filled(html: str, printed: PrintedInvoice) -> None:
    """Raise `TemplateRefused`; `printed` is one of the samples, `html` what the template made of it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.fault:
        raise TemplateRefused(reader.fault)
    shown = _plain(reader.text)
    for what, text in _necessary(printed):
        if _plain(text) not in shown:
            message = f"it does not print {what}"
            raise TemplateRefused(message)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.fault = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in {"style", "script"} else ""
        if MARK in tag:
            self.fault = "it turns what somebody typed into markup"
        for name, value in attrs:
            if MARK in f"{name}{value or ''}" and name not in _TEXT_ATTRIBUTES:
                self.fault = f"it puts what somebody typed into the attribute {name[:30]} of <{tag[:30]}>"

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # HTMLParser's signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data
        elif MARK in data:
            self.fault = f"it puts what somebody typed into a <{self._inside}>"


def _necessary(printed: PrintedInvoice) -> list[tuple[str, str]]:
    plain_money = formats_of(locale_of(printed.language))["plain_money"]

    def number(amount: Money) -> str:
        return plain_money(Money(abs(amount.minor), amount.currency))

    needed = [
        ("the client's name", printed.client.name),
        ("the invoice number", printed.number),
        ("the total", number(printed.total)),
        ("the balance", number(printed.balance_due)),
    ]
    lines = [line for group in printed.groups for line in group.lines]
    needed += [("every line's description", line.description) for line in lines]
    needed += [("every line's amount", number(line.amount)) for line in lines]
    return needed


def _plain(text: str) -> str:
    return "".join(text.split())
